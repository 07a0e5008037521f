/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verdict_attacks.c - what liars can do to the verdicts and to the tasks,
 * where every three workers compute a task. The numbers of tasks that the
 * printed rule loses are closed forms of the paper's attack and of three that
 * it does not mention; proof keeps to its bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "disputes.h"
#include "tools/aspis/trial.h"

enum {
    REPLICAS = 3,
    WORKERS_FEW = 7,
    WORKERS_MANY = 15,
    COORDINATES = 64, /* of a task */
};

/*
 * Who lies, and when. Loud liars lie in each task. The others lie where all
 * honest workers of the task are among the victims: with the votes of honest
 * others, the lie would be plain.
 */
struct attack {
    uint32_t liars;   /* bit per worker, as all of these */
    uint32_t loud;    /* of the liars */
    uint32_t victims; /* of the honest */
    bool alone;       /* each liar has a lie of its own */
};

static uint32_t bits_of(const struct worker_set *set)
{
    return (uint32_t)set->words[0];
}

static uint32_t below(uint32_t count)
{
    return (1u << count) - 1;
}

static uint32_t count_of(uint32_t bits)
{
    return (uint32_t)__builtin_popcount(bits);
}

static uint32_t binomial_3(uint32_t n)
{
    return n * (n - 1) * (n - 2) / 6;
}

/* One round under the attack, and what both rules make of it. */
struct round {
    struct verdict paper, proof;
    struct trial_outcome by_paper, by_proof;
};

static struct ballot_cast cast_of(uint32_t workers, const struct attack *attack)
{
    return (struct ballot_cast){
        .scheme =
            attack->alone ? BALLOT_SCHEME_INDEPENDENT : BALLOT_SCHEME_FIXED,
        .workers = workers,
        .liars = {attack->liars},
        .loud = {attack->loud},
        .victims = {attack->victims},
        .rate = 1.0f,
    };
}

static struct trial_outcome play(uint32_t workers, const struct attack *attack,
                                 enum trial_rule rule)
{
    const struct trial_config config = {
        .assignment = {.design = DESIGN_SUBSETS,
                       .workers = workers,
                       .replication = REPLICAS},
        /* Noise differs from liar to liar, and inverted signs do not. */
        .attack = attack->alone ? BALLOT_ATTACK_RANDOM : BALLOT_ATTACK_REVERSED,
        .rule = rule,
        .promise = count_of(attack->liars),
        .coordinates = COORDINATES,
    };
    const struct ballot_cast cast = cast_of(workers, attack);
    char why[ASSIGNMENT_WHY_BYTES];
    struct trial_outcome outcome;
    struct trial *trial;

    assert_int_equal(trial_open(&trial, &config, why), 0);
    trial_play(trial, &cast, 0, &outcome);
    trial_close(trial);
    return outcome;
}

/* What holds whatever they do. */
static struct trial_outcome prove(uint32_t workers, const struct attack *attack)
{
    const struct trial_outcome outcome = play(workers, attack, TRIAL_PROOF);

    assert_int_equal(outcome.verdict.outcome, VERDICT_REACHED);
    assert_int_equal(bits_of(&outcome.verdict.byzantine) & ~attack->liars, 0);
    assert_int_equal(bits_of(&outcome.verdict.honest) & attack->liars, 0);
    assert_true(outcome.corrupted <=
                binomial_3(2 * count_of(attack->liars)) / 2);
    return outcome;
}

static void attempt(struct round *round, uint32_t workers,
                    const struct attack *attack)
{
    round->by_paper = play(workers, attack, TRIAL_PAPER);
    round->by_proof = prove(workers, attack);
    round->paper = round->by_paper.verdict;
    round->proof = round->by_proof.verdict;
}

static void expect(const struct trial_outcome *outcome, uint32_t corrupted,
                   uint32_t dropped)
{
    assert_int_equal(outcome->corrupted, corrupted);
    assert_int_equal(outcome->dropped, dropped);
}

