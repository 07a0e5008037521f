/* SPDX-License-Identifier: Apache-2.0 */
/* reduce_portable.c - reduce.h for any machine: the specification. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "reduce.h"

enum { HALF_BLOCK = 64 };

/* Halves whose exponent is 0 are multiples of 2^-24. */
static float widen(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
    uint32_t mantissa = half & 0x3ff, bits;
    float wide;

    if (exponent == 0) {
        wide = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -wide : wide;
    }
    bits = exponent == 31 ? 0x7f800000 : (exponent + 112) << 23;
    bits |= sign | mantissa << 13;
    memcpy(&wide, &bits, sizeof(wide));
    return wide;
}

/* To nearest, ties to even. */
static uint16_t narrow(float wide)
{
    uint32_t bits, sign, half;

    memcpy(&bits, &wide, sizeof(bits));
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return 0x7e00;
    if (bits >= 0x477ff000) /* 65520, half way beyond the largest */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) { /* 2^-14: a multiple of 2^-24 */
        memcpy(&wide, &bits, sizeof(wide));
        return (uint16_t)(sign | (uint32_t)lrintf(wide * 0x1p24f));
    }
    half = (bits - (112u << 23) + 0xfff + (bits >> 13 & 1)) >> 13;
    return (uint16_t)(sign | half);
}

static void half_widen(float *to, const uint16_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = widen(from[i]);
}

static void half_round(uint16_t *to, const float *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = narrow(from[i]);
}

/* There are no registers of halves: all is done by blocks. */
static size_t half_add_rows(uint16_t *to, const uint16_t *const *rows,
                            uint32_t n, size_t count)
{
    (void)to, (void)rows, (void)n, (void)count;
    return 0;
}
#define half_times_rows half_add_rows

#include "reduce_loops.h"

reduction_table reductions_portable = REDUCTIONS;
