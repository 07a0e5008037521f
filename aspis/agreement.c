/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agreement.c - sums distances per task and pair, and keeps who disputes whom.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agreement.h"

struct agreement {
    struct agreement_config config;
    uint32_t pairs; /* of a task */
    struct worker_set present;
    struct graph graph;
    uint64_t distances[]; /* [tasks][pairs], of this round */
};

static size_t distance_bytes(const struct agreement_config *config,
                             uint32_t pairs)
{
    return (size_t)config->tasks * pairs * sizeof(uint64_t);
}

int agreement_open(struct agreement **agreement,
                   const struct agreement_config *config)
{
    const uint32_t pairs = config->replicas * (config->replicas - 1) / 2;
    struct agreement *opened;

    if (config->workers < 2 || config->workers > WORKERS_MAX ||
        config->tasks == 0 || config->replicas < 2 ||
        config->replicas > REPLICAS_MAX || config->replicas > config->workers)
        return -EINVAL;
    opened = calloc(1, sizeof(*opened) + distance_bytes(config, pairs));
    if (opened == NULL)
        return -ENOMEM;
    opened->config = *config;
    opened->pairs = pairs;
    opened->graph.workers = config->workers;
    opened->present = workers_below(config->workers);
    *agreement = opened;
    return 0;
}

void agreement_close(struct agreement *agreement)
{
    free(agreement);
}

void agreement_begin(struct agreement *agreement, bool keep)
{
    struct graph *graph = &agreement->graph;

    memset(agreement->distances, 0,
           distance_bytes(&agreement->config, agreement->pairs));
    agreement->present = workers_below(graph->workers);
    if (!keep)
        memset(graph->adjacent, 0, sizeof(graph->adjacent));
}

void agreement_absent(struct agreement *agreement, uint32_t worker)
{
    assert(worker < agreement->config.workers);
    workers_remove(&agreement->present, worker);
}

void agreement_dispute(struct agreement *agreement, uint32_t a, uint32_t b)
{
    assert(a != b && a < agreement->config.workers &&
           b < agreement->config.workers);
    workers_add(&agreement->graph.adjacent[a], b);
    workers_add(&agreement->graph.adjacent[b], a);
}

void agreement_forget(struct agreement *agreement, uint32_t worker)
{
    struct worker_set *adjacent = agreement->graph.adjacent;

    assert(worker < agreement->config.workers);
    for (uint32_t w = 0; w < agreement->config.workers; w++)
        workers_remove(&adjacent[w], worker);
    adjacent[worker] = (struct worker_set){{0}};
}

/* Whether a distance that grew to `sum` makes a new edge. */
static bool judge_pair(struct agreement *agreement, uint32_t a, uint32_t b,
                       uint64_t sum)
{
    if (sum <= agreement->config.tolerance ||
        workers_has(&agreement->graph.adjacent[a], b))
        return false;
    agreement_dispute(agreement, a, b);
    return true;
}

static bool is_present(const struct agreement *agreement, uint32_t worker)
{
    assert(worker < agreement->config.workers);
    return workers_has(&agreement->present, worker);
}

bool agreement_add(struct agreement *agreement, uint32_t task,
                   const uint8_t *workers, uint32_t compared,
                   const uint64_t *distances)
{
    const uint32_t replicas = agreement->config.replicas;
    uint64_t *sum = &agreement->distances[(size_t)task * agreement->pairs];
    bool grew = false;

    assert(task < agreement->config.tasks && compared >> replicas == 0);
    for (uint32_t i = 0; i < replicas; i++)
        for (uint32_t j = i + 1; j < replicas; j++, sum++) {
            uint64_t distance;

            if ((compared >> i & compared >> j & 1) == 0)
                continue;
            distance = *distances++;
            if (!is_present(agreement, workers[i]) ||
                !is_present(agreement, workers[j]))
                continue;
            *sum += distance;
            grew |= judge_pair(agreement, workers[i], workers[j], *sum);
        }
    return grew;
}

const struct graph *agreement_graph(const struct agreement *agreement)
{
    return &agreement->graph;
}

const struct worker_set *agreement_present(const struct agreement *agreement)
{
    return &agreement->present;
}

const uint64_t *agreement_distances(const struct agreement *agreement,
                                    uint32_t task)
{
    assert(task < agreement->config.tasks);
    return &agreement->distances[(size_t)task * agreement->pairs];
}

uint32_t graph_degree(const struct graph *graph, uint32_t worker)
{
    return workers_count(&graph->adjacent[worker]);
}

struct worker_set graph_component(const struct graph *graph,
                                  const struct worker_set *within,
                                  uint32_t worker)
{
    struct worker_set component = {{0}};
    struct worker_set reached = {{0}};

    workers_add(&reached, worker);
    while (!workers_empty(&reached)) {
        const uint32_t next = workers_next(&reached, 0);
        const struct worker_set near =
            workers_and(&graph->adjacent[next], within);

        workers_add(&component, next);
        reached = workers_or(&reached, &near);
        reached = workers_minus(&reached, &component);
    }
    return component;
}
