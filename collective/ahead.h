/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ahead.h - votes that are counted while others of their chunk are on the way.
 *
 * A chunk's votes are added to bit planes in groups when there is nothing else
 * to do, so that only the rest is left once all are in. What is decided never
 * depends on it: where a counted vote turns out not to count, or calls differ,
 * ahead_finish() says no, and the vote is counted in one piece.
 */
#ifndef BALLOT_COLLECTIVE_AHEAD_H
#define BALLOT_COLLECTIVE_AHEAD_H

#include "../aggregate/kernels.h"
#include "../aggregate/tally.h"

enum {
    /* From the last vote to the result, rows in L3: with 64 ranks 3 us instead
     * of 15, with 1024 ranks 16 us instead of 101; with 32 it is 5 instead of
     * 14, and 4 instead of 5 where they are nearer (Zen 4). */
    AHEAD_RANKS = 64,
    /* Voters of a group. With 8 the planes cost up to 1.6 times the work of one
     * vote in all, with 16 up to 1.1 times. */
    AHEAD_GROUP = 16,
};

struct ahead;

struct ahead_config {
    const struct kernels *kernels;
    const uint8_t *const *slots; /* [ranks][window], the caller's: where the
                                    last put of each lies */
    uint32_t ranks;
    uint32_t window;
    uint32_t group;           /* 1.. */
    uint32_t coordinates_max; /* of a chunk */
};

int ahead_open(struct ahead **ahead, const struct ahead_config *config);
void ahead_close(struct ahead *ahead); /* NULL is allowed */

/* The tally took `voter`'s put into vote slot `slot`. */
void ahead_taken(struct ahead *ahead, uint32_t voter, uint32_t slot,
                 const struct header *header);

/* `voter` is gone: its slots must not be read any more. */
void ahead_lost(struct ahead *ahead, uint32_t voter);

/* Adds one group of votes to a chunk that is `base` or later, if there is one;
 * returns the bytes that it went through. No COUNT may be under way. */
size_t ahead_step(struct ahead *ahead, uint64_t base);

/* Decides `vote`, which is all that `command` (a COUNT) asks for, without
 * weights or marks; false: it was not, nor will it be. */
bool ahead_finish(struct ahead *ahead, const struct tally_command *command,
                  const struct vote *vote);

#endif
