/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_oracle.c - recomputes what a verifier says from the signs and the
 * rules as notes and headers state them.
 */
#include "verifier_oracle.h"

#include <assert.h>
#include <string.h>

/* A chunk of one task. */
struct task_view {
    uint32_t replicas;
    const uint64_t *rows[ORACLE_REPLICAS_MAX]; /* NULL: absent */
    uint32_t workers[ORACLE_REPLICAS_MAX];
    uint64_t here[ORACLE_REPLICAS_MAX][ORACLE_REPLICAS_MAX]; /* distances */
    bool disputed;
    const uint64_t *recomputed; /* by the arbiter, or NULL */
};

static bool bit_of(const uint64_t *row, uint32_t at)
{
    return (row[at / 64] >> at % 64 & 1) != 0;
}

static uint32_t count_of(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

void oracle_begin(struct oracle *o, uint32_t step)
{
    const bool plus = o->rule == VERIFIER_PAPER_PLUS;

    o->step = step;
    memset(o->sums, 0, sizeof(o->sums));
    memset(o->farness, 0, sizeof(o->farness));
    memset(o->asked, 0, sizeof(o->asked));
    if (plus ? o->rounds % VERIFIER_WINDOW == 0 : !o->keep) {
        memset(o->edges, 0, sizeof(o->edges));
        memset(o->first, 0, sizeof(o->first));
        memset(o->flagged, 0, sizeof(o->flagged));
    }
    o->absent = o->byzantine = o->honest = 0;
    o->outcome = VERDICT_REACHED;
    o->counted = o->dropped = o->disputed = o->arbitrations = 0;
}

static uint64_t differing(const uint64_t *a, const uint64_t *b, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t c = 0; c < count; c++)
        sum += bit_of(a, c) != bit_of(b, c);
    return sum;
}

