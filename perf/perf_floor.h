/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_floor.h - what the memory of this host allows: read once, write once.
 */
#ifndef BALLOT_PERF_FLOOR_H
#define BALLOT_PERF_FLOOR_H

#include "perf_ranks.h"

#include <stddef.h>

enum { PERF_FLOOR_LINE_BYTES = 64 };

/*
 * *us: the time in which every rank of the job reads its input[bytes] and
 * writes its output[bytes] once, all at the same time, so that they share
 * memory, caches and cores as in the collective: the wall-clock time of a pass,
 * the mean of the ranks, by the faster of two ways to write; the median of
 * rounds. Collective. Whole lines are touched: both arrays are aligned to and
 * padded to lines. Returns 0 or a negative errno, explained on stderr.
 */
int perf_floor_measure(struct perf_ranks *job, const void *input, void *output,
                       size_t bytes, double *us);

#endif
