/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_life.c - how communicators begin, are called, and end.
 *
 * Ballot's goodbye waits for the other ranks. Where they are in this process,
 * and one thread destroys them one by one, the first would wait for those that
 * come after it; so it is said in a thread of its own unless there is one
 * communicator alone, and the process waits for these threads at its exit.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nccl_inside.h"

#define MAGIC 0x62616c6c6f743263u

static atomic_int alive; /* communicators that have not said goodbye */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int threads;
} behind = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

void nccl_behind(int by)
{
    pthread_mutex_lock(&behind.lock);
    behind.threads += by;
    pthread_cond_broadcast(&behind.changed);
    pthread_mutex_unlock(&behind.lock);
}

/* At the exit of the process; each has a deadline. */
__attribute__((destructor)) static void await_behind(void)
{
    pthread_mutex_lock(&behind.lock);
    while (behind.threads > 0)
        pthread_cond_wait(&behind.changed, &behind.lock);
    pthread_mutex_unlock(&behind.lock);
}

/* ---- The structure ---- */

struct ncclComm *nccl_comm_new(int ranks, int rank, bool blocking)
{
    struct ncclComm *comm = calloc(1, sizeof(*comm));

    if (comm == NULL) {
        nccl_fail(NULL, ncclSystemError, "no memory for a communicator");
        return NULL;
    }
    comm->magic = MAGIC;
    pthread_mutex_init(&comm->lock, NULL);
    pthread_cond_init(&comm->changed, NULL);
    comm->ranks = ranks;
    comm->rank = rank;
    comm->blocking = blocking;
    comm->bell = -1;
    atomic_fetch_add(&alive, 1);
    return comm;
}

/* Says goodbye; outstanding requests end first. */
static ncclResult_t finalize(struct ncclComm *comm, void *context)
{
    struct ballot_comm *ballot;
    int rc;

    (void)context;
    pthread_mutex_lock(&comm->lock);
    ballot = comm->ballot;
    comm->ballot = NULL;
    pthread_mutex_unlock(&comm->lock);
    if (comm->pending != NULL)
        ballot_wait(&comm->pending);
    rc = ballot_comm_finalize(&ballot);
    atomic_fetch_sub(&alive, 1);
    return nccl_from(comm, NULL, "ncclCommFinalize", rc);
}

void nccl_comm_free(struct ncclComm *comm)
{
    if (comm->ballot != NULL || comm->phase != NCCL_FINALIZED)
        finalize(comm, NULL);
    comm->magic = 0;
    pthread_cond_destroy(&comm->changed);
    pthread_mutex_destroy(&comm->lock);
    free(comm);
}

static void *free_behind(void *context)
{
    nccl_comm_free(context);
    nccl_behind(-1);
    return NULL;
}

/* Frees it, behind the caller where others may have to be freed first. */
static void dispose(struct ncclComm *comm)
{
    pthread_t thread;

    if (comm->ballot != NULL && atomic_load(&alive) > 1) {
        nccl_behind(1);
        if (pthread_create(&thread, NULL, free_behind, comm) == 0) {
            pthread_detach(thread);
            return;
        }
        nccl_behind(-1);
    }
    nccl_comm_free(comm);
}

/* ---- Calls ---- */

ncclResult_t nccl_known(struct ncclComm *comm, const char *call)
{
    if (comm != NULL && comm->magic == MAGIC)
        return ncclSuccess;
    return nccl_fail(NULL, ncclInvalidArgument,
                     "%s: comm is NULL, or no communicator, or destroyed",
                     call);
}

static ncclResult_t in_progress(struct ncclComm *comm, const char *call)
{
    return nccl_fail(comm, ncclInvalidArgument,
                     "%s: the call before has not ended; ask "
                     "ncclCommGetAsyncError() until it says ncclSuccess",
                     call);
}

/* What a communicator must be for a call. */
enum entry {
    ENTRY_CALL,  /* fine, and nothing under way */
    ENTRY_MAKE,  /* not at its end; another is made of it */
    ENTRY_ABORT, /* the same, and what is under way ends first */
};

/* What keeps a call from beginning; the lock is held. */
static ncclResult_t obstacle(const struct ncclComm *comm, enum entry entry)
{
    const bool ends = entry == ENTRY_ABORT || comm->phase == NCCL_REVOKED;

    if (comm->children > 0)
        return ncclInProgress;
    if (comm->state == ncclInProgress && !ends)
        return ncclInProgress;
    return entry == ENTRY_CALL ? comm->state : ncclSuccess;
}

