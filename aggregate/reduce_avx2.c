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

#include "reduce_loops.h"

reduction_table reductions_avx2 = REDUCTIONS;

#else

reduction_table reductions_avx2;

#endif
