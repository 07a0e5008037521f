/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reduce.c - every fold of every instruction set against a computation
 * that knows nothing of them: one value at a time, floats as double or by the
 * neighbour that is nearest, integers as 128 bits.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"

enum { COUNT_MAX = 2600, ROWS = 17 };

static const struct {
    size_t unit;
    int bits;       /* of an integer */
    bool is_signed; /* the same */
    int mantissa;   /* of a float, the hidden bit not counted; 0: integer */
    int exponent;   /* bits of it */
} types[REDUCE_TYPES] = {
    [REDUCE_INT8] = {1, 8, true, 0, 0},
    [REDUCE_UINT8] = {1, 8, false, 0, 0},
    [REDUCE_INT16] = {2, 16, true, 0, 0},
    [REDUCE_UINT16] = {2, 16, false, 0, 0},
    [REDUCE_INT32] = {4, 32, true, 0, 0},
    [REDUCE_UINT32] = {4, 32, false, 0, 0},
    [REDUCE_INT64] = {8, 64, true, 0, 0},
    [REDUCE_UINT64] = {8, 64, false, 0, 0},
    [REDUCE_FLOAT16] = {2, 0, true, 10, 5},
    [REDUCE_BFLOAT16] = {2, 0, true, 7, 8},
    [REDUCE_FLOAT32] = {4, 0, true, 23, 8},
    [REDUCE_FLOAT64] = {8, 0, true, 52, 11},
};

static uint64_t next(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t bits_at(const uint8_t *row, enum reduce_type type, size_t i)
{
    uint64_t bits = 0;

    memcpy(&bits, row + i * types[type].unit, types[type].unit);
    return bits;
}

/* ---- Floats by their bits ---- */

static uint64_t nan_bits(enum reduce_type type)
{
    uint64_t exponent = (UINT64_C(1) << types[type].exponent) - 1;

    return (2 * exponent + 1) << (types[type].mantissa - 1);
}

static bool is_nan(enum reduce_type type, uint64_t bits)
{
    uint64_t exponent = (UINT64_C(1) << types[type].exponent) - 1;
    uint64_t sign = UINT64_C(1) << (8 * types[type].unit - 1);

    return (bits & (sign - 1)) > exponent << types[type].mantissa;
}

static long double value_of(enum reduce_type type, uint64_t bits)
{
    int mantissa_bits = types[type].mantissa;
    uint64_t exponents = (UINT64_C(1) << types[type].exponent) - 1;
    uint64_t exponent = bits >> mantissa_bits & exponents;
    uint64_t mantissa = bits & ((UINT64_C(1) << mantissa_bits) - 1);
    int bias = (int)(exponents >> 1) + mantissa_bits;
    long double value;

    if (exponent == exponents)
        value = mantissa != 0 ? (long double)NAN : (long double)INFINITY;
    else if (exponent == 0)
        value = ldexpl((long double)mantissa, 1 - bias);
    else
        value = ldexpl((long double)(mantissa + (UINT64_C(1) << mantissa_bits)),
                       (int)exponent - bias);
    return bits >> (8 * types[type].unit - 1) & 1 ? -value : value;
}

/* The bits of the nearest value, of two the even ones: found by halving. */
static uint64_t nearest(enum reduce_type type, long double exact)
{
    uint64_t sign = UINT64_C(1) << (8 * types[type].unit - 1);
    uint64_t infinity = ((UINT64_C(1) << types[type].exponent) - 1)
                        << types[type].mantissa;
    uint64_t low = 0, high = infinity, negative = signbit(exact) ? sign : 0;
    long double size = fabsl(exact), below, above;

    if (isnan(exact))
        return nan_bits(type);
    if (isinf(exact))
        return negative | infinity;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (value_of(type, middle) <= size)
            low = middle;
        else
            high = middle;
    }
    below = value_of(type, low);
    /* What would come after the largest, were there no infinity. */
    above = high == infinity ? 2 * value_of(type, low) - value_of(type, low - 1)
                             : value_of(type, high);
    if (size - below > above - size ||
        (size - below == above - size && low % 2 == 1))
        low = high;
    return negative | low;
}

static uint64_t fold_floats(enum reduce_type type, enum reduce_op op,
                            uint64_t a, uint64_t b)
{
    long double x = value_of(type, a), y = value_of(type, b);
    bool less;

    switch (op) {
    case REDUCE_SUM:
        /* float64 has no room to spare in long double. */
        if (type == REDUCE_FLOAT64)
            x = (double)x + (double)y;
        else
            x = x + y;
        return nearest(type, x);
    case REDUCE_PROD:
        if (type == REDUCE_FLOAT64)
            x = (double)x * (double)y;
        else
            x = x * y;
        return nearest(type, x);
    default:
        if (is_nan(type, a) || is_nan(type, b))
            return nan_bits(type);
        less = x < y || (x == y && signbit(x));
        return less == (op == REDUCE_MIN) ? a : b;
    }
}

