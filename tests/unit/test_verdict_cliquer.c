/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verdict_cliquer.c - verdicts of 16 to 64 workers against the cliques
 * that libcliquer finds in the graph of agreement.
 *
 *     test_verdict_cliquer [--graphs N]    so many random graphs, else 300
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aspis/verdict.h"
#include "disputes.h"
#include "guarded.h"

#ifdef CLIQUER
#include <cliquer/cliquer.h>

static uint32_t graphs = 300;
static uint64_t seed = 1;

/* The largest clique of agreement within the set. */
static uint32_t clique_size(const struct graph *disputes,
                            const struct worker_set *within)
{
    uint32_t members[WORKERS_MAX];
    uint32_t count = 0;
    int size;
    graph_t *agreement;

    for (uint32_t w = 0; w < disputes->workers; w++)
        if (workers_has(within, w))
            members[count++] = w;
    if (count == 0)
        return 0;
    agreement = graph_new((int)count);
    for (uint32_t a = 0; a < count; a++)
        for (uint32_t b = 0; b < a; b++)
            if (!workers_has(&disputes->adjacent[members[a]], members[b]))
                GRAPH_ADD_EDGE(agreement, (int)a, (int)b);
    size = clique_unweighted_max_weight(agreement, NULL);
    graph_free(agreement);
    return (uint32_t)size;
}

/* Without w, and with nobody that disputes with w if w shall be in it. */
static uint32_t clique_around(const struct graph *disputes, uint32_t w,
                              bool with)
{
    struct worker_set within = workers_below(disputes->workers);

    workers_remove(&within, w);
    if (with)
        within = workers_minus(&within, &disputes->adjacent[w]);
    return clique_size(disputes, &within) + with;
}

static void check_proof(const struct graph *disputes, uint32_t liars_max)
{
    const uint32_t honest_min = disputes->workers - liars_max;
    const struct worker_set all = workers_below(disputes->workers);
    struct verdict verdict;

    verdict_proof(&verdict, disputes, liars_max, UINT64_MAX);
    if (clique_size(disputes, &all) < honest_min) {
        assert_int_equal(verdict.outcome, VERDICT_BROKEN);
        return;
    }
    assert_int_equal(verdict.outcome, VERDICT_REACHED);
    for (uint32_t w = 0; w < disputes->workers; w++) {
        assert_int_equal(workers_has(&verdict.byzantine, w),
                         clique_around(disputes, w, true) < honest_min);
        assert_int_equal(workers_has(&verdict.honest, w),
                         clique_around(disputes, w, false) < honest_min);
    }
}

static void check_paper(const struct graph *disputes)
{
    const struct worker_set all = workers_below(disputes->workers);
    const uint32_t size = clique_size(disputes, &all);
    uint32_t needed = 0; /* workers that are in every maximum clique */
    struct verdict verdict;

    for (uint32_t w = 0; w < disputes->workers; w++)
        needed += clique_around(disputes, w, false) < size;
    verdict_paper(&verdict, disputes, &all, UINT64_MAX);
    if (needed < size) {
        assert_int_equal(verdict.outcome, VERDICT_AMBIGUOUS);
        return;
    }
    assert_int_equal(verdict.outcome, VERDICT_REACHED);
    assert_int_equal(workers_count(&verdict.honest), size);
    for (uint32_t a = 0; a < disputes->workers; a++) {
        const struct worker_set disputed =
            workers_and(&verdict.honest, &disputes->adjacent[a]);

        assert_int_equal(workers_has(&verdict.byzantine, a),
                         !workers_has(&verdict.honest, a));
        assert_true(!workers_has(&verdict.honest, a) ||
                    workers_empty(&disputed));
    }
}

static void test_verdicts_are_what_cliques_say(void **state)
{
    uint32_t outcomes[4] = {0};

    (void)state;
    for (uint32_t i = 0; i < graphs; i++) {
        const uint32_t workers = 16 + (uint32_t)(random_next(&seed) % 49);
        const uint32_t liars =
            1 + (uint32_t)(random_next(&seed) % (workers / 2));
        const struct worker_set drawn = disputes_draw(workers, liars, &seed);
        const uint32_t percent = 2 + (uint32_t)(random_next(&seed) % 60);
        const uint32_t liars_max = liars - (random_next(&seed) % 4 == 0);
        struct graph disputes;
        struct verdict verdict;

        disputes_random(&disputes, workers, percent, &drawn, &seed);
        check_proof(&disputes, liars_max);
        check_paper(&disputes);
        verdict_proof(&verdict, &disputes, liars_max, UINT64_MAX);
        outcomes[verdict.outcome]++;
    }
    /* Both kinds of graph were among them. */
    assert_true(outcomes[VERDICT_REACHED] > graphs / 10);
    assert_true(outcomes[VERDICT_BROKEN] > graphs / 20);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_are_what_cliques_say),
    };

    if (argc == 3 && strcmp(argv[1], "--graphs") == 0)
        graphs = (uint32_t)strtoul(argv[2], NULL, 10);
    else if (argc != 1)
        return 2;
    clique_default_options->time_function = NULL; /* prints each step */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("skipped: no libcliquer here to compare with (apt-get install "
         "libcliquer-dev)");
    return 77;
}

#endif
