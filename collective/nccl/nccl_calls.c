/* SPDX-License-Identifier: Apache-2.0 */
/* nccl_calls.c - the collectives, sends and receives. */
#include <errno.h>

#include "nccl_inside.h"

/* Which rank uses a buffer, and how many blocks of `count` are in it. */
enum use { USE_NONE, USE_ONE, USE_RANKS };

struct buffers {
    enum use send, recv;
};

int nccl_call_submit(const struct nccl_call *c, struct ballot_request **request)
{
    struct ballot_comm *comm = c->comm->ballot;

    switch (c->kind) {
    case NCCL_ALL_REDUCE:
        return ballot_all_reduce(c->send, c->recv, c->count, c->type, c->op,
                                 comm, request);
    case NCCL_REDUCE:
        return ballot_reduce(c->send, c->recv, c->count, c->type, c->op,
                             c->root, comm, request);
    case NCCL_REDUCE_SCATTER:
        return ballot_reduce_scatter(c->send, c->recv, c->count, c->type, c->op,
                                     comm, request);
    case NCCL_BROADCAST:
        return ballot_broadcast(c->send, c->recv, c->count, c->type, c->root,
                                comm, request);
    case NCCL_ALL_GATHER:
        return ballot_all_gather(c->send, c->recv, c->count, c->type, comm,
                                 request);
    case NCCL_ALL_TO_ALL:
        return ballot_all_to_all(c->send, c->recv, c->count, c->type, comm,
                                 request);
    case NCCL_GATHER:
        return ballot_gather(c->send, c->recv, c->count, c->type, c->root, comm,
                             request);
    case NCCL_SCATTER:
        return ballot_scatter(c->send, c->recv, c->count, c->type, c->root,
                              comm, request);
    case NCCL_SEND:
        return ballot_send(c->send, c->count, c->type, c->root, comm, request);
    case NCCL_RECV:
        return ballot_recv(c->recv, c->count, c->type, c->root, comm, request);
    }
    return -EINVAL;
}

static ncclResult_t check_buffer(const struct nccl_call *c, const char *name,
                                 const void *memory, enum use use, size_t unit)
{
    const size_t blocks = use == USE_RANKS ? (size_t)c->comm->ranks : 1;

    if (use == USE_NONE || c->count == 0)
        return ncclSuccess;
    if (c->count > SIZE_MAX / 64 / blocks / unit)
        return nccl_fail(c->comm, ncclInvalidArgument,
                         "%s: the count is out of range", c->name);
    if (memory == NULL)
        return nccl_fail(c->comm, ncclInvalidArgument, "%s: %s is NULL",
                         c->name, name);
    if (!nccl_memory_is_host(memory, c->count * blocks * unit))
        return nccl_fail(c->comm, ncclInvalidArgument,
                         "%s: %s (%p) is no host memory, or smaller than the "
                         "count says; ballot does not take a device's "
                         "pointers: copy the values to the host",
                         c->name, name, memory);
    return ncclSuccess;
}

static ncclResult_t check(const struct nccl_call *c, ncclDataType_t datatype,
                          const struct buffers *uses)
{
    const size_t unit = nccl_type_bytes(datatype);
    ncclResult_t result;

    if (c->root < 0 || c->root >= c->comm->ranks)
        return nccl_fail(c->comm, ncclInvalidArgument,
                         "%s: rank %d is not one of %d", c->name, c->root,
                         c->comm->ranks);
    result = check_buffer(c, "sendbuff", c->send, uses->send, unit);
    return result != ncclSuccess
               ? result
               : check_buffer(c, "recvbuff", c->recv, uses->recv, unit);
}

/* The engine goes on with it; ncclCommGetAsyncError() asks for it. */
static ncclResult_t begin(const struct nccl_call *call)
{
    struct ncclComm *comm = call->comm;
    ncclResult_t result;

    pthread_mutex_lock(&comm->lock);
    result = nccl_from(comm, comm->ballot, call->name,
                       nccl_call_submit(call, &comm->pending));
    if (result == ncclSuccess)
        result = comm->state = ncclInProgress;
    pthread_mutex_unlock(&comm->lock);
    return nccl_leave(comm, result);
}

