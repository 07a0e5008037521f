/* SPDX-License-Identifier: Apache-2.0 */
/* test_assignment.c - rotations, and configurations that have no design. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "aspis/assignment.h"

static struct assignment *assignment;
static const struct assignment_shape *shape;

static void start(enum design design, uint32_t workers, uint32_t replication,
                  uint64_t seed)
{
    const struct assignment_config config = {.design = design,
                                             .workers = workers,
                                             .replication = replication,
                                             .seed = seed};
    char why[ASSIGNMENT_WHY_BYTES] = "";

    assert_int_equal(assignment_open(&assignment, &config, why), 0);
    shape = assignment_shape(assignment);
}

static int stop(void **state)
{
    (void)state;
    assignment_close(assignment);
    assignment = NULL;
    return 0;
}

/* ---- Rotations ----------------------------------------------------------- */

/* With one replica a task, task t shows who sits at place t. */
static void start_places(uint32_t workers, uint64_t seed)
{
    start(DESIGN_REPETITION, workers, 1, seed);
}

static uint32_t worker_at(uint32_t place)
{
    return *assignment_workers(assignment, place);
}

/* Computed by a program in another language from the words in assignment.c. */
static void rotations_are_the_same_on_every_machine(void **state)
{
    const struct {
        uint64_t seed, round;
        uint8_t workers[15];
    } golden[] = {
        {1, 0, {13, 1, 12, 8, 4, 9, 7, 5, 2, 6, 10, 14, 3, 0, 11}},
        {1, 1, {1, 13, 6, 14, 4, 2, 12, 11, 7, 3, 8, 9, 10, 0, 5}},
        {2, 0, {3, 11, 0, 14, 9, 5, 6, 4, 8, 2, 1, 10, 7, 12, 13}},
        {0x0123456789abcdef,
         UINT64_C(1) << 63,
         {1, 14, 7, 8, 3, 10, 4, 9, 6, 2, 12, 11, 5, 13, 0}},
    };

    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        start_places(15, golden[i].seed);
        assignment_rotate(assignment, golden[i].round);
        for (uint32_t p = 0; p < 15; p++)
            assert_int_equal(worker_at(p), golden[i].workers[p]);
        stop(state);
    }
}

static void before_the_first_rotation_labels_are_the_designs(void **state)
{
    (void)state;
    start_places(256, 3);
    for (uint32_t p = 0; p < 256; p++)
        assert_int_equal(worker_at(p), p);
}

static void every_rotation_seats_each_worker_once(void **state)
{
    const uint32_t workers[] = {1, 2, 3, 15, 255, 256};

    for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
        start_places(workers[i], 5);
        for (uint64_t round = 0; round < 50; round++) {
            bool seated[ASSIGNMENT_WORKERS_MAX] = {false};

            assignment_rotate(assignment, round);
            for (uint32_t p = 0; p < workers[i]; p++) {
                assert_true(worker_at(p) < workers[i]);
                assert_false(seated[worker_at(p)]);
                seated[worker_at(p)] = true;
                assert_int_equal(*assignment_tasks(assignment, worker_at(p)),
                                 p);
            }
        }
        stop(state);
    }
}

/* Rounds do not build on each other: any order, any start. */
static void a_round_has_one_rotation_whenever_it_comes(void **state)
{
    uint8_t seen[40][15];

    start_places(15, 7);
    for (uint32_t round = 0; round < 40; round++) {
        assignment_rotate(assignment, round);
        memcpy(seen[round], assignment_workers(assignment, 0), 15);
        for (uint32_t before = 0; before < round; before++)
            assert_memory_not_equal(seen[before], seen[round], 15);
    }
    stop(state);
    start_places(15, 7);
    for (uint32_t round = 40; round-- > 0;) {
        assignment_rotate(assignment, round);
        assert_memory_equal(assignment_workers(assignment, 0), seen[round], 15);
    }
    stop(state);
    start_places(15, 8);
    for (uint32_t round = 0; round < 40; round++) {
        assignment_rotate(assignment, round);
        assert_memory_not_equal(assignment_workers(assignment, 0), seen[round],
                                15);
    }
}

