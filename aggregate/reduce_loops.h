/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce_loops.h - the folds of reduce.h, once for each instruction set.
 *
 * Plain loops, which the compiler makes vectors of. Up to four rows are folded
 * in one pass with the values in registers, more of them block by block. The
 * file that includes this has defined, over HALF_BLOCK values at most,
 *
 *   half_widen(float *to, const uint16_t *from, size_t count)
 *   half_round(uint16_t *to, const float *from, size_t count)
 *   half_add_rows(), half_times_rows(): the first elements of a fold, as many
 *   as they return
 *
 * of which the second is never given a NaN but 0x7fc00000.
 */
#ifndef BALLOT_AGGREGATE_REDUCE_LOOPS_H
#define BALLOT_AGGREGATE_REDUCE_LOOPS_H

#include <string.h>

#include "reduce.h"

enum { FOLD_BLOCK = 1024 }; /* values of a block: they stay in L1 */

/* `to` may be a row, and then each value is read before it is written. */
#if defined(__clang__)
#define NO_OVERLAP _Pragma("clang loop vectorize(assume_safety)")
#else
#define NO_OVERLAP _Pragma("GCC ivdep")
#endif

/*
 * A fold of `type`, whose values are combined by combine(a, b) and end as
 * end(a): values of more than four rows go through an accumulator.
 */
#define FOLD(name, type, combine, end)                                         \
    static void name##_some(type *to, const type *const *rows, uint32_t n,     \
                            size_t from, size_t count)                         \
    {                                                                          \
        type sum[FOLD_BLOCK];                                                  \
                                                                               \
        memcpy(sum, rows[0] + from, count * sizeof(type));                     \
        for (uint32_t r = 1; r < n; r++) {                                     \
            const type *row = rows[r] + from;                                  \
                                                                               \
            NO_OVERLAP for (size_t i = 0; i < count; i++) sum[i] =             \
                combine(sum[i], row[i]);                                       \
        }                                                                      \
        NO_OVERLAP for (size_t i = 0; i < count; i++) to[from + i] =           \
            end(sum[i]);                                                       \
    }                                                                          \
                                                                               \
    static void name(void *to_, const void *const *rows_, uint32_t n,          \
                     size_t count)                                             \
    {                                                                          \
        type *to = to_;                                                        \
        const type *const *rows = (const type *const *)rows_;                  \
        const type *a = rows[0], *b = rows[n > 1 ? 1 : 0];                     \
        const type *c = rows[n > 2 ? 2 : 0], *d = rows[n > 3 ? 3 : 0];         \
                                                                               \
        if (n == 2) {                                                          \
            NO_OVERLAP for (size_t i = 0; i < count; i++) to[i] =              \
                end(combine(a[i], b[i]));                                      \
        } else if (n == 3) {                                                   \
            NO_OVERLAP for (size_t i = 0; i < count; i++) to[i] =              \
                end(combine(combine(a[i], b[i]), c[i]));                       \
        } else if (n == 4) {                                                   \
            NO_OVERLAP for (size_t i = 0; i < count; i++) to[i] =              \
                end(combine(combine(combine(a[i], b[i]), c[i]), d[i]));        \
        } else {                                                               \
            for (size_t i = 0; i < count; i += FOLD_BLOCK)                     \
                name##_some(to, rows, n, i,                                    \
                            count - i < FOLD_BLOCK ? count - i : FOLD_BLOCK);  \
        }                                                                      \
    }

#define SCALE(name, type, combine, end)                                        \
    static void name(void *to_, const void *from_, const void *factor_,        \
                     size_t count)                                             \
    {                                                                          \
        type *to = to_;                                                        \
        const type *from = from_;                                              \
        type factor;                                                           \
                                                                               \
        memcpy(&factor, factor_, sizeof(factor));                              \
        NO_OVERLAP for (size_t i = 0; i < count; i++) to[i] =                  \
            end(combine(from[i], factor));                                     \
    }

#define DIVIDE(name, type, divisor, end)                                       \
    static void name(void *to_, uint32_t by, size_t count)                     \
    {                                                                          \
        type *to = to_;                                                        \
                                                                               \
        NO_OVERLAP for (size_t i = 0; i < count; i++) to[i] =                  \
            end((type)(to[i] / (divisor)by));                                  \
    }

/* ---- Integers: `wide` is unsigned, so that it may overflow; ranks are more
 * than an int8 can hold, so `divisor` is wider. ---- */

