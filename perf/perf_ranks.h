/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_ranks.h - the ranks that measure together, and what they tell each
 * other about it.
 */
#ifndef BALLOT_PERF_RANKS_H
#define BALLOT_PERF_RANKS_H

#include <ballot.h>
#include <stdint.h>

struct perf_ranks {
    struct ballot_comm *comm;
    int rank;
    int ranks;
    uint64_t *gathered; /* [ranks] */
    float *pieces;      /* of numbers that are gathered */
};

/* Each returns 0 or a negative errno, which has been explained on stderr. */

/* Joins the job that the environment names. */
int perf_ranks_join(struct perf_ranks *ranks,
                    const struct ballot_config *config);

/* Returns when all ranks have called it. */
int perf_ranks_meet(struct perf_ranks *ranks);

/* gathered[r] = the value of rank r, exactly. */
int perf_ranks_gather(struct perf_ranks *ranks, uint64_t value);

/* Leaves the job and frees what join() took, also after it failed. */
int perf_ranks_leave(struct perf_ranks *ranks);

/* Says what failed; returns `error`. */
int perf_ranks_complain(const struct perf_ranks *ranks, const char *call,
                        int error);

#endif
