/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sets.h - a case laid out in memory, as one set of data or many.
 *
 * In a cache one set is used again and again; its input takes the same number
 * of bytes for any number of voters. From DRAM each run takes the next set, so
 * that a set is out of every cache when its turn comes again.
 */
#ifndef BALLOT_PERF_KERNELS_SETS_H
#define BALLOT_PERF_KERNELS_SETS_H

#include "case.h"
#include "memory.h"

#include <stdbool.h>

struct bench_sets {
    struct bench_data *sets; /* [count] */
    size_t count;
    size_t bytes; /* that one run on one set reads or writes, by its kind */
    const uint64_t **rows;
    uint8_t *weights;
    size_t needed_bytes; /* where opening fails: of memory, and what is there */
    size_t free_bytes;
};

/* What does not change from case to case. */
struct bench_room {
    struct bench_memory memory;
    bool quick; /* from DRAM less of everything: a cache may keep it */
};

/* 0; or -ENOMEM with both counts of bytes set, or another negative errno. */
int bench_sets_open(struct bench_sets *sets, struct bench_room *room,
                    const struct bench_case *what,
                    const struct kernels *kernels);
void bench_sets_close(struct bench_sets *sets);

/* As text: "L2", "DRAM". */
const char *bench_place_name(enum bench_place place);

#endif
