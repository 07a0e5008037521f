/* SPDX-License-Identifier: Apache-2.0 */
/*
 * google.c - every work as a benchmark of Google Benchmark.
 *
 * It times a work alone and forms no ratio within a round. So a kernel's
 * benchmark has some rounds with its limit behind it, and reports their ratio
 * as a counter.
 */
#include "google.h"

#include "gbench.h"
#include "machine.h"
#include "measure.h"
#include "options.h"
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 96 };

static const struct bench_effort effort = {.rounds = 5, .sample_s = 2e-3};

/* What one benchmark runs. */
struct benchmark {
    const struct bench_row *row;
    const struct bench_work *work;
    struct bench_room *room;
    char name[NAME_MAX_BYTES];
};

static void report_ratio(struct gbench_state *state, struct benchmark *mark)
{
    struct bench_result result;

    bench_measure(&result, mark->row, mark->room, &effort);
    if (result.verdict == BENCH_WRONG)
        gbench_skip(state, result.why);
    if (!bench_is_measured(&result))
        return;
    gbench_set_counter(state, "ratio", result.ratio);
    gbench_set_counter(state, "limit_GBs", result.limit_gbs);
}

static void run_sets(struct gbench_state *state, const struct bench_work *work,
                     const struct bench_sets *sets)
{
    size_t turn = 0;

    while (gbench_keep_running(state))
        work->run(&sets->sets[turn++ % sets->count]);
    gbench_set_bytes_processed(state,
                               gbench_iterations(state) * (int64_t)sets->bytes);
}

static void run_benchmark(struct gbench_state *state, void *context)
{
    struct benchmark *mark = context;
    struct bench_sets sets;
    char why[160];
    int error = bench_sets_open(&sets, mark->room, &mark->row->what,
                                bench_kernels_of(mark->row));

    if (error != 0) {
        bench_explain(why, sizeof(why), &sets, error);
        gbench_skip(state, why);
        return;
    }
    error = mark->work->open != NULL ? mark->work->open() : 0;
    if (error == 0) {
        run_sets(state, mark->work, &sets);
        if (mark->work->close != NULL)
            mark->work->close();
    } else {
        gbench_skip(state, "cannot start its thread: give it two cores");
    }
    bench_sets_close(&sets);
    /* The first call is one iteration, to see how long it takes. */
    if (error == 0 && mark->work == mark->row->work &&
        gbench_iterations(state) > 1)
        report_ratio(state, mark);
}

/* ID/WORK/KERNELS/PLACE, and what else tells the case from others. */
static void name_benchmark(struct benchmark *mark)
{
    const struct bench_row *row = mark->row;
    const char *detail = row->what.kind == BENCH_PACK
                             ? bench_type_name(row->what.type)
                             : bench_layout_name(row->what.layout);
    const bool told =
        row->what.kind == BENCH_PACK || row->what.layout != BENCH_SKEWED;

    snprintf(mark->name, sizeof(mark->name), "%s/%s/%s/%s%s%s", row->id,
             mark->work->name, bench_kernels_of(row)->name,
             bench_place_name(row->what.place), told ? "/" : "",
             told ? detail : "");
}

static bool is_known(const struct benchmark *marks, size_t count,
                     const struct benchmark *mark)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(marks[i].name, mark->name) == 0 &&
            marks[i].row->what.voters == mark->row->what.voters)
            return true;
    return false;
}

static int add(struct benchmark *marks, size_t *count, struct benchmark mark)
{
    const int64_t voters = mark.row->what.voters;

    name_benchmark(&mark);
    if (is_known(marks, *count, &mark))
        return 0;
    marks[*count] = mark;
    return gbench_register(mark.name, &voters, voters > 0 ? 1 : 0,
                           run_benchmark, &marks[(*count)++]);
}

/* Works of one row: the kernel, then its limits. */
static int add_row(struct benchmark *marks, size_t *count,
                   const struct bench_row *row, struct bench_room *room)
{
    struct benchmark mark = {.row = row, .work = row->work, .room = room};
    int error;

    if (bench_missing(row) != NULL)
        return 0;
    error = add(marks, count, mark);
    for (int i = 0; i < BENCH_LIMITS_MAX && error == 0; i++) {
        mark.work = row->limits[i];
        if (mark.work != NULL)
            error = add(marks, count, mark);
    }
    return error;
}

static void add_context(void)
{
    struct bench_machine machine;

    bench_machine_look(&machine);
    gbench_context("cpu_model", machine.model);
    gbench_context("system", machine.kernel);
    gbench_context("commit", machine.commit);
    gbench_context("huge_pages", machine.huge_pages);
    gbench_context("kernels", machine.kernels);
    gbench_context("limits", machine.limits);
}

/* Takes Google Benchmark's options; 0 or the exit code. */
static int initialize(int count, char **arguments)
{
    const char *wrong;

    if (gbench_initialize(&count, arguments, &wrong) != 0) {
        fprintf(stderr,
                "bench_kernels: wrong value in %s; give console, json "
                "or csv\n",
                wrong);
        return BENCH_EXIT_USAGE;
    }
    if (count > 1) {
        fprintf(stderr,
                "bench_kernels: %s is no option of Google Benchmark, or has "
                "a wrong value; options of the table need --table, and --help "
                "lists both\n",
                arguments[1]);
        return BENCH_EXIT_USAGE;
    }
    return 0;
}

static int run_rows(const struct bench_rows *rows, struct bench_room *room)
{
    struct benchmark *marks =
        calloc(rows->count * (1 + BENCH_LIMITS_MAX), sizeof(*marks));
    size_t count = 0;
    int error = marks == NULL ? -ENOMEM : 0;
    int code = 0;

    for (size_t i = 0; i < rows->count && error == 0; i++)
        error = add_row(marks, &count, &rows->rows[i], room);
    if (error != 0) {
        fprintf(stderr, "bench_kernels: cannot register: %s\n",
                strerror(-error));
        code = 1;
    } else if (gbench_run() < 0) {
        code = bench_refuse("--benchmark_filter selects nothing",
                            "--benchmark_list_tests prints what there is");
    }
    free(marks);
    return code;
}

int bench_google(int count, char **arguments)
{
    struct bench_room room = {0};
    struct bench_rows rows;
    const char *wrong;
    int code = initialize(count, arguments);

    if (code != 0)
        return code;
    if (bench_memory_open(&room.memory) != 0 ||
        bench_rows_open(&rows, NULL, true, &wrong) != 0) {
        fprintf(stderr, "bench_kernels: no memory for a list of benchmarks; "
                        "raise ulimit -v\n");
        return 1;
    }
    add_context();
    code = run_rows(&rows, &room);
    free(rows.rows);
    bench_memory_close(&room.memory);
    return code;
}
