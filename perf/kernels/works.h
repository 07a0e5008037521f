/* SPDX-License-Identifier: Apache-2.0 */
/*
 * works.h - everything that bench_kernels can time.
 */
#ifndef BALLOT_PERF_KERNELS_WORKS_H
#define BALLOT_PERF_KERNELS_WORKS_H

#include "case.h"

/* Kernels of the library, through the table in the data. */
extern const struct bench_work bench_vote;
extern const struct bench_work bench_vote_general; /* the loop for any N */
extern const struct bench_work bench_vote_weights;
extern const struct bench_work bench_count_eights; /* scratch: planes */
extern const struct bench_work bench_pack;
extern const struct bench_work bench_unpack;
extern const struct bench_work bench_update;
extern const struct bench_work bench_signum;
extern const struct bench_work bench_feedback;        /* its scale is given */
extern const struct bench_work bench_feedback_blocks; /* or each block's */

/* Limits: ROWS */
extern const struct bench_work bench_or;
extern const struct bench_work bench_or_two;
extern const struct bench_work bench_or_cached; /* never around the caches */
extern const struct bench_work bench_read_rows;
/* PACK; UNPACK; UPDATE; SIGNUM */
extern const struct bench_work bench_read;
extern const struct bench_work bench_fill;
extern const struct bench_work bench_fill_around;
extern const struct bench_work bench_memcpy;
extern const struct bench_work bench_add_constant;
extern const struct bench_work bench_add;

/* Other ways to the same result: baselines.c. */
extern const struct bench_work bench_counters8;  /* up to 255 voters */
extern const struct bench_work bench_counters16; /* weighted */
extern const struct bench_work bench_bit_loop;
extern const struct bench_work bench_decompress;
extern const struct bench_work bench_two_passes;      /* momentum, then pack */
extern const struct bench_work bench_feedback_passes; /* sum, then the rest */
extern const struct bench_work bench_unpack_axpy;

/* The vote of the AVX-512 kernels without the barrier behind each load. */
extern const struct bench_work bench_vote_unbarred;

/* The kernels of the AVX-512 table, but for one: tasks are counted and their
 * replicas are not compared. */
const struct kernels *bench_unchecked(void);

/* By two threads, each one half of the columns: threads.c. */
extern const struct bench_work bench_vote_threads;
extern const struct bench_work bench_read_threads;

/* The threshold of a majority of `total`, with ties to plus. */
static inline uint32_t bench_majority(uint32_t total)
{
    return total / 2 + 1;
}

/* What all voters of a weighted vote add up to. */
uint32_t bench_weights(const struct bench_data *data);

/* Keeps the compiler from leaving out what only reads. */
static inline void bench_use(uint64_t word)
{
    __asm__ volatile("" : : "r"(word) : "memory");
}

#endif
