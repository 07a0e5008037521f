/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_sizes.c - the collectives of ballot, timed by sizes.c.
 */
#include "sizes.h"

#include <ballot.h>
#include <stdio.h>
#include <stdlib.h>

static struct ballot_comm *comm;

static void succeed(const char *what, int error)
{
    if (error == 0)
        return;
    fprintf(stderr, "ballot_sizes: %s: %s: %s\n", what,
            ballot_error_string(error), ballot_last_error(comm));
    exit(1);
}

static int try_call(enum what what, const float *send, float *recv,
                    size_t count)
{
    const enum ballot_type type = BALLOT_FLOAT32;

    switch (what) {
    case ALL_REDUCE:
        return ballot_all_reduce(send, recv, count, type, BALLOT_SUM, comm,
                                 NULL);
    case BROADCAST:
        return ballot_broadcast(recv, recv, count, type, 0, comm, NULL);
    case ALL_GATHER:
        return ballot_all_gather(send, recv, count, type, comm, NULL);
    case REDUCE_SCATTER:
        return ballot_reduce_scatter(send, recv, count, type, BALLOT_SUM, comm,
                                     NULL);
    case ALL_TO_ALL:
        return ballot_all_to_all(send, recv, count, type, comm, NULL);
    case REDUCE:
        return ballot_reduce(send, recv, count, type, BALLOT_SUM, 0, comm,
                             NULL);
    case GATHER: return ballot_gather(send, recv, count, type, 0, comm, NULL);
    default: return ballot_scatter(send, recv, count, type, 0, comm, NULL);
    }
}

static void call(enum what what, const float *send, float *recv, size_t count)
{
    succeed("a collective", try_call(what, send, recv, count));
}

static void barrier(void)
{
    succeed("a barrier", ballot_barrier(comm, NULL));
}

static double most(double value)
{
    static double all[BALLOT_RANKS_MAX];
    const int ranks = ballot_comm_size(comm);
    double largest = value;

    succeed("a gather",
            ballot_all_gather(&value, all, 1, BALLOT_FLOAT64, comm, NULL));
    for (int rank = 0; rank < ranks; rank++)
        largest = all[rank] > largest ? all[rank] : largest;
    return largest;
}

int main(int count, char **arguments)
{
    struct library ballot = {
        .name = "ballot_sizes",
        .call = call,
        .barrier = barrier,
        .most = most,
    };
    int code;

    succeed("joining the job", ballot_comm_init_env(&comm, NULL));
    ballot.rank = ballot_comm_rank(comm);
    ballot.ranks = ballot_comm_size(comm);
    code = sizes_run(&ballot, count, arguments);
    succeed("leaving the job", ballot_comm_finalize(&comm));
    return code;
}
