/* SPDX-License-Identifier: Apache-2.0 */
/* groups.c - calls that begin together, and calls that go on behind. */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* To each rank and from each rank, the one with itself, too. */
static void exchange(struct rank *r, int64_t *send, int64_t *recv)
{
    for (int p = 0; p < r->ranks; p++) {
        send[p] = 1000 * r->rank + p;
        recv[p] = -1;
    }
    OK(ncclGroupStart());
    for (int p = 0; p < r->ranks; p++) {
        OK(ncclSend(&send[p], 1, ncclInt64, p, r->comm, NULL));
        OK(ncclRecv(&recv[p], 1, ncclInt64, p, r->comm, NULL));
    }
    OK(ncclGroupEnd());
    for (int p = 0; p < r->ranks; p++)
        CHECK(recv[p] == 1000 * p + r->rank);
}

void case_groups(struct rank *r)
{
    int64_t send[RANKS_MAX], recv[RANKS_MAX], sum = r->rank, one = 1;
    const int next = (r->rank + 1) % r->ranks;
    int64_t token = 7;

    exchange(r, send, recv);
    /* A chain without a group. */
    if (r->rank == 0)
        OK(ncclSend(&token, 1, ncclInt64, next, r->comm, NULL));
    else
        OK(ncclRecv(&recv[0], 1, ncclInt64, r->rank - 1, r->comm, NULL));
    if (r->rank != 0 && next != 0)
        OK(ncclSend(&recv[0], 1, ncclInt64, next, r->comm, NULL));
    CHECK(r->rank == 0 || recv[0] == 7);
    /* Nested, and an argument that is wrong leaves the group as it is. */
    OK(ncclGroupStart());
    OK(ncclAllReduce(&sum, &sum, 1, ncclInt64, ncclSum, r->comm, NULL));
    OK(ncclGroupStart());
    WANT(ncclInvalidArgument,
         ncclAllReduce(&one, &one, 1, ncclNumTypes, ncclSum, r->comm, NULL));
    OK(ncclAllReduce(&one, &one, 1, ncclInt64, ncclSum, r->comm, NULL));
    OK(ncclGroupEnd());
    CHECK(one == 1); /* nothing has begun */
    OK(ncclGroupEnd());
    CHECK(sum == r->ranks * (r->ranks - 1) / 2 && one == r->ranks);
    WANT(ncclInvalidUsage, ncclGroupEnd());
    OK(ncclGroupStart());
    OK(ncclGroupEnd());
}

/* More than ballot takes at once: of calls, and of messages. */
void case_large_groups(struct rank *r)
{
    enum { CALLS = 150, MESSAGES = 40 };
    int32_t *sums = calloc(CALLS, sizeof(*sums));
    int32_t *send = calloc((size_t)r->ranks * MESSAGES, sizeof(*send));
    int32_t *recv = calloc((size_t)r->ranks * MESSAGES, sizeof(*recv));

    CHECK(sums != NULL && send != NULL && recv != NULL);
    OK(ncclGroupStart());
    for (int i = 0; i < CALLS; i++) {
        sums[i] = i;
        OK(ncclAllReduce(&sums[i], &sums[i], 1, ncclInt32, ncclSum, r->comm,
                         NULL));
    }
    /* All sends of a peer, then all receives. */
    for (int p = 0; p < r->ranks; p++)
        for (int m = 0; m < MESSAGES; m++) {
            int32_t *x = &send[p * MESSAGES + m];

            *x = 10000 * r->rank + 100 * p + m;
            OK(ncclSend(x, 1, ncclInt32, p, r->comm, NULL));
        }
    for (int p = r->ranks - 1; p >= 0; p--)
        for (int m = 0; m < MESSAGES; m++)
            OK(ncclRecv(&recv[p * MESSAGES + m], 1, ncclInt32, p, r->comm,
                        NULL));
    OK(ncclGroupEnd());
    for (int i = 0; i < CALLS; i++)
        CHECK(sums[i] == i * r->ranks);
    for (int p = 0; p < r->ranks; p++)
        for (int m = 0; m < MESSAGES; m++)
            CHECK(recv[p * MESSAGES + m] == 10000 * p + 100 * r->rank + m);
    free(sums);
    free(send);
    free(recv);
}

/* ---- Non-blocking communicators ---- */

static void settles(ncclResult_t result, ncclComm_t comm)
{
    CHECK(result == ncclSuccess || result == ncclInProgress);
    WANT(ncclSuccess, settle(comm));
}

void case_non_blocking(struct rank *r)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclResult_t state;
    ncclComm_t comm;
    ncclUniqueId id;
    float x = 1.0f, y = 2.0f, z = 0.0f;
    int ranks = 0;

    config.blocking = 0;
    id = next_id(r);
    WANT(ncclInProgress,
         ncclCommInitRankConfig(&comm, r->ranks, id, r->rank, &config));
    WANT(ncclSuccess, settle(comm));
    OK(ncclCommCount(comm, &ranks));
    CHECK(ranks == r->ranks);
    /* Nothing is done while it is not called everywhere. */
    if (r->rank == 0) {
        WANT(ncclInProgress,
             ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, comm, NULL));
        usleep(20000);
        OK(ncclCommGetAsyncError(comm, &state));
        WANT(ncclInProgress, state);
        WANT(ncclInvalidArgument,
             ncclAllReduce(&y, &y, 1, ncclFloat, ncclSum, comm, NULL));
    }
    meet(r);
    if (r->rank != 0)
        WANT(ncclInProgress,
             ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, comm, NULL));
    WANT(ncclSuccess, settle(comm));
    CHECK(x == (float)r->ranks);
    OK(ncclGroupStart());
    OK(ncclAllReduce(&y, &y, 1, ncclFloat, ncclSum, comm, NULL));
    OK(ncclBroadcast(&x, &z, 1, ncclFloat, 0, comm, NULL));
    settles(ncclGroupEnd(), comm);
    CHECK(y == 2.0f * (float)r->ranks && z == x);
    settles(ncclCommFinalize(comm), comm);
    WANT(ncclInvalidUsage,
         ncclAllReduce(&y, &y, 1, ncclFloat, ncclSum, comm, NULL));
    OK(ncclCommDestroy(comm));
}

