/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_floats.c - signs back to floats, momentum and parameters, value by
 * value.
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

enum {
    COUNT_MAX = 1100,
    SKEWED_MAX = 4 * 64 + 1,
    WORDS_MAX = (COUNT_MAX + 63) / 64,
    LINES_MAX = (COUNT_MAX + LINE_COORDINATES - 1) / LINE_COORDINATES,
};

static const size_t bytes_of[TYPES] = {4, 2, 2, 8, 0};

static uint64_t seed = 1;

static bool bit_of(const uint64_t *words, size_t i)
{
    return words[i / 64] >> i % 64 & 1;
}

static void fill_words(uint64_t *words, size_t count)
{
    for (size_t w = 0; w < count; w++)
        words[w] = random_next(&seed);
}

/* The pattern of +1 and -1 in each type, and of a scale that all of them have.
 */
struct scale {
    float scale;
    uint64_t plus[TYPES];
};

static const struct scale scales[] = {
    {1.0f, {0x3f800000, 0x3c00, 0x3f80, 0x3ff0000000000000}},
    {-1.5f, {0xbfc00000, 0xbe00, 0xbfc0, 0xbff8000000000000}},
    {0x1p-24f, {0x33800000, 0x0001, 0x3380, 0x3e70000000000000}},
};

static const uint64_t minus_of[TYPES] = {0x80000000, 0x8000, 0x8000,
                                         0x8000000000000000, 0};

static void expect_apply(int type, void *expected, const uint64_t *signs,
                         const uint64_t *zeros, const struct scale *scale,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t pattern = scale->plus[type];

        if (bit_of(signs, i))
            pattern ^= minus_of[type];
        if (zeros != NULL && bit_of(zeros, i))
            pattern = 0;
        memcpy((char *)expected + i * bytes_of[type], &pattern, bytes_of[type]);
    }
}

static void check_apply(const struct guarded *g, int type, size_t count,
                        bool end, bool zeroed)
{
    static uint64_t expected[COUNT_MAX];
    const struct scale *scale = &scales[count % 3];
    const size_t words = (count + 63) / 64;
    const size_t bytes =
        type == TYPE_SIGNS ? 8 * words : count * bytes_of[type];
    uint64_t *signs = guarded_at(g, 0, 8 * words, end);
    uint64_t *zeros = guarded_at(g, 1, 8 * words, end);
    void *values = guarded_at(g, 2, bytes, end);

    fill_words(signs, words);
    fill_words(zeros, words);
    if (type == TYPE_SIGNS) {
        memset(expected, 0, bytes);
        for (size_t i = 0; i < count; i++)
            expected[i / 64] |= (uint64_t)bit_of(signs, i) << i % 64;
    } else {
        expect_apply(type, expected, signs, zeroed ? zeros : NULL, scale,
                     count);
    }
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (int far = 0; far < 2 && kernels_all[i]->supported(); far++) {
            memset(values, 0x5a, bytes);
            kernels_all[i]->apply[type](values, signs, zeroed ? zeros : NULL,
                                        scale->scale, count, far);
            if (memcmp(values, expected, bytes) != 0)
                fail_msg("%s: %zu values of type %d%s%s", kernels_all[i]->name,
                         count, type, zeroed ? " with zeros" : "",
                         far ? ", far" : "");
        }
}

static void test_apply_every_count(void **state)
{
    struct guarded g = guarded_open(3, COUNT_MAX * sizeof(double));

    (void)state;
    for (int type = 0; type < TYPES; type++)
        for (size_t count = 1; count <= COUNT_MAX; count++) {
            check_apply(&g, type, count, true, false);
            check_apply(&g, type, count, true, true);
            check_apply(&g, type, count, false, count % 2 == 0);
        }
    guarded_close(&g);
}

/* Values that start `skew` bytes behind a line, with others around them. */
static void check_skew(const struct guarded *g, int type, size_t skew,
                       size_t count, bool zeroed)
{
    static char expected[3 * LINE_BYTES + SKEWED_MAX * sizeof(double)];
    const struct scale *scale = &scales[count % 3];
    const size_t start = LINE_BYTES + skew;
    const size_t bytes = start + count * bytes_of[type] + LINE_BYTES;
    const size_t words = (count + 63) / 64;
    uint64_t *signs = guarded_at(g, 0, 8 * words, true);
    uint64_t *zeros = guarded_at(g, 1, 8 * words, true);
    char *lines = guarded_at(g, 2, bytes, false);

    fill_words(signs, words);
    fill_words(zeros, words);
    memset(expected, 0x5a, bytes);
    expect_apply(type, expected + start, signs, zeroed ? zeros : NULL, scale,
                 count);
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (int far = 0; far < 2 && kernels_all[i]->supported(); far++) {
            memset(lines, 0x5a, bytes);
            kernels_all[i]->apply[type](lines + start, signs,
                                        zeroed ? zeros : NULL, scale->scale,
                                        count, far);
            if (memcmp(lines, expected, bytes) != 0)
                fail_msg("%s: %zu values of type %d, %zu bytes off%s%s",
                         kernels_all[i]->name, count, type, skew,
                         zeroed ? ", with zeros" : "", far ? ", far" : "");
        }
}

