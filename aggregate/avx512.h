/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512.h - what the files of the AVX-512 table share: the slice, a line.
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

ALWAYS slice slice_carry(slice a, slice b, slice c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0xe8);
}

/* avx512_compare.c: these run only where VPOPCNTDQ is there besides. */
compare_fn compare_avx512;
vote_fn dissent_avx512; /* where vote->dissent is given */

#endif