static ncclResult_t enter(struct ncclComm *comm, const char *call,
                          enum entry entry)
{
    static const char *const phases[] = {
        [NCCL_REVOKED] = "revoked",
        [NCCL_FINALIZED] = "finalized",
        [NCCL_ABORTED] = "aborted",
    };
    ncclResult_t result = nccl_known(comm, call);
    enum nccl_phase phase;
    ncclResult_t state;
    bool live;

    if (result != ncclSuccess)
        return result;
    pthread_mutex_lock(&comm->lock);
    phase = comm->phase;
    live = phase == NCCL_LIVE || (entry != ENTRY_CALL && phase == NCCL_REVOKED);
    state = obstacle(comm, entry);
    if (comm->ballot == NULL) /* still to begin, or it could not */
        state = comm->state;
    if (live && state == ncclSuccess)
        comm->users++;
    pthread_mutex_unlock(&comm->lock);
    if (!live)
        return nccl_fail(comm, ncclInvalidUsage,
                         "%s: the communicator was %s; make another", call,
                         phases[phase]);
    if (state == ncclInProgress)
        return in_progress(comm, call);
    return state; /* whose words are there already */
}

ncclResult_t nccl_enter(struct ncclComm *comm, const char *call)
{
    return enter(comm, call, ENTRY_CALL);
}

ncclResult_t nccl_enter_any(struct ncclComm *comm, const char *call,
                            bool aborts)
{
    return enter(comm, call, aborts ? ENTRY_ABORT : ENTRY_MAKE);
}

ncclResult_t nccl_leave(struct ncclComm *comm, ncclResult_t result)
{
    bool last;

    pthread_mutex_lock(&comm->lock);
    comm->users--;
    last = comm->users == 0 && comm->doomed;
    pthread_cond_broadcast(&comm->changed);
    pthread_mutex_unlock(&comm->lock);
    if (last)
        dispose(comm);
    return result;
}

ncclResult_t nccl_ended(struct ncclComm *comm, ncclResult_t result)
{
    if (result == ncclSuccess)
        return result;
    pthread_mutex_lock(&comm->lock);
    /* Who asks for it has no other way to learn of wrong arguments. */
    if (comm->state == ncclInProgress ||
        (comm->state == ncclSuccess && result != ncclInvalidArgument))
        comm->state = result;
    pthread_mutex_unlock(&comm->lock);
    return result;
}

/* ---- Jobs ---- */

static ncclResult_t end_job(struct ncclComm *comm, void *context,
                            ncclResult_t result)
{
    struct ncclComm *parent = comm->parent;

    free(context);
    comm->parent = NULL;
    if (parent != NULL) {
        pthread_mutex_lock(&parent->lock);
        parent->children -= comm->behind ? 1 : 0;
        pthread_mutex_unlock(&parent->lock);
        nccl_leave(parent, result);
    }
    pthread_mutex_lock(&comm->lock);
    comm->state = result;
    pthread_mutex_unlock(&comm->lock);
    return nccl_leave(comm, result);
}

ncclResult_t nccl_job_run(struct ncclComm *comm, nccl_job_fn *run,
                          void *context)
{
    return end_job(comm, context, run(comm, context));
}

void nccl_job_detach(struct ncclComm *comm)
{
    if (comm->parent == NULL)
        return;
    pthread_mutex_lock(&comm->parent->lock);
    comm->behind = true;
    comm->parent->children++;
    pthread_mutex_unlock(&comm->parent->lock);
}

void nccl_adopt(struct ncclComm *comm, struct ballot_comm *ballot)
{
    pthread_mutex_lock(&comm->lock);
    comm->ballot = ballot;
    if (comm->phase == NCCL_ABORTED)
        ballot_comm_abort(ballot);
    pthread_mutex_unlock(&comm->lock);
}

/* Without a descriptor to spare there is no bell, and the deadline counts. */
static int open_bell(struct ncclComm *comm)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    pthread_mutex_lock(&comm->lock);
    comm->bell = bell;
    if (bell >= 0 && comm->phase == NCCL_ABORTED)
        eventfd_write(bell, 1);
    pthread_mutex_unlock(&comm->lock);
    return bell;
}

static void close_bell(struct ncclComm *comm)
{
    pthread_mutex_lock(&comm->lock);
    if (comm->bell >= 0)
        close(comm->bell);
    comm->bell = -1;
    pthread_mutex_unlock(&comm->lock);
}

ncclResult_t nccl_join(struct ncclComm *comm, const char *call,
                       const struct ballot_unique_id *id)
{
    struct ballot_comm *ballot;
    int rc = ballot_comm_init_rank_until(&ballot, comm->ranks, id, comm->rank,
                                         NULL, open_bell(comm));

    close_bell(comm);
    if (rc == 0)
        nccl_adopt(comm, ballot);
    return nccl_from(comm, NULL, call, rc);
}

