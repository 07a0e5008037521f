/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deaths.c - a rank is killed (SIGKILL), and the others go on without it.
 */
#include "program.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { COUNT = 1 << 18, CALLS_MAX = 100000, PATIENCE = 20000 };

static void die(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Takes note of how long the slowest rank took. */
static void took(struct rank *r, uint64_t begin_us)
{
    const uint32_t us = (uint32_t)(now_us() - begin_us);
    uint32_t most = r->board->shrink_us;

    while (us > most && !__atomic_compare_exchange_n(
                            (uint32_t *)&r->board->shrink_us, &most, us, false,
                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
}

static ncclComm_t shrunk(struct rank *r, int *excluded, int count, int flags)
{
    const uint64_t begin_us = now_us();
    ncclComm_t fewer = NULL;
    ncclResult_t result =
        ncclCommShrink(r->comm, excluded, count, &fewer, NULL, flags);

    if (result == ncclInProgress)
        result = settle(fewer);
    WANT(ncclSuccess, result);
    took(r, begin_us);
    return fewer;
}

/* The call goes through; a non-blocking one when it has settled. */
static void ends_well(ncclResult_t result, ncclComm_t comm)
{
    WANT(ncclSuccess, result == ncclInProgress ? settle(comm) : result);
}

/* Its first collective, and some more, over the ranks that are left. */
static void serves(struct rank *r, ncclComm_t comm, int victim)
{
    const int left = r->ranks - 1;
    int32_t first[3] = {r->rank, 1, -r->rank}, *all = NULL;
    int ranks = 0, rank = -1;
    int32_t sum = 0;

    for (int p = 0; p < r->ranks; p++)
        sum += p == victim ? 0 : p;
    ends_well(ncclAllReduce(first, first, 3, ncclInt32, ncclSum, comm, NULL),
              comm);
    CHECK(first[0] == sum && first[1] == left && first[2] == -sum);
    OK(ncclCommCount(comm, &ranks));
    OK(ncclCommUserRank(comm, &rank));
    CHECK(ranks == left && rank == r->rank - (r->rank > victim ? 1 : 0));
    all = malloc((size_t)left * COUNT * sizeof(*all));
    CHECK(all != NULL);
    for (int i = 0; i < COUNT; i++)
        all[(size_t)rank * COUNT + (size_t)i] = r->rank + i;
    ends_well(ncclAllGather(all + (size_t)rank * COUNT, all, COUNT, ncclInt32,
                            comm, NULL),
              comm);
    for (int p = 0; p < left; p++)
        for (int i = 0; i < COUNT; i++)
            CHECK(all[(size_t)p * COUNT + (size_t)i] ==
                  p + (p >= victim ? 1 : 0) + i);
    free(all);
}

/* Nothing was called: only who asks learns of it. */
static ncclResult_t await_error(ncclComm_t comm)
{
    ncclResult_t state = ncclSuccess;

    for (int i = 0; i < PATIENCE && state == ncclSuccess; i++) {
        OK(ncclCommGetAsyncError(comm, &state));
        usleep(500);
    }
    return state;
}

static void at_rest(struct rank *r, int victim)
{
    float x = 1;
    ncclComm_t fewer;

    r->comm = join(r, NULL);
    meet(r);
    if (r->rank == victim)
        die();
    WANT(ncclRemoteError, await_error(r->comm));
    says(r->comm, "rank");
    WANT(ncclRemoteError,
         ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, r->comm, NULL));
    fewer = shrunk(r, NULL, 0, NCCL_SHRINK_DEFAULT);
    serves(r, fewer, victim);
    OK(ncclCommDestroy(fewer));
    OK(ncclCommAbort(r->comm));
}

static void *die_soon(void *unused)
{
    (void)unused;
    usleep(3000);
    die();
    return NULL;
}

/* In the midst of large calls, which others are in, too. */
static void in_calls(struct rank *r, int victim)
{
    float *x = calloc(COUNT, sizeof(*x));
    ncclResult_t result = ncclSuccess;
    ncclComm_t fewer;
    pthread_t thread;

    CHECK(x != NULL);
    r->comm = join(r, NULL);
    meet(r);
    if (r->rank == victim)
        CHECK(pthread_create(&thread, NULL, die_soon, NULL) == 0);
    for (int i = 0; i < CALLS_MAX && result == ncclSuccess; i++)
        result = ncclAllReduce(x, x, COUNT, ncclFloat, ncclSum, r->comm, NULL);
    WANT(ncclRemoteError, result);
    fewer = shrunk(r, NULL, 0, NCCL_SHRINK_ABORT);
    serves(r, fewer, victim);
    OK(ncclCommDestroy(fewer));
    OK(ncclCommDestroy(r->comm));
    free(x);
}

/* It never comes to a call in which the others are. */
static void behind(struct rank *r, int victim)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclComm_t fewer;
    float x = 1;

    config.blocking = 0;
    r->comm = join(r, &config);
    if (r->rank == victim) {
        meet(r);
        usleep(5000);
        die();
    }
    WANT(ncclInProgress,
         ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, r->comm, NULL));
    meet(r);
    WANT(ncclRemoteError, settle(r->comm));
    fewer = shrunk(r, NULL, 0, NCCL_SHRINK_ABORT);
    serves(r, fewer, victim);
    OK(ncclCommDestroy(fewer));
    OK(ncclCommAbort(r->comm));
}

