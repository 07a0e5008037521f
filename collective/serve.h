/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - a round seen from a server: carries out what the tally says.
 *
 * It gives arrivals to the tally, runs the vote kernel on the slots where the
 * votes lie, keeps the results and writes them to the ranks that asked. One
 * thread at a time; never blocks, allocates only in serve_open().
 */
#ifndef BALLOT_COLLECTIVE_SERVE_H
#define BALLOT_COLLECTIVE_SERVE_H

#include "../aggregate/kernels.h"
#include "../aggregate/tally.h"
#include "../transport/transport.h"
#include "crew.h"

/* What an even count decides, in the order of enum ballot_tie. */
enum ties { TIES_PLUS, TIES_MINUS, TIES_ZERO, TIES_RANDOM };

/* How a vote is decided; the same for all calls on a communicator. */
struct rules {
    uint32_t ties; /* enum ties */
    bool zeros_abstain;
    uint64_t seed;          /* of random ties */
    const uint8_t *weights; /* [ranks], NULL: all 1; the caller's */
};

/* From so many ranks on, votes are counted in such groups while others are on
 * the way; 0: AHEAD_RANKS, AHEAD_GROUP. Never changes a result. */
struct serve_ahead {
    uint32_t ranks;
    uint32_t group;
};

struct inquest;

struct serve_config {
    struct tally_config tally;
    struct rules rules;
    const struct kernels *kernels;
    struct crew *crew;        /* the caller's, NULL: none */
    const struct link *links; /* [ranks], the caller's */
    struct inquest *inquest;  /* the caller's, for calls with rows; NULL: the
                                 shape has none */
    bool dissent;             /* keep the books of serve_dissent() */
    struct serve_ahead ahead;
};

struct serve_counts {
    uint64_t votes_counted;
    uint64_t votes_late;
    uint64_t dropped; /* puts that the tally refused */
    uint64_t puts;    /* results written */
    uint64_t bytes_put;
    uint64_t bytes_in; /* of puts that were taken, or late */
    uint64_t round;    /* the latest that was answered */
    uint32_t voters;   /* of the latest chunk */
};

struct serve;

/* -EINVAL, -ENOMEM */
int serve_open(struct serve **serve, const struct serve_config *config);
void serve_close(struct serve *serve); /* NULL is allowed */

/* A put arrived in vote slot `slot` (of the lane). */
void serve_arrived(struct serve *serve, uint64_t now_ns,
                   const struct event *event, uint32_t slot);
void serve_lost(struct serve *serve, uint64_t now_ns, uint32_t rank);
void serve_tick(struct serve *serve, uint64_t now_ns);
uint64_t serve_deadline(const struct serve *serve);

/* Counts one chunk, or ahead, or writes one result; returns the bytes that it
 * went through, at least a line; 0: there was nothing to do. */
size_t serve_step(struct serve *serve, uint64_t now_ns);

void serve_count(const struct serve *serve, struct serve_counts *counts);

/*
 * differing[ranks]: in how many coordinates each rank's vote was not the result
 * (struct vote, dissent), counted[ranks]: of how many coordinates its vote was
 * counted. Zeros where config.dissent is not set.
 */
void serve_dissent(const struct serve *serve, uint64_t *differing,
                   uint64_t *counted);

#endif
