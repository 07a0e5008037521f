/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_members.c - communicators that are made of others.
 */
#include <stdlib.h>
#include <string.h>

#include "nccl_inside.h"

/* ---- Growing: all join a new one, whose id goes round in the old one ---- */

struct offer {
    uint8_t made; /* this rank has the id */
    struct ballot_unique_id id;
};

/* Finds the one id that a rank of the parent has made. */
static ncclResult_t share(struct ncclComm *comm, struct offer *mine)
{
    static const char name[] = "ncclCommGrow";
    struct ballot_comm *parent = comm->parent->ballot;
    const size_t ranks = (size_t)comm->parent->ranks;
    struct offer *all = calloc(ranks, sizeof(*all));
    ncclResult_t result;
    uint32_t found = 0;

    if (all == NULL)
        return nccl_fail(comm, ncclSystemError, "%s: no memory", name);
    result = nccl_from(
        comm, parent, name,
        ballot_all_gather(mine, all, sizeof(*all), BALLOT_UINT8, parent, NULL));
    for (size_t r = 0; result == ncclSuccess && r < ranks; r++) {
        if (all[r].made != 1)
            continue;
        *mine = all[r];
        found++;
    }
    free(all);
    if (result != ncclSuccess)
        return nccl_ended(comm->parent, result);
    if (found == 1)
        return ncclSuccess;
    return nccl_fail(comm, ncclInvalidArgument,
                     "%s: %u ranks gave an id of ncclCommGetUniqueId(); one "
                     "does, and the new ranks",
                     name, found);
}

static ncclResult_t grow(struct ncclComm *comm, void *context)
{
    struct offer *mine = context;
    ncclResult_t result = ncclSuccess;

    if (comm->parent != NULL) /* else it is a rank that is new */
        result = share(comm, mine);
    if (result != ncclSuccess)
        return result;
    return nccl_join(comm, "ncclCommGrow", &mine->id);
}

ncclResult_t ncclCommGetUniqueId(ncclComm_t comm, ncclUniqueId *uniqueId)
{
    static const char name[] = "ncclCommGetUniqueId";
    ncclResult_t result = nccl_enter(comm, name);

    if (result != ncclSuccess)
        return result;
    return nccl_leave(comm, nccl_make_id(comm, name, NULL, uniqueId));
}
NCCL_TWIN(ncclCommGetUniqueId);

static ncclResult_t check_growth(const struct ncclComm *comm, int ranks,
                                 const ncclUniqueId *id, int rank)
{
    static const char name[] = "ncclCommGrow";

    if (comm == NULL && (id == NULL || rank < 0 || rank >= ranks))
        return nccl_fail(NULL, ncclInvalidArgument,
                         "%s: a new rank gives an id and its number, below %d",
                         name, ranks);
    if (comm != NULL && rank != -1)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "%s: a rank of the communicator keeps its number, and "
                         "gives -1 instead of %d",
                         name, rank);
    if (ranks > BALLOT_RANKS_MAX || (comm != NULL && ranks <= comm->ranks))
        return nccl_fail(NULL, ncclInvalidArgument,
                         "%s: %d ranks are no more than there are, or more "
                         "than %d",
                         name, ranks, BALLOT_RANKS_MAX);
    return ncclSuccess;
}

