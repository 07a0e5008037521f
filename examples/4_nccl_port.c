/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 4_nccl_port.c - a data-parallel training that was written for NCCL.
 *
 *     ./4_nccl_port 4                            the mean of all gradients
 *     BALLOT_NCCL_MAJORITY=64 ./4_nccl_port 4    the vote on their signs
 *
 * It includes nccl.h and knows nothing of ballot; linked with libballot_nccl it
 * runs on host memory, and the stream is NULL. Ranks are processes that get the
 * id through a pipe; each has its own examples of one linear function, whose
 * weights they find together.
 */
#include <math.h>
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WEIGHTS = 64, EXAMPLES = 256, STEPS = 200, RANKS_MAX = 64 };

#define NCCL(call)                                                             \
    do {                                                                       \
        ncclResult_t result = (call);                                          \
                                                                               \
        if (result != ncclSuccess) {                                           \
            fprintf(stderr, "%s: %s: %s\n", #call, ncclGetErrorString(result), \
                    ncclGetLastError(NULL));                                   \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static float inputs[EXAMPLES][WEIGHTS];
static float outputs[EXAMPLES];

/* About normal, with mean 0 and variance 1. */
static float normal(unsigned *seed)
{
    float sum = -6.0f;

    for (int i = 0; i < 12; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        sum += (float)(*seed >> 8) * 0x1p-24f;
    }
    return sum;
}

/* Of the function that is to be found: between -2 and 2. */
static float weight(int w)
{
    return 2.0f * sinf((float)w);
}

static void make_examples(int rank)
{
    unsigned seed = 1u + (unsigned)rank;

    for (int e = 0; e < EXAMPLES; e++) {
        outputs[e] = 0.01f * normal(&seed);
        for (int w = 0; w < WEIGHTS; w++) {
            inputs[e][w] = normal(&seed);
            outputs[e] += weight(w) * inputs[e][w];
        }
    }
}

/* The gradient of the mean squared error of this rank; returns the error. */
static float differentiate(const float *weights, float *gradient)
{
    float error = 0.0f;

    memset(gradient, 0, WEIGHTS * sizeof(gradient[0]));
    for (int e = 0; e < EXAMPLES; e++) {
        float off = -outputs[e];

        for (int w = 0; w < WEIGHTS; w++)
            off += weights[w] * inputs[e][w];
        for (int w = 0; w < WEIGHTS; w++)
            gradient[w] += off * inputs[e][w] / EXAMPLES;
        error += off * off / EXAMPLES;
    }
    return error;
}

static void train(ncclComm_t comm, int rank)
{
    float *weights, *gradient, error, total = 0.0f;
    void *memory[2];

    NCCL(ncclMemAlloc(&memory[0], WEIGHTS * sizeof(float)));
    NCCL(ncclMemAlloc(&memory[1], WEIGHTS * sizeof(float)));
    weights = memory[0];
    gradient = memory[1];
    for (int w = 0; w < WEIGHTS; w++)
        weights[w] = rank == 0 ? 0.0f : NAN; /* rank 0 says where it begins */
    NCCL(ncclBroadcast(weights, weights, WEIGHTS, ncclFloat, 0, comm, NULL));
    for (int step = 0; step <= STEPS; step++) {
        const float rate = 0.1f / (1.0f + (float)step / 20.0f);

        error = differentiate(weights, gradient);
        NCCL(ncclReduce(&error, &total, 1, ncclFloat, ncclAvg, 0, comm, NULL));
        if (rank == 0 && step % 50 == 0)
            printf("step %3d, mean squared error %.4f\n", step, (double)total);
        NCCL(ncclAllReduce(gradient, gradient, WEIGHTS, ncclFloat, ncclAvg,
                           comm, NULL));
        for (int w = 0; w < WEIGHTS; w++)
            weights[w] -= rate * gradient[w];
    }
    NCCL(ncclMemFree(weights));
    NCCL(ncclMemFree(gradient));
}

/* Rank 0 writes the id once for each other rank; all read from one pipe. */
static void run(int rank, int ranks, const int *ids)
{
    ncclComm_t comm;
    ncclUniqueId id;

    if (rank == 0) {
        NCCL(ncclGetUniqueId(&id));
        for (int r = 1; r < ranks; r++)
            if (write(ids[1], &id, sizeof(id)) != (ssize_t)sizeof(id))
                exit(1);
    } else if (close(ids[1]) != 0 ||
               read(ids[0], &id, sizeof(id)) != (ssize_t)sizeof(id)) {
        exit(1);
    }
    NCCL(ncclCommInitRank(&comm, ranks, id, rank));
    make_examples(rank);
    train(comm, rank);
    NCCL(ncclCommFinalize(comm));
    NCCL(ncclCommDestroy(comm));
}

int main(int argc, char **argv)
{
    const int ranks = argc == 2 ? atoi(argv[1]) : 0;
    int ids[2], status, failed = 0;

    if (ranks < 1 || ranks > RANKS_MAX || pipe(ids) != 0) {
        fprintf(stderr, "usage: %s RANKS (1 to %d)\n", argv[0], RANKS_MAX);
        return 2;
    }
    for (int rank = 0; rank < ranks; rank++)
        if (fork() == 0) {
            run(rank, ranks, ids);
            return 0;
        }
    close(ids[1]); /* so that reading ends if rank 0 fails */
    while (wait(&status) > 0)
        failed |= status != 0;
    return failed;
}
