/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launcher.h - who has started this process, by the environment alone: its
 * rank, how many there are, and where they can meet.
 */
#ifndef BALLOT_COLLECTIVE_LAUNCHER_H
#define BALLOT_COLLECTIVE_LAUNCHER_H

#include <stdbool.h>

enum { LAUNCHER_ROOT_BYTES = 300 };

/* How ranks learn where rank 0 listens. */
enum meeting_way {
    MEET_AT_ROOT, /* all know it: struct launcher's root */
    MEET_BY_PMIX, /* through the launcher's PMIx; at `root`, where there is
                     one, if this host has no library for it */
    MEET_BY_PMI,  /* through PMI-1 on the descriptor PMI_FD */
    MEET_ALONE,   /* there is nobody else */
};

struct launcher {
    const char *name; /* for people: "Open MPI" */
    int ranks;        /* 0: only its PMIx knows */
    int rank;
    bool one_host; /* all ranks are known to be on one */
    enum meeting_way way;
    char root[LAUNCHER_ROOT_BYTES]; /* "host:port"; "": not known */
};

/*
 * Reads the environment. The first of these that is complete is believed:
 * BALLOT_RANK and BALLOT_RANKS; torchrun's RANK and WORLD_SIZE; Open MPI's
 * OMPI_COMM_WORLD_*; PMI_RANK and PMI_SIZE (MPICH, Intel MPI, srun
 * --mpi=pmi2); SLURM_PROCID of a step of srun; PMIX_RANK (prterun). The
 * variables are those of the launchers' manuals. BALLOT_ROOT says where, under
 * any of them.
 *   -ENOENT  no launcher is visible
 *   -EINVAL  one is, but what it says is incomplete or contradicts itself, or
 *            there is one rank where another launcher started more
 * *why (ERROR_BYTES) says what is wrong and its cure.
 */
int launcher_read(struct launcher *launcher, char *why);

/* Whether one has started more than this process, for programs that can start
 * their ranks themselves. */
bool launcher_has_more(void);

#endif
