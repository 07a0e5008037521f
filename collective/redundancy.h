/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redundancy.h - who computes which tasks, as a communicator is configured.
 */
#ifndef BALLOT_COLLECTIVE_REDUNDANCY_H
#define BALLOT_COLLECTIVE_REDUNDANCY_H

#include "../aspis/assignment.h"
#include "../aspis/verifier.h"

struct redundancy;
struct settings;

/*
 * Takes the design of `settings`, which were checked, and shortens their chunk
 * until a chunk of all tasks of all workers stays in the caches. Finds their
 * tolerance, if a flip rate is set, and tries that it convicts a liar.
 * *redundancy is NULL where there is no design. -EINVAL: not for so many ranks,
 * or with this rate, *why says what to take instead; -ENOMEM.
 */
int redundancy_open(struct redundancy **redundancy, struct settings *settings,
                    uint32_t ranks, const struct kernels *kernels, char *why);
void redundancy_close(struct redundancy *redundancy); /* NULL is allowed */

const struct assignment_shape *redundancy_shape(
    const struct redundancy *redundancy);

/* What a server's verifier is made of. */
void redundancy_verifier(const struct redundancy *redundancy,
                         const struct settings *settings,
                         const struct kernels *kernels,
                         struct verifier_config *config);

#endif
