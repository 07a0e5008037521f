/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_chunk.c - one chunk: replicas are read, compared and resolved, and
 * the tasks vote.
 */
#include <assert.h>
#include <string.h>

#include "verifier_state.h"

enum { ROWS_TOGETHER = 32 }; /* values that are counted in one pass */

static size_t words_of(const struct verifier_chunk *chunk)
{
    return lines_for(chunk->coordinates) * LINE_WORDS;
}

/* ---- Reading ------------------------------------------------------------- */

/* Who is there: from[w] is where the rows of worker w begin, or NULL. */
static void find_workers(struct verifier *v, const struct verifier_chunk *chunk,
                         const uint64_t **from)
{
    struct worker_set present = {{0}};

    for (uint32_t w = 0; w < v->workers; w++) {
        const bool out = workers_has(&v->quarantined, w);

        from[w] = out ? NULL : chunk->rows[w];
        if (from[w] != NULL) {
            workers_add(&present, w);
        } else if (!out && !workers_has(&v->report.absent, w)) {
            workers_add(&v->report.absent, w);
            v->stale = v->stale || v->config.rule != VERIFIER_PROOF;
        }
    }
    if (memcmp(&present, &v->present, sizeof(present)) != 0)
        v->planned = false;
    v->present = present;
}

/* The replicas of a task that are there, in their order. */
static uint32_t find_rows(const struct verifier *v, const uint64_t *const *from,
                          uint32_t task, size_t words, const uint64_t **rows)
{
    const struct seat *seat = &v->seats[(size_t)task * v->replicas];
    uint32_t present = v->states[task].present;
    uint32_t count = 0;

    for (; present != 0; present &= present - 1) {
        const uint32_t i = (uint32_t)__builtin_ctz(present);

        rows[count++] = from[seat[i].worker] + seat[i].row * words;
    }
    return count;
}

static void see_tasks(struct verifier *v)
{
    const struct seat *seat = v->seats;

    for (uint32_t task = 0; task < v->tasks; task++) {
        struct task_state *state = &v->states[task];

        *state = (struct task_state){0};
        for (uint32_t i = 0; i < v->replicas; i++, seat++)
            if (workers_has(&v->present, seat->worker))
                state->present |= 1u << i;
    }
}

/* The private copy of a row, of which each word is loaded once. */
static void copy_row(const struct verifier *v, uint64_t *copy,
                     const uint64_t *row, size_t words)
{
    const struct vote vote = {
        .result = copy,
        .signs = &row,
        .voters = 1,
        .threshold = 1,
        .words = words,
    };

    v->config.kernels->vote(&vote);
}

/* Compares rows[count] of a task, with what most of them say as its value. */
static bool compare_rows(const struct verifier *v, uint32_t task,
                         const uint64_t *const *rows, uint32_t count,
                         uint32_t coordinates, uint64_t *distances)
{
    const struct compare compare = {
        .majority = verifier_value(v, task),
        .distances = distances,
        .rows = rows,
        .replicas = count,
        .count = coordinates,
    };
    uint64_t any = 0;

    memset(distances, 0, count * (count - 1) / 2 * sizeof(distances[0]));
    v->config.kernels->compare(&compare);
    for (uint32_t pair = 0; pair < count * (count - 1) / 2; pair++)
        any |= distances[pair];
    return any != 0;
}

/* What the workers' rows say was a hint. From here on only the copies are
 * looked at: the value too is theirs. */
static void dispute(struct verifier *v, const struct verifier_chunk *chunk,
                    uint32_t task, const uint64_t *const *rows)
{
    uint64_t distances[REPLICAS_MAX * (REPLICAS_MAX - 1) / 2];
    const uint64_t *copies[REPLICAS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < v->replicas; i++)
        if ((v->states[task].present >> i & 1) != 0) {
            uint64_t *copy = verifier_copy(v, task, i);

            copy_row(v, copy, rows[count], words_of(chunk));
            copies[count++] = copy;
        }
    compare_rows(v, task, copies, count, chunk->coordinates, distances);
    verifier_accuse(v, task, distances);
}

