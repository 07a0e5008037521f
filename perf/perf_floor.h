/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_floor.h - what the memory of this host allows: read once, write once.
 */
#ifndef BALLOT_PERF_FLOOR_H
#define BALLOT_PERF_FLOOR_H

#include "perf_ranks.h"

#include <stdbool.h>
#include <stddef.h>

enum { PERF_FLOOR_LINE_BYTES = 64 };

/* What a rank reads and writes; both arrays are aligned to lines and padded to
 * whole ones. */
struct perf_floor {
    const void *input;
    size_t input_bytes;
    void *output;
    size_t output_bytes;
    bool uneven; /* ranks read and write more or less than each other */
};

/*
 * *us: the time in which every rank of the job reads its input and writes its
 * output once, all at the same time, so that they share memory, caches and
 * cores as in the collective: the wall-clock time of a pass, the mean of the
 * ranks, or of the slowest where they are uneven, by the faster of two ways to
 * write; the median of rounds. Collective; whole lines are touched. Returns 0
 * or a negative errno, explained on stderr.
 */
int perf_floor_measure(struct perf_ranks *job, const struct perf_floor *floor,
                       double *us);

#endif
