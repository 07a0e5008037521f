/* SPDX-License-Identifier: Apache-2.0 */
/*
 * google.h - every work as a benchmark of Google Benchmark.
 */
#ifndef BALLOT_PERF_KERNELS_GOOGLE_H
#define BALLOT_PERF_KERNELS_GOOGLE_H

/* Takes the whole command line; the exit code. */
int bench_google(int count, char **arguments);

#endif
