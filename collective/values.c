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

static void fold_f32(void *to, const void *const *rows, uint32_t n,
                     size_t count)
{
    float *t = to;
    for (size_t i = 0; i < count; i++) {
        float x = ((const float *)rows[0])[i];
        for (uint32_t r = 1; r < n; r++)
            x += ((const float *)rows[r])[i];
        t[i] = x;
    }
}
static void div_f32(void *to, uint32_t by, size_t count)
{
    float *t = to;
    for (size_t i = 0; i < count; i++)
        t[i] /= (float)by;
}
const struct reduction *values_reduction(enum ballot_type type,
                                         enum ballot_op op)
{
    static const struct reduction sum = {4, fold_f32, NULL, div_f32};
    return type == BALLOT_FLOAT32 && (op == BALLOT_SUM || op == BALLOT_AVG)
               ? &sum
               : NULL;
}