/* Every set of liars, which of them are loud, and every set of victims. */
static void test_no_attack_convicts_an_honest_worker(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 1u << WORKERS_FEW; liars++) {
        if (count_of(liars) > (WORKERS_FEW - 1) / 2)
            continue;
        for (uint32_t loud = liars;; loud = (loud - 1) & liars) {
            const uint32_t honest = below(WORKERS_FEW) & ~liars;

            for (uint32_t victims = honest;; victims = (victims - 1) & honest) {
                struct attack attack = {liars, loud, victims, false};

                prove(WORKERS_FEW, &attack);
                attack.alone = true;
                prove(WORKERS_FEW, &attack);
                if (victims == 0)
                    break;
            }
            if (loud == 0)
                break;
        }
    }
}

/* The edges that `pattern` picks, of those with a liar. */
static void choose(struct graph *graph, uint32_t liars, uint32_t pattern)
{
    uint32_t edge = 0;

    *graph = (struct graph){.workers = WORKERS_FEW};
    for (uint32_t a = 0; a < WORKERS_FEW; a++)
        for (uint32_t b = 0; b < a; b++)
            if (((liars >> a | liars >> b) & 1) && (pattern >> edge++ & 1))
                disputes_join(graph, a, b);
}

/* Whatever liars say, the graph is one of these. */
static void test_no_graph_convicts_an_honest_worker(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 1u << WORKERS_FEW; liars++) {
        const uint32_t count = count_of(liars);
        const uint32_t edges =
            count * (WORKERS_FEW - count) + count * (count - 1) / 2;

        if (count > (WORKERS_FEW - 1) / 2)
            continue;
        for (uint32_t pattern = 0; pattern < 1u << edges; pattern++) {
            struct graph graph;
            struct verdict verdict;

            choose(&graph, liars, pattern);
            verdict_proof(&verdict, &graph, count, VERDICT_NODES);
            assert_int_equal(verdict.outcome, VERDICT_REACHED);
            assert_int_equal(bits_of(&verdict.byzantine) & ~liars, 0);
            assert_int_equal(bits_of(&verdict.honest) & liars, 0);
        }
    }
}

static void test_liars_that_lie_always_are_convicted(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars <= 7; liars++) {
        const struct attack attack = {below(liars), below(liars), 0, true};
        struct round round;

        attempt(&round, WORKERS_MANY, &attack);
        assert_int_equal(bits_of(&round.proof.byzantine), attack.liars);
        assert_int_equal(bits_of(&round.proof.honest),
                         below(WORKERS_MANY) & ~attack.liars);
        assert_int_equal(bits_of(&round.paper.byzantine), attack.liars);
        expect(&round.by_paper, 0, binomial_3(liars));
        expect(&round.by_proof, 0, binomial_3(liars));
    }
}

/* The paper's best attack: two maximum cliques, and half of C(2q, 3) tasks. */
static void test_fixed_disagreement_reaches_the_bound(void **state)
{
    (void)state;
    for (uint32_t liars = 2; liars <= 7; liars++) {
        const struct attack attack = {.liars = below(liars),
                                      .victims = below(liars) << liars};
        struct round round;

        attempt(&round, WORKERS_MANY, &attack);
        assert_int_equal(round.paper.outcome, VERDICT_AMBIGUOUS);
        assert_int_equal(bits_of(&round.proof.byzantine), 0);
        assert_int_equal(bits_of(&round.proof.honest),
                         below(WORKERS_MANY) & ~below(2 * liars));
        expect(&round.by_paper, binomial_3(2 * liars) / 2, 0);
        expect(&round.by_proof, binomial_3(2 * liars) / 2, 0);
    }
}

/* The figure of the paper: workers 1 to 3 lie to 4 to 6. */
static void test_figure_of_seven_workers(void **state)
{
    const struct attack attack = {.liars = 0x07, .victims = 0x38};
    struct round round;

    (void)state;
    attempt(&round, WORKERS_FEW, &attack);
    assert_int_equal(round.paper.outcome, VERDICT_AMBIGUOUS);
    assert_int_equal(bits_of(&round.proof.byzantine), 0);
    assert_int_equal(bits_of(&round.proof.honest), 0x40);
    expect(&round.by_proof, 10, 0);
}

