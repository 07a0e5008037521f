/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_folds.c - sums of values, beside reading the same rows and writing one.
 */
#include "rows.h"
#include "works.h"

/* Rows of values in place of signs, folded into one. */
static void fold(const struct bench_data *data, enum reduce_type type,
                 size_t value_bytes)
{
    const struct reduction *reduction =
        &(*data->kernels->reductions)[type][REDUCE_SUM];

    reduction->fold(data->result, (const void *const *)data->rows, data->voters,
                    data->words * 8 / value_bytes);
}

static void fold_float32(const struct bench_data *data)
{
    fold(data, REDUCE_FLOAT32, 4);
}

static void fold_float16(const struct bench_data *data)
{
    fold(data, REDUCE_FLOAT16, 2);
}

static void fold_bfloat16(const struct bench_data *data)
{
    fold(data, REDUCE_BFLOAT16, 2);
}

static void fold_int32(const struct bench_data *data)
{
    fold(data, REDUCE_INT32, 4);
}

static const struct bench_work sum_float32 = {.name = "sum_float32",
                                              .run = fold_float32};
static const struct bench_work sum_float16 = {.name = "sum_float16",
                                              .run = fold_float16};
static const struct bench_work sum_bfloat16 = {.name = "sum_bfloat16",
                                               .run = fold_bfloat16};
static const struct bench_work sum_int32 = {.name = "sum_int32",
                                            .run = fold_int32};

/* `least` beside the OR that stores its line as a fold does: into the cache. */
#define SUM(sum, where, ratio)                                                 \
    {                                                                          \
        .row = {.id = "F1",                                                    \
                .what = {.place = where, .values = true},                      \
                .work = &(sum),                                                \
                .limits = {&bench_or_cached},                                  \
                .least = {ratio}},                                             \
        .voters = {2, 4},                                                      \
    }

/* From the caches halves and bfloat16 take the time of their rounding. */
static const struct bench_family folds_families[] = {
    SUM(sum_float32, BENCH_L2, 0.9), SUM(sum_float32, BENCH_DRAM, 0.85),
    SUM(sum_int32, BENCH_L2, 0.9),   SUM(sum_int32, BENCH_DRAM, 0.85),
    SUM(sum_bfloat16, BENCH_L2, 0),  SUM(sum_bfloat16, BENCH_DRAM, 0.75),
    SUM(sum_float16, BENCH_L2, 0),   SUM(sum_float16, BENCH_DRAM, 0.75),
};

const struct bench_list bench_folds = {
    .families = folds_families,
    .count = sizeof(folds_families) / sizeof(folds_families[0]),
};
