/* SPDX-License-Identifier: Apache-2.0 */
/* test_assignment_designs.c - every design against its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "aspis/assignment.h"

static struct assignment *assignment;
static const struct assignment_shape *shape;

static void start(enum design design, uint32_t workers, uint32_t replication)
{
    const struct assignment_config config = {
        .design = design, .workers = workers, .replication = replication};
    char why[ASSIGNMENT_WHY_BYTES] = "";
    const int rc = assignment_open(&assignment, &config, why);

    if (rc < 0)
        fail_msg("%u by %u: %s", workers, replication, why);
    shape = assignment_shape(assignment);
    assert_int_equal(shape->workers, workers);
    assert_int_equal(shape->replication, replication);
}

static int stop(void **state)
{
    (void)state;
    assignment_close(assignment);
    assignment = NULL;
    return 0;
}

static bool is_in(uint32_t worker, uint32_t task)
{
    return memchr(assignment_workers(assignment, task), (int)worker,
                  shape->replication) != NULL;
}

static void assert_tasks_are_whole(void)
{
    assert_in_range(shape->tasks, 1, ASSIGNMENT_TASKS_MAX);
    for (uint32_t t = 0; t < shape->tasks; t++) {
        const uint8_t *workers = assignment_workers(assignment, t);

        for (uint32_t i = 0; i < shape->replication; i++) {
            assert_true(workers[i] < shape->workers);
            assert_true(i == 0 || workers[i - 1] < workers[i]);
        }
    }
}

/* The two directions say the same, and all have the same load. */
static void assert_loads(uint32_t load)
{
    assert_int_equal(shape->load, load);
    for (uint32_t w = 0; w < shape->workers; w++) {
        const uint16_t *tasks = assignment_tasks(assignment, w);
        uint32_t found = 0;

        for (uint32_t t = 0; t < shape->tasks; t++)
            if (is_in(w, t)) {
                assert_true(found < load);
                assert_int_equal(tasks[found++], t);
            }
        assert_int_equal(found, load);
    }
}

static uint32_t meetings(uint32_t one, uint32_t other)
{
    uint32_t count = 0;

    for (uint32_t t = 0; t < shape->tasks; t++)
        count += is_in(one, t) && is_in(other, t);
    return count;
}

typedef uint32_t overlap_fn(uint32_t one, uint32_t other);

/* Every pair meets as often as `expected` says, counted and by the table. */
static void assert_overlaps(overlap_fn *expected)
{
    for (uint32_t w = 0; w < shape->workers; w++) {
        assert_int_equal(assignment_overlap(assignment, w, w), shape->load);
        for (uint32_t v = 0; v < shape->workers; v++) {
            if (v == w)
                continue;
            assert_int_equal(meetings(v, w), expected(v, w));
            assert_int_equal(assignment_overlap(assignment, v, w),
                             expected(v, w));
        }
    }
}

static uint32_t once(uint32_t one, uint32_t other)
{
    (void)one;
    (void)other;
    return 1;
}

/* ---- All subsets --------------------------------------------------------- */

static uint64_t choose(uint32_t n, uint32_t k)
{
    if (k > n)
        return 0;
    return k == 0 ? 1 : choose(n - 1, k - 1) * n / k;
}

static uint32_t of_subsets(uint32_t one, uint32_t other)
{
    (void)one;
    (void)other;
    if (shape->replication < 2)
        return 0;
    return (uint32_t)choose(shape->workers - 2, shape->replication - 2);
}

/* Masks of `replication` bits, worker 0 the highest bit: from the largest mask
 * downwards their subsets are in lexicographic order. */
static void assert_lexicographic(void)
{
    uint32_t task = 0;

    for (uint32_t mask = 1u << shape->workers; mask-- > 0;) {
        const uint8_t *workers;
        uint32_t found = 0;

        if ((uint32_t)__builtin_popcount(mask) != shape->replication)
            continue;
        workers = assignment_workers(assignment, task++);
        for (uint32_t w = 0; w < shape->workers; w++)
            if (mask >> (shape->workers - 1 - w) & 1)
                assert_int_equal(workers[found++], w);
    }
    assert_int_equal(task, shape->tasks);
}

