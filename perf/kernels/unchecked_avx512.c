/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unchecked_avx512.c - the tasks of aggregate/agree.h counted in the same loops
 * without looking whether their replicas differ: what that costs.
 */
#include "works.h"

#if defined(__x86_64__)

/* The one that looks, under another name. */
#define slice_unlike slice_unlike_looked
#include "aggregate/avx512.h"
#undef slice_unlike

ALWAYS slice slice_unlike(slice a, slice b, slice c)
{
    (void)a;
    (void)b;
    (void)c;
    return (slice){0};
}

#include "aggregate/agree.h"

const struct kernels *bench_unchecked(void)
{
    static struct kernels kernels;

    kernels = kernels_avx512;
    kernels.agree = agree_any;
    kernels.count = count_any;
    return &kernels;
}

#else

const struct kernels *bench_unchecked(void)
{
    return &kernels_portable;
}

#endif
