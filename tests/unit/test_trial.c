/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trial.c - liars against the rule of proof, over all attacks: no honest
 * worker is ever proven Byzantine and no liar proven honest while the promise
 * holds. And that a number which differs from the printed one is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/splitmix.h"
#include "guarded.h"
#include "tools/aspis/tables.h"

enum {
    FEW = 7,
    MANY = 15,
    COORDINATES = 70, /* no multiple of 64 */
    SEEDS = 1000,
    ROUNDS = 3,
};

static const enum design designs[] = {DESIGN_SUBSETS, DESIGN_STEINER};

static struct trial *open_trial(enum design design, uint32_t workers,
                                const struct trial_config *settings)
{
    struct trial_config config = *settings;
    char why[ASSIGNMENT_WHY_BYTES];
    struct trial *trial;

    config.assignment = (struct assignment_config){
        .design = design, .workers = workers, .replication = 3, .seed = 3};
    if (config.coordinates == 0)
        config.coordinates = COORDINATES;
    assert_int_equal(trial_open(&trial, &config, why), 0);
    return trial;
}

static void assert_sound(const struct trial_outcome *outcome)
{
    assert_int_equal(outcome->verdict.outcome, VERDICT_REACHED);
    assert_int_equal(outcome->wronged, 0);
    assert_int_equal(outcome->trusted_liars, 0);
}

/* ---- No honest worker is proven Byzantine -------------------------------- */

/* All liar sets of one size, all schemes; victims by two seeds. */
static uint32_t play_all_sets(struct trial *trial, uint32_t size)
{
    uint32_t played = 0;

    for (uint64_t liars = 1; liars < 1u << FEW; liars++) {
        if ((uint32_t)__builtin_popcountll(liars) != size)
            continue;
        for (int scheme = 0; scheme < BALLOT_SCHEMES; scheme++)
            for (uint64_t seed = 0; seed < 2; seed++) {
                const uint64_t set[BALLOT_CAST_WORDS] = {liars};
                struct trial_outcome outcome;
                struct ballot_cast cast;

                /* As many liars as are promised, in each scheme. */
                assert_int_equal(ballot_cast_among(&cast,
                                                   (enum ballot_scheme)scheme,
                                                   FEW, set, seed),
                                 0);
                trial_forget(trial);
                trial_play(trial, &cast, seed, &outcome);
                assert_sound(&outcome);
                played++;
            }
    }
    return played;
}

static void test_all_liar_sets_of_seven(void **state)
{
    uint32_t played = 0;

    (void)state;
    for (uint32_t size = 1; size <= 3; size++)
        for (int attack = 0; attack < BALLOT_ATTACKS; attack++)
            for (int d = 0; d < 2; d++) {
                struct trial *trial = open_trial(
                    designs[d], FEW,
                    &(struct trial_config){.attack = (enum ballot_attack)attack,
                                           .promise = size,
                                           .rotates = true});

                played += play_all_sets(trial, size);
                trial_close(trial);
            }
    /* C(7, 1) + C(7, 2) + C(7, 3) sets */
    assert_int_equal(played, 63 * BALLOT_SCHEMES * 2 * BALLOT_ATTACKS * 2);
}

/* Evidence is kept over three rounds in which the workers change places. The
 * bound holds where nobody is absent and one round is looked at. */
static void play_seed(enum ballot_scheme scheme, enum design design,
                      uint64_t seed)
{
    const uint64_t draw = splitmix(seed);
    const uint32_t liars = 1 + (uint32_t)(draw % 7);
    const struct trial_config settings = {
        .attack = (enum ballot_attack)(draw / 7 % BALLOT_ATTACKS),
        .promise = liars,
        .keep = true,
        .rotates = true,
        .seed = seed,
    };
    struct trial *trial = open_trial(design, MANY, &settings);
    struct ballot_cast cast;

    assert_int_equal(ballot_cast_draw(&cast, scheme, MANY, liars, seed), 0);
    cast.rate = seed % 3 == 0 ? 0.3f : 1.0f;
    for (uint32_t r = 0; r < (design == DESIGN_SUBSETS ? 1 : ROUNDS); r++) {
        struct trial_outcome outcome;

        trial_play(trial, &cast, r, &outcome);
        assert_sound(&outcome);
        if (design == DESIGN_SUBSETS && settings.attack != BALLOT_ATTACK_SILENT)
            assert_in_range(outcome.corrupted, 0,
                            liars * (2 * liars - 1) * (2 * liars - 2) / 6);
    }
    trial_close(trial);
}

static void test_a_thousand_seeds_of_fifteen(void **state)
{
    const uint64_t seeds = ADDRESSES_CHECKED ? SEEDS / 10 : SEEDS;

    (void)state;
    for (int scheme = 0; scheme < BALLOT_SCHEMES; scheme++)
        for (int d = 0; d < 2; d++)
            for (uint64_t seed = 1;
                 scheme != BALLOT_SCHEME_PROMISE_BROKEN && seed <= seeds;
                 seed++)
                play_seed((enum ballot_scheme)scheme, designs[d], seed);
}

/* Liars that each make up a lie dispute with all: too many for the promise. It
 * is reported, and expels nobody. */
