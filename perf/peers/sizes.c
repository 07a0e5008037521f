/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sizes.c - one loop over collectives and sizes, for every library that is
 * compared, so that all are measured alike.
 */
#include "sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ALIGN = 4096,
    CALLS_MOST = 20000,
    PATTERN = 16, /* values repeat after so many */
};

static const char *const names[WHATS] = {
    [ALL_REDUCE] = "all_reduce", [BROADCAST] = "broadcast",
    [ALL_GATHER] = "all_gather", [REDUCE_SCATTER] = "reduce_scatter",
    [ALL_TO_ALL] = "all_to_all", [REDUCE] = "reduce",
    [GATHER] = "gather",         [SCATTER] = "scatter",
};

struct run {
    const struct library *library;
    float *send;
    float *recv;
    double batch_us;
    int checked;
    long wrong;
};

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Whether a call moves the ranks' blocks, of `count` each. */
static int has_blocks(enum what what)
{
    return what != ALL_REDUCE && what != BROADCAST && what != REDUCE;
}

/* Small whole numbers, so that any order of adding gives the same sum. */
static float value_of(int rank, size_t index)
{
    return (float)(index % PATTERN + (size_t)rank);
}

static float sum_of(int ranks, size_t index)
{
    return (float)(ranks * (int)(index % PATTERN) + ranks * (ranks - 1) / 2);
}

/* What belongs at recv[index] of this rank. */
static float expected(const struct library *library, enum what what,
                      size_t count, size_t index)
{
    const size_t own = (size_t)library->rank * count;

    switch (what) {
    case ALL_REDUCE:
    case REDUCE: return sum_of(library->ranks, index);
    case REDUCE_SCATTER: return sum_of(library->ranks, own + index);
    case BROADCAST: return value_of(0, index);
    case SCATTER: return value_of(0, own + index);
    case ALL_TO_ALL: return value_of((int)(index / count), own + index % count);
    default: return value_of((int)(index / count), index % count);
    }
}

/* So many values of recv[] are the result; 0 where this rank gets none. */
static size_t result_count(const struct library *library, enum what what,
                           size_t count)
{
    if ((what == REDUCE || what == GATHER) && library->rank != 0)
        return 0;
    if (what == ALL_GATHER || what == ALL_TO_ALL || what == GATHER)
        return count * (size_t)library->ranks;
    return count;
}

static long count_wrong(const struct run *run, enum what what, size_t count)
{
    const struct library *library = run->library;
    const size_t results = result_count(library, what, count);
    long wrong = 0;

    for (size_t i = 0; i < results; i++)
        wrong += run->recv[i] != expected(library, what, count, i);
    if (wrong > 0)
        fprintf(stderr, "%s: %ld wrong values of %s with %zu floats, rank %d\n",
                library->name, wrong, names[what], count, library->rank);
    return wrong;
}

/* Microseconds of `calls` calls on the slowest rank. */
static double time_batch(const struct run *run, enum what what, size_t count,
                         int calls)
{
    const struct library *library = run->library;
    double start;

    library->barrier();
    start = now_us();
    for (int i = 0; i < calls; i++)
        library->call(what, run->send, run->recv, count);
    return library->most(now_us() - start);
}

/* As many calls as fill `us`, when one takes `call_us`; all ranks know both. */
static int calls_for(double us, double call_us)
{
    double calls = us / call_us;

    if (calls < 1)
        return 1;
    return calls < CALLS_MOST ? (int)calls : CALLS_MOST;
}

/*
 * About the time of one call, from longer and longer batches; their least, as
 * a single one may have met a change of processes. `us` is that of the first
 * call.
 */
static double least_call_us(const struct run *run, enum what what, size_t count,
                            double us)
{
    double least = us;
    int next = 1, calls;

    do {
        calls = next;
        us = time_batch(run, what, count, calls) / calls;
        least = us < least ? us : least;
        next = calls_for(run->batch_us / 4, least);
        next = next < 8 * calls ? next : 8 * calls;
    } while (next > calls);
    return least;
}

static void measure(struct run *run, enum what what, size_t bytes)
{
    const struct library *library = run->library;
    const size_t floats = bytes / sizeof(float);
    const size_t blocks = has_blocks(what) ? (size_t)library->ranks : 1;
    const size_t count = floats < blocks ? 1 : floats / blocks;
    const size_t values = count * blocks;
    double us;
    int calls;

    for (size_t i = 0; i < values; i++) {
        run->send[i] = value_of(library->rank, i);
        run->recv[i] = what == BROADCAST ? run->send[i] : -1;
    }
    us = time_batch(run, what, count, 1);
    if (run->checked)
        run->wrong += count_wrong(run, what, count);
    calls = calls_for(run->batch_us, least_call_us(run, what, count, us));
    us = time_batch(run, what, count, calls) / calls;
    if (library->rank == 0)
        printf("%s\t%zu\t%.3f\t%d\n", names[what], values * sizeof(float), us,
               calls);
}

/* The next of "a,b,c" as a string of its own; NULL at the end. */
static char *next_of(char **list)
{
    return strsep(list, ",");
}

static int run_collective(struct run *run, const char *name, const char *sizes)
{
    char *copy = strdup(sizes), *rest = copy, *size;
    int what = 0;

    while (what < WHATS && strcmp(names[what], name) != 0)
        what++;
    if (copy == NULL || what == WHATS) {
        fprintf(stderr, "%s: no collective %s\n", run->library->name, name);
        free(copy);
        return 2;
    }
    while ((size = next_of(&rest)) != NULL)
        measure(run, (enum what)what, (size_t)strtoull(size, NULL, 10));
    free(copy);
    return 0;
}

static size_t largest_of(const char *sizes)
{
    size_t most = 0;

    while (sizes != NULL) {
        size_t size = (size_t)strtoull(sizes, NULL, 10);

        most = size > most ? size : most;
        sizes = strchr(sizes, ',');
        sizes += sizes != NULL;
    }
    return most;
}

static int reserve(struct run *run, size_t bytes)
{
    /* A block has at least a value. */
    size_t least = (size_t)run->library->ranks * sizeof(float);
    size_t whole = ((bytes > least ? bytes : least) / ALIGN + 1) * ALIGN;

    run->send = aligned_alloc(ALIGN, whole);
    run->recv = aligned_alloc(ALIGN, whole);
    if (run->send != NULL && run->recv != NULL)
        return 0;
    fprintf(stderr, "%s: no memory for two buffers of %zu bytes\n",
            run->library->name, whole);
    return 1;
}

int sizes_run(const struct library *library, int count, char **arguments)
{
    struct run run = {.library = library};
    char *rest, *name;
    int code;

    if (count != 5) {
        fprintf(stderr, "usage: %s COLLECTIVE,... BYTES,... BATCH_MS CHECK\n",
                library->name);
        return 2;
    }
    rest = arguments[1];
    run.batch_us = 1e3 * atof(arguments[3]);
    run.checked = atoi(arguments[4]);
    code = reserve(&run, largest_of(arguments[2]));
    while (code == 0 && (name = next_of(&rest)) != NULL)
        code = run_collective(&run, name, arguments[2]);
    free(run.recv);
    free(run.send);
    return code != 0 ? code : run.wrong > 0;
}
