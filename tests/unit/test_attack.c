/* SPDX-License-Identifier: Apache-2.0 */
/* test_attack.c - every distortion of signs and of numbers, by its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "../../include/ballot_attack.h"
#include "guarded.h"

enum {
    COUNT = 100, /* no multiple of 64 */
    WORDS = 2,
    HONEST = 5,
    MANY = 40000,
};

static uint64_t signs[WORDS], before[WORDS], rows[HONEST][WORDS];
static float numbers[COUNT], honest_numbers[HONEST][COUNT];
static const void *sign_rows[HONEST], *number_rows[HONEST];

/* Coordinate i of the honest is minus in i mod 6 of the rows. */
static int set_up(void **state)
{
    uint64_t seed = 5;

    (void)state;
    memset(rows, 0, sizeof(rows));
    for (uint32_t h = 0; h < HONEST; h++) {
        sign_rows[h] = rows[h];
        number_rows[h] = honest_numbers[h];
        for (uint32_t i = 0; i < COUNT; i++) {
            const bool minus = h < i % 6;

            rows[h][i / 64] |= (uint64_t)minus << i % 64;
            honest_numbers[h][i] = minus ? -1.0f : 1.0f;
        }
    }
    for (uint32_t w = 0; w < WORDS; w++)
        signs[w] = random_next(&seed);
    signs[1] &= (UINT64_C(1) << (COUNT - 64)) - 1;
    memcpy(before, signs, sizeof(before));
    for (uint32_t i = 0; i < COUNT; i++)
        numbers[i] = (float)i - 50.0f;
    return 0;
}

static bool minus_at(const uint64_t *row, uint32_t i)
{
    return row[i / 64] >> i % 64 & 1;
}

static struct ballot_attack_scene scene_of(enum ballot_type type)
{
    return (struct ballot_attack_scene){
        .honest = type == BALLOT_SIGNS ? sign_rows : number_rows,
        .honest_count = HONEST,
    };
}

/* Both types at once, with numbers in brackets as they are. */
static void lie(enum ballot_attack attack)
{
    struct ballot_attack_scene scene = scene_of(BALLOT_SIGNS);

    assert_int_equal(
        ballot_attack_lie(attack, signs, COUNT, BALLOT_SIGNS, &scene), 0);
    scene = scene_of(BALLOT_FLOAT32);
    assert_int_equal(
        ballot_attack_lie(attack, numbers, COUNT, BALLOT_FLOAT32, &scene), 0);
    /* What is behind the last coordinate stays out of it. */
    assert_int_equal(signs[1] >> (COUNT - 64), 0);
}

static void test_reversed_turns_all(void **state)
{
    (void)state;
    lie(BALLOT_ATTACK_REVERSED);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(minus_at(signs, i), !minus_at(before, i));
        assert_true(numbers[i] == -100.0f * ((float)i - 50.0f));
    }
}

static void test_constant_is_one_number(void **state)
{
    struct ballot_attack_scene scene = {.factor = 3.0f};

    (void)state;
    lie(BALLOT_ATTACK_CONSTANT);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(minus_at(signs, i));
        assert_true(numbers[i] == -100.0f);
    }
    ballot_attack_lie(BALLOT_ATTACK_CONSTANT, signs, COUNT, BALLOT_SIGNS,
                      &scene);
    assert_int_equal(signs[0] | signs[1], 0);
}

static void test_random_depends_on_all_four(void **state)
{
    struct ballot_attack_scene scenes[5] = {{0}};
    uint64_t noise[5][WORDS] = {{0}};

    (void)state;
    scenes[1].seed = scenes[2].step = 1;
    scenes[3].task = scenes[4].voice = 1;
    for (uint32_t s = 0; s < 5; s++) {
        uint64_t again[WORDS] = {1, 2};

        ballot_attack_lie(BALLOT_ATTACK_RANDOM, noise[s], COUNT, BALLOT_SIGNS,
                          &scenes[s]);
        ballot_attack_lie(BALLOT_ATTACK_RANDOM, again, COUNT, BALLOT_SIGNS,
                          &scenes[s]);
        assert_memory_equal(noise[s], again, sizeof(again));
        for (uint32_t other = 0; other < s; other++)
            assert_memory_not_equal(noise[s], noise[other], sizeof(again));
    }
}

