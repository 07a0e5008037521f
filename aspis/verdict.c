/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict.c - the rules by which disputes become verdicts.
 */
#include <assert.h>

#include "agreement.h"
#include "cover.h"
#include "verdict.h"

enum { PARTS_MAX = WORKERS_MAX / 2 };

/* A component of the graph that has an edge. */
struct part {
    struct worker_set workers;
    uint32_t count;
    struct cover cover; /* a smallest one, if it is exact */
};

/* The graph in components, small ones first. Nodes that a large one wastes are
 * then not missing for the others. */
struct parts {
    const struct graph *graph;
    uint64_t nodes_left;
    uint32_t count;
    uint32_t least;          /* workers in any cover of all parts */
    struct worker_set alone; /* workers without an edge */
    struct part part[PARTS_MAX];
};

static void insert(struct parts *parts, const struct worker_set *workers)
{
    const uint32_t count = workers_count(workers);
    uint32_t at = parts->count++;

    for (; at > 0 && parts->part[at - 1].count > count; at--)
        parts->part[at] = parts->part[at - 1];
    parts->part[at] = (struct part){.workers = *workers, .count = count};
}

static void divide(struct parts *parts, const struct graph *graph,
                   const struct worker_set *within, uint64_t nodes_max)
{
    struct worker_set left = *within;

    parts->graph = graph;
    parts->nodes_left = nodes_max;
    parts->count = parts->least = 0;
    parts->alone = (struct worker_set){{0}};
    while (!workers_empty(&left)) {
        const uint32_t worker = workers_next(&left, 0);
        const struct worker_set component =
            graph_component(graph, &left, worker);

        left = workers_minus(&left, &component);
        if (workers_count(&component) > 1)
            insert(parts, &component);
        else
            workers_add(&parts->alone, worker);
    }
}

/* Looks for a smallest cover of each part, of size_max workers in all. False if
 * none was found; then parts->least tells whether there is none. */
static bool cover_parts(struct parts *parts, uint32_t size_max)
{
    bool found = true;

    for (uint32_t p = 0; p < parts->count && parts->least <= size_max; p++) {
        struct part *part = &parts->part[p];
        const struct cover_question question = {
            .graph = parts->graph,
            .within = part->workers,
            .size_max = size_max - parts->least,
            .least = true,
        };

        part->cover = cover_find(&question, &parts->nodes_left);
        parts->least += part->cover.least;
        found = found && part->cover.found;
    }
    return found;
}

/* A cover of the part that has at most `size_max` workers and `worker` is not
 * among them. */
static struct cover cover_without(struct parts *parts, const struct part *part,
                                  uint32_t worker, uint32_t size_max)
{
    struct worker_set near =
        workers_and(&parts->graph->adjacent[worker], &part->workers);
    const uint32_t degree = workers_count(&near);
    struct cover_question question = {
        .graph = parts->graph,
        .within = workers_minus(&part->workers, &near),
    };
    struct cover cover = {.exact = true};

    if (degree > size_max)
        return cover;
    workers_remove(&question.within, worker);
    question.size_max = size_max - degree;
    cover = cover_find(&question, &parts->nodes_left);
    cover.workers = workers_or(&cover.workers, &near);
    cover.size += degree;
    return cover;
}

/* The same, but `worker` is among them. */
static struct cover cover_with(struct parts *parts, const struct part *part,
                               uint32_t worker, uint32_t size_max)
{
    struct cover_question question = {
        .graph = parts->graph,
        .within = part->workers,
        .size_max = size_max - 1,
    };
    struct cover cover;

    workers_remove(&question.within, worker);
    cover = cover_find(&question, &parts->nodes_left);
    workers_add(&cover.workers, worker);
    cover.size++;
    return cover;
}

/* Who can be a liar or honest, by the covers of one part that were seen. */
struct suspicion {
    struct worker_set always; /* in all of them */
    struct worker_set ever;   /* in one of them */
    bool exact;
};

static void learn(struct suspicion *suspicion, const struct part *part,
                  const struct cover *cover, uint32_t room)
{
    suspicion->exact = suspicion->exact && cover->exact;
    if (!cover->found)
        return;
    suspicion->always = workers_and(&suspicion->always, &cover->workers);
    suspicion->ever = workers_or(&suspicion->ever, &cover->workers);
    /* There is room for any other worker besides. */
    if (cover->size < room)
        suspicion->ever = part->workers;
}

/* One cover answers for many workers: only those are asked about for whom all
 * covers so far were alike. At most `room` liars are in this part. */
static void convict(struct verdict *verdict, struct parts *parts,
                    const struct part *part, uint32_t room,
                    struct suspicion *seen)
{
    for (uint32_t w = workers_next(&seen->always, 0); w < WORKERS_MAX;
         w = workers_next(&seen->always, w + 1)) {
        const struct cover cover = cover_without(parts, part, w, room);

        learn(seen, part, &cover, room);
        if (cover.exact && !cover.found)
            workers_add(&verdict->byzantine, w);
    }
}

static void acquit(struct verdict *verdict, struct parts *parts,
                   const struct part *part, uint32_t room,
                   struct suspicion *seen)
{
    struct worker_set asked = workers_minus(&part->workers, &seen->ever);

