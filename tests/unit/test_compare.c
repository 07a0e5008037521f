/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_compare.c - every comparison of replicas against a naive count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"
#include "guarded.h"

enum {
    COUNT_MAX = 20000, /* more than a tile of copies takes, twice */
    WORDS_MAX = (COUNT_MAX + 511) / 512 * LINE_WORDS,
    PAIRS_MAX = REPLICAS_MAX * (REPLICAS_MAX - 1) / 2,
    AREA_MAJORITY = REPLICAS_MAX,
    AREAS,
};

/* Replicas between forbidden pages, and what is expected of them. */
struct task {
    struct guarded pages; /* rows, majority */
    const uint64_t *rows[REPLICAS_MAX];
    uint32_t replicas;
    size_t count;
    bool end; /* rows end, not start, at a forbidden page */
    uint64_t majority[WORDS_MAX];
    uint64_t distances[PAIRS_MAX];
};

static uint64_t seed = 1;

static size_t bytes_of(const struct task *task)
{
    return lines_for(task->count) * LINE_BYTES;
}

static uint32_t pairs_of(const struct task *task)
{
    return task->replicas * (task->replicas - 1) / 2;
}

/* Most replicas are alike; a liar has bits behind the last coordinate too. */
static void task_make(struct task *task, uint32_t replicas, size_t count,
                      bool end)
{
    task->replicas = replicas;
    task->count = count;
    task->end = end;
    for (uint32_t r = 0; r < replicas; r++) {
        uint64_t *row = guarded_at(&task->pages, r, bytes_of(task), end);

        for (size_t w = 0; w < bytes_of(task) / 8; w++)
            row[w] = r > 0 && random_next(&seed) % 4 != 0 ? task->rows[r - 1][w]
                                                          : random_next(&seed);
        task->rows[r] = row;
    }
}

static bool bit_of(const uint64_t *row, size_t i)
{
    return (row[i / 64] >> i % 64) % 2 == 1;
}

/* The reference: one coordinate after the other. */
static void expect(struct task *task)
{
    memset(task->majority, 0, sizeof(task->majority));
    memset(task->distances, 0, sizeof(task->distances));
    for (size_t i = 0; i < task->count; i++) {
        uint64_t *distance = task->distances;
        uint32_t minus = 0;

        for (uint32_t a = 0; a < task->replicas; a++) {
            minus += bit_of(task->rows[a], i);
            for (uint32_t b = a + 1; b < task->replicas; b++)
                *distance++ +=
                    bit_of(task->rows[a], i) != bit_of(task->rows[b], i);
        }
        if (2 * minus > task->replicas)
            task->majority[i / 64] |= 1ull << i % 64;
    }
}

static void check_table(const struct task *task, const struct kernels *k,
                        bool voted)
{
    uint64_t *majority =
        guarded_at(&task->pages, AREA_MAJORITY, bytes_of(task), task->end);
    uint64_t distances[PAIRS_MAX + 1];
    const struct compare compare = {
        .majority = voted ? majority : NULL,
        .distances = distances,
        .rows = task->rows,
        .replicas = task->replicas,
        .count = task->count,
        .far = task->count % 3 == 0,
    };

    memset(majority, 0x5a, bytes_of(task));
    for (uint32_t i = 0; i <= PAIRS_MAX; i++)
        distances[i] = 1000 * (uint64_t)i;
    k->compare(&compare);
    for (uint32_t i = 0; i <= PAIRS_MAX; i++) {
        const uint64_t differ = distances[i] - 1000 * (uint64_t)i;
        const uint64_t wanted = i < pairs_of(task) ? task->distances[i] : 0;

        if (differ != wanted)
            fail_msg("%s: pair %u of %u replicas differs in %llu of %zu "
                     "coordinates, not in %llu",
                     k->name, i, task->replicas, (unsigned long long)wanted,
                     task->count, (unsigned long long)differ);
    }
    if (voted && memcmp(majority, task->majority, bytes_of(task)) != 0)
        fail_msg("%s: the majority of %u replicas of %zu coordinates is wrong",
                 k->name, task->replicas, task->count);
    for (size_t w = 0; !voted && w < bytes_of(task) / 8; w++)
        assert_true(majority[w] == 0x5a5a5a5a5a5a5a5a);
}

