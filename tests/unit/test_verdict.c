/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verdict.c - the rules of verdicts against all subsets of few workers.
 *
 *     test_verdict [--graphs N]    so many random graphs, else 20,000
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aspis/cover.h"
#include "aspis/verdict.h"
#include "disputes.h"
#include "guarded.h"

enum { FEW_MAX = 14 };

static uint64_t seed = 1;
static uint32_t graphs = 20000;

/* What all covers together say, each a bit per worker. */
struct truth {
    uint32_t all;      /* workers */
    uint32_t always;   /* in every cover of at most liars_max workers */
    uint32_t ever;     /* in one of them */
    uint32_t covers;   /* how many */
    uint32_t least;    /* workers of a smallest cover */
    uint32_t smallest; /* covers of that size */
    uint32_t cover;    /* one of these */
};

static uint32_t bits_of(const struct worker_set *set)
{
    for (uint32_t w = 1; w < WORKER_WORDS; w++)
        assert_int_equal(set->words[w], 0);
    return (uint32_t)set->words[0];
}

static bool covers(const struct graph *graph, uint32_t subset)
{
    for (uint32_t w = 0; w < graph->workers; w++)
        if ((subset >> w & 1) == 0 &&
            ((uint32_t)graph->adjacent[w].words[0] & ~subset) != 0)
            return false;
    return true;
}

static struct truth truth_of(const struct graph *graph, uint32_t liars_max)
{
    struct truth truth = {
        .all = (1u << graph->workers) - 1,
        .always = UINT32_MAX,
        .least = UINT32_MAX,
    };

    for (uint32_t subset = 0; subset <= truth.all; subset++) {
        const uint32_t size = (uint32_t)__builtin_popcount(subset);

        if ((size > liars_max && size > truth.least) || !covers(graph, subset))
            continue;
        if (size <= liars_max) {
            truth.covers++;
            truth.always &= subset;
            truth.ever |= subset;
        }
        if (size < truth.least) {
            truth.least = size;
            truth.smallest = 0;
            truth.cover = subset;
        }
        truth.smallest += size == truth.least;
    }
    return truth;
}

static void check_proof(const struct graph *graph, const struct truth *truth,
                        uint32_t liars_max)
{
    struct verdict verdict;

    verdict_proof(&verdict, graph, liars_max, UINT64_MAX);
    if (truth->covers == 0) {
        assert_int_equal(verdict.outcome, VERDICT_BROKEN);
        assert_int_equal(bits_of(&verdict.byzantine), 0);
        assert_int_equal(bits_of(&verdict.honest), 0);
        return;
    }
    assert_int_equal(verdict.outcome, VERDICT_REACHED);
    assert_int_equal(bits_of(&verdict.byzantine), truth->always);
    assert_int_equal(bits_of(&verdict.honest), truth->all & ~truth->ever);
}

static void check_paper(const struct graph *graph, const struct truth *truth)
{
    const struct worker_set all = workers_below(graph->workers);
    struct verdict verdict;

    verdict_paper(&verdict, graph, &all, UINT64_MAX);
    if (truth->smallest > 1) {
        assert_int_equal(verdict.outcome, VERDICT_AMBIGUOUS);
        assert_int_equal(bits_of(&verdict.byzantine), 0);
        assert_int_equal(bits_of(&verdict.honest), 0);
        return;
    }
    assert_int_equal(verdict.outcome, VERDICT_REACHED);
    assert_int_equal(bits_of(&verdict.byzantine), truth->cover);
    assert_int_equal(bits_of(&verdict.honest), truth->all & ~truth->cover);
}

