/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_oracle.h - a verifier that is slow and plain: coordinate by
 * coordinate, and every set of workers that could be the liars.
 *
 * For up to 15 workers. It shares with the verifier the assignment alone.
 */
#ifndef BALLOT_TESTS_UNIT_VERIFIER_ORACLE_H
#define BALLOT_TESTS_UNIT_VERIFIER_ORACLE_H

#include "aspis/verifier.h"

enum {
    ORACLE_WORKERS_MAX = 15,
    ORACLE_TASKS_MAX = 455,
    ORACLE_REPLICAS_MAX = 5,
    ORACLE_COORDINATES_MAX = 1 << 14, /* of a chunk */
};

struct oracle {
    /* Given. */
    const struct assignment *assignment;
    uint32_t liars_max;
    enum verifier_rule rule;
    uint64_t tolerance;
    bool keep;
    verifier_arbiter_fn *arbiter; /* NULL: none */
    void *context;
    uint32_t step;
    /* Sets are bits, one a worker. */
    uint32_t edges[ORACLE_WORKERS_MAX];
    uint32_t quarantined;
    uint32_t convicted;
    uint32_t absent;
    uint32_t byzantine, honest;
    enum verdict_outcome outcome;
    uint64_t sums[ORACLE_TASKS_MAX][ORACLE_REPLICAS_MAX][ORACLE_REPLICAS_MAX];
    uint64_t counted, dropped, disputed, arbitrations;
    struct verifier_dispute first[ORACLE_WORKERS_MAX][ORACLE_WORKERS_MAX];
    uint64_t farness[ORACLE_TASKS_MAX][ORACLE_REPLICAS_MAX]; /* from what the
                                                        arbiter found */
    uint32_t asked[ORACLE_WORKERS_MAX][ORACLE_WORKERS_MAX];
    /* Of paper+: rounds of the window, and in which each was flagged. */
    uint32_t rounds;
    uint32_t flagged[ORACLE_WORKERS_MAX];
};

/* The assignment is that of the step already. */
void oracle_begin(struct oracle *oracle, uint32_t step);
void oracle_count(struct oracle *oracle, const struct verifier_chunk *chunk);
void oracle_end(struct oracle *oracle);
void oracle_release(struct oracle *oracle, uint32_t worker);

/* All disputes, in the order of verifier_disputes(). list[] has room for three
 * of each task and one of each pair, or ten with five replicas. */
size_t oracle_disputes(const struct oracle *oracle,
                       struct verifier_dispute *list);

#endif
