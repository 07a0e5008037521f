/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ties.c - random ties that every rank and machine decides alike.
 *
 * With all sums modulo 2^64, and mix() = splitmix():
 *
 *   key     = mix(mix(seed) + round)
 *   word w  = mix(key + (w + 1) * 0x9e3779b97f4a7c15), w counted from
 *             coordinate 0 of the whole vector
 *
 * so that a chunk can be computed without those before it. Nobody who knows the
 * seed is surprised by these bits: they break ties, they hide nothing.
 */
#include "kernels.h"
#include "splitmix.h"

void ties_random(uint64_t *restrict result, const uint64_t *restrict ties,
                 uint64_t seed, uint64_t round, uint64_t first, size_t words)
{
    const uint64_t key = splitmix(splitmix(seed) + round);

    for (size_t w = 0; w < words; w++)
        result[w] |=
            ties[w] & splitmix(key + (first / 64 + w + 1) * SPLITMIX_STEP);
}