static void test_noise_has_mean_0_and_variance_1(void **state)
{
    static float noise[MANY];
    const struct ballot_attack_scene scene = {.seed = 7};
    double sum = 0, squares = 0;
    uint32_t beyond_2 = 0;

    (void)state;
    ballot_attack_lie(BALLOT_ATTACK_RANDOM, noise, MANY, BALLOT_FLOAT32,
                      &scene);
    for (uint32_t i = 0; i < MANY; i++) {
        sum += (double)noise[i];
        squares += (double)noise[i] * (double)noise[i];
        beyond_2 += fabsf(noise[i]) > 2.0f;
    }
    assert_true(fabs(sum / MANY) < 0.02);
    assert_true(fabs(squares / MANY - 1) < 0.03);
    /* 4.6 % of a normal distribution. */
    assert_in_range(beyond_2, MANY * 4 / 100, MANY * 5 / 100);
}

/* Of 5 rows with m minuses, mean + deviation is below 0 for 5 alone. */
static void test_alie_turns_the_doubtful(void **state)
{
    (void)state;
    lie(BALLOT_ATTACK_ALIE);
    for (uint32_t i = 0; i < COUNT; i++) {
        const double m = i % 6, mean = 1 - 2 * m / HONEST;

        assert_int_equal(minus_at(signs, i), m == 5);
        assert_true(fabs((double)numbers[i] - mean - sqrt(1 - mean * mean)) <
                    1e-6);
    }
}

static void test_product_and_anti_oppose_the_majority(void **state)
{
    (void)state;
    lie(BALLOT_ATTACK_PRODUCT);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(minus_at(signs, i), i % 6 < 3);
        assert_true(fabsf(numbers[i] +
                          100.0f * (1.0f - 0.4f * (float)(i % 6))) < 1e-3f);
    }
    lie(BALLOT_ATTACK_ANTI);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(minus_at(signs, i), i % 6 < 3);
        assert_true(numbers[i] == (i % 6 < 3 ? -1.0f : 1.0f));
    }
}

/* Where the honest are even the vote says plus, and so anti says minus. */
static void test_anti_opposes_ties(void **state)
{
    struct ballot_attack_scene scene = scene_of(BALLOT_SIGNS);

    (void)state;
    scene.honest_count = 2;
    ballot_attack_lie(BALLOT_ATTACK_ANTI, signs, COUNT, BALLOT_SIGNS, &scene);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(minus_at(signs, i), i % 6 < 2);
}

/* 40 of 100: the 34 with 2 or 3 minuses of 5, then the first 6 of 33 with 1 or
 * 4. */
static void test_selective_turns_the_smallest_margins(void **state)
{
    uint32_t turned = 0, next = 0;

    (void)state;
    lie(BALLOT_ATTACK_SELECTIVE);
    for (uint32_t i = 0; i < COUNT; i++) {
        const uint32_t m = i % 6;
        const bool majority = m >= 3,
                   is_turned = minus_at(signs, i) != majority;

        turned += is_turned;
        assert_true(numbers[i] == (minus_at(signs, i) ? -1.0f : 1.0f));
        if (m == 2 || m == 3)
            assert_true(is_turned);
        else if (m == 0 || m == 5)
            assert_false(is_turned);
        else
            assert_int_equal(is_turned, next++ < 6);
    }
    assert_int_equal(turned, 40);
}

static void test_mimic_repeats_the_first(void **state)
{
    (void)state;
    lie(BALLOT_ATTACK_MIMIC);
    assert_memory_equal(signs, rows[0], sizeof(signs));
    assert_memory_equal(numbers, honest_numbers[0], sizeof(numbers));
}

