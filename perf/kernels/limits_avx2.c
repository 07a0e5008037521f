/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_avx2.c - the limits with 256-bit registers.
 */
#include "limits.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define SLICE_BYTES 32
#define LIMITS      bench_limits_avx2
#define LIMITS_NAME "avx2"
#include "slice.h"

static inline slice slice_or(slice a, slice b, slice c)
{
    return a | b | c;
}

static inline void slice_around(uint64_t *words, slice stored)
{
    _mm256_stream_si256((__m256i *)(void *)words, (__m256i)stored);
}

static inline void slices_end(void)
{
    _mm_sfence();
}

static bool supported(void)
{
    return __builtin_cpu_supports("avx2");
}

#include "limits_body.h"

#else

static bool supported(void)
{
    return false;
}

const struct bench_limits bench_limits_avx2 = {
    .name = "avx2",
    .supported = supported,
};

#endif