ncclResult_t ncclCommGrow(ncclComm_t comm, int nRanks,
                          const ncclUniqueId *uniqueId, int rank,
                          ncclComm_t *newcomm, ncclConfig_t *config)
{
    static const char name[] = "ncclCommGrow";
    ncclResult_t result = ncclSuccess;
    struct ncclComm *made;
    struct offer *mine;
    bool blocking = nccl_blocking_default();

    if (newcomm == NULL)
        return nccl_fail(NULL, ncclInvalidArgument, "%s: newcomm is NULL",
                         name);
    if (comm != NULL)
        result = nccl_enter(comm, name);
    if (result != ncclSuccess)
        return result;
    if (comm != NULL)
        blocking = comm->blocking;
    result = check_growth(comm, nRanks, uniqueId, rank);
    if (result == ncclSuccess)
        result = nccl_configure(comm, name, config, blocking, &blocking);
    if (result != ncclSuccess)
        return comm != NULL ? nccl_leave(comm, result) : result;
    mine = calloc(1, sizeof(*mine));
    made =
        mine == NULL
            ? NULL
            : nccl_comm_new(nRanks, comm != NULL ? comm->rank : rank, blocking);
    if (made == NULL) {
        free(mine);
        result = nccl_fail(comm, ncclSystemError, "%s: no memory", name);
        return comm != NULL ? nccl_leave(comm, result) : result;
    }
    made->parent = comm;
    mine->made = uniqueId != NULL;
    if (uniqueId != NULL)
        memcpy(&mine->id, uniqueId, sizeof(mine->id));
    return nccl_comm_begin(newcomm, made, grow, mine);
}
NCCL_TWIN(ncclCommGrow);

/* ---- Splitting and shrinking ---- */

struct parting {
    bool shrinks;
    bool revoked; /* the parent was */
    int color, key;
    unsigned flags;
    int excluded_count;
    int excluded[];
};

/*
 * Nothing can be called on a parent that was revoked, but it can be shrunk: to
 * all of its ranks, and that is split.
 */
static ncclResult_t split_revoked(struct ncclComm *comm,
                                  const struct parting *p,
                                  struct ballot_comm **made)
{
    static const char name[] = "ncclCommSplit";
    struct ballot_comm *parent = comm->parent->ballot, *all = NULL;
    int rc =
        ballot_comm_shrink(parent, NULL, 0, BALLOT_SHRINK_DEFAULT, &all, NULL);
    ncclResult_t result = nccl_from(comm, parent, name, rc);

    if (rc == 0 && ballot_comm_size(all) != ballot_comm_size(parent))
        result = nccl_fail(comm, ncclRemoteError,
                           "%s: ranks of the revoked communicator have died; "
                           "ncclCommShrink() goes on without them",
                           name);
    else if (rc == 0)
        result =
            nccl_from(comm, all, name,
                      ballot_comm_split(all, p->color, p->key, made, NULL));
    ballot_comm_finalize(&all);
    return result;
}

static ncclResult_t make_part(struct ncclComm *comm, const struct parting *p,
                              struct ballot_comm **made)
{
    struct ballot_comm *parent = comm->parent->ballot;

    if (p->shrinks)
        return nccl_from(comm, parent, "ncclCommShrink",
                         ballot_comm_shrink(parent, p->excluded,
                                            p->excluded_count, p->flags, made,
                                            NULL));
    if (p->revoked)
        return split_revoked(comm, p, made);
    return nccl_from(comm, parent, "ncclCommSplit",
                     ballot_comm_split(parent, p->color, p->key, made, NULL));
}

static ncclResult_t part(struct ncclComm *comm, void *context)
{
    struct ballot_comm *made = NULL;
    ncclResult_t result = make_part(comm, context, &made);

    if (made != NULL) {
        pthread_mutex_lock(&comm->lock);
        comm->ranks = ballot_comm_size(made);
        comm->rank = ballot_comm_rank(made);
        pthread_mutex_unlock(&comm->lock);
        nccl_adopt(comm, made);
    }
    return result;
}

/* `comm` was entered. Takes p. */
static ncclResult_t begin_parting(struct ncclComm *comm, const char *call,
                                  struct parting *p, struct ncclComm **newcomm,
                                  const ncclConfig_t *config)
{
    struct ncclComm *made = NULL;
    bool blocking;
    ncclResult_t result =
        nccl_configure(comm, call, config, comm->blocking, &blocking);

    if (result == ncclSuccess && p != NULL)
        made = nccl_comm_new(0, -1, blocking);
    if (made == NULL) {
        free(p);
        if (result == ncclSuccess)
            result = nccl_fail(comm, ncclSystemError, "%s: no memory", call);
        return nccl_leave(comm, result);
    }
    made->parent = comm;
    if (!p->shrinks && p->color == NCCL_SPLIT_NOCOLOR) {
        /* Takes part and gets nothing; the job frees what it runs on. */
        made->doomed = true;
        return nccl_job_begin(made, part, p);
    }
    return nccl_comm_begin(newcomm, made, part, p);
}

