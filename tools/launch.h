/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - starts the ranks of a job on this host and watches over them.
 */
#ifndef BALLOT_LAUNCH_H
#define BALLOT_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LAUNCH_EXIT_USAGE = 2,     /* the command line was wrong */
    LAUNCH_EXIT_TIMEOUT = 124, /* as timeout(1) says it */
    LAUNCH_GRACE_MS = 5000,    /* default of struct launch */
};

/* What a rank does; what it returns is its exit code. */
typedef int launch_body_fn(void *context);

struct launch {
    const char *program;  /* whose messages these are */
    int ranks;            /* 1..BALLOT_RANKS_MAX */
    bool prefixed;        /* each line of output starts with "[rank] " */
    bool bound;           /* each rank to a core: its own, if there are
                             enough, else neighbours share one */
    uint32_t timeout_ms;  /* of the whole job; 0: none */
    uint32_t grace_ms;    /* for the others after one failed, then SIGTERM,
                             and once more the same until SIGKILL */
    const char *key_file; /* NULL: a random key, removed at the end */
    launch_body_fn *body; /* runs in each rank */
    void *context;        /* for body */
};

/*
 * Runs the job: each rank has a process group of its own, stdin from /dev/null,
 * BALLOT_RANK, BALLOT_RANKS, BALLOT_LOCAL_RANK, BALLOT_LOCAL_RANKS, BALLOT_ROOT
 * and BALLOT_KEY_FILE. Passes SIGHUP, SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 on.
 * Blocks until all ranks have ended; call it from a process of one thread.
 * Returns what the caller is to exit with: 0, or the code of the rank that
 * failed first (128 + signal where one killed it), LAUNCH_EXIT_TIMEOUT, or 1
 * when the job could not be started; all but 0 have been explained on stderr.
 */
int launch_run(const struct launch *launch);

/* "core" and "none" as on the command line; false for other words. */
bool launch_binding(const char *text, bool *bound);

/* Numbers on the command line: each is false, and leaves its result alone,
 * when `text` is no such number. */

/* "2.5": seconds, 0.001 to a million, as milliseconds. */
bool launch_seconds(const char *text, uint32_t *ms);

/* "20": a whole number of least..most. */
bool launch_count(const char *text, int least, int most, int *count);

#endif