static ncclResult_t go(const struct nccl_call *call)
{
    struct ncclComm *comm = call->comm;

    if (nccl_group_is_open())
        return nccl_group_add(call);
    if (!comm->blocking)
        return begin(call);
    return nccl_leave(
        comm, nccl_ended(comm, nccl_from(comm, comm->ballot, call->name,
                                         nccl_call_submit(call, NULL))));
}

/* Values that are moved. */
static ncclResult_t move(struct nccl_call *call, ncclDataType_t datatype,
                         struct buffers uses)
{
    ncclResult_t result = nccl_enter(call->comm, call->name);

    if (result != ncclSuccess)
        return result;
    result = nccl_type(call->comm, call->name, datatype, false, &call->type);
    if (result == ncclSuccess)
        result = check(call, datatype, &uses);
    return result == ncclSuccess ? go(call) : nccl_leave(call->comm, result);
}

/* Values that are folded. */
static ncclResult_t fold(struct nccl_call *call, ncclDataType_t datatype,
                         ncclRedOp_t op, struct buffers uses)
{
    enum ballot_type type;
    ncclResult_t result = nccl_enter(call->comm, call->name);

    if (result != ncclSuccess)
        return result;
    result = nccl_type(call->comm, call->name, datatype, true, &type);
    if (result == ncclSuccess)
        result = check(call, datatype, &uses);
    if (result == ncclSuccess)
        result = nccl_op(call, datatype, op);
    return result == ncclSuccess ? go(call) : nccl_leave(call->comm, result);
}

/* Of what rank `root` alone uses. Its other checks come after this. */
static enum use at_root(const struct ncclComm *comm, int root, enum use use)
{
    return nccl_known((struct ncclComm *)comm, "a call with a root") ==
                       ncclSuccess &&
                   comm->rank == root
               ? use
               : USE_NONE;
}

ncclResult_t ncclAllReduce(const void *sendbuff, void *recvbuff, size_t count,
                           ncclDataType_t datatype, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream)
{
    struct nccl_call call = {
        comm, NCCL_ALL_REDUCE, "ncclAllReduce", sendbuff, recvbuff, count, 0, 0,
        0};

    (void)stream;
    return fold(&call, datatype, op, (struct buffers){USE_ONE, USE_ONE});
}
NCCL_TWIN(ncclAllReduce);

ncclResult_t ncclReduce(const void *sendbuff, void *recvbuff, size_t count,
                        ncclDataType_t datatype, ncclRedOp_t op, int root,
                        ncclComm_t comm, cudaStream_t stream)
{
    struct nccl_call call = {
        comm, NCCL_REDUCE, "ncclReduce", sendbuff, recvbuff, count, 0, 0, root};

    (void)stream;
    return fold(&call, datatype, op,
                (struct buffers){USE_ONE, at_root(comm, root, USE_ONE)});
}
NCCL_TWIN(ncclReduce);

ncclResult_t ncclReduceScatter(const void *sendbuff, void *recvbuff,
                               size_t recvcount, ncclDataType_t datatype,
                               ncclRedOp_t op, ncclComm_t comm,
                               cudaStream_t stream)
{
    struct nccl_call call = {comm,
                             NCCL_REDUCE_SCATTER,
                             "ncclReduceScatter",
                             sendbuff,
                             recvbuff,
                             recvcount,
                             0,
                             0,
                             0};

    (void)stream;
    return fold(&call, datatype, op, (struct buffers){USE_RANKS, USE_ONE});
}
NCCL_TWIN(ncclReduceScatter);