static bool was_revoked(struct ncclComm *comm)
{
    bool revoked;

    pthread_mutex_lock(&comm->lock);
    revoked = comm->phase == NCCL_REVOKED;
    pthread_mutex_unlock(&comm->lock);
    return revoked;
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key,
                           ncclComm_t *newcomm, ncclConfig_t *config)
{
    static const char name[] = "ncclCommSplit";
    struct parting *p;
    ncclResult_t result;

    if (newcomm == NULL)
        return nccl_fail(NULL, ncclInvalidArgument, "%s: newcomm is NULL",
                         name);
    *newcomm = NULL;
    result = nccl_enter_any(comm, name, false);
    if (result != ncclSuccess)
        return result;
    p = malloc(sizeof(*p));
    if (p != NULL)
        *p = (struct parting){
            .revoked = was_revoked(comm),
            .color = color,
            .key = key,
        };
    return begin_parting(comm, name, p, newcomm, config);
}
NCCL_TWIN(ncclCommSplit);

ncclResult_t ncclCommShrink(ncclComm_t comm, int *excludeRanksList,
                            int excludeRanksCount, ncclComm_t *newcomm,
                            ncclConfig_t *config, int shrinkFlags)
{
    static const char name[] = "ncclCommShrink";
    const size_t bytes =
        excludeRanksCount > 0 ? (size_t)excludeRanksCount * sizeof(int) : 0;
    struct parting *p;
    ncclResult_t result;

    if (newcomm == NULL || excludeRanksCount < 0 ||
        excludeRanksCount > BALLOT_RANKS_MAX ||
        (bytes > 0 && excludeRanksList == NULL) ||
        (shrinkFlags & ~NCCL_SHRINK_ABORT) != 0)
        return nccl_fail(NULL, ncclInvalidArgument,
                         "%s: newcomm or the list is NULL, or its count or the "
                         "flags are out of range",
                         name);
    *newcomm = NULL;
    result = nccl_enter_any(comm, name, shrinkFlags != 0);
    if (result != ncclSuccess)
        return result;
    p = malloc(sizeof(*p) + bytes);
    if (p != NULL) {
        *p = (struct parting){
            .shrinks = true,
            .flags =
                shrinkFlags != 0 ? BALLOT_SHRINK_ABORT : BALLOT_SHRINK_DEFAULT,
            .excluded_count = excludeRanksCount,
        };
        if (bytes > 0)
            memcpy(p->excluded, excludeRanksList, bytes);
    }
    return begin_parting(comm, name, p, newcomm, config);
}
NCCL_TWIN(ncclCommShrink);

/* ---- Revoking ---- */

ncclResult_t ncclCommRevoke(ncclComm_t comm, int revokeFlags)
{
    static const char name[] = "ncclCommRevoke";
    ncclResult_t result;
    bool live;

    if (comm == NULL)
        return ncclSuccess;
    result = nccl_known(comm, name);
    if (result != ncclSuccess)
        return result;
    if (revokeFlags != NCCL_REVOKE_DEFAULT)
        return nccl_fail(comm, ncclInvalidArgument, "%s: the flags must be 0",
                         name);
    pthread_mutex_lock(&comm->lock);
    live = comm->phase == NCCL_LIVE && comm->ballot != NULL;
    if (live) {
        comm->phase = NCCL_REVOKED;
        ballot_comm_revoke(comm->ballot);
    }
    pthread_mutex_unlock(&comm->lock);
    if (!live) /* ncclInvalidArgument: as src/init.cc of NCCL 2.30.7 has it */
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: the communicator has not begun, or was revoked, "
                         "finalized or aborted before",
                         name);
    return ncclSuccess;
}
NCCL_TWIN(ncclCommRevoke);
