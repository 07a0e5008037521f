/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cover.c - the bounded search for a vertex cover.
 */
#include <assert.h>

#include "cover.h"

/* What is left of the graph when some workers were taken into the cover. Each
 * level of the search holds one, and takes one worker at least. */
struct rest {
    struct worker_set left; /* workers that have an edge, or had one lately */
    struct worker_set taken;
    uint32_t taken_count;
    uint8_t degrees[WORKERS_MAX]; /* of those left, among those left */
};

struct search {
    const struct graph *graph;
    uint64_t *nodes_left;
    uint32_t size_end; /* wanted are covers of fewer workers */
    bool least;
    struct cover cover;
};

static struct worker_set neighbours(const struct search *search,
                                    const struct rest *rest, uint32_t worker)
{
    return workers_and(&search->graph->adjacent[worker], &rest->left);
}

static void take(const struct search *search, struct rest *rest,
                 uint32_t worker)
{
    const struct worker_set near = neighbours(search, rest, worker);

    for (uint32_t n = workers_next(&near, 0); n < WORKERS_MAX;
         n = workers_next(&near, n + 1))
        rest->degrees[n]--;
    workers_remove(&rest->left, worker);
    workers_add(&rest->taken, worker);
    rest->taken_count++;
}

static void take_all(const struct search *search, struct rest *rest,
                     const struct worker_set *workers)
{
    for (uint32_t w = workers_next(workers, 0); w < WORKERS_MAX;
         w = workers_next(workers, w + 1))
        take(search, rest, w);
}

/* Two neighbours that dispute with each other: one of the three may be left
 * out of a cover, and then best the one that has no other dispute. */
static bool in_triangle(const struct search *search,
                        const struct worker_set *pair)
{
    const uint32_t first = workers_next(pair, 0);

    return workers_has(&search->graph->adjacent[first],
                       workers_next(pair, first + 1));
}

/* Whether a rule settled something about `worker`. The room is what the cover
 * may still grow by. */
static bool reduce_at(const struct search *search, struct rest *rest,
                      uint32_t worker, uint32_t room)
{
    const uint32_t degree = rest->degrees[worker];
    struct worker_set near;

    if (degree == 0) {
        workers_remove(&rest->left, worker);
        return false; /* nobody else is touched */
    }
    if (degree > room) {
        take(search, rest, worker);
        return true;
    }
    if (degree > 2)
        return false;
    near = neighbours(search, rest, worker);
    if (degree == 2 && !in_triangle(search, &near))
        return false;
    take_all(search, rest, &near);
    return true;
}

/* Applies the rules until none applies; false if the cover gets too large. */
static bool reduce(const struct search *search, struct rest *rest)
{
    bool changed;

    do {
        changed = false;
        for (uint32_t w = workers_next(&rest->left, 0); w < WORKERS_MAX;
             w = workers_next(&rest->left, w + 1)) {
            if (rest->taken_count >= search->size_end)
                return false;
            changed |= reduce_at(search, rest, w,
                                 search->size_end - 1 - rest->taken_count);
        }
    } while (changed);
    return rest->taken_count < search->size_end;
}

/* Disjoint cliques, greedily: a cover has all workers of each but one. */
static uint32_t clique_bound(const struct search *search,
                             const struct rest *rest)
{
    struct worker_set pool = rest->left;
    uint32_t bound = 0;

    for (uint32_t w = workers_next(&pool, 0); w < WORKERS_MAX;
         w = workers_next(&pool, w + 1)) {
        struct worker_set more =
            workers_and(&search->graph->adjacent[w], &pool);

        workers_remove(&pool, w);
        for (uint32_t n = workers_next(&more, 0); n < WORKERS_MAX;
             n = workers_next(&more, n + 1)) {
            workers_remove(&pool, n);
            more = workers_and(&more, &search->graph->adjacent[n]);
            bound++;
        }
    }
    return bound;
}

/* The worker with the most edges, and in *degrees the sum over all. */
static uint32_t busiest(const struct rest *rest, uint32_t *degrees)
{
    uint32_t most = workers_next(&rest->left, 0);

    *degrees = 0;
    for (uint32_t w = most; w < WORKERS_MAX;
         w = workers_next(&rest->left, w + 1)) {
        *degrees += rest->degrees[w];
        if (rest->degrees[w] > rest->degrees[most])
            most = w;
    }
    return most;
}

static void keep(struct search *search, const struct rest *rest)
{
    search->cover.found = true;
    search->cover.workers = rest->taken;
    search->cover.size = rest->taken_count;
    search->size_end = rest->taken_count;
}

static bool is_over(const struct search *search)
{
    return !search->cover.exact || (search->cover.found && !search->least);
}

/* Looks below `rest`, which it changes. */
static void explore(struct search *search, struct rest *rest)
{
    while (!is_over(search)) {
        uint32_t room, degrees, worker;

        if (*search->nodes_left == 0) {
            search->cover.exact = false;
            return;
        }
        --*search->nodes_left;
        if (!reduce(search, rest))
            return;
        if (workers_empty(&rest->left)) {
            keep(search, rest);
            return;
        }
        room = search->size_end - 1 - rest->taken_count;
        worker = busiest(rest, &degrees);
        if (degrees > 2 * room * rest->degrees[worker] ||
            clique_bound(search, rest) > room)
            return;
        /* What is left are cycles: any worker is in some smallest cover. */
        if (rest->degrees[worker] > 2) {
            const struct worker_set near = neighbours(search, rest, worker);
            struct rest with = *rest;

            take(search, &with, worker);
            explore(search, &with);
            take_all(search, rest, &near);
        } else {
            take(search, rest, worker);
        }
    }
}

static struct rest rest_of(const struct cover_question *question)
{
    struct rest rest = {.left = question->within};

    for (uint32_t w = workers_next(&rest.left, 0); w < WORKERS_MAX;
         w = workers_next(&rest.left, w + 1)) {
        const struct worker_set near =
            workers_and(&question->graph->adjacent[w], &rest.left);

        rest.degrees[w] = (uint8_t)workers_count(&near);
    }
    return rest;
}

struct cover cover_find(const struct cover_question *question,
                        uint64_t *nodes_left)
{
    struct rest rest = rest_of(question);
    struct search search = {
        .graph = question->graph,
        .nodes_left = nodes_left,
        .size_end = question->size_max + 1,
        .least = question->least,
        .cover = {.exact = true},
    };

    assert(question->size_max <= WORKERS_MAX);
    search.cover.least = clique_bound(&search, &rest);
    explore(&search, &rest);
    if (search.cover.exact && (question->least || !search.cover.found))
        search.cover.least = search.size_end;
    return search.cover;
}
