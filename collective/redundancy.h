/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redundancy.h - who computes which tasks, as a communicator is configured.
 */
#ifndef BALLOT_COLLECTIVE_REDUNDANCY_H
#define BALLOT_COLLECTIVE_REDUNDANCY_H

#include "../aspis/assignment.h"

struct redundancy;
struct settings;

/*
 * Takes the design of `settings`, which were checked, and shortens their chunk
 * until a chunk of all tasks of all workers stays in the caches. *redundancy is
 * NULL where there is no design. -EINVAL: not for so many ranks, *why says what
 * to take instead; -ENOMEM.
 */
int redundancy_open(struct redundancy **redundancy, struct settings *settings,
                    uint32_t ranks, char *why);
void redundancy_close(struct redundancy *redundancy); /* NULL is allowed */

const struct assignment_shape *redundancy_shape(
    const struct redundancy *redundancy);

/* What a server's own assignment is made of. */
const struct assignment_config *redundancy_config(
    const struct redundancy *redundancy);

#endif
