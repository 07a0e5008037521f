/* SPDX-License-Identifier: Apache-2.0 */
/* shrink.h - one shrink under way, at one rank. */
#ifndef BALLOT_COLLECTIVE_SHRINK_H
#define BALLOT_COLLECTIVE_SHRINK_H

#include "membership.h"

/* What is to be done. */
enum course { WAIT, INVITE, JOIN, COMPLETE, FAIL };

struct shrinking {
    struct ballot_comm *comm;
    struct membership *m;
    struct child child;
    uint32_t *from;           /* [comm->ranks] who is left */
    struct ballot_comm *made; /* by the attempt that ours has joined */
    struct bootstrap_root *root;
    uint32_t attempts; /* that we have led, with the ranks that are left now */
    uint64_t rounds;   /* that we have completed */
    struct statement invitation;
    int rc;
    char why[ERROR_BYTES];
    char join_why[ERROR_BYTES];
};

static inline struct statement *shrink_theirs(const struct shrinking *s,
                                              uint32_t rank)
{
    return &s->m->members[rank].theirs;
}

/* Whether the rank is neither dead nor excluded, as far as we know. */
static inline bool shrink_has(const struct shrinking *s, uint32_t rank)
{
    return !mask_has(&s->m->ours.gone, rank);
}

/* survivors.c, with the engine's lock: what is to be done, as far as is known;
 * what we say has changed where it had to. */
enum course shrink_decide(struct shrinking *s);
/* FAIL, with the error in s->rc and s->why. */
enum course shrink_fail(struct shrinking *s, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
