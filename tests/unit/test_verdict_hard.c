/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verdict_hard.c - graphs that liars choose to make a verdict expensive.
 * Prints nodes and milliseconds; nodes alone decide, for they do not depend on
 * the machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "aspis/cover.h"
#include "aspis/verdict.h"
#include "disputes.h"
#include "guarded.h"

enum { DRAWS = 20 };

typedef void family_fn(struct graph *graph, uint32_t workers, uint64_t *seed);

static void all_distort(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    const struct worker_set liars = workers_below((workers - 1) / 2);

    disputes_random(graph, workers, 100, &liars, seed);
}

/* Every liar disputes with the same honest ones, as many as there are liars. */
static void fixed(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    const uint32_t liars = (workers - 1) / 2;

    disputes_random(graph, workers, 0, NULL, seed);
    for (uint32_t a = 0; a < liars; a++)
        for (uint32_t b = liars; b < 2 * liars; b++)
            disputes_join(graph, a, b);
}

/* A printed clique search lists 2^liars of them here. */
static void matching(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    (void)seed;
    disputes_matching(graph, workers);
}

static void triangles(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    (void)seed;
    disputes_cycles(graph, workers * 3 / 4, 3);
    graph->workers = workers;
}

static void pentagons(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    (void)seed;
    disputes_cycles(graph, workers * 5 / 6, 5);
    graph->workers = workers;
}

static void accuse_3(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    disputes_accuse(graph, workers, (workers - 1) / 2, 3, seed);
}

static void accuse_10(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    disputes_accuse(graph, workers, (workers - 1) / 2, 10, seed);
}

static void accuse_20(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    disputes_accuse(graph, workers, (workers - 1) / 2, 20, seed);
}

/* Liars also dispute with each other. */
static void sparse(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    const struct worker_set liars = workers_below((workers - 1) / 2);

    disputes_random(graph, workers, 600 / workers, &liars, seed);
}

static void tenth(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    const struct worker_set liars = workers_below((workers - 1) / 2);

    disputes_random(graph, workers, 10, &liars, seed);
}

static void third(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    const struct worker_set liars = workers_below((workers - 1) / 2);

    disputes_random(graph, workers, 33, &liars, seed);
}

/* No promise holds: anybody disputes with anybody. */
static void anybody(struct graph *graph, uint32_t workers, uint64_t *seed)
{
    disputes_random(graph, workers, 400 / workers, NULL, seed);
}

static const struct family {
    const char *name;
    family_fn *draw;
} families[] = {
    {"all distort", all_distort},
    {"fixed disagreement", fixed},
    {"matching", matching},
    {"triangles", triangles},
    {"pentagons", pentagons},
    {"accuse 3 each", accuse_3},
    {"accuse 10 each", accuse_10},
    {"accuse 20 each", accuse_20},
    {"sparse", sparse},
    {"one pair in ten", tenth},
    {"one pair in three", third},
    {"anybody", anybody},
};

enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* The most nodes of `draws` graphs of the family; how many were undecided. */
static uint64_t worst(const struct family *family, uint32_t workers,
                      uint32_t draws, uint32_t *undecided)
{
    uint64_t seed = workers;
    uint64_t nodes = 0, paper_nodes = 0;
    double ms = 0, paper_ms = 0;
    const struct worker_set all = workers_below(workers);

    *undecided = 0;
    for (uint32_t i = 0; i < draws; i++) {
        struct graph graph;
        struct verdict verdict;
        double begin, took;

        family->draw(&graph, workers, &seed);
        begin = now_ms();
        verdict_proof(&verdict, &graph, (workers - 1) / 2, VERDICT_NODES);
        took = now_ms() - begin;
        ms = took > ms ? took : ms;
        nodes = verdict.nodes > nodes ? verdict.nodes : nodes;
        *undecided += verdict.outcome == VERDICT_UNDECIDED;
        begin = now_ms();
        verdict_paper(&verdict, &graph, &all, VERDICT_NODES);
        took = now_ms() - begin;
        paper_ms = took > paper_ms ? took : paper_ms;
        paper_nodes = verdict.nodes > paper_nodes ? verdict.nodes : paper_nodes;
    }
    print_message("%3u %-18s proof %6lu nodes %8.3f ms, %2u undecided; "
                  "paper %6lu nodes %8.3f ms\n",
                  workers, family->name, (unsigned long)nodes, ms, *undecided,
                  (unsigned long)paper_nodes, paper_ms);
    return nodes;
}

