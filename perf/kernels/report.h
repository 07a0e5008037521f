/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what was measured: as a table, TSV, JSON and a picture.
 */
#ifndef BALLOT_PERF_KERNELS_REPORT_H
#define BALLOT_PERF_KERNELS_REPORT_H

#include "machine.h"
#include "measure.h"
#include "options.h"
#include "rows.h"

#include <stdio.h>

struct bench_report {
    const struct bench_options *options;
    struct bench_machine machine;
    struct bench_rows rows;
    struct bench_result *results; /* [rows.count] */
    double huge;                  /* part of the memory in huge pages */
    double others_cores; /* that other processes used meanwhile, < 0: unknown */
};

/* The machine, one line for each fact, each behind a '#'. */
void bench_print_machine(FILE *file, const struct bench_machine *machine,
                         const struct bench_options *options);

void bench_table_head(FILE *file, const struct bench_report *report);
void bench_table_row(FILE *file, const struct bench_report *report,
                     size_t index);
void bench_table_foot(FILE *file, const struct bench_report *report);

void bench_tsv(FILE *file, const struct bench_report *report);
void bench_json(FILE *file, const struct bench_report *report);

/* Draws with gnuplot; 0 or a negative errno. */
int bench_plot(const char *png_file, const struct bench_report *report);

/* Rows with this verdict. */
size_t bench_report_count(const struct bench_report *report,
                          enum bench_verdict verdict);

/* "met", "NOT MET", "skipped", "WRONG"; "reached", "not yet", or "" without
 * one. */
const char *bench_verdict_name(enum bench_verdict verdict);
const char *bench_stretch_name(const struct bench_row *row,
                               const struct bench_result *result);

#endif
