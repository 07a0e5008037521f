/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verifier.c - what the verifier makes of rounds under attack, against an
 * oracle that works it out coordinate by coordinate: results, verdicts, counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guarded.h"
#include "verifier_trial.h"

/* Every set of liars, each attack. */
static void play_seven(enum design design)
{
    for (uint32_t liars = 1; liars < 1u << 7; liars++)
        for (int attack = NOBODY; attack < ATTACKS; attack++) {
            struct trial t = trial_of(design, 7);

            if (__builtin_popcount(liars) > 3)
                continue;
            t.liars = liars;
            t.attack = (enum trial_attack)attack;
            t.config.keep = liars % 3 == 0;
            t.seed = liars;
            verifier_trial_play(&t);
        }
}

static void test_seven_in_subsets(void **state)
{
    (void)state;
    play_seven(DESIGN_SUBSETS);
}

static void test_seven_in_triples(void **state)
{
    (void)state;
    play_seven(DESIGN_STEINER);
}

static void play_fifteen(enum design design, uint32_t seeds)
{
    for (uint32_t seed = 1; seed <= seeds; seed++)
        for (int attack = REVERSED; attack < ATTACKS; attack++) {
            struct trial t = trial_of(design, 15);
            const uint32_t wanted = 1 + seed % 7;

            for (uint64_t draw = seed;
                 (uint32_t)__builtin_popcount(t.liars) < wanted;)
                t.liars |= 1u << random_next(&draw) % 15;
            t.attack = (enum trial_attack)attack;
            t.seed = seed;
            t.config.keep = seed % 2 == 0;
            verifier_trial_play(&t);
        }
}

static void test_fifteen_in_subsets(void **state)
{
    (void)state;
    play_fifteen(DESIGN_SUBSETS, 1);
}

static void test_fifteen_in_triples(void **state)
{
    (void)state;
    play_fifteen(DESIGN_STEINER, ADDRESSES_CHECKED || THREADS_CHECKED ? 3 : 8);
}

/* More liars than were promised: nobody is expelled, and if somebody was, in
 * an earlier round, that is over. */
static void test_promise_broken(void **state)
{
    (void)state;
    for (int attack = REVERSED; attack < ATTACKS; attack++)
        for (uint32_t promised = 0; promised < 3; promised++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.liars_max = promised;
            t.config.keep = attack % 2 == 0;
            t.attack = (enum trial_attack)attack;
            t.liars = 0x51;
            verifier_trial_play(&t);
        }
}

static void test_printed_rule(void **state)
{
    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (uint32_t seed = 1; seed <= 10; seed++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.rule = VERIFIER_PAPER;
            t.attack = (enum trial_attack)attack;
            t.liars = seed % 2 == 0 ? 0x23 : 0x58;
            t.seed = seed;
            verifier_trial_play(&t);
        }
}

/* Honest replicas are equal here; liars may differ in little, or in much. */
static void test_tolerance(void **state)
{
    static const uint64_t tolerances[] = {1, 2, 400, 1000};

    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (size_t i = 0; i < 4; i++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.tolerance = tolerances[i];
            t.config.keep = i % 2 == 0;
            t.attack = (enum trial_attack)attack;
            t.liars = 0x34;
            verifier_trial_play(&t);
        }
}

static void test_every_table(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (int attack = NOBODY; attack < ATTACKS; attack++) {
            struct trial t = trial_of(DESIGN_STEINER, 15);

            if (!kernels_all[i]->supported())
                continue;
            t.config.kernels = kernels_all[i];
            t.attack = (enum trial_attack)attack;
            t.liars = 0x1a41;
            verifier_trial_play(&t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seven_in_subsets),
        cmocka_unit_test(test_seven_in_triples),
        cmocka_unit_test(test_fifteen_in_subsets),
        cmocka_unit_test(test_fifteen_in_triples),
        cmocka_unit_test(test_promise_broken),
        cmocka_unit_test(test_printed_rule),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_every_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