/* With too few nodes less is said, and nothing that is wrong. */
static void check_budget(const struct graph *graph, const struct truth *truth,
                         uint32_t liars_max, uint64_t nodes_max)
{
    const struct worker_set all = workers_below(graph->workers);
    struct verdict verdict;

    verdict_proof(&verdict, graph, liars_max, nodes_max);
    assert_true(verdict.nodes <= nodes_max);
    if (verdict.outcome != VERDICT_UNDECIDED)
        check_proof(graph, truth, liars_max);
    if (truth->covers == 0)
        assert_true(verdict.outcome == VERDICT_BROKEN ||
                    verdict.outcome == VERDICT_UNDECIDED);
    else
        assert_int_not_equal(verdict.outcome, VERDICT_BROKEN);
    if (truth->covers > 0) {
        assert_int_equal(bits_of(&verdict.byzantine) & ~truth->always, 0);
        assert_int_equal(bits_of(&verdict.honest) & truth->ever, 0);
    }
    verdict_paper(&verdict, graph, &all, nodes_max);
    assert_true(verdict.nodes <= nodes_max);
    if (verdict.outcome == VERDICT_REACHED)
        assert_int_equal(bits_of(&verdict.byzantine), truth->cover);
    if (verdict.outcome == VERDICT_AMBIGUOUS)
        assert_true(truth->smallest > 1);
}

static void check_cover(const struct graph *graph, const struct truth *truth,
                        uint32_t size_max, uint64_t nodes_max)
{
    const struct cover_question question = {
        .graph = graph,
        .within = workers_below(graph->workers),
        .size_max = size_max,
        .least = nodes_max % 2 == 0,
    };
    uint64_t nodes_left = nodes_max;
    const struct cover cover = cover_find(&question, &nodes_left);

    assert_true(nodes_left <= nodes_max);
    assert_true(cover.exact || nodes_left == 0);
    assert_true(cover.least <= truth->least);
    assert_int_equal(cover.size, workers_count(&cover.workers));
    if (cover.found) {
        assert_true(covers(graph, bits_of(&cover.workers)));
        assert_in_range(cover.size, truth->least, size_max);
    } else {
        assert_true(!cover.exact || truth->least > size_max);
    }
    if (cover.found && cover.exact && question.least) {
        assert_int_equal(cover.size, truth->least);
        assert_int_equal(cover.least, truth->least);
    }
}

static void draw_graph(struct graph *graph)
{
    const uint32_t workers = 1 + (uint32_t)(random_next(&seed) % FEW_MAX);
    const uint32_t percent = (uint32_t)(random_next(&seed) % 101);
    const struct worker_set liars = disputes_draw(
        workers, (uint32_t)(random_next(&seed) % (workers / 2 + 1)), &seed);

    disputes_random(graph, workers, percent,
                    random_next(&seed) % 2 == 0 ? &liars : NULL, &seed);
}

static void test_verdicts_are_what_all_covers_say(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < graphs; i++) {
        struct graph graph;
        struct truth truth;
        uint32_t liars_max;

        draw_graph(&graph);
        liars_max = (uint32_t)(random_next(&seed) % (graph.workers + 1));
        truth = truth_of(&graph, liars_max);
        check_proof(&graph, &truth, liars_max);
        check_paper(&graph, &truth);
        check_budget(&graph, &truth, liars_max, random_next(&seed) % 8);
        check_cover(&graph, &truth, liars_max, random_next(&seed) % 8);
        check_cover(&graph, &truth, liars_max, UINT64_MAX);
        check_cover(&graph, &truth, liars_max, UINT64_MAX - 1);
    }
}

/* Numbers of workers decide nothing: the same graph across all words of the
 * sets, between workers without disputes, has the same verdicts. */
static void test_workers_may_have_any_number(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < graphs / 10; i++) {
        struct graph graph, spread = {.workers = WORKERS_MAX};
        struct verdict verdict, far;
        uint32_t liars_max;

        draw_graph(&graph);
        for (uint32_t a = 0; a < graph.workers; a++)
            for (uint32_t b = 0; b < a; b++)
                if (workers_has(&graph.adjacent[a], b))
                    disputes_join(&spread, 255 - 19 * a, 255 - 19 * b);
        liars_max = (uint32_t)(random_next(&seed) % (graph.workers + 1));
        verdict_proof(&verdict, &graph, liars_max, UINT64_MAX);
        verdict_proof(&far, &spread, liars_max, UINT64_MAX);
        assert_int_equal(far.outcome, verdict.outcome);
        assert_int_equal(workers_count(&far.byzantine),
                         workers_count(&verdict.byzantine));
        for (uint32_t w = 0; w < graph.workers; w++) {
            assert_int_equal(workers_has(&far.byzantine, 255 - 19 * w),
                             workers_has(&verdict.byzantine, w));
            assert_int_equal(workers_has(&far.honest, 255 - 19 * w),
                             workers_has(&verdict.honest, w));
        }
    }
}

