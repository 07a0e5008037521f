/* SPDX-License-Identifier: Apache-2.0 */
/* launcher_root.h - a place to meet that all ranks can tell by themselves. */
#ifndef BALLOT_COLLECTIVE_LAUNCHER_ROOT_H
#define BALLOT_COLLECTIVE_LAUNCHER_ROOT_H

#include "launcher.h"

/*
 * Each writes launcher->root: a host that the launcher names, and a port that
 * is drawn from what sets this job apart from others. Two jobs may draw the
 * same; then the later one fails, for its port is taken. -EINVAL with *why.
 */

/* MASTER_ADDR, and another port than MASTER_PORT, where its store listens. */
int launcher_root_torchrun(struct launcher *launcher, char *why);
/* The first host of the step. Says whether that is the only one, too. */
int launcher_root_slurm(struct launcher *launcher, char *why);
/* On this host, by what Open MPI calls the job; nothing if it does not. */
void launcher_root_local(struct launcher *launcher);

#endif
