/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_measure.h - times calls of every size and checks their results.
 */
#ifndef BALLOT_PERF_MEASURE_H
#define BALLOT_PERF_MEASURE_H

#include "perf_ranks.h"
#include "perf_report.h"

struct perf {
    const struct perf_options *options;
    struct perf_ranks job;
    unsigned char *send; /* both hold the largest size, whole lines */
    unsigned char *recv;
    pid_t *pids;     /* [ranks] */
    uint64_t number; /* of the inputs; a new one for each check */
    enum ballot_tie tie;
    enum ballot_zero zero;
    FILE *json_file; /* opened before the work, so that it cannot be in vain */
    struct perf_report report;
};

/*
 * Measures all types, ops, roots and sizes that are asked for, and adds their
 * rows to the report; rank 0 prints them as they come, unless it is to print
 * JSON. Collective. Returns 0 or a negative errno, explained on stderr.
 */
int perf_measure(struct perf *perf);

#endif
