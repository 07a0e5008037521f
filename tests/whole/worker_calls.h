/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_calls.h - any collective call, with input from a seed and a check of
 * what came out.
 *
 * Every rank knows what all ranks give and computes the result itself, one
 * element after the other, in the order that ranks and count prescribe: so
 * floats are compared bit for bit.
 */
#ifndef TESTS_WHOLE_WORKER_CALLS_H
#define TESTS_WHOLE_WORKER_CALLS_H

#include "worker.h"

enum call_kind {
    CALLS_ALL_REDUCE,
    CALLS_REDUCE,
    CALLS_REDUCE_SCATTER,
    CALLS_BROADCAST,
    CALLS_ALL_GATHER,
    CALLS_GATHER,
    CALLS_SCATTER,
    CALLS_ALL_TO_ALL,
    CALLS_BARRIER,
    CALLS_VOTE,     /* floats */
    CALLS_SHIFT,    /* a send and a receive in a group: to rank + root */
    CALLS_SENT_ALL, /* an all_to_all of sends and receives in a group */
    CALLS_KINDS,
};

/* BALLOT_OPS: a sum of values that each rank multiplies by its own factor. */
struct call_plan {
    enum call_kind kind;
    enum ballot_type type;
    enum ballot_op op;
    size_t count;
    int root;
    bool in_place;
    uint64_t seed; /* of the values */
};

struct call_made {
    struct call_plan plan;
    int rank, ranks;
    uint8_t *send, *recv; /* may overlap, where in place */
    uint8_t *blocks[2];   /* what was allocated */
    size_t bytes[2];
    enum ballot_op made;
    struct ballot_request *requests[2]; /* NULL: none */
};

bool call_reduces(enum call_kind kind);
bool call_has_root(enum call_kind kind);
/* Whether that op folds that type. */
bool call_folds(enum ballot_type type, enum ballot_op op);

/* A call, a vote too, of fewer than count_end elements. */
struct call_plan call_any(uint64_t random, int ranks, size_t count_end);

/* worker_matrix.c: all calls but votes, which have their own test; of each kind
 * every type, op and root, in place and not, counts 0, 1, odd and large. */
struct calls_matrix {
    int ranks;
    size_t count_max;
    uint64_t one_of;   /* of so many, drawn by the seed; 1: all */
    size_t rare_above; /* of larger counts 8 times fewer, in a sample */
    uint64_t seed;
};
void calls_every(const struct calls_matrix *matrix,
                 void (*with)(void *context, const struct call_plan *plan),
                 void *context);

/* Allocates and fills in what a rank needs for a call, and does not call. */
void call_prepare(struct call_made *made, const struct call_plan *plan,
                  int rank, int ranks);
/* The same, and calls; the first error of the calls. `waits`: blocks,
 * else call_end() waits. In a group of the caller's nothing waits. */
int call_begin(struct call_made *made, const struct call_plan *plan,
               struct ballot_comm *comm, bool waits);
/* Waits for what call_begin() has not waited for. */
int call_end(struct call_made *made, struct ballot_comm *comm);
/* How many elements are wrong, or bytes around the buffers were written. */
uint64_t call_wrong(const struct call_made *made);
/* Goes on from `hash` with what this rank received. */
uint64_t call_digest(const struct call_made *made, uint64_t hash);
void call_free(struct call_made *made);
/* Words for a message. */
const char *call_text(const struct call_plan *plan, char text[96]);

#endif
