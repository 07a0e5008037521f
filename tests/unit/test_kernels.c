/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_kernels.c - the choice of kernels, and random ties.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"
#include "guarded.h"

static void test_fastest_is_first_that_runs(void **state)
{
    size_t i = 0;

    (void)state;
    while (!kernels_all[i]->supported())
        i++;
    assert_ptr_equal(kernels_pick(NULL), kernels_all[i]);
    assert_ptr_equal(kernels_pick(""), kernels_all[i]);
}

static void test_last_is_portable_and_runs(void **state)
{
    size_t last = 0;

    (void)state;
    while (kernels_all[last + 1] != NULL)
        last++;
    assert_ptr_equal(kernels_all[last], &kernels_portable);
    assert_true(kernels_portable.supported());
}

static void test_names_pick_what_runs(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        assert_ptr_equal(kernels_pick(k->name), k->supported() ? k : NULL);
    }
    assert_string_equal(kernels_pick("portable")->name, "portable");
    assert_null(kernels_pick("avx"));
    assert_null(kernels_pick("portable "));
}

static void test_tables_are_complete(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        for (int type = 0; type < TYPES; type++) {
            assert_non_null(k->pack[type]);
            assert_non_null(k->pack_marks[type]);
            assert_non_null(k->apply[type]);
        }
        assert_non_null(k->vote);
        assert_non_null(k->compare);
        assert_non_null(k->signum);
        assert_non_null(k->feedback);
        assert_non_null(k->feedback_scale);
        assert_non_null(k->update);
    }
}

/* With seed 0 and round 0 the key is 0: SplitMix64's published stream. */
static void test_random_ties_are_splitmix(void **state)
{
    const uint64_t ties[4] = {~0ull, ~0ull, ~0ull, ~0ull};
    uint64_t result[4] = {0};

    (void)state;
    ties_random(result, ties, 0, 0, 0, 4);
    assert_true(result[0] == 0xe220a8397b1dcdaf);
    assert_true(result[1] == 0x6e789e6aa1b965f4);
    assert_true(result[2] == 0x06c45d188009454f);
    assert_true(result[3] == 0xf88bb8a8724c81ec);
}

static void test_random_ties_touch_only_ties(void **state)
{
    uint64_t all[8] = {0};
    uint64_t some[8];
    uint64_t ties[8];
    uint64_t before[8];
    uint64_t seed = 1;

    (void)state;
    for (int w = 0; w < 8; w++)
        ties[w] = ~0ull;
    ties_random(all, ties, 5, 6, 512, 8);
    for (int w = 0; w < 8; w++) {
        ties[w] = random_next(&seed);
        before[w] = some[w] = random_next(&seed);
    }
    ties_random(some, ties, 5, 6, 512, 8);
    for (int w = 0; w < 8; w++)
        assert_true(some[w] == (before[w] | (ties[w] & all[w])));
}

/* However a vector is cut into chunks, a coordinate has the same bit. */
static void test_random_ties_know_their_coordinate(void **state)
{
    enum { WORDS = 64 };
    uint64_t ties[WORDS];
    uint64_t whole[WORDS] = {0};
    uint64_t pieces[WORDS] = {0};

    (void)state;
    memset(ties, 0xff, sizeof(ties));
    ties_random(whole, ties, 7, 1ull << 40, 0, WORDS);
    for (uint64_t w = 0; w < WORDS; w += 8)
        ties_random(&pieces[w], ties, 7, 1ull << 40, 64 * w, 8);
    assert_memory_equal(whole, pieces, sizeof(whole));
}

static int ones_of(const uint64_t *words, size_t count)
{
    int ones = 0;

    for (size_t w = 0; w < count; w++)
        ones += __builtin_popcountll(words[w]);
    return ones;
}

/* Any two streams differ in about half of their 4096 bits (sigma is 32). */
static void test_random_ties_differ_by_seed_and_round(void **state)
{
    enum { WORDS = 64, STREAMS = 8 };
    uint64_t ties[WORDS];
    uint64_t streams[STREAMS][WORDS];

    (void)state;
    memset(ties, 0xff, sizeof(ties));
    memset(streams, 0, sizeof(streams));
    for (uint64_t i = 0; i < STREAMS; i++)
        ties_random(streams[i], ties, i / 4, i % 4, 0, WORDS);
    for (size_t i = 0; i < STREAMS; i++)
        for (size_t j = 0; j < i; j++) {
            uint64_t apart[WORDS];

            for (size_t w = 0; w < WORDS; w++)
                apart[w] = streams[i][w] ^ streams[j][w];
            assert_in_range(ones_of(apart, WORDS), 2048 - 200, 2048 + 200);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fastest_is_first_that_runs),
        cmocka_unit_test(test_last_is_portable_and_runs),
        cmocka_unit_test(test_names_pick_what_runs),
        cmocka_unit_test(test_tables_are_complete),
        cmocka_unit_test(test_random_ties_are_splitmix),
        cmocka_unit_test(test_random_ties_touch_only_ties),
        cmocka_unit_test(test_random_ties_know_their_coordinate),
        cmocka_unit_test(test_random_ties_differ_by_seed_and_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