/* Each threshold one below, at it and one above. */
static void test_promise_breaks_one_liar_above_it(void **state)
{
    (void)state;
    for (uint32_t liars = 2; liars <= 31; liars++) {
        struct graph graph;
        struct verdict verdict;

        disputes_matching(&graph, 2 * liars + 1);
        verdict_proof(&verdict, &graph, liars - 1, VERDICT_NODES);
        assert_int_equal(verdict.outcome, VERDICT_BROKEN);
        assert_true(workers_empty(&verdict.byzantine));
        assert_true(workers_empty(&verdict.honest));
        verdict_proof(&verdict, &graph, liars, VERDICT_NODES);
        assert_int_equal(verdict.outcome, VERDICT_REACHED);
        assert_true(workers_empty(&verdict.byzantine));
        assert_int_equal(workers_count(&verdict.honest), 1);
        assert_true(workers_has(&verdict.honest, liars));
        verdict_proof(&verdict, &graph, liars + 1, VERDICT_NODES);
        assert_int_equal(verdict.outcome, VERDICT_REACHED);
        assert_true(workers_empty(&verdict.honest));
    }
}

static void test_clean_round_proves_nothing(void **state)
{
    const struct graph graph = {.workers = 15};
    struct verdict verdict;

    (void)state;
    verdict_proof(&verdict, &graph, 1, VERDICT_NODES);
    assert_int_equal(verdict.outcome, VERDICT_REACHED);
    assert_true(workers_empty(&verdict.byzantine));
    assert_true(workers_empty(&verdict.honest));
    verdict_proof(&verdict, &graph, 0, VERDICT_NODES);
    assert_int_equal(workers_count(&verdict.honest), 15);
}

/* Absent workers are no part of the paper's graph. */
static void test_paper_judges_who_is_present(void **state)
{
    struct graph graph;
    struct worker_set present = workers_below(7);
    struct verdict verdict;

    (void)state;
    disputes_matching(&graph, 7);
    workers_remove(&present, 0);
    verdict_paper(&verdict, &graph, &present, VERDICT_NODES);
    assert_int_equal(verdict.outcome, VERDICT_AMBIGUOUS);
    workers_remove(&present, 1);
    workers_remove(&present, 2);
    verdict_paper(&verdict, &graph, &present, VERDICT_NODES);
    assert_int_equal(verdict.outcome, VERDICT_REACHED);
    assert_int_equal(bits_of(&verdict.honest), 0x78);
    assert_int_equal(bits_of(&verdict.byzantine), 0);
}

/* A cycle of seven proves nothing, which costs nodes; a path of five proves
 * all. One node too few is missing for the cycle, whichever comes first. */
static void test_small_components_are_judged_first(void **state)
{
    (void)state;
    for (uint32_t first = 0; first <= 7; first += 7) {
        const uint32_t cycle = first == 0 ? 5 : 0;
        struct graph graph = {.workers = 12};
        struct verdict all, fewer;

        for (uint32_t i = 0; i < 4; i++)
            disputes_join(&graph, first + i, first + i + 1);
        for (uint32_t i = 0; i < 7; i++)
            disputes_join(&graph, cycle + i, cycle + (i + 1) % 7);
        verdict_proof(&all, &graph, 6, UINT64_MAX);
        assert_int_equal(all.outcome, VERDICT_REACHED);
        verdict_proof(&fewer, &graph, 6, all.nodes - 1);
        assert_int_equal(fewer.outcome, VERDICT_UNDECIDED);
        assert_int_equal(bits_of(&fewer.byzantine), 0x0au << first);
        assert_int_equal(bits_of(&fewer.honest), 0x15u << first);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_are_what_all_covers_say),
        cmocka_unit_test(test_workers_may_have_any_number),
        cmocka_unit_test(test_promise_breaks_one_liar_above_it),
        cmocka_unit_test(test_clean_round_proves_nothing),
        cmocka_unit_test(test_paper_judges_who_is_present),
        cmocka_unit_test(test_small_components_are_judged_first),
    };

    if (argc == 3 && strcmp(argv[1], "--graphs") == 0)
        graphs = (uint32_t)strtoul(argv[2], NULL, 10);
    else if (argc != 1)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
