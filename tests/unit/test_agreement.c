/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agreement.c - which distances become evidence, and for how long.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aspis/agreement.h"
#include "guarded.h"

enum { EVERYBODY = 7 }; /* the three replicas of a task */

static const uint8_t holders[2][3] = {{0, 4, 255}, {4, 7, 255}};

static struct agreement *opened(uint64_t tolerance)
{
    const struct agreement_config config = {
        .workers = 256, .tasks = 2, .replicas = 3, .tolerance = tolerance};
    struct agreement *agreement;

    assert_int_equal(agreement_open(&agreement, &config), 0);
    return agreement;
}

static bool add(struct agreement *agreement, uint32_t task, uint64_t first,
                uint64_t second, uint64_t third)
{
    const uint64_t distances[] = {first, second, third};

    return agreement_add(agreement, task, holders[task], EVERYBODY, distances);
}

static bool dispute(const struct agreement *agreement, uint32_t a, uint32_t b)
{
    const struct graph *graph = agreement_graph(agreement);

    assert_int_equal(workers_has(&graph->adjacent[a], b),
                     workers_has(&graph->adjacent[b], a));
    return workers_has(&graph->adjacent[a], b);
}

static uint32_t edges(const struct agreement *agreement)
{
    uint32_t degrees = 0;

    for (uint32_t w = 0; w < WORKERS_MAX; w++)
        degrees += graph_degree(agreement_graph(agreement), w);
    return degrees / 2;
}

static void test_configuration_is_checked(void **state)
{
    const struct agreement_config wrong[] = {
        {.workers = 1, .tasks = 1, .replicas = 2},
        {.workers = WORKERS_MAX + 1, .tasks = 1, .replicas = 3},
        {.workers = 7, .tasks = 0, .replicas = 3},
        {.workers = 7, .tasks = 1, .replicas = 0},
        {.workers = 7, .tasks = 1, .replicas = 1},
        {.workers = 7, .tasks = 1, .replicas = 8},
        {.workers = 256, .tasks = 1, .replicas = REPLICAS_MAX + 1},
    };
    struct agreement *agreement;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(agreement_open(&agreement, &wrong[i]), -EINVAL);
    agreement_close(NULL);
}

/* One below the tolerance, at it and one above. */
static void test_distance_above_tolerance_is_an_edge(void **state)
{
    struct agreement *agreement = opened(10);

    (void)state;
    assert_false(add(agreement, 0, 9, 10, 0));
    assert_int_equal(edges(agreement), 0);
    assert_true(add(agreement, 1, 9, 11, 10));
    assert_int_equal(edges(agreement), 1);
    assert_true(dispute(agreement, 4, 255));
    agreement_close(agreement);
}

static void test_distances_add_up_over_chunks_of_one_task(void **state)
{
    struct agreement *agreement = opened(10);

    (void)state;
    /* Two tasks of 4 and 255 do not add up. */
    assert_false(add(agreement, 0, 0, 0, 10));
    assert_false(add(agreement, 1, 0, 10, 0));
    assert_int_equal(edges(agreement), 0);
    assert_true(add(agreement, 0, 10, 0, 1));
    assert_int_equal(edges(agreement), 1);
    assert_true(dispute(agreement, 4, 255));
    assert_false(add(agreement, 0, 0, 0, 1));
    assert_int_equal(agreement_distances(agreement, 0)[0], 10);
    assert_int_equal(agreement_distances(agreement, 0)[2], 12);
    assert_int_equal(agreement_distances(agreement, 1)[1], 10);
    agreement_close(agreement);
}

static void test_every_bit_counts_without_tolerance(void **state)
{
    struct agreement *agreement = opened(0);

    (void)state;
    assert_false(add(agreement, 0, 0, 0, 0));
    assert_true(add(agreement, 0, 1, UINT64_MAX, 0));
    assert_true(dispute(agreement, 0, 4));
    assert_true(dispute(agreement, 0, 255));
    assert_int_equal(edges(agreement), 2);
    agreement_close(agreement);
}

