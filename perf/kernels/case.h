/* SPDX-License-Identifier: Apache-2.0 */
/*
 * case.h - the nouns of bench_kernels: what is run, on which data.
 *
 * A case says how data lies in memory. A work is a kernel, a limit or another
 * way to the same end; all works of a case do the same work on the same data,
 * so the ratio of two speeds is that of two times.
 */
#ifndef BALLOT_PERF_KERNELS_CASE_H
#define BALLOT_PERF_KERNELS_CASE_H

#include "aggregate/kernels.h"

struct bench_limits;

/* Where the data lies when a kernel meets it. */
enum bench_place { BENCH_L1, BENCH_L2, BENCH_L3, BENCH_DRAM };

enum bench_layout {
    BENCH_SKEWED,  /* row i starts 320 i bytes into its page */
    BENCH_ALIGNED, /* all rows start where a page does */
    BENCH_PIECES,  /* [piece][voter][4 KiB] */
};

/* What the data is for, and so what its bytes are. */
enum bench_kind {
    BENCH_ROWS,   /* signs of all voters, read */
    BENCH_PACK,   /* values of any type, read */
    BENCH_UNPACK, /* floats, written */
    BENCH_UPDATE, /* floats, read and written */
    BENCH_SIGNUM, /* momentum or error read and written, gradient read */
};

struct bench_case {
    enum bench_kind kind;
    enum bench_place place;
    enum bench_layout layout; /* of ROWS */
    enum sign_type type;      /* of PACK */
    uint32_t voters;          /* of ROWS */
    size_t row_words;         /* of ROWS from DRAM; 0: a ResNet-50 */
    bool alike;               /* of ROWS: all their lines are equal */
    bool values;              /* of ROWS: values of a fold, not signs */
    uint32_t scratch;         /* of ROWS: float arrays for all coordinates */
};

/* One set of data; members that its kind has no use for are 0. */
struct bench_data {
    const struct kernels *kernels;
    const struct bench_limits *limits;
    enum sign_type type;
    bool far; /* the output is larger than the caches */
    /* ROWS */
    uint32_t voters;
    size_t pieces;               /* that each row is cut into, 1 for none */
    size_t words;                /* of a piece */
    const uint64_t *const *rows; /* [pieces * voters], piece by piece */
    const uint8_t *weights;      /* [voters], 1 to 15 */
    uint64_t *result;            /* [pieces * words] */
    /* The others */
    size_t count;
    const void *values;    /* PACK: [count] of `type`, random bits */
    float *vector;         /* [count]: output, parameters, momentum,
                              error */
    float *second;         /* [count]: gradient, or scratch; behind `vector`
                              where both are scratch */
    uint64_t *signs;       /* PACK, SIGNUM: output */
    const uint64_t *votes; /* UNPACK, UPDATE: input */
};

enum bench_outcome {
    BENCH_NO_VOTE, /* nothing that works have in common */
    BENCH_MAJORITY,
    BENCH_WEIGHTED_MAJORITY,
    BENCH_TASKS, /* the majority over tasks, of the first words */
};

struct bench_work {
    const char *name;
    enum bench_outcome outcome; /* what is in result[] afterwards */
    void (*run)(const struct bench_data *data);
    bool (*supported)(void); /* NULL: wherever its kernels and limits run */
    /* NULL, or around all runs: 0 or a negative errno. */
    int (*open)(void);
    void (*close)(void);
};

/*
 * One requirement, of one case: `work` reaches least[i] of limits[i] (limits
 * that are NULL are not there): of each of them, or else of any of them.
 * `stretch` is what we should like to see, 0 for nothing more. Where least[0]
 * is 0, nothing is required and the ratio is only recorded.
 */
enum { BENCH_LIMITS_MAX = 2 };

/* A ratio of speeds from the same rounds, that says what a machine gives. */
struct bench_beside {
    const struct bench_work *work; /* NULL: none */
    const struct bench_work *limit;
};

struct bench_row {
    const char *id;      /* "V1" */
    const char *kernels; /* a table by name, NULL for the fastest */
    struct bench_case what;
    const struct bench_work *work;
    const struct bench_work *limits[BENCH_LIMITS_MAX];
    double least[BENCH_LIMITS_MAX];
    double stretch;
    struct bench_beside beside;
    bool unbuilt; /* required of a layout that nobody builds: only recorded */
    bool each;
    bool wall; /* time on the wall, where there are threads */
};

#endif
