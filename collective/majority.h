/* SPDX-License-Identifier: Apache-2.0 */
/*
 * majority.h - a round seen from a rank: packs what the caster says may go,
 * and applies the results that come back. One thread at a time; never blocks,
 * allocates only in majority_open().
 */
#ifndef BALLOT_COLLECTIVE_MAJORITY_H
#define BALLOT_COLLECTIVE_MAJORITY_H

#include "../aggregate/caster.h"
#include "../aggregate/kernels.h"
#include "../transport/transport.h"
#include "crew.h"

struct majority_config {
    struct caster_config caster;
    const struct kernels *kernels;
    struct crew *crew;        /* the caller's, NULL: none */
    const struct link *links; /* [servers], the caller's */
    uint32_t local_ranks;     /* on this host: they share its caches */
    bool landing;     /* results may come straight into the caller's memory */
    size_t fused_max; /* largest count of a fused step; its results wait in
                         fused_max / 8 bytes (twice with ties) */
};

enum majority_kind {
    MAJORITY_REDUCE, /* recv = sign of the vote over send */
    /* Fused steps: vote over the signs of a state that the gradient goes into
     * when it is packed; then decay and update. */
    MAJORITY_SIGNUM,
    MAJORITY_FEEDBACK,
    MAJORITY_TASKS,    /* the same over rows: the signs of tasks[] */
    MAJORITY_QUESTION, /* recv = bytes that the server knows; no send */
    MAJORITY_ENTRY,    /* no coordinates: all ranks called the same */
};

struct majority_call {
    enum majority_kind kind;
    struct caster_round round;
    const void *send;         /* [count]; fused: the gradient, float32 */
    const void *const *tasks; /* TASKS: [round.rows] of [count] */
    void *recv; /* REDUCE: [keep_count], the result from coordinate
                   keep_first, a multiple of 64 for signs, on; fused:
                   [count], the parameters, float32; QUESTION:
                   [count / 8] bytes, or NULL */
    uint64_t keep_first, keep_count;
    float *state;      /* SIGNUM: momentum, FEEDBACK: error; [count] */
    float beta;        /* SIGNUM: of the momentum */
    float scale;       /* FEEDBACK: of what is sent; 0: that of each block */
    float rate, decay; /* fused: of the update */
    void *context;     /* comes back in the end */
};

struct majority_end {
    void *context;
    uint64_t round;
    enum status status;
    bool timed_out; /* servers in `missing` are silent */
    struct rank_mask missing;
    uint32_t rank;                /* STATUS_DEAD: who */
    struct difference difference; /* STATUS_DIFFERS */
    struct rank_mask every;       /* voters counted in every chunk; not OK: who
                                     was in where it failed */
    struct rank_mask some;        /* voters counted in at least one chunk */
    uint32_t least;               /* least count of a chunk */
};

struct majority_counts {
    uint64_t puts;
    uint64_t bytes_put;
    uint64_t direct_bytes; /* from and into enrolled memory of the caller's */
    uint64_t dropped;      /* results that were not awaited */
};

struct majority;

int majority_open(struct majority **majority,
                  const struct majority_config *config);
void majority_close(struct majority *majority); /* NULL is allowed */

/*
 * Begins a round. Its buffers stay in use until majority_ended() gave its
 * context back.
 *   -EAGAIN   ROUNDS_MAX are under way, or a second fused step is
 *   -ENOTCONN a server was given up
 */
int majority_begin(struct majority *majority, const struct majority_call *call);

/* The number of the next round: see caster_round(). */
uint64_t majority_round(const struct majority *majority);

/* A result of `server` arrived in result slot `slot` (of the lane). */
void majority_arrived(struct majority *majority, uint32_t server,
                      const struct event *event, uint32_t slot);

/* Applies one result, or packs and puts one chunk, or updates one chunk of a
 * fused step; returns the bytes that it went through, at least a line; 0: there
 * was nothing to do. */
size_t majority_step(struct majority *majority, uint64_t now_ns);

void majority_tick(struct majority *majority, uint64_t now_ns);
uint64_t majority_deadline(const struct majority *majority);

/* A round that has ended, each once; NULL: there is none. The end is the
 * caller's until the next majority_begin(). */
struct majority_end *majority_ended(struct majority *majority);

/* Ends a fused step whose results are all in, at once: its parameters must not
 * stay updated by half. NULL if there is none; else as majority_ended(). */
struct majority_end *majority_complete(struct majority *majority);

/* Forgets the buffers of all rounds under way: they ended otherwise. */
void majority_abandon(struct majority *majority);

void majority_count(const struct majority *majority,
                    struct majority_counts *counts);

#endif
