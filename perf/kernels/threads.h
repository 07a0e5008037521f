/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.h - which core runs what.
 */
#ifndef BALLOT_PERF_KERNELS_THREADS_H
#define BALLOT_PERF_KERNELS_THREADS_H

/* Binds the caller to one of its cores; the second thread, where a work has
 * one, gets another. */
void bench_threads_bind(void);

#endif
