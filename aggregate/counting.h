/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counting.h - where the bit-sliced counters of a vote start and end.
 *
 * planes[p] holds bit p of one counter per coordinate. Counters start at
 * 2^top - threshold instead of 0, so exactly those that reach `threshold` set
 * their bit in planes[top]: that plane is the result, uncompared. A counter
 * that stays one short of it is 2^top - 1: all planes below top are set, top is
 * not. That is a tie, if the threshold is the one that gives ties to plus.
 */
#ifndef BALLOT_AGGREGATE_COUNTING_H
#define BALLOT_AGGREGATE_COUNTING_H

#include "kernels.h"

enum {
    WEIGHT_BITS = 4,
    /* 2 x 15 x 1024 votes fit below 2^15, so planes 0 to 15 count them. */
    TOP_MAX = 15,
    /* Groups may be as many as 2^COUNT_TOP_MAX voters. */
    PLANES_MAX = COUNT_TOP_MAX + 1,
};

/* What all voters together can add to one counter. */
static inline uint32_t counting_total(const struct vote *vote)
{
    uint32_t total = vote->voters;

    if (vote->weights != NULL) {
        total = 0;
        for (uint32_t v = 0; v < vote->voters; v++)
            total += vote->weights[v];
    }
    return vote->marks != NULL ? 2 * total : total;
}

/* The index of the plane that becomes the result; any higher one would do. */
static inline uint32_t counting_top(const struct vote *vote)
{
    const uint32_t others = counting_total(vote) - vote->threshold;
    /* planes[top] must neither be missed nor overflow when all say 1. */
    const uint32_t room =
        vote->threshold > others ? vote->threshold : others + 1;
    uint32_t top = 0;

    while ((1u << top) < room)
        top++;
    return top;
}

/* What every counter starts with. */
static inline uint32_t counting_start(const struct vote *vote, uint32_t top)
{
    return (1u << top) - vote->threshold;
}

#endif
