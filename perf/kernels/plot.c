/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plot.c - the vote against the number of voters, and the kernels that
 * touch floats, each beside its limit; drawn by gnuplot.
 */
#include "report.h"

#include "works.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* A line for the vote, and one for its limit. */
static const struct series {
    const char *id;
    enum bench_place place;
    const struct bench_work *limit; /* NULL: any */
    const char *title;
} series[] = {
    {"V1", BENCH_L2, NULL, "L2"},
    {"V1", BENCH_L3, NULL, "L3"},
    {"V3", BENCH_DRAM, NULL, "DRAM, skewed rows"},
    {"V4", BENCH_DRAM, &bench_read_rows, "DRAM, aligned rows"},
    {"V5", BENCH_DRAM, NULL, "DRAM, 4 KiB pieces"},
};

enum { SERIES = sizeof(series) / sizeof(series[0]) };

static bool is_point(const struct bench_report *report, size_t index,
                     const struct series *of)
{
    const struct bench_row *row = &report->rows.rows[index];

    return bench_is_measured(&report->results[index]) &&
           row->work == &bench_vote && strcmp(row->id, of->id) == 0 &&
           row->what.place == of->place &&
           (of->limit == NULL || row->limits[0] == of->limit);
}

/* Kernels of floats beside a limit, not beside another way to their result. */
static bool is_bar(const struct bench_report *report, size_t index)
{
    const struct bench_row *row = &report->rows.rows[index];

    return bench_is_measured(&report->results[index]) &&
           row->what.kind != BENCH_ROWS && row->kernels == NULL &&
           row->limits[0] != &bench_two_passes &&
           row->limits[0] != &bench_unpack_axpy;
}

static size_t count_points(const struct bench_report *report,
                           const struct series *of)
{
    size_t count = 0;

    for (size_t i = 0; i < report->rows.count; i++)
        count += is_point(report, i, of);
    return count;
}

static size_t count_bars(const struct bench_report *report)
{
    size_t count = 0;

    for (size_t i = 0; i < report->rows.count; i++)
        count += is_bar(report, i);
    return count;
}

static size_t count_votes(const struct bench_report *report)
{
    size_t count = 0;

    for (int s = 0; s < SERIES; s++)
        count += count_points(report, &series[s]);
    return count;
}

/* In single quotes of gnuplot. */
static void print_quoted(FILE *gnuplot, const char *text)
{
    fputc('\'', gnuplot);
    for (; *text != '\0'; text++)
        fprintf(gnuplot, *text == '\'' ? "''" : "%c", *text);
    fputc('\'', gnuplot);
}

static void print_points(FILE *gnuplot, const struct bench_report *report,
                         const struct series *of, bool limit)
{
    for (size_t i = 0; i < report->rows.count; i++)
        if (is_point(report, i, of))
            fprintf(gnuplot, "%u %g\n", report->rows.rows[i].what.voters,
                    limit ? report->results[i].limit_gbs
                          : report->results[i].gbs);
    fputs("e\n", gnuplot);
}

static void plot_votes(FILE *gnuplot, const struct bench_report *report)
{
    const char *separator = "plot ";

    fputs("set title 'vote (dashed: its limit)'\nset xlabel 'voters'\n"
          "set ylabel 'GB/s of packed input'\nset logscale x 2\n"
          "set yrange [0:*]\nset key below\nset grid\nset bmargin 6\n",
          gnuplot);
    for (int s = 0; s < SERIES; s++)
        if (count_points(report, &series[s]) > 0) {
            fprintf(gnuplot,
                    "%s'-' smooth unique with linespoints lw 2 pt 7 lc %d "
                    "title '%s', '-' smooth unique with lines dt 2 lc %d "
                    "notitle",
                    separator, s + 1, series[s].title, s + 1);
            separator = ", ";
        }
    fputc('\n', gnuplot);
    for (int s = 0; s < SERIES; s++)
        if (count_points(report, &series[s]) > 0) {
            print_points(gnuplot, report, &series[s], false);
            print_points(gnuplot, report, &series[s], true);
        }
}

static void print_bars(FILE *gnuplot, const struct bench_report *report,
                       bool limit)
{
    for (size_t i = 0; i < report->rows.count; i++) {
        char what[BENCH_CASE_TEXT];

        if (!is_bar(report, i))
            continue;
        bench_row_case(what, &report->rows.rows[i]);
        fprintf(gnuplot, "\"%s %s\" %g\n", report->rows.rows[i].work->name,
                what,
                limit ? report->results[i].limit_gbs : report->results[i].gbs);
    }
    fputs("e\n", gnuplot);
}

static void plot_bars(FILE *gnuplot, const struct bench_report *report)
{
    fputs("set title 'floats'\nunset xlabel\nset ylabel 'GB/s'\n"
          "unset logscale x\nset yrange [0:*]\nset xrange [*:*]\n"
          "set style data histogram\nset style histogram cluster gap 1\n"
          "set style fill solid\nset bmargin 12\nset rmargin 8\nset xtics "
          "rotate by -60 noenhanced\n"
          "plot '-' using 2:xtic(1) title 'kernel', "
          "'-' using 2 lc rgb 'gray' title 'limit'\n",
          gnuplot);
    print_bars(gnuplot, report, false);
    print_bars(gnuplot, report, true);
}

static void print_picture(FILE *gnuplot, const char *png_file,
                          const struct bench_report *report)
{
    const bool votes = count_votes(report) > 0;
    const bool bars = count_bars(report) > 0;

    fprintf(gnuplot, "set terminal pngcairo size %d,700\nset output ",
            votes && bars ? 1800 : 1000);
    print_quoted(gnuplot, png_file);
    fprintf(gnuplot, "\nset multiplot layout 1,%d title ",
            votes && bars ? 2 : 1);
    print_quoted(gnuplot, report->machine.model);
    fputs(" noenhanced\n", gnuplot);
    if (votes)
        plot_votes(gnuplot, report);
    if (bars)
        plot_bars(gnuplot, report);
    fputs("unset multiplot\n", gnuplot);
}

int bench_plot(const char *png_file, const struct bench_report *report)
{
    void (*before)(int);
    FILE *gnuplot;
    int status;

    if (count_votes(report) + count_bars(report) == 0)
        return -ENODATA;
    fflush(NULL);
    gnuplot = popen("gnuplot", "w");
    if (gnuplot == NULL)
        return -errno;
    /* When gnuplot ends early, its status says so. */
    before = signal(SIGPIPE, SIG_IGN);
    print_picture(gnuplot, png_file, report);
    status = pclose(gnuplot);
    signal(SIGPIPE, before);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}
