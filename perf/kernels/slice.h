/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.h - what a register of SLICE_BYTES holds, and memory like it.
 */
#ifndef BALLOT_PERF_KERNELS_SLICE_H
#define BALLOT_PERF_KERNELS_SLICE_H

#include <stdint.h>

typedef uint64_t slice __attribute__((vector_size(SLICE_BYTES)));
typedef uint64_t slice_unaligned
    __attribute__((vector_size(SLICE_BYTES), aligned(4), may_alias));
typedef float floats __attribute__((vector_size(SLICE_BYTES)));
typedef float floats_unaligned
    __attribute__((vector_size(SLICE_BYTES), aligned(4), may_alias));

#endif