    /* All liars that there may be are known. */
    if (seen->exact && workers_count(&seen->always) == room) {
        verdict->honest = workers_or(&verdict->honest, &asked);
        return;
    }
    for (uint32_t w = workers_next(&asked, 0); w < WORKERS_MAX;
         w = workers_next(&asked, w + 1)) {
        const struct cover cover = cover_with(parts, part, w, room);

        learn(seen, part, &cover, room);
        if (cover.exact && !cover.found)
            workers_add(&verdict->honest, w);
        asked = workers_minus(&asked, &seen->ever);
    }
}

static bool judge_part(struct verdict *verdict, struct parts *parts,
                       const struct part *part, uint32_t room)
{
    struct suspicion seen = {part->workers, {{0}}, true};

    learn(&seen, part, &part->cover, room);
    convict(verdict, parts, part, room, &seen);
    acquit(verdict, parts, part, room, &seen);
    return seen.exact;
}

void verdict_proof(struct verdict *verdict, const struct graph *disputes,
                   uint32_t liars_max, uint64_t nodes_max)
{
    const struct worker_set all = workers_below(disputes->workers);
    struct parts parts;
    bool exact = true;

    assert(liars_max <= disputes->workers);
    *verdict = (struct verdict){.outcome = VERDICT_REACHED};
    divide(&parts, disputes, &all, nodes_max);
    if (!cover_parts(&parts, liars_max)) {
        verdict->outcome =
            parts.least > liars_max ? VERDICT_BROKEN : VERDICT_UNDECIDED;
        verdict->nodes = nodes_max - parts.nodes_left;
        return;
    }
    for (uint32_t p = 0; p < parts.count; p++) {
        const struct part *part = &parts.part[p];
        const uint32_t others = parts.least - part->cover.least;

        exact &= judge_part(verdict, &parts, part, liars_max - others);
    }
    if (parts.least == liars_max)
        verdict->honest = workers_or(&verdict->honest, &parts.alone);
    if (!exact)
        verdict->outcome = VERDICT_UNDECIDED;
    verdict->nodes = nodes_max - parts.nodes_left;
}

/* Whether the part has another smallest cover than the one found: then it
 * lacks one of its workers. If the nodes ran out before the one found was known
 * to be smallest, no search is left to say that there is another, and `exact`
 * stays only if each of its workers has too many disputes to be left out. */
static bool has_second(struct parts *parts, const struct part *part,
                       bool *exact)
{
    const struct worker_set *first = &part->cover.workers;

    for (uint32_t w = workers_next(first, 0); w < WORKERS_MAX;
         w = workers_next(first, w + 1)) {
        const struct cover cover =
            cover_without(parts, part, w, part->cover.size);

        if (cover.found)
            return true;
        *exact = *exact && cover.exact;
    }
    return false;
}

/* The complement of a maximum clique of agreement is a smallest cover of the
 * disputes, and one is unique iff the other is. */
void verdict_paper(struct verdict *verdict, const struct graph *disputes,
                   const struct worker_set *present, uint64_t nodes_max)
{
    struct worker_set outside = {{0}};
    struct parts parts;
    bool second = false;
    bool exact;

    divide(&parts, disputes, present, nodes_max);
    exact = cover_parts(&parts, disputes->workers);
    for (uint32_t p = 0; p < parts.count && exact && !second; p++) {
        second = has_second(&parts, &parts.part[p], &exact);
        outside = workers_or(&outside, &parts.part[p].cover.workers);
    }
    *verdict = (struct verdict){.nodes = nodes_max - parts.nodes_left};
    if (second) {
        verdict->outcome = VERDICT_AMBIGUOUS;
    } else if (!exact) {
        verdict->outcome = VERDICT_UNDECIDED;
    } else {
        verdict->outcome = VERDICT_REACHED;
        verdict->byzantine = outside;
        verdict->honest = workers_minus(present, &outside);
    }
}

bool verdict_window_opens(const struct verdict_window *window)
{
    return window->round == 0;
}

/* The one that was flagged last; WORKERS_MAX if nobody is left. */
static uint32_t latest(const struct verdict_window *window, uint32_t workers,
                       const struct worker_set *accused)
{
    uint32_t last = WORKERS_MAX;

    for (uint32_t w = 0; w < workers; w++)
        if (window->flagged[w] != 0 && !workers_has(accused, w) &&
            (last == WORKERS_MAX || window->flagged[w] > window->flagged[last]))
            last = w;
    return last;
}

void verdict_degrees(struct verdict *verdict, struct verdict_window *window,
                     const struct graph *disputes,
                     const struct worker_set *present, uint32_t liars_max)
{
    if (verdict_window_opens(window))
        for (uint32_t w = 0; w < WORKERS_MAX; w++)
            window->flagged[w] = 0;
    for (uint32_t w = 0; w < disputes->workers; w++)
        if (window->flagged[w] == 0 && graph_degree(disputes, w) > liars_max)
            window->flagged[w] = window->round + 1;
    window->round = (window->round + 1) % window->length;
    *verdict = (struct verdict){.outcome = VERDICT_REACHED};
    for (uint32_t accused = 0; accused < liars_max; accused++) {
        const uint32_t w =
            latest(window, disputes->workers, &verdict->byzantine);

        if (w == WORKERS_MAX)
            break;
        workers_add(&verdict->byzantine, w);
    }
    verdict->honest = workers_minus(present, &verdict->byzantine);
}
