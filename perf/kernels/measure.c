/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.c - a work and its limits, timed in turn.
 */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WORKS_MAX = 1 + BENCH_LIMITS_MAX + 2, /* two beside */
    REPEATS_MAX = 1 << 24, /* of a work whose time the clock cannot see */
};

/* All that the samples of one row share. */
struct bout {
    const struct bench_row *row;
    const struct bench_sets *sets;
    /* The work, its limits, and what is measured beside. */
    const struct bench_work *works[WORKS_MAX];
    int count;
    int limits;
    size_t turn; /* of all works together: a limit must not find in the cache
                    what the work has just read */
    uint32_t repeats[WORKS_MAX];
    double seconds[WORKS_MAX][BENCH_ROUNDS_MAX]; /* of one run */
};

static double now_s(bool wall)
{
    struct timespec now;

    clock_gettime(wall ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds for `repeats` runs. */
static double sample(struct bout *bout, int work, uint32_t repeats)
{
    const double start = now_s(bout->row->wall);

    for (uint32_t i = 0; i < repeats; i++)
        bout->works[work]->run(
            &bout->sets->sets[bout->turn++ % bout->sets->count]);
    return now_s(bout->row->wall) - start;
}

/* Finds how many runs fill a sample, which warms everything up too. */
static void calibrate(struct bout *bout, int work, double sample_s)
{
    uint32_t repeats = 1;
    double seconds = sample(bout, work, repeats);

    while (seconds < sample_s && repeats < REPEATS_MAX) {
        const double scale = 1.2 * sample_s / (seconds + 1e-9);

        /* A first run may be far slower than the next. */
        repeats *= scale < 2 ? 2 : scale > 10 ? 10 : (uint32_t)scale;
        seconds = sample(bout, work, repeats);
    }
    bout->repeats[work] = repeats;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Reorders the values. */
static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare_doubles);
    return count % 2 == 1 ? values[count / 2]
                          : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The median over rounds of the ratio of a work's speed to a limit's. */
static double ratio_of(const struct bout *bout, int work, int limit, int rounds)
{
    double ratios[BENCH_ROUNDS_MAX];

    for (int r = 0; r < rounds; r++)
        ratios[r] = bout->seconds[limit][r] / bout->seconds[work][r];
    return median(ratios, rounds);
}

static enum bench_verdict verdict_of(const struct bench_row *row,
                                     const struct bench_result *result)
{
    const double least = row->least[result->limit];

    if (least <= 0)
        return BENCH_RECORDED;
    if (row->unbuilt)
        return BENCH_UNBUILT;
    return result->ratio >= least ? BENCH_MET : BENCH_NOT_MET;
}

/* Where each limit counts, the one that is hardest to reach decides; where any
 * does, the easiest. */
static void judge(struct bench_result *result, struct bout *bout, int rounds)
{
    const struct bench_row *row = bout->row;
    double decisive = 0;

    for (int i = 0; i < bout->limits; i++) {
        const double ratio = ratio_of(bout, 0, 1 + i, rounds);
        const double reached = ratio / (row->least[i] > 0 ? row->least[i] : 1);

        if (i > 0 && (row->each ? reached >= decisive : reached <= decisive))
            continue;
        decisive = reached;
        result->limit = i;
        result->ratio = ratio;
    }
    result->verdict = verdict_of(row, result);
    if (row->beside.work != NULL)
        result->beside =
            ratio_of(bout, 1 + bout->limits, 2 + bout->limits, rounds);
    result->limit_gbs = (double)bout->sets->bytes * 1e-9 /
                        median(bout->seconds[1 + result->limit], rounds);
    result->gbs =
        (double)bout->sets->bytes * 1e-9 / median(bout->seconds[0], rounds);
}

static int open_works(struct bout *bout)
{
    for (int w = 0; w < bout->count; w++) {
        const int error =
            bout->works[w]->open != NULL ? bout->works[w]->open() : 0;

        if (error == 0)
            continue;
        while (w-- > 0)
            if (bout->works[w]->close != NULL)
                bout->works[w]->close();
        return error;
    }
    return 0;
}

static void close_works(struct bout *bout)
{
    for (int w = 0; w < bout->count; w++)
        if (bout->works[w]->close != NULL)
            bout->works[w]->close();
}

static void run_rounds(struct bout *bout, const struct bench_effort *effort)
{
    for (int w = 0; w < bout->count; w++)
        calibrate(bout, w, effort->sample_s);
    for (int r = 0; r < effort->rounds; r++)
        for (int w = 0; w < bout->count; w++)
            bout->seconds[w][r] =
                sample(bout, w, bout->repeats[w]) / bout->repeats[w];
}

/* What is in result[] of a set after a work ran on it. */
static uint64_t *outcome_of(const struct bench_work *work,
                            const struct bench_data *data)
{
    const size_t bytes = data->pieces * data->words * sizeof(uint64_t);
    uint64_t *copy = malloc(bytes);

    memset(data->result, 0, bytes);
    work->run(data);
    if (copy != NULL)
        memcpy(copy, data->result, bytes);
    return copy;
}

/* A wrong result may be had at any speed. */
static bool same_outcome(const struct bench_work *one,
                         const struct bench_work *other,
                         const struct bench_data *data)
{
    uint64_t *const left = outcome_of(one, data);
    uint64_t *const right = outcome_of(other, data);
    const bool same = left != NULL && right != NULL &&
                      memcmp(left, right, data->pieces * data->words * 8) == 0;

    free(left);
    free(right);
    return same;
}

/* The first limit that should give what the work gives and does not, or NULL.
 */
static const struct bench_work *find_wrong(const struct bout *bout)
{
    const struct bench_work *work = bout->works[0];

    for (int w = 1; w <= bout->limits && work->outcome != BENCH_NO_VOTE; w++)
        if (bout->works[w]->outcome == work->outcome &&
            !same_outcome(work, bout->works[w], &bout->sets->sets[0]))
            return bout->works[w];
    return NULL;
}

const struct kernels *bench_kernels_of(const struct bench_row *row)
{
    return kernels_pick(row->kernels != NULL ? row->kernels
                                             : getenv("BALLOT_KERNELS"));
}

const char *bench_missing(const struct bench_row *row)
{
    if (bench_kernels_of(row) == NULL)
        return "its kernels do not run on this processor";
    if (row->work->supported != NULL && !row->work->supported())
        return "it needs AVX-512, which this processor does not have";
    for (int i = 0; i < BENCH_LIMITS_MAX; i++)
        if (row->limits[i] != NULL && row->limits[i]->supported != NULL &&
            !row->limits[i]->supported())
            return "what it is compared with needs AVX-512";
    return NULL;
}

void bench_explain(char *why, size_t bytes, const struct bench_sets *sets,
                   int error)
{
    if (error == -ENOMEM && sets->needed_bytes > 0)
        snprintf(why, bytes,
                 "needs %zu MB more or less at once, %zu MB are free; close "
                 "other programs or leave it out with --only",
                 sets->needed_bytes >> 20, sets->free_bytes >> 20);
    else
        snprintf(why, bytes, "cannot lay out its data: %s", strerror(-error));
}

/* 0, or the row cannot be measured. */
static int prepare(struct bout *bout, struct bench_sets *sets,
                   struct bench_result *result, struct bench_room *room)
{
    const struct bench_row *row = bout->row;
    const char *missing = bench_missing(row);
    int error;

    bout->works[bout->count++] = row->work;
    for (int i = 0; i < BENCH_LIMITS_MAX; i++)
        if (row->limits[i] != NULL)
            bout->works[bout->count++] = row->limits[i];
    bout->limits = bout->count - 1;
    if (row->beside.work != NULL) {
        bout->works[bout->count++] = row->beside.work;
        bout->works[bout->count++] = row->beside.limit;
    }
    if (missing != NULL) {
        snprintf(result->why, sizeof(result->why), "%s", missing);
        return -ENOTSUP;
    }
    error = bench_sets_open(sets, room, &row->what, result->kernels);
    if (error != 0) {
        bench_explain(result->why, sizeof(result->why), sets, error);
        return error;
    }
    error = open_works(bout);
    if (error != 0) {
        bench_sets_close(sets);
        snprintf(result->why, sizeof(result->why),
                 error == -ENODEV ? "it needs two cores; give it more than one "
                                    "with taskset"
                                  : "cannot start its thread");
    }
    return error;
}

void bench_measure(struct bench_result *result, const struct bench_row *row,
                   struct bench_room *room, const struct bench_effort *effort)
{
    struct bench_sets sets;
    struct bout bout = {.row = row, .sets = &sets};
    const struct bench_work *wrong;

    *result = (struct bench_result){.kernels = bench_kernels_of(row),
                                    .verdict = BENCH_SKIPPED};
    if (prepare(&bout, &sets, result, room) != 0)
        return;
    wrong = find_wrong(&bout);
    if (wrong != NULL) {
        result->verdict = BENCH_WRONG;
        snprintf(result->why, sizeof(result->why),
                 "its result is not that of %s: run the unit tests",
                 wrong->name);
    } else {
        run_rounds(&bout, effort);
        judge(result, &bout, effort->rounds);
    }
    close_works(&bout);
    bench_sets_close(&sets);
}
