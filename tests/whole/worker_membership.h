/* SPDX-License-Identifier: Apache-2.0 */
/* worker_membership.h - what a communicator that was made of another computes.
 */
#ifndef TESTS_WHOLE_WORKER_MEMBERSHIP_H
#define TESTS_WHOLE_WORKER_MEMBERSHIP_H

#include "worker.h"

enum { COUNT = 3000, RANKS_MOST = 64 };

/* Ranks of the first one, in the order that they should have in another. */
struct expected {
    int32_t ranks[RANKS_MOST];
    int count;
};

struct expected all_of(const struct ballot_comm *comm);

/* Adds what is wrong to *wrong; the error of a call. `us` is our number in the
 * first one. */
int prove(struct ballot_comm *comm, int32_t us, const struct expected *e,
          uint64_t *wrong);

#endif