/* It is alive, stands still, and is left out. */
static void excluded(struct rank *r, int victim)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclComm_t fewer;
    float x = 1;

    config.blocking = 0;
    r->comm = join(r, &config);
    if (r->rank == victim) {
        meet(r);
        meet(r);
        die();
    }
    WANT(ncclInProgress,
         ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, r->comm, NULL));
    WANT(ncclInvalidArgument, ncclCommShrink(r->comm, &victim, 1, &fewer, NULL,
                                             NCCL_SHRINK_DEFAULT));
    says(r->comm, "the call before has not ended");
    meet(r);
    fewer = shrunk(r, &victim, 1, NCCL_SHRINK_ABORT);
    CHECK(settle(r->comm) != ncclSuccess);
    serves(r, fewer, victim);
    meet(r);
    OK(ncclCommDestroy(fewer));
    OK(ncclCommAbort(r->comm));
}

/* Calls on two communicators that have lost a rank, in a group; both can be
 * revoked, and shrunk. */
static void in_groups(struct rank *r, int victim)
{
    ncclComm_t second, fewer;
    float x = 1, y = 1;

    r->comm = join(r, NULL);
    OK(ncclCommSplit(r->comm, 0, 0, &second, NULL));
    meet(r);
    if (r->rank == victim)
        die();
    OK(ncclGroupStart());
    OK(ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, r->comm, NULL));
    OK(ncclAllReduce(&y, &y, 1, ncclFloat, ncclSum, second, NULL));
    WANT(ncclRemoteError, ncclGroupEnd());
    OK(ncclCommRevoke(r->comm, NCCL_REVOKE_DEFAULT));
    WANT(ncclRemoteError, ncclCommSplit(r->comm, 0, 0, &fewer, NULL));
    fewer = shrunk(r, NULL, 0, NCCL_SHRINK_DEFAULT);
    serves(r, fewer, victim);
    OK(ncclCommDestroy(fewer));
    OK(ncclCommAbort(r->comm));
    r->comm = second;
    fewer = shrunk(r, NULL, 0, NCCL_SHRINK_ABORT);
    serves(r, fewer, victim);
    OK(ncclCommDestroy(fewer));
    OK(ncclCommAbort(second));
}

const struct death deaths[] = {
    {"at_rest", at_rest},   {"in_calls", in_calls},   {"behind", behind},
    {"excluded", excluded}, {"in_groups", in_groups},
};
const int deaths_count = sizeof(deaths) / sizeof(deaths[0]);
