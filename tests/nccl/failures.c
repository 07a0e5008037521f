/* SPDX-License-Identifier: Apache-2.0 */
/* failures.c - what is refused, what ends a communicator, and what ends it. */
#include "program.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void says(const struct rank *r, const char *words)
{
    const char *last = ncclGetLastError(r->comm);

    if (strstr(last, words) == NULL)
        fprintf(stderr, "\"%s\" is not in \"%s\"\n", words, last);
    CHECK(strstr(last, words) != NULL);
}

/* Addresses without pages, as a device's memory has. */
static void refuse_device(struct rank *r)
{
    unsigned char *device =
        mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    float x[4] = {0};

    CHECK(device != MAP_FAILED);
    WANT(ncclInvalidArgument,
         ncclAllReduce(device, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    says(r, "no host memory");
    WANT(ncclInvalidArgument,
         ncclAllReduce(x, device, 4, ncclFloat, ncclSum, r->comm, NULL));
    /* It begins on the host, and ends where nothing is. */
    CHECK(mprotect(device, 4096, PROT_READ | PROT_WRITE) == 0);
    WANT(ncclInvalidArgument,
         ncclAllReduce(device + 4092, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    CHECK(munmap(device, 8192) == 0);
}

void case_refused(struct rank *r)
{
    float x[4] = {1, 2, 3, 4};
    ncclWaitSignalDesc_t signal = {1, 0, 0, 0};
    uint64_t value = 1;
    int device = 0;

    refuse_device(r);
    WANT(ncclInvalidArgument,
         ncclAllReduce(NULL, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    WANT(ncclInvalidArgument,
         ncclAllReduce(x, x, 4, ncclFloat, ncclSum, NULL, NULL));
    WANT(ncclInvalidArgument,
         ncclAllReduce(x, x, 4, ncclFloat, (ncclRedOp_t)4711, r->comm, NULL));
    WANT(ncclInvalidArgument,
         ncclAllReduce(x, x, 4, ncclFloat8e4m3, ncclSum, r->comm, NULL));
    WANT(ncclInvalidArgument,
         ncclAllReduce(x, x, SIZE_MAX / 2, ncclFloat, ncclSum, r->comm, NULL));
    WANT(ncclInvalidArgument,
         ncclBroadcast(x, x, 4, ncclFloat, r->ranks, r->comm, NULL));
    WANT(ncclInvalidArgument, ncclSend(x, 4, ncclFloat, -1, r->comm, NULL));
    WANT(ncclInvalidUsage,
         ncclPutSignal(x, 4, ncclFloat, 0, NULL, 0, 0, 0, 0, r->comm, NULL));
    says(r, "one-sided");
    WANT(ncclInvalidUsage, ncclSignal(0, 0, 0, 0, r->comm, NULL));
    WANT(ncclInvalidUsage, ncclWaitSignal(1, &signal, r->comm, NULL));
    WANT(ncclInvalidUsage, ncclCommSuspend(r->comm, NCCL_SUSPEND_MEM));
    WANT(ncclInvalidUsage, ncclCommResume(r->comm));
    WANT(ncclInvalidUsage, ncclCommCuDevice(r->comm, &device));
    says(r, "host memory");
    OK(ncclCommMemStats(r->comm, ncclStatGpuMemTotal, &value));
    CHECK(value == 0);
    OK(ncclGroupStart());
    OK(ncclAllReduce(x, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    WANT(ncclInvalidUsage, ncclGroupSimulateEnd(NULL));
    CHECK(x[0] == 1.0f);
    /* None of this has hurt it. */
    OK(ncclAllReduce(x, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    CHECK(x[0] == (float)r->ranks);
}

/* Rank 0 means something else: all learn both calls. */
void case_mismatch(struct rank *r)
{
    float x[8] = {0};
    const size_t count = r->rank == 0 ? 8 : 4;
    ncclResult_t state = ncclSuccess;

    WANT(ncclInvalidUsage,
         ncclAllReduce(x, x, count, ncclFloat, ncclSum, r->comm, NULL));
    says(r, "8");
    says(r, "4");
    says(r, "rank");
    OK(ncclCommGetAsyncError(r->comm, &state));
    WANT(ncclInvalidUsage, state);
    WANT(ncclInvalidUsage,
         ncclAllReduce(x, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    OK(ncclCommAbort(r->comm));
    r->comm = NULL;
}

struct waiter {
    ncclComm_t comm;
    ncclResult_t result;
};

static void *wait_for_a_message(void *context)
{
    struct waiter *w = context;
    float x;

    w->result = ncclRecv(&x, 1, ncclFloat, 0, w->comm, NULL);
    return NULL;
}

/* Another thread of the last rank waits for a message that never comes. */
static struct waiter begin_waiting(struct rank *r, pthread_t *thread,
                                   struct waiter *w)
{
    *w = (struct waiter){r->comm, ncclSuccess};
    CHECK(pthread_create(thread, NULL, wait_for_a_message, w) == 0);
    usleep(50000);
    return *w;
}

void case_abort(struct rank *r)
{
    pthread_t thread;
    struct waiter w;

    if (r->rank == r->ranks - 1) {
        begin_waiting(r, &thread, &w);
        OK(ncclCommAbort(r->comm));
        pthread_join(thread, NULL);
        WANT(ncclInvalidUsage, w.result);
    } else {
        meet(r);
        OK(ncclCommAbort(r->comm));
    }
    if (r->rank == r->ranks - 1)
        meet(r);
    r->comm = NULL;
}

void case_revoke(struct rank *r)
{
    pthread_t thread;
    struct waiter w;
    float x = 0;

    WANT(ncclInvalidArgument, ncclCommRevoke(r->comm, 1));
    if (r->rank == r->ranks - 1)
        begin_waiting(r, &thread, &w);
    meet(r);
    OK(ncclCommRevoke(r->comm, NCCL_REVOKE_DEFAULT));
    if (r->rank == r->ranks - 1) {
        pthread_join(thread, NULL);
        CHECK(w.result != ncclSuccess);
    }
    WANT(ncclSuccess, settle(r->comm));
    WANT(ncclInvalidUsage,
         ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, r->comm, NULL));
    says(r, "revoked");
    WANT(ncclInvalidUsage, ncclCommFinalize(r->comm));
    WANT(ncclInvalidUsage, ncclCommRevoke(r->comm, NCCL_REVOKE_DEFAULT));
}
