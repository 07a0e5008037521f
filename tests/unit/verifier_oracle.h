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
    ORACLE_REPLICAS_MAX = 3,
};

struct oracle {
    /* Given. */
    const struct assignment *assignment;
    uint32_t liars_max;
    enum verifier_rule rule; /* PROOF or PAPER */
    uint64_t tolerance;
    bool keep;
    /* Sets are bits, one a worker. */
    uint32_t edges[ORACLE_WORKERS_MAX];
    uint32_t quarantined;
    uint32_t absent;
    uint32_t byzantine, honest;
    enum verdict_outcome outcome;
    uint64_t sums[ORACLE_TASKS_MAX][ORACLE_REPLICAS_MAX][ORACLE_REPLICAS_MAX];
    uint64_t counted, dropped, disputed;
};

void oracle_begin(struct oracle *oracle);
void oracle_count(struct oracle *oracle, const struct verifier_chunk *chunk);
void oracle_end(struct oracle *oracle);

#endif
