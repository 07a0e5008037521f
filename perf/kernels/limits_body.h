/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_body.h - the loops of the limits, for any width of register.
 *
 * The file that includes this defines before:
 *   SLICE_BYTES              of a register
 *   slice_or(a, b, c)        a | b | c
 *   slice_around(words, s)   stores s past the caches, SLICE_BYTES aligned
 *   slices_end()             orders these stores before all later ones
 *   LIMITS, LIMITS_NAME      the table that the file exports, and its name
 */
#ifndef BALLOT_PERF_KERNELS_LIMITS_BODY_H
#define BALLOT_PERF_KERNELS_LIMITS_BODY_H

#include "limits.h"

#define ALWAYS static inline __attribute__((always_inline))

enum {
    SLICE_WORDS = SLICE_BYTES / 8,
    SLICE_FLOATS = SLICE_BYTES / 4,
    AHEAD = 4,     /* independent accumulators, so that loads overlap */
    STEP = 8,      /* slices of a row in one step */
    HELD_MAX = 32, /* pointers that are worth a copy */
};

ALWAYS slice load(const uint64_t *words)
{
    return *(const slice_unaligned *)words;
}

ALWAYS void store(uint64_t *words, slice stored, bool around)
{
    if (around)
        slice_around(words, stored);
    else
        *(slice_unaligned *)words = stored;
}

/* What is read must be used, or the compiler leaves it out. */
ALWAYS uint64_t fold(slice all)
{
    uint64_t word = 0;

    for (uint32_t i = 0; i < SLICE_WORDS; i++)
        word |= all[i];
    return word;
}

/* One column; a constant number of voters makes it a straight line. */
ALWAYS slice or_column(const uint64_t *const *rows, uint32_t voters, size_t at)
{
    slice odd = load(&rows[0][at]);
    slice even = odd;
    uint32_t v = 1;

#pragma GCC unroll 64
    for (; v + 3 < voters; v += 4) {
        odd = slice_or(odd, load(&rows[v][at]), load(&rows[v + 1][at]));
        even = slice_or(even, load(&rows[v + 2][at]), load(&rows[v + 3][at]));
    }
#pragma GCC unroll 4
    for (; v < voters; v++)
        odd |= load(&rows[v][at]);
    return odd | even;
}

ALWAYS void or_columns(uint64_t *result, const uint64_t *const *rows,
                       uint32_t voters, size_t words, bool around)
{
    for (size_t at = 0; at < words; at += SLICE_WORDS)
        store(&result[at], or_column(rows, voters, at), around);
}

/* The pointers of a constant number of voters are held: stores to the result
 * cannot change what no one else has the address of. */
ALWAYS void or_held(uint64_t *result, const uint64_t *const *rows,
                    uint32_t voters, size_t words, bool around)
{
    const uint64_t *held[HELD_MAX];

    for (uint32_t v = 0; v < voters; v++)
        held[v] = rows[v];
    or_columns(result, held, voters, words, around);
}

ALWAYS void or_switch(uint64_t *result, const uint64_t *const *rows,
                      uint32_t voters, size_t words, bool around)
{
    switch (voters) {
    case 2: or_held(result, rows, 2, words, around); break;
    case 3: or_held(result, rows, 3, words, around); break;
    case 4: or_held(result, rows, 4, words, around); break;
    case 5: or_held(result, rows, 5, words, around); break;
    case 6: or_held(result, rows, 6, words, around); break;
    case 7: or_held(result, rows, 7, words, around); break;
    case 8: or_held(result, rows, 8, words, around); break;
    case 9: or_held(result, rows, 9, words, around); break;
    case 11: or_held(result, rows, 11, words, around); break;
    case 12: or_held(result, rows, 12, words, around); break;
    case 13: or_held(result, rows, 13, words, around); break;
    case 15: or_held(result, rows, 15, words, around); break;
    case 16: or_held(result, rows, 16, words, around); break;
    case 24: or_held(result, rows, 24, words, around); break;
    case 28: or_held(result, rows, 28, words, around); break;
    case 31: or_held(result, rows, 31, words, around); break;
    case 32: or_held(result, rows, 32, words, around); break;
    case 63: or_columns(result, rows, 63, words, around); break;
    case 64: or_columns(result, rows, 64, words, around); break;
    case 127: or_columns(result, rows, 127, words, around); break;
    case 128: or_columns(result, rows, 128, words, around); break;
    case 255: or_columns(result, rows, 255, words, around); break;
    default: or_columns(result, rows, voters, words, around); break;
    }
}

static void or_one(uint64_t *result, const uint64_t *const *rows,
                   uint32_t voters, size_t words, bool around)
{
    if (around) {
        or_switch(result, rows, voters, words, true);
        slices_end();
    } else {
        or_switch(result, rows, voters, words, false);
    }
}

