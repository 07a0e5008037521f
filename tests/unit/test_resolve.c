/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_resolve.c - which value a task gets: every verdict, every set of those
 * that are there and every way to differ of three replicas, against the rules
 * as they are stated; and more replicas, which need not be equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aspis/resolve.h"
#include "disputes.h"
#include "guarded.h"

enum { THREE = 3, FIVE = 5, PAIRS_MAX = FIVE * (FIVE - 1) / 2 };

/* What is known of a worker. */
enum standing { UNPROVEN, LIAR, HONEST, STANDINGS };

static const uint8_t seats[FIVE] = {200, 4, 77, 0, 255};

static void stand(struct verdict *verdict, uint32_t i, uint32_t standing)
{
    if (standing == LIAR)
        workers_add(&verdict->byzantine, seats[i]);
    if (standing == HONEST)
        workers_add(&verdict->honest, seats[i]);
}

/* The rules of resolve_proof() without a tolerance, as they are stated. */
static int expected_replica(const uint32_t *standing, uint32_t present,
                            const uint32_t *values, bool open)
{
    uint32_t left = 0;
    bool complete = true;

    for (int i = 0; i < THREE; i++)
        if ((present >> i & 1) != 0 && standing[i] == HONEST)
            return i;
    for (uint32_t i = 0; i < THREE; i++)
        if (standing[i] != LIAR) {
            left += present >> i & 1;
            complete = complete && (present >> i & 1) != 0;
        }
    for (int i = 0; i < THREE; i++) {
        uint32_t equal = 0;

        if ((present >> i & 1) == 0 || standing[i] == LIAR)
            continue;
        if (!open && (left >= 2 || complete))
            return i;
        for (uint32_t j = 0; j < THREE; j++)
            equal += (present >> j & 1) != 0 && standing[j] != LIAR &&
                     values[j] == values[i];
        if (equal >= 2)
            return i;
    }
    return -1;
}

static void check_three(const uint32_t *standing, uint32_t present,
                        const uint32_t *values, bool open)
{
    const uint64_t distances[] = {
        values[0] != values[1], values[0] != values[2], values[1] != values[2]};
    const struct replicas replicas = {
        .workers = seats,
        .count = THREE,
        .present = present,
        .distances = distances,
    };
    const int expected = expected_replica(standing, present, values, open);
    struct verdict verdict = {.outcome = VERDICT_REACHED};
    struct choice choice;

    for (uint32_t i = 0; i < THREE; i++)
        stand(&verdict, i, standing[i]);
    choice = resolve_proof(&verdict, open, &replicas);
    assert_int_equal(choice.kind, expected < 0 ? CHOICE_DROP : CHOICE_REPLICA);
    if (expected >= 0)
        assert_int_equal(values[choice.replica], values[expected]);
    assert_true(expected < 0 || (present >> choice.replica & 1) != 0);
    assert_int_equal(choice.voters, 0);
}

static void test_three_replicas_in_every_state(void **state)
{
    (void)state;
    for (uint32_t s = 0; s < STANDINGS * STANDINGS * STANDINGS; s++)
        for (uint32_t v = 0; v < THREE * THREE * THREE; v++)
            for (uint32_t present = 0; present < 8; present++) {
                const uint32_t standing[] = {s % STANDINGS,
                                             s / STANDINGS % STANDINGS,
                                             s / STANDINGS / STANDINGS};
                const uint32_t values[] = {v % THREE, v / THREE % THREE,
                                           v / THREE / THREE};

                check_three(standing, present, values, false);
                check_three(standing, present, values, true);
            }
}

/* Replica i lies at places[i] of a line, and the distance is how far apart. */
static struct choice resolve_line(const uint64_t *places, uint32_t present,
                                  uint64_t tolerance, uint32_t liar)
{
    uint64_t distances[PAIRS_MAX];
    const struct replicas replicas = {
        .workers = seats,
        .count = FIVE,
        .present = present,
        .distances = distances,
        .tolerance = tolerance,
    };
    struct verdict verdict = {.outcome = VERDICT_REACHED};
    uint32_t pair = 0;

    for (uint32_t i = 0; i < FIVE; i++)
        for (uint32_t j = i + 1; j < FIVE; j++)
            distances[pair++] = places[i] > places[j] ? places[i] - places[j]
                                                      : places[j] - places[i];
    if (liar < FIVE)
        stand(&verdict, liar, LIAR);
    return resolve_proof(&verdict, true, &replicas);
}

