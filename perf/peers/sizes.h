/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sizes.h - one loop over collectives and sizes, for every library that is
 * compared, so that all are measured alike.
 */
#ifndef BALLOT_PEERS_SIZES_H
#define BALLOT_PEERS_SIZES_H

#include <stddef.h>

enum what {
    ALL_REDUCE,
    BROADCAST,
    ALL_GATHER,
    REDUCE_SCATTER,
    ALL_TO_ALL,
    REDUCE,
    GATHER,
    SCATTER,
    WHATS,
};

/* A library under test. Its calls end the process when they fail. */
struct library {
    const char *name;
    int rank;
    int ranks;
    /*
     * One blocking call on float32, with root 0 and sums. `count` is that of
     * the vector in ALL_REDUCE, BROADCAST and REDUCE, else that of a block. A
     * broadcast is in place in `recv`, all else goes from `send` to `recv`.
     */
    void (*call)(enum what what, const float *send, float *recv, size_t count);
    void (*barrier)(void);
    /* The largest of all ranks' values, on every rank. */
    double (*most)(double value);
};

/*
 * Measures as the arguments say: COLLECTIVE,... BYTES,... BATCH_MS CHECK. For
 * each, rank 0 prints "collective bytes microseconds calls" with tabs: the time
 * of a call on the slowest rank, over a batch of calls back to back that
 * follows a barrier. Bytes are those of the vector or of all ranks' blocks, as
 * nccl-tests counts them. With CHECK 1 each result is compared as well. Returns
 * the exit code.
 */
int sizes_run(const struct library *library, int count, char **arguments);

#endif
