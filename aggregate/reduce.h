/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce.h - values of all ranks, folded into one.
 *
 * Every instruction set gives the same bits: integers wrap around; halves and
 * bfloat16 are folded as float32 and rounded to their type after each step, to
 * nearest, ties to even; nothing is contracted; what is not a number comes out
 * as one quiet NaN, with the sign clear and the first bit of the mantissa set.
 * A minimum or maximum is NaN where any value is, and -0 is less than +0.
 */
#ifndef BALLOT_AGGREGATE_REDUCE_H
#define BALLOT_AGGREGATE_REDUCE_H

#include <stddef.h>
#include <stdint.h>

enum reduce_type {
    REDUCE_INT8,
    REDUCE_UINT8,
    REDUCE_INT16,
    REDUCE_UINT16,
    REDUCE_INT32,
    REDUCE_UINT32,
    REDUCE_INT64,
    REDUCE_UINT64,
    REDUCE_FLOAT16,
    REDUCE_BFLOAT16,
    REDUCE_FLOAT32,
    REDUCE_FLOAT64,
    REDUCE_TYPES,
};

enum reduce_op {
    REDUCE_SUM,
    REDUCE_PROD,
    REDUCE_MIN,
    REDUCE_MAX,
    REDUCE_AND, /* of integers, as the last two */
    REDUCE_OR,
    REDUCE_XOR,
    REDUCE_OPS,
};

/* No memory needs to be aligned beyond its element. */
struct reduction {
    /*
     * to[i] = (..(rows[0][i] op rows[1][i]) op ..) op rows[n - 1][i], n >= 1.
     * `to` may be one of the rows; rows that a peer can write are read once.
     * NULL: there is no such op of this type.
     */
    void (*fold)(void *to, const void *const *rows, uint32_t n, size_t count);
    /* to[i] = from[i] times *factor; `to` may be `from`. */
    void (*scale)(void *to, const void *from, const void *factor, size_t count);
    /* to[i] = to[i] / by, rounded; integers are cut off. 1 <= by <= 1024 */
    void (*divide)(void *to, uint32_t by, size_t count);
};

/* Of each instruction set; the others give the bits of reductions_portable. */
typedef const struct reduction reduction_table[REDUCE_TYPES][REDUCE_OPS];
extern reduction_table reductions_avx512, reductions_avx2, reductions_portable;

#endif
