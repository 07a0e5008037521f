/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx2.h - what the files of the AVX2 table share: the slice, half a line.
 *
 * Compiled with their flags, so nobody else includes it.
 */
#ifndef BALLOT_AGGREGATE_AVX2_H
#define BALLOT_AGGREGATE_AVX2_H

#include <immintrin.h>

#include "kernels.h"

#define ALWAYS static inline __attribute__((always_inline))

typedef __m256i slice;

enum { SLICE_WORDS = sizeof(slice) / sizeof(uint64_t) };

ALWAYS slice slice_load(const uint64_t *words)
{
    slice loaded = _mm256_loadu_si256((const __m256i_u *)words);

    __asm__("" : "+x"(loaded));
    return loaded;
}

ALWAYS void slice_store(uint64_t *words, slice stored)
{
    _mm256_storeu_si256((__m256i_u *)words, stored);
}

/* Around the caches; weakly ordered until slice_fence(). */
ALWAYS void slice_stream(uint64_t *words, slice stored)
{
    _mm256_stream_si256((void *)words, stored);
}

ALWAYS void slice_fence(void)
{
    _mm_sfence();
}

/* Fetches a line into the second-level cache. */
ALWAYS void slice_fetch(const uint64_t *words)
{
    _mm_prefetch((const char *)words, _MM_HINT_T1);
}

ALWAYS slice slice_sum(slice a, slice b, slice c)
{
    return a ^ b ^ c;
}

ALWAYS slice slice_carry(slice a, slice b, slice c)
{
    return (a & b) | ((a ^ b) & c);
}

/* avx2_compare.c */
compare_fn compare_avx2;
vote_fn dissent_avx2; /* where vote->dissent is given */

#endif
