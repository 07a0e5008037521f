/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disputes.c - graphs of disputes: random ones, and those that liars choose.
 */
#include <string.h>

#include "disputes.h"
#include "guarded.h"

static void disputes_none(struct graph *graph, uint32_t workers)
{
    memset(graph, 0, sizeof(*graph));
    graph->workers = workers;
}

void disputes_join(struct graph *graph, uint32_t a, uint32_t b)
{
    workers_add(&graph->adjacent[a], b);
    workers_add(&graph->adjacent[b], a);
}

void disputes_random(struct graph *graph, uint32_t workers, uint32_t percent,
                     const struct worker_set *liars, uint64_t *seed)
{
    disputes_none(graph, workers);
    for (uint32_t a = 0; a < workers; a++)
        for (uint32_t b = a + 1; b < workers; b++)
            if (random_next(seed) % 100 < percent &&
                (liars == NULL || workers_has(liars, a) ||
                 workers_has(liars, b)))
                disputes_join(graph, a, b);
}

struct worker_set disputes_draw(uint32_t workers, uint32_t count,
                                uint64_t *seed)
{
    struct worker_set drawn = {{0}};

    while (workers_count(&drawn) < count)
        workers_add(&drawn, (uint32_t)(random_next(seed) % workers));
    return drawn;
}

void disputes_accuse(struct graph *graph, uint32_t workers, uint32_t liars,
                     uint32_t accused, uint64_t *seed)
{
    disputes_none(graph, workers);
    for (uint32_t liar = 0; liar < liars; liar++) {
        const struct worker_set drawn =
            disputes_draw(workers - liars, accused, seed);

        for (uint32_t w = workers_next(&drawn, 0); w < WORKERS_MAX;
             w = workers_next(&drawn, w + 1))
            disputes_join(graph, liar, liars + w);
    }
}

void disputes_cycles(struct graph *graph, uint32_t workers, uint32_t length)
{
    disputes_none(graph, workers);
    for (uint32_t first = 0; first + length <= workers; first += length)
        for (uint32_t i = 0; i < length; i++)
            disputes_join(graph, first + i, first + (i + 1) % length);
}

void disputes_matching(struct graph *graph, uint32_t workers)
{
    disputes_none(graph, workers);
    for (uint32_t liar = 0; liar < (workers - 1) / 2; liar++)
        disputes_join(graph, liar, workers - 1 - liar);
}