ncclResult_t ncclBroadcast(const void *sendbuff, void *recvbuff, size_t count,
                           ncclDataType_t datatype, int root, ncclComm_t comm,
                           cudaStream_t stream)
{
    struct nccl_call call = {
        comm, NCCL_BROADCAST, "ncclBroadcast", sendbuff, recvbuff, count, 0, 0,
        root};

    (void)stream;
    return move(&call, datatype,
                (struct buffers){at_root(comm, root, USE_ONE), USE_ONE});
}
NCCL_TWIN(ncclBroadcast);

ncclResult_t ncclBcast(void *buff, size_t count, ncclDataType_t datatype,
                       int root, ncclComm_t comm, cudaStream_t stream)
{
    struct nccl_call call = {
        comm, NCCL_BROADCAST, "ncclBcast", buff, buff, count, 0, 0, root};

    (void)stream;
    return move(&call, datatype, (struct buffers){USE_NONE, USE_ONE});
}
NCCL_TWIN(ncclBcast);

ncclResult_t ncclAllGather(const void *sendbuff, void *recvbuff,
                           size_t sendcount, ncclDataType_t datatype,
                           ncclComm_t comm, cudaStream_t stream)
{
    struct nccl_call call = {comm,
                             NCCL_ALL_GATHER,
                             "ncclAllGather",
                             sendbuff,
                             recvbuff,
                             sendcount,
                             0,
                             0,
                             0};

    (void)stream;
    return move(&call, datatype, (struct buffers){USE_ONE, USE_RANKS});
}
NCCL_TWIN(ncclAllGather);

ncclResult_t ncclAlltoAll(const void *sendbuff, void *recvbuff, size_t count,
                          ncclDataType_t datatype, ncclComm_t comm,
                          cudaStream_t stream)
{
    struct nccl_call call = {
        comm, NCCL_ALL_TO_ALL, "ncclAlltoAll", sendbuff, recvbuff, count, 0, 0,
        0};

    (void)stream;
    return move(&call, datatype, (struct buffers){USE_RANKS, USE_RANKS});
}
NCCL_TWIN(ncclAlltoAll);

ncclResult_t ncclGather(const void *sendbuff, void *recvbuff, size_t count,
                        ncclDataType_t datatype, int root, ncclComm_t comm,
                        cudaStream_t stream)
{
    struct nccl_call call = {
        comm, NCCL_GATHER, "ncclGather", sendbuff, recvbuff, count, 0, 0, root};

    (void)stream;
    return move(&call, datatype,
                (struct buffers){USE_ONE, at_root(comm, root, USE_RANKS)});
}
NCCL_TWIN(ncclGather);

ncclResult_t ncclScatter(const void *sendbuff, void *recvbuff, size_t count,
                         ncclDataType_t datatype, int root, ncclComm_t comm,
                         cudaStream_t stream)
{
    struct nccl_call call = {
        comm, NCCL_SCATTER, "ncclScatter", sendbuff, recvbuff, count, 0,
        0,    root};

    (void)stream;
    return move(&call, datatype,
                (struct buffers){at_root(comm, root, USE_RANKS), USE_ONE});
}
NCCL_TWIN(ncclScatter);

ncclResult_t ncclSend(const void *sendbuff, size_t count,
                      ncclDataType_t datatype, int peer, ncclComm_t comm,
                      cudaStream_t stream)
{
    struct nccl_call call = {comm,  NCCL_SEND, "ncclSend", sendbuff, NULL,
                             count, 0,         0,          peer};

    (void)stream;
    return move(&call, datatype, (struct buffers){USE_ONE, USE_NONE});
}
NCCL_TWIN(ncclSend);

ncclResult_t ncclRecv(void *recvbuff, size_t count, ncclDataType_t datatype,
                      int peer, ncclComm_t comm, cudaStream_t stream)
{
    struct nccl_call call = {comm,  NCCL_RECV, "ncclRecv", NULL, recvbuff,
                             count, 0,         0,          peer};

    (void)stream;
    return move(&call, datatype, (struct buffers){USE_NONE, USE_ONE});
}
NCCL_TWIN(ncclRecv);
