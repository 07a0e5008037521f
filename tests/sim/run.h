/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - the run of one seed: its trace, its failure, what has happened. */
#ifndef BALLOT_TESTS_SIM_RUN_H
#define BALLOT_TESTS_SIM_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* What a run of many seeds must have seen. The first ones are the network's, in
 * the order of enum sim_fault. */
enum fate {
    FATE_DELAYED,
    FATE_REORDERED,
    FATE_DUPLICATED,
    FATE_TORN,
    FATE_EARLY,
    FATE_DROPPED,
    FATE_SEVERED,
    FATE_KILLED,
    FATE_CUT,
    FATE_LOST_IN_FLIGHT,
    FATE_WRITTEN,
    FATE_FROZEN,
    FATE_STOPPED,
    FATE_CONTINUED,
    FATE_SLOW,
    FATE_DIFFERENT_CALL,
    FATE_ABSTAINED,
    FATE_WRITTEN_BEFORE_COUNT,
    FATE_WRITTEN_AFTER_COUNT,
    FATE_COUNTED_AHEAD,
    FATE_REPEATED,
    FATE_AHEAD,
    FATE_LIED_TWICE,
    FATE_LIED_SIGNS,
    FATE_LIED_MAGIC, /* one for each field that enum lie has */
    FATE_LIED_EPOCH,
    FATE_LIED_SEQUENCE,
    FATE_LIED_ROUND,
    FATE_LIED_COUNT,
    FATE_LIED_CHUNK,
    FATE_LIED_COORDINATES,
    FATE_LIED_DETAIL,
    FATE_LIED_TYPE,
    FATE_LIED_OP,
    FATE_LIED_ROWS,
    FATE_LIED_KIND,
    FATE_LIED_FLAGS,
    FATE_LIED_BYTES,
    FATE_OK, /* how rounds ended; in the order of enum status */
    FATE_DIFFERS,
    FATE_LOST,
    FATE_DEAD,
    FATE_GONE,
    FATE_TIMED_OUT,
    FATE_LINK_LOST,
    FATE_JUMPED,
    FATE_LATE_RESULT,
    FATE_MINORITY_MISSING,
    FATE_SERVER_APART, /* lives whose server does not vote, */
    FATE_SERVER_LOST,  /* and where that one stops */
    FATE_TASKS,        /* chunks over tasks, */
    FATE_DISPUTED,     /* in which replicas differed, */
    FATE_DROPPED_TASK, /* and some task has no value */
    FATE_PROVEN,       /* rounds of tasks that prove a liar, */
    FATE_BROKEN,       /* or that more lie than were promised */
    FATE_REPORTED,
    FATE_RELEASED,
    FATES,
};

struct run {
    uint64_t seed;
    uint32_t rounds;
    bool verbose;
    bool failed;
    uint32_t life;
    uint64_t now_ns; /* of the life, for the trace */
    uint64_t hash;
    uint64_t votes, ended; /* chunks counted; rounds ended at a rank */
    uint64_t fates[FATES];
};

const char *fate_name(enum fate fate);

/* A line of the trace; all arguments go into the hash. */
void run_trace(struct run *run, const char *what, uint32_t rank, uint64_t a,
               uint64_t b, uint64_t c);

/* Says once what is wrong, and how to see it again. */
void run_fail(struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
