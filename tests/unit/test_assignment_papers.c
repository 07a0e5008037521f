/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_assignment_papers.c - the numbers that the papers print.
 *
 * What liars reach in a design depends on who meets whom alone, so that a count
 * over the tasks must give the published tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

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
}

static int stop(void **state)
{
    (void)state;
    assignment_close(assignment);
    assignment = NULL;
    return 0;
}

/* ---- Sizes --------------------------------------------------------------- */

struct size {
    uint32_t workers, replication, tasks, load;
    uint32_t overlap_min, overlap_max;
};

static void assert_sizes(enum design design, const struct size *sizes,
                         size_t count)
{
    void *state = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct size *s = &sizes[i];
        struct assignment_table table;

        start(design, s->workers, s->replication);
        /* Under other labels the table is the same. */
        for (uint64_t round = 0; round < 3; round++) {
            assignment_measure(assignment, &table);
            assert_int_equal(table.tasks, s->tasks);
            assert_int_equal(table.load.min, s->load);
            assert_int_equal(table.load.max, s->load);
            assert_true(table.load.mean == s->load);
            assert_int_equal(table.overlap.min, s->overlap_min);
            assert_int_equal(table.overlap.max, s->overlap_max);
            /* Both sides count the seats that a worker's neighbours have. */
            assert_true(fabs(table.overlap.mean * (s->workers - 1) -
                             s->load * (s->replication - 1)) < 1e-9);
            assignment_rotate(assignment, round);
        }
        stop(&state);
    }
}

#define ASSERT_SIZES(design, sizes)                                            \
    assert_sizes(design, sizes, sizeof(sizes) / sizeof((sizes)[0]))

static void sizes_are_the_papers(void **state)
{
    const struct size subsets[] = {
        {7, 3, 35, 15, 5, 5},          {9, 3, 84, 28, 7, 7},
        {13, 3, 286, 66, 11, 11},      {15, 3, 455, 91, 13, 13},
        {15, 5, 3003, 1001, 286, 286}, {21, 3, 1330, 190, 19, 19},
        {24, 3, 2024, 253, 22, 22},    {31, 3, 4495, 435, 29, 29},
        {64, 3, 41664, 1953, 62, 62},
    };
    const struct size steiner[] = {
        {7, 3, 7, 3, 1, 1},     {9, 3, 12, 4, 1, 1},    {13, 3, 26, 6, 1, 1},
        {15, 3, 35, 7, 1, 1},   {19, 3, 57, 9, 1, 1},   {21, 3, 70, 10, 1, 1},
        {25, 3, 100, 12, 1, 1}, {27, 3, 117, 13, 1, 1}, {31, 3, 155, 15, 1, 1},
        {33, 3, 176, 16, 1, 1}, {61, 3, 610, 30, 1, 1}, {63, 3, 651, 31, 1, 1},
    };
    const struct size planes[] = {
        {7, 3, 7, 3, 1, 1},   {13, 4, 13, 4, 1, 1}, {21, 5, 21, 5, 1, 1},
        {31, 6, 31, 6, 1, 1}, {57, 8, 57, 8, 1, 1}, {73, 9, 73, 9, 1, 1},
    };
    const struct size repetition[] = {
        {15, 3, 5, 1, 0, 1}, {21, 3, 7, 1, 0, 1}, {24, 3, 8, 1, 0, 1}};
    const struct size mols[] = {{15, 3, 25, 5, 0, 1},
                                {21, 3, 49, 7, 0, 1},
                                {24, 3, 64, 8, 0, 1},
                                {35, 5, 49, 7, 0, 1}};

    (void)state;
    ASSERT_SIZES(DESIGN_SUBSETS, subsets);
    ASSERT_SIZES(DESIGN_STEINER, steiner);
    ASSERT_SIZES(DESIGN_PLANE, planes);
    ASSERT_SIZES(DESIGN_REPETITION, repetition);
    ASSERT_SIZES(DESIGN_MOLS, mols);
}

static void one_worker_meets_nobody(void **state)
{
    struct assignment_table table;

    (void)state;
    start(DESIGN_SUBSETS, 1, 1);
    assignment_measure(assignment, &table);
    assert_int_equal(table.tasks, 1);
    assert_int_equal(table.load.max, 1);
    assert_int_equal(table.overlap.max, 0);
    assert_true(table.overlap.mean == 0);
}

/* ---- What liars reach ---------------------------------------------------- */

/* Workers `first` to `first + count - 1` who are in the task. */
static uint32_t members(uint32_t task, uint32_t first, uint32_t count)
{
    const uint8_t *workers = assignment_workers(assignment, task);
    uint32_t found = 0;

    for (uint32_t i = 0; i < shape->replication; i++)
        found += workers[i] >= first && workers[i] < first + count;
    return found;
}

/* Tasks that are distorted if workers 0 to liars - 1 lie: all of whose members
 * lie; of which most do, and the others are the `liars` workers after them (the
 * strongest attack that the Aspis paper knows); of which most do. */
