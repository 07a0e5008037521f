/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verifier_rules.c - what a verifier is told besides the signs: who is
 * released, what an arbiter found; what it keeps; the degree rule; and more
 * replicas than three. Against the oracle, as test_verifier.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guarded.h"
#include "verifier_trial.h"

static uint32_t count_of(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

/* Who is released is counted again, and found again. */
static void test_release(void **state)
{
    uint32_t found = 0;

    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (uint32_t liars = 1; liars < 1u << 7; liars += 3)
            for (int keep = 0; keep < 2; keep++) {
                struct trial t = trial_of(DESIGN_SUBSETS, 7);

                t.attack = (enum trial_attack)attack;
                t.liars = liars;
                t.released = liars & -liars;
                t.config.keep = keep != 0;
                t.rounds = 4;
                found +=
                    (verifier_trial_play(&t).quarantined & t.released) == 0 &&
                    attack == REVERSED && count_of(liars) <= 3;
            }
    assert_true(found > 0);
}

/* Everybody is forgiven after each round, so nothing is kept. */
static void test_release_of_all(void **state)
{
    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++) {
        struct trial t = trial_of(DESIGN_STEINER, 15);
        struct oracle end;

        t.attack = (enum trial_attack)attack;
        t.liars = 0x1a41;
        t.released = 0x7fff;
        t.config.keep = true;
        end = verifier_trial_play(&t);
        assert_int_equal(end.quarantined, 0);
        for (uint32_t w = 0; w < 15; w++)
            assert_int_equal(end.edges[w], 0);
    }
}

static void test_degree_rule(void **state)
{
    uint32_t accused = 0;

    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (uint32_t seed = 1; seed <= 4; seed++) {
            struct trial t =
                trial_of(seed % 2 == 0 ? DESIGN_SUBSETS : DESIGN_STEINER, 7);

            t.config.rule = VERIFIER_PAPER_PLUS;
            t.config.liars_max = 1 + seed / 2;
            t.attack = (enum trial_attack)attack;
            t.liars = seed > 2 ? 0x23 : 0x44;
            t.seed = seed;
            t.released = seed == 3 ? 0x20 : 0;
            /* Into the second window. */
            t.rounds = VERIFIER_WINDOW + 2;
            accused += count_of(verifier_trial_play(&t).byzantine);
        }
    assert_true(accused > 0);
}

/* Replicas that are recomputed: with as many as may lie, and with more. */
static void test_arbiter(void **state)
{
    uint32_t convicted = 0;

    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (uint32_t seed = 0; seed < 12; seed++) {
            static const uint32_t liars[] = {0x07, 0x52, 0x68, 0x2d};
            struct trial t =
                trial_of(seed % 2 == 0 ? DESIGN_SUBSETS : DESIGN_STEINER, 7);

            t.arbiter = true;
            t.attack = (enum trial_attack)attack;
            t.liars = liars[seed % 4];
            t.seed = seed;
            t.config.keep = seed % 3 == 0;
            t.released = seed % 3 == 1 ? 0x42 : 0;
            convicted += count_of(verifier_trial_play(&t).convicted);
        }
    assert_true(convicted > 0);
}

/* Convicted is who is too far from what was recomputed, and nobody for what
 * rounding does. */
static void test_arbiter_with_tolerance(void **state)
{
    uint32_t convicted = 0;

    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (uint32_t flips = 0; flips < 6; flips++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);
            struct oracle end;

            t.arbiter = true;
            t.attack = (enum trial_attack)attack;
            t.liars = 0x34;
            t.flips = flips;
            t.config.tolerance = 24; /* of four flips, in three chunks */
            end = verifier_trial_play(&t);
            convicted += count_of(end.convicted);
            if (flips <= 4)
                assert_int_equal(end.convicted & ~t.liars, 0);
        }
    assert_true(convicted > 0);
}

/* With a tolerance that is too small no recomputation ends a dispute, and the
 * arbiter is not asked for ever: of each pair so often in a round. */
static void test_arbiter_has_a_budget(void **state)
{
    struct trial t = trial_of(DESIGN_SUBSETS, 15);
    struct oracle end;
    uint32_t most = 0;

    (void)state;
    t.arbiter = true;
    t.flips = 1;
    t.config.tolerance = 3; /* between two workers six, to the truth three */
    end = verifier_trial_play(&t);
    assert_int_equal(end.convicted, 0);
    for (uint32_t a = 0; a < 15; a++)
        for (uint32_t b = a + 1; b < 15; b++)
            most = end.asked[a][b] > most ? end.asked[a][b] : most;
    assert_int_equal(most, VERIFIER_ARBITRATIONS_MAX);
    assert_true(end.arbitrations > 0);
}

/* verifier_trial_play() compares what is listed. Here some of it is of earlier
 * rounds.
 */
static void test_disputes_are_kept(void **state)
{
    uint32_t earlier = 0;

    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct trial t =
            trial_of(seed % 2 == 0 ? DESIGN_SUBSETS : DESIGN_STEINER, 7);
        struct oracle end;

        t.attack = seed % 3 == 0 ? ABSENT : NOW_AND_THEN;
        t.liars = 0x19;
        t.seed = seed;
        t.config.keep = true;
        t.rounds = 6;
        end = verifier_trial_play(&t);
        for (uint32_t a = 0; a < 7; a++)
            for (uint32_t b = a + 1; b < 7; b++)
                earlier += end.first[a][b].distance != 0 &&
                           end.first[a][b].step < end.step;
    }
    assert_true(earlier > 0);
}

static void test_five_replicas(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 1u << 7; liars += 2)
        for (int attack = REVERSED; attack < ATTACKS; attack++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            if (count_of(liars) > 3)
                continue;
            t.config.assignment.replication = 5;
            t.config.keep = liars % 3 == 0;
            t.config.tolerance = liars % 5 == 0 ? 400 : 0;
            t.arbiter = liars % 7 == 0;
            t.attack = (enum trial_attack)attack;
            t.liars = liars;
            t.seed = liars;
            verifier_trial_play(&t);
        }
}

static void test_five_replicas_by_the_printed_rule(void **state)
{
    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (int plus = 0; plus < 2; plus++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.assignment.replication = 5;
            t.config.rule = plus != 0 ? VERIFIER_PAPER_PLUS : VERIFIER_PAPER;
            t.attack = (enum trial_attack)attack;
            t.liars = 0x58;
            verifier_trial_play(&t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_release_of_all),
        cmocka_unit_test(test_degree_rule),
        cmocka_unit_test(test_arbiter),
        cmocka_unit_test(test_arbiter_with_tolerance),
        cmocka_unit_test(test_arbiter_has_a_budget),
        cmocka_unit_test(test_disputes_are_kept),
        cmocka_unit_test(test_five_replicas),
        cmocka_unit_test(test_five_replicas_by_the_printed_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
