/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pack.c - every pack kernel against x < 0, asked of each value alone.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"
#include "guarded.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    COUNT_MAX = 1100,
    LINES_MAX = (COUNT_MAX + LINE_COORDINATES - 1) / LINE_COORDINATES,
    SPECIALS = 12,
};

static const size_t bytes_of[TYPES] = {4, 2, 2, 8, 0};

/* Per type: bits of the exponent and of the fraction. */
static const int exponent_bits[TYPES] = {8, 5, 8, 11, 0};
static const int fraction_bits[TYPES] = {23, 10, 7, 52, 0};

static uint64_t seed = 1;

/* The value of a pattern, built from its parts; NaN for every NaN. */
static double value_of(int type, uint64_t pattern)
{
    const int f = fraction_bits[type];
    const int e = exponent_bits[type];
    const int special = (1 << e) - 1;
    const double sign = pattern >> (e + f) & 1 ? -1.0 : 1.0;
    const int exponent = (int)(pattern >> f) & special;
    const double fraction = ldexp((double)(pattern & ((1ull << f) - 1)), -f);

    if (exponent == special)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - special / 2);
    return sign * ldexp(1 + fraction, exponent - special / 2);
}

static bool is_minus(int type, uint64_t pattern)
{
    return value_of(type, pattern) < 0;
}

static bool is_marked(int type, uint64_t pattern)
{
    return !(value_of(type, pattern) == 0); /* true for NaN */
}

static void put(int type, void *values, size_t i, uint64_t pattern)
{
    memcpy((char *)values + i * bytes_of[type], &pattern, bytes_of[type]);
}

/* Random patterns, a third of them where the answer changes. */
static uint64_t pattern_random(int type)
{
    const int f = fraction_bits[type];
    const int width = f + exponent_bits[type] + 1;
    const uint64_t minus = 1ull << (width - 1);
    const uint64_t infinity = (minus - 1) >> f << f;
    const uint64_t specials[SPECIALS] = {
        0,
        minus,
        1,
        minus + 1,
        infinity,
        minus + infinity,
        infinity + 1,
        minus + infinity + 1,
        minus - 1,
        2 * minus - 1,
        infinity - 1,
        minus + infinity - 1,
    };
    const uint64_t random = random_next(&seed);

    if (random % 3 == 0)
        return specials[random / 3 % SPECIALS];
    return random_next(&seed) >> (64 - width);
}

struct packed {
    uint64_t signs[LINE_WORDS * LINES_MAX];
    uint64_t marks[LINE_WORDS * LINES_MAX];
};

/* Fills values[count] and says what packing them must give. */
static void values_make(int type, void *values, size_t count,
                        struct packed *expected)
{
    memset(expected, 0, sizeof(*expected));
    if (type == TYPE_SIGNS) {
        /* Behind the last coordinate there may be anything. */
        for (size_t w = 0; w < (count + 63) / 64; w++)
            ((uint64_t *)values)[w] = random_next(&seed);
        for (size_t i = 0; i < count; i++) {
            const uint64_t word = ((const uint64_t *)values)[i / 64];

            expected->signs[i / 64] |= word & 1ull << i % 64;
            expected->marks[i / 64] |= 1ull << i % 64;
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t pattern = pattern_random(type);

        put(type, values, i, pattern);
        expected->signs[i / 64] |= (uint64_t)is_minus(type, pattern) << i % 64;
        expected->marks[i / 64] |= (uint64_t)is_marked(type, pattern) << i % 64;
    }
}

/* The same values at both ends of a page, into rows likewise. */
static void check_pack(const struct guarded *g, int type, size_t count,
                       bool end)
{
    const size_t bytes =
        type == TYPE_SIGNS ? (count + 63) / 64 * 8 : count * bytes_of[type];
    const size_t row = lines_for(count) * LINE_BYTES;
    void *values = guarded_at(g, 0, bytes, end);
    uint64_t *signs = guarded_at(g, 1, row, end);
    uint64_t *marks = guarded_at(g, 2, row, end);
    struct packed expected;

    values_make(type, values, count, &expected);
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        memset(signs, 0x5a, row);
        k->pack[type](signs, values, count);
        if (memcmp(signs, expected.signs, row) != 0)
            fail_msg("%s: signs of %zu values of type %d", k->name, count,
                     type);
        memset(signs, 0x5a, row);
        memset(marks, 0x5a, row);
        k->pack_marks[type](signs, marks, values, count);
        if (memcmp(signs, expected.signs, row) != 0)
            fail_msg("%s: signs beside marks of %zu values of type %d", k->name,
                     count, type);
        if (memcmp(marks, expected.marks, row) != 0)
            fail_msg("%s: marks of %zu values of type %d", k->name, count,
                     type);
    }
}

static void test_every_count(void **state)
{
    struct guarded g = guarded_open(3, COUNT_MAX * sizeof(double));

    (void)state;
    for (int type = 0; type < TYPES; type++)
        for (size_t count = 1; count <= COUNT_MAX; count++) {
            check_pack(&g, type, count, true);
            check_pack(&g, type, count, false);
        }
    guarded_close(&g);
}

/* x of the authors' example, 36 values. */
static void test_golden_line(void **state)
{
    static const uint64_t golden[LINE_WORDS] = {0x0000000800000012};
    float x[36] = {1, -2, 0, 3, -4};
    _Alignas(64) uint64_t signs[LINE_WORDS];

    (void)state;
    x[35] = -1;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        if (!kernels_all[i]->supported())
            continue;
        memset(signs, 0x5a, sizeof(signs));
        kernels_all[i]->pack[TYPE_FLOAT32](signs, x, 36);
        assert_memory_equal(signs, golden, sizeof(golden));
    }
}

