/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_options.h - what ballot-perf is asked to measure.
 */
#ifndef BALLOT_PERF_OPTIONS_H
#define BALLOT_PERF_OPTIONS_H

#include "perf_calls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Over the times of all ranks; the numbers are those of nccl-tests' -a. */
enum perf_average {
    PERF_AVERAGE_RANK_0,
    PERF_AVERAGE_MEAN,
    PERF_AVERAGE_LEAST,
    PERF_AVERAGE_MOST,
    PERF_AVERAGES,
};

enum { PERF_ROOT_ALL = -1 };

struct perf_options {
    enum perf_collective collective;
    size_t least_bytes;
    size_t most_bytes;
    size_t step_bytes;
    int factor; /* 1: sizes grow by step_bytes */
    int iterations;
    int warmups;
    int grouped; /* calls that begin together, as one iteration */
    enum perf_average average;
    int checked;    /* 0 or 1 */
    int floor;      /* 0 or 1: measure it */
    int root;       /* PERF_ROOT_ALL: one after the other */
    uint32_t ops;   /* bit o: perf_op_names[o] */
    uint32_t types; /* bit t: enum ballot_type t */
    int ranks;      /* processes to start; 0: a launcher did */
    bool bound;     /* each of them to a core of its own */
    uint32_t timeout_ms;
    bool json; /* to stdout, in place of the table */
    const char *json_file;
    const char *plot_file;
    char **arguments; /* of main, NULL at the end */
};

/*
 * 0; or 1 when the program is to end with *code: help was printed, or what is
 * wrong and how to mend it. Sets BALLOT_TRANSPORT and BALLOT_SERVERS where the
 * command line says so, for this process and the ranks that it starts.
 */
int perf_options_parse(struct perf_options *options, int count,
                       char **arguments, int *code);

/* Whether values of the type are to be measured with the op; where nothing is
 * folded, BALLOT_MAJORITY stands for none, and in a barrier one type for none.
 */
bool perf_options_ask(const struct perf_options *options, enum ballot_type type,
                      int op);

/* "32M": bytes, with powers of 1024; false, and *bytes is undefined, for what
 * is no number of 1 or more. */
bool perf_parse_bytes(const char *text, size_t *bytes);
/* 0, or the exit code when `file` cannot be drawn, which has been explained. */
int perf_check_plot(const char *file);
/* Says what is wrong with the command line; returns the exit code. */
int perf_refuse(const char *what, const char *cure);

#endif