/* Every start of an element within a line, and one that is none. */
static void test_apply_every_alignment(void **state)
{
    struct guarded g =
        guarded_open(3, 3 * LINE_BYTES + SKEWED_MAX * sizeof(double));

    (void)state;
    for (int type = 0; type < TYPE_SIGNS; type++)
        for (size_t count = 1; count <= SKEWED_MAX; count++) {
            for (size_t skew = 0; skew < LINE_BYTES; skew += bytes_of[type])
                check_skew(&g, type, skew, count, count % 2 == 0);
            check_skew(&g, type, 13, count, count % 2 == 1);
        }
    guarded_close(&g);
}

/* The scale as `type`, of the sign that bit 0 of `sign` gives. */
static uint16_t half_of(const struct kernels *k, int type, float scale,
                        uint64_t sign)
{
    uint16_t half = 0x5a5a;

    k->apply[type](&half, &sign, NULL, scale, 1, false);
    return half;
}

/* The value of a positive finite float16. */
static float float16_value(uint32_t pattern)
{
    const int exponent = (int)(pattern >> 10);
    const float fraction = (float)(pattern & 0x3ff);

    if (exponent == 0)
        return ldexpf(fraction, -24);
    return ldexpf(1024 + fraction, exponent - 25);
}

static float bfloat16_value(uint32_t pattern)
{
    const uint32_t bits = pattern << 16;
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Between neighbours `low` and low + 1: below, at and above the middle. */
static void check_rounding(const struct kernels *k, int type, uint32_t low,
                           float from, float middle)
{
    const uint32_t even = low + low % 2;
    const bool right =
        half_of(k, type, from, 0) == low &&
        half_of(k, type, from, 1) == (low | 0x8000) &&
        half_of(k, type, -from, 1) == low &&
        half_of(k, type, nextafterf(middle, 0), 0) == low &&
        half_of(k, type, middle, 0) == even &&
        half_of(k, type, nextafterf(middle, INFINITY), 0) == low + 1;

    if (!right)
        fail_msg("%s: type %d, scales around pattern %04x", k->name, type, low);
}

static void test_scale_rounds_to_even(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        for (uint32_t p = 0; p < 0x7c00; p++) {
            const float from = float16_value(p);
            /* After the largest, infinity takes the place of 2^16. */
            const float to = p + 1 < 0x7c00 ? float16_value(p + 1) : 65536.0f;

            check_rounding(k, TYPE_FLOAT16, p, from, from + (to - from) / 2);
        }
        for (uint32_t p = 0; p < 0x7f80; p++) {
            const uint32_t bits = p << 16 | 0x8000;
            float middle;

            memcpy(&middle, &bits, sizeof(middle));
            check_rounding(k, TYPE_BFLOAT16, p, bfloat16_value(p), middle);
        }
    }
}

static void test_scale_may_be_special(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        assert_int_equal(half_of(k, TYPE_FLOAT16, INFINITY, 0), 0x7c00);
        assert_int_equal(half_of(k, TYPE_FLOAT16, 3e38f, 1), 0xfc00);
        assert_int_equal(half_of(k, TYPE_BFLOAT16, INFINITY, 1), 0xff80);
        assert_true((half_of(k, TYPE_FLOAT16, NAN, 0) & 0x7fff) > 0x7c00);
        assert_true((half_of(k, TYPE_BFLOAT16, NAN, 0) & 0x7fff) > 0x7f80);
    }
}

/* Ordinary values and, one in eight, any pattern at all. */
static void fill_floats(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t random = random_next(&seed);
        const uint32_t bits = (uint32_t)(random >> 32);

        values[i] = ldexpf((float)(int32_t)bits, (int)(random >> 8 & 31) - 48);
        if (random % 8 == 0)
            memcpy(&values[i], &bits, sizeof(bits));
        if (random % 64 == 8)
            values[i] = bits % 2 ? -0.0f : 0.0f;
    }
}

/* Which NaN comes out of two is the hardware's affair. */
static bool same(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&a[i], &b[i], sizeof(float)) != 0 &&
            !(isnan(a[i]) && isnan(b[i])))
            return false;
    return true;
}

struct signum {
    float gradient[COUNT_MAX];
    float before[COUNT_MAX];
    float after[COUNT_MAX];
    uint64_t signs[LINE_WORDS * LINES_MAX];
    uint64_t marks[LINE_WORDS * LINES_MAX];
};

