/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - on what the numbers were measured.
 */
#ifndef BALLOT_PERF_KERNELS_MACHINE_H
#define BALLOT_PERF_KERNELS_MACHINE_H

#include <stddef.h>

struct bench_machine {
    char model[96];
    char kernel[96];       /* "Linux 6.1.0" */
    char huge_pages[64];   /* which of the modes is chosen */
    char commit[64];       /* of the sources, "unknown" without git */
    int cores;             /* that this process may use */
    size_t cache_bytes[4]; /* of level 1 to 3 */
    const char *kernels;   /* the fastest table, or BALLOT_KERNELS */
    const char *limits;
};

void bench_machine_look(struct bench_machine *machine);

/* Of the data cache of one level, 0 where it is not known. */
size_t bench_machine_cache_bytes(int level);

/* What all other processes do meanwhile. */
struct bench_others {
    double machine_s; /* processor time of all, ours, and the clock */
    double ours_s;
    double clock_s;
};

void bench_others_start(struct bench_others *others);

/* Cores that others kept busy since, on average; below 0: not known. */
double bench_others_cores(const struct bench_others *others);

#endif
