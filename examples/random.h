/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h - random numbers that any rank can compute for any other.
 *
 * There is no state: number `index` of stream `stream` is a hash, the same on
 * every machine. So a rank needs no messages to know another rank's batches.
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/* The finaliser of splitmix64: every input bit moves every output bit. */
static inline uint64_t random_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t random_bits(uint64_t seed, uint64_t stream,
                                   uint64_t index)
{
    return random_mix(random_mix(random_mix(seed) ^ stream) ^ index);
}

/* In [0, 1), a multiple of 2^-24, so exact in a float. */
static inline float random_unit(uint64_t bits)
{
    return (float)(bits >> 40) * 0x1p-24f;
}

#endif
