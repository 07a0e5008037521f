/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - bytes there and back between two endpoints, checked and
 * timed, over any transport.
 */
#ifndef BALLOT_DOCTOR_TRIAL_H
#define BALLOT_DOCTOR_TRIAL_H

#include "link.h"

enum {
    TRIAL_SLOTS = 3, /* one for small messages, two for large ones */
    /* No more and no larger: what is registered fits the 8 MiB that a user may
     * lock where nothing was configured, also where both ends are ours. */
    TRIAL_SLOT_BYTES = 1 << 20,
    TRIAL_SELF_SLOT_BYTES = TRIAL_SLOT_BYTES / 2,
    TRIAL_PING_BYTES = 64,
};

/* What the side that drives has measured. */
struct trial_times {
    uint32_t pings;
    double latency_us; /* median of half a round trip of 64 bytes */
    uint64_t bytes;
    double bandwidth_gbs; /* 1e9 bytes a second, of whole slots that are
                             written and compared byte by byte as they go */
};

/*
 * Runs a trial over a link whose endpoint has TRIAL_SLOTS slots of at most
 * TRIAL_SLOT_BYTES. One side drives and the other answers; both return when all
 * is done, or at the link's deadline. On return 0 no put is on its way, and
 * slots 1 and 2 are free. A failure is in link->error and why.
 */
int trial_run(struct trial_times *times, struct tried_link *link, bool drives);

#endif
