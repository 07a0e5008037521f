/* SPDX-License-Identifier: Apache-2.0 */
/* invitation.h - what a rank tells others out of band, before they meet. */
#ifndef BALLOT_COLLECTIVE_INVITATION_H
#define BALLOT_COLLECTIVE_INVITATION_H

#include "../include/ballot.h"

enum { INVITATION_WHY_BYTES = 256 };

/*
 * Fixed size, the same layout in every process of a job. A rank that cannot go
 * on says so here, and takes part all the same, so that nobody waits for it.
 */
struct invitation {
    int32_t status;                 /* 0, or the negative errno that ends it */
    int32_t ranks;                  /* how many this one thinks there are */
    struct ballot_unique_id id;     /* rank 0's, with status 0 */
    char why[INVITATION_WHY_BYTES]; /* what status means, in words */
};

#endif
