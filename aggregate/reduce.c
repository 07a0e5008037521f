/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reduce.c - sums of floats for the ring and the tree.
 *
 * Plain loops that the compiler turns into vectors of the baseline; they cost
 * what memory costs. Where `sum` is one of the addends it has a loop of its
 * own: with three pointers the compiler would see an overlap and count singly.
 */
#include "kernels.h"

static void add_to(float *restrict sum, const float *restrict addend,
                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += addend[i];
}

static void add_apart(float *restrict sum, const float *a, const float *b,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] = a[i] + b[i];
}

void reduce_add_float32(float *sum, const float *a, const float *b,
                        size_t count)
{
    if (sum == a)
        add_to(sum, b, count);
    else if (sum == b)
        add_to(sum, a, count);
    else
        add_apart(sum, a, b, count);
}

void reduce_scale_float32(float *values, float factor, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
}
