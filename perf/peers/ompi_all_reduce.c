/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ompi_all_reduce.c - time of MPI_Allreduce, measured as ballot-perf does.
 *
 *     mpirun -np 4 ompi_all_reduce COUNT ITERATIONS WARMUPS
 *
 * Sums COUNT floats out of place; rank 0 prints the mean time of a call over
 * iterations and ranks, in microseconds.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static void reduce(const float *send, float *recv, int count, int times)
{
    for (int i = 0; i < times; i++)
        MPI_Allreduce(send, recv, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static double measure(const float *send, float *recv, int count, int iterations,
                      int warmups)
{
    double start, own, all;
    int ranks;

    reduce(send, recv, count, warmups);
    MPI_Barrier(MPI_COMM_WORLD);
    start = MPI_Wtime();
    reduce(send, recv, count, iterations);
    own = (MPI_Wtime() - start) / iterations * 1e6;
    MPI_Allreduce(&own, &all, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    return all / ranks;
}

/* Whole numbers that the sum holds exactly. */
static int count_wrong(const float *recv, int count, int ranks)
{
    int wrong = 0;

    for (int i = 0; i < count; i++)
        wrong += recv[i] != (float)(ranks * (i % 16) + ranks * (ranks - 1) / 2);
    return wrong;
}

int main(int argument_count, char **arguments)
{
    int count, rank, ranks, wrong;
    float *send, *recv;
    double us;

    MPI_Init(&argument_count, &arguments);
    if (argument_count != 4 || (count = atoi(arguments[1])) < 1 ||
        atoi(arguments[2]) < 1) {
        fprintf(stderr, "usage: ompi_all_reduce COUNT ITERATIONS WARMUPS\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
        return 2;
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    send = calloc((size_t)count, sizeof(*send));
    recv = calloc((size_t)count, sizeof(*recv));
    if (send == NULL || recv == NULL) {
        fprintf(stderr, "ompi_all_reduce: no memory for %d floats\n", count);
        MPI_Abort(MPI_COMM_WORLD, 1);
        return 1;
    }
    for (int i = 0; i < count; i++)
        send[i] = (float)(i % 16 + rank);
    us = measure(send, recv, count, atoi(arguments[2]), atoi(arguments[3]));
    wrong = count_wrong(recv, count, ranks);
    if (wrong > 0)
        fprintf(stderr, "ompi_all_reduce: %d wrong sums on rank %d\n", wrong,
                rank);
    if (rank == 0)
        printf("%.3f\n", us);
    free(recv);
    free(send);
    MPI_Finalize();
    return wrong > 0;
}
