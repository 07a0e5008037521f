/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - what types of ballot.h are in memory, and how they are folded. */
#include "values.h"

static const uint8_t units[BALLOT_TYPES] = {
    [BALLOT_FLOAT32] = 4, [BALLOT_FLOAT16] = 2, [BALLOT_BFLOAT16] = 2,
    [BALLOT_FLOAT64] = 8, [BALLOT_SIGNS] = 8,   [BALLOT_INT8] = 1,
    [BALLOT_UINT8] = 1,   [BALLOT_INT16] = 2,   [BALLOT_UINT16] = 2,
    [BALLOT_INT32] = 4,   [BALLOT_UINT32] = 4,  [BALLOT_INT64] = 8,
    [BALLOT_UINT64] = 8,
};

uint32_t values_unit(enum ballot_type type)
{
    return units[type];
}

size_t values_bytes(enum ballot_type type, size_t count)
{
    return type == BALLOT_SIGNS ? (count + 63) / 64 * sizeof(uint64_t)
                                : count * units[type];
}

static const enum reduce_type types[BALLOT_TYPES] = {
    [BALLOT_FLOAT32] = REDUCE_FLOAT32,   [BALLOT_FLOAT16] = REDUCE_FLOAT16,
    [BALLOT_BFLOAT16] = REDUCE_BFLOAT16, [BALLOT_FLOAT64] = REDUCE_FLOAT64,
    [BALLOT_SIGNS] = REDUCE_UINT64,      [BALLOT_INT8] = REDUCE_INT8,
    [BALLOT_UINT8] = REDUCE_UINT8,       [BALLOT_INT16] = REDUCE_INT16,
    [BALLOT_UINT16] = REDUCE_UINT16,     [BALLOT_INT32] = REDUCE_INT32,
    [BALLOT_UINT32] = REDUCE_UINT32,     [BALLOT_INT64] = REDUCE_INT64,
    [BALLOT_UINT64] = REDUCE_UINT64,
};

static const enum reduce_op ops[BALLOT_OPS] = {
    [BALLOT_MAJORITY] = REDUCE_OPS, [BALLOT_SUM] = REDUCE_SUM,
    [BALLOT_AVG] = REDUCE_SUM,      [BALLOT_PROD] = REDUCE_PROD,
    [BALLOT_MIN] = REDUCE_MIN,      [BALLOT_MAX] = REDUCE_MAX,
    [BALLOT_BIT_AND] = REDUCE_AND,  [BALLOT_BIT_OR] = REDUCE_OR,
    [BALLOT_BIT_XOR] = REDUCE_XOR,
};

const struct reduction *values_reduction(const struct kernels *kernels,
                                         enum ballot_type type,
                                         enum ballot_op op)
{
    const struct reduction *reduction;

    if ((unsigned)op >= BALLOT_OPS || ops[op] == REDUCE_OPS ||
        (type == BALLOT_SIGNS && ops[op] < REDUCE_AND))
        return NULL;
    reduction = &(*kernels->reductions)[types[type]][ops[op]];
    return reduction->fold == NULL ? NULL : reduction;
}