static void signum_make(struct signum *s, float beta, size_t count)
{
    fill_floats(s->gradient, count);
    fill_floats(s->before, count);
    memset(s->signs, 0, sizeof(s->signs));
    memset(s->marks, 0, sizeof(s->marks));
    for (size_t i = 0; i < count; i++) {
        /* Volatile: each step rounds to float, none is contracted. */
        volatile float rest = 1.0f - beta;
        volatile float fresh = rest * s->gradient[i];
        volatile float kept = beta * s->before[i];
        volatile float after = fresh + kept;

        s->after[i] = after;
        s->signs[i / 64] |= (uint64_t)(after < 0) << i % 64;
        s->marks[i / 64] |= (uint64_t) !(after == 0) << i % 64;
    }
}

static void check_signum(const struct guarded *g, const struct signum *s,
                         float beta, size_t count, bool end)
{
    const size_t bytes = count * sizeof(float);
    const size_t row = lines_for(count) * LINE_BYTES;
    float *momentum = guarded_at(g, 0, bytes, end);
    float *gradient = guarded_at(g, 1, bytes, end);
    uint64_t *signs = guarded_at(g, 2, row, end);
    uint64_t *marks = guarded_at(g, 3, row, end);

    memcpy(gradient, s->gradient, bytes);
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (int marked = 0; marked < 2; marked++) {
            const struct kernels *k = kernels_all[i];

            if (!k->supported())
                continue;
            memcpy(momentum, s->before, bytes);
            memset(signs, 0x5a, row);
            memset(marks, 0x5a, row);
            k->signum(signs, marked ? marks : NULL, momentum, gradient, beta,
                      count);
            if (!same(momentum, s->after, count) ||
                memcmp(signs, s->signs, row) != 0 ||
                (marked && memcmp(marks, s->marks, row) != 0))
                fail_msg("%s: signum of %zu", k->name, count);
        }
}

static void test_signum_every_count(void **state)
{
    static const float betas[] = {0.9f, 0.0f, 0.99f, 0.3f};
    struct guarded g = guarded_open(4, COUNT_MAX * sizeof(float));
    static struct signum s;

    (void)state;
    for (size_t count = 1; count <= COUNT_MAX; count++) {
        const float beta = betas[count % 4];

        signum_make(&s, beta, count);
        check_signum(&g, &s, beta, count, true);
        check_signum(&g, &s, beta, count, false);
    }
    guarded_close(&g);
}

struct update {
    float rate;
    float decay;
    bool zeroed;
    float before[COUNT_MAX];
    float after[COUNT_MAX];
    uint64_t signs[WORDS_MAX];
    uint64_t zeros[WORDS_MAX];
};

static void update_make(struct update *u, size_t count)
{
    fill_floats(u->before, count);
    fill_words(u->signs, WORDS_MAX);
    fill_words(u->zeros, WORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        const bool zero = u->zeroed && bit_of(u->zeros, i);
        volatile float sign = bit_of(u->signs, i) ? -1.0f : 1.0f;
        volatile float shrink = u->decay * u->before[i];
        volatile float both = (zero ? 0.0f : sign) + shrink;
        volatile float step = u->rate * both;
        volatile float after = u->before[i] - step;

        u->after[i] = after;
    }
}

static void check_update(const struct guarded *g, const struct update *u,
                         size_t count, bool end)
{
    const size_t bytes = count * sizeof(float);
    const size_t words = (count + 63) / 64 * 8;
    float *parameters = guarded_at(g, 0, bytes, end);
    uint64_t *signs = guarded_at(g, 1, words, end);
    uint64_t *zeros = guarded_at(g, 2, words, end);

    memcpy(signs, u->signs, words);
    memcpy(zeros, u->zeros, words);
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        memcpy(parameters, u->before, bytes);
        k->update(parameters, signs, u->zeroed ? zeros : NULL, u->rate,
                  u->decay, count);
        if (!same(parameters, u->after, count))
            fail_msg("%s: update of %zu, rate %g, decay %g", k->name, count,
                     (double)u->rate, (double)u->decay);
    }
}

static void test_update_every_count(void **state)
{
    static const float rates[] = {1e-3f, 0.1f, 1.0f};
    static const float decays[] = {0.0f, 1e-4f, 0.5f};
    struct guarded g = guarded_open(3, COUNT_MAX * sizeof(float));
    static struct update u;

    (void)state;
    for (size_t count = 1; count <= COUNT_MAX; count++) {
        u.rate = rates[count % 3];
        u.decay = decays[count / 3 % 3];
        u.zeroed = count / 9 % 2 == 1;
        update_make(&u, count);
        check_update(&g, &u, count, true);
        check_update(&g, &u, count, false);
    }
    guarded_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply_every_count),
        cmocka_unit_test(test_apply_every_alignment),
        cmocka_unit_test(test_scale_rounds_to_even),
        cmocka_unit_test(test_scale_may_be_special),
        cmocka_unit_test(test_signum_every_count),
        cmocka_unit_test(test_update_every_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
