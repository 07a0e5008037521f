/* SPDX-License-Identifier: Apache-2.0 */
/* nccl_begin.c - how communicators begin, and what is asked of them. */
#include <stdlib.h>
#include <string.h>

#include "nccl_inside.h"

_Static_assert(sizeof(ncclUniqueId) == sizeof(struct ballot_unique_id),
               "ids are copied byte by byte");

ncclResult_t ncclGetVersion(int *version)
{
    if (version == NULL)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "ncclGetVersion: version is NULL");
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}
NCCL_TWIN(ncclGetVersion);

ncclResult_t nccl_make_id(struct ncclComm *comm, const char *call,
                          const char *place, ncclUniqueId *uniqueId)
{
    struct ballot_unique_id id;
    ncclResult_t result = nccl_environment_apply();

    if (result != ncclSuccess)
        return result;
    if (uniqueId == NULL)
        return nccl_fail(comm, ncclInvalidArgument, "%s: uniqueId is NULL",
                         call);
    result = place == NULL
                 ? nccl_from(comm, NULL, call, ballot_get_unique_id(&id))
                 : nccl_from(comm, NULL, "NCCL_COMM_ID",
                             ballot_unique_id_at(&id, place));
    if (result == ncclSuccess)
        memcpy(uniqueId, &id, sizeof(id));
    return result;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *uniqueId)
{
    return nccl_make_id(NULL, "ncclGetUniqueId", nccl_environment_place(),
                        uniqueId);
}
NCCL_TWIN(ncclGetUniqueId);

/* ---- Configuration ---- */

ncclResult_t nccl_configure(struct ncclComm *comm, const char *call,
                            const ncclConfig_t *config, bool inherited,
                            bool *blocking)
{
    ncclConfig_t known = NCCL_CONFIG_INITIALIZER;
    ncclResult_t result = nccl_environment_apply();

    *blocking = inherited;
    if (config == NULL || result != ncclSuccess)
        return result;
    if (config->size < offsetof(ncclConfig_t, cgaClusterSize))
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: the configuration has %zu bytes; begin with "
                         "NCCL_CONFIG_INITIALIZER",
                         call, config->size);
    memcpy(&known, config,
           config->size < sizeof(known) ? config->size : sizeof(known));
    if (known.magic != NCCL_API_MAGIC)
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: the configuration has no magic number; begin "
                         "with NCCL_CONFIG_INITIALIZER",
                         call);
    if (known.blocking == NCCL_CONFIG_UNDEF_INT)
        return ncclSuccess;
    if (known.blocking != 0 && known.blocking != 1)
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: blocking is %d, not 0 or 1", call,
                         known.blocking);
    *blocking = known.blocking == 1;
    return ncclSuccess;
}

/* ---- Joining ---- */

static ncclResult_t join(struct ncclComm *comm, void *context)
{
    return nccl_join(comm, "ncclCommInitRank", context);
}

static ncclResult_t begin(struct ncclComm **newcomm, const char *call,
                          int ranks, const ncclUniqueId *id, int rank,
                          const ncclConfig_t *config)
{
    struct ncclComm *comm;
    struct ballot_unique_id *copy;
    bool blocking;
    ncclResult_t result;

    if (newcomm == NULL)
        return nccl_fail(NULL, ncclInvalidArgument, "%s: comm is NULL", call);
    *newcomm = NULL;
    if (ranks < 1 || ranks > BALLOT_RANKS_MAX || rank < 0 || rank >= ranks)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "%s: rank %d of %d ranks; there may be 1 to %d", call,
                         rank, ranks, BALLOT_RANKS_MAX);
    result =
        nccl_configure(NULL, call, config, nccl_blocking_default(), &blocking);
    if (result != ncclSuccess)
        return result;
    copy = malloc(sizeof(*copy));
    comm = copy == NULL ? NULL : nccl_comm_new(ranks, rank, blocking);
    if (comm == NULL) {
        free(copy);
        return nccl_fail(NULL, ncclSystemError, "%s: no memory", call);
    }
    memcpy(copy, id, sizeof(*copy));
    return nccl_comm_begin(newcomm, comm, join, copy);
}

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int nranks, ncclUniqueId commId,
                              int rank)
{
    return begin(comm, "ncclCommInitRank", nranks, &commId, rank, NULL);
}
NCCL_TWIN(ncclCommInitRank);

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int nranks,
                                    ncclUniqueId commId, int rank,
                                    ncclConfig_t *config)
{
    return begin(comm, "ncclCommInitRankConfig", nranks, &commId, rank, config);
}
NCCL_TWIN(ncclCommInitRankConfig);

