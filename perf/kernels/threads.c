/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.c - the vote, and reading, by two threads: each one half of the
 * columns.
 */
#include "threads.h"

#include "limits.h"
#include "works.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { NO_CORE = CPU_SETSIZE };

/* Does columns first..end of a work. */
typedef void columns_fn(const struct bench_data *data, size_t first,
                        size_t end);

/* Works have no context, so there is one second thread in the program. */
static struct second {
    pthread_t thread;
    uint32_t users; /* works that are open */
    columns_fn *columns;
    const struct bench_data *data; /* NULL: end */
    atomic_uint given;             /* halves that it was given */
    atomic_uint done;
    size_t core; /* NO_CORE: there is but one */
} second;

static void rows_from(const uint64_t **rows, const struct bench_data *data,
                      size_t first)
{
    for (uint32_t v = 0; v < data->voters; v++)
        rows[v] = data->rows[v] + first;
}

static void vote_columns(const struct bench_data *data, size_t first,
                         size_t end)
{
    const uint64_t *rows[VOTERS_MAX];

    rows_from(rows, data, first);
    data->kernels->vote(&(struct vote){
        .result = data->result + first,
        .signs = rows,
        .voters = data->voters,
        .threshold = bench_majority(data->voters),
        .words = end - first,
        .far = data->far,
    });
}

static void read_columns(const struct bench_data *data, size_t first,
                         size_t end)
{
    const uint64_t *rows[VOTERS_MAX];

    rows_from(rows, data, first);
    bench_use(data->limits->read_rows(rows, data->voters, end - first));
}

static size_t middle_of(const struct bench_data *data)
{
    return data->words / 2 / LINE_WORDS * LINE_WORDS;
}

/* Sleeping would cost more than the half of a vote. */
static void spin_until(atomic_uint *counter, uint32_t value)
{
    while (atomic_load_explicit(counter, memory_order_acquire) != value)
        __asm__ volatile("" : : : "memory");
}

static void bind_to(size_t core)
{
    cpu_set_t only;

    CPU_ZERO(&only);
    CPU_SET(core, &only);
    pthread_setaffinity_np(pthread_self(), sizeof(only), &only);
}

static void *run_second(void *context)
{
    (void)context;
    bind_to(second.core);
    for (uint32_t turn = 1;; turn++) {
        spin_until(&second.given, turn);
        if (second.data == NULL)
            return NULL;
        second.columns(second.data, middle_of(second.data), second.data->words);
        atomic_store_explicit(&second.done, turn, memory_order_release);
    }
}

static void give(const struct bench_data *data)
{
    second.data = data;
    atomic_fetch_add_explicit(&second.given, 1, memory_order_release);
}

static void run_columns(const struct bench_data *data, columns_fn *columns)
{
    second.columns = columns;
    give(data);
    columns(data, 0, middle_of(data));
    spin_until(&second.done, atomic_load(&second.given));
}

static void run_vote_threads(const struct bench_data *data)
{
    run_columns(data, vote_columns);
}

static void run_read_threads(const struct bench_data *data)
{
    run_columns(data, read_columns);
}

static int open_second(void)
{
    int error;

    if (second.core == NO_CORE)
        return -ENODEV;
    if (second.users++ > 0)
        return 0;
    atomic_store(&second.given, 0);
    atomic_store(&second.done, 0);
    error = pthread_create(&second.thread, NULL, run_second, NULL);
    if (error != 0)
        second.users--;
    return -error;
}

static void close_second(void)
{
    if (--second.users > 0)
        return;
    give(NULL);
    pthread_join(second.thread, NULL);
}

void bench_threads_bind(void)
{
    size_t first = NO_CORE;
    cpu_set_t mine;

    second.core = NO_CORE;
    if (sched_getaffinity(0, sizeof(mine), &mine) != 0)
        return;
    /* From the last on: interrupts like the first. */
    for (size_t core = CPU_SETSIZE; core-- > 0;) {
        if (!CPU_ISSET(core, &mine))
            continue;
        if (first != NO_CORE) {
            second.core = core;
            break;
        }
        first = core;
    }
    if (first != NO_CORE)
        bind_to(first);
}

const struct bench_work bench_vote_threads = {.name = "vote_2_threads",
                                              .outcome = BENCH_MAJORITY,
                                              .run = run_vote_threads,
                                              .open = open_second,
                                              .close = close_second};
const struct bench_work bench_read_threads = {.name = "rd1_2_threads",
                                              .run = run_read_threads,
                                              .open = open_second,
                                              .close = close_second};