struct reached {
    uint32_t all, strongest, most;
};

static struct reached reach(uint32_t liars)
{
    struct reached r = {0};

    for (uint32_t t = 0; t < shape->tasks; t++) {
        const uint32_t lying = members(t, 0, liars);
        const bool most = lying > shape->replication / 2;

        r.all += lying == shape->replication;
        r.most += most;
        r.strongest += most && members(t, 0, 2 * liars) == shape->replication;
    }
    return r;
}

static void aspis_loses_what_its_tables_say(void **state)
{
    /* From 2 liars on, 3 replicas; the same for 15, 21 and 24 workers. */
    const uint32_t strongest[] = {2, 10, 28, 60, 110, 182, 280, 408, 570, 770};
    const uint32_t all[] = {0, 1, 4, 10, 20, 35, 56, 84, 120, 165};
    const uint32_t most_of_15[] = {13, 37, 70, 110, 155, 203};
    const uint32_t workers[] = {15, 21, 24};

    for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
        start(DESIGN_SUBSETS, workers[i], 3);
        for (uint32_t liars = 2; 2 * liars < workers[i]; liars++) {
            const struct reached r = reach(liars);

            assert_int_equal(r.strongest, strongest[liars - 2]);
            assert_int_equal(r.all, all[liars - 2]);
            if (workers[i] == 15)
                assert_int_equal(r.most, most_of_15[liars - 2]);
        }
        stop(state);
    }
}

/* Raises *worst to the most tasks that any `left` more workers, none of them
 * below `from`, bring into the hands of a majority of liars. */
static void search(uint32_t *worst, uint8_t *lying, uint32_t reached,
                   uint32_t from, uint32_t left)
{
    const uint32_t majority = shape->replication / 2 + 1;

    if (left == 0) {
        if (reached > *worst)
            *worst = reached;
        return;
    }
    for (uint32_t w = from; w + left <= shape->workers; w++) {
        const uint16_t *tasks = assignment_tasks(assignment, w);
        uint32_t more = 0;

        for (uint32_t i = 0; i < shape->load; i++)
            more += ++lying[tasks[i]] == majority;
        search(worst, lying, reached + more, w + 1, left - 1);
        for (uint32_t i = 0; i < shape->load; i++)
            lying[tasks[i]]--;
    }
}

/* The most tasks of which any so many liars can be the majority. */
static uint32_t worst_case(uint32_t liars)
{
    uint8_t lying[128] = {0};
    uint32_t worst = 0;

    assert_in_range(shape->tasks, 1, sizeof(lying));
    search(&worst, lying, 0, 0, liars);
    return worst;
}

/* ByzShield's tables; for 24 workers, which they lack, an own search. */
static void byzshield_loses_what_its_tables_say(void **state)
{
    const struct {
        uint32_t workers, replication, first, liars;
        uint32_t worst[10];
    } rows[] = {
        {15, 3, 2, 7, {1, 3, 5, 8, 12, 14}},
        {21, 3, 2, 10, {1, 3, 5, 8, 12, 16, 21, 25, 29}},
        {24, 3, 2, 11, {1, 3, 5, 8, 12, 16, 21, 27, 33, 40}},
        {35, 5, 3, 7, {1, 1, 2, 4, 5}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        start(DESIGN_MOLS, rows[i].workers, rows[i].replication);
        for (uint32_t liars = rows[i].first; liars <= rows[i].liars; liars++)
            assert_int_equal(worst_case(liars),
                             rows[i].worst[liars - rows[i].first]);
        stop(state);
    }
}

/* Two liars for each group that is lost. */
static void repetition_loses_a_group_to_two_liars(void **state)
{
    const uint32_t workers[] = {15, 21, 24};

    for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
        start(DESIGN_REPETITION, workers[i], 3);
        for (uint32_t liars = 2; 2 * liars < workers[i]; liars++)
            assert_int_equal(worst_case(liars), liars / 2);
        stop(state);
    }
}

/* Aspis+: at most one task for each pair of liars. */
static void triples_lose_no_more_than_pairs_of_liars(void **state)
{
    const uint32_t workers[] = {7, 9, 13, 15, 19, 21};

    for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
        start(DESIGN_STEINER, workers[i], 3);
        assert_int_equal(worst_case(2), 1);
        assert_int_equal(worst_case(3), 3);
        for (uint32_t liars = 4; 2 * liars < workers[i]; liars++)
            assert_in_range(worst_case(liars), 3, liars * (liars - 1) / 2);
        stop(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(sizes_are_the_papers, stop),
        cmocka_unit_test_teardown(one_worker_meets_nobody, stop),
        cmocka_unit_test_teardown(aspis_loses_what_its_tables_say, stop),
        cmocka_unit_test_teardown(byzshield_loses_what_its_tables_say, stop),
        cmocka_unit_test_teardown(repetition_loses_a_group_to_two_liars, stop),
        cmocka_unit_test_teardown(triples_lose_no_more_than_pairs_of_liars,
                                  stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
