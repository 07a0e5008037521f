/* SPDX-License-Identifier: Apache-2.0 */
/* test_nodelist.c - Slurm's lists of hosts, and what looks like them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collective/nodelist.h"

enum { HOST_BYTES = 256 };

static void the_first_host_is_found(void **state)
{
    static const char *const lists[][2] = {
        {"vm", "vm"},
        {"a.b-c_d,e", "a.b-c_d"},
        {"n[1-3]", "n1"},
        {"n[007-120]", "n007"},
        {"n[5]", "n5"},
        {"n[12,3-4]-ib[0-1],m", "n12-ib0"},
        {"n[1-2]x,[3-4]", "n1x"},
        {"[10-11]", "10"},
        {"a,b,c,d[1,2,3]", "a"},
        {"n[99999999999999999999999999-3]", "n99999999999999999999999999"},
    };
    char host[HOST_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        assert_int_equal(nodelist_first(lists[i][0], host, sizeof(host)), 0);
        assert_string_equal(host, lists[i][1]);
    }
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const lists[] = {
        "",      ",",       "a,",     ",a",       "a,,b",  "n[",    "n[]",
        "n[1",   "n[1-",    "n[1-]",  "n[-1]",    "n[1,]", "n[,1]", "n[a]",
        "n]",    "n[1]]",   "n[[1]]", "n[1-2-3]", "a b",   "a;rm",  "(null)",
        "a,n[1", "a,n[1-2", "a/b",    "n[1 ]",    "\xff",
    };
    char host[HOST_BYTES] = "untouched";

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (nodelist_first(lists[i], host, sizeof(host)) != -EINVAL)
            fail_msg("'%s' is taken for %s", lists[i], host);
    assert_string_equal(host, "untouched");
}

static void a_host_that_has_no_room_is_refused(void **state)
{
    char list[400], host[8] = "x";

    (void)state;
    assert_int_equal(nodelist_first("n[1234567]", host, sizeof(host)), -EINVAL);
    assert_string_equal(host, "x");
    assert_int_equal(nodelist_first("n[123456]", host, sizeof(host)), 0);
    assert_string_equal(host, "n123456");
    memset(list, 'h', sizeof(list) - 1);
    list[sizeof(list) - 1] = '\0';
    assert_int_equal(nodelist_first(list, host, sizeof(host)), -EINVAL);
}

static uint64_t random_state = 1;

static unsigned draw(unsigned below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1;
    return (unsigned)(random_state >> 33) % below;
}

/* Appends a name with brackets; its first host goes to `first` if not NULL. */
static void append_name(char *list, char *first)
{
    for (unsigned part = 0, parts = 1 + draw(4); part < parts; part++) {
        char text[64];

        if (draw(2) == 0 || (part == 0 && draw(4) != 0)) {
            snprintf(text, sizeof(text), "%c%c", 'a' + (int)draw(26),
                     "-._z9"[draw(5)]);
            strcat(list, text);
            if (first != NULL)
                strcat(first, text);
            continue;
        }
        strcat(list, "[");
        for (unsigned range = 0, ranges = 1 + draw(4); range < ranges;
             range++) {
            snprintf(text, sizeof(text), "%0*u", (int)draw(5), draw(1000));
            if (first != NULL && range == 0)
                strcat(first, text);
            strcat(list, range == 0 ? "" : ",");
            strcat(list, text);
            if (draw(2) == 0) {
                snprintf(text, sizeof(text), "-%u", 1000 + draw(1000));
                strcat(list, text);
            }
        }
        strcat(list, "]");
    }
}

/* Lists that are made from their first host, then lists with one byte that was
 * changed: these are refused, or still are lists. */
static void random_lists(void **state)
{
    static const char hosts[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char list[2048] = "", first[1024] = "", host[HOST_BYTES];

        append_name(list, first);
        for (unsigned more = draw(4); more > 0; more--) {
            strcat(list, ",");
            append_name(list, NULL);
        }
        assert_int_equal(nodelist_first(list, host, sizeof(host)), 0);
        assert_string_equal(host, first);
        list[draw((unsigned)strlen(list))] = (char)(1 + draw(255));
        strcpy(host, "untouched");
        if (nodelist_first(list, host, sizeof(host)) == 0) {
            assert_true(strlen(host) > 0);
            for (const char *c = host; *c != '\0'; c++)
                assert_true(strchr(hosts, *c) != NULL ||
                            (*c >= 'A' && *c <= 'Z'));
        } else {
            assert_string_equal(host, "untouched");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_host_is_found),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(a_host_that_has_no_room_is_refused),
        cmocka_unit_test(random_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
