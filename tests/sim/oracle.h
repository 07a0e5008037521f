/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle.h - counts every vote again, bit by bit, and says what must hold.
 *
 * It sees the rows that the vote kernel sees, at the moment it sees them, and
 * knows from the plan what each sound rank has. It shares no code with
 * aggregate/ but the layout of a header line.
 */
#ifndef BALLOT_TESTS_SIM_ORACLE_H
#define BALLOT_TESTS_SIM_ORACLE_H

#include "collective/majority.h"
#include "jury.h"
#include "plan.h"
#include "run.h"

/* What a chunk of a round was found to be. */
struct finding {
    bool counted;
    struct rank_mask voters;
    uint32_t voters_count;
};

struct truth {
    struct finding chunks[PLAN_CHUNKS_MAX];
    uint64_t signs[PLAN_WORDS_MAX], zeros[PLAN_WORDS_MAX];
    bool entered; /* ENTRY: `voters` is what the first rank was told */
    struct rank_mask voters;
    uint64_t first_ns; /* when a sound rank's first put of it arrived; or 0 */
};

struct oracle {
    const struct plan *plan;
    struct sim *sim;
    struct run *run;
    struct truth *rounds;   /* [plan->rounds] */
    struct kernels kernels; /* those of the plan, watched */
    const struct kernels *real;
    struct jury *jury; /* of a redundant life, else NULL */
    /* Of the step under way. */
    uint32_t server;
    const struct link *links; /* the server's */
    bool gone;                /* a rank has missed results */
    bool lost;                /* a sound rank's round has failed otherwise */
    bool disturbed;           /* a round has failed: a grace may end early */
};

int oracle_open(struct oracle *oracle, const struct plan *plan, struct sim *sim,
                struct run *run);
void oracle_close(struct oracle *oracle);

/* The one that watches. */
struct oracle *oracle_watching(void);

/* The documented hash of random ties: of word `word` of a round. */
uint64_t oracle_random_ties(const struct plan *plan, uint64_t round,
                            uint64_t word);

/* Votes that are counted until the next call are counted by this server. One
 * oracle watches at a time. */
void oracle_watch(struct oracle *oracle, uint32_t server,
                  const struct link *links);

/* A call of one rank, with the memory that it gave. */
struct open_call {
    uint64_t round;
    struct planned_call call;
    void *send;
    const void **tasks; /* TASKS: [load], in `send` */
    void *recv;         /* FUSED: the parameters */
    float *momentum;
    uint64_t begun_ns;
    uint32_t begun_with; /* rounds under way */
    bool used;
};

enum { RECV_GUARD_BYTES = 64 };

/* Size of a vector of this call; signs are whole words. */
size_t oracle_vector_bytes(const struct planned_call *call);
/* What recv, and its guard, are before the call. */
void oracle_fill(const struct open_call *call);

/* A server writes a result: all of it must be what the recount gave. */
void oracle_answered(struct oracle *oracle, uint32_t server, uint32_t voter,
                     const void *message);

/* A rank's round has ended: what it says and what it wrote must be true. */
void oracle_ended(struct oracle *oracle, uint32_t rank,
                  const struct open_call *call, const struct majority_end *end);

#endif
