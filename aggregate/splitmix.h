/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splitmix.h - random numbers that are the same on every machine.
 *
 * The output function of SplitMix64 and its increment (Steele, Lea, Flood:
 * "Fast Splittable Pseudorandom Number Generators", 2014): number n of the
 * stream that `key` names is splitmix(key + n * SPLITMIX_STEP), modulo 2^64.
 */
#ifndef BALLOT_AGGREGATE_SPLITMIX_H
#define BALLOT_AGGREGATE_SPLITMIX_H

#include <stdint.h>

#define SPLITMIX_STEP UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t splitmix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

#endif
