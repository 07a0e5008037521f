/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tolerance.c - tolerances against those that were worked out elsewhere,
 * and set-ups that would convict nobody.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aspis/tolerance.h"

struct known {
    uint64_t coordinates;
    double flip_rate;
    uint64_t tolerance;
};

/* P(Poisson(mean) >= k), term by term with logarithms. */
static double tail_of(double mean, uint64_t k)
{
    double tail = 0;

    for (uint64_t i = k; i < k + 20000; i++)
        tail += exp((double)i * log(mean) - mean - lgamma((double)i + 1));
    return tail;
}

/* Tolerances as they were worked out elsewhere, to a thousandth; and the least
 * number it is, to the last digit. */
static void test_table(void **state)
{
    static const struct known table[] = {
        {101770, 3e-6, 11},        {101770, 1e-4, 41},
        {101770, 3e-4, 78},        {101770, 3e-3, 437},
        {101770, 9e-3, 1138},      {1000000, 3e-6, 23},
        {1000000, 1e-4, 179},      {1000000, 3e-4, 431},
        {1000000, 3e-3, 3395},     {1000000, 9e-3, 9681},
        {25600000, 3e-6, 147},     {25600000, 1e-4, 2925},
        {25600000, 3e-4, 8310},    {25600000, 3e-3, 78770},
        {25600000, 9e-3, 233896},  {124000000, 3e-6, 517},
        {124000000, 1e-4, 13199},  {124000000, 3e-4, 38578},
        {124000000, 3e-3, 376315}, {124000000, 9e-3, 1123846},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const double mean = (double)table[i].coordinates * table[i].flip_rate;
        const uint64_t room = table[i].tolerance / 1000;
        uint64_t k;

        assert_int_equal(
            tolerance_for(&k, table[i].coordinates, table[i].flip_rate), 0);
        assert_in_range(k, table[i].tolerance - room,
                        table[i].tolerance + room);
        assert_true(tail_of(mean, k) < 1.0001e-12);
        assert_true(tail_of(mean, k - 1) > 0.9999e-12);
    }
}

/* The smallest such number, for means from nearly nothing on. */
static void test_is_the_smallest(void **state)
{
    (void)state;
    for (double rate = 1e-10; rate < 2e-3; rate *= 1.7) {
        uint64_t k;

        assert_int_equal(tolerance_for(&k, 1000000, rate), 0);
        assert_true(tail_of(1e6 * rate, k) < 1.0001e-12);
        assert_true(k == 1 || tail_of(1e6 * rate, k - 1) > 0.9999e-12);
    }
}

static void test_rates_that_are_none(void **state)
{
    uint64_t tolerance = 7;

    (void)state;
    assert_int_equal(tolerance_for(&tolerance, 1000, -1e-9), -EINVAL);
    assert_int_equal(tolerance_for(&tolerance, 1000, 0.11), -EINVAL);
    assert_int_equal(tolerance_for(&tolerance, 1000, (double)NAN), -EINVAL);
    assert_int_equal(tolerance, 7);
    assert_int_equal(tolerance_for(&tolerance, 1000, 0), 0);
    assert_int_equal(tolerance, 0);
}

static struct verifier_config config_of(enum design design, uint32_t workers)
{
    return (struct verifier_config){
        .assignment = {.design = design, .workers = workers, .replication = 3},
        .liars_max = (workers - 1) / 2,
        .coordinates_max = 4096,
        .kernels = kernels_pick(NULL),
    };
}

static void expect(struct verifier_config config, uint64_t tolerance,
                   uint64_t coordinates, int rc)
{
    char why[ASSIGNMENT_WHY_BYTES] = "";

    config.tolerance = tolerance;
    assert_int_equal(tolerance_try(&config, coordinates, why), rc);
    if (rc == -EINVAL)
        assert_non_null(strstr(why, "flip rate"));
}

/* The tolerance of 10 of the papers' code is a multiple of a vector's length:
 * whatever two workers say, they agree. */
static void test_ten_times_everything_is_refused(void **state)
{
    (void)state;
    expect(config_of(DESIGN_SUBSETS, 7), 10 * 25600000ull, 25600000, -EINVAL);
    expect(config_of(DESIGN_STEINER, 15), 10 * 101770, 101770, -EINVAL);
}

static void test_half_of_all_is_the_limit(void **state)
{
    static const enum design designs[] = {DESIGN_SUBSETS, DESIGN_STEINER,
                                          DESIGN_REPETITION};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct verifier_config config = config_of(designs[i], 15);

        /* An arbiter sees no more than the chunk in which it is asked. */
        if (designs[i] == DESIGN_REPETITION)
            config.coordinates_max = 20000;

        for (uint64_t count = 1000; count < 20000; count += 4711) {
            expect(config, 0, count, 0);
            expect(config, count / 2 - 1, count, 0);
            expect(config, count / 2, count, -EINVAL);
        }
    }
}

/* What the formula gives for all types of the table is taken. */
static void test_derived_tolerances_convict(void **state)
{
    static const double rates[] = {3e-6, 1e-4, 3e-4, 3e-3, 9e-3};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        uint64_t tolerance;

        assert_int_equal(tolerance_for(&tolerance, 25600000, rates[i]), 0);
        expect(config_of(DESIGN_STEINER, 15), tolerance, 25600000, 0);
    }
}

static void test_broken_configuration_is_told(void **state)
{
    struct verifier_config config = config_of(DESIGN_STEINER, 8);
    char why[ASSIGNMENT_WHY_BYTES] = "";

    (void)state;
    assert_int_equal(tolerance_try(&config, 1000, why), -EINVAL);
    assert_null(strstr(why, "flip rate"));
    assert_true(strlen(why) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_is_the_smallest),
        cmocka_unit_test(test_rates_that_are_none),
        cmocka_unit_test(test_ten_times_everything_is_refused),
        cmocka_unit_test(test_half_of_all_is_the_limit),
        cmocka_unit_test(test_derived_tolerances_convict),
        cmocka_unit_test(test_broken_configuration_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
