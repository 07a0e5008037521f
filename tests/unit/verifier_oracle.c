/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_oracle.c - recomputes what a verifier says from the signs and the
 * rules as notes and headers state them.
 */
#include "verifier_oracle.h"

#include <assert.h>
#include <string.h>

enum { THREE = ORACLE_REPLICAS_MAX };

/* A chunk of one task. */
struct task_view {
    const uint64_t *rows[THREE]; /* NULL: absent */
    uint32_t workers[THREE];
    uint64_t here[THREE][THREE]; /* distances */
};

static bool bit_of(const uint64_t *row, uint32_t at)
{
    return (row[at / 64] >> at % 64 & 1) != 0;
}

static uint32_t count_of(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

void oracle_begin(struct oracle *o)
{
    memset(o->sums, 0, sizeof(o->sums));
    if (!o->keep)
        memset(o->edges, 0, sizeof(o->edges));
    o->absent = o->byzantine = o->honest = 0;
    o->outcome = VERDICT_REACHED;
    o->counted = o->dropped = o->disputed = 0;
}

static struct task_view view_of(const struct oracle *o,
                                const struct verifier_chunk *chunk,
                                uint32_t task)
{
    const struct assignment_shape *shape = assignment_shape(o->assignment);
    const size_t words = lines_for(chunk->coordinates) * LINE_WORDS;
    struct task_view view = {0};

    for (uint32_t i = 0; i < THREE; i++) {
        const uint32_t w = assignment_workers(o->assignment, task)[i];
        const uint16_t *tasks = assignment_tasks(o->assignment, w);

        view.workers[i] = w;
        if (chunk->rows[w] == NULL || (o->quarantined >> w & 1) != 0)
            continue;
        for (uint32_t row = 0; row < shape->load; row++)
            if (tasks[row] == task)
                view.rows[i] = chunk->rows[w] + row * words;
        assert(view.rows[i] != NULL);
    }
    for (uint32_t i = 0; i < THREE; i++)
        for (uint32_t j = 0; j < THREE; j++)
            for (uint32_t c = 0; c < chunk->coordinates; c++)
                view.here[i][j] +=
                    view.rows[i] != NULL && view.rows[j] != NULL &&
                    bit_of(view.rows[i], c) != bit_of(view.rows[j], c);
    return view;
}

static void learn(struct oracle *o, const struct task_view *view, uint32_t task)
{
    bool any = false;

    for (uint32_t i = 0; i < THREE; i++)
        for (uint32_t j = 0; j < THREE; j++) {
            o->sums[task][i][j] += view->here[i][j];
            any = any || view->here[i][j] != 0;
            if (o->sums[task][i][j] > o->tolerance)
                o->edges[view->workers[i]] |= 1u << view->workers[j];
        }
    o->disputed += any;
}

/* Whether all edges among `left` have an end in the set. */
static bool covers(const struct oracle *o, uint32_t set, uint32_t left)
{
    for (uint32_t w = 0; w < ORACLE_WORKERS_MAX; w++)
        if ((left >> w & 1) != 0 && (set >> w & 1) == 0 &&
            (o->edges[w] & left & ~set) != 0)
            return false;
    return true;
}

/* By every set of at most the liars promised. */
static void judge_proof(struct oracle *o, uint32_t workers)
{
    const uint32_t all = (1u << workers) - 1;
    const uint32_t left = all & ~o->quarantined;
    uint32_t always = left;
    uint32_t ever = 0;
    bool found = false;

    for (uint32_t set = 0; set <= all; set++) {
        if ((set & o->quarantined) != 0 ||
            count_of(set) + count_of(o->quarantined) > o->liars_max ||
            !covers(o, set, left))
            continue;
        found = true;
        always &= set;
        ever |= set;
    }
    o->byzantine = o->honest = 0;
    if (!found || o->outcome == VERDICT_BROKEN) {
        o->outcome = VERDICT_BROKEN;
        return;
    }
    o->byzantine = always | o->quarantined;
    o->honest = left & ~ever;
}

/* By every largest set of those present that all agree. */
static void judge_paper(struct oracle *o, uint32_t workers)
{
    const uint32_t present = ((1u << workers) - 1) & ~o->absent;
    uint32_t largest = 0;
    uint32_t cliques = 0;
    uint32_t clique = 0;

    for (uint32_t set = 1; set <= present; set++) {
        bool agree = (set & ~present) == 0;

        for (uint32_t w = 0; w < workers && agree; w++)
            agree = (set >> w & 1) == 0 || (o->edges[w] & set) == 0;
        if (!agree || count_of(set) < largest)
            continue;
        cliques = count_of(set) > largest ? 1 : cliques + 1;
        largest = count_of(set);
        clique = set;
    }
    o->outcome = cliques > 1 ? VERDICT_AMBIGUOUS : VERDICT_REACHED;
    o->honest = cliques > 1 ? 0 : clique;
    o->byzantine = cliques > 1 ? 0 : present & ~clique;
}

/* The replicas in `who` vote on a coordinate; half is plus. */
static bool majority_of(const struct task_view *view, uint32_t who, uint32_t c)
{
    uint32_t minus = 0;

    for (uint32_t i = 0; i < THREE; i++)
        if ((who >> i & 1) != 0)
            minus += bit_of(view->rows[i], c);
    return 2 * minus > count_of(who);
}

/* Who of the replicas votes on the task's value; 0: it has none. */
static uint32_t choose_paper(const struct oracle *o,
                             const struct task_view *view)
{
    uint32_t there = 0;

    for (uint32_t i = 0; i < THREE; i++) {
        if (view->rows[i] == NULL)
            continue;
        there |= 1u << i;
        if (o->outcome == VERDICT_REACHED &&
            (o->honest >> view->workers[i] & 1) != 0)
            return 1u << i;
    }
    return o->outcome == VERDICT_REACHED ? 0 : there;
}

static uint32_t choose_proof(const struct oracle *o,
                             const struct task_view *view, uint32_t task,
                             bool open)
{
    uint32_t there = 0, gone = 0;

    for (uint32_t i = 0; i < THREE; i++) {
        const uint32_t w = view->workers[i];

        if (view->rows[i] != NULL && (o->honest >> w & 1) != 0)
            return 1u << i;
        if ((o->byzantine >> w & 1) == 0 && view->rows[i] != NULL)
            there |= 1u << i;
        gone += (o->byzantine >> w & 1) == 0 && view->rows[i] == NULL;
    }
    if (!open && there != 0 && (count_of(there) >= 2 || gone == 0))
        return o->tolerance > 0 ? there : there & -there;
    for (uint32_t i = 0; i < THREE; i++)
        for (uint32_t j = i + 1; j < THREE; j++)
            if ((there >> i & there >> j & 1) != 0 &&
                (view->here[i][j] == 0 || o->sums[task][i][j] <= o->tolerance))
                return o->tolerance > 0 ? there : 1u << i;
    return 0;
}

/* Adds what the tasks that count say to `votes`. */
static uint32_t poll(struct oracle *o, const struct verifier_chunk *chunk,
                     const struct task_view *views, uint32_t *votes)
{
    const struct assignment_shape *shape = assignment_shape(o->assignment);
    const uint32_t left = ((1u << shape->workers) - 1) & ~o->byzantine;
    const bool open = !covers(o, 0, left);
    uint32_t count = 0;

    for (uint32_t task = 0; task < shape->tasks; task++) {
        const uint32_t who = o->rule == VERIFIER_PAPER
                                 ? choose_paper(o, &views[task])
                                 : choose_proof(o, &views[task], task, open);

        count += who != 0;
        for (uint32_t c = 0; c < chunk->coordinates && who != 0; c++)
            votes[c] += majority_of(&views[task], who, c);
    }
    return count;
}

static void decide(const struct verifier_chunk *chunk, const uint32_t *votes,
                   uint32_t count)
{
    const size_t bytes = lines_for(chunk->coordinates) * LINE_BYTES;

    memset(chunk->result, 0, bytes);
    if (chunk->ties != NULL)
        memset(chunk->ties, 0, bytes);
    for (uint32_t c = 0; c < chunk->coordinates; c++) {
        const bool tie = 2 * votes[c] == count;

        if (2 * votes[c] > count || (tie && chunk->minus))
            chunk->result[c / 64] |= UINT64_C(1) << c % 64;
        if (tie && chunk->ties != NULL)
            chunk->ties[c / 64] |= UINT64_C(1) << c % 64;
    }
}

void oracle_count(struct oracle *o, const struct verifier_chunk *chunk)
{
    static struct task_view views[ORACLE_TASKS_MAX];
    static uint32_t votes[1 << 14];
    const struct assignment_shape *shape = assignment_shape(o->assignment);
    uint32_t count;

    assert(chunk->coordinates <= 1 << 14 && shape->replication == THREE);
    memset(votes, 0, sizeof(votes));
    for (uint32_t w = 0; w < shape->workers; w++)
        if (chunk->rows[w] == NULL && (o->quarantined >> w & 1) == 0)
            o->absent |= 1u << w;
    for (uint32_t task = 0; task < shape->tasks; task++) {
        views[task] = view_of(o, chunk, task);
        learn(o, &views[task], task);
    }
    if (o->rule == VERIFIER_PAPER)
        judge_paper(o, shape->workers);
    else
        judge_proof(o, shape->workers);
    count = poll(o, chunk, views, votes);
    decide(chunk, votes, count);
    o->counted += count;
    o->dropped += shape->tasks - count;
}

void oracle_end(struct oracle *o)
{
    if (o->rule == VERIFIER_PROOF)
        o->quarantined = o->byzantine;
}
