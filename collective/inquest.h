/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inquest.h - redundant rounds at a server: chunks of replicas go to the
 * verifier, and ranks are told what it knows.
 *
 * All votes of one step, until a report or a release, are one round of the
 * verifier, whose coordinates are those of the votes one behind the other. One
 * thread at a time; allocates in inquest_open() alone.
 */
#ifndef BALLOT_COLLECTIVE_INQUEST_H
#define BALLOT_COLLECTIVE_INQUEST_H

#include "../aggregate/round.h"
#include "../aspis/verifier.h"

struct inquest;

/* As verifier_open(). */
int inquest_open(struct inquest **inquest, const struct verifier_config *config,
                 char why[ASSIGNMENT_WHY_BYTES]);
void inquest_close(struct inquest *inquest); /* NULL is allowed */

/* For redundant rounds to come; see verifier_arbiter(). */
void inquest_arbiter(struct inquest *inquest, verifier_arbiter_fn *arbiter,
                     void *context);

/*
 * One chunk of a call with rows.
 *
 *   call    as the tally agreed on it
 *   rows    [workers]: as in struct verifier_chunk
 *   result  whole lines of call->coordinates
 *   ties    NULL, or the same
 *   minus   ties are minus
 */
struct inquest_chunk {
    const struct call *call;
    const uint64_t *const *rows;
    uint64_t *result;
    uint64_t *ties;
    bool minus;
};
void inquest_count(struct inquest *inquest, const struct inquest_chunk *chunk);

#endif