/* ---- Integers ---- */

__extension__ typedef __int128 whole;

static whole whole_of(enum reduce_type type, uint64_t bits)
{
    if (types[type].is_signed && bits >> (types[type].bits - 1) & 1)
        return (whole)bits - ((whole)1 << types[type].bits);
    return (whole)bits;
}

static uint64_t fold_integers(enum reduce_type type, enum reduce_op op,
                              uint64_t a, uint64_t b)
{
    uint64_t mask = types[type].bits == 64
                        ? UINT64_MAX
                        : (UINT64_C(1) << types[type].bits) - 1;

    switch (op) {
    case REDUCE_SUM: return (a + b) & mask;
    case REDUCE_PROD: return (a * b) & mask;
    case REDUCE_MIN: return whole_of(type, a) < whole_of(type, b) ? a : b;
    case REDUCE_MAX: return whole_of(type, a) > whole_of(type, b) ? a : b;
    case REDUCE_AND: return a & b;
    case REDUCE_OR: return a | b;
    default: return a ^ b;
    }
}

static uint64_t combined(enum reduce_type type, enum reduce_op op, uint64_t a,
                         uint64_t b)
{
    return types[type].mantissa == 0 ? fold_integers(type, op, a, b)
                                     : fold_floats(type, op, a, b);
}

static uint64_t divided(enum reduce_type type, uint64_t a, uint32_t by)
{
    uint64_t mask = types[type].unit == 8
                        ? UINT64_MAX
                        : (UINT64_C(1) << 8 * types[type].unit) - 1;

    if (types[type].mantissa == 0)
        return (uint64_t)(whole_of(type, a) / (whole)by) & mask;
    if (type == REDUCE_FLOAT64)
        return nearest(type, (double)value_of(type, a) / by);
    return nearest(type, value_of(type, a) / by);
}

/* ---- Values ---- */

/* Any bits; of floats also small ones that meet, and what is special. */
static uint64_t draw(enum reduce_type type, uint64_t *seed)
{
    uint64_t bits = next(seed), kind = next(seed) % 8;
    uint64_t sign = UINT64_C(1) << (8 * types[type].unit - 1);
    uint64_t infinity = ((UINT64_C(1) << types[type].exponent) - 1)
                        << types[type].mantissa;

    if (types[type].mantissa == 0 || kind == 0)
        return bits;
    if (kind == 1)
        return (bits & sign) | (bits >> 1 & 3); /* zero and denormals */
    if (kind == 2 && bits % 16 == 0)
        return (bits & sign) | (infinity + bits / 16 % 2);
    return nearest(type, (long double)(int64_t)(bits % 4096) / 64 - 32);
}

static void fill(uint8_t *row, enum reduce_type type, size_t count,
                 uint64_t *seed)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = draw(type, seed);

        memcpy(row + i * types[type].unit, &bits, types[type].unit);
    }
}

/* ---- Tests ---- */

struct rows {
    uint8_t *memory[ROWS];
    const void *at[ROWS];
    uint8_t *to;
};

static void rows_open(struct rows *rows)
{
    for (int r = 0; r < ROWS; r++)
        rows->memory[r] = calloc(COUNT_MAX + 2, 8);
    rows->to = calloc(COUNT_MAX + 2, 8);
}

static void rows_close(struct rows *rows)
{
    for (int r = 0; r < ROWS; r++)
        free(rows->memory[r]);
    free(rows->to);
}

/* `in_place`: which row is written, or ROWS for none. */
static void check_fold(const struct kernels *kernels, struct rows *rows,
                       enum reduce_type type, enum reduce_op op, uint32_t n,
                       size_t count, uint32_t in_place, uint64_t *seed)
{
    const struct reduction *reduction = &(*kernels->reductions)[type][op];
    size_t unit = types[type].unit;
    uint64_t *expected = calloc(count + 1, sizeof(*expected));
    uint8_t *to = rows->to + unit;

    for (uint32_t r = 0; r < n; r++) {
        /* No more aligned than an element is. */
        uint8_t *row = rows->memory[r] + unit * (r % 2 + 1);

        fill(row, type, count, seed);
        rows->at[r] = row;
        if (r == in_place)
            to = row;
        for (size_t i = 0; i < count; i++)
            expected[i] =
                r == 0 ? bits_at(row, type, i)
                       : combined(type, op, expected[i], bits_at(row, type, i));
    }
    memset(rows->to, 0xa5, (COUNT_MAX + 2) * 8);
    reduction->fold(to, rows->at, n, count);
    for (size_t i = 0; i < count; i++)
        if (bits_at(to, type, i) != expected[i])
            fail_msg("%s type %d op %d: value %zu of %zu, %u rows: %llx, "
                     "not %llx",
                     kernels->name, type, op, i, count, n,
                     (unsigned long long)bits_at(to, type, i),
                     (unsigned long long)expected[i]);
    if (to == rows->to + unit)
        assert_int_equal(rows->to[unit * (count + 1)], 0xa5);
    free(expected);
}

