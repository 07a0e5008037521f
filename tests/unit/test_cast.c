/* SPDX-License-Identifier: Apache-2.0 */
/* test_cast.c - who lies in which task, by the words of each scheme. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "../../include/ballot_attack.h"

enum { WORKERS = 15, REPLICAS = 3 };

static uint32_t count_of(uint64_t bits)
{
    return (uint32_t)__builtin_popcountll(bits);
}

static bool is_broken(enum ballot_scheme scheme)
{
    return scheme == BALLOT_SCHEME_PROMISE_BROKEN;
}

static uint32_t victims_of(enum ballot_scheme scheme, uint32_t liars)
{
    static const int extra[BALLOT_SCHEMES] = {
        [BALLOT_SCHEME_TAKE_OVER] = -1,
    };
    const bool as_many = scheme == BALLOT_SCHEME_FIXED ||
                         scheme == BALLOT_SCHEME_MATCHING ||
                         scheme == BALLOT_SCHEME_TAKE_OVER;

    if (as_many)
        return (uint32_t)((int)liars + extra[scheme]);
    return scheme == BALLOT_SCHEME_FRAMING || scheme == BALLOT_SCHEME_SCAPEGOAT;
}

static void test_casts_are_of_the_right_size(void **state)
{
    (void)state;
    for (enum ballot_scheme scheme = 0; scheme < BALLOT_SCHEMES; scheme++)
        for (uint32_t q = 1; q <= 7; q++)
            for (uint64_t seed = 0; seed < 20; seed++) {
                const uint32_t liars = q + is_broken(scheme);
                struct ballot_cast cast;

                assert_int_equal(
                    ballot_cast_draw(&cast, scheme, WORKERS, q, seed), 0);
                assert_int_equal(count_of(cast.liars[0]), liars);
                assert_int_equal(cast.liars[0] >> WORKERS, 0);
                assert_int_equal(cast.victims[0] & cast.liars[0], 0);
                assert_int_equal(cast.victims[0] >> WORKERS, 0);
                assert_int_equal(count_of(cast.victims[0]),
                                 victims_of(scheme, liars));
                assert_int_equal(cast.loud[0] & ~cast.liars[0], 0);
                if (seed != 0)
                    continue;
                assert_int_equal(cast.liars[0], (1 << liars) - 1);
                assert_int_equal(cast.victims[0] >> liars,
                                 (1 << victims_of(scheme, liars)) - 1);
            }
}

static void test_a_seed_draws_all_workers_alike(void **state)
{
    uint32_t lies[WORKERS] = {0}, suffers[WORKERS] = {0};
    struct ballot_cast cast, again;

    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        ballot_cast_draw(&cast, BALLOT_SCHEME_FIXED, WORKERS, 5, seed);
        ballot_cast_draw(&again, BALLOT_SCHEME_FIXED, WORKERS, 5, seed);
        assert_memory_equal(&cast, &again, sizeof(cast));
        for (int w = 0; w < WORKERS; w++) {
            lies[w] += ballot_cast_lies(&cast, w);
            suffers[w] += (uint32_t)(cast.victims[0] >> w & 1);
        }
    }
    /* 1000 each, +-26 (1 sigma). */
    for (int w = 0; w < WORKERS; w++) {
        assert_in_range(lies[w], 870, 1130);
        assert_in_range(suffers[w], 870, 1130);
    }
}

static void test_bad_casts_are_refused(void **state)
{
    uint64_t liars[BALLOT_CAST_WORDS] = {1 << 6};
    struct ballot_cast cast;

    (void)state;
    assert_int_equal(ballot_cast_draw(&cast, 0, 0, 1, 0), -EINVAL);
    assert_int_equal(ballot_cast_draw(&cast, 0, 257, 1, 0), -EINVAL);
    assert_int_equal(ballot_cast_draw(&cast, 0, 7, 0, 0), -EINVAL);
    assert_int_equal(ballot_cast_draw(&cast, 0, 7, 4, 0), -EINVAL);
    assert_int_equal(ballot_cast_draw(&cast, 0, 7, 3, 0), 0);
    assert_int_equal(ballot_cast_draw(&cast, BALLOT_SCHEMES, 7, 3, 0), -EINVAL);
    assert_int_equal(
        ballot_cast_draw(&cast, BALLOT_SCHEME_PROMISE_BROKEN, 7, 3, 0), 0);
    assert_int_equal(ballot_cast_among(&cast, 0, 7, liars, 0), 0);
    assert_int_equal(ballot_cast_among(&cast, 0, 6, liars, 0), -EINVAL);
    liars[3] = 1;
    assert_int_equal(ballot_cast_among(&cast, 0, 7, liars, 0), -EINVAL);
    assert_int_equal(ballot_cast_among(&cast, 0, 256, liars, 0), 0);
    assert_true(ballot_cast_lies(&cast, 192));
    assert_false(ballot_cast_lies(&cast, 256));
    assert_false(ballot_cast_lies(&cast, -1));
}

/* One task as sets of workers. */
struct task {
    int members[REPLICAS];
    uint64_t all, liars, honest;
};

