/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 5_mpirun.c - one program for every launcher: who runs where, a vote and a
 * sum.
 *
 *     mpirun -n 4 ./5_mpirun                 (Open MPI)
 *     mpiexec -n 4 ./5_mpirun                (MPICH)
 *     srun -n 4 ./5_mpirun                   (Slurm)
 *     torchrun --nproc-per-node 4 --no-python ./5_mpirun
 *     ballot-run -n 4 ./5_mpirun             (on one host)
 *
 * BALLOT_DEBUG=INFO says which of them was seen, and how ranks meet.
 */
#include <ballot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 1000, HOST_BYTES = 64 };

static int report(const struct ballot_comm *comm, const char *call, int error)
{
    fprintf(stderr, "%s: %s: %s\n", call, ballot_error_string(error),
            ballot_last_error(comm));
    return error;
}

/* Rank 0 prints a line for each rank. */
static int show_places(struct ballot_comm *comm)
{
    int ranks = ballot_comm_size(comm), rank = ballot_comm_rank(comm);
    char *hosts = calloc((size_t)ranks, HOST_BYTES);
    char host[HOST_BYTES] = "";
    int error = -1;

    if (hosts == NULL)
        return error;
    gethostname(host, sizeof(host) - 1);
    error = ballot_gather(host, hosts, HOST_BYTES, BALLOT_UINT8, 0, comm, NULL);
    for (int r = 0; r < ranks && rank == 0 && error == 0; r++)
        printf("rank %d of %d runs on %.*s\n", r, ranks, HOST_BYTES,
               hosts + r * HOST_BYTES);
    free(hosts);
    return error == 0 ? 0 : report(comm, "ballot_gather", error);
}

/* Each rank sees another gradient; on most ranks it is negative where i is
 * odd. */
static int vote_and_sum(struct ballot_comm *comm)
{
    static float gradient[COUNT], signs[COUNT], total[COUNT];
    int ranks = ballot_comm_size(comm), rank = ballot_comm_rank(comm);
    int minus = 0, error;

    for (int i = 0; i < COUNT; i++)
        gradient[i] = (i % 2 != 0) == (3 * rank < 2 * ranks) ? -0.5f : 1.5f;
    error = ballot_all_reduce(gradient, signs, COUNT, BALLOT_FLOAT32,
                              BALLOT_MAJORITY, comm, NULL);
    if (error != 0)
        return report(comm, "ballot_all_reduce of signs", error);
    error = ballot_all_reduce(gradient, total, COUNT, BALLOT_FLOAT32,
                              BALLOT_SUM, comm, NULL);
    if (error != 0)
        return report(comm, "ballot_all_reduce of a sum", error);
    for (int i = 0; i < COUNT; i++)
        minus += signs[i] < 0;
    if (rank == 0)
        printf("the majority says minus in %d of %d coordinates; "
               "the first two sums are %g and %g\n",
               minus, COUNT, (double)total[0], (double)total[1]);
    return 0;
}

int main(void)
{
    struct ballot_comm *comm;
    int error = ballot_comm_init_env(&comm, NULL), left;

    if (error != 0) {
        report(NULL, "ballot_comm_init_env", error);
        return 1;
    }
    error = show_places(comm);
    if (error == 0)
        error = vote_and_sum(comm);
    left = ballot_comm_finalize(&comm);
    if (left != 0)
        report(NULL, "ballot_comm_finalize", left);
    return error != 0 || left != 0;
}
