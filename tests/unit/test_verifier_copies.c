/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verifier_copies.c - no row is looked at again once it has been copied:
 * liars write theirs anew after each reading, and results, evidence and
 * verdicts are all the same those of one set of rows, the one that the oracle
 * is given (verifier_writers.h says which).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guarded.h"
#include "verifier_trial.h"
#include "verifier_writers.h"

static struct writers_counts all;

static void play(struct trial t)
{
    struct writers_counts counts;

    t.writers = t.liars;
    verifier_trial_play(&t);
    counts = writers_counts();
    all.agreed += counts.agreed;
    all.compared += counts.compared;
    all.copied += counts.copied;
}

/* One task of three: its value is the result. A liar alone, two of them, all.
 */
static void test_one_task(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 1u << 3; liars++)
        for (int attack = NOBODY; attack < ATTACKS; attack++)
            for (uint32_t seed = 1; seed <= 8; seed++) {
                struct trial t = trial_of(DESIGN_SUBSETS, 3);

                t.liars = liars;
                t.attack = (enum trial_attack)attack;
                t.seed = seed;
                t.config.keep = seed % 2 == 0;
                t.config.tolerance = seed % 4 == 3 ? 300 : 0;
                t.config.rule = seed % 8 == 5 ? VERIFIER_PAPER : VERIFIER_PROOF;
                play(t);
            }
}

static void test_seven(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 1u << 7; liars += 6)
        for (int attack = NOBODY; attack < ATTACKS; attack++) {
            struct trial t =
                trial_of(liars % 4 == 1 ? DESIGN_SUBSETS : DESIGN_STEINER, 7);

            t.liars = liars;
            t.attack = (enum trial_attack)attack;
            t.seed = liars;
            t.config.keep = liars % 3 == 0;
            t.config.rule = (enum verifier_rule)(liars / 8 % 3);
            play(t);
        }
}

static void test_fifteen(void **state)
{
    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++) {
        struct trial t = trial_of(DESIGN_STEINER, 15);

        t.liars = 0x1a65;
        t.attack = (enum trial_attack)attack;
        play(t);
    }
}

/* More replicas than those that are counted from the registers. */
static void test_five_replicas(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 1u << 7; liars += 6)
        for (int attack = NOBODY; attack < ATTACKS; attack++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.assignment.replication = 5;
            t.liars = liars;
            t.attack = (enum trial_attack)attack;
            t.seed = liars;
            play(t);
        }
}

/* What was recomputed is held against the copies too. */
static void test_arbiter(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 1u << 7; liars += 6)
        for (int attack = NOBODY; attack < ATTACKS; attack++) {
            struct trial t =
                trial_of(liars % 4 == 1 ? DESIGN_SUBSETS : DESIGN_STEINER, 7);

            t.arbiter = true;
            t.config.tolerance = liars % 8 == 3 ? 100 : 0;
            t.liars = liars;
            t.attack = (enum trial_attack)attack;
            t.seed = liars;
            play(t);
        }
}

static void test_every_table(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (uint32_t seed = 1; seed <= 4; seed++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            if (!kernels_all[i]->supported())
                continue;
            t.config.kernels = kernels_all[i];
            t.liars = 0x46;
            t.seed = seed;
            play(t);
        }
}

/* All ways were gone: undisputed tasks, hints and copies. */
static void test_all_was_read(void **state)
{
    (void)state;
    assert_true(all.agreed > 0 && all.compared > 0 && all.copied > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_task),
        cmocka_unit_test(test_seven),
        cmocka_unit_test(test_fifteen),
        cmocka_unit_test(test_five_replicas),
        cmocka_unit_test(test_arbiter),
        cmocka_unit_test(test_every_table),
        cmocka_unit_test(test_all_was_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
