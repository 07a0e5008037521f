/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - huge pages, touched and filled before anything is timed.
 */
#ifndef BALLOT_PERF_KERNELS_MEMORY_H
#define BALLOT_PERF_KERNELS_MEMORY_H

#include <stddef.h>

enum bench_area {
    BENCH_BITS,    /* uniform random bits: rows, and values to pack */
    BENCH_ALIKE,   /* a line of random bits, over and over: rows that are
                      equal, as replicas are */
    BENCH_VALUES,  /* of 16 or 32 bits: no NaN and nothing denormal, whatever
                      their type */
    BENCH_FLOATS,  /* uniform in [-1, 1): no NaN and nothing denormal */
    BENCH_OUTPUTS, /* whatever was written last */
    BENCH_AREAS,
};

struct bench_memory {
    char *areas[BENCH_AREAS];
    size_t filled_bytes[BENCH_AREAS];
};

/* Reserves addresses alone. 0 or a negative errno. */
int bench_memory_open(struct bench_memory *memory);
void bench_memory_close(struct bench_memory *memory);

/*
 * Fills the first `bytes` of an area, if they are not yet. 0; or -ENOMEM, and
 * *free_bytes is what the machine has.
 */
int bench_memory_fill(struct bench_memory *memory, enum bench_area area,
                      size_t bytes, size_t *free_bytes);

/* Of what is filled, how much lies in huge pages: 0 to 1. */
double bench_memory_huge(const struct bench_memory *memory);

#endif
