/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.h - the life of one simulated communicator. */
#ifndef BALLOT_TESTS_SIM_CLUSTER_H
#define BALLOT_TESTS_SIM_CLUSTER_H

#include "member.h"

struct cluster {
    struct plan plan;
    struct run *run;
    struct sim *sim;
    struct oracle oracle;
    struct member members[PLAN_MEMBERS_MAX];
};

/* Lives one life; returns how many rounds it had. */
uint32_t cluster_live(struct run *run, uint32_t life, uint32_t rounds_max);

/* Whether an error may name this rank. */
bool cluster_suspects(const struct cluster *cluster, uint32_t rank);

#endif
