/* SPDX-License-Identifier: Apache-2.0 */
/* reduce_avx2.c - reduce.h with 256-bit registers. */
#include "reduce.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

enum {
    HALF_BLOCK = 256,
    NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC,
    WIDE = 8, /* values in a register */
};

static inline void half_widen(float *to, const uint16_t *from, size_t count)
{
    uint16_t last[WIDE] = {0};
    float wide[WIDE];
    size_t i = 0;

    for (; i + WIDE <= count; i += WIDE)
        _mm256_storeu_ps(
            to + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(from + i))));
    if (i == count)
        return;
    memcpy(last, from + i, (count - i) * sizeof(last[0]));
    half_widen(wide, last, WIDE);
    memcpy(to + i, wide, (count - i) * sizeof(wide[0]));
}

static inline void half_round(uint16_t *to, const float *from, size_t count)
{
    uint16_t rounded[WIDE];
    float last[WIDE] = {0};
    size_t i = 0;

    for (; i + WIDE <= count; i += WIDE)
        _mm_storeu_si128((void *)(to + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(from + i), NEAREST));
    if (i == count)
        return;
    memcpy(last, from + i, (count - i) * sizeof(last[0]));
    half_round(rounded, last, WIDE);
    memcpy(to + i, rounded, (count - i) * sizeof(rounded[0]));
}

static inline __m256 half_load(const uint16_t *from)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)from));
}

static inline __m256 half_step(__m256 sum)
{
    return _mm256_cvtph_ps(_mm256_cvtps_ph(sum, NEAREST));
}

/* What is not a number as the one that reduce.h names. */
static inline void half_store(uint16_t *to, __m256 sum)
{
    const __m256 none = _mm256_cmp_ps(sum, sum, _CMP_UNORD_Q);

    sum = _mm256_blendv_ps(sum, _mm256_set1_ps(__builtin_nanf("")), none);
    _mm_storeu_si128((void *)to, _mm256_cvtps_ph(sum, NEAREST));
}

/*
 * Folds whole registers of rows, two at least, each row read once and its step
 * rounded; returns how many elements it has done.
 */
#define HALF_ROWS(name, combine)                                               \
    static inline size_t name(uint16_t *to, const uint16_t *const *rows,       \
                              uint32_t n, size_t count)                        \
    {                                                                          \
        size_t i = 0;                                                          \
                                                                               \
        for (; i + WIDE <= count; i += WIDE) {                                 \
            __m256 sum = half_load(rows[0] + i);                               \
                                                                               \
            for (uint32_t r = 1; r < n; r++)                                   \
                sum = half_step(combine(sum, half_load(rows[r] + i)));         \
            half_store(to + i, sum);                                           \
        }                                                                      \
        return i;                                                              \
    }

HALF_ROWS(half_add_rows, _mm256_add_ps)
HALF_ROWS(half_times_rows, _mm256_mul_ps)

#include "reduce_loops.h"

reduction_table reductions_avx2 = REDUCTIONS;

#else

reduction_table reductions_avx2;

#endif
