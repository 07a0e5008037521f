/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_ranks.c - the ranks that measure together, and what they tell each
 * other about it.
 */
#include "perf_ranks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECES = 4, /* of a 64-bit number; a float holds each exactly */
    PIECE_BITS = 16,
};

int perf_ranks_complain(const struct perf_ranks *ranks, const char *call,
                        int error)
{
    fprintf(stderr, "ballot-perf: rank %d: %s: %s: %s\n", ranks->rank, call,
            ballot_error_string(error), ballot_last_error(ranks->comm));
    return error;
}

int perf_ranks_join(struct perf_ranks *ranks,
                    const struct ballot_config *config)
{
    int error = ballot_comm_init_env(&ranks->comm, config);

    if (error == -ENOENT)
        fprintf(stderr,
                "ballot-perf: %s\nballot-perf: to start ranks on this host, "
                "give --ranks: ballot-perf all_reduce --ranks 4\n",
                ballot_last_error(NULL));
    else if (error != 0)
        fprintf(stderr, "ballot-perf: joining the job: %s: %s\n",
                ballot_error_string(error), ballot_last_error(NULL));
    if (error != 0)
        return error;
    ranks->rank = ballot_comm_rank(ranks->comm);
    ranks->ranks = ballot_comm_size(ranks->comm);
    ranks->pieces =
        calloc(PIECES * (size_t)ranks->ranks, sizeof(*ranks->pieces));
    ranks->gathered = calloc((size_t)ranks->ranks, sizeof(*ranks->gathered));
    if (ranks->pieces != NULL && ranks->gathered != NULL)
        return 0;
    fprintf(stderr, "ballot-perf: rank %d: out of memory\n", ranks->rank);
    return -ENOMEM;
}

int perf_ranks_leave(struct perf_ranks *ranks)
{
    int error = ballot_comm_finalize(&ranks->comm);

    free(ranks->gathered);
    free(ranks->pieces);
    ranks->gathered = NULL;
    ranks->pieces = NULL;
    if (error != 0)
        perf_ranks_complain(ranks, "ballot_comm_finalize", error);
    return error;
}

int perf_ranks_meet(struct perf_ranks *ranks)
{
    int error = ballot_barrier(ranks->comm, NULL);

    if (error != 0)
        perf_ranks_complain(ranks, "ballot_barrier", error);
    return error;
}

/* By a sum, to which every rank adds 0 in the places of the others. */
int perf_ranks_gather(struct perf_ranks *ranks, uint64_t value)
{
    const size_t count = PIECES * (size_t)ranks->ranks;
    float *pieces = ranks->pieces;
    int error;

    memset(pieces, 0, count * sizeof(*pieces));
    for (int i = 0; i < PIECES; i++)
        pieces[PIECES * ranks->rank + i] =
            (float)(value >> PIECE_BITS * i & 0xffff);
    error = ballot_all_reduce(pieces, pieces, count, BALLOT_FLOAT32, BALLOT_SUM,
                              ranks->comm, NULL);
    if (error != 0)
        return perf_ranks_complain(ranks, "ballot_all_reduce of results",
                                   error);
    for (int rank = 0; rank < ranks->ranks; rank++) {
        ranks->gathered[rank] = 0;
        for (int i = 0; i < PIECES; i++)
            ranks->gathered[rank] |= (uint64_t)pieces[PIECES * rank + i]
                                     << PIECE_BITS * i;
    }
    return 0;
}
