/* SPDX-License-Identifier: Apache-2.0 */
/* test_patience.c - a caller that waits learns for how long spinning pays. */
#include "collective/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void wait_so_long(struct patience *patience, uint64_t idle_ns, int times)
{
    for (int i = 0; i < times; i++)
        patience_learn(patience, idle_ns);
}

static void spins_while_waits_are_short(void **state)
{
    struct patience patience = {0};

    (void)state;
    wait_so_long(&patience, 30000, 200);
    assert_int_equal(patience_ask(&patience, 30000), PATIENCE_SPIN);
    assert_int_equal(patience_ask(&patience, 900000), PATIENCE_YIELD);
    assert_int_equal(patience_ask(&patience, 1100000), PATIENCE_SLEEP);
}

static void yields_at_once_while_waits_are_long(void **state)
{
    struct patience patience = {0};

    (void)state;
    wait_so_long(&patience, 30000, 200);
    wait_so_long(&patience, 500000, 40);
    assert_int_equal(patience_ask(&patience, 1000), PATIENCE_YIELD);
}

/* Waits that have become shorter are noticed, whatever was learnt before. */
static void looks_again_now_and_then(void **state)
{
    struct patience patience = {0};
    int spins = 0;

    (void)state;
    wait_so_long(&patience, 500000, 1000);
    for (int i = 0; i < 128; i++) {
        spins += patience_ask(&patience, 40000) == PATIENCE_SPIN;
        patience_learn(&patience, 40000);
    }
    assert_int_equal(patience_ask(&patience, 40000), PATIENCE_SPIN);
    assert_in_range(spins, 64, 128);
}

static void keeps_no_core_from_a_crowd(void **state)
{
    struct patience patience = {.crowded = true};

    (void)state;
    wait_so_long(&patience, 40000, 1000);
    assert_int_equal(patience_ask(&patience, 2000), PATIENCE_YIELD);
    assert_int_equal(patience_ask(&patience, 51000), PATIENCE_SLEEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spins_while_waits_are_short),
        cmocka_unit_test(yields_at_once_while_waits_are_long),
        cmocka_unit_test(looks_again_now_and_then),
        cmocka_unit_test(keeps_no_core_from_a_crowd),
    };

    return cmocka_run_group_tests_name("patience", tests, NULL, NULL);
}
