/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_inside.h - what the files of the NCCL facade share.
 *
 * It stands on ballot's public headers alone. nccl_begin.c how communicators
 * begin, nccl_life.c how they are called and end, nccl_members.c how others are
 * made of them, nccl_group.c calls that begin together, nccl_calls.c the
 * collectives, nccl_ops.c what is folded, nccl_memory.c buffers,
 * nccl_parameters.c the environment as NCCL shows it, nccl_conf.c where its
 * variables come from, nccl_environment.c and nccl_interface.c what they are in
 * ballot's words, nccl_report.c errors in words, nccl_refuse.c what has no
 * meaning on host memory.
 */
#ifndef BALLOT_COLLECTIVE_NCCL_INSIDE_H
#define BALLOT_COLLECTIVE_NCCL_INSIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../include/ballot.h"
#include "../../include/ballot_bindings.h"

#pragma GCC visibility push(default)
#include "../../include/nccl/nccl_ballot.h"
#pragma GCC visibility pop

/* pX is X by another name. */
#define NCCL_TWIN(name)                                                        \
    extern __typeof__(name) p##name                                            \
        __attribute__((alias(#name), visibility("default")))

enum {
    NCCL_ERROR_BYTES = 512,
    NCCL_WINDOWS_MAX = 64,
};

enum nccl_phase {
    NCCL_LIVE,
    NCCL_REVOKED,
    NCCL_FINALIZED, /* or on its way to it */
    NCCL_ABORTED,
};

struct ncclWindow_vidmem {
    struct ncclComm *comm;
    void *memory; /* NULL: this entry is free */
    size_t bytes;
};

/*
 * A communicator. `state` is what ncclCommGetAsyncError() says: ncclInProgress
 * while a job (a call on a non-blocking communicator, or its beginning and end)
 * is under way, ncclSuccess, or the error that has ended it. Users counts
 * threads that are inside a call, and jobs: it is freed when the last one is
 * out.
 */
struct ncclComm {
    uint64_t magic;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ballot_comm *ballot; /* NULL until it has begun, and at its end */
    int ranks, rank;
    bool blocking;
    enum nccl_phase phase;
    ncclResult_t state;
    uint32_t users;
    int bell; /* readable once who joins others is to give up; -1: none */
    struct ballot_request *pending; /* a job that the engine does */
    struct ncclComm *parent; /* that a job makes it of; left when it ends */
    bool behind;             /* that job is in a thread of its own */
    uint32_t children;       /* such jobs; no call may come between theirs */
    bool doomed;             /* freed by whoever leaves last */
    uint32_t made[ncclBallotOps]; /* how often each op was made */
    struct ncclWindow_vidmem windows[NCCL_WINDOWS_MAX];
    char error[NCCL_ERROR_BYTES];
};

/* ---- nccl_report.c ---- */

/* Notes an error of `comm` (or NULL) for ncclGetLastError(), returns it. */
ncclResult_t nccl_fail(struct ncclComm *comm, ncclResult_t result,
                       const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same of an error of ballot.h, with ballot's words. 0 is ncclSuccess. */
ncclResult_t nccl_from(struct ncclComm *comm, struct ballot_comm *ballot,
                       const char *call, int rc);

/* ---- nccl_life.c ---- */

/* Whether it is a communicator, and a call may begin on it: it is not under
 * way, failed, revoked or at its end. Then the call must end with
 * nccl_leave(). */
ncclResult_t nccl_enter(struct ncclComm *comm, const char *call);
/* The same for who makes another of it, which a revoked and a failed one
 * allow; with `aborts` also one that has a call under way, which is ended. */
ncclResult_t nccl_enter_any(struct ncclComm *comm, const char *call,
                            bool aborts);
ncclResult_t nccl_leave(struct ncclComm *comm, ncclResult_t result);
/* What a collective returned: an error that has ended the communicator becomes
 * its state. */
ncclResult_t nccl_ended(struct ncclComm *comm, ncclResult_t result);
/* Whether it is a communicator at all. */
ncclResult_t nccl_known(struct ncclComm *comm, const char *call);
/* NULL where there is no memory. `ranks` and `rank` may be set later. */
struct ncclComm *nccl_comm_new(int ranks, int rank, bool blocking);
void nccl_comm_free(struct ncclComm *comm);

/*
 * A job makes comm->ballot, or ends it. It runs before nccl_job_begin() returns
 * if the communicator is blocking and in no group; else in a thread of its own,
 * or with its group. The context comes from malloc(), and is freed when the job
 * has ended; its result becomes the state of `comm`.
 */
typedef ncclResult_t nccl_job_fn(struct ncclComm *comm, void *context);
ncclResult_t nccl_job_begin(struct ncclComm *comm, nccl_job_fn *run,
                            void *context);
/* In this thread. */
ncclResult_t nccl_job_run(struct ncclComm *comm, nccl_job_fn *run,
                          void *context);
/* The job will run in another thread than its caller's: counts it at the
 * parent. */
void nccl_job_detach(struct ncclComm *comm);
/* Joins the others in a job, until ncclCommAbort(). */
ncclResult_t nccl_join(struct ncclComm *comm, const char *call,
                       const struct ballot_unique_id *id);
/* What a job has made. If it was aborted meanwhile, it is at once. */
void nccl_adopt(struct ncclComm *comm, struct ballot_comm *ballot);
/* Counts threads that the process waits for at its exit. */
void nccl_behind(int by);
/* A job that is not to run after all. */
void nccl_job_drop(struct ncclComm *comm, void *context);
/* Makes a communicator of comm->ranks by a job, *newcomm. */
ncclResult_t nccl_comm_begin(struct ncclComm **newcomm, struct ncclComm *comm,
                             nccl_job_fn *run, void *context);

/* ---- nccl_begin.c ---- */

/* An id: of the place that all ranks know, or of a new one (NULL). */
ncclResult_t nccl_make_id(struct ncclComm *comm, const char *call,
                          const char *place, ncclUniqueId *uniqueId);
/* `blocking` of a configuration (or NULL); `inherited` where it says nothing.
 * `comm` (or NULL) is told of an error. Applies the environment, too. */
ncclResult_t nccl_configure(struct ncclComm *comm, const char *call,
                            const ncclConfig_t *config, bool inherited,
                            bool *blocking);

/* ---- nccl_group.c ---- */

enum nccl_kind {
    NCCL_ALL_REDUCE,
    NCCL_REDUCE,
    NCCL_REDUCE_SCATTER,
    NCCL_BROADCAST,
    NCCL_ALL_GATHER,
    NCCL_ALL_TO_ALL,
    NCCL_GATHER,
    NCCL_SCATTER,
    NCCL_SEND,
    NCCL_RECV,
};

/* A call in ballot's words; its arguments are checked. */
struct nccl_call {
    struct ncclComm *comm;
    enum nccl_kind kind;
    const char *name;
    const void *send;
    void *recv;
    size_t count;
    enum ballot_type type;
    enum ballot_op op;
    int root; /* or peer */
};

/* In nccl_calls.c: gives it to ballot. */
int nccl_call_submit(const struct nccl_call *call,
                     struct ballot_request **request);

/* Whether this thread is in a group. */
bool nccl_group_is_open(void);
/* A call, or a job, of the group. The call is left when the group has ended. */
ncclResult_t nccl_group_add(const struct nccl_call *call);
ncclResult_t nccl_group_add_job(struct ncclComm *comm, nccl_job_fn *run,
                                void *context);

/* ---- nccl_ops.c ---- */

/* The type in ballot's words, of values that are only moved or also folded. */
ncclResult_t nccl_type(struct ncclComm *comm, const char *call,
                       ncclDataType_t datatype, bool folds,
                       enum ballot_type *type);
size_t nccl_type_bytes(ncclDataType_t datatype);
/* Op, type and count of a reduction in ballot's words. */
ncclResult_t nccl_op(struct nccl_call *call, ncclDataType_t datatype,
                     ncclRedOp_t op);

/* ---- nccl_memory.c ---- */

/* Whether memory[bytes] is there to be read. */
bool nccl_memory_is_host(const void *memory, size_t bytes);

/* ---- nccl_parameters.c ---- */

/* NCCL_COMM_BLOCKING; true where it is not set. */
bool nccl_blocking_default(void);
/* BALLOT_NCCL_MAJORITY; SIZE_MAX where it is not set. */
size_t nccl_majority_bytes(void);

/* ---- nccl_conf.c ---- */

/* What the environment says of one of NCCL's variables, or one of its files;
 * else NULL. */
const char *nccl_variable(const char *name);

/* ---- nccl_environment.c ---- */

/* NCCL's variables stand in for ballot's: before a communicator is made. An
 * error where an interface is meant that is not there. */
ncclResult_t nccl_environment_apply(void);
/* Those that say what is printed: before the first line; once. */
void nccl_environment_debug(void);
/* NCCL_COMM_ID, "host:port"; NULL: ids are carried from rank to rank. */
const char *nccl_environment_place(void);

/* ---- nccl_interface.c ---- */

/*
 * The interface, by name or address, that NCCL_SOCKET_IFNAME (`list`) and
 * NCCL_SOCKET_FAMILY mean, either of which may be NULL. false, and `why`: none.
 */
bool nccl_interface(const char *list, const char *family, char *text,
                    size_t text_bytes, char *why, size_t why_bytes);

#endif
