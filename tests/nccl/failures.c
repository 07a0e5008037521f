/* SPDX-License-Identifier: Apache-2.0 */
/* failures.c - what is refused, what ends a communicator, and what ends it. */
#include "program.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void says(ncclComm_t comm, const char *words)
{
    const char *last = ncclGetLastError(comm);

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
    says(r->comm, "no host memory");
    WANT(ncclInvalidArgument,
         ncclAllReduce(x, device, 4, ncclFloat, ncclSum, r->comm, NULL));
    /* It begins on the host, and ends where nothing is. */
    CHECK(mprotect(device, 4096, PROT_READ | PROT_WRITE) == 0);
    WANT(ncclInvalidArgument,
         ncclAllReduce(device + 4092, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    CHECK(munmap(device, 8192) == 0);
}

/* Another ncclCommInit of as many ids as ranks; all meet by the first one. */
static void many_ids(struct rank *r)
{
    ncclUniqueId ids[2];
    ncclComm_t comm;
    int32_t one = 1;

    ids[0] = next_id(r);
    ids[1] = next_id(r);
    WANT(ncclInvalidArgument,
         ncclCommInitRankScalable(&comm, r->ranks, r->rank, 0, ids, NULL));
    OK(ncclCommInitRankScalable(&comm, r->ranks, r->rank, 2, ids, NULL));
    OK(ncclAllReduce(&one, &one, 1, ncclInt32, ncclSum, comm, NULL));
    CHECK(one == r->ranks);
    OK(ncclCommDestroy(comm));
}

void case_refused(struct rank *r)
{
    float x[4] = {1, 2, 3, 4};
    ncclWaitSignalDesc_t signal = {1, 0, 0, 0};
    uint64_t value = 1;
    int device = 0;

    refuse_device(r);
    many_ids(r);
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
    says(r->comm, "one-sided");
    WANT(ncclInvalidUsage, ncclSignal(0, 0, 0, 0, r->comm, NULL));
    says(r->comm, "ncclSignal: ballot has no one-sided calls");
    WANT(ncclInvalidUsage, ncclWaitSignal(1, &signal, r->comm, NULL));
    says(r->comm, "ncclWaitSignal: ballot has no one-sided calls");
    WANT(ncclInvalidUsage, ncclCommSuspend(r->comm, NCCL_SUSPEND_MEM));
    says(r->comm, "ncclCommSuspend: ballot has no memory of a device");
    WANT(ncclInvalidUsage, ncclCommResume(r->comm));
    says(r->comm, "ncclCommResume: ballot has no memory of a device");
    WANT(ncclInvalidUsage, ncclCommCuDevice(r->comm, &device));
    says(r->comm, "ncclCommCuDevice: ballot works on host memory");
    OK(ncclCommMemStats(r->comm, ncclStatGpuMemTotal, &value));
    CHECK(value == 0);
    OK(ncclGroupStart());
    OK(ncclAllReduce(x, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    WANT(ncclInvalidUsage, ncclGroupSimulateEnd(NULL));
    if (r->process) /* else another rank may have said something since */
        says(NULL, "ballot does not estimate times");
    CHECK(x[0] == 1.0f);
    WANT(ncclInvalidUsage, ncclGroupEnd()); /* that group is over */
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
    says(r->comm, "8");
    says(r->comm, "4");
    says(r->comm, "rank");
    OK(ncclCommGetAsyncError(r->comm, &state));
    WANT(ncclInvalidUsage, state);
    WANT(ncclInvalidUsage,
         ncclAllReduce(x, x, 4, ncclFloat, ncclSum, r->comm, NULL));
    OK(ncclCommAbort(r->comm));
    r->comm = NULL;
}

static void *wait_for_a_message(void *context)
{
    struct waiter *w = context;
    float x;

    w->result = ncclRecv(&x, 1, ncclFloat, 0, w->comm, NULL);
    return NULL;
}

void begin_waiting(struct waiter *w, ncclComm_t comm)
{
    *w = (struct waiter){.comm = comm, .result = ncclSuccess};
    CHECK(pthread_create(&w->thread, NULL, wait_for_a_message, w) == 0);
    usleep(50000);
}

void case_abort(struct rank *r)
{
    struct waiter w;

    if (r->rank == r->ranks - 1) {
        begin_waiting(&w, r->comm);
        OK(ncclCommAbort(r->comm));
        pthread_join(w.thread, NULL);
        WANT(ncclInvalidUsage, w.result);
    } else {
        meet(r);
        OK(ncclCommAbort(r->comm));
    }
    if (r->rank == r->ranks - 1)
        meet(r);
    r->comm = NULL;
}
