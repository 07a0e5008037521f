/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_judge.c - what the verifier knows of workers: evidence, verdicts,
 * and what an arbiter says.
 */
#include <assert.h>
#include <string.h>

#include "verifier_state.h"

/* Keeps the first dispute of each pair. */
static void record_task(struct verifier *v, uint32_t task)
{
    const uint64_t *sum = agreement_distances(v->agreement, task);
    const struct seat *seat = &v->seats[(size_t)task * v->replicas];

    for (uint32_t i = 0; i < v->replicas; i++)
        for (uint32_t j = i + 1; j < v->replicas; j++, sum++) {
            struct record *record =
                &v->records[seat[i].worker * v->workers + seat[j].worker];

            if (*sum > v->config.tolerance && record->distance == 0)
                *record = (struct record){v->report.step, task, *sum};
        }
}

void verifier_accuse(struct verifier *v, uint32_t task,
                     const uint64_t *compared)
{
    const uint32_t present = v->states[task].present;
    uint64_t *distance = &v->distances[(size_t)task * v->pairs];
    const uint64_t *next = compared;
    bool any = false;

    for (uint32_t i = 0; i < v->replicas; i++)
        for (uint32_t j = i + 1; j < v->replicas; j++, distance++) {
            *distance = (present >> i & present >> j & 1) != 0 ? *next++ : 0;
            any = any || *distance != 0;
        }
    v->states[task].disputed = any;
    v->report.disputed += any;
    if (agreement_add(v->agreement, task,
                      assignment_workers(v->assignment, task), present,
                      compared)) {
        v->stale = true;
        record_task(v, task);
    }
}

/* What follows from the disputes among those who are not known to lie, and from
 * the promise, of which these are a part. */
static void judge_proof(struct verifier *v)
{
    const struct worker_set out = workers_or(&v->convicted, &v->quarantined);
    const uint32_t known = workers_count(&out);
    const struct worker_set all = workers_below(v->workers);
    const struct worker_set left = workers_minus(&all, &out);
    const struct graph *graph = agreement_graph(v->agreement);
    const struct verdict before = v->verdict;
    struct graph rest = {.workers = v->workers};

    if (before.outcome == VERDICT_BROKEN || known > v->config.liars_max) {
        v->verdict = (struct verdict){.outcome = VERDICT_BROKEN,
                                      .byzantine = v->convicted};
        return;
    }
    for (uint32_t w = workers_next(&left, 0); w < WORKERS_MAX;
         w = workers_next(&left, w + 1))
        rest.adjacent[w] = workers_and(&graph->adjacent[w], &left);
    verdict_proof(&v->verdict, &rest, v->config.liars_max - known,
                  v->nodes_left < VERDICT_NODES ? v->nodes_left
                                                : VERDICT_NODES);
    v->nodes_left -= v->verdict.nodes;
    v->report.nodes += v->verdict.nodes;
    if (v->verdict.outcome == VERDICT_BROKEN) {
        v->verdict.byzantine = v->convicted;
        return;
    }
    /* More evidence proves no less; a search that was cut short may. */
    if (v->verdict.outcome == VERDICT_UNDECIDED) {
        v->verdict.byzantine =
            workers_or(&v->verdict.byzantine, &before.byzantine);
        v->verdict.honest = workers_or(&v->verdict.honest, &before.honest);
    }
    v->verdict.byzantine = workers_or(&v->verdict.byzantine, &out);
    v->verdict.honest =
        workers_minus(&v->verdict.honest, &v->verdict.byzantine);
}

void verifier_judge(struct verifier *v)
{
    const struct graph *graph = agreement_graph(v->agreement);
    const struct worker_set all = workers_below(v->workers);
    const struct worker_set present = workers_minus(&all, &v->report.absent);

    if (!v->stale)
        return;
    v->stale = v->planned = false;
    switch (v->config.rule) {
    case VERIFIER_PROOF: judge_proof(v); break;
    case VERIFIER_PAPER:
        verdict_paper(&v->verdict, graph, &present, VERDICT_NODES);
        v->report.nodes += v->verdict.nodes;
        break;
    case VERIFIER_PAPER_PLUS: {
        /* As if the round were to end here. */
        struct verdict_window window = v->window;

        verdict_degrees(&v->verdict, &window, graph, &present,
                        v->config.liars_max);
        break;
    }
    }
    v->open = resolve_is_open(&v->verdict, graph);
}

