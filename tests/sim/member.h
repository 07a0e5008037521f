/* SPDX-License-Identifier: Apache-2.0 */
/* member.h - one rank of a simulated communicator: what an engine does, and a
 * program that calls. */
#ifndef BALLOT_TESTS_SIM_MEMBER_H
#define BALLOT_TESTS_SIM_MEMBER_H

#include "oracle.h"

struct cluster;

struct member {
    uint32_t rank;
    enum { MEMBER_RUNS, MEMBER_STOPPED, MEMBER_DEAD } state;
    struct endpoint *endpoint;
    struct link links[PLAN_MEMBERS_MAX];
    struct inquest *inquest;   /* a server of a redundant life, else NULL */
    struct serve *serve;       /* NULL: not a server */
    struct majority *majority; /* NULL: a server that does not vote */

    /* The program. */
    struct open_call calls[ROUNDS_MAX]; /* by round */
    uint32_t under_way;
    uint64_t round;    /* the next one that it expects to call */
    uint64_t think_ns; /* until when it computes */
    bool finished;
    bool failed; /* its communicator has ended */

    /* The clock. */
    uint64_t busy_ns;    /* until when the last step takes */
    uint64_t wake_ns;    /* when it looks again by itself */
    uint64_t stopped_ns; /* MEMBER_STOPPED: until when */
    uint64_t fault_ns;   /* when its role acts; UINT64_MAX: not yet known */
    bool fault_done;

    /* A server: when the put of each voter in each slot arrived. */
    uint64_t arrived_ns[PLAN_RANKS_MAX][8];
    uint64_t answered_round; /* the latest round that it answered for, */
    uint64_t answered_ns;    /* and when it did so last, */
    uint64_t turned_ns;      /* and when it last did for a round before */
};

int member_open(struct cluster *cluster, uint32_t rank);
void member_close(struct member *member);

/* One step of the engine, at the time of the network. */
void member_step(struct cluster *cluster, struct member *member);

#endif