/* 7000 rounds put each worker 1000 times on each place, +-29 (1 sigma). */
static void no_place_is_preferred(void **state)
{
    uint32_t times[7][7] = {{0}};

    (void)state;
    start_places(7, 11);
    for (uint32_t round = 0; round < 7000; round++) {
        assignment_rotate(assignment, round);
        for (uint32_t p = 0; p < 7; p++)
            times[worker_at(p)][p]++;
    }
    for (uint32_t w = 0; w < 7; w++)
        for (uint32_t p = 0; p < 7; p++)
            assert_in_range(times[w][p], 880, 1120);
}

static int ascending(const void *one, const void *other)
{
    return *(const uint8_t *)one - *(const uint8_t *)other;
}

/* The workers of each task are those of the design under their new labels. */
static void assert_relabelled(const uint8_t *design, const uint8_t *labels)
{
    uint8_t expected[ASSIGNMENT_REPLICATION_MAX];

    for (uint32_t t = 0; t < shape->tasks; t++) {
        for (uint32_t i = 0; i < shape->replication; i++)
            expected[i] = labels[design[t * shape->replication + i]];
        qsort(expected, shape->replication, 1, ascending);
        assert_memory_equal(assignment_workers(assignment, t), expected,
                            shape->replication);
    }
}

/* Tasks of workers and overlaps belong to the workers of the tasks. */
static void assert_consistent(void)
{
    uint32_t load[ASSIGNMENT_WORKERS_MAX] = {0};
    uint32_t shared[35][35] = {{0}};

    for (uint32_t t = 0; t < shape->tasks; t++) {
        const uint8_t *w = assignment_workers(assignment, t);

        for (uint32_t i = 0; i < shape->replication; i++) {
            assert_int_equal(assignment_tasks(assignment, w[i])[load[w[i]]++],
                             t);
            for (uint32_t j = 0; j < shape->replication; j++)
                shared[w[i]][w[j]]++;
        }
    }
    for (uint32_t w = 0; w < shape->workers; w++)
        for (uint32_t v = 0; v < shape->workers; v++)
            assert_int_equal(assignment_overlap(assignment, w, v),
                             shared[w][v]);
}

static void a_rotation_relabels_the_design(void **state)
{
    const struct assignment_config designs[] = {
        {DESIGN_SUBSETS, 9, 5, 0}, {DESIGN_STEINER, 25, 3, 0},
        {DESIGN_PLANE, 31, 6, 0},  {DESIGN_REPETITION, 15, 3, 0},
        {DESIGN_MOLS, 35, 5, 0},
    };

    for (size_t i = 0; i < sizeof(designs) / sizeof(designs[0]); i++) {
        const struct assignment_config *d = &designs[i];
        uint8_t labels[ASSIGNMENT_WORKERS_MAX];
        uint8_t tasks[126 * 5];

        start_places(d->workers, 13);
        assignment_rotate(assignment, 17);
        memcpy(labels, assignment_workers(assignment, 0), d->workers);
        stop(state);
        start(d->design, d->workers, d->replication, 13);
        assert_in_range(shape->tasks * shape->replication, 1, sizeof(tasks));
        memcpy(tasks, assignment_workers(assignment, 0),
               (size_t)shape->tasks * shape->replication);
        assert_consistent();
        assignment_rotate(assignment, 17);
        assert_relabelled(tasks, labels);
        assert_consistent();
        stop(state);
    }
}

/* ---- No such design ------------------------------------------------------ */

struct refusal {
    struct assignment_config config;
    const char *why; /* appears in the reason */
};

