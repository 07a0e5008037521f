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

#include "aspis/agreement.h"
#include "aspis/resolve.h"
#include "disputes.h"
#include "guarded.h"

enum {
    REPLICAS = 3,
    WORKERS_FEW = 7,
    WORKERS_MANY = 15,
    TASKS_MAX = 455,
    TRUTH = 0,
    LIE = 1, /* the same from all liars that collude */
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

struct task {
    uint8_t workers[REPLICAS];
    uint32_t values[REPLICAS];
};

static struct task tasks[TASKS_MAX];
static uint32_t task_count;

/* What became of the tasks. */
struct outcome {
    uint32_t corrupted;
    uint32_t dropped;
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

static void assign(uint32_t workers)
{
    task_count = 0;
    for (uint8_t a = 0; a < workers; a++)
        for (uint8_t b = (uint8_t)(a + 1); b < workers; b++)
            for (uint8_t c = (uint8_t)(b + 1); c < workers; c++)
                tasks[task_count++] = (struct task){.workers = {a, b, c}};
}

static void lie(const struct attack *attack)
{
    for (uint32_t t = 0; t < task_count; t++) {
        struct task *task = &tasks[t];
        uint32_t members = 0;
        bool quiet;

        for (uint32_t i = 0; i < REPLICAS; i++)
            members |= 1u << task->workers[i];
        quiet = (members & ~attack->liars & ~attack->victims) != 0;
        for (uint32_t i = 0; i < REPLICAS; i++) {
            const uint32_t worker = task->workers[i];
            const bool lies = (attack->liars >> worker & 1) &&
                              (!quiet || (attack->loud >> worker & 1));

            task->values[i] = !lies           ? TRUTH
                              : attack->alone ? LIE + 1 + worker
                                              : LIE;
        }
    }
}

static struct agreement *compare(uint32_t workers)
{
    const struct agreement_config config = {
        .workers = workers, .tasks = task_count, .replicas = REPLICAS};
    struct agreement *agreement;

