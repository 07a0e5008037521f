/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_plot.c - bandwidth against size, drawn by gnuplot.
 */
#include "perf_report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* The lines of one type, op and root; the last one only with a floor. */
static const struct line {
    const char *title;
    const char *style;
} lines[] = {
    {"caller sees", "linespoints lw 2 pt 7"},
    {"bus", "linespoints pt 6"},
    {"read+write floor", "lines dt 2"},
};

enum { LINES = sizeof(lines) / sizeof(lines[0]) };

static int count_lines(const struct perf_report *report)
{
    return report->options->floor ? LINES : LINES - 1;
}

static double value_of(const struct perf_row *row, int line)
{
    const struct perf_half *half = &row->halves[PERF_OUT_OF_PLACE];

    switch (line) {
    case 0: return half->effective_gbs;
    case 1: return half->bus_gbs;
    default: return (double)row->bytes / row->floor_us / 1e3;
    }
}

static bool same_series(const struct perf_row *a, const struct perf_row *b)
{
    return strcmp(a->type, b->type) == 0 && strcmp(a->op, b->op) == 0 &&
           a->root == b->root;
}

/* Sizes of one type, op and root stand together; returns where the next begins.
 */
static size_t series_end(const struct perf_report *report, size_t first)
{
    size_t end = first + 1;

    while (end < report->count &&
           same_series(&report->rows[first], &report->rows[end]))
        end++;
    return end;
}

static void print_settings(FILE *gnuplot, const struct perf_report *report)
{
    fprintf(gnuplot,
            "set title 'ballot-perf %s, %d ranks, out of place' noenhanced\n"
            "set xlabel 'size (bytes, as the caller sees it)'\n"
            "set ylabel 'GB/s'\nset logscale x 2\nset logscale y\n"
            "set format x '2^{%%L}'\nset format y '%%g'\n"
            "set key below noenhanced\nset grid\n",
            perf_collective_name(report->options->collective), report->ranks);
}

static void print_plot(FILE *gnuplot, const struct perf_report *report)
{
    const char *separator = "plot ";
    int color = 1;

    for (size_t i = 0; i < report->count; i = series_end(report, i), color++)
        for (int line = 0; line < count_lines(report); line++) {
            fprintf(gnuplot, "%s'-' with %s lc %d title '%s %s", separator,
                    lines[line].style, color, report->rows[i].op,
                    report->rows[i].type);
            if (report->rows[i].root >= 0)
                fprintf(gnuplot, " root %d", report->rows[i].root);
            fprintf(gnuplot, ": %s'", lines[line].title);
            separator = ", ";
        }
    fputc('\n', gnuplot);
    for (size_t i = 0; i < report->count; i = series_end(report, i))
        for (int line = 0; line < count_lines(report); line++) {
            for (size_t j = i; j < series_end(report, i); j++)
                fprintf(gnuplot, "%zu %g\n", report->rows[j].bytes,
                        value_of(&report->rows[j], line));
            fputs("e\n", gnuplot);
        }
}

static void draw(FILE *gnuplot, const void *report)
{
    print_settings(gnuplot, report);
    print_plot(gnuplot, report);
}

int perf_plot(const char *png_file, const struct perf_report *report)
{
    return perf_gnuplot(png_file, draw, report);
}

int perf_gnuplot(const char *png_file, perf_draw_fn *draw_fn,
                 const void *report)
{
    void (*before)(int);
    FILE *gnuplot;
    int status;

    fflush(NULL);
    gnuplot = popen("gnuplot", "w");
    if (gnuplot == NULL)
        return -errno;
    /* When gnuplot ends early, its status says so. */
    before = signal(SIGPIPE, SIG_IGN);
    fputs("set terminal pngcairo size 1000,700\nset output '", gnuplot);
    for (const char *at = png_file; *at != '\0'; at++)
        fprintf(gnuplot, *at == '\'' ? "''" : "%c", *at);
    fputs("'\n", gnuplot);
    draw_fn(gnuplot, report);
    status = pclose(gnuplot);
    signal(SIGPIPE, before);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}
