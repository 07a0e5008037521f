/* SPDX-License-Identifier: Apache-2.0 */
/* nccl_refuse.c - what has no meaning on host memory, and says so. */
#include "nccl_inside.h"

static ncclResult_t refuse(struct ncclComm *comm, const char *call,
                           const char *why)
{
    const ncclResult_t result = nccl_known(comm, call);

    if (result != ncclSuccess)
        return result;
    return nccl_fail(comm, ncclInvalidUsage, "%s: %s", call, why);
}

static const char no_device[] = "ballot works on host memory: there is no "
                                "device; leave this call out";
static const char no_suspend[] =
    "ballot has no memory of a device that could be given back for a while; "
    "destroy the communicator instead";
static const char no_put[] =
    "ballot has no one-sided calls; use ncclSend() and ncclRecv()";

ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int *device)
{
    (void)device;
    return refuse(comm, "ncclCommCuDevice", no_device);
}
NCCL_TWIN(ncclCommCuDevice);

ncclResult_t ncclCommSuspend(ncclComm_t comm, int flags)
{
    (void)flags;
    return refuse(comm, "ncclCommSuspend", no_suspend);
}
NCCL_TWIN(ncclCommSuspend);

ncclResult_t ncclCommResume(ncclComm_t comm)
{
    return refuse(comm, "ncclCommResume", no_suspend);
}
NCCL_TWIN(ncclCommResume);

ncclResult_t ncclPutSignal(const void *localbuff, size_t count,
                           ncclDataType_t datatype, int peer,
                           ncclWindow_t peerWin, size_t peerWinOffset,
                           int sigIdx, int ctx, unsigned int flags,
                           ncclComm_t comm, cudaStream_t stream)
{
    (void)localbuff, (void)count, (void)datatype, (void)peer, (void)peerWin;
    (void)peerWinOffset, (void)sigIdx, (void)ctx, (void)flags, (void)stream;
    return refuse(comm, "ncclPutSignal", no_put);
}
NCCL_TWIN(ncclPutSignal);

ncclResult_t ncclSignal(int peer, int sigIdx, int ctx, unsigned int flags,
                        ncclComm_t comm, cudaStream_t stream)
{
    (void)peer, (void)sigIdx, (void)ctx, (void)flags, (void)stream;
    return refuse(comm, "ncclSignal", no_put);
}
NCCL_TWIN(ncclSignal);

ncclResult_t ncclWaitSignal(int nDesc, ncclWaitSignalDesc_t *signalDescs,
                            ncclComm_t comm, cudaStream_t stream)
{
    (void)nDesc, (void)signalDescs, (void)stream;
    return refuse(comm, "ncclWaitSignal", no_put);
}
NCCL_TWIN(ncclWaitSignal);

ncclResult_t ncclCommMemStats(ncclComm_t comm, ncclCommMemStat_t stat,
                              uint64_t *value)
{
    ncclResult_t result = nccl_known(comm, "ncclCommMemStats");

    if (result != ncclSuccess)
        return result;
    if (value == NULL || (unsigned)stat > ncclStatGpuMemTotal)
        return nccl_fail(comm, ncclInvalidArgument,
                         "ncclCommMemStats: value is NULL, or there is no such "
                         "number as %d",
                         (int)stat);
    *value = 0; /* all of them are of a device's memory */
    return ncclSuccess;
}
NCCL_TWIN(ncclCommMemStats);
