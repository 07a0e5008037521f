/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_jury.h - redundant rounds once more, the slow way: bit by bit, and
 * verdicts by going through all sets of workers.
 *
 * It shares nothing with the library but the plan of a step.
 */
#ifndef TESTS_WHOLE_WORKER_JURY_H
#define TESTS_WHOLE_WORKER_JURY_H

#include "worker.h"

enum {
    JURY_WORKERS_MAX = 16,
    JURY_REPLICAS_MAX = 4,
    JURY_DISPUTES_MAX = 4096,
    JURY_WINDOW = 15, /* rounds of the degree rule */
};

struct jury_rules {
    uint32_t workers, tasks, replicas, liars_max;
    bool paper; /* else proof; its degree rule */
    bool plus;
    bool keep; /* disputes last */
    uint64_t tolerance;
};

/* Sets of workers: bit w is worker w. */
struct jury {
    struct jury_rules rules;
    uint32_t quarantined, absent, byzantine, honest;
    enum ballot_outcome outcome;
    uint64_t chunks, counted, dropped, disputed;
    uint32_t edges[JURY_WORKERS_MAX];
    struct ballot_dispute first[JURY_WORKERS_MAX][JURY_WORKERS_MAX];
    uint32_t step;
    int (*members)[JURY_REPLICAS_MAX]; /* [tasks], ascending */
    uint64_t *distances;               /* [tasks][replicas][replicas] */
    uint64_t **rows; /* [tasks * replicas] the signs that the members cast */
    uint32_t rounds; /* of the degree rule: that ended */
    uint32_t flagged[JURY_WORKERS_MAX]; /* in which round of the window, from 1
                                           on; 0: not */
};

void jury_open(struct jury *jury, const struct jury_rules *rules,
               size_t coordinates);
void jury_close(struct jury *jury);

/* A step begins: members and rows are set by the caller. */
void jury_begin(struct jury *jury, uint32_t step);

/* Counts coordinates [first, first + count): minus[i] and tied[i] are what
 * coordinate first + i is. `absent` voted in none of them. */
void jury_count(struct jury *jury, size_t first, size_t count, uint32_t absent,
                bool *minus, bool *tied);

void jury_end(struct jury *jury);
void jury_release(struct jury *jury, uint32_t worker);

/* Says where a report differs from what was found; returns in how much. */
int jury_compare(const struct jury *jury,
                 const struct ballot_aspis_report *report,
                 const struct ballot_dispute *disputes, size_t disputes_max);

#endif