/* Without replica 1 the only distance is that of 0 and 2. */
static void test_missing_replica_has_no_distance(void **state)
{
    const uint64_t distance = 1;
    struct agreement *agreement = opened(0);

    (void)state;
    assert_true(agreement_add(agreement, 0, holders[0], 5, &distance));
    assert_int_equal(edges(agreement), 1);
    assert_true(dispute(agreement, 0, 255));
    assert_int_equal(agreement_distances(agreement, 0)[1], 1);
    assert_false(agreement_add(agreement, 0, holders[0], 2, NULL));
    assert_false(agreement_add(agreement, 0, holders[0], 0, NULL));
    agreement_close(agreement);
}

static void test_absence_is_no_dispute(void **state)
{
    struct agreement *agreement = opened(0);

    (void)state;
    assert_true(add(agreement, 0, 1, 0, 0));
    agreement_absent(agreement, 255);
    assert_false(workers_has(agreement_present(agreement), 255));
    assert_int_equal(workers_count(agreement_present(agreement)), 255);
    assert_false(add(agreement, 0, 0, 1, 1));
    assert_int_equal(graph_degree(agreement_graph(agreement), 255), 0);
    /* What was said before stays said. */
    agreement_absent(agreement, 4);
    assert_true(dispute(agreement, 0, 4));
    agreement_begin(agreement, true);
    assert_int_equal(workers_count(agreement_present(agreement)), 256);
    assert_true(add(agreement, 0, 0, 1, 0));
    agreement_close(agreement);
}

static void test_evidence_is_kept_on_demand(void **state)
{
    struct agreement *agreement = opened(10);

    (void)state;
    assert_true(add(agreement, 0, 11, 10, 0));
    agreement_begin(agreement, true);
    assert_true(dispute(agreement, 0, 4));
    /* Distances are those of a round. */
    assert_int_equal(agreement_distances(agreement, 0)[1], 0);
    assert_false(add(agreement, 0, 11, 10, 0));
    agreement_begin(agreement, false);
    assert_int_equal(edges(agreement), 0);
    assert_true(add(agreement, 0, 11, 10, 0));
    agreement_dispute(agreement, 100, 200);
    assert_true(dispute(agreement, 200, 100));
    agreement_close(agreement);
}

/* Random edges; two workers are in one component iff a path joins them. */
static void test_components_are_what_paths_join(void **state)
{
    static bool joined[WORKERS_MAX][WORKERS_MAX];
    const struct worker_set within = workers_below(250);
    struct agreement *agreement = opened(0);
    uint64_t seed = 1;

    (void)state;
    for (uint32_t i = 0; i < 120; i++) {
        const uint32_t a = (uint32_t)(random_next(&seed) % 256);
        const uint32_t b = (uint32_t)(random_next(&seed) % 256);

        if (a == b)
            continue;
        agreement_dispute(agreement, a, b);
        joined[a][b] = joined[b][a] = a < 250 && b < 250;
    }
    for (uint32_t via = 0; via < 250; via++)
        for (uint32_t a = 0; a < 250; a++)
            for (uint32_t b = 0; b < 250; b++)
                joined[a][b] |= a == b || (joined[a][via] && joined[via][b]);
    for (uint32_t a = 0; a < 250; a++) {
        const struct worker_set component =
            graph_component(agreement_graph(agreement), &within, a);

        for (uint32_t b = 0; b < WORKERS_MAX; b++)
            assert_int_equal(workers_has(&component, b), joined[a][b]);
    }
    agreement_close(agreement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration_is_checked),
        cmocka_unit_test(test_distance_above_tolerance_is_an_edge),
        cmocka_unit_test(test_distances_add_up_over_chunks_of_one_task),
        cmocka_unit_test(test_every_bit_counts_without_tolerance),
        cmocka_unit_test(test_missing_replica_has_no_distance),
        cmocka_unit_test(test_absence_is_no_dispute),
        cmocka_unit_test(test_evidence_is_kept_on_demand),
        cmocka_unit_test(test_components_are_what_paths_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
