/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_data.h - inputs that every rank can compute, and what must come out.
 */
#ifndef BALLOT_PERF_DATA_H
#define BALLOT_PERF_DATA_H

#include <ballot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ops on the command line: those of ballot.h by their numbers, and a sum of
 * multiples, which ballot_op_create_premul_sum() makes. */
enum { PERF_MULSUM = BALLOT_OPS, PERF_OPS };

extern const char *const perf_op_names[PERF_OPS];
extern const char *const perf_type_names[BALLOT_TYPES];

/* Whether values of the type can be folded so. */
bool perf_has_op(enum ballot_type type, int op);
/* What rank `rank` multiplies its values with in PERF_MULSUM. */
int perf_factor(int rank);

/* Coordinates that `bytes` hold, and the bytes that hold `count` of them. */
size_t perf_count(enum ballot_type type, size_t bytes);
size_t perf_bytes(enum ballot_type type, size_t count);

/* *value as one of the type; returns its bytes. */
size_t perf_store_one(void *value, enum ballot_type type, int number);

/* All that inputs depend on, but for the rank; and what becomes of them. */
struct perf_draw {
    enum ballot_type type;
    int op; /* BALLOT_MAJORITY where nothing is folded */
    int ranks;
    uint64_t number; /* another one, other inputs */
    enum ballot_tie tie;
    enum ballot_zero zero;
};

/*
 * values[count] = the first inputs of `rank`: whole numbers of -8 to 8 with
 * both zeros among them, fewer where a type could not hold the result exactly,
 * so that the order of folding does not matter and votes come out even now and
 * then; random bits for ops on bits.
 */
void perf_fill(void *values, size_t count, const struct perf_draw *draw,
               int rank);

/* Where the values of a result come from. */
struct perf_source {
    bool folded;  /* from all ranks, by draw.op; else they are copies */
    size_t first; /* their first coordinate in the inputs */
    size_t block; /* of copies: so many, then the same of the next rank */
    int rank;     /* of copies: whose the first are */
};

/* How many of got[count] are not what draw and source say. */
uint64_t perf_wrong(const void *got, size_t count, const struct perf_draw *draw,
                    const struct perf_source *source);

#endif