/* On a line those that agree are a window; more than half of five are three. */
static void test_tolerance_wants_three_of_five_in_a_window(void **state)
{
    uint64_t seed = 1;
    uint32_t dropped = 0;

    (void)state;
    for (uint32_t trial = 0; trial < 20000; trial++) {
        const uint32_t present = (uint32_t)random_next(&seed) % 32;
        const uint32_t liar = (uint32_t)(random_next(&seed) % 8);
        uint64_t places[FIVE];
        uint32_t held = present;
        bool agreed = false;
        struct choice choice;

        for (uint32_t i = 0; i < FIVE; i++)
            places[i] = random_next(&seed) % 20;
        if (liar < FIVE)
            held &= ~(1u << liar);
        for (uint32_t low = 0; low < FIVE; low++) {
            uint32_t inside = 0;

            for (uint32_t i = 0; i < FIVE; i++)
                inside += (held >> i & 1) != 0 && places[i] >= places[low] &&
                          places[i] <= places[low] + 6;
            agreed = agreed || inside >= 3;
        }
        choice = resolve_line(places, present, 6, liar);
        assert_int_equal(choice.kind, agreed ? CHOICE_MAJORITY : CHOICE_DROP);
        assert_int_equal(choice.voters, agreed ? held : 0);
        dropped += !agreed;
    }
    assert_in_range(dropped, 2000, 18000);
}

static void test_without_disputes_any_replica_is_enough(void **state)
{
    const uint64_t distances[PAIRS_MAX] = {0};
    struct replicas replicas = {
        .workers = seats,
        .count = FIVE,
        .distances = distances,
        .tolerance = 3,
    };
    struct verdict verdict = {.outcome = VERDICT_REACHED};
    struct choice choice;

    (void)state;
    for (uint32_t liar = 0; liar < 4; liar++)
        stand(&verdict, liar, LIAR);
    /* One honest worker is left, and it is there. */
    replicas.present = 31;
    choice = resolve_proof(&verdict, false, &replicas);
    assert_int_equal(choice.kind, CHOICE_REPLICA);
    assert_int_equal(choice.replica, 4);
    /* It is not; then only liars are. */
    replicas.present = 15;
    choice = resolve_proof(&verdict, false, &replicas);
    assert_int_equal(choice.kind, CHOICE_DROP);
    /* Nobody is judged and two of five are there: they might be all liars. */
    verdict = (struct verdict){.outcome = VERDICT_REACHED};
    replicas.present = 9;
    choice = resolve_proof(&verdict, false, &replicas);
    assert_int_equal(choice.kind, CHOICE_DROP);
    replicas.present = 25;
    choice = resolve_proof(&verdict, false, &replicas);
    assert_int_equal(choice.kind, CHOICE_MAJORITY);
    assert_int_equal(choice.voters, 25);
}

static void test_disputes_are_open_among_those_left(void **state)
{
    struct graph graph = {.workers = 256};
    struct verdict verdict = {.outcome = VERDICT_REACHED};

    (void)state;
    assert_false(resolve_is_open(&verdict, &graph));
    disputes_join(&graph, 3, 255);
    assert_true(resolve_is_open(&verdict, &graph));
    workers_add(&verdict.byzantine, 255);
    assert_false(resolve_is_open(&verdict, &graph));
    disputes_join(&graph, 3, 4);
    assert_true(resolve_is_open(&verdict, &graph));
}

static void test_printed_rule_takes_any_that_is_trusted(void **state)
{
    const uint64_t distances[] = {1, 1, 1};
    struct replicas replicas = {
        .workers = seats,
        .count = THREE,
        .present = 6,
        .distances = distances,
    };
    struct verdict verdict = {.outcome = VERDICT_REACHED};
    struct choice choice;

    (void)state;
    stand(&verdict, 0, HONEST);
    choice = resolve_paper(&verdict, &replicas);
    assert_int_equal(choice.kind, CHOICE_DROP);
    stand(&verdict, 2, HONEST);
    choice = resolve_paper(&verdict, &replicas);
    assert_int_equal(choice.kind, CHOICE_REPLICA);
    assert_int_equal(choice.replica, 2);
    verdict.outcome = VERDICT_AMBIGUOUS;
    choice = resolve_paper(&verdict, &replicas);
    assert_int_equal(choice.kind, CHOICE_MAJORITY);
    assert_int_equal(choice.voters, 6);
    replicas.present = 0;
    choice = resolve_paper(&verdict, &replicas);
    assert_int_equal(choice.kind, CHOICE_DROP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_replicas_in_every_state),
        cmocka_unit_test(test_tolerance_wants_three_of_five_in_a_window),
        cmocka_unit_test(test_without_disputes_any_replica_is_enough),
        cmocka_unit_test(test_disputes_are_open_among_those_left),
        cmocka_unit_test(test_printed_rule_takes_any_that_is_trusted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