static void test_nan_is_plus(void **state)
{
    (void)state;
    lie(BALLOT_ATTACK_NAN);
    assert_int_equal(signs[0] | signs[1], 0);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_true(isnan(numbers[i]));
}

static void test_silent_writes_nothing(void **state)
{
    const struct ballot_attack_scene scene = {0};

    (void)state;
    assert_int_equal(ballot_attack_lie(BALLOT_ATTACK_SILENT, signs, COUNT,
                                       BALLOT_SIGNS, &scene),
                     1);
    assert_memory_equal(signs, before, sizeof(signs));
}

static void test_what_makes_no_sense_is_refused(void **state)
{
    static const enum ballot_attack needing[] = {
        BALLOT_ATTACK_ALIE, BALLOT_ATTACK_PRODUCT, BALLOT_ATTACK_ANTI,
        BALLOT_ATTACK_SELECTIVE, BALLOT_ATTACK_MIMIC};
    struct ballot_attack_scene scene = {0};

    (void)state;
    for (uint32_t i = 0; i < sizeof(needing) / sizeof(needing[0]); i++)
        assert_int_equal(
            ballot_attack_lie(needing[i], signs, COUNT, BALLOT_SIGNS, &scene),
            -EINVAL);
    assert_int_equal(
        ballot_attack_lie(BALLOT_ATTACKS, signs, COUNT, BALLOT_SIGNS, &scene),
        -EINVAL);
    assert_int_equal(ballot_attack_lie(BALLOT_ATTACK_NAN, signs, COUNT,
                                       BALLOT_FLOAT64, &scene),
                     -EINVAL);
    scene.share = -1;
    assert_int_equal(ballot_attack_lie(BALLOT_ATTACK_NAN, signs, COUNT,
                                       BALLOT_SIGNS, &scene),
                     -EINVAL);
    assert_memory_equal(signs, before, sizeof(signs));
}

static void test_limit_leaves_the_first_lies(void **state)
{
    (void)state;
    for (uint32_t most = 0; most <= COUNT; most += 50) {
        memcpy(signs, before, sizeof(signs));
        lie(BALLOT_ATTACK_REVERSED);
        ballot_attack_limit(signs, before, COUNT, most);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(minus_at(signs, i) != minus_at(before, i),
                             i < most);
    }
}

static void test_names_are_all_there(void **state)
{
    (void)state;
    for (enum ballot_attack a = 0; a < BALLOT_ATTACKS; a++)
        for (enum ballot_attack other = 0; other < a; other++)
            assert_string_not_equal(ballot_attack_name(a),
                                    ballot_attack_name(other));
    assert_null(ballot_attack_name(BALLOT_ATTACKS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reversed_turns_all, set_up),
        cmocka_unit_test_setup(test_constant_is_one_number, set_up),
        cmocka_unit_test_setup(test_random_depends_on_all_four, set_up),
        cmocka_unit_test_setup(test_noise_has_mean_0_and_variance_1, set_up),
        cmocka_unit_test_setup(test_alie_turns_the_doubtful, set_up),
        cmocka_unit_test_setup(test_product_and_anti_oppose_the_majority,
                               set_up),
        cmocka_unit_test_setup(test_anti_opposes_ties, set_up),
        cmocka_unit_test_setup(test_selective_turns_the_smallest_margins,
                               set_up),
        cmocka_unit_test_setup(test_mimic_repeats_the_first, set_up),
        cmocka_unit_test_setup(test_nan_is_plus, set_up),
        cmocka_unit_test_setup(test_silent_writes_nothing, set_up),
        cmocka_unit_test_setup(test_what_makes_no_sense_is_refused, set_up),
        cmocka_unit_test_setup(test_limit_leaves_the_first_lies, set_up),
        cmocka_unit_test_setup(test_names_are_all_there, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
