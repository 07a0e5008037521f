/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_report.h - what was measured, as a table, as JSON and as a picture.
 */
#ifndef BALLOT_PERF_REPORT_H
#define BALLOT_PERF_REPORT_H

#include "perf_options.h"

#include <stdio.h>
#include <sys/types.h>
#include <time.h>

/* Calls of one size with one placement of the buffers. */
struct perf_half {
    bool measured;   /* false: there is no such placement */
    double us;       /* a call, averaged over ranks as options.average says */
    double us_least; /* of the fastest and the slowest rank */
    double us_most;
    double alg_gbs; /* bytes on the wire / time */
    double bus_gbs;
    double effective_gbs; /* the caller's bytes / time */
    uint64_t wrong;
};

struct perf_row {
    size_t bytes;     /* as the caller sees it */
    size_t count;     /* as the library is given it */
    const char *type; /* "none" in a barrier */
    const char *op;   /* "none" where nothing is reduced */
    int root;         /* -1: none */
    double floor_us;  /* 0: nothing is read or written */
    struct perf_half halves[PERF_HALVES];
};

/* All that rank 0 knows at the end. */
struct perf_report {
    const struct perf_options *options;
    int ranks;
    const pid_t *pids; /* [ranks] */
    time_t started;
    struct perf_row *rows; /* [count], the caller's to free */
    size_t count;
};

/* Mean of all halves that were measured, as in nccl-tests; 0 without any. */
double perf_report_bus_gbs(const struct perf_report *report);
uint64_t perf_report_wrong(const struct perf_report *report);

void perf_table_head(FILE *file, const struct perf_report *report);
void perf_table_row(FILE *file, const struct perf_row *row, int checked);
void perf_table_foot(FILE *file, const struct perf_report *report);

void perf_json(FILE *file, const struct perf_report *report);
/* "{" and the members that say what ran: version, time, args, env. */
void perf_json_head(FILE *file, char **arguments, time_t started);

/* Draws with gnuplot; 0 or a negative errno. */
int perf_plot(const char *png_file, const struct perf_report *report);

/* Runs gnuplot, with output to png_file, on what `draw` writes of `report`; 0
 * or a negative errno. */
typedef void perf_draw_fn(FILE *gnuplot, const void *report);
int perf_gnuplot(const char *png_file, perf_draw_fn *draw, const void *report);

#endif