/* What the scheme says in words, of a liar of the task. */
static enum ballot_part expected(const struct ballot_cast *cast, int worker,
                                 const struct task *task)
{
    const uint64_t self = UINT64_C(1) << worker;
    const bool hidden = (task->honest & ~cast->victims[0]) == 0;
    const uint64_t last = UINT64_C(1) << (63 - __builtin_clzll(cast->liars[0]));
    uint64_t liars = cast->liars[0], partner = cast->victims[0];

    switch (cast->scheme) {
    case BALLOT_SCHEME_INDEPENDENT:
    case BALLOT_SCHEME_PROMISE_BROKEN: return BALLOT_PART_LIE;
    case BALLOT_SCHEME_MAJORITY:
        return count_of(task->liars) >= 2 ? BALLOT_PART_LIE : BALLOT_PART_TRUTH;
    case BALLOT_SCHEME_SCAPEGOAT:
        return self != last || hidden ? BALLOT_PART_LIE : BALLOT_PART_TRUTH;
    case BALLOT_SCHEME_SILENT_GROUP:
        return task->honest == 0 ? BALLOT_PART_LIE : BALLOT_PART_TRUTH;
    case BALLOT_SCHEME_MATCHING:
        if (count_of(task->honest) != 1 || !hidden)
            return BALLOT_PART_TRUTH;
        /* Both sides drop their lowest until the victim is the lowest. */
        for (; (partner & -partner) != task->honest; partner &= partner - 1)
            liars &= liars - 1;
        if ((task->liars & liars & -liars) == 0)
            return BALLOT_PART_TRUTH;
        return (liars & -liars) == self ? BALLOT_PART_LIE : BALLOT_PART_HALF;
    default: return hidden ? BALLOT_PART_LIE : BALLOT_PART_TRUTH;
    }
}

static void check_task(const struct ballot_cast *cast, const struct task *task)
{
    for (uint32_t i = 0; i < REPLICAS; i++) {
        const int worker = task->members[i];
        const enum ballot_part part =
            ballot_cast_part(cast, worker, 3, 4, task->members, REPLICAS);

        if (task->honest >> worker & 1)
            assert_int_equal(part, BALLOT_PART_TRUTH);
        else
            assert_int_equal(part, expected(cast, worker, task));
    }
}

static void test_every_scheme_does_what_it_says(void **state)
{
    (void)state;
    for (enum ballot_scheme scheme = 0; scheme < BALLOT_SCHEMES; scheme++)
        for (uint32_t seed = 0; seed < 70; seed++) {
            struct ballot_cast cast;

            ballot_cast_draw(&cast, scheme, WORKERS, 1 + seed % 7, seed);
            for (int a = 0; a < WORKERS; a++)
                for (int b = a + 1; b < WORKERS; b++)
                    for (int c = b + 1; c < WORKERS; c++) {
                        struct task task = {{a, b, c}, 0, 0, 0};

                        task.all = UINT64_C(1) << a | UINT64_C(1) << b |
                                   UINT64_C(1) << c;
                        task.liars = task.all & cast.liars[0];
                        task.honest = task.all & ~cast.liars[0];
                        check_task(&cast, &task);
                    }
        }
}

/* Two of four are no majority. */
static void test_half_is_no_majority(void **state)
{
    const int members[] = {0, 1, 4, 5}, more[] = {0, 1, 2, 5};
    struct ballot_cast cast;

    (void)state;
    ballot_cast_draw(&cast, BALLOT_SCHEME_MAJORITY, 13, 3, 0);
    assert_int_equal(ballot_cast_part(&cast, 0, 0, 0, members, 4),
                     BALLOT_PART_TRUTH);
    assert_int_equal(ballot_cast_part(&cast, 0, 0, 0, more, 4),
                     BALLOT_PART_LIE);
}

/* Of independent liars each has a voice of its own; the others lie as one, and
 * at the same times. */
static void test_rate_and_voice(void **state)
{
    const int members[REPLICAS] = {0, 1, 2};
    struct ballot_cast alone, together;
    uint32_t lies = 0, same = 0;

    (void)state;
    ballot_cast_draw(&alone, BALLOT_SCHEME_INDEPENDENT, WORKERS, 3, 0);
    ballot_cast_draw(&together, BALLOT_SCHEME_MAJORITY, WORKERS, 3, 0);
    alone.rate = together.rate = 0.3f;
    assert_int_equal(ballot_cast_voice(&alone, 2), 3);
    assert_int_equal(ballot_cast_voice(&together, 2), 0);
    for (uint32_t t = 0; t < 10000; t++) {
        const enum ballot_part first =
            ballot_cast_part(&alone, 0, 1, t, members, 3);

        lies += first == BALLOT_PART_LIE;
        same += first == ballot_cast_part(&alone, 1, 1, t, members, 3);
        assert_int_equal(ballot_cast_part(&together, 0, 1, t, members, 3),
                         ballot_cast_part(&together, 1, 1, t, members, 3));
    }
    assert_in_range(lies, 2800, 3200);
    assert_in_range(same, 5600, 6000); /* .3^2 + .7^2 */
}

static void test_names_are_all_there(void **state)
{
    (void)state;
    for (enum ballot_scheme s = 0; s < BALLOT_SCHEMES; s++)
        for (enum ballot_scheme other = 0; other < s; other++)
            assert_string_not_equal(ballot_scheme_name(s),
                                    ballot_scheme_name(other));
    assert_null(ballot_scheme_name(BALLOT_SCHEMES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_casts_are_of_the_right_size),
        cmocka_unit_test(test_a_seed_draws_all_workers_alike),
        cmocka_unit_test(test_bad_casts_are_refused),
        cmocka_unit_test(test_every_scheme_does_what_it_says),
        cmocka_unit_test(test_half_is_no_majority),
        cmocka_unit_test(test_rate_and_voice),
        cmocka_unit_test(test_names_are_all_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
