/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier.c - the life of a verifier, its rounds and its report.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verifier_state.h"

/* For the verdicts of one round: liars may add a dispute in every chunk. */
static const uint64_t round_nodes = 4 * (uint64_t)VERDICT_NODES;

__attribute__((format(printf, 2, 3))) static int refuse(
    char why[ASSIGNMENT_WHY_BYTES], const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(why, ASSIGNMENT_WHY_BYTES, format, list);
    va_end(list);
    return -EINVAL;
}

/* ---- Memory -------------------------------------------------------------- */

/* One block for everything, whole lines each. */
struct block {
    char *base; /* NULL: only counts */
    size_t used;
};

static void *take(struct block *block, size_t count, size_t each)
{
    char *taken = block->base == NULL ? NULL : block->base + block->used;

    block->used += (count * each + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    return taken;
}

static void lay_out(struct verifier *v, struct block *block)
{
    const size_t replicas = (size_t)v->tasks * v->replicas;
    const size_t couples = (size_t)v->workers * v->workers;
    const size_t row = v->row_words * sizeof(uint64_t);

    v->records = take(block, couples, sizeof(v->records[0]));
    v->arbitrated = take(block, couples, sizeof(v->arbitrated[0]));
    v->farness = take(block, replicas, sizeof(v->farness[0]));
    v->seats = take(block, replicas, sizeof(v->seats[0]));
    v->order = take(block, v->tasks, sizeof(v->order[0]));
    v->row_seats = take(block, replicas, sizeof(v->row_seats[0]));
    v->states = take(block, v->tasks, sizeof(v->states[0]));
    v->distances =
        take(block, (size_t)v->tasks * v->pairs, sizeof(v->distances[0]));
    v->rows = take(block, replicas, sizeof(v->rows[0]));
    v->planes =
        take(block, count_words(v->top, v->row_words), sizeof(v->planes[0]));
    v->values = take(block, v->tasks, row);
    v->copies = take(block, replicas, row);
}

static int allocate(struct verifier *v, char why[ASSIGNMENT_WHY_BYTES])
{
    struct block block = {NULL, 0};

    lay_out(v, &block);
    v->bytes = block.used;
    block = (struct block){aligned_alloc(LINE_BYTES, v->bytes), 0};
    v->block = block.base;
    if (block.base == NULL) {
        snprintf(why, ASSIGNMENT_WHY_BYTES,
                 "no memory for %zu bytes of replicas; take shorter chunks "
                 "than %u coordinates, or fewer tasks than %u",
                 v->bytes, v->config.coordinates_max, v->tasks);
        return -ENOMEM;
    }
    lay_out(v, &block);
    memset(v->records, 0,
           (size_t)v->workers * v->workers * sizeof(v->records[0]));
    return 0;
}

/* ---- Life ---------------------------------------------------------------- */

static int check(const struct verifier_config *config,
                 const struct assignment_shape *shape,
                 char why[ASSIGNMENT_WHY_BYTES])
{
    if (shape->replication < 2)
        return refuse(why, "one replica of a task has nothing to be compared "
                           "with; take 3");
    if (config->coordinates_max == 0)
        return refuse(why, "a chunk has no coordinates; take 512 or more");
    if (config->liars_max > (shape->workers - 1) / 2)
        return refuse(why,
                      "%u liars among %u workers would be half of them or "
                      "more; promise at most %u",
                      config->liars_max, shape->workers,
                      (shape->workers - 1) / 2);
    return 0;
}

static int open_parts(struct verifier *v, char why[ASSIGNMENT_WHY_BYTES])
{
    const struct assignment_shape *shape = assignment_shape(v->assignment);
    struct agreement_config agreement = {
        .workers = shape->workers,
        .tasks = shape->tasks,
        .replicas = shape->replication,
        .tolerance = v->config.tolerance,
    };
    int rc = check(&v->config, shape, why);

    if (rc < 0)
        return rc;
    rc = agreement_open(&v->agreement, &agreement);
    if (rc < 0) {
        snprintf(why, ASSIGNMENT_WHY_BYTES,
                 "no memory for the distances of %u tasks; take fewer",
                 shape->tasks);
        return rc;
    }
    v->workers = shape->workers;
    v->tasks = shape->tasks;
    v->replicas = shape->replication;
    v->pairs = v->replicas * (v->replicas - 1) / 2;
    v->row_words = lines_for(v->config.coordinates_max) * LINE_WORDS;
    while ((1u << v->top) < v->tasks / 2 + 1)
        v->top++;
    return allocate(v, why);
}

int verifier_open(struct verifier **verifier,
                  const struct verifier_config *config,
                  char why[ASSIGNMENT_WHY_BYTES])
{
    struct verifier *v = calloc(1, sizeof(*v));
    int rc = -ENOMEM;

    if (v == NULL) {
        snprintf(why, ASSIGNMENT_WHY_BYTES, "no memory for %zu bytes",
                 sizeof(*v));
        return rc;
    }
    v->config = *config;
    v->window.length = VERIFIER_WINDOW;
    rc = assignment_open(&v->assignment, &config->assignment, why);
    if (rc == 0)
        rc = open_parts(v, why);
    if (rc < 0) {
        verifier_close(v);
        return rc;
    }
    verifier_begin(v, 0);
    *verifier = v;
    return 0;
}

void verifier_close(struct verifier *verifier)
{
    if (verifier == NULL)
        return;
    free(verifier->block);
    agreement_close(verifier->agreement);
    assignment_close(verifier->assignment);
    free(verifier);
}

size_t verifier_bytes(const struct verifier *verifier)
{
    return verifier->bytes;
}

void verifier_arbiter(struct verifier *verifier, verifier_arbiter_fn *arbiter,
                      void *context)
{
    verifier->arbiter = arbiter;
    verifier->arbiter_context = context;
}

const struct assignment *verifier_assignment(const struct verifier *verifier)
{
    return verifier->assignment;
}

/* ---- Rounds -------------------------------------------------------------- */

/* Workers of a task are ascending, and so are those who are seated here. */
static void seat_workers(struct verifier *v)
{
    const uint32_t load = assignment_shape(v->assignment)->load;

    for (uint32_t t = 0; t < v->tasks; t++)
        v->states[t] = (struct task_state){0};
    for (uint32_t w = 0; w < v->workers; w++) {
        const uint16_t *tasks = assignment_tasks(v->assignment, w);

        for (uint32_t row = 0; row < load; row++) {
            struct task_state *state = &v->states[tasks[row]];

            v->seats[(size_t)tasks[row] * v->replicas + state->present++] =
                (struct seat){(uint8_t)w, (uint16_t)row};
        }
    }
}

static bool keeps(const struct verifier *v)
{
    if (v->config.rule == VERIFIER_PAPER_PLUS)
        return !verdict_window_opens(&v->window);
    return v->config.keep;
}

void verifier_begin(struct verifier *verifier, uint32_t step)
{
    struct verifier *v = verifier;
    const size_t couples = (size_t)v->workers * v->workers;
    const bool keep = keeps(v);

    assignment_rotate(v->assignment, step);
    seat_workers(v);
    agreement_begin(v->agreement, keep);
    if (!keep)
        memset(v->records, 0, couples * sizeof(v->records[0]));
    memset(v->arbitrated, 0, couples * sizeof(v->arbitrated[0]));
    memset(v->farness, 0,
           (size_t)v->tasks * v->replicas * sizeof(v->farness[0]));
    v->report = (struct verifier_report){.step = step};
    v->verdict = (struct verdict){.outcome = VERDICT_REACHED};
    v->nodes_left = round_nodes;
    v->stale = v->calm = true;
}

void verifier_end(struct verifier *verifier)
{
    struct verifier *v = verifier;
    const struct worker_set all = workers_below(v->workers);
    const struct worker_set present = workers_minus(&all, &v->report.absent);

    verifier_judge(v);
    if (v->config.rule == VERIFIER_PAPER_PLUS)
        verdict_degrees(&v->verdict, &v->window, agreement_graph(v->agreement),
                        &present, v->config.liars_max);
    if (v->config.rule != VERIFIER_PROOF)
        return;
    v->quarantined = v->verdict.byzantine;
    if (v->verdict.outcome == VERDICT_BROKEN)
        v->quarantined = v->convicted;
}

void verifier_release(struct verifier *verifier, uint32_t worker)
{
    struct verifier *v = verifier;

    assert(worker < v->workers);
    workers_remove(&v->quarantined, worker);
    workers_remove(&v->convicted, worker);
    workers_remove(&v->verdict.byzantine, worker);
    agreement_forget(v->agreement, worker);
    for (uint32_t w = 0; w < v->workers; w++)
        v->records[w * v->workers + worker] =
            v->records[worker * v->workers + w] = (struct record){0};
    v->window.flagged[worker] = 0;
    v->stale = true;
}

/* ---- The report ---------------------------------------------------------- */

void verifier_report(const struct verifier *verifier,
                     struct verifier_report *report)
{
    *report = verifier->report;
    report->outcome = verifier->verdict.outcome;
    report->byzantine = verifier->verdict.byzantine;
    report->honest = verifier->verdict.honest;
    report->convicted = verifier->convicted;
    report->quarantined = verifier->quarantined;
}

struct listing {
    struct verifier_dispute *list;
    size_t max;
    size_t count;
};

static void enlist(struct listing *listing, struct verifier_dispute dispute)
{
    if (listing->count < listing->max)
        listing->list[listing->count] = dispute;
    listing->count++;
}

/* Those of one task; who disputes in it is marked in `seen`. */
static void enlist_task(struct listing *listing, const struct verifier *v,
                        uint32_t task, struct graph *seen)
{
    const uint64_t *sum = agreement_distances(v->agreement, task);
    const uint8_t *workers = assignment_workers(v->assignment, task);

    for (uint32_t i = 0; i < v->replicas; i++)
        for (uint32_t j = i + 1; j < v->replicas; j++, sum++) {
            if (*sum <= v->config.tolerance)
                continue;
            workers_add(&seen->adjacent[workers[i]], workers[j]);
            enlist(listing,
                   (struct verifier_dispute){workers[i], workers[j],
                                             v->report.step, task, *sum});
        }
}

size_t verifier_disputes(const struct verifier *verifier,
                         struct verifier_dispute *list, size_t max)
{
    struct listing listing = {list, max, 0};
    struct graph seen = {.workers = verifier->workers};

    for (uint32_t task = 0; task < verifier->tasks; task++)
        enlist_task(&listing, verifier, task, &seen);
    for (uint32_t a = 0; a < verifier->workers; a++)
        for (uint32_t b = a + 1; b < verifier->workers; b++) {
            const struct record *kept =
                &verifier->records[a * verifier->workers + b];

            if (kept->distance != 0 && !workers_has(&seen.adjacent[a], b))
                enlist(&listing,
                       (struct verifier_dispute){a, b, kept->step, kept->task,
                                                 kept->distance});
        }
    return listing.count;
}
