/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_avx512.c - the limits with 512-bit registers.
 */
#include "limits.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define SLICE_BYTES 64
#define LIMITS      bench_limits_avx512
#define LIMITS_NAME "avx512"
#include "slice.h"

static inline slice slice_or(slice a, slice b, slice c)
{
    return (slice)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c,
                                            0xfe);
}

static inline void slice_around(uint64_t *words, slice stored)
{
    _mm512_stream_si512((void *)words, (__m512i)stored);
}

static inline void slices_end(void)
{
    _mm_sfence();
}

static bool supported(void)
{
    return __builtin_cpu_supports("avx512f");
}

#include "limits_body.h"

#else

static bool supported(void)
{
    return false;
}

const struct bench_limits bench_limits_avx512 = {
    .name = "avx512",
    .supported = supported,
};

#endif