static struct task_view view_of(const struct oracle *o,
                                const struct verifier_chunk *chunk,
                                uint32_t task)
{
    const struct assignment_shape *shape = assignment_shape(o->assignment);
    const size_t words = lines_for(chunk->coordinates) * LINE_WORDS;
    struct task_view view = {.replicas = shape->replication};

    for (uint32_t i = 0; i < view.replicas; i++) {
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
    for (uint32_t i = 0; i < view.replicas; i++)
        for (uint32_t j = 0; j < view.replicas; j++) {
            if (view.rows[i] != NULL && view.rows[j] != NULL)
                view.here[i][j] =
                    differing(view.rows[i], view.rows[j], chunk->coordinates);
            view.disputed = view.disputed || view.here[i][j] != 0;
        }
    return view;
}

static void learn(struct oracle *o, const struct task_view *view, uint32_t task)
{
    for (uint32_t i = 0; i < view->replicas; i++)
        for (uint32_t j = 0; j < view->replicas; j++) {
            const uint32_t a = view->workers[i], b = view->workers[j];
            uint64_t *sum = &o->sums[task][i][j];

            *sum += view->here[i][j];
            /* A dispute that was released comes again when it grows. */
            if (*sum <= o->tolerance || view->here[i][j] == 0)
                continue;
            if (o->first[a][b].distance == 0)
                o->first[a][b] =
                    (struct verifier_dispute){a, b, o->step, task, *sum};
            o->edges[a] |= 1u << b;
        }
    o->disputed += view->disputed;
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
    const uint32_t out = o->quarantined | o->convicted;
    const uint32_t left = all & ~out;
    uint32_t always = left;
    uint32_t ever = 0;
    bool found = false;

    for (uint32_t set = 0; set <= all; set++) {
        if ((set & out) != 0 || count_of(set) + count_of(out) > o->liars_max ||
            !covers(o, set, left))
            continue;
        found = true;
        always &= set;
        ever |= set;
    }
    o->byzantine = o->convicted;
    o->honest = 0;
    if (!found || o->outcome == VERDICT_BROKEN) {
        o->outcome = VERDICT_BROKEN;
        return;
    }
    o->byzantine = always | out;
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

/* By who disputes with more than may lie, in this window; `flagged` is as of
 * the round's end. */
static void judge_plus(struct oracle *o, uint32_t workers, uint32_t *flagged)
{
    const uint32_t present = ((1u << workers) - 1) & ~o->absent;
    const uint32_t now = o->rounds % VERIFIER_WINDOW + 1;

    o->outcome = VERDICT_REACHED;
    o->byzantine = 0;
    for (uint32_t w = 0; w < workers; w++)
        if (flagged[w] == 0 && count_of(o->edges[w]) > o->liars_max)
            flagged[w] = now;
    /* The last rounds first, and as many as may lie. */
    for (uint32_t round = now; round > 0; round--)
        for (uint32_t w = 0; w < workers; w++)
            if (flagged[w] == round && count_of(o->byzantine) < o->liars_max)
                o->byzantine |= 1u << w;
    o->honest = present & ~o->byzantine;
}

static void judge(struct oracle *o)
{
    const uint32_t workers = assignment_shape(o->assignment)->workers;
    uint32_t flagged[ORACLE_WORKERS_MAX];

    memcpy(flagged, o->flagged, sizeof(flagged));
    switch (o->rule) {
    case VERIFIER_PROOF: judge_proof(o, workers); break;
    case VERIFIER_PAPER: judge_paper(o, workers); break;
    case VERIFIER_PAPER_PLUS: judge_plus(o, workers, flagged); break;
    }
}

/* The replicas in `who` vote on a coordinate; half is plus. */
static bool majority_of(const struct task_view *view, uint32_t who, uint32_t c)
{
    uint32_t minus = 0;

    for (uint32_t i = 0; i < view->replicas; i++)
        if ((who >> i & 1) != 0)
            minus += bit_of(view->rows[i], c);
    return 2 * minus > count_of(who);
}

/* Who of the replicas votes on the task's value; 0: it has none. */
static uint32_t choose_paper(const struct oracle *o,
                             const struct task_view *view)
{
    uint32_t there = 0;

    for (uint32_t i = 0; i < view->replicas; i++) {
        if (view->rows[i] == NULL)
            continue;
        there |= 1u << i;
        if (o->outcome == VERDICT_REACHED &&
            (o->honest >> view->workers[i] & 1) != 0)
            return 1u << i;
    }
    return o->outcome == VERDICT_REACHED ? 0 : there;
}

static bool all_agree(const struct oracle *o, const struct task_view *view,
                      uint32_t task, uint32_t set)
{
    for (uint32_t i = 0; i < view->replicas; i++)
        for (uint32_t j = 0; j < i; j++)
            if ((set >> i & set >> j & 1) != 0 && view->here[i][j] != 0 &&
                o->sums[task][i][j] > o->tolerance)
                return false;
    return true;
}

static uint32_t choose_proof(const struct oracle *o,
                             const struct task_view *view, uint32_t task,
                             bool open)
{
    const uint32_t most = view->replicas / 2 + 1;
    uint32_t there = 0, gone = 0;

    for (uint32_t i = 0; i < view->replicas; i++) {
        const uint32_t w = view->workers[i];

        if (view->rows[i] != NULL && (o->honest >> w & 1) != 0)
            return 1u << i;
        if ((o->byzantine >> w & 1) == 0 && view->rows[i] != NULL)
            there |= 1u << i;
        gone += (o->byzantine >> w & 1) == 0 && view->rows[i] == NULL;
    }
    if (!open && there != 0 && (count_of(there) >= most || gone == 0))
        return o->tolerance > 0 ? there : there & -there;
    for (uint32_t set = 1; set < 1u << view->replicas; set++)
        if ((set & ~there) == 0 && count_of(set) == most &&
            all_agree(o, view, task, set))
            return o->tolerance > 0 ? there : set & -set;
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
        const uint64_t *recomputed = views[task].recomputed;
        const uint32_t who = o->rule != VERIFIER_PROOF
                                 ? choose_paper(o, &views[task])
                                 : choose_proof(o, &views[task], task, open);

        if (who == 0 && recomputed == NULL)
            continue;
        count++;
        for (uint32_t c = 0; c < chunk->coordinates; c++)
            votes[c] += recomputed != NULL ? bit_of(recomputed, c)
                                           : majority_of(&views[task], who, c);
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

/* ---- The arbiter --------------------------------------------------------- */

/* Pairs of a task of whom neither is known to lie, and whom the arbiter was not
 * asked about too often; they are charged. */
static bool is_worth_asking(struct oracle *o, const struct task_view *view,
                            uint32_t task)
{
    bool worth = false;

    for (uint32_t j = 1; j < view->replicas; j++)
        for (uint32_t i = 0; i < j; i++) {
            const uint32_t a = view->workers[i], b = view->workers[j];

            if (view->here[i][j] == 0 || o->sums[task][i][j] <= o->tolerance ||
                (o->byzantine >> a & 1) != 0 || (o->byzantine >> b & 1) != 0 ||
                o->asked[a][b] == VERIFIER_ARBITRATIONS_MAX)
                continue;
            o->asked[a][b]++;
            worth = true;
        }
    return worth;
}

static void arbitrate(struct oracle *o, const struct verifier_chunk *chunk,
                      struct task_view *views)
{
    static uint64_t truths[ORACLE_TASKS_MAX][ORACLE_COORDINATES_MAX / 64];
    const uint32_t tasks = assignment_shape(o->assignment)->tasks;

    for (uint32_t task = 0;
         task < tasks && count_of(o->convicted) < o->liars_max; task++) {
        struct task_view *view = &views[task];

        if (!is_worth_asking(o, view, task) ||
            o->arbiter(o->context, o->step, task, chunk->first,
                       chunk->coordinates, truths[task]) < 0)
            continue;
        o->arbitrations++;
        view->recomputed = truths[task];
        for (uint32_t i = 0; i < view->replicas; i++)
            if (view->rows[i] != NULL) {
                o->farness[task][i] +=
                    differing(view->rows[i], truths[task], chunk->coordinates);
                if (o->farness[task][i] > o->tolerance)
                    o->convicted |= 1u << view->workers[i];
            }
        judge(o);
    }
}

/* ---- Rounds -------------------------------------------------------------- */

void oracle_count(struct oracle *o, const struct verifier_chunk *chunk)
{
    static struct task_view views[ORACLE_TASKS_MAX];
    static uint32_t votes[ORACLE_COORDINATES_MAX];
    const struct assignment_shape *shape = assignment_shape(o->assignment);
    uint32_t count;

    assert(chunk->coordinates <= ORACLE_COORDINATES_MAX &&
           shape->replication <= ORACLE_REPLICAS_MAX);
    memset(votes, 0, sizeof(votes));
    for (uint32_t w = 0; w < shape->workers; w++)
        if (chunk->rows[w] == NULL && (o->quarantined >> w & 1) == 0)
            o->absent |= 1u << w;
    for (uint32_t task = 0; task < shape->tasks; task++) {
        views[task] = view_of(o, chunk, task);
        learn(o, &views[task], task);
    }
    judge(o);
    if (o->arbiter != NULL && o->rule == VERIFIER_PROOF)
        arbitrate(o, chunk, views);
    count = poll(o, chunk, views, votes);
    decide(chunk, votes, count);
    o->counted += count;
    o->dropped += shape->tasks - count;
}

void oracle_end(struct oracle *o)
{
    if (o->rule == VERIFIER_PROOF)
        o->quarantined = o->byzantine;
    if (o->rule == VERIFIER_PAPER_PLUS) {
        judge_plus(o, assignment_shape(o->assignment)->workers, o->flagged);
        o->rounds++;
    }
}

void oracle_release(struct oracle *o, uint32_t worker)
{
    o->quarantined &= ~(1u << worker);
    o->convicted &= ~(1u << worker);
    o->byzantine &= ~(1u << worker);
    o->edges[worker] = 0;
    o->flagged[worker] = 0;
    for (uint32_t w = 0; w < ORACLE_WORKERS_MAX; w++) {
        o->edges[w] &= ~(1u << worker);
        o->first[w][worker].distance = o->first[worker][w].distance = 0;
    }
}

size_t oracle_disputes(const struct oracle *o, struct verifier_dispute *list)
{
    const struct assignment_shape *shape = assignment_shape(o->assignment);
    uint32_t now[ORACLE_WORKERS_MAX] = {0};
    size_t count = 0;

    for (uint32_t task = 0; task < shape->tasks; task++)
        for (uint32_t i = 0; i < shape->replication; i++)
            for (uint32_t j = i + 1; j < shape->replication; j++) {
                const uint32_t a = assignment_workers(o->assignment, task)[i];
                const uint32_t b = assignment_workers(o->assignment, task)[j];

                if (o->sums[task][i][j] <= o->tolerance)
                    continue;
                now[a] |= 1u << b;
                list[count++] = (struct verifier_dispute){a, b, o->step, task,
                                                          o->sums[task][i][j]};
            }
    for (uint32_t a = 0; a < shape->workers; a++)
        for (uint32_t b = a + 1; b < shape->workers; b++)
            if (o->first[a][b].distance != 0 && (now[a] >> b & 1) == 0)
                list[count++] = o->first[a][b];
    return count;
}