/* Two columns of any number of voters, with two accumulators for each. */
ALWAYS void or_two_columns(uint64_t *result, const uint64_t *const *rows,
                           uint32_t voters, size_t at, bool around)
{
    slice left = load(&rows[0][at]);
    slice right = load(&rows[0][at + SLICE_WORDS]);
    slice left_other = left;
    slice right_other = right;
    uint32_t v = 1;

    for (; v + 3 < voters; v += 4) {
        const uint64_t *const a = &rows[v][at];
        const uint64_t *const b = &rows[v + 1][at];
        const uint64_t *const c = &rows[v + 2][at];
        const uint64_t *const d = &rows[v + 3][at];

        left = slice_or(left, load(a), load(b));
        right = slice_or(right, load(a + SLICE_WORDS), load(b + SLICE_WORDS));
        left_other = slice_or(left_other, load(c), load(d));
        right_other =
            slice_or(right_other, load(c + SLICE_WORDS), load(d + SLICE_WORDS));
    }
    for (; v < voters; v++) {
        left |= load(&rows[v][at]);
        right |= load(&rows[v][at + SLICE_WORDS]);
    }
    store(&result[at], left | left_other, around);
    store(&result[at + SLICE_WORDS], right | right_other, around);
}

static void or_two(uint64_t *result, const uint64_t *const *rows,
                   uint32_t voters, size_t words, bool around)
{
    size_t at = 0;

    for (; at + 2 * SLICE_WORDS <= words; at += 2 * SLICE_WORDS)
        or_two_columns(result, rows, voters, at, around);
    for (; at < words; at += SLICE_WORDS)
        store(&result[at], or_column(rows, voters, at), around);
    if (around)
        slices_end();
}

static uint64_t read_rows(const uint64_t *const *rows, size_t count,
                          size_t words)
{
    slice sums[AHEAD] = {{0}};

    for (size_t r = 0; r < count; r++) {
        const uint64_t *const row = rows[r];
        size_t at = 0;

        for (; at + STEP * SLICE_WORDS <= words; at += STEP * SLICE_WORDS)
            for (size_t i = 0; i < AHEAD; i++)
                sums[i] = slice_or(sums[i], load(&row[at + i * SLICE_WORDS]),
                                   load(&row[at + (AHEAD + i) * SLICE_WORDS]));
        for (; at < words; at += SLICE_WORDS)
            sums[0] |= load(&row[at]);
    }
    return fold(slice_or(sums[0], sums[1], sums[2]) | sums[3]);
}

static uint64_t read_stream(const void *stream, size_t bytes)
{
    const uint64_t *const words = stream;
    slice left = {0};
    slice right = {0};

    for (size_t at = 0; at < bytes / 8; at += 2 * SLICE_WORDS) {
        left |= load(&words[at]);
        right |= load(&words[at + SLICE_WORDS]);
    }
    return fold(left | right);
}

static void fill(void *output, size_t bytes, bool around)
{
    uint64_t *const words = output;
    slice stored = {0};

    /* Each line differs, as results do: Zen 4 stores a repeated one around the
     * caches in half the time. */
    for (size_t at = 0; at < bytes / 8; at += SLICE_WORDS) {
        stored += UINT64_C(0x9e3779b97f4a7c15);
        store(&words[at], stored, around);
    }
    if (around)
        slices_end();
}

ALWAYS floats load_floats(const float *values)
{
    return *(const floats_unaligned *)values;
}

ALWAYS void store_floats(float *values, floats stored)
{
    *(floats_unaligned *)values = stored;
}

static void add_constant(float *values, size_t count)
{
    const floats none = {0};
    const floats added = none + 0x1p-20f;

    for (size_t i = 0; i < count; i += SLICE_FLOATS)
        store_floats(&values[i], load_floats(&values[i]) + added);
}

static void add(float *sums, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i += SLICE_FLOATS)
        store_floats(&sums[i], load_floats(&sums[i]) + load_floats(&values[i]));
}

static void momentum_pass(float *momentum, const float *gradient, float beta,
                          size_t count)
{
    const float take = 1.0f - beta;

    for (size_t i = 0; i < count; i += SLICE_FLOATS)
        store_floats(&momentum[i], take * load_floats(&gradient[i]) +
                                       beta * load_floats(&momentum[i]));
}

static void axpy(float *values, const float *steps, float rate, size_t count)
{
    for (size_t i = 0; i < count; i += SLICE_FLOATS)
        store_floats(&values[i],
                     load_floats(&values[i]) - rate * load_floats(&steps[i]));
}

const struct bench_limits LIMITS = {
    .name = LIMITS_NAME,
    .supported = supported,
    .or_one = or_one,
    .or_two = or_two,
    .read_rows = read_rows,
    .read = read_stream,
    .fill = fill,
    .add_constant = add_constant,
    .add = add,
    .momentum = momentum_pass,
    .axpy = axpy,
};

#endif
