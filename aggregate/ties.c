/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ties.c - random ties that every rank and machine decides alike.
 *
 * With all sums modulo 2^64, and mix() the output function of SplitMix64
 * (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014):
 *
 *   key     = mix(mix(seed) + round)
 *   word w  = mix(key + (w + 1) * 0x9e3779b97f4a7c15), w counted from
 *             coordinate 0 of the whole vector
 *
 * so that a chunk can be computed without those before it. Nobody who knows the
 * seed is surprised by these bits: they break ties, they hide nothing.
 */
#include "kernels.h"

static const uint64_t golden = 0x9e3779b97f4a7c15;

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void ties_random(uint64_t *restrict result, const uint64_t *restrict ties,
                 uint64_t seed, uint64_t round, uint64_t first, size_t words)
{
    const uint64_t key = mix(mix(seed) + round);

    for (size_t w = 0; w < words; w++)
        result[w] |= ties[w] & mix(key + (first / 64 + w + 1) * golden);
}
