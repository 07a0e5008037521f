/* SPDX-License-Identifier: Apache-2.0 */
/* verifier_writers.c - workers that write their rows anew once they are read.
 */
#include "verifier_writers.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { LOAD_MAX = 91, WORDS_MAX = 4 * LINE_WORDS };

/* Kernels have no argument of ours. */
static struct {
    const struct kernels *table;
    struct kernels watched;
    writers_rewrite_fn *rewrite;
    void *context;
    uint32_t writers;
    uint64_t *rows[ORACLE_WORKERS_MAX];
    uint32_t load;
    size_t words;
    uint64_t seen[ORACLE_WORKERS_MAX][LOAD_MAX * WORDS_MAX];
    bool copied[ORACLE_WORKERS_MAX][LOAD_MAX];
    struct writers_counts counts;
} rig;

/* The number of a writer's row, or false: it is somebody else's, or private. */
static bool find(const uint64_t *at, uint32_t *worker, uint32_t *row)
{
    for (uint32_t w = 0; w < ORACLE_WORKERS_MAX; w++) {
        if ((rig.writers >> w & 1) == 0 || at < rig.rows[w] ||
            at >= rig.rows[w] + rig.load * rig.words)
            continue;
        *worker = w;
        *row = (uint32_t)((size_t)(at - rig.rows[w]) / rig.words);
        assert_ptr_equal(at, rig.rows[w] + *row * rig.words);
        return true;
    }
    return false;
}

/* rows[count] are about to be read. */
static void note(const uint64_t *const *rows, size_t count, bool copy,
                 uint64_t *counter)
{
    uint32_t worker, row;

    for (size_t i = 0; i < count; i++) {
        if (!find(rows[i], &worker, &row))
            continue;
        ++*counter;
        if (rig.copied[worker][row] && !copy)
            continue;
        rig.copied[worker][row] = copy;
        memcpy(&rig.seen[worker][row * rig.words], rows[i],
               rig.words * sizeof(uint64_t));
    }
}

/* They have been. */
static void rewrite(const uint64_t *const *rows, size_t count)
{
    uint32_t worker, row;

    for (size_t i = 0; i < count; i++)
        if (find(rows[i], &worker, &row))
            rig.rewrite(rig.context, worker, row,
                        rig.rows[worker] + row * rig.words);
}

static bool agree_and_rewrite(const struct agree *agree)
{
    bool equal;

    note(agree->rows, 3 * (size_t)agree->tasks, false, &rig.counts.agreed);
    equal = rig.table->agree(agree);
    rewrite(agree->rows, 3 * (size_t)agree->tasks);
    return equal;
}

static void compare_and_rewrite(const struct compare *compare)
{
    note(compare->rows, compare->replicas, false, &rig.counts.compared);
    rig.table->compare(compare);
    rewrite(compare->rows, compare->replicas);
}

/* A vote of one is a copy. What more voters say must be private already, and
 * so must what is counted: that they are read here is not noted, so the result
 * is another. */
static void vote_and_rewrite(const struct vote *vote)
{
    if (vote->voters == 1)
        note(vote->signs, 1, true, &rig.counts.copied);
    rig.table->vote(vote);
    rewrite(vote->signs, vote->voters);
}

static void count_and_rewrite(const struct count *count)
{
    rig.table->count(count);
    rewrite(count->signs, count->voters);
}

const struct kernels *writers_open(const struct kernels *table,
                                   writers_rewrite_fn *again, void *context)
{
    rig.table = table;
    rig.watched = *table;
    rig.watched.agree = agree_and_rewrite;
    rig.watched.compare = compare_and_rewrite;
    rig.watched.vote = vote_and_rewrite;
    rig.watched.count = count_and_rewrite;
    rig.rewrite = again;
    rig.context = context;
    rig.counts = (struct writers_counts){0};
    return &rig.watched;
}

void writers_begin(uint32_t writers, uint64_t *const *rows, uint32_t load,
                   size_t words)
{
    assert(load <= LOAD_MAX && words <= WORDS_MAX);
    rig.writers = writers;
    rig.load = load;
    rig.words = words;
    memset(rig.copied, 0, sizeof(rig.copied));
    for (uint32_t w = 0; w < ORACLE_WORKERS_MAX; w++)
        if ((writers >> w & 1) != 0)
            rig.rows[w] = rows[w];
}

const uint64_t *writers_seen(uint32_t worker)
{
    assert(rig.writers >> worker & 1);
    return rig.seen[worker];
}

struct writers_counts writers_counts(void)
{
    return rig.counts;
}
