/* SPDX-License-Identifier: Apache-2.0 */
/* test_shm_copy.c - copies past the cache, and when they are chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "transport/past.h"
#include "transport/shm_inside.h"

enum { ROOM = 20000 };

static uint8_t from[ROOM], to[ROOM];

static void fill(void)
{
    for (size_t i = 0; i < ROOM; i++)
        from[i] = (uint8_t)(i * 7 + i / 256);
    memset(to, 0xee, ROOM);
}

static void assert_copied(size_t at, size_t source, size_t bytes)
{
    assert_memory_equal(to + at, from + source, bytes);
    for (size_t i = 0; i < at; i++)
        assert_int_equal(to[i], 0xee);
    for (size_t i = at + bytes; i < at + bytes + 128; i++)
        assert_int_equal(to[i], 0xee);
}

static void any_place_and_size_is_copied(void **state)
{
    (void)state;
    for (size_t at = 0; at < 65; at += 5)
        for (size_t source = 0; source < 65; source += 11)
            for (size_t bytes = 0; bytes < 200; bytes++) {
                fill();
                copy_past(to + at, from + source, bytes);
                assert_copied(at, source, bytes);
            }
    fill();
    copy_past(to + 3, from + 1, 16001);
    assert_copied(3, 1, 16001);
}

/* Copies while something large comes back; how many went through the cache. */
static uint32_t copy_answered(struct endpoint *endpoint,
                              struct shm_copying *copying, uint32_t copies)
{
    uint32_t before = copying->cached;

    for (uint32_t i = 0; i < copies; i++) {
        endpoint->copies_alone = 0;
        fill();
        shm_copy(endpoint, copying, to + 64, from + 8, SHM_COPY_LARGE);
        assert_copied(64, 8, SHM_COPY_LARGE);
    }
    return copying->cached - before;
}

static void what_is_slow_goes_past_the_cache_for_a_while(void **state)
{
    struct endpoint endpoint = {0};
    struct shm_copying copying = {.past_left = 5};

    (void)state;
    assert_int_equal(copy_answered(&endpoint, &copying, 5), 0);
    assert_int_equal(copying.past_left, 0);
    /* Then the cache is tried, however slow it is. */
    assert_true(copy_answered(&endpoint, &copying, 3) > 0);
}

static void what_nobody_answers_goes_past_the_cache(void **state)
{
    struct endpoint endpoint = {0};
    struct shm_copying copying = {0};
    uint32_t cached;

    (void)state;
    for (int i = 0; i < 100; i++)
        shm_copy(&endpoint, &copying, to, from, SHM_COPY_LARGE);
    cached = copying.cached;
    for (int i = 0; i < 100; i++) {
        fill();
        shm_copy(&endpoint, &copying, to, from, ROOM - 128);
        assert_copied(0, 0, ROOM - 128);
    }
    assert_int_equal(copying.cached, cached);
}

static void small_copies_count_for_nothing(void **state)
{
    struct endpoint endpoint = {0};
    struct shm_copying copying = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        fill();
        shm_copy(&endpoint, &copying, to + 1, from, SHM_COPY_LARGE - 1);
        assert_copied(1, 0, SHM_COPY_LARGE - 1);
    }
    assert_int_equal(endpoint.copies_alone, 0);
    assert_int_equal(copying.cached, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_place_and_size_is_copied),
        cmocka_unit_test(what_is_slow_goes_past_the_cache_for_a_while),
        cmocka_unit_test(what_nobody_answers_goes_past_the_cache),
        cmocka_unit_test(small_copies_count_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
