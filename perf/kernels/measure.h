/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.h - a work and its limits, timed in turn.
 *
 * Machines change their speed from second to second, for all that runs on them.
 * So a ratio is taken within a round, in which each work has one sample, and
 * what is reported is the median of the rounds' ratios.
 */
#ifndef BALLOT_PERF_KERNELS_MEASURE_H
#define BALLOT_PERF_KERNELS_MEASURE_H

#include "case.h"
#include "sets.h"

enum { BENCH_ROUNDS_MAX = 1000 };

struct bench_effort {
    int rounds;      /* 1..BENCH_ROUNDS_MAX */
    double sample_s; /* a sample repeats a work until it takes so long */
};

enum bench_verdict {
    BENCH_MET,
    BENCH_NOT_MET,
    BENCH_RECORDED, /* measured, and nothing is required */
    BENCH_UNBUILT,  /* measured, and required if data were ever laid out so */
    BENCH_SKIPPED,  /* it cannot be measured here */
    BENCH_WRONG,    /* two ways to one result differ: a defect */
};

struct bench_result {
    const struct kernels *kernels;
    enum bench_verdict verdict;
    char why[160]; /* SKIPPED, WRONG: cause and cure */
    int limit;     /* the one that decides */
    double ratio;  /* of the speed to its, median of rounds */
    double gbs;    /* medians */
    double limit_gbs;
    double beside; /* 0: the row has none */
    int tries;     /* of which this is the best */
};

/* Measures one row; trouble is a verdict. */
void bench_measure(struct bench_result *result, const struct bench_row *row,
                   struct bench_room *room, const struct bench_effort *effort);

/* Whether a ratio stands in the result. */
static inline bool bench_is_measured(const struct bench_result *result)
{
    return result->verdict != BENCH_SKIPPED && result->verdict != BENCH_WRONG;
}

/* NULL, or why a row cannot be measured here. */
const char *bench_missing(const struct bench_row *row);

/* The kernels of a row: by its name, by BALLOT_KERNELS, or the fastest. */
const struct kernels *bench_kernels_of(const struct bench_row *row);

/* As text, where sets could not be opened. */
void bench_explain(char *why, size_t bytes, const struct bench_sets *sets,
                   int error);

#endif
