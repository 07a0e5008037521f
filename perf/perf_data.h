/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_data.h - inputs that every rank can compute, and what must come out.
 */
#ifndef BALLOT_PERF_DATA_H
#define BALLOT_PERF_DATA_H

#include <ballot.h>
#include <stddef.h>
#include <stdint.h>

extern const char *const perf_op_names[BALLOT_PROD];
extern const char *const perf_type_names[BALLOT_VOTE_TYPES];

/* Coordinates that `bytes` hold, and the bytes that hold `count` of them. */
size_t perf_count(enum ballot_type type, size_t bytes);
size_t perf_bytes(enum ballot_type type, size_t count);

/*
 * values[count] = the input of `rank` in this draw: whole numbers of -8 to 8
 * with both zeros among them, so that every type holds them and sums of them
 * without rounding, and votes come out even now and then.
 */
void perf_fill(void *values, size_t count, enum ballot_type type, int rank,
               uint64_t draw);

/* What was done to the inputs of all ranks. */
struct perf_done {
    enum { PERF_DONE_VOTE, PERF_DONE_SUM, PERF_DONE_AVG, PERF_DONE_COPY } what;
    int ranks;
    int root; /* PERF_DONE_COPY: whose input it is */
    uint64_t draw;
    enum ballot_tie tie;
    enum ballot_zero zero;
};

/* How many of got[count] are not what perf_fill() and `done` say. */
uint64_t perf_wrong(const void *got, size_t count, enum ballot_type type,
                    const struct perf_done *done);

#endif