static const struct refusal refusals[] = {
    {{DESIGN_SUBSETS, 0, 1, 0}, "1 to 256 workers in an assignment, not 0"},
    {{DESIGN_SUBSETS, 257, 1, 0}, "1 to 256 workers in an assignment, not 257"},
    {{DESIGN_SUBSETS, UINT32_MAX, 3, 0}, "not 4294967295"},
    {{DESIGN_SUBSETS, 15, 0, 0}, "1 to 16 replicas of a task, not 0"},
    {{DESIGN_SUBSETS, 15, 17, 0}, "1 to 16 replicas of a task, not 17"},
    {{DESIGN_SUBSETS, 3, 5, 0}, "take at most 3"},
    {{DESIGN_SUBSETS, 15, 4, 0}, "can tie with 4 replicas; take an odd"},
    {{DESIGN_SUBSETS, 75, 3, 0}, "65535 ways to choose 3 of 75"},
    {{DESIGN_SUBSETS, 256, 15, 0}, "take a Steiner triple system"},
    {{DESIGN_STEINER, 15, 5, 0}, "3 workers a task, not 5"},
    {{DESIGN_STEINER, 14, 3, 0}, "v = 1 or 3 mod 6 workers only"},
    {{DESIGN_STEINER, 14, 3, 0}, "and 14 are not; take 13"},
    {{DESIGN_STEINER, 11, 3, 0}, "take 9"},
    {{DESIGN_STEINER, 6, 3, 0}, "take 3"},
    {{DESIGN_STEINER, 256, 3, 0}, "take 255"},
    {{DESIGN_PLANE, 12, 4, 0}, "7, 13, 21, 31, 57, 73, 91, 133 or 183"},
    {{DESIGN_PLANE, 43, 7, 0}, "workers, not 43"},
    {{DESIGN_PLANE, 3, 2, 0}, "workers, not 3"},
    {{DESIGN_PLANE, 111, 11, 0}, "workers, not 111"},
    {{DESIGN_PLANE, 13, 3, 0}, "of 13 workers has 4 at each task, not 3"},
    {{DESIGN_REPETITION, 16, 3, 0}, "groups of 3 leave 1 of 16 workers over"},
    {{DESIGN_REPETITION, 16, 3, 0}, "take 15 workers"},
    {{DESIGN_REPETITION, 16, 2, 0}, "can tie"},
    {{DESIGN_MOLS, 16, 3, 0}, "16 is no such multiple of 3"},
    {{DESIGN_MOLS, 18, 3, 0}, "18 is no such multiple of 3"},
    {{DESIGN_MOLS, 9, 3, 0}, "a prime power above it"},
    {{DESIGN_MOLS, 256, 1, 0}, "order 256 have 65536 cells"},
    {{(enum design)77, 15, 3, 0}, "there is no design 77"},
};

static void what_has_no_design_is_refused_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char why[ASSIGNMENT_WHY_BYTES] = "";

        assert_int_equal(assignment_open(&assignment, &refusals[i].config, why),
                         -EINVAL);
        assert_null(assignment);
        if (strstr(why, refusals[i].why) == NULL)
            fail_msg("'%s' does not say '%s'", why, refusals[i].why);
        /* A reason that filled its room would have lost its end. */
        assert_true(strlen(why) < ASSIGNMENT_WHY_BYTES - 1);
    }
}

/* All sizes: what is taken is whole, what is not says why. */
static void every_size_is_taken_or_refused(void **state)
{
    uint32_t taken[5] = {0};

    for (int design = 0; design < 5; design++)
        for (uint32_t workers = 1; workers <= 256; workers++)
            for (uint32_t replicas = 1; replicas <= 16; replicas++) {
                const struct assignment_config config = {(enum design)design,
                                                         workers, replicas, 1};
                char why[ASSIGNMENT_WHY_BYTES] = "";
                const int rc = assignment_open(&assignment, &config, why);

                if (rc < 0) {
                    assert_int_equal(rc, -EINVAL);
                    assert_string_not_equal(why, "");
                    continue;
                }
                taken[design]++;
                shape = assignment_shape(assignment);
                assert_int_equal(shape->load * workers,
                                 shape->tasks * replicas);
                stop(state);
            }
    /* Steiner: 85 of 3..255; planes: 2, 3, 4, 5, 7, 8, 9, 11, 13. */
    assert_int_equal(taken[DESIGN_STEINER], 85);
    assert_int_equal(taken[DESIGN_PLANE], 9);
    /* sum over odd r <= 15 of 256 / r */
    assert_int_equal(taken[DESIGN_REPETITION],
                     256 + 85 + 51 + 36 + 28 + 23 + 19 + 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(rotations_are_the_same_on_every_machine,
                                  stop),
        cmocka_unit_test_teardown(
            before_the_first_rotation_labels_are_the_designs, stop),
        cmocka_unit_test_teardown(every_rotation_seats_each_worker_once, stop),
        cmocka_unit_test_teardown(a_round_has_one_rotation_whenever_it_comes,
                                  stop),
        cmocka_unit_test_teardown(no_place_is_preferred, stop),
        cmocka_unit_test_teardown(a_rotation_relabels_the_design, stop),
        cmocka_unit_test_teardown(what_has_no_design_is_refused_with_its_reason,
                                  stop),
        cmocka_unit_test_teardown(every_size_is_taken_or_refused, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
