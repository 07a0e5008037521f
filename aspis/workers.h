/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers.h - sets of workers, and the graph of who disputes whom.
 */
#ifndef BALLOT_ASPIS_WORKERS_H
#define BALLOT_ASPIS_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    WORKERS_MAX = 256,
    WORKER_WORDS = WORKERS_MAX / 64,
};

/* Bit w mod 64 of word w / 64 is 1 iff worker w is a member. */
struct worker_set {
    uint64_t words[WORKER_WORDS];
};

/* adjacent[w]: who disputes with w, never w itself; b of a iff a of b. */
struct graph {
    uint32_t workers; /* 1..WORKERS_MAX; those above have no edge */
    struct worker_set adjacent[WORKERS_MAX];
};

static inline void workers_add(struct worker_set *set, uint32_t worker)
{
    set->words[worker / 64] |= UINT64_C(1) << worker % 64;
}

static inline void workers_remove(struct worker_set *set, uint32_t worker)
{
    set->words[worker / 64] &= ~(UINT64_C(1) << worker % 64);
}

static inline bool workers_has(const struct worker_set *set, uint32_t worker)
{
    return set->words[worker / 64] >> worker % 64 & 1;
}

static inline uint32_t workers_count(const struct worker_set *set)
{
    uint32_t count = 0;

    for (uint32_t w = 0; w < WORKER_WORDS; w++)
        if (set->words[w] != 0)
            count += (uint32_t)__builtin_popcountll(set->words[w]);
    return count;
}

/* The lowest member that is >= from; WORKERS_MAX if there is none. */
static inline uint32_t workers_next(const struct worker_set *set, uint32_t from)
{
    for (uint32_t w = from / 64; w < WORKER_WORDS; w++) {
        uint64_t word = set->words[w];

        if (w == from / 64)
            word &= ~UINT64_C(0) << from % 64;
        if (word != 0)
            return 64 * w + (uint32_t)__builtin_ctzll(word);
    }
    return WORKERS_MAX;
}

static inline bool workers_empty(const struct worker_set *set)
{
    return workers_next(set, 0) == WORKERS_MAX;
}

static inline struct worker_set workers_and(const struct worker_set *a,
                                            const struct worker_set *b)
{
    struct worker_set both;

    for (uint32_t w = 0; w < WORKER_WORDS; w++)
        both.words[w] = a->words[w] & b->words[w];
    return both;
}

static inline struct worker_set workers_or(const struct worker_set *a,
                                           const struct worker_set *b)
{
    struct worker_set either;

    for (uint32_t w = 0; w < WORKER_WORDS; w++)
        either.words[w] = a->words[w] | b->words[w];
    return either;
}

static inline struct worker_set workers_minus(const struct worker_set *a,
                                              const struct worker_set *b)
{
    struct worker_set rest;

    for (uint32_t w = 0; w < WORKER_WORDS; w++)
        rest.words[w] = a->words[w] & ~b->words[w];
    return rest;
}

/* Workers 0..count-1. */
static inline struct worker_set workers_below(uint32_t count)
{
    struct worker_set set = {{0}};

    for (uint32_t worker = 0; worker < count; worker++)
        workers_add(&set, worker);
    return set;
}

#endif