static void test_a_broken_promise_is_told(void **state)
{
    (void)state;
    for (uint32_t q = 1; q <= 7; q++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            const struct trial_config settings = {
                .attack = BALLOT_ATTACK_RANDOM, .promise = q, .seed = seed};
            struct trial *trial = open_trial(DESIGN_SUBSETS, MANY, &settings);
            struct trial_outcome outcome;
            struct ballot_cast cast;

            ballot_cast_draw(&cast, BALLOT_SCHEME_PROMISE_BROKEN, MANY, q,
                             seed);
            trial_play(trial, &cast, 0, &outcome);
            assert_int_equal(outcome.verdict.outcome, VERDICT_BROKEN);
            assert_int_equal(outcome.caught + outcome.wronged, 0);
            trial_close(trial);
        }
}

/* ---- Single attacks ------------------------------------------------------ */

/* Each liar disputes with its victim alone, so that there are 2^q maximum
 * cliques; within the tolerance no task is off. */
static void test_matching_makes_pairs(void **state)
{
    (void)state;
    for (uint64_t tolerance = 1; tolerance <= 5; tolerance++)
        for (uint64_t seed = 0; seed < 10; seed++) {
            const struct trial_config settings = {
                .rule = TRIAL_PAPER, .promise = 7, .tolerance = tolerance};
            struct trial *trial = open_trial(DESIGN_SUBSETS, MANY, &settings);
            struct trial_outcome outcome;
            struct ballot_cast cast;

            ballot_cast_draw(&cast, BALLOT_SCHEME_MATCHING, MANY, 7, seed);
            trial_play(trial, &cast, 0, &outcome);
            assert_int_equal(outcome.verdict.outcome, VERDICT_AMBIGUOUS);
            assert_int_equal(outcome.corrupted, 0);
            for (uint32_t w = 0; w < MANY; w++) {
                const struct worker_set *others =
                    &trial_disputes(trial)->adjacent[w];
                const bool lies = ballot_cast_lies(&cast, (int)w);
                const uint32_t other = workers_next(others, 0);

                assert_int_equal(workers_count(others),
                                 lies || (cast.victims[0] >> w & 1));
                if (other < MANY)
                    assert_true(lies != ballot_cast_lies(&cast, (int)other));
            }
            trial_close(trial);
        }
}

/* Silence is no lie: nobody is accused, and no wrong value is taken. */
static void test_silence_accuses_nobody(void **state)
{
    const struct trial_config settings = {.attack = BALLOT_ATTACK_SILENT,
                                          .promise = 7};
    struct trial *trial = open_trial(DESIGN_SUBSETS, MANY, &settings);
    struct trial_outcome outcome;
    struct ballot_cast cast;

    (void)state;
    ballot_cast_draw(&cast, BALLOT_SCHEME_INDEPENDENT, MANY, 7, 5);
    trial_play(trial, &cast, 0, &outcome);
    assert_int_equal(outcome.caught + outcome.wronged + outcome.disputed, 0);
    assert_int_equal(outcome.corrupted, 0);
    /* Those with two or three liars: 7 C(8, 1) 6 / 2 + C(7, 3). */
    assert_int_equal(outcome.dropped, 168 + 35);
    trial_close(trial);
}

/* What a plain vote of all tasks loses, and proof does not. */
static void test_proof_saves_the_vote(void **state)
{
    struct trial_config settings = {.promise = 6, .rule = TRIAL_VOTE};
    uint32_t wrong[2];

    (void)state;
    for (int r = 0; r < 2; r++) {
        struct trial *trial;
        struct trial_outcome outcome;
        struct ballot_cast cast;

        settings.rule = r == 0 ? TRIAL_VOTE : TRIAL_PROOF;
        settings.coordinates = 4096;
        settings.attack = BALLOT_ATTACK_ANTI;
        trial = open_trial(DESIGN_SUBSETS, MANY, &settings);
        ballot_cast_draw(&cast, BALLOT_SCHEME_INDEPENDENT, MANY, 6, 0);
        trial_play(trial, &cast, 0, &outcome);
        wrong[r] = outcome.wrong_signs;
        trial_close(trial);
    }
    assert_true(wrong[0] > 0);
    assert_int_equal(wrong[1], 0);
}

/* ---- Tables -------------------------------------------------------------- */

static void test_a_number_that_differs_is_told(void **state)
{
    struct tables tables = {0};

    (void)state;
    tables_begin(&tables, "a table");
    tables_add(&tables, (struct table_number){28, 28, 0}, "equal");
    tables_add(&tables, (struct table_number){.0615, 28 / 455.0, .00005},
               "eps");
    assert_int_equal(tables_differing(&tables), 0);
    tables_add(&tables, (struct table_number){28, 29, 0}, "off by one");
    tables_add(&tables, (struct table_number){3.9, 4.01, .1}, "too slow");
    tables_add(&tables, (struct table_number){3.9, 0.0 / 0.0, .1}, "none");
    assert_int_equal(tables_differing(&tables), 3);
    tables_close(&tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_liar_sets_of_seven),
        cmocka_unit_test(test_a_thousand_seeds_of_fifteen),
        cmocka_unit_test(test_a_broken_promise_is_told),
        cmocka_unit_test(test_matching_makes_pairs),
        cmocka_unit_test(test_silence_accuses_nobody),
        cmocka_unit_test(test_proof_saves_the_vote),
        cmocka_unit_test(test_a_number_that_differs_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
