/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx2.h - what the files of the AVX2 table share: the slice, half a line, and
 * what a register of values says.
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

/* Where the three bits are not all the same. */
ALWAYS slice slice_unlike(slice a, slice b, slice c)
{
    return (a ^ b) | (a ^ c);
}

ALWAYS slice slice_carry(slice a, slice b, slice c)
{
    return (a & b) | ((a ^ b) & c);
}

/* Lanes are all ones where the value is < 0. */
ALWAYS __m256i lanes_minus(enum sign_type type, __m256i bits)
{
    const __m256i ones = _mm256_set1_epi8(-1);

    switch (type) {
    case TYPE_FLOAT32:
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(-0x00800000),
                                  _mm256_add_epi32(bits, ones));
    case TYPE_FLOAT64:
        return _mm256_cmpgt_epi64(_mm256_set1_epi64x(-(1ll << 52)),
                                  _mm256_add_epi64(bits, ones));
    case TYPE_FLOAT16:
        return _mm256_cmpgt_epi16(_mm256_set1_epi16(-0x0400),
                                  _mm256_add_epi16(bits, ones));
    default:
        return _mm256_cmpgt_epi16(_mm256_set1_epi16(-0x0080),
                                  _mm256_add_epi16(bits, ones));
    }
}

/* Lanes are all ones where the value is +0 or -0. */
ALWAYS __m256i lanes_zero(enum sign_type type, __m256i bits)
{
    const __m256i zero = _mm256_setzero_si256();

    switch (type) {
    case TYPE_FLOAT32:
        return _mm256_cmpeq_epi32(_mm256_slli_epi32(bits, 1), zero);
    case TYPE_FLOAT64:
        return _mm256_cmpeq_epi64(_mm256_slli_epi64(bits, 1), zero);
    default: return _mm256_cmpeq_epi16(_mm256_slli_epi16(bits, 1), zero);
    }
}

/* avx2_feedback.c */
feedback_fn feedback_avx2;
feedback_scale_fn feedback_scale_avx2;

/* avx2_compare.c */
compare_fn compare_avx2;
vote_fn dissent_avx2; /* where vote->dissent is given */

#endif
