/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpi_sizes.c - the collectives of MPI, timed by sizes.c.
 */
#include "sizes.h"

#include <mpi.h>

/* MPI ends the job itself when a call fails. */
static void call(enum what what, const float *send, float *recv, size_t count)
{
    const MPI_Comm comm = MPI_COMM_WORLD;
    const int n = (int)count;

    switch (what) {
    case ALL_REDUCE:
        MPI_Allreduce(send, recv, n, MPI_FLOAT, MPI_SUM, comm);
        break;
    case BROADCAST: MPI_Bcast(recv, n, MPI_FLOAT, 0, comm); break;
    case ALL_GATHER:
        MPI_Allgather(send, n, MPI_FLOAT, recv, n, MPI_FLOAT, comm);
        break;
    case REDUCE_SCATTER:
        MPI_Reduce_scatter_block(send, recv, n, MPI_FLOAT, MPI_SUM, comm);
        break;
    case ALL_TO_ALL:
        MPI_Alltoall(send, n, MPI_FLOAT, recv, n, MPI_FLOAT, comm);
        break;
    case REDUCE: MPI_Reduce(send, recv, n, MPI_FLOAT, MPI_SUM, 0, comm); break;
    case GATHER:
        MPI_Gather(send, n, MPI_FLOAT, recv, n, MPI_FLOAT, 0, comm);
        break;
    default:
        MPI_Scatter(send, n, MPI_FLOAT, recv, n, MPI_FLOAT, 0, comm);
        break;
    }
}

static void barrier(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
}

static double most(double value)
{
    double all;

    MPI_Allreduce(&value, &all, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return all;
}

int main(int count, char **arguments)
{
    struct library mpi = {
        .name = "mpi_sizes",
        .call = call,
        .barrier = barrier,
        .most = most,
    };
    int code;

    MPI_Init(&count, &arguments);
    MPI_Comm_rank(MPI_COMM_WORLD, &mpi.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &mpi.ranks);
    code = sizes_run(&mpi, count, arguments);
    MPI_Finalize();
    return code;
}