static void subsets_come_in_lexicographic_order(void **state)
{
    for (uint32_t workers = 1; workers <= 15; workers++)
        for (uint32_t replicas = 1; replicas <= workers; replicas += 2) {
            start(DESIGN_SUBSETS, workers, replicas);
            assert_int_equal(shape->tasks, choose(workers, replicas));
            assert_lexicographic();
            assert_tasks_are_whole();
            stop(state);
        }
}

static void subsets_are_balanced(void **state)
{
    for (uint32_t workers = 1; workers <= 11; workers++)
        for (uint32_t replicas = 1; replicas <= workers; replicas += 2) {
            start(DESIGN_SUBSETS, workers, replicas);
            assert_loads((uint32_t)choose(workers - 1, replicas - 1));
            assert_overlaps(of_subsets);
            stop(state);
        }
}

static void the_largest_number_of_subsets_is_within_the_limit(void **state)
{
    (void)state;
    start(DESIGN_SUBSETS, 73, 3);
    assert_int_equal(shape->tasks, 62196);
    assert_tasks_are_whole();
    assert_memory_equal(assignment_workers(assignment, 0), "\0\1\2", 3);
    assert_memory_equal(assignment_workers(assignment, 62195), "FGH", 3);
    assert_int_equal(assignment_tasks(assignment, 72)[shape->load - 1], 62195);
    assert_int_equal(assignment_overlap(assignment, 0, 72), 71);
}

/* ---- Designs in which each pair meets once ------------------------------- */

static void every_pair_is_in_one_triple(void **state)
{
    for (uint32_t workers = 3; workers <= 63; workers++) {
        if (workers % 6 != 1 && workers % 6 != 3)
            continue;
        start(DESIGN_STEINER, workers, 3);
        assert_int_equal(shape->tasks, workers * (workers - 1) / 6);
        assert_tasks_are_whole();
        assert_loads((workers - 1) / 2);
        assert_overlaps(once);
        stop(state);
    }
}

/* Numbered from 1, the workers of a task add up to 0 without carry. */
static void spaces_of_two_elements_hold_lines(void **state)
{
    for (uint32_t workers = 3; workers <= 255; workers = 2 * workers + 1) {
        start(DESIGN_STEINER, workers, 3);
        for (uint32_t t = 0; t < shape->tasks; t++) {
            const uint8_t *w = assignment_workers(assignment, t);

            assert_int_equal((w[0] + 1) ^ (w[1] + 1) ^ (w[2] + 1), 0);
        }
        stop(state);
    }
}

/* Each pair once, without a walk over the tasks for each pair. */
static void large_triple_systems_hold_every_pair_once(void **state)
{
    for (uint32_t workers = 67; workers <= 255; workers++) {
        static uint8_t met[ASSIGNMENT_WORKERS_MAX][ASSIGNMENT_WORKERS_MAX];

        if (workers % 6 != 1 && workers % 6 != 3)
            continue;
        start(DESIGN_STEINER, workers, 3);
        assert_int_equal(shape->tasks, workers * (workers - 1) / 6);
        assert_tasks_are_whole();
        memset(met, 0, sizeof(met));
        for (uint32_t t = 0; t < shape->tasks; t++) {
            const uint8_t *w = assignment_workers(assignment, t);

            met[w[0]][w[1]]++;
            met[w[0]][w[2]]++;
            met[w[1]][w[2]]++;
        }
        for (uint32_t w = 0; w < workers; w++)
            for (uint32_t v = w + 1; v < workers; v++)
                assert_int_equal(met[w][v], 1);
        stop(state);
    }
}

/* By duality the lines are met as the points are: each two in one worker. */
static void assert_lines_meet_once(void)
{
    for (uint32_t t = 0; t < shape->tasks; t++)
        for (uint32_t u = 0; u < t; u++) {
            uint32_t common = 0;

            for (uint32_t w = 0; w < shape->workers; w++)
                common += is_in(w, t) && is_in(w, u);
            assert_int_equal(common, 1);
        }
}