/* Leaves the task's value, if its replicas are equal, and says whether. */
static bool read_task(struct verifier *v, const struct verifier_chunk *chunk,
                      uint32_t task, const uint64_t *const *rows,
                      uint32_t count)
{
    uint64_t hint[REPLICAS_MAX * (REPLICAS_MAX - 1) / 2];

    if (count == 1)
        copy_row(v, verifier_value(v, task), rows[0], words_of(chunk));
    return count < 2 ||
           !compare_rows(v, task, rows, count, chunk->coordinates, hint);
}

/* ---- Counting ------------------------------------------------------------ */

/* What more than half of the voters' copies have. */
static void value_majority(const struct verifier *v, uint32_t task,
                           uint32_t voters, size_t words)
{
    const uint64_t *copies[REPLICAS_MAX];
    struct vote vote = {
        .result = verifier_value(v, task),
        .signs = copies,
        .words = words,
    };

    for (uint32_t i = 0; i < v->replicas; i++)
        if ((voters >> i & 1) != 0)
            copies[vote.voters++] = verifier_copy(v, task, i);
    vote.threshold = vote.voters / 2 + 1;
    v->config.kernels->vote(&vote);
}

/* The value of a task, or NULL: it has none. */
static const uint64_t *resolve_task(struct verifier *v, uint32_t task,
                                    size_t words)
{
    const struct task_state *state = &v->states[task];
    struct choice choice;

    if (state->recomputed)
        return verifier_value(v, task);
    choice = verifier_choose(v, task);
    if (choice.kind == CHOICE_DROP)
        return NULL;
    /* Replicas that are equal are equal to what most of them say. */
    if (!state->disputed)
        return verifier_value(v, task);
    if (choice.kind == CHOICE_REPLICA)
        return verifier_copy(v, task, choice.replica);
    value_majority(v, task, choice.voters, words);
    return verifier_value(v, task);
}

static void clear_behind(uint64_t *row, size_t words, uint32_t coordinates)
{
    size_t whole = coordinates / 64;

    if (coordinates % 64 != 0)
        row[whole++] &= (UINT64_C(1) << coordinates % 64) - 1;
    memset(&row[whole], 0, (words - whole) * sizeof(row[0]));
}

/* From the planes, to which `count` tasks were added and none is. */
static void decide(struct verifier *v, const struct verifier_chunk *chunk,
                   uint32_t count)
{
    const size_t words = words_of(chunk);
    const bool even = count % 2 == 0;
    const struct count last = {
        .planes = v->planes,
        .top = v->top,
        .words = words,
        .result = chunk->result,
        .ties = even ? chunk->ties : NULL,
        .threshold = count / 2 + 1,
    };
    struct count half = last;

    if (chunk->ties != NULL && !even)
        memset(chunk->ties, 0, words * sizeof(uint64_t));
    if (chunk->minus && chunk->ties == NULL)
        half.threshold = (count + 1) / 2;
    if (half.threshold > 0)
        v->config.kernels->count(&half);
    else
        memset(chunk->result, 0xff, words * sizeof(uint64_t));
    if (chunk->minus && chunk->ties != NULL)
        for (size_t w = 0; w < words; w++)
            chunk->result[w] |= chunk->ties[w];
    clear_behind(chunk->result, words, chunk->coordinates);
    if (chunk->ties != NULL)
        clear_behind(chunk->ties, words, chunk->coordinates);
}

/* Adds values[count] to the planes, in which there is nothing yet if `first`.
 */
static void add_values(struct verifier *v, const uint64_t *const *values,
                       uint32_t count, size_t words, bool first)
{
    struct count group = {
        .planes = v->planes,
        .top = v->top,
        .first = first,
        .signs = values,
        .words = words,
    };

    do {
        const uint32_t left = count - (uint32_t)(group.signs - values);

        group.voters = left < ROWS_TOGETHER ? left : ROWS_TOGETHER;
        v->config.kernels->count(&group);
        group.first = false;
        group.signs += group.voters;
    } while (group.signs < values + count);
}

/* ---- Quickly, while nobody disputes -------------------------------------- */

static enum place place_of(const struct verifier *v, uint32_t task)
{
    const uint32_t all = (1u << v->replicas) - 1;

    if (verifier_choose(v, task).kind == CHOICE_DROP)
        return PLACE_DROPPED;
    return v->replicas == 3 && v->states[task].present == all ? PLACE_TOGETHER
                                                              : PLACE_ALONE;
}

