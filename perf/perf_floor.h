/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_floor.h - what the memory of this host allows: read once, write once.
 */
#ifndef BALLOT_PERF_FLOOR_H
#define BALLOT_PERF_FLOOR_H

#include <stddef.h>
#include <stdint.h>

enum { PERF_FLOOR_LINE_BYTES = 64 };

/*
 * Nanoseconds to read input[bytes] and to write output[bytes] once, by the
 * faster of two ways to write; the median of repetitions. All ranks call it at
 * the same time, so that they share the memory as in the collective. Whole
 * lines are touched: both arrays are aligned to and padded to lines.
 */
uint64_t perf_floor_ns(const void *input, void *output, size_t bytes);

#endif
