/* SPDX-License-Identifier: Apache-2.0 */
/* test_feedback.c - error feedback, value by value. */
#include <float.h>
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

enum {
    COUNT_MAX = 1100,
    BLOCKS_MAX = 2 * FEEDBACK_BLOCK + 100,
    LINES_MAX = (BLOCKS_MAX + LINE_COORDINATES - 1) / LINE_COORDINATES,
    LANES = 64,
};

static uint64_t seed = 3;

/* What a kernel is given, and what must come out. */
struct feedback {
    float scale; /* 0: block by block */
    bool marked;
    size_t count;
    float gradient[BLOCKS_MAX];
    float before[BLOCKS_MAX];
    float after[BLOCKS_MAX];
    uint64_t signs[LINE_WORDS * LINES_MAX];
    uint64_t marks[LINE_WORDS * LINES_MAX];
};

/* Ordinary values; where `any`, one in eight is any pattern at all. */
static void fill_floats(float *values, size_t count, bool any)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t random = random_next(&seed);
        const uint32_t bits = (uint32_t)(random >> 32);

        values[i] = ldexpf((float)(int32_t)bits, (int)(random >> 8 & 31) - 48);
        if (any && random % 8 == 0)
            memcpy(&values[i], &bits, sizeof(bits));
        if (random % 16 == 8)
            values[i] = bits % 2 ? -0.0f : 0.0f;
    }
}

/* Volatile: rounds to float. */
static float add(float a, float b)
{
    volatile float sum = a + b;

    return sum;
}

/* Lanes l, l + step, l + 2 step, ... */
static double total(const float *lanes, int l, int step)
{
    return step == LANES
               ? (double)lanes[l]
               : total(lanes, l, 2 * step) + total(lanes, l + step, 2 * step);
}

static float mean_of(const float *error, const float *gradient, size_t count)
{
    float lanes[LANES] = {0};
    int finite = 0;

    for (size_t i = 0; i < count; i++) {
        const float p = add(gradient[i], error[i]);

        if (isfinite(p)) {
            lanes[i % LANES] = add(lanes[i % LANES], fabsf(p));
            finite++;
        }
    }
    return finite > 0 ? (float)(total(lanes, 0, 1) / finite) : 0;
}

static void expect(struct feedback *f)
{
    memset(f->signs, 0, sizeof(f->signs));
    memset(f->marks, 0, sizeof(f->marks));
    for (size_t i = 0; i < f->count; i++) {
        const size_t block = i / FEEDBACK_BLOCK * FEEDBACK_BLOCK;
        const size_t left = f->count - block;
        const float p = add(f->gradient[i], f->before[i]);
        const bool minus = p < 0, zero = p == 0;
        static float scale;

        if (f->scale != 0)
            scale = f->scale;
        else if (i == block)
            scale = mean_of(f->before + block, f->gradient + block,
                            left < FEEDBACK_BLOCK ? left : FEEDBACK_BLOCK);
        f->after[i] = p;
        if (!(f->marked && zero))
            f->after[i] = add(p, minus ? scale : -scale);
        if (!isfinite(f->after[i]))
            f->after[i] = 0;
        f->signs[i / 64] |= (uint64_t)minus << i % 64;
        f->marks[i / 64] |= (uint64_t)!zero << i % 64;
    }
}

/* Every table on the pages of `g`, at their start or end. */
static void check(const struct guarded *g, const struct feedback *f, bool end)
{
    const size_t bytes = f->count * sizeof(float);
    const size_t row = lines_for(f->count) * LINE_BYTES;
    float *error = guarded_at(g, 0, bytes, end);
    float *gradient = guarded_at(g, 1, bytes, end);
    uint64_t *signs = guarded_at(g, 2, row, end);
    uint64_t *marks = f->marked ? guarded_at(g, 3, row, end) : NULL;

    memcpy(gradient, f->gradient, bytes);
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        memcpy(error, f->before, bytes);
        memset(signs, 0x5a, row);
        if (f->marked)
            memset(marks, 0x5a, row);
        if (f->scale != 0)
            k->feedback(signs, marks, error, gradient, f->scale, f->count);
        else
            feedback_blocks(k, signs, marks, error, gradient, f->count);
        if (memcmp(error, f->after, bytes) != 0 ||
            memcmp(signs, f->signs, row) != 0 ||
            (f->marked && memcmp(marks, f->marks, row) != 0))
            fail_msg("%s: feedback of %zu, scale %g", k->name, f->count,
                     (double)f->scale);
    }
}

static struct guarded open_pages(void)
{
    return guarded_open(4, BLOCKS_MAX * sizeof(float));
}

static void test_every_count(void **state)
{
    static const float scales[] = {1e-3f,   1.0f,     0x1p-140f, -2.0f,
                                   FLT_MAX, INFINITY, NAN,       0};
    struct guarded g = open_pages();
    static struct feedback f;

    (void)state;
    for (f.count = 1; f.count <= COUNT_MAX; f.count++) {
        f.scale = scales[f.count % 8];
        f.marked = f.count / 8 % 2 != 0;
        fill_floats(f.gradient, f.count, true);
        fill_floats(f.before, f.count, true);
        expect(&f);
        check(&g, &f, true);
        check(&g, &f, false);
    }
    guarded_close(&g);
}