/* ---- Groups over several communicators ---- */

/* A sum on all, one that goes round backwards, and messages on both. */
static void call_all(struct rank *r, ncclComm_t back, ncclComm_t half)
{
    const int next = (r->rank + 1) % r->ranks;
    const int before = (r->rank + r->ranks - 1) % r->ranks;
    const int members = (r->ranks + 1 - r->rank % 2) / 2;
    int32_t sum = 1, root = r->rank, part = 1;
    int32_t sent[2] = {r->rank, 100 + r->rank}, got[2] = {-1, -1};

    OK(ncclGroupStart());
    OK(ncclAllReduce(&sum, &sum, 1, ncclInt32, ncclSum, r->comm, NULL));
    OK(ncclBroadcast(&root, &root, 1, ncclInt32, 0, back, NULL));
    OK(ncclSend(&sent[0], 1, ncclInt32, next, r->comm, NULL));
    OK(ncclAllReduce(&part, &part, 1, ncclInt32, ncclSum, half, NULL));
    /* The next rank's number on the one that is turned round. */
    OK(ncclSend(&sent[1], 1, ncclInt32, r->ranks - 1 - next, back, NULL));
    OK(ncclRecv(&got[1], 1, ncclInt32, r->ranks - 1 - before, back, NULL));
    OK(ncclRecv(&got[0], 1, ncclInt32, before, r->comm, NULL));
    settles(ncclGroupEnd(), r->comm);
    WANT(ncclSuccess, settle(back));
    WANT(ncclSuccess, settle(half));
    CHECK(sum == r->ranks && root == r->ranks - 1 && part == members);
    CHECK(got[0] == before && got[1] == 100 + before);
}

void case_many_comms(struct rank *r)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclComm_t back, half, all = r->comm;
    int32_t x[2] = {1, 1}, y = 1;

    for (int behind = 0; behind < 2; behind++) {
        config.blocking = !behind;
        r->comm = behind ? join(r, &config) : all;
        OK(ncclGroupStart());
        OK(ncclCommSplit(r->comm, 0, -r->rank, &back, &config));
        OK(ncclCommSplit(r->comm, r->rank % 2, 0, &half, &config));
        settles(ncclGroupEnd(), r->comm);
        WANT(ncclSuccess, settle(back));
        WANT(ncclSuccess, settle(half));
        call_all(r, back, half);
        OK(ncclCommDestroy(half));
        if (!behind) {
            /* What is wrong on one of them ends that one alone. */
            meet(r);
            OK(ncclGroupStart());
            OK(ncclAllReduce(&y, &y, 1, ncclInt32, ncclSum, r->comm, NULL));
            OK(ncclAllReduce(x, x, r->rank == 0 ? 2 : 1, ncclInt32, ncclSum,
                             back, NULL));
            WANT(ncclInvalidUsage, ncclGroupEnd());
            CHECK(y == r->ranks);
            WANT(ncclInvalidUsage, settle(back));
            WANT(ncclSuccess, settle(r->comm));
        }
        OK(ncclCommDestroy(back));
        if (behind)
            OK(ncclCommDestroy(r->comm));
    }
    r->comm = all;
}

/* Rank 0 means something else, on a communicator that goes on behind: each
 * rank learns it when it asks. */
void case_behind_fails(struct rank *r)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    const size_t count = r->rank == 0 ? 8 : 4;
    float x[8] = {0};
    ncclComm_t comm;

    config.blocking = 0;
    comm = join(r, &config);
    meet(r); /* else who still asks whether it has joined hears of it */
    WANT(ncclInProgress,
         ncclAllReduce(x, x, count, ncclFloat, ncclSum, comm, NULL));
    WANT(ncclInvalidUsage, settle(comm));
    says(comm, "ranks disagree");
    says(comm, "of 8 float32");
    WANT(ncclInvalidUsage,
         ncclAllReduce(x, x, 4, ncclFloat, ncclSum, comm, NULL));
    OK(ncclCommAbort(comm));
    /* An argument that is wrong is refused at once, and does no harm. */
    comm = join(r, &config);
    WANT(ncclInvalidArgument,
         ncclAllReduce(NULL, x, 4, ncclFloat, ncclSum, comm, NULL));
    WANT(ncclSuccess, settle(comm));
    WANT(ncclInProgress,
         ncclAllReduce(x, x, 4, ncclFloat, ncclSum, comm, NULL));
    WANT(ncclSuccess, settle(comm));
    OK(ncclCommDestroy(comm));
}