static void check(struct task *task)
{
    expect(task);
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        if (!kernels_all[i]->supported())
            continue;
        check_table(task, kernels_all[i], true);
        check_table(task, kernels_all[i], false);
    }
}

/* Three replicas have a loop of their own. */
static void test_three_at_every_count(void **state)
{
    struct task *task = *state;

    for (size_t count = 0; count <= 1300; count++)
        for (int end = 0; end < 2; end++) {
            task_make(task, 3, count, end);
            check(task);
        }
}

static void test_all_replicas_at_tails(void **state)
{
    static const size_t near[] = {0, 1, 63, 64, 65, 255, 256, 257, 447, 511};
    struct task *task = *state;

    for (uint32_t replicas = 2; replicas <= REPLICAS_MAX; replicas++)
        for (size_t line = 0; line < 3; line++)
            for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
                task_make(task, replicas, 512 * line + near[i], i % 2);
                check(task);
            }
}

static void test_all_counts_at_some_replicas(void **state)
{
    struct task *task = *state;

    for (size_t count = 0; count <= 1300; count++) {
        task_make(task, 2 + (uint32_t)(count % (REPLICAS_MAX - 1)), count,
                  count / 2 % 2);
        check(task);
    }
}

/* Rows longer than what is copied at a time. */
static void test_long_rows(void **state)
{
    static const size_t counts[] = {7679,  7680,  7681,  8192,
                                    15360, 15361, 19999, COUNT_MAX};
    struct task *task = *state;

    for (uint32_t replicas = 2; replicas <= REPLICAS_MAX; replicas++) {
        const size_t some = replicas % 2 * 4;

        for (size_t i = some; i < some + 4; i++) {
            task_make(task, replicas, counts[i], i % 2);
            check(task);
        }
    }
}

/* Two against two: nobody has more than half. */
static void test_tie_is_plus(void **state)
{
    struct task *task = *state;

    for (uint32_t replicas = 2; replicas <= REPLICAS_MAX; replicas += 2) {
        task_make(task, replicas, 1000, true);
        for (uint32_t r = 0; r < replicas; r++)
            memset((void *)(uintptr_t)task->rows[r], r % 2 == 0 ? 0xff : 0,
                   bytes_of(task));
        check(task);
        for (size_t w = 0; w < bytes_of(task) / 8; w++)
            assert_true(task->majority[w] == 0);
        assert_true(task->distances[0] == 1000);
    }
}

/* The largest sums: every coordinate differs. */
static void test_opposites_differ_everywhere(void **state)
{
    struct task *task = *state;

    for (uint32_t replicas = 2; replicas <= REPLICAS_MAX; replicas++) {
        task_make(task, replicas, COUNT_MAX, true);
        for (uint32_t r = 1; r < replicas; r++) {
            uint64_t *row = (uint64_t *)(uintptr_t)task->rows[r];

            for (size_t w = 0; w < bytes_of(task) / 8; w++)
                row[w] = ~task->rows[0][w];
        }
        check(task);
        assert_true(task->distances[0] == COUNT_MAX);
    }
}

static int setup(void **state)
{
    static struct task task;

    task.pages = guarded_open(AREAS, 8 * WORDS_MAX);
    *state = &task;
    return 0;
}

static int teardown(void **state)
{
    struct task *task = *state;

    guarded_close(&task->pages);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_at_every_count),
        cmocka_unit_test(test_all_replicas_at_tails),
        cmocka_unit_test(test_all_counts_at_some_replicas),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_tie_is_plus),
        cmocka_unit_test(test_opposites_differ_everywhere),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