static uint64_t ones_in(const uint64_t *words, size_t count)
{
    uint64_t ones = 0;

    for (size_t w = 0; w < count; w++)
        ones += (uint64_t)__builtin_popcountll(words[w]);
    return ones;
}

/* All patterns of 16 bits, and how many of them are negative. */
static void check_halves(int type, uint64_t golden)
{
    enum { PATTERNS = 1 << 16 };
    static uint16_t values[PATTERNS];
    _Alignas(64) static uint64_t signs[PATTERNS / 64];
    _Alignas(64) static uint64_t marks[PATTERNS / 64];

    for (uint32_t i = 0; i < PATTERNS; i++)
        values[i] = (uint16_t)i;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        k->pack_marks[type](signs, marks, values, PATTERNS);
        assert_true(ones_in(marks, PATTERNS / 64) == PATTERNS - 2);
        k->pack[type](signs, values, PATTERNS);
        assert_true(ones_in(signs, PATTERNS / 64) == golden);
        for (uint32_t p = 0; p < PATTERNS; p++)
            if ((signs[p / 64] >> p % 64 & 1) != is_minus(type, p))
                fail_msg("%s: type %d, pattern %04x", k->name, type, p);
    }
}

static void test_golden_halves(void **state)
{
    (void)state;
    check_halves(TYPE_BFLOAT16, 32640);
    check_halves(TYPE_FLOAT16, 31744);
}

/* What the signs of the 64 float32 patterns from `first` on are. */
static uint64_t word_expected(uint32_t first)
{
    uint64_t word = 0;

    /* Only around zero and infinity does the answer change within a word. */
    if (first > 0x80000000 && first < 0xff800000)
        return ~0ull;
    if (first != 0x80000000 && first != 0xff800000)
        return 0;
    for (uint32_t i = 0; i < 64; i++)
        word |= (uint64_t)is_minus(TYPE_FLOAT32, first + i) << i;
    return word;
}

/* Checks every `stride`-th block of patterns; returns how many are negative. */
static uint64_t check_floats(const struct kernels *k, uint64_t stride)
{
    enum { BLOCK = 1 << 16 };
    static uint32_t values[BLOCK];
    _Alignas(64) static uint64_t signs[BLOCK / 64];
    uint64_t ones = 0;

    for (uint64_t first = 0; first < 1ull << 32; first += stride * BLOCK) {
        for (uint32_t i = 0; i < BLOCK; i++)
            values[i] = (uint32_t)first + i;
        k->pack[TYPE_FLOAT32](signs, values, BLOCK);
        ones += ones_in(signs, BLOCK / 64);
        for (uint32_t w = 0; w < BLOCK / 64; w++)
            if (signs[w] != word_expected((uint32_t)first + 64 * w))
                fail_msg("%s: patterns from %08x on", k->name,
                         (uint32_t)first + 64 * w);
    }
    return ones;
}

/*
 * All 2^32 patterns for the fastest kernels. The others see the first block of
 * every 2^23 patterns, -0 and -infinity among them, and so the same share.
 */
static void test_golden_floats(void **state)
{
    const struct kernels *fastest = kernels_pick(NULL);

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        if (k == fastest && !ADDRESSES_CHECKED && !THREADS_CHECKED)
            assert_true(check_floats(k, 1) == 2139095040);
        else
            assert_true(check_floats(k, 128) == 2139095040 / 128);
    }
}

#if defined(__x86_64__)

/* Compares what packing gives with and without denormals as zeros. */
static void test_denormals_are_not_zeros(void **state)
{
    enum { DAZ_FTZ = 0x8040, COUNT = 1000 };
    struct guarded g = guarded_open(3, COUNT * sizeof(double));
    const uint32_t mxcsr = _mm_getcsr();

    (void)state;
    _mm_setcsr(mxcsr | DAZ_FTZ);
    /* Proof that the state is what it is meant to be. */
    volatile float denormal = -1e-40f;
    volatile bool seen = denormal < 0.0f;

    for (int type = 0; type < TYPES; type++) {
        struct packed expected;
        void *values = guarded_at(&g, 0, COUNT * sizeof(double), true);

        _mm_setcsr(mxcsr);
        values_make(type, values, COUNT, &expected);
        for (size_t i = 0; kernels_all[i] != NULL; i++) {
            const struct kernels *k = kernels_all[i];
            uint64_t *signs = guarded_at(&g, 1, 2 * LINE_BYTES, true);
            uint64_t *marks = guarded_at(&g, 2, 2 * LINE_BYTES, true);

            if (!k->supported())
                continue;
            _mm_setcsr(mxcsr | DAZ_FTZ);
            k->pack_marks[type](signs, marks, values, COUNT);
            _mm_setcsr(mxcsr);
            assert_memory_equal(signs, expected.signs, 2 * LINE_BYTES);
            assert_memory_equal(marks, expected.marks, 2 * LINE_BYTES);
            memset(signs, 0x5a, 2 * LINE_BYTES);
            _mm_setcsr(mxcsr | DAZ_FTZ);
            k->pack[type](signs, values, COUNT);
            _mm_setcsr(mxcsr);
            assert_memory_equal(signs, expected.signs, 2 * LINE_BYTES);
        }
    }
    assert_false(seen);
    guarded_close(&g);
}

#else

static void test_denormals_are_not_zeros(void **state)
{
    (void)state;
    skip(); /* MXCSR is a register of x86 */
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_count),
        cmocka_unit_test(test_golden_line),
        cmocka_unit_test(test_golden_halves),
        cmocka_unit_test(test_golden_floats),
        cmocka_unit_test(test_denormals_are_not_zeros),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
