/* SPDX-License-Identifier: Apache-2.0 */
/* test_variable.c - what stands in for environment variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/ballot_bindings.h"
#include "transport/variable.h"
#include "transport/verbs_settings.h"

static void the_environment_comes_first(void **state)
{
    (void)state;
    unsetenv("BALLOT_IB_HCA");
    assert_null(ballot_variable("BALLOT_IB_HCA"));
    assert_int_equal(ballot_set_variable("BALLOT_IB_HCA", "mlx5_0"), 0);
    assert_string_equal(ballot_variable("BALLOT_IB_HCA"), "mlx5_0");
    setenv("BALLOT_IB_HCA", "rxe0", 1);
    assert_string_equal(ballot_variable("BALLOT_IB_HCA"), "rxe0");
    /* Who sets one to nothing wants the default. */
    setenv("BALLOT_IB_HCA", "", 1);
    assert_string_equal(ballot_variable("BALLOT_IB_HCA"), "");
    unsetenv("BALLOT_IB_HCA");
    assert_int_equal(ballot_set_variable("BALLOT_IB_HCA", NULL), 0);
    assert_null(ballot_variable("BALLOT_IB_HCA"));
}

static void a_value_that_was_read_stays(void **state)
{
    const char *first;
    char text[32] = "0";

    (void)state;
    assert_int_equal(ballot_set_variable("BALLOT_CHUNK", text), 0);
    first = ballot_variable("BALLOT_CHUNK");
    assert_ptr_not_equal(first, text);
    for (int i = 1; i < 100; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(ballot_set_variable("BALLOT_CHUNK", text), 0);
        assert_string_equal(ballot_variable("BALLOT_CHUNK"), text);
    }
    assert_string_equal(first, "0");
    /* The same again needs no memory. */
    first = ballot_variable("BALLOT_CHUNK");
    assert_int_equal(ballot_set_variable("BALLOT_CHUNK", "99"), 0);
    assert_ptr_equal(ballot_variable("BALLOT_CHUNK"), first);
    assert_int_equal(ballot_set_variable("BALLOT_CHUNK", NULL), 0);
}

static void what_stands_in_is_used(void **state)
{
    struct verbs_settings settings;
    char why[WHY_BYTES] = "";

    (void)state;
    unsetenv("BALLOT_IB_TC");
    setenv("BALLOT_IB_SL", "3", 1);
    assert_int_equal(ballot_set_variable("BALLOT_IB_TC", "106"), 0);
    assert_int_equal(ballot_set_variable("BALLOT_IB_SL", "5"), 0);
    assert_int_equal(ballot_set_variable("BALLOT_IB_HCA", "=rxe0"), 0);
    assert_int_equal(verbs_settings_read(&settings, why), 0);
    assert_int_equal(settings.traffic_class, 106);
    assert_int_equal(settings.service_level, 3);
    assert_string_equal(settings.devices, "=rxe0");
    unsetenv("BALLOT_IB_SL");
    assert_int_equal(verbs_settings_read(&settings, why), 0);
    assert_int_equal(settings.service_level, 5);
    assert_int_equal(ballot_set_variable("BALLOT_IB_TC", "300"), 0);
    assert_int_equal(verbs_settings_read(&settings, why), -EINVAL);
    assert_non_null(strstr(why, "BALLOT_IB_TC=300"));
}

static void no_other_name_can_be_set(void **state)
{
    (void)state;
    assert_int_equal(ballot_set_variable("HOME", "x"), -EINVAL);
    assert_int_equal(ballot_set_variable(NULL, "x"), -EINVAL);
    assert_null(ballot_variable(NULL));
}

/* ---- From several threads ---- */

enum { THREADS = 4, TIMES = 2000 };

static void *set_and_read(void *context)
{
    const char *mine = context;

    for (int i = 0; i < TIMES; i++) {
        const char *seen;

        if (variable_stand_in("BALLOT_ALGO", mine) != 0)
            return context;
        seen = variable("BALLOT_ALGO");
        if (seen == NULL || strlen(seen) != 4)
            return context;
    }
    return NULL;
}

static void threads_see_whole_values(void **state)
{
    static char *values[THREADS] = {"aaaa", "bbbb", "cccc", "dddd"};
    pthread_t threads[THREADS];
    void *failed;

    (void)state;
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(
            pthread_create(&threads[t], NULL, set_and_read, values[t]), 0);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(threads[t], &failed);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_comes_first),
        cmocka_unit_test(a_value_that_was_read_stays),
        cmocka_unit_test(what_stands_in_is_used),
        cmocka_unit_test(no_other_name_can_be_set),
        cmocka_unit_test(threads_see_whole_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