static void test_64_workers_take_few_nodes(void **state)
{
    (void)state;
    for (size_t f = 0; f < FAMILIES; f++) {
        uint32_t undecided;

        assert_true(worst(&families[f], 64, DRAWS, &undecided) <= 2000);
        assert_int_equal(undecided, 0);
    }
}

static void test_many_workers_stay_within_their_nodes(void **state)
{
    (void)state;
    for (uint32_t workers = 128; workers <= 256; workers += 128)
        for (size_t f = 0; f < FAMILIES; f++) {
            uint32_t undecided;

            assert_true(worst(&families[f], workers, 3, &undecided) <=
                        VERDICT_NODES);
        }
}

/* Words of `bits` bits, of which `ones` are 1 (0: any number), agree iff they
 * differ in at least `distance` of them. */
struct code {
    uint32_t bits, ones, distance;
    uint32_t clique; /* workers of the largest */
};

static void draw_code(struct graph *graph, const struct code *code)
{
    uint32_t words[WORKERS_MAX];
    uint32_t count = 0;

    for (uint32_t w = 0; w < 1u << code->bits; w++)
        if (code->ones == 0 || (uint32_t)__builtin_popcount(w) == code->ones)
            words[count++] = w;
    *graph = (struct graph){.workers = count};
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = 0; b < a; b++)
            if ((uint32_t)__builtin_popcount(words[a] ^ words[b]) <
                code->distance)
                disputes_join(graph, a, b);
}

/* hamming6-2 and so on, johnson8-2-4 and so on: graphs of the DIMACS challenge
 * whose largest cliques are known. */
static void test_cliques_of_codes(void **state)
{
    static const struct code codes[] = {
        {6, 0, 2, 32}, {6, 0, 4, 4}, {8, 0, 2, 128},
        {8, 0, 4, 16}, {8, 2, 4, 4}, {8, 4, 4, 14},
    };

    (void)state;
    for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++) {
        struct graph graph;
        struct cover_question question = {.graph = &graph, .least = true};
        uint64_t nodes_left = VERDICT_NODES;
        struct cover cover;
        double begin;

        draw_code(&graph, &codes[c]);
        question.within = workers_below(graph.workers);
        question.size_max = graph.workers;
        begin = now_ms();
        cover = cover_find(&question, &nodes_left);
        print_message(
            "%3u workers, %2u bits, %u ones, distance %u: %6lu nodes "
            "%8.3f ms\n",
            graph.workers, codes[c].bits, codes[c].ones, codes[c].distance,
            (unsigned long)(VERDICT_NODES - nodes_left), now_ms() - begin);
        assert_true(cover.found && cover.exact);
        assert_int_equal(graph.workers - cover.size, codes[c].clique);
    }
}

/* johnson16-2-4: who shares a point of 16 disputes. The smallest covers leave
 * out any 8 pairs that share none, so nothing can be proven, which takes more
 * nodes than there are. */
static void test_spent_nodes_are_told(void **state)
{
    const struct code code = {16, 2, 4, 8};
    struct graph graph;

    (void)state;
    draw_code(&graph, &code);
    for (uint32_t liars_max = 111; liars_max <= 112; liars_max++) {
        struct verdict verdict;

        verdict_proof(&verdict, &graph, liars_max, VERDICT_NODES);
        assert_int_equal(verdict.outcome, VERDICT_UNDECIDED);
        assert_int_equal(verdict.nodes, VERDICT_NODES);
        assert_true(workers_empty(&verdict.byzantine));
        assert_true(workers_empty(&verdict.honest));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cliques_of_codes),
        cmocka_unit_test(test_spent_nodes_are_told),
        cmocka_unit_test(test_64_workers_take_few_nodes),
        cmocka_unit_test(test_many_workers_stay_within_their_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