/* One victim fewer than liars: theirs is the only maximum clique. */
static void test_take_over_beats_paper_and_not_proof(void **state)
{
    static const uint32_t by_paper[] = {1, 10, 34, 80, 155, 266};
    static const uint32_t by_proof[] = {1, 7, 22, 50, 95, 161};

    (void)state;
    for (uint32_t liars = 2; liars <= 7; liars++) {
        const struct attack attack = {.liars = below(liars),
                                      .victims = below(liars - 1) << liars};
        struct round round;

        attempt(&round, WORKERS_MANY, &attack);
        assert_int_equal(round.paper.outcome, VERDICT_REACHED);
        assert_int_equal(bits_of(&round.paper.byzantine), attack.victims);
        /* Tasks that victims alone hold are skipped. */
        expect(&round.by_paper, by_paper[liars - 2], binomial_3(liars - 1));
        expect(&round.by_proof, by_proof[liars - 2], 0);
    }
}

/* All but one lie always; that one makes a tie, so that the printed rule counts
 * the votes of liars whom it could have named. */
static void test_scapegoat_beats_paper_and_not_proof(void **state)
{
    static const uint32_t by_paper[] = {1, 15, 40, 74, 115, 161};
    static const uint32_t by_proof[] = {1, 4, 10, 20, 35, 56};

    (void)state;
    for (uint32_t liars = 2; liars <= 7; liars++) {
        const struct attack attack = {
            .liars = below(liars),
            .loud = below(liars - 1),
            .victims = 1u << liars,
        };
        struct round round;

        attempt(&round, WORKERS_MANY, &attack);
        assert_int_equal(round.paper.outcome, VERDICT_AMBIGUOUS);
        assert_int_equal(bits_of(&round.proof.byzantine), attack.loud);
        expect(&round.by_proof, 0, by_proof[liars - 2]);
        expect(&round.by_paper, by_paper[liars - 2], 0);
    }
}

/* All liars disagree with one victim alone. */
static void test_framing_beats_paper_and_not_proof(void **state)
{
    static const uint32_t by_proof[] = {1, 4, 10, 20, 35, 56};

    (void)state;
    for (uint32_t workers = WORKERS_FEW; workers <= WORKERS_MANY; workers += 8)
        for (uint32_t liars = 2; liars <= (workers - 1) / 2; liars++) {
            const struct attack attack = {.liars = below(liars),
                                          .victims = 1u << liars};
            struct round round;

            attempt(&round, workers, &attack);
            assert_int_equal(round.paper.outcome, VERDICT_REACHED);
            assert_int_equal(bits_of(&round.paper.byzantine), attack.victims);
            assert_int_equal(bits_of(&round.proof.byzantine), 0);
            assert_int_equal(bits_of(&round.proof.honest), 0);
            expect(&round.by_proof, by_proof[liars - 2], 0);
        }
}

/* Lies in tasks that have no honest worker are not seen by anybody. */
static void test_silent_liars_are_bounded(void **state)
{
    (void)state;
    for (uint32_t liars = 3; liars <= 7; liars++) {
        const struct attack attack = {.liars = below(liars)};
        struct round round;

        attempt(&round, WORKERS_MANY, &attack);
        assert_int_equal(bits_of(&round.proof.byzantine), 0);
        assert_int_equal(bits_of(&round.proof.honest), 0);
        expect(&round.by_paper, binomial_3(liars), 0);
        expect(&round.by_proof, binomial_3(liars), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_attack_convicts_an_honest_worker),
        cmocka_unit_test(test_no_graph_convicts_an_honest_worker),
        cmocka_unit_test(test_liars_that_lie_always_are_convicted),
        cmocka_unit_test(test_fixed_disagreement_reaches_the_bound),
        cmocka_unit_test(test_figure_of_seven_workers),
        cmocka_unit_test(test_take_over_beats_paper_and_not_proof),
        cmocka_unit_test(test_scapegoat_beats_paper_and_not_proof),
        cmocka_unit_test(test_framing_beats_paper_and_not_proof),
        cmocka_unit_test(test_silent_liars_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
