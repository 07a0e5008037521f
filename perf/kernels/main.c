/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - bench_kernels: the kernels beside what memory allows.
 */
#include "google.h"
#include "report.h"
#include "threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_S = 5 };

static const struct bench_effort effort_full = {.sample_s = 2e-3};
static const struct bench_effort effort_quick = {.sample_s = 2e-4};

/* On a terminal a line that changes, else one every few seconds. */
static void show_progress(const struct bench_report *report, size_t index)
{
    static time_t last;
    const time_t now = time(NULL);
    const bool terminal = isatty(STDERR_FILENO) == 1;
    char what[BENCH_CASE_TEXT];

    if (last == 0)
        last = now;
    if (!terminal && now - last < PROGRESS_S)
        return;
    last = now;
    bench_row_case(what, &report->rows.rows[index]);
    fprintf(stderr, "%sbench_kernels: %zu of %zu, %s %s%s",
            terminal ? "\r\33[K" : "", index + 1, report->rows.count,
            report->rows.rows[index].id, what, terminal ? "" : "\n");
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO) == 1)
        fputs("\r\33[K", stderr);
}

/* A median can be off by 5 % where others share the memory: what is not met is
 * measured again, a while later, and the best stands. */
static void measure_again(struct bench_report *report, struct bench_room *room,
                          const struct bench_effort *effort)
{
    for (int try = 2; try <= report->options->tries; try++)
        for (size_t i = 0; i < report->rows.count; i++) {
            struct bench_result *best = &report->results[i], result = {0};

            if (best->verdict != BENCH_NOT_MET)
                continue;
            show_progress(report, i);
            bench_measure(&result, &report->rows.rows[i], room, effort);
            end_progress();
            if (bench_is_measured(&result) && result.ratio > best->ratio)
                *best = result;
            best->tries = try;
            if (!report->options->json)
                bench_table_row(stdout, report, i);
        }
}

static void measure_rows(struct bench_report *report, struct bench_room *room)
{
    const struct bench_options *options = report->options;
    struct bench_effort effort = options->quick ? effort_quick : effort_full;
    struct bench_others others;

    effort.rounds = options->rounds;
    room->quick = options->quick;
    if (!options->json)
        bench_table_head(stdout, report);
    bench_others_start(&others);
    for (size_t i = 0; i < report->rows.count; i++) {
        show_progress(report, i);
        bench_measure(&report->results[i], &report->rows.rows[i], room,
                      &effort);
        report->results[i].tries = 1;
        end_progress();
        if (!options->json)
            bench_table_row(stdout, report, i);
    }
    measure_again(report, room, &effort);
    report->others_cores = bench_others_cores(&others);
    report->huge = bench_memory_huge(&room->memory);
}

static int write_tsv(const struct bench_report *report)
{
    const char *name = report->options->tsv_file;
    FILE *file = fopen(name, "w");
    int error = file == NULL ? errno : 0;

    if (file != NULL) {
        bench_tsv(file, report);
        if (fclose(file) != 0)
            error = errno;
    }
    if (error != 0)
        fprintf(stderr,
                "bench_kernels: cannot write %s: %s; give --tsv a file "
                "in a folder that is yours\n",
                name, strerror(error));
    return error != 0;
}

static int write_plot(const struct bench_report *report)
{
    const int error = bench_plot(report->options->plot_file, report);

    if (error != 0)
        fprintf(stderr, "bench_kernels: cannot draw %s; %s\n",
                report->options->plot_file,
                error == -ENODATA
                    ? "no row was measured that has a place in the picture: "
                      "add V1 or P1 to --only"
                    : "what gnuplot says stands above");
    return error != 0;
}

/* What was measured is written first: a failure later costs minutes. */
static int write_report(const struct bench_report *report)
{
    const struct bench_options *options = report->options;
    int code = 0;

    if (options->json)
        bench_json(stdout, report);
    else
        bench_table_foot(stdout, report);
    if (options->tsv_file != NULL)
        code |= write_tsv(report);
    if (options->plot_file != NULL)
        code |= write_plot(report);
    return code;
}

/* A gate through which nothing went has not been passed. */
static int gate(const struct bench_report *report)
{
    if (!report->options->gate)
        return 0;
    if (bench_report_count(report, BENCH_SKIPPED) == report->rows.count) {
        fprintf(stderr, "bench_kernels: --gate, but each row was skipped; run "
                        "it on a machine with AVX-512\n");
        return BENCH_EXIT_NOT_MET;
    }
    return bench_report_count(report, BENCH_NOT_MET) > 0 ? BENCH_EXIT_NOT_MET
                                                         : 0;
}

static int run_table(const struct bench_options *options)
{
    struct bench_report report = {.options = options};
    struct bench_room room = {0};
    const char *wrong;
    int code = bench_rows_open(&report.rows, options->only, false, &wrong);

    if (code == -EINVAL) {
        fprintf(stderr,
                "bench_kernels: no requirement %.*s; give ids of the first "
                "column of --table, as in --only V1,P1\n",
                (int)strcspn(wrong, ","), wrong);
        return BENCH_EXIT_USAGE;
    }
    report.results = calloc(report.rows.count + 1, sizeof(*report.results));
    if (code != 0 || report.results == NULL ||
        bench_memory_open(&room.memory) != 0) {
        fprintf(stderr, "bench_kernels: no memory for the list of rows; raise "
                        "ulimit -v\n");
        return 1;
    }
    bench_machine_look(&report.machine);
    bench_threads_bind();
    measure_rows(&report, &room);
    bench_memory_close(&room.memory);
    code = write_report(&report);
    if (bench_report_count(&report, BENCH_WRONG) > 0)
        code = 1;
    if (code == 0)
        code = gate(&report);
    free(report.results);
    free(report.rows.rows);
    return code;
}

int main(int count, char **arguments)
{
    struct bench_options options;
    int code;

    if (bench_options_parse(&options, count, arguments, &code) != 0)
        return code;
    if (kernels_pick(getenv("BALLOT_KERNELS")) == NULL)
        return bench_refuse("BALLOT_KERNELS names kernels that are not there "
                            "or do not run here",
                            "give avx512, avx2 or portable, or unset it");
    if (options.table)
        return run_table(&options);
    bench_threads_bind();
    return bench_google(count, arguments);
}