    assert_int_equal(agreement_open(&agreement, &config), 0);
    for (uint32_t t = 0; t < task_count; t++) {
        const uint32_t *v = tasks[t].values;
        const uint64_t distances[] = {v[0] != v[1], v[0] != v[2], v[1] != v[2]};

        agreement_add(agreement, t, tasks[t].workers, 7, distances);
    }
    return agreement;
}

/* The value that more than half of the replicas have, or -1. */
static int64_t value_of_two(const struct task *task)
{
    const uint32_t *v = task->values;

    if (v[0] == v[1] || v[0] == v[2])
        return v[0];
    return v[1] == v[2] ? (int64_t)v[1] : -1;
}

static void tell(struct outcome *outcome, const struct task *task,
                 const struct choice *choice)
{
    int64_t value = -1;

    if (choice->kind == CHOICE_REPLICA)
        value = task->values[choice->replica];
    if (choice->kind == CHOICE_MAJORITY)
        value = value_of_two(task);
    outcome->dropped += value == -1;
    outcome->corrupted += value > TRUTH;
}

static struct outcome resolve(const struct graph *graph,
                              const struct verdict *verdict, bool proof)
{
    const bool open = resolve_is_open(verdict, graph);
    struct outcome outcome = {0};

    for (uint32_t t = 0; t < task_count; t++) {
        const uint32_t *v = tasks[t].values;
        const uint64_t distances[] = {v[0] != v[1], v[0] != v[2], v[1] != v[2]};
        const struct replicas replicas = {
            .workers = tasks[t].workers,
            .count = REPLICAS,
            .present = below(REPLICAS),
            .distances = distances,
        };
        const struct choice choice =
            proof ? resolve_proof(verdict, open, &replicas)
                  : resolve_paper(verdict, &replicas);

        tell(&outcome, &tasks[t], &choice);
    }
    return outcome;
}

/* One round under the attack, and what both rules make of it. */
struct trial {
    struct graph graph;
    struct verdict paper, proof;
    struct outcome by_paper, by_proof;
};

static void attempt(struct trial *trial, uint32_t workers,
                    const struct attack *attack)
{
    const struct worker_set all = workers_below(workers);
    const uint32_t liars = count_of(attack->liars);
    struct agreement *agreement;

    assign(workers);
    lie(attack);
    agreement = compare(workers);
    trial->graph = *agreement_graph(agreement);
    agreement_close(agreement);
    verdict_paper(&trial->paper, &trial->graph, &all, VERDICT_NODES);
    verdict_proof(&trial->proof, &trial->graph, liars, VERDICT_NODES);
    trial->by_paper = resolve(&trial->graph, &trial->paper, false);
    trial->by_proof = resolve(&trial->graph, &trial->proof, true);
    /* What holds whatever they do. */
    assert_int_equal(trial->proof.outcome, VERDICT_REACHED);
    assert_int_equal(bits_of(&trial->proof.byzantine) & ~attack->liars, 0);
    assert_int_equal(bits_of(&trial->proof.honest) & attack->liars, 0);
    assert_true(trial->by_proof.corrupted <= binomial_3(2 * liars) / 2);
}

static void expect(const struct outcome *outcome, uint32_t corrupted,
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
                struct trial trial;

                attempt(&trial, WORKERS_FEW, &attack);
                attack.alone = true;
                attempt(&trial, WORKERS_FEW, &attack);
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
        struct trial trial;

        attempt(&trial, WORKERS_MANY, &attack);
        assert_int_equal(bits_of(&trial.proof.byzantine), attack.liars);
        assert_int_equal(bits_of(&trial.proof.honest),
                         below(WORKERS_MANY) & ~attack.liars);
        assert_int_equal(bits_of(&trial.paper.byzantine), attack.liars);
        expect(&trial.by_paper, 0, binomial_3(liars));
        expect(&trial.by_proof, 0, binomial_3(liars));
    }
}

/* The paper's best attack: two maximum cliques, and half of C(2q, 3) tasks. */
static void test_fixed_disagreement_reaches_the_bound(void **state)
{
    (void)state;
    for (uint32_t liars = 2; liars <= 7; liars++) {
        const struct attack attack = {.liars = below(liars),
                                      .victims = below(liars) << liars};
        struct trial trial;

        attempt(&trial, WORKERS_MANY, &attack);
        assert_int_equal(trial.paper.outcome, VERDICT_AMBIGUOUS);
        assert_int_equal(bits_of(&trial.proof.byzantine), 0);
        assert_int_equal(bits_of(&trial.proof.honest),
                         below(WORKERS_MANY) & ~below(2 * liars));
        expect(&trial.by_paper, binomial_3(2 * liars) / 2, 0);
        expect(&trial.by_proof, binomial_3(2 * liars) / 2, 0);
    }
}

/* The figure of the paper: workers 1 to 3 lie to 4 to 6. */
static void test_figure_of_seven_workers(void **state)
{
    const struct attack attack = {.liars = 0x07, .victims = 0x38};
    struct trial trial;

    (void)state;
    attempt(&trial, WORKERS_FEW, &attack);
    assert_int_equal(trial.paper.outcome, VERDICT_AMBIGUOUS);
    assert_int_equal(bits_of(&trial.proof.byzantine), 0);
    assert_int_equal(bits_of(&trial.proof.honest), 0x40);
    expect(&trial.by_proof, 10, 0);
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
        struct trial trial;

        attempt(&trial, WORKERS_MANY, &attack);
        assert_int_equal(trial.paper.outcome, VERDICT_REACHED);
        assert_int_equal(bits_of(&trial.paper.byzantine), attack.victims);
        /* Tasks that victims alone hold are skipped. */
        expect(&trial.by_paper, by_paper[liars - 2], binomial_3(liars - 1));
        expect(&trial.by_proof, by_proof[liars - 2], 0);
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
        struct trial trial;

        attempt(&trial, WORKERS_MANY, &attack);
        assert_int_equal(trial.paper.outcome, VERDICT_AMBIGUOUS);
        assert_int_equal(bits_of(&trial.proof.byzantine), attack.loud);
        expect(&trial.by_proof, 0, by_proof[liars - 2]);
        expect(&trial.by_paper, by_paper[liars - 2], 0);
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
            struct trial trial;

            attempt(&trial, workers, &attack);
            assert_int_equal(trial.paper.outcome, VERDICT_REACHED);
            assert_int_equal(bits_of(&trial.paper.byzantine), attack.victims);
            assert_int_equal(bits_of(&trial.proof.byzantine), 0);
            assert_int_equal(bits_of(&trial.proof.honest), 0);
            expect(&trial.by_proof, by_proof[liars - 2], 0);
        }
}

/* Lies in tasks that have no honest worker are not seen by anybody. */
static void test_silent_liars_are_bounded(void **state)
{
    (void)state;
    for (uint32_t liars = 3; liars <= 7; liars++) {
        const struct attack attack = {.liars = below(liars)};
        struct trial trial;

        attempt(&trial, WORKERS_MANY, &attack);
        assert_int_equal(bits_of(&trial.proof.byzantine), 0);
        assert_int_equal(bits_of(&trial.proof.honest), 0);
        expect(&trial.by_paper, binomial_3(liars), 0);
        expect(&trial.by_proof, binomial_3(liars), 0);
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
