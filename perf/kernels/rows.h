/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.h - the requirements: a row for each case.
 */
#ifndef BALLOT_PERF_KERNELS_ROWS_H
#define BALLOT_PERF_KERNELS_ROWS_H

#include "case.h"

enum { BENCH_CASE_TEXT = 48, FAMILY_VOTERS_MAX = 16 };

/* Rows that differ in the number of voters alone. */
struct bench_family {
    struct bench_row row;
    uint32_t voters[FAMILY_VOTERS_MAX]; /* 0 ends them; none: one row */
};

struct bench_list {
    const struct bench_family *families;
    size_t count;
};

extern const struct bench_list bench_votes, bench_compares, bench_verifies,
    bench_floats, bench_folds, bench_extras;

struct bench_rows {
    struct bench_row *rows; /* [count], the caller's to free */
    size_t count;
};

/*
 * All rows whose id stands in `only`, "V1,P2", or all where it is NULL; `extra`
 * adds those of which nothing is required. 0; or -EINVAL for an id that is not
 * there, *wrong is where it starts; or -ENOMEM.
 */
int bench_rows_open(struct bench_rows *rows, const char *only, bool extra,
                    const char **wrong);

/* "N=15 L2", "float32 DRAM". */
void bench_row_case(char text[BENCH_CASE_TEXT], const struct bench_row *row);

const char *bench_layout_name(enum bench_layout layout);
const char *bench_type_name(enum sign_type type);

#endif
