/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signs.h - what one bit means, one coordinate at a time.
 *
 * The specification that portable.c applies to whole rows, and the others to
 * the tails that fill no register. All but momentum and parameters works on bit
 * patterns, so nothing depends on MXCSR, on the rounding mode or on how a
 * compiler treats NaN.
 */
#ifndef BALLOT_AGGREGATE_SIGNS_H
#define BALLOT_AGGREGATE_SIGNS_H

#include <string.h>

#include "kernels.h"

enum {
    WORD_COORDINATES = 64,
};

/* A peer may write the word meanwhile; relaxed atomic loads are not repeated.
 */
static inline uint64_t signs_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Bits of the first `count` coordinates of a word, count 0..64. */
static inline uint64_t signs_below(size_t count)
{
    return count >= WORD_COORDINATES ? ~0ull : (1ull << count) - 1;
}

/* The sign bit of a type, and the pattern of its +infinity. */
static inline uint64_t type_minus(enum sign_type type)
{
    switch (type) {
    case TYPE_FLOAT32: return 0x80000000u;
    case TYPE_FLOAT64: return 0x8000000000000000u;
    default: return 0x8000u;
    }
}

static inline uint64_t type_infinity(enum sign_type type)
{
    switch (type) {
    case TYPE_FLOAT32: return 0x7f800000u;
    case TYPE_FLOAT64: return 0x7ff0000000000000u;
    case TYPE_FLOAT16: return 0x7c00u;
    default: return 0x7f80u;
    }
}

static inline size_t type_bytes(enum sign_type type)
{
    switch (type) {
    case TYPE_FLOAT32: return 4;
    case TYPE_FLOAT64: return 8;
    default: return 2;
    }
}

/* The pattern of values[i], and its counterpart. */
static inline uint64_t pattern_of(enum sign_type type, const void *values,
                                  size_t i)
{
    uint16_t half;
    uint32_t single;
    uint64_t whole;

    switch (type) {
    case TYPE_FLOAT32:
        memcpy(&single, (const char *)values + 4 * i, 4);
        return single;
    case TYPE_FLOAT64:
        memcpy(&whole, (const char *)values + 8 * i, 8);
        return whole;
    default: memcpy(&half, (const char *)values + 2 * i, 2); return half;
    }
}

static inline void pattern_set(enum sign_type type, void *values, size_t i,
                               uint64_t pattern)
{
    const uint16_t half = (uint16_t)pattern;
    const uint32_t single = (uint32_t)pattern;

    switch (type) {
    case TYPE_FLOAT32: memcpy((char *)values + 4 * i, &single, 4); break;
    case TYPE_FLOAT64: memcpy((char *)values + 8 * i, &pattern, 8); break;
    default: memcpy((char *)values + 2 * i, &half, 2); break;
    }
}

/* x < 0: the patterns from the least negative denormal to -infinity. */
static inline bool pattern_minus(enum sign_type type, uint64_t pattern)
{
    return pattern - (type_minus(type) + 1) < type_infinity(type);
}

/* x != 0: neither +0 nor -0. */
static inline bool pattern_marked(enum sign_type type, uint64_t pattern)
{
    return (pattern & ~type_minus(type)) != 0;
}

/* The signs and marks of values[first..first + count), count 0..64. */
static inline uint64_t word_signs(enum sign_type type, const void *values,
                                  size_t first, size_t count)
{
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t pattern = pattern_of(type, values, first + i);

        word |= (uint64_t)pattern_minus(type, pattern) << i;
    }
    return word;
}

static inline uint64_t word_marks(enum sign_type type, const void *values,
                                  size_t first, size_t count)
{
    uint64_t word = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t pattern = pattern_of(type, values, first + i);

        word |= (uint64_t)pattern_marked(type, pattern) << i;
    }
    return word;
}

/* values[first..first + count) = +-scale or +0, count 0..64; `plus` is the
 * pattern of scale. */
static inline void word_apply(enum sign_type type, void *values, size_t first,
                              size_t count, uint64_t plus, uint64_t signs,
                              uint64_t zeros)
{
    const uint64_t minus = plus ^ type_minus(type);

    for (size_t i = 0; i < count; i++) {
        uint64_t pattern = (signs >> i & 1) != 0 ? minus : plus;

        if ((zeros >> i & 1) != 0)
            pattern = 0;
        pattern_set(type, values, first + i, pattern);
    }
}