static void planes_have_one_line_a_pair_and_one_point_two_lines(void **state)
{
    const uint32_t orders[] = {2, 3, 4, 5, 7, 8, 9, 11, 13};

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        const uint32_t n = orders[i];

        start(DESIGN_PLANE, n * n + n + 1, n + 1);
        assert_int_equal(shape->tasks, n * n + n + 1);
        assert_tasks_are_whole();
        assert_loads(n + 1);
        assert_overlaps(once);
        assert_lines_meet_once();
        stop(state);
    }
}

/* ---- Baselines ----------------------------------------------------------- */

static uint32_t in_one_group(uint32_t one, uint32_t other)
{
    return one / shape->replication == other / shape->replication;
}

static void groups_repeat_one_task(void **state)
{
    for (uint32_t groups = 1; groups <= 17; groups++)
        for (uint32_t replicas = 1; replicas <= 15; replicas += 2) {
            start(DESIGN_REPETITION, groups * replicas, replicas);
            assert_int_equal(shape->tasks, groups);
            assert_tasks_are_whole();
            assert_loads(1);
            assert_overlaps(in_one_group);
            stop(state);
        }
}

static uint32_t in_other_squares(uint32_t one, uint32_t other)
{
    const uint32_t order = shape->workers / shape->replication;

    return one / order != other / order;
}

/* The symbol in a cell of a square, which worker s * order + symbol has. */
static uint32_t symbol(uint32_t square, uint32_t row, uint32_t column)
{
    const uint32_t order = shape->workers / shape->replication;
    const uint32_t worker =
        assignment_workers(assignment, row * order + column)[square];

    assert_int_equal(worker / order, square);
    return worker % order;
}

static void assert_latin(uint32_t square, uint32_t order)
{
    for (uint32_t i = 0; i < order; i++) {
        bool in_row[ASSIGNMENT_WORKERS_MAX] = {false};
        bool in_column[ASSIGNMENT_WORKERS_MAX] = {false};

        for (uint32_t j = 0; j < order; j++) {
            assert_false(in_row[symbol(square, i, j)]);
            assert_false(in_column[symbol(square, j, i)]);
            in_row[symbol(square, i, j)] = true;
            in_column[symbol(square, j, i)] = true;
        }
    }
}

/* Laid over each other they show every pair of symbols once. */
static void assert_orthogonal(uint32_t one, uint32_t other, uint32_t order)
{
    bool shown[85][85] = {{false}};

    for (uint32_t row = 0; row < order; row++)
        for (uint32_t column = 0; column < order; column++) {
            bool *pair =
                &shown[symbol(one, row, column)][symbol(other, row, column)];

            assert_false(*pair);
            *pair = true;
        }
}

static void squares_are_latin_and_orthogonal(void **state)
{
    const uint32_t sizes[][2] = {{4, 3},  {5, 3},  {7, 3},   {7, 5},  {8, 3},
                                 {8, 7},  {9, 5},  {16, 15}, {25, 3}, {27, 3},
                                 {32, 5}, {49, 3}, {81, 3}};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint32_t order = sizes[i][0], squares = sizes[i][1];

        start(DESIGN_MOLS, order * squares, squares);
        assert_int_equal(shape->tasks, order * order);
        assert_tasks_are_whole();
        assert_loads(order);
        for (uint32_t s = 0; s < squares; s++) {
            assert_latin(s, order);
            for (uint32_t other = 0; other < s; other++)
                assert_orthogonal(s, other, order);
        }
        if (order <= 9)
            assert_overlaps(in_other_squares);
        stop(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(subsets_come_in_lexicographic_order, stop),
        cmocka_unit_test_teardown(subsets_are_balanced, stop),
        cmocka_unit_test_teardown(
            the_largest_number_of_subsets_is_within_the_limit, stop),
        cmocka_unit_test_teardown(every_pair_is_in_one_triple, stop),
        cmocka_unit_test_teardown(spaces_of_two_elements_hold_lines, stop),
        cmocka_unit_test_teardown(large_triple_systems_hold_every_pair_once,
                                  stop),
        cmocka_unit_test_teardown(
            planes_have_one_line_a_pair_and_one_point_two_lines, stop),
        cmocka_unit_test_teardown(groups_repeat_one_task, stop),
        cmocka_unit_test_teardown(squares_are_latin_and_orthogonal, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
