/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_threads.h - which core runs what.
 */
#ifndef BALLOT_PERF_BENCH_THREADS_H
#define BALLOT_PERF_BENCH_THREADS_H

/* Binds the caller to one of its cores; the second thread, where a work has
 * one, gets another. */
void bench_threads_bind(void);

#endif
