/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what one simulated communicator is and does, drawn from a seed.
 *
 * A plan is the truth that the oracle compares with: who is sound, which calls
 * are made, and every sign that every rank has. It shares no code with
 * aggregate/.
 */
#ifndef BALLOT_TESTS_SIM_PLAN_H
#define BALLOT_TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "aggregate/round.h"
#include "aspis/verifier.h"
#include "collective/calls.h"
#include "collective/serve.h"
#include "transport/sim.h"

enum {
    PLAN_RANKS_MAX = 80,
    PLAN_MEMBERS_MAX = PLAN_RANKS_MAX + 1, /* with a server of its own */
    PLAN_COUNT_MAX = 4096,                 /* coordinates of a call */
    PLAN_WORDS_MAX = PLAN_COUNT_MAX / 64,
    PLAN_CHUNKS_MAX = PLAN_COUNT_MAX / 512,
    PLAN_EPOCH = 7,
    PLAN_LISTED = 12, /* disputes of a report */
};

/* What is wrong with a rank, from round `fault_round` on. */
enum role {
    ROLE_SOUND,
    ROLE_KILLED,  /* stops, and its links break some time later */
    ROLE_FROZEN,  /* stops for good, and its links stay */
    ROLE_STOPPED, /* stops for a while */
    ROLE_CUT,     /* loses one link */
    ROLE_LOSSY,   /* puts from and to it may vanish */
    ROLE_SLOW,    /* computes for long between some calls */
    ROLE_DIFFERS, /* makes one call with another count */
    ROLE_LIAR,    /* writes what it wants into its slots */
    ROLES,
};

struct plan {
    uint64_t seed;
    /* Members are the ranks and, behind them, a server that does not vote. */
    uint32_t ranks, members;
    uint32_t server_first, servers; /* who counts */
    uint32_t quorum, window, kept;
    uint32_t coordinates_max; /* of a chunk */
    uint32_t rounds;
    uint32_t depth; /* rounds that a rank has under way at most */
    struct rules rules;
    uint8_t weights[PLAN_RANKS_MAX];
    /* Some calls of a redundant life vote over tasks. */
    struct verifier_config verifier; /* without kernels */
    uint32_t tasks, load;            /* of the life, of a rank; 0: it is none */
    bool abstentions;                /* some calls are made without a vote */
    const char *kernels;
    struct serve_ahead ahead;
    uint64_t timeout_ns, grace_ns, margin_ns;
    struct sim_config network;
    struct sim_rates rates; /* of sound links */
    enum role roles[PLAN_MEMBERS_MAX];
    uint32_t faulty; /* members that are not sound */
    uint32_t fault_round[PLAN_MEMBERS_MAX];
    uint64_t stop_ns[PLAN_MEMBERS_MAX]; /* STOPPED, SLOW: how long */
    uint32_t peer[PLAN_MEMBERS_MAX];    /* CUT, LOSSY: the other end */
};

/* Draws the life number `life` of a seed, of at most `rounds_max` rounds. */
void plan_draw(struct plan *plan, uint64_t seed, uint32_t life,
               uint32_t rounds_max);

struct shape plan_shape(const struct plan *plan);

static inline bool plan_serves(const struct plan *plan, uint32_t member)
{
    return member - plan->server_first < plan->servers;
}

enum call_kind {
    KIND_REDUCE = CALL_OPS,
    KIND_FUSED,
    KIND_ENTRY,
    /* Of a redundant life. */
    KIND_TASKS = CALL_ASPIS_VOTE,
    KIND_REPORT = CALL_ASPIS_REPORT,
    KIND_RELEASE = CALL_ASPIS_RELEASE,
};

struct planned_call {
    enum call_kind kind; /* also the op on the wire */
    uint8_t type;
    uint64_t count;
    uint32_t chunk_coordinates; /* 0: header only */
    uint32_t detail;            /* as in struct call */
    uint16_t rows;
    bool abstain;
};

/* The call that `rank` makes in `round`. */
void plan_call(const struct plan *plan, uint32_t rank, uint64_t round,
               struct planned_call *call);
/* The same without the differences of a single rank. */
void plan_agreed_call(const struct plan *plan, uint64_t round,
                      struct planned_call *call);

/* Word `word` of a rank's signs and marks in a round, padding included. */
uint64_t plan_signs(const struct plan *plan, uint32_t rank, uint64_t round,
                    const struct planned_call *call, uint32_t word);
uint64_t plan_marks(const struct plan *plan, uint32_t rank, uint64_t round,
                    const struct planned_call *call, uint32_t word);

/* The same of a task's row: the ranks that have it agree, but for liars, who
 * tell one lie in half of the tasks of a step. */
uint64_t plan_row(const struct plan *plan, uint32_t rank, uint64_t round,
                  const struct planned_call *call, uint32_t task,
                  uint32_t word);
void plan_row_values(const struct plan *plan, uint32_t rank, uint64_t round,
                     const struct planned_call *call, uint32_t task,
                     void *values);

/* values[]: what these signs and marks stand for. FUSED: the gradient. */
void plan_values(const struct plan *plan, uint32_t rank, uint64_t round,
                 const struct planned_call *call, void *values);

bool plan_sound(const struct plan *plan, uint32_t rank);
/* Whether a quorum of sound ranks is left, and their server. */
bool plan_survivable(const struct plan *plan);

/* Prints what was drawn. */
void plan_print(const struct plan *plan, FILE *out);

/* A hash of its arguments, for everything that is drawn but not in order. */
uint64_t plan_hash(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

#endif