/* bfloat16 of `bits`, a float32; to nearest, ties to even; NaN stays NaN. */
static inline uint64_t bfloat16_of(uint32_t bits)
{
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return bits >> 16 | 0x40;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* float16 of `bits`, a float32; to nearest, ties to even; NaN stays NaN. */
static inline uint64_t float16_of(uint32_t bits)
{
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t size = bits & 0x7fffffffu;
    const uint32_t exponent = size >> 23;

    if (size > 0x7f800000u)
        return sign | 0x7e00 | (size >> 13 & 0x1ff);
    if (size >= 0x47800000u) /* 2^16 */
        return sign | 0x7c00;
    if (size >= 0x38800000u) /* 2^-14: a normal half; may round to infinity */
        return sign | (size - 0x38000000u + 0xfff + (size >> 13 & 1)) >> 13;
    if (size < 0x33000000u) /* 2^-25, half of the least denormal */
        return sign;

    const uint32_t fraction = (size & 0x7fffffu) | 0x800000u;
    const uint32_t shift = 126 - exponent; /* 14..24 */
    const uint32_t half = 1u << (shift - 1);

    return sign | (fraction + half - 1 + (fraction >> shift & 1)) >> shift;
}

/* The pattern of `scale` in another type. */
static inline uint64_t pattern_scale(enum sign_type type, float scale)
{
    const double wide = scale;
    uint32_t bits;
    uint64_t bits_wide;

    memcpy(&bits, &scale, sizeof(bits));
    memcpy(&bits_wide, &wide, sizeof(bits_wide));
    switch (type) {
    case TYPE_FLOAT32: return bits;
    case TYPE_FLOAT64: return bits_wide;
    case TYPE_FLOAT16: return float16_of(bits);
    default: return bfloat16_of(bits);
    }
}

/* Zero words behind the last coordinate, to the end of its line. */
static inline void signs_pad(uint64_t *signs, size_t count)
{
    const size_t used = (count + WORD_COORDINATES - 1) / WORD_COORDINATES;

    for (size_t w = used; w < LINE_WORDS * lines_for(count); w++)
        signs[w] = 0;
}

/* signs[] and marks[] (or NULL) from coordinate `first`, a multiple of 64, on,
 * to the end of the last line. */
static inline __attribute__((always_inline)) void pack_from(
    enum sign_type type, size_t first, uint64_t *restrict signs,
    uint64_t *restrict marks, const void *restrict values, size_t count)
{
    for (; first < count; first += WORD_COORDINATES) {
        const size_t rest = count - first;
        const size_t some = rest < WORD_COORDINATES ? rest : WORD_COORDINATES;
        const size_t w = first / WORD_COORDINATES;

        signs[w] = word_signs(type, values, first, some);
        if (marks != NULL)
            marks[w] = word_marks(type, values, first, some);
    }
    signs_pad(signs, count);
    if (marks != NULL)
        signs_pad(marks, count);
}

/* The rest of an apply_fn from coordinate `first`, a multiple of 64, on. */
static inline __attribute__((always_inline)) void apply_from(
    enum sign_type type, size_t first, void *restrict values,
    const uint64_t *restrict signs, const uint64_t *restrict zeros, float scale,
    size_t count)
{
    const uint64_t plus = pattern_scale(type, scale);

    for (; first < count; first += WORD_COORDINATES) {
        const size_t rest = count - first;
        const size_t some = rest < WORD_COORDINATES ? rest : WORD_COORDINATES;
        const size_t w = first / WORD_COORDINATES;
        const uint64_t zero = zeros != NULL ? signs_load(&zeros[w]) : 0;

        word_apply(type, values, first, some, plus, signs_load(&signs[w]),
                   zero);
    }
}

/* Bits from any coordinate on; every word is loaded once and then held. */
struct reader {
    const uint64_t *next; /* NULL: all bits are 0 */
    uint64_t held;
    size_t used; /* bits of `held` that are behind us, 1..63 */
};

static inline struct reader reader_open(const uint64_t *words, size_t used)
{
    struct reader reader = {.used = used};

    if (words != NULL) {
        reader.held = signs_load(words);
        reader.next = words + 1;
    }
    return reader;
}

/* The next bits, of which the first `count`, 0..64, mean something; all but the
 * last call take 64. */
static inline uint64_t reader_take(struct reader *reader, size_t count)
{
    const size_t left = WORD_COORDINATES - reader->used;
    uint64_t bits = reader->held >> reader->used;

    if (reader->next == NULL || count <= left)
        return bits;
    reader->held = signs_load(reader->next++);
    return bits | reader->held << left;
}

/* Values before the first whole line behind values[0]: 1..32. */
static inline size_t values_to_line(enum sign_type type, const void *values)
{
    return (LINE_BYTES - (uintptr_t)values % LINE_BYTES) / type_bytes(type);
}

/* Whether apply_fn can store around the caches, which takes whole aligned
 * registers: then values[] has a word of them and no value is on two lines. */
static inline bool values_may_be_far(enum sign_type type, const void *values,
                                     size_t count)
{
    return count >= WORD_COORDINATES &&
           (uintptr_t)values % type_bytes(type) == 0;
}

/* TYPE_SIGNS is the same copy everywhere: pack_fn, pack_marks_fn, apply_fn. */
static inline void signs_apply(void *restrict values,
                               const uint64_t *restrict signs,
                               const uint64_t *restrict zeros, float scale,
                               size_t count, bool far)
{
    const size_t whole = count / WORD_COORDINATES;
    const size_t rest = count % WORD_COORDINATES;
    uint64_t *to = values;

    (void)zeros;
    (void)scale;
    (void)far;
    for (size_t w = 0; w < whole; w++)
        to[w] = signs_load(&signs[w]);
    if (rest != 0)
        to[whole] = signs_load(&signs[whole]) & signs_below(rest);
}

static inline void signs_pack(uint64_t *restrict signs,
                              const void *restrict values, size_t count)
{
    signs_apply(signs, values, NULL, 1.0f, count, false);
    signs_pad(signs, count);
}

static inline void signs_pack_marks(uint64_t *restrict signs,
                                    uint64_t *restrict marks,
                                    const void *restrict values, size_t count)
{
    signs_pack(signs, values, count);
    for (size_t w = 0; w < LINE_WORDS * lines_for(count); w++) {
        const size_t first = w * WORD_COORDINATES;

        marks[w] = first < count ? signs_below(count - first) : 0;
    }
}

/* One coordinate of signum_fn and of update_fn. */
static inline float momentum_next(float momentum, float gradient, float beta)
{
    const float fresh = (1.0f - beta) * gradient;
    const float kept = beta * momentum;

    return fresh + kept;
}

static inline float parameter_next(float x, uint32_t minus, uint32_t zero,
                                   float rate, float decay)
{
    /* +-1 or +0 by its pattern, since random signs spoil a branch. */
    const uint32_t bits = (0x3f800000u | minus << 31) & (zero - 1);
    float sign;

    memcpy(&sign, &bits, sizeof(sign));
    return x - rate * (sign + decay * x);
}

static inline void momentum_from(size_t first, float *restrict momentum,
                                 const float *restrict gradient, float beta,
                                 size_t count)
{
    for (size_t i = first; i < count; i++)
        momentum[i] = momentum_next(momentum[i], gradient[i], beta);
}

/* The rest of an update_fn from coordinate `first`, a multiple of 64, on. */
static inline void update_from(size_t first, float *restrict parameters,
                               const uint64_t *restrict signs,
                               const uint64_t *restrict zeros, float rate,
                               float decay, size_t count)
{
    uint64_t minus = 0;
    uint64_t zero = 0;

    for (size_t i = first; i < count; i++) {
        const size_t bit = i % WORD_COORDINATES;

        if (bit == 0) {
            minus = signs_load(&signs[i / WORD_COORDINATES]);
            if (zeros != NULL)
                zero = signs_load(&zeros[i / WORD_COORDINATES]);
        }
        parameters[i] =
            parameter_next(parameters[i], (uint32_t)(minus >> bit & 1),
                           (uint32_t)(zero >> bit & 1), rate, decay);
    }
}

#endif
