/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_values.h - numbers as the bits of a type, and which ones are drawn.
 *
 * A drawn number is known by its key: twice its value, and -1 for -0, so that
 * keys are in the order of minimum and maximum.
 */
#ifndef BALLOT_PERF_VALUES_H
#define BALLOT_PERF_VALUES_H

#include "perf_data.h"

enum { PERF_DRAWS = 18 };

bool perf_is_float(enum ballot_type type);
bool perf_is_bits(int op);

/* `value` rounded to a float type. */
uint64_t perf_encode(enum ballot_type type, double value);
/* The number `value` modulo the range of an integer type. */
uint64_t perf_wrap(enum ballot_type type, int64_t value);
/* What perf_wrap() keeps of `value`, as a number. */
int64_t perf_wrapped(enum ballot_type type, int64_t value);

void perf_store(void *values, size_t index, enum ballot_type type,
                uint64_t bits);
uint64_t perf_load(const void *values, size_t index, enum ballot_type type);

/* What each drawn number stands for: the first `leading` ranks draw from
 * keys[0] and codes[0], the others from keys[1] and codes[1]. */
struct perf_numbers {
    int leading;
    int keys[2][PERF_DRAWS];
    uint64_t codes[2][PERF_DRAWS]; /* the same as bits of the type */
};

void perf_numbers(struct perf_numbers *numbers, const struct perf_draw *draw);

/* A stream of its own for each rank and draw. */
uint64_t perf_stream(int rank, uint64_t number);
/* 0 .. PERF_DRAWS - 1 */
static inline uint32_t perf_drawn(uint64_t stream, size_t coordinate)
{
    uint64_t mixed = (coordinate + stream) * 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    return (uint32_t)((mixed >> 32) * PERF_DRAWS >> 32);
}

#endif
