/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - the choice of the limits.
 */
#include "limits.h"

const struct bench_limits *bench_limits_pick(void)
{
    if (bench_limits_avx512.supported())
        return &bench_limits_avx512;
    if (bench_limits_avx2.supported())
        return &bench_limits_avx2;
    return &bench_limits_portable;
}
