/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assignment.c - which worker computes which tasks.
 *
 * The design is a table of places: who sits together in which task. It never
 * changes. A rotation seats the workers: it draws who has which place. With all
 * sums modulo 2^64, mix() = splitmix() and places counted from 0,
 *
 *   key    = mix(mix(seed) + round)
 *   draw n = mix(key + n * 0x9e3779b97f4a7c15), n = 1, 2, ...
 *
 * worker p sits at place p at first; then, for p from the last place down to 1,
 * the workers at p and at draw mod (p + 1) change places, a new draw each time
 * (Fisher, Yates). The remainder prefers no place by more than 2^-55.
 */
#include "assignment.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/splitmix.h"
#include "designs.h"

struct assignment {
    struct assignment_shape shape;
    uint64_t seed;
    uint8_t place_of[ASSIGNMENT_WORKERS_MAX]; /* by worker */
    uint16_t *tasks;                          /* [place][load], ascending */
    uint16_t *shared; /* [place][place]: tasks in which both are */
    uint8_t *places;  /* [task][replication] */
    uint8_t *workers; /* [task][replication], ascending */
};

/* All tables lie in one block, those of wider elements first. */
static struct assignment *allocate(const struct assignment_shape *shape,
                                   size_t *bytes)
{
    const size_t seats = (size_t)shape->tasks * shape->replication;
    const size_t pairs = (size_t)shape->workers * shape->workers;
    struct assignment *a;

    *bytes = sizeof(*a) + (seats + pairs) * sizeof(uint16_t) + 2 * seats;
    a = calloc(1, *bytes);
    if (a == NULL)
        return NULL;
    a->shape = *shape;
    a->tasks = (uint16_t *)(a + 1);
    a->shared = a->tasks + seats;
    a->places = (uint8_t *)(a->shared + pairs);
    a->workers = a->places + seats;
    return a;
}

/* Lists the tasks of each place, and counts those that two places share. */
static void index_places(struct assignment *a)
{
    const struct assignment_shape *shape = &a->shape;
    uint32_t listed[ASSIGNMENT_WORKERS_MAX] = {0};

    for (uint32_t t = 0; t < shape->tasks; t++) {
        const uint8_t *places = &a->places[(size_t)t * shape->replication];

        for (uint32_t i = 0; i < shape->replication; i++) {
            const uint32_t p = places[i];

            assert(listed[p] < shape->load);
            a->tasks[p * shape->load + listed[p]++] = (uint16_t)t;
            for (uint32_t j = 0; j < shape->replication; j++)
                a->shared[p * shape->workers + places[j]]++;
        }
    }
}

/* Seats worker_at[workers]. */
static void seat(struct assignment *a, const uint8_t *worker_at)
{
    const struct assignment_shape *shape = &a->shape;

    for (uint32_t p = 0; p < shape->workers; p++)
        a->place_of[worker_at[p]] = (uint8_t)p;
    for (uint32_t t = 0; t < shape->tasks; t++) {
        const size_t first = (size_t)t * shape->replication;
        uint8_t *workers = &a->workers[first];

        for (uint32_t i = 0; i < shape->replication; i++) {
            const uint8_t worker = worker_at[a->places[first + i]];
            uint32_t to = i;

            for (; to > 0 && workers[to - 1] > worker; to--)
                workers[to] = workers[to - 1];
            workers[to] = worker;
        }
    }
}

static void seat_in_order(uint8_t *worker_at, uint32_t workers)
{
    for (uint32_t p = 0; p < workers; p++)
        worker_at[p] = (uint8_t)p;
}

int assignment_open(struct assignment **assignment,
                    const struct assignment_config *config,
                    char why[ASSIGNMENT_WHY_BYTES])
{
    const int tasks = design_tasks(config, why);
    uint8_t worker_at[ASSIGNMENT_WORKERS_MAX];
    struct assignment_shape shape;
    struct assignment *a;
    size_t bytes;

    if (tasks < 0)
        return tasks;
    shape = (struct assignment_shape){
        .workers = config->workers,
        .replication = config->replication,
        .tasks = (uint32_t)tasks,
        .load = (uint32_t)tasks * config->replication / config->workers,
    };
    a = allocate(&shape, &bytes);
    if (a == NULL) {
        snprintf(why, ASSIGNMENT_WHY_BYTES,
                 "no memory for %zu bytes of tables; take a design of fewer "
                 "than %d tasks",
                 bytes, tasks);
        return -ENOMEM;
    }
    a->seed = config->seed;
    design_fill(a->places, config);
    index_places(a);
    seat_in_order(worker_at, shape.workers);
    seat(a, worker_at);
    *assignment = a;
    return 0;
}

void assignment_close(struct assignment *assignment)
{
    free(assignment);
}

void assignment_rotate(struct assignment *assignment, uint64_t round)
{
    uint64_t draw = splitmix(splitmix(assignment->seed) + round);
    uint8_t worker_at[ASSIGNMENT_WORKERS_MAX];

    seat_in_order(worker_at, assignment->shape.workers);
    for (uint32_t p = assignment->shape.workers - 1; p > 0; p--) {
        const uint8_t worker = worker_at[p];
        uint64_t other;

        draw += SPLITMIX_STEP;
        other = splitmix(draw) % (p + 1);
        worker_at[p] = worker_at[other];
        worker_at[other] = worker;
    }
    seat(assignment, worker_at);
}

const struct assignment_shape *assignment_shape(
    const struct assignment *assignment)
{
    return &assignment->shape;
}

const uint8_t *assignment_workers(const struct assignment *assignment,
                                  uint32_t task)
{
    assert(task < assignment->shape.tasks);
    return &assignment->workers[(size_t)task * assignment->shape.replication];
}

const uint16_t *assignment_tasks(const struct assignment *assignment,
                                 uint32_t worker)
{
    assert(worker < assignment->shape.workers);
    return &assignment->tasks[assignment->place_of[worker] *
                              (size_t)assignment->shape.load];
}

uint32_t assignment_overlap(const struct assignment *assignment, uint32_t one,
                            uint32_t other)
{
    const uint32_t workers = assignment->shape.workers;

    assert(one < workers && other < workers);
    return assignment->shared[assignment->place_of[one] * workers +
                              assignment->place_of[other]];
}

/* ---- What a table shows -------------------------------------------------- */

struct spreading {
    struct assignment_spread spread;
    uint32_t values;
    double sum;
};

static void spread_over(struct spreading *s, uint32_t value)
{
    if (s->values == 0 || value < s->spread.min)
        s->spread.min = value;
    if (value > s->spread.max)
        s->spread.max = value;
    s->values++;
    s->sum += value;
    s->spread.mean = s->sum / s->values;
}

void assignment_measure(const struct assignment *assignment,
                        struct assignment_table *table)
{
    const struct assignment_shape *shape = &assignment->shape;
    uint32_t loads[ASSIGNMENT_WORKERS_MAX] = {0};
    struct spreading load = {.values = 0}, overlap = {.values = 0};

    for (size_t s = 0; s < (size_t)shape->tasks * shape->replication; s++)
        loads[assignment->workers[s]]++;
    for (uint32_t w = 0; w < shape->workers; w++) {
        spread_over(&load, loads[w]);
        for (uint32_t v = 0; v < w; v++)
            spread_over(&overlap, assignment_overlap(assignment, w, v));
    }
    *table = (struct assignment_table){
        .tasks = shape->tasks, .load = load.spread, .overlap = overlap.spread};
}
