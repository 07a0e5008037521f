/* SPDX-License-Identifier: Apache-2.0 */
/* meeting.h - where processes that a launcher has started meet. */
#ifndef BALLOT_COLLECTIVE_MEETING_H
#define BALLOT_COLLECTIVE_MEETING_H

#include "launcher.h"
#include "roots.h"

struct bootstrap_root;

struct meeting {
    struct place place;
    struct bootstrap_root *root; /* rank 0's where it is ours alone */
    struct ballot_unique_id id;  /* if by_id, of which rank 0 has the root */
    bool by_id;
};

/* Fills in launcher->ranks where only PMIx knows it. Errors of pmix.h. */
int meeting_count(struct launcher *launcher, uint64_t deadline_ns, char *why);

/*
 * Finds the place, and as rank 0 listens there until meeting_close(); `auth` is
 * enum ballot_auth. With `servers`, "host:port" of a dedicated one, that is the
 * place, and nobody here listens. Where the launcher carries rank 0's word, all
 * ranks call this together the first time; it brings the job's secret with it.
 * Errors of roots.h, pmi.h, pmix.h and bootstrap_root_open() with *why.
 */
int meeting_open(struct meeting *meeting, const struct launcher *launcher,
                 const char *servers, unsigned auth, uint64_t deadline_ns,
                 char *why);

/* Returns how many strangers rank 0 has sent away. */
uint64_t meeting_close(struct meeting *meeting);

#endif