static void test_blocks(void **state)
{
    static const size_t counts[] = {FEEDBACK_BLOCK - 1, FEEDBACK_BLOCK,
                                    FEEDBACK_BLOCK + 1, 2 * FEEDBACK_BLOCK,
                                    BLOCKS_MAX};
    struct guarded g = open_pages();
    static struct feedback f;

    (void)state;
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
        for (int kind = 0; kind < 4; kind++) {
            f.count = counts[c];
            f.marked = kind % 2 != 0;
            fill_floats(f.gradient, f.count, kind / 2 != 0);
            fill_floats(f.before, f.count, false);
            /* The first block is larger than the others. */
            for (size_t i = 0; i < FEEDBACK_BLOCK && i < f.count; i++)
                f.gradient[i] *= 1024;
            expect(&f);
            check(&g, &f, true);
        }
    guarded_close(&g);
}

/* The reference above again, as numbers. */
static void test_values(void **state)
{
    static const struct {
        float gradient, error, after;
        bool minus;
    } values[] = {
        {3.0f, 0.5f, 1.5f, false},          {-3.0f, 0.5f, -0.5f, true},
        {1.0f, -1.0f, -2.0f, false},        {0.0f, 0.0f, -2.0f, false},
        {-0.0f, -0.0f, -2.0f, false}, /* by its own sign it would be 2 */
        {-0x1p-149f, 0.0f, 2.0f, true},     {0x1p-149f, 0.0f, -2.0f, false},
        {NAN, 1.0f, 0.0f, false},           {1.0f, NAN, 0.0f, false},
        {-INFINITY, 1.0f, 0.0f, true},      {INFINITY, 1.0f, 0.0f, false},
        {INFINITY, -INFINITY, 0.0f, false}, {FLT_MAX, FLT_MAX, 0.0f, false},
        {-FLT_MAX, -FLT_MAX, 0.0f, true},
    };
    enum { VALUES = sizeof(values) / sizeof(values[0]) };

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        for (size_t v = 0; v < VALUES; v++) {
            uint64_t signs[LINE_WORDS];
            float gradient[64], error[64];

            for (int at = 0; at < 64; at++) {
                gradient[at] = values[v].gradient;
                error[at] = values[v].error;
            }
            k->feedback(signs, NULL, error, gradient, 2.0f, 64);
            assert_true(signs[0] == (values[v].minus ? ~0ull : 0));
            for (int at = 0; at < 64; at++)
                assert_memory_equal(&error[at], &values[v].after,
                                    sizeof(float));
        }
    }
}

static void test_scales(void **state)
{
    enum { COUNT = 200 };
    static float error[COUNT], gradient[COUNT];

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        for (int at = 0; at < COUNT; at++) {
            gradient[at] = at % 2 ? -4.0f : 1.0f;
            error[at] = 1.0f;
        }
        assert_true(k->feedback_scale(error, gradient, COUNT) == 2.5f);
        assert_true(k->feedback_scale(error, gradient, 1) == 2.0f);
        assert_true(k->feedback_scale(error, gradient, 0) == 0.0f);
        gradient[1] = NAN;
        gradient[3] = -INFINITY;
        assert_true(k->feedback_scale(error, gradient, 4) == 2.0f);
        assert_true(k->feedback_scale(error, gradient, COUNT) ==
                    (float)(494.0 / 198.0));
        assert_true(k->feedback_scale(error + 1, gradient + 1, 1) == 0.0f);
        for (int at = 0; at < COUNT; at++)
            gradient[at] = FLT_MAX;
        assert_true(k->feedback_scale(error, gradient, 64) == FLT_MAX);
        assert_true(k->feedback_scale(error, gradient, 128) == INFINITY);
    }
}

/* What was sent and what is left are together what came, as long as numbers
 * are exact. */
static void test_nothing_is_lost(void **state)
{
    enum { COUNT = 300, STEPS = 100 };
    static float error[COUNT], gradient[COUNT], sum[COUNT];
    uint64_t signs[LINE_WORDS];

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        memset(error, 0, sizeof(error));
        memset(sum, 0, sizeof(sum));
        for (int step = 0; step < STEPS; step++) {
            for (int at = 0; at < COUNT; at++) {
                gradient[at] = (float)(random_next(&seed) % 65) / 64 - 0.5f;
                sum[at] += gradient[at];
            }
            k->feedback(signs, NULL, error, gradient, 0.5f, COUNT);
            for (int at = 0; at < COUNT; at++)
                sum[at] -= signs[at / 64] >> at % 64 & 1 ? -0.5f : 0.5f;
            assert_memory_equal(sum, error, sizeof(sum));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_count),     cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_values),          cmocka_unit_test(test_scales),
        cmocka_unit_test(test_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
