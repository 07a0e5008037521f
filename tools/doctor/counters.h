/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - what RDMA hardware counted while something was tried.
 */
#ifndef BALLOT_DOCTOR_COUNTERS_H
#define BALLOT_DOCTOR_COUNTERS_H

#include "facts.h"

enum {
    COUNTERS_MAX = 128,
    COUNTER_NAME_BYTES = 48,
};

struct counter {
    char device[NAME_BYTES];
    uint32_t port;
    char name[COUNTER_NAME_BYTES];
    uint64_t value;
};

struct counters {
    uint32_t count;
    struct counter list[COUNTERS_MAX];
};

/* Those that tell of loss, retries and full receivers, of every port of the
 * facts' devices, as far as a device has them; below `root`. */
void counters_read(struct counters *counters, const struct facts *facts,
                   const char *root);

/* Leaves in `later` what it has more than `earlier`, and only that. */
void counters_gain(struct counters *later, const struct counters *earlier);

#endif
