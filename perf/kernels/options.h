/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - what bench_kernels is asked to do.
 */
#ifndef BALLOT_PERF_KERNELS_OPTIONS_H
#define BALLOT_PERF_KERNELS_OPTIONS_H

#include <stdbool.h>

enum { BENCH_EXIT_NOT_MET = 1, BENCH_EXIT_USAGE = 2 };

struct bench_options {
    bool table; /* else Google Benchmark has the command line */
    bool json;
    bool quick;
    bool gate;
    int rounds;
    int tries;             /* of a row that is not met */
    const char *only;      /* NULL: every row */
    const char *tsv_file;  /* NULL: none */
    const char *plot_file; /* NULL: none */
};

/* 0; or 1 when the program is to end with *code. */
int bench_options_parse(struct bench_options *options, int count,
                        char **arguments, int *code);

/* Says on stderr what is wrong and what is right; BENCH_EXIT_USAGE. */
int bench_refuse(const char *what, const char *cure);

#endif
