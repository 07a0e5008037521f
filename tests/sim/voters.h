/* SPDX-License-Identifier: Apache-2.0 */
/* voters.h - who was counted in a chunk, and whether they may be. */
#ifndef BALLOT_TESTS_SIM_VOTERS_H
#define BALLOT_TESTS_SIM_VOTERS_H

#include "oracle.h"

/* Header lines as they are when the votes behind them are read. */
struct voters {
    uint32_t count;
    uint32_t rank[PLAN_RANKS_MAX], slot[PLAN_RANKS_MAX];
    struct header header[PLAN_RANKS_MAX];
};

/* Adds the one in whose slot at the server `votes` begins; false: none. */
bool voters_add(struct voters *voters, const struct oracle *oracle,
                const void *votes);

/* What they were counted for. */
struct counted {
    const struct header *agreed; /* of one that does not lie */
    struct planned_call call;
    struct finding *verdict;
};

/* Whether `coordinates` may be counted with these voters, and none else; notes
 * that they were. False: not, and the run has failed. */
bool voters_judge(const struct voters *voters, struct oracle *oracle,
                  uint32_t coordinates, struct counted *counted);

#endif