ncclResult_t ncclCommInitRankScalable(ncclComm_t *newcomm, int nranks,
                                      int myrank, int nId,
                                      ncclUniqueId *commIds,
                                      ncclConfig_t *config)
{
    if (nId < 1 || nId > nranks || commIds == NULL)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "ncclCommInitRankScalable: %d ids for %d ranks, or "
                         "commIds is NULL",
                         nId, nranks);
    return begin(newcomm, "ncclCommInitRankScalable", nranks, &commIds[0],
                 myrank, config);
}
NCCL_TWIN(ncclCommInitRankScalable);

/* Joining waits for all, so they join as a group. */
ncclResult_t ncclCommInitAll(ncclComm_t *comm, int ndev, const int *devlist)
{
    static const char name[] = "ncclCommInitAll";
    ncclUniqueId id;
    ncclResult_t result, ended;

    (void)devlist;
    if (comm == NULL || ndev < 1 || ndev > BALLOT_RANKS_MAX)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "%s: comm is NULL, or ndev is not 1 to %d", name,
                         BALLOT_RANKS_MAX);
    result = pncclGetUniqueId(&id);
    if (result != ncclSuccess)
        return result;
    pncclGroupStart();
    for (int r = 0; r < ndev && result == ncclSuccess; r++)
        result = begin(&comm[r], name, ndev, &id, r, NULL);
    ended = pncclGroupEnd();
    return result != ncclSuccess ? result : ended;
}
NCCL_TWIN(ncclCommInitAll);

/* ---- What is asked ---- */

/* A number of the communicator, also when it has failed. */
static ncclResult_t ask(struct ncclComm *comm, const char *call, int *out,
                        bool size)
{
    ncclResult_t result = nccl_known(comm, call);

    if (result != ncclSuccess)
        return result;
    if (out == NULL)
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: there is no place for the number", call);
    pthread_mutex_lock(&comm->lock);
    *out = size ? comm->ranks : comm->rank;
    pthread_mutex_unlock(&comm->lock);
    return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int *count)
{
    return ask(comm, "ncclCommCount", count, true);
}
NCCL_TWIN(ncclCommCount);

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank)
{
    return ask(comm, "ncclCommUserRank", rank, false);
}
NCCL_TWIN(ncclCommUserRank);

/* Of a request that the engine has, the lock being held. */
static void look(struct ncclComm *comm)
{
    bool done = false;
    int rc;

    if (comm->pending == NULL || comm->ballot == NULL)
        return;
    rc = ballot_test(&comm->pending, &done);
    if (done)
        comm->state =
            nccl_from(comm, comm->ballot, "the call before this one", rc);
}

/* Of a communicator that stands still: a rank may have died since. The lock is
 * held. */
static void look_around(struct ncclComm *comm)
{
    if (comm->phase != NCCL_LIVE || comm->state != ncclSuccess ||
        comm->ballot == NULL)
        return;
    comm->state = nccl_from(comm, comm->ballot, "ncclCommGetAsyncError",
                            ballot_comm_async_error(comm->ballot));
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *asyncError)
{
    static const char name[] = "ncclCommGetAsyncError";
    ncclResult_t result = nccl_known(comm, name);

    if (result != ncclSuccess)
        return result;
    if (asyncError == NULL)
        return nccl_fail(comm, ncclInvalidArgument, "%s: asyncError is NULL",
                         name);
    pthread_mutex_lock(&comm->lock);
    look(comm);
    look_around(comm);
    if (comm->phase == NCCL_REVOKED) /* what it had ends, and then it is fine */
        *asyncError = comm->users > 0 || comm->pending != NULL ? ncclInProgress
                                                               : ncclSuccess;
    else
        *asyncError = comm->children > 0 ? ncclInProgress : comm->state;
    pthread_mutex_unlock(&comm->lock);
    return ncclSuccess;
}
NCCL_TWIN(ncclCommGetAsyncError);
