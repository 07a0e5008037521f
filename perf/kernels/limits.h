/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - programs that only touch memory as the kernels do.
 *
 * A limit is a program and not a law: it says what the loads and stores cost
 * when there is next to nothing to compute. One table for each width of
 * register; limits_body.h has the loops.
 */
#ifndef BALLOT_PERF_KERNELS_LIMITS_H
#define BALLOT_PERF_KERNELS_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * result[words]: the OR of all rows, column by column: one load from each row,
 * a tree of ORs, one line stored, around the caches if `around` says so.
 */
typedef void limit_or_fn(uint64_t *result, const uint64_t *const *rows,
                         uint32_t voters, size_t words, bool around);

/* All rows, one after the other, each from start to end. */
typedef uint64_t limit_read_rows_fn(const uint64_t *const *rows, size_t count,
                                    size_t words);

/* One stream; `bytes` is a multiple of 128, as are those of the others. */
typedef uint64_t limit_read_fn(const void *stream, size_t bytes);
typedef void limit_fill_fn(void *output, size_t bytes, bool around);

/* values[i] += a constant; sums[i] += values[i]. */
typedef void limit_add_constant_fn(float *values, size_t count);
typedef void limit_add_fn(float *sums, const float *values, size_t count);

/* The passes of which Signum and the update are made when nothing is fused:
 * momentum[i] = (1 - beta) gradient[i] + beta momentum[i], and
 * values[i] -= rate * steps[i]. */
typedef void limit_momentum_fn(float *momentum, const float *gradient,
                               float beta, size_t count);
typedef void limit_axpy_fn(float *values, const float *steps, float rate,
                           size_t count);

struct bench_limits {
    const char *name; /* "avx512", "avx2", "portable" */
    bool (*supported)(void);
    limit_or_fn *or_one; /* straight-line for the usual numbers of voters */
    limit_or_fn *or_two; /* two lines for each pointer fetched */
    limit_read_rows_fn *read_rows;
    limit_read_fn *read;
    limit_fill_fn *fill;
    limit_add_constant_fn *add_constant;
    limit_add_fn *add;
    limit_momentum_fn *momentum;
    limit_axpy_fn *axpy;
};

extern const struct bench_limits bench_limits_avx512, bench_limits_avx2,
    bench_limits_portable;

/* Those with the widest registers that this machine has. */
const struct bench_limits *bench_limits_pick(void);

#endif