static void check_all(const struct kernels *kernels)
{
    static const size_t counts[] = {1, 7, 33, 255, 300};
    struct rows rows;
    uint64_t seed = 1;

    rows_open(&rows);
    for (int type = 0; type < REDUCE_TYPES; type++)
        for (int op = 0; op < REDUCE_OPS; op++) {
            if ((*kernels->reductions)[type][op].fold == NULL) {
                assert_true(types[type].mantissa != 0 && op >= REDUCE_AND);
                continue;
            }
            for (uint32_t n = 2; n <= ROWS; n += n < 6 ? 1 : 4)
                for (size_t c = 0; c < 5; c++)
                    check_fold(kernels, &rows, (enum reduce_type)type,
                               (enum reduce_op)op, n, counts[c],
                               (uint32_t)(seed >> 20) % (n + 1), &seed);
            check_fold(kernels, &rows, (enum reduce_type)type,
                       (enum reduce_op)op, 5, COUNT_MAX, ROWS, &seed);
            check_fold(kernels, &rows, (enum reduce_type)type,
                       (enum reduce_op)op, 2, COUNT_MAX, 1, &seed);
        }
    rows_close(&rows);
}

static void each_kernels(void (*check)(const struct kernels *))
{
    for (size_t k = 0; kernels_all[k] != NULL; k++)
        if (kernels_all[k]->supported())
            check(kernels_all[k]);
}

static void test_folds(void **state)
{
    (void)state;
    each_kernels(check_all);
}

static void check_scale_and_divide(const struct kernels *kernels)
{
    enum { COUNT = 777 };
    uint8_t values[8 * (COUNT + 1)], to[8 * (COUNT + 1)];
    uint64_t seed = 5;

    for (int t = 0; t < REDUCE_TYPES; t++) {
        enum reduce_type type = (enum reduce_type)t;
        const struct reduction *sum = &(*kernels->reductions)[type][REDUCE_SUM];
        uint32_t by = (uint32_t)(next(&seed) % 1024) + 1;
        uint64_t factor = draw(type, &seed);
        uint8_t *from = values + types[type].unit;

        fill(from, type, COUNT, &seed);
        sum->scale(to, from, &factor, COUNT);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(bits_at(to, type, i),
                             combined(type, REDUCE_PROD, bits_at(from, type, i),
                                      bits_at((uint8_t *)&factor, type, 0)));
        memcpy(to, from, COUNT * types[type].unit);
        sum->divide(to, by, COUNT);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(bits_at(to, type, i),
                             divided(type, bits_at(from, type, i), by));
    }
}

static void test_scale_and_divide(void **state)
{
    (void)state;
    each_kernels(check_scale_and_divide);
}

/* Each half against each of a few others, among them all kinds. */
static void check_halves(const struct kernels *kernels)
{
    static uint16_t all[65536], other[65536], to[65536];
    static const uint16_t others[] = {0,      0x8000, 1,      0x03ff, 0x0400,
                                      0x3c00, 0x3c01, 0xbbff, 0x7bff, 0xfbff,
                                      0x7c00, 0xfc00, 0x7e00, 0x5555};
    const void *rows[2] = {all, other};

    for (size_t i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
        for (int t = REDUCE_FLOAT16; t <= REDUCE_BFLOAT16; t++)
            for (int op = REDUCE_SUM; op <= REDUCE_PROD; op++) {
                enum reduce_type type = (enum reduce_type)t;

                for (size_t i = 0; i < 65536; i++)
                    other[i] = others[k];
                (*kernels->reductions)[type][op].fold(to, rows, 2, 65536);
                for (size_t i = 0; i < 65536;
                     i += kernels_all[0] == kernels ? 1 : 7)
                    assert_int_equal(
                        to[i],
                        fold_floats(type, (enum reduce_op)op, i, others[k]));
            }
}

static void test_every_half(void **state)
{
    (void)state;
    each_kernels(check_halves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_scale_and_divide),
        cmocka_unit_test(test_every_half),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