#define AS_IT_IS(a) (a)
#define INTEGER(name, type, wide, divisor)                                     \
    static inline type name##_add(type a, type b)                              \
    {                                                                          \
        return (type)((wide)a + (wide)b);                                      \
    }                                                                          \
    static inline type name##_times(type a, type b)                            \
    {                                                                          \
        return (type)((wide)a * (wide)b);                                      \
    }                                                                          \
    static inline type name##_least(type a, type b)                            \
    {                                                                          \
        return a < b ? a : b;                                                  \
    }                                                                          \
    static inline type name##_most(type a, type b)                             \
    {                                                                          \
        return a > b ? a : b;                                                  \
    }                                                                          \
    static inline type name##_both(type a, type b)                             \
    {                                                                          \
        return (type)(a & b);                                                  \
    }                                                                          \
    static inline type name##_any(type a, type b)                              \
    {                                                                          \
        return (type)(a | b);                                                  \
    }                                                                          \
    static inline type name##_one(type a, type b)                              \
    {                                                                          \
        return (type)(a ^ b);                                                  \
    }                                                                          \
    FOLD(name##_sum, type, name##_add, AS_IT_IS)                               \
    FOLD(name##_prod, type, name##_times, AS_IT_IS)                            \
    FOLD(name##_min, type, name##_least, AS_IT_IS)                             \
    FOLD(name##_max, type, name##_most, AS_IT_IS)                              \
    FOLD(name##_and, type, name##_both, AS_IT_IS)                              \
    FOLD(name##_or, type, name##_any, AS_IT_IS)                                \
    FOLD(name##_xor, type, name##_one, AS_IT_IS)                               \
    SCALE(name##_scale, type, name##_times, AS_IT_IS)                          \
    DIVIDE(name##_divide, type, divisor, AS_IT_IS)

INTEGER(int8, int8_t, uint32_t, int32_t)
INTEGER(uint8, uint8_t, uint32_t, uint32_t)
INTEGER(int16, int16_t, uint32_t, int32_t)
INTEGER(uint16, uint16_t, uint32_t, uint32_t)
INTEGER(int32, int32_t, uint32_t, int32_t)
INTEGER(uint32, uint32_t, uint32_t, uint32_t)
INTEGER(int64, int64_t, uint64_t, int64_t)
INTEGER(uint64, uint64_t, uint64_t, uint64_t)

/* ---- Floats ---- */

#define PLUS(a, b)  ((a) + (b))
#define TIMES(a, b) ((a) * (b))

static inline float float32_end(float a)
{
    return a == a ? a : __builtin_nanf("");
}

static inline double float64_end(double a)
{
    return a == a ? a : __builtin_nan("");
}

FOLD(float32_sum, float, PLUS, float32_end)
FOLD(float32_prod, float, TIMES, float32_end)
SCALE(float32_scale, float, TIMES, float32_end)
DIVIDE(float32_divide, float, float, float32_end)
FOLD(float64_sum, double, PLUS, float64_end)
FOLD(float64_prod, double, TIMES, float64_end)
SCALE(float64_scale, double, TIMES, float64_end)
DIVIDE(float64_divide, double, double, float64_end)

/* The upper half of a float32. */
static inline float bfloat16_widen(uint16_t a)
{
    const uint32_t bits = (uint32_t)a << 16;
    float wide;

    memcpy(&wide, &bits, sizeof(wide));
    return wide;
}

static inline uint16_t bfloat16_round(float wide)
{
    uint32_t bits;

    memcpy(&bits, &wide, sizeof(bits));
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return wide == wide ? (uint16_t)bits : (uint16_t)0x7fc0;
}

static inline uint16_t bfloat16_add(uint16_t a, uint16_t b)
{
    return bfloat16_round(bfloat16_widen(a) + bfloat16_widen(b));
}

static inline uint16_t bfloat16_times(uint16_t a, uint16_t b)
{
    return bfloat16_round(bfloat16_widen(a) * bfloat16_widen(b));
}

FOLD(bfloat16_sum, uint16_t, bfloat16_add, AS_IT_IS)
FOLD(bfloat16_prod, uint16_t, bfloat16_times, AS_IT_IS)
SCALE(bfloat16_scale, uint16_t, bfloat16_times, AS_IT_IS)

static void bfloat16_divide(void *to_, uint32_t by, size_t count)
{
    uint16_t *to = to_;

    for (size_t i = 0; i < count; i++)
        to[i] = bfloat16_round(bfloat16_widen(to[i]) / (float)by);
}

/* ---- Least and most of floats ---- */

/*
 * By their bits: as signed numbers they are in order once those of negative
 * values are turned around. `infinity` and `nan` are bits too.
 */
#define ORDERED(name, type, bits, high, infinity, nan)                         \
    static inline type name##_key(type a)                                      \
    {                                                                          \
        return (type)(a ^ (type)((bits)(a >> (high)) >> 1));                   \
    }                                                                          \
    static inline int name##_is_nan(type a)                                    \
    {                                                                          \
        return (type)(a & (type)((bits) ~(bits)0 >> 1)) > (type)(infinity);    \
    }                                                                          \
    static inline type name##_ordered_end(type a)                              \
    {                                                                          \
        return name##_is_nan(a) ? (type)(nan) : a;                             \
    }                                                                          \
    static inline type name##_least(type a, type b)                            \
    {                                                                          \
        type less = name##_key(a) < name##_key(b) ? a : b;                     \
                                                                               \
        less = name##_is_nan(b) ? b : less;                                    \
        return name##_is_nan(a) ? a : less;                                    \
    }                                                                          \
    static inline type name##_most(type a, type b)                             \
    {                                                                          \
        type more = name##_key(a) > name##_key(b) ? a : b;                     \
                                                                               \
        more = name##_is_nan(b) ? b : more;                                    \
        return name##_is_nan(a) ? a : more;                                    \
    }                                                                          \
    FOLD(name##_min, type, name##_least, name##_ordered_end)                   \
    FOLD(name##_max, type, name##_most, name##_ordered_end)

ORDERED(float16, int16_t, uint16_t, 15, 0x7c00, 0x7e00)
ORDERED(bfloat16, int16_t, uint16_t, 15, 0x7f80, 0x7fc0)
ORDERED(float32, int32_t, uint32_t, 31, 0x7f800000, 0x7fc00000)
ORDERED(float64, int64_t, uint64_t, 63, 0x7ff0000000000000, 0x7ff8000000000000)

/* ---- Halves: widened a block at a time ---- */

static inline void half_add(float *sum, const float *more, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] = float32_end(sum[i] + more[i]);
}

static inline void half_times(float *sum, const float *more, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] = float32_end(sum[i] * more[i]);
}

#define FOLD_HALF(name, combine)                                               \
    static void name(void *to_, const void *const *rows_, uint32_t n,          \
                     size_t count)                                             \
    {                                                                          \
        uint16_t *to = to_;                                                    \
        const uint16_t *const *rows = (const uint16_t *const *)rows_;          \
        float sum[HALF_BLOCK], more[HALF_BLOCK];                               \
        uint16_t rounded[HALF_BLOCK];                                          \
                                                                               \
        for (size_t i = n > 1 ? combine##_rows(to, rows, n, count) : 0;        \
             i < count; i += HALF_BLOCK) {                                     \
            size_t block = count - i < HALF_BLOCK ? count - i : HALF_BLOCK;    \
                                                                               \
            half_widen(sum, rows[0] + i, block);                               \
            for (uint32_t r = 1; r < n; r++) {                                 \
                half_widen(more, rows[r] + i, block);                          \
                combine(sum, more, block);                                     \
                half_round(rounded, sum, block);                               \
                half_widen(sum, rounded, block);                               \
            }                                                                  \
            memcpy(to + i, n > 1 ? rounded : rows[0] + i,                      \
                   block * sizeof(to[0]));                                     \
        }                                                                      \
    }

FOLD_HALF(float16_sum, half_add)
FOLD_HALF(float16_prod, half_times)

static void float16_scale(void *to_, const void *from_, const void *factor_,
                          size_t count)
{
    uint16_t *to = to_, factors[HALF_BLOCK];
    const uint16_t *from = from_;
    float values[HALF_BLOCK], factor[HALF_BLOCK];

    for (size_t i = 0; i < HALF_BLOCK; i++)
        memcpy(&factors[i], factor_, sizeof(factors[i]));
    half_widen(factor, factors, HALF_BLOCK);
    for (size_t i = 0; i < count; i += HALF_BLOCK) {
        size_t block = count - i < HALF_BLOCK ? count - i : HALF_BLOCK;

        half_widen(values, from + i, block);
        half_times(values, factor, block);
        half_round(to + i, values, block);
    }
}

static void float16_divide(void *to_, uint32_t by, size_t count)
{
    uint16_t *to = to_;
    float values[HALF_BLOCK];

    for (size_t i = 0; i < count; i += HALF_BLOCK) {
        size_t block = count - i < HALF_BLOCK ? count - i : HALF_BLOCK;

        half_widen(values, to + i, block);
        for (size_t j = 0; j < block; j++)
            values[j] = float32_end(values[j] / (float)by);
        half_round(to + i, values, block);
    }
}

/* ---- The table ---- */

#define ENTRY(name, op)                                                        \
    {                                                                          \
        name##_##op, name##_scale, name##_divide                               \
    }
#define ENTRIES(name)                                                          \
    [REDUCE_SUM] = ENTRY(name, sum), [REDUCE_PROD] = ENTRY(name, prod),        \
    [REDUCE_MIN] = ENTRY(name, min), [REDUCE_MAX] = ENTRY(name, max)
#define INTEGERS(name)                                                         \
    {                                                                          \
        ENTRIES(name), [REDUCE_AND] = ENTRY(name, and),                        \
                       [REDUCE_OR] = ENTRY(name, or),                          \
                       [REDUCE_XOR] = ENTRY(name, xor)                         \
    }
#define REDUCTIONS                                                             \
    {                                                                          \
        [REDUCE_INT8] = INTEGERS(int8), [REDUCE_UINT8] = INTEGERS(uint8),      \
        [REDUCE_INT16] = INTEGERS(int16), [REDUCE_UINT16] = INTEGERS(uint16),  \
        [REDUCE_INT32] = INTEGERS(int32), [REDUCE_UINT32] = INTEGERS(uint32),  \
        [REDUCE_INT64] = INTEGERS(int64), [REDUCE_UINT64] = INTEGERS(uint64),  \
        [REDUCE_FLOAT16] = {ENTRIES(float16)},                                 \
        [REDUCE_BFLOAT16] = {ENTRIES(bfloat16)},                               \
        [REDUCE_FLOAT32] = {ENTRIES(float32)}, [REDUCE_FLOAT64] = {            \
            ENTRIES(float64)                                                   \
        }                                                                      \
    }

#endif