/* Where no replicas differ each task counts or not, whatever they say. */
static void plan(struct verifier *v)
{
    uint32_t ends[PLACES];
    uint32_t end = 0;

    see_tasks(v);
    for (uint32_t task = 0; task < v->tasks; task++)
        v->states[task].place = place_of(v, task);
    for (int place = 0; place < PLACES; place++) {
        for (uint32_t task = 0; task < v->tasks; task++)
            if (v->states[task].place == (enum place)place)
                v->order[end++] = task;
        ends[place] = end;
    }
    v->together = ends[PLACE_TOGETHER];
    v->counted = ends[PLACE_ALONE];
    for (uint32_t i = 0; i < v->together; i++)
        memcpy(&v->row_seats[3 * i], &v->seats[3 * v->order[i]],
               3 * sizeof(v->seats[0]));
    v->planned = true;
}

/* Those that are counted from the registers into which they are read. False if
 * any of them are disputed. */
static bool count_together(struct verifier *v,
                           const struct verifier_chunk *chunk,
                           const uint64_t *const *from)
{
    const size_t words = words_of(chunk);
    const struct agree agree = {
        .planes = v->planes,
        .top = v->top,
        .first = true,
        .rows = v->rows,
        .tasks = v->together,
        .count = chunk->coordinates,
        .far = chunk->far,
    };

    for (uint32_t i = 0; i < 3 * v->together; i++)
        v->rows[i] = from[v->row_seats[i].worker] + v->row_seats[i].row * words;
    return v->together == 0 || v->config.kernels->agree(&agree);
}

/* False if any task is disputed. Then nothing that was read is kept: all are
 * read anew. */
static bool count_quickly(struct verifier *v,
                          const struct verifier_chunk *chunk,
                          const uint64_t *const *from)
{
    const size_t words = words_of(chunk);
    const uint64_t *rows[REPLICAS_MAX];
    uint32_t values = 0;

    if (!v->planned)
        plan(v);
    if (!count_together(v, chunk, from))
        return false;
    for (uint32_t i = v->together; i < v->tasks; i++) {
        const uint32_t task = v->order[i];
        const uint32_t count = find_rows(v, from, task, words, rows);

        if (!read_task(v, chunk, task, rows, count))
            return false;
        if (i < v->counted)
            v->rows[values++] = verifier_value(v, task);
    }
    if (values > 0 || v->together == 0)
        add_values(v, v->rows, values, words, v->together == 0);
    return true;
}

/* ---- Thoroughly ---------------------------------------------------------- */

static uint32_t count_thoroughly(struct verifier *v,
                                 const struct verifier_chunk *chunk,
                                 const uint64_t *const *from)
{
    const size_t words = words_of(chunk);
    const uint64_t disputed = v->report.disputed;
    const uint64_t *rows[REPLICAS_MAX];
    uint32_t values = 0;

    see_tasks(v);
    for (uint32_t task = 0; task < v->tasks; task++) {
        const uint32_t count = find_rows(v, from, task, words, rows);

        if (!read_task(v, chunk, task, rows, count))
            dispute(v, chunk, task, rows);
    }
    v->calm = v->report.disputed == disputed;
    verifier_judge(v);
    verifier_arbitrate(v, chunk);
    /* Nobody looks at the workers' rows any more. */
    for (uint32_t task = 0; task < v->tasks; task++) {
        const uint64_t *value = resolve_task(v, task, words);

        if (value != NULL)
            v->rows[values++] = value;
    }
    v->planned = false;
    add_values(v, v->rows, values, words, true);
    return values;
}

void verifier_count(struct verifier *verifier,
                    const struct verifier_chunk *chunk)
{
    struct verifier *v = verifier;
    const uint64_t *from[WORKERS_MAX];
    uint32_t count;

    assert(chunk->coordinates > 0 &&
           chunk->coordinates <= v->config.coordinates_max);
    find_workers(v, chunk, from);
    verifier_judge(v);
    if (v->calm && count_quickly(v, chunk, from))
        count = v->counted;
    else
        count = count_thoroughly(v, chunk, from);
    decide(v, chunk, count);
    v->report.chunks++;
    v->report.counted += count;
    v->report.dropped += v->tasks - count;
}
