/* SPDX-License-Identifier: Apache-2.0 */
/* pmi.h - rank 0's word to all, through a process manager that speaks PMI-1. */
#ifndef BALLOT_COLLECTIVE_PMI_H
#define BALLOT_COLLECTIVE_PMI_H

#include <stddef.h>
#include <stdint.h>

enum { PMI_SHARE_BYTES_MAX = 450 }; /* as digits, what all managers take */

/*
 * Gives bytes[count] of rank 0 to all ranks of the job, which call this
 * together, once. The manager is at the other end of the descriptor PMI_FD; it
 * is told of our end when the process exits, since MPI may want it until then.
 *   -ENOENT     PMI_FD is not set or not open
 *   -EPROTO     who is there does not speak PMI-1, or refuses
 *   -ETIMEDOUT  until `deadline_ns` (CLOCK_MONOTONIC) not all ranks came
 *   -ECONNRESET the manager went away
 * *why (ERROR_BYTES) says more.
 */
int pmi_share(void *bytes, size_t count, uint32_t rank, uint64_t deadline_ns,
              char *why);

#endif
