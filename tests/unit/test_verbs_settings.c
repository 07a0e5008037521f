/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_settings.c - the BALLOT_IB_ variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/verbs_settings.h"

static const char *const names[] = {
    "BALLOT_IB_HCA",
    "BALLOT_IB_GID_INDEX",
    "BALLOT_IB_TC",
    "BALLOT_IB_SL",
    "BALLOT_IB_TIMEOUT",
    "BALLOT_IB_RETRY_CNT",
    "BALLOT_IB_QPS_PER_CONNECTION",
    "BALLOT_IB_SEAL",
};

static int clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    return 0;
}

static void without_variables_the_defaults_hold(void **state)
{
    struct verbs_settings settings;
    char why[WHY_BYTES] = "";

    (void)state;
    setenv("BALLOT_IB_TIMEOUT", "", 1);
    assert_int_equal(verbs_settings_read(&settings, why), 0);
    assert_null(settings.devices);
    assert_int_equal(settings.gid_index, -1);
    assert_int_equal(settings.traffic_class, -1);
    assert_int_equal(settings.service_level, -1);
    assert_int_equal(settings.timeout, 16);
    assert_int_equal(settings.retries, 6);
    assert_int_equal(settings.stripes, 1);
    assert_false(settings.seal);
    assert_string_equal(why, "");
}

static void each_variable_is_read(void **state)
{
    static const char *const values[] = {"mlx5", "3", "106", "5",
                                         "20",   "2", "16",  "1"};
    struct verbs_settings settings;
    char why[WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        setenv(names[i], values[i], 1);
    assert_int_equal(verbs_settings_read(&settings, why), 0);
    assert_string_equal(settings.devices, "mlx5");
    assert_int_equal(settings.gid_index, 3);
    assert_int_equal(settings.traffic_class, 106);
    assert_int_equal(settings.service_level, 5);
    assert_int_equal(settings.timeout, 20);
    assert_int_equal(settings.retries, 2);
    assert_int_equal(settings.stripes, 16);
    assert_true(settings.seal);
}

static void what_is_out_of_range_is_named_with_its_range(void **state)
{
    static const struct {
        const char *name, *good, *bad, *says;
    } cases[] = {
        {"BALLOT_IB_GID_INDEX", "-1", "-2", "=-2 is not a number from -1"},
        {"BALLOT_IB_GID_INDEX", "255", "256", "from -1 to 255"},
        {"BALLOT_IB_TC", "0", "-1", "from 0 to 255"},
        {"BALLOT_IB_TC", "255", "256", "from 0 to 255"},
        {"BALLOT_IB_SL", "15", "16", "from 0 to 15"},
        {"BALLOT_IB_TIMEOUT", "1", "0", "0 would wait for ever"},
        {"BALLOT_IB_TIMEOUT", "24", "25", "from 1 to 24"},
        {"BALLOT_IB_RETRY_CNT", "6", "7", "7 has no end"},
        {"BALLOT_IB_RETRY_CNT", "0", "-1", "from 0 to 6"},
        {"BALLOT_IB_QPS_PER_CONNECTION", "1", "0", "from 1 to 16"},
        {"BALLOT_IB_QPS_PER_CONNECTION", "16", "17", "from 1 to 16"},
        {"BALLOT_IB_SEAL", "0", "2", "from 0 to 1"},
        {"BALLOT_IB_TC", "7", "7x", "=7x is not a number"},
        {"BALLOT_IB_TC", "7", "x", "=x is not a number"},
        {"BALLOT_IB_TC", "7", "99999999999999999999", "from 0 to 255"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verbs_settings settings;
        char why[WHY_BYTES] = "";

        setenv(cases[i].name, cases[i].good, 1);
        assert_int_equal(verbs_settings_read(&settings, why), 0);
        setenv(cases[i].name, cases[i].bad, 1);
        assert_int_equal(verbs_settings_read(&settings, why), -EINVAL);
        if (strstr(why, cases[i].name) == NULL ||
            strstr(why, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", why, cases[i].says);
        unsetenv(cases[i].name);
    }
}

static void devices_are_named_as_nccl_names_them(void **state)
{
    static const struct {
        const char *devices, *device;
        uint32_t port;
        bool allowed;
    } cases[] = {
        {NULL, "mlx5_0", 1, true},
        {"", "mlx5_0", 1, true},
        {"mlx5", "mlx5_0", 1, true},
        {"mlx5", "rxe0", 1, false},
        {"mlx5_1", "mlx5_10", 1, true},
        {"=mlx5_1", "mlx5_10", 1, false},
        {"=mlx5_1", "mlx5_1", 1, true},
        {"mlx5_0:1", "mlx5_0", 1, true},
        {"mlx5_0:1", "mlx5_0", 2, false},
        {"mlx5_0:1,mlx5_1", "mlx5_0", 2, false},
        {"mlx5_0:1,mlx5_1", "mlx5_1", 2, true},
        {"=mlx5_0:2,rxe0", "mlx5_0", 2, true},
        {"=mlx5_0:2,rxe0", "rxe0", 1, true},
        {"=mlx5_0:2,rxe0", "rxe01", 1, false},
        {"^mlx5_3", "mlx5_3", 1, false},
        {"^mlx5_3", "mlx5_30", 1, false},
        {"^=mlx5_3", "mlx5_30", 1, true},
        {"^=mlx5_3,rxe0:1", "rxe0", 1, false},
        {"^=mlx5_3,rxe0:1", "rxe0", 2, true},
        {",,rxe0,", "rxe0", 1, true},
        {",,rxe0,", "mlx5_0", 1, false},
        {"^", "mlx5_0", 1, true},
        {"=", "mlx5_0", 1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verbs_settings settings = {.devices = cases[i].devices};

        if (verbs_settings_allow(&settings, cases[i].device, cases[i].port) !=
            cases[i].allowed)
            fail_msg("\"%s\" and %s:%u",
                     cases[i].devices == NULL ? "" : cases[i].devices,
                     cases[i].device, cases[i].port);
    }
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test_setup(without_variables_the_defaults_hold, clear),
    cmocka_unit_test_setup(each_variable_is_read, clear),
    cmocka_unit_test_setup(what_is_out_of_range_is_named_with_its_range, clear),
    cmocka_unit_test(devices_are_named_as_nccl_names_them),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