/* ---- The arbiter --------------------------------------------------------- */

static uint8_t *arbitrations_of(struct verifier *v, const struct seat *a,
                                const struct seat *b)
{
    return &v->arbitrated[a->worker * v->workers + b->worker];
}

/* Counts the pairs of a task whose dispute a recomputation may decide, and
 * charges them if `charge` says so. */
static uint32_t pairs_to_decide(struct verifier *v, uint32_t task, bool charge)
{
    const uint64_t *here = &v->distances[(size_t)task * v->pairs];
    const uint64_t *sum = agreement_distances(v->agreement, task);
    const struct seat *seat = &v->seats[(size_t)task * v->replicas];
    uint32_t count = 0;

    for (uint32_t i = 0; i < v->replicas; i++)
        for (uint32_t j = i + 1; j < v->replicas; j++, here++, sum++) {
            uint8_t *asked = arbitrations_of(v, &seat[i], &seat[j]);

            if (*here == 0 || *sum <= v->config.tolerance ||
                workers_has(&v->verdict.byzantine, seat[i].worker) ||
                workers_has(&v->verdict.byzantine, seat[j].worker) ||
                *asked >= VERIFIER_ARBITRATIONS_MAX)
                continue;
            count++;
            if (charge)
                ++*asked;
        }
    return count;
}

/* Who is farther from what was recomputed than honest workers can be. */
static void convict(struct verifier *v, uint32_t task, uint32_t coordinates)
{
    const struct seat *seat = &v->seats[(size_t)task * v->replicas];

    for (uint32_t i = 0; i < v->replicas; i++) {
        const uint64_t *rows[] = {verifier_copy(v, task, i),
                                  verifier_value(v, task)};
        uint64_t *sum = &v->farness[(size_t)task * v->replicas + i];
        const struct compare compare = {
            .distances = sum,
            .rows = rows,
            .replicas = 2,
            .count = coordinates,
        };

        if ((v->states[task].present >> i & 1) == 0)
            continue;
        v->config.kernels->compare(&compare);
        if (*sum <= v->config.tolerance ||
            workers_has(&v->convicted, seat[i].worker))
            continue;
        workers_add(&v->convicted, seat[i].worker);
        v->stale = true;
    }
}

void verifier_arbitrate(struct verifier *v, const struct verifier_chunk *chunk)
{
    if (v->arbiter == NULL || v->config.rule != VERIFIER_PROOF)
        return;
    for (uint32_t task = 0; task < v->tasks; task++) {
        /* With as many as were promised all other liars are known to be none.
         */
        if (workers_count(&v->convicted) >= v->config.liars_max)
            return;
        if (!v->states[task].disputed || pairs_to_decide(v, task, false) == 0)
            continue;
        pairs_to_decide(v, task, true);
        if (v->arbiter(v->arbiter_context, v->report.step, task, chunk->first,
                       chunk->coordinates, verifier_value(v, task)) < 0)
            continue;
        v->report.arbitrations++;
        v->states[task].recomputed = true;
        convict(v, task, chunk->coordinates);
        verifier_judge(v);
    }
}

/* ---- The value of a task ------------------------------------------------- */

/* Two replicas agree if they are equal here, or near enough in the round. */
static void find_distances(const struct verifier *v, uint32_t task,
                           uint64_t *distances)
{
    const uint64_t *here = &v->distances[(size_t)task * v->pairs];
    const uint64_t *sum = agreement_distances(v->agreement, task);

    for (uint32_t pair = 0; pair < v->pairs; pair++)
        distances[pair] = here[pair] == 0 ? 0 : sum[pair];
}

struct choice verifier_choose(const struct verifier *v, uint32_t task)
{
    uint64_t distances[REPLICAS_MAX * (REPLICAS_MAX - 1) / 2] = {0};
    const struct replicas replicas = {
        .workers = assignment_workers(v->assignment, task),
        .count = v->replicas,
        .present = v->states[task].present,
        .distances = distances,
        .tolerance = v->config.tolerance,
    };

    if (v->states[task].disputed)
        find_distances(v, task, distances);
    if (v->config.rule != VERIFIER_PROOF)
        return resolve_paper(&v->verdict, &replicas);
    return resolve_proof(&v->verdict, v->open, &replicas);
}
