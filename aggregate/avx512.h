/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512.h - what the files of the AVX-512 table share: the slice, a line, and
 * what a register of values says.
 *
 * Compiled with their flags, so nobody else includes it.
 */
#ifndef BALLOT_AGGREGATE_AVX512_H
#define BALLOT_AGGREGATE_AVX512_H

#include <immintrin.h>

#include "kernels.h"

#define ALWAYS static inline __attribute__((always_inline))

typedef __m512i slice;

enum { SLICE_WORDS = sizeof(slice) / sizeof(uint64_t) };

ALWAYS slice slice_load(const uint64_t *words)
{
    slice loaded = _mm512_loadu_si512(words);

    __asm__("" : "+v"(loaded));
    return loaded;
}

ALWAYS void slice_store(uint64_t *words, slice stored)
{
    _mm512_storeu_si512(words, stored);
}

/* Around the caches; weakly ordered until slice_fence(). */
ALWAYS void slice_stream(uint64_t *words, slice stored)
{
    _mm512_stream_si512((void *)words, stored);
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
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/* Where the three bits are not all the same. */
ALWAYS slice slice_unlike(slice a, slice b, slice c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x7e);
}

ALWAYS slice slice_carry(slice a, slice b, slice c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0xe8);
}

/* A bit for each lane: whether the value is < 0, and whether it is not zero. */
ALWAYS uint64_t lanes_minus(enum sign_type type, __m512i bits)
{
    const __m512i ones = _mm512_set1_epi8(-1);

    switch (type) {
    case TYPE_FLOAT32:
        return _mm512_cmplt_epi32_mask(_mm512_add_epi32(bits, ones),
                                       _mm512_set1_epi32(-0x00800000));
    case TYPE_FLOAT64:
        return _mm512_cmplt_epi64_mask(_mm512_add_epi64(bits, ones),
                                       _mm512_set1_epi64(-(1ll << 52)));
    case TYPE_FLOAT16:
        return _mm512_cmplt_epi16_mask(_mm512_add_epi16(bits, ones),
                                       _mm512_set1_epi16(-0x0400));
    default:
        return _mm512_cmplt_epi16_mask(_mm512_add_epi16(bits, ones),
                                       _mm512_set1_epi16(-0x0080));
    }
}

ALWAYS uint64_t lanes_marked(enum sign_type type, __m512i bits)
{
    switch (type) {
    case TYPE_FLOAT32:
        return _mm512_test_epi32_mask(bits, _mm512_set1_epi32(INT32_MAX));
    case TYPE_FLOAT64:
        return _mm512_test_epi64_mask(bits, _mm512_set1_epi64(INT64_MAX));
    default: return _mm512_test_epi16_mask(bits, _mm512_set1_epi16(INT16_MAX));
    }
}

/* avx512_feedback.c */
feedback_fn feedback_avx512;
feedback_scale_fn feedback_scale_avx512;

/* avx512_compare.c: these run only where VPOPCNTDQ is there besides. */
compare_fn compare_avx512;
vote_fn dissent_avx512; /* where vote->dissent is given */

#endif