void nccl_job_drop(struct ncclComm *comm, void *context)
{
    end_job(comm, context, ncclInvalidUsage);
}

struct job {
    struct ncclComm *comm;
    nccl_job_fn *run;
    void *context;
};

static void *run_behind(void *context)
{
    struct job job = *(struct job *)context;

    free(context);
    nccl_job_run(job.comm, job.run, job.context);
    nccl_behind(-1);
    return NULL;
}

static ncclResult_t start_behind(struct ncclComm *comm, nccl_job_fn *run,
                                 void *context)
{
    struct job *job = malloc(sizeof(*job));
    pthread_t thread;

    nccl_behind(1);
    if (job != NULL) {
        *job = (struct job){comm, run, context};
        nccl_job_detach(comm);
        if (pthread_create(&thread, NULL, run_behind, job) == 0) {
            pthread_detach(thread);
            return ncclInProgress;
        }
    }
    nccl_behind(-1);
    free(job);
    nccl_job_drop(comm, context);
    return nccl_fail(NULL, ncclSystemError, "no thread could be started");
}

ncclResult_t nccl_job_begin(struct ncclComm *comm, nccl_job_fn *run,
                            void *context)
{
    pthread_mutex_lock(&comm->lock);
    comm->users++;
    comm->state = ncclInProgress;
    pthread_mutex_unlock(&comm->lock);
    if (nccl_group_is_open())
        return nccl_group_add_job(comm, run, context);
    return comm->blocking ? nccl_job_run(comm, run, context)
                          : start_behind(comm, run, context);
}

ncclResult_t nccl_comm_begin(struct ncclComm **newcomm, struct ncclComm *comm,
                             nccl_job_fn *run, void *context)
{
    ncclResult_t result;

    *newcomm = comm;
    result = nccl_job_begin(comm, run, context);
    if (result != ncclSuccess && result != ncclInProgress) {
        *newcomm = NULL;
        nccl_comm_free(comm);
    }
    return result;
}

/* ---- The end ---- */

ncclResult_t ncclCommFinalize(ncclComm_t comm)
{
    static const char name[] = "ncclCommFinalize";
    ncclResult_t result = nccl_enter(comm, name);

    if (result != ncclSuccess)
        return result;
    pthread_mutex_lock(&comm->lock);
    comm->phase = NCCL_FINALIZED;
    pthread_mutex_unlock(&comm->lock);
    nccl_leave(comm, ncclSuccess);
    if (comm->blocking && !nccl_group_is_open() && atomic_load(&alive) > 1) {
        /* Other ranks may be this thread's, too. */
        pthread_mutex_lock(&comm->lock);
        comm->users++;
        comm->state = ncclInProgress;
        pthread_mutex_unlock(&comm->lock);
        result = start_behind(comm, finalize, NULL);
        return result == ncclInProgress ? ncclSuccess : result;
    }
    return nccl_job_begin(comm, finalize, NULL);
}
NCCL_TWIN(ncclCommFinalize);

/* No call may begin; the last one to leave frees it. */
static bool doom(struct ncclComm *comm, bool waits)
{
    bool unused;

    pthread_mutex_lock(&comm->lock);
    while (waits && comm->users > 0)
        pthread_cond_wait(&comm->changed, &comm->lock);
    comm->doomed = true;
    unused = comm->users == 0;
    pthread_mutex_unlock(&comm->lock);
    return unused;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    ncclResult_t result;
    bool finalized;

    if (comm == NULL)
        return ncclSuccess;
    result = nccl_known(comm, "ncclCommDestroy");
    if (result != ncclSuccess)
        return result;
    pthread_mutex_lock(&comm->lock);
    finalized = comm->phase == NCCL_FINALIZED;
    pthread_mutex_unlock(&comm->lock);
    /* Its goodbye goes on behind; whoever says it frees it. */
    if (doom(comm, !finalized))
        dispose(comm);
    return ncclSuccess;
}
NCCL_TWIN(ncclCommDestroy);

ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    ncclResult_t result;

    if (comm == NULL)
        return ncclSuccess;
    result = nccl_known(comm, "ncclCommAbort");
    if (result != ncclSuccess)
        return result;
    pthread_mutex_lock(&comm->lock);
    if (comm->phase != NCCL_FINALIZED)
        comm->phase = NCCL_ABORTED;
    if (comm->ballot != NULL)
        ballot_comm_abort(comm->ballot);
    if (comm->bell >= 0)
        eventfd_write(comm->bell, 1);
    pthread_mutex_unlock(&comm->lock);
    if (doom(comm, false))
        dispose(comm);
    return ncclSuccess;
}
NCCL_TWIN(ncclCommAbort);
