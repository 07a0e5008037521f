/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_run.h - one rank's part of the measurement.
 */
#ifndef BALLOT_PERF_RUN_H
#define BALLOT_PERF_RUN_H

#include "perf_options.h"

/*
 * Joins the job that the environment names, measures, and on rank 0 reports.
 * Returns the exit code: 0, or 1 for an error, which has been explained, or a
 * wrong value.
 */
int perf_run(const struct perf_options *options);

#endif
