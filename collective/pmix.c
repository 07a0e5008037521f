/* SPDX-License-Identifier: Apache-2.0 */
/* pmix.c - rank 0's word to all, through a launcher that speaks PMIx. */
#include "pmix.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "comm.h"
#include "digits.h"

#define LIBRARY "libpmix.so.2"

enum { TEXT_BYTES = 2 * PMIX_SHARE_BYTES_MAX + 1 };

typedef void done_fn(int status, void *context);
typedef void value_fn(int status, struct pmix_text_value *value, void *context);

/* The functions of the library that we call. */
static struct {
    void *handle; /* NULL: not loaded */
    int (*init)(struct pmix_process *, struct pmix_option *, size_t);
    int (*finalize)(const struct pmix_option *, size_t);
    int (*put)(uint8_t scope, const char *key, struct pmix_text_value *);
    int (*commit)(void);
    int (*fence)(const struct pmix_process *, size_t,
                 const struct pmix_option *, size_t, done_fn *, void *);
    int (*get)(const struct pmix_process *, const char *key,
               const struct pmix_option *, size_t, value_fn *, void *);
    const char *(*error_string)(int);
} library;

/* Whom the server takes us for, since PMIx runs. */
static struct pmix_process self;
static pid_t self_process; /* 0: PMIx does not run */

/* ---- Loading ---- */

static int load(char *why)
{
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"PMIx_Init", &library.init},
        {"PMIx_Finalize", &library.finalize},
        {"PMIx_Put", &library.put},
        {"PMIx_Commit", &library.commit},
        {"PMIx_Fence_nb", &library.fence},
        {"PMIx_Get_nb", &library.get},
        {"PMIx_Error_string", &library.error_string},
    };
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (handle == NULL) {
        snprintf(why, ERROR_BYTES,
                 "the launcher speaks PMIx, but " LIBRARY " cannot be loaded "
                 "(%.200s): install it (apt-get install libpmix2), or set "
                 "BALLOT_ROOT=host:port, a port of rank 0's host, on all ranks",
                 dlerror());
        return -ENOSYS;
    }
    for (size_t f = 0; f < sizeof(wanted) / sizeof(wanted[0]); f++) {
        void *found = dlsym(handle, wanted[f].name);

        if (found == NULL) {
            snprintf(why, ERROR_BYTES,
                     LIBRARY " has no %s: set BALLOT_ROOT=host:port, a port "
                             "of rank 0's host, to go without it",
                     wanted[f].name);
            return -ENOSYS;
        }
        memcpy(wanted[f].function, &found, sizeof(found));
    }
    library.handle = handle;
    return 0;
}

static int refused(const char *what, int status, char *why)
{
    const char *text = library.error_string(status);

    snprintf(why, ERROR_BYTES,
             "%s: the launcher's PMIx says %.100s; set BALLOT_ROOT=host:port, "
             "a port of rank 0's host, to go without it",
             what, text == NULL ? "no more" : text);
    return -EPROTO;
}

/* A process that began and ends without this is taken for one that failed. */
static void leave(void)
{
    if (self_process == getpid())
        library.finalize(NULL, 0);
}

static int begin(char *why)
{
    int rc = library.handle == NULL ? load(why) : 0, status;

    if (rc < 0 || self_process == getpid())
        return rc;
    status = library.init(&self, NULL, 0);
    if (status != PMIX_SUCCEEDED)
        return refused("PMIx_Init", status, why);
    self.space[PMIX_SPACE_BYTES - 1] = '\0';
    if (self_process == 0)
        atexit(leave);
    self_process = getpid();
    return 0;
}

/* ---- Waiting ---- */

/*
 * What a thread of the library answers. Both sides hold it, for we may have
 * gone when the answer comes.
 */
struct answer {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    int holders;
    bool done;
    int status;
    uint16_t type;
    uint32_t number;
    char text[TEXT_BYTES];
};

static struct answer *answer_new(void)
{
    struct answer *a = calloc(1, sizeof(*a));
    pthread_condattr_t clock;

    if (a == NULL)
        return NULL;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&a->arrived, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&a->lock, NULL);
    a->holders = 2;
    return a;
}

/* With the lock held. */
static void answer_let_go(struct answer *a)
{
    bool last = --a->holders == 0;

    pthread_mutex_unlock(&a->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->arrived);
    explicit_bzero(a->text, sizeof(a->text));
    free(a);
}

/* The value stays the library's. */
static void take_value(int status, struct pmix_text_value *value, void *context)
{
    struct answer *a = context;

    pthread_mutex_lock(&a->lock);
    a->status = status;
    if (status == PMIX_SUCCEEDED && value != NULL) {
        a->type = value->type;
        if (value->type == PMIX_VALUE_STRING && value->data.string != NULL)
            snprintf(a->text, sizeof(a->text), "%s", value->data.string);
        if (value->type == PMIX_VALUE_NUMBER)
            a->number = value->data.number;
    }
    a->done = true;
    pthread_cond_signal(&a->arrived);
    answer_let_go(a);
}

static void take_done(int status, void *context)
{
    take_value(status, NULL, context);
}

/* Waits for what was asked and answered `status` at once. On 0 the lock is
 * held, for the caller to read *a and then to let it go. */
static int answer_wait(struct answer *a, int status, const char *what,
                       uint64_t deadline_ns, char *why)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline_ns / 1000000000),
        .tv_nsec = (long)(deadline_ns % 1000000000),
    };
    int rc = 0;

    if (status != PMIX_SUCCEEDED)
        take_value(status == PMIX_DONE_AT_ONCE ? PMIX_SUCCEEDED : status, NULL,
                   a);
    pthread_mutex_lock(&a->lock);
    while (!a->done && rc == 0)
        rc = -pthread_cond_timedwait(&a->arrived, &a->lock, &until);
    if (!a->done) {
        rc = -ETIMEDOUT;
        snprintf(why, ERROR_BYTES,
                 "%s: the launcher's PMIx did not answer in time: have all "
                 "ranks come that it has started?",
                 what);
    } else {
        rc = a->status == PMIX_SUCCEEDED ? 0 : refused(what, a->status, why);
    }
    if (rc < 0)
        answer_let_go(a);
    return rc;
}

/* ---- Asking ---- */

/* What rank 0 has put is everywhere when this returns. */
static int fence(uint64_t deadline_ns, char *why)
{
    struct pmix_option collect = {
        .key = "pmix.collect", /* PMIX_COLLECT_DATA */
        .value = {.type = PMIX_VALUE_FLAG, .data.flag = true},
    };
    struct answer *a = answer_new();
    int rc;

    if (a == NULL)
        return -ENOMEM;
    rc = answer_wait(a, library.fence(NULL, 0, &collect, 1, take_done, a),
                     "PMIx_Fence_nb", deadline_ns, why);
    if (rc == 0)
        answer_let_go(a);
    return rc;
}

/* A value of a process in our job: text[TEXT_BYTES], or with NULL *number. */
static int get(uint32_t rank, const char *key, char *text, uint32_t *number,
               uint64_t deadline_ns, char *why)
{
    struct pmix_process whose = self;
    struct answer *a = answer_new();
    int rc;

    if (a == NULL)
        return -ENOMEM;
    whose.rank = rank;
    rc = answer_wait(a, library.get(&whose, key, NULL, 0, take_value, a),
                     "PMIx_Get_nb", deadline_ns, why);
    if (rc < 0)
        return rc;
    if (a->type != (text != NULL ? PMIX_VALUE_STRING : PMIX_VALUE_NUMBER)) {
        snprintf(why, ERROR_BYTES,
                 "the launcher's PMIx gives %s a type that it should not have; "
                 "set BALLOT_ROOT=host:port, a port of rank 0's host",
                 key);
        rc = -EPROTO;
    } else if (text != NULL) {
        memcpy(text, a->text, TEXT_BYTES);
    } else {
        *number = a->number;
    }
    answer_let_go(a);
    return rc;
}

static int publish(const void *bytes, size_t count, char *why)
{
    char text[TEXT_BYTES];
    struct pmix_text_value value = {
        .type = PMIX_VALUE_STRING,
        .data.string = text,
    };
    int status;

    digits_write(text, bytes, count);
    status = library.put(PMIX_SCOPE_GLOBAL, "ballot", &value);
    explicit_bzero(text, sizeof(text));
    if (status == PMIX_SUCCEEDED)
        status = library.commit();
    return status == PMIX_SUCCEEDED ? 0 : refused("PMIx_Put", status, why);
}

int pmix_share(void *bytes, size_t count, uint32_t rank, uint64_t deadline_ns,
               char *why)
{
    char text[TEXT_BYTES];
    int rc = count > PMIX_SHARE_BYTES_MAX ? -EINVAL : begin(why);

    if (rc < 0)
        return rc;
    if (self.rank != rank) {
        snprintf(why, ERROR_BYTES,
                 "the launcher says that this is rank %u, and its PMIx that it "
                 "is rank %u: set BALLOT_ROOT=host:port, a port of rank 0's "
                 "host, on all ranks",
                 rank, self.rank);
        return -EPROTO;
    }
    if (rank == 0)
        rc = publish(bytes, count, why);
    if (rc == 0)
        rc = fence(deadline_ns, why);
    if (rc == 0)
        rc = get(0, "ballot", text, NULL, deadline_ns, why);
    if (rc == 0 && !digits_read(bytes, count, text)) {
        snprintf(why, ERROR_BYTES,
                 "what rank 0 has put into the launcher's PMIx did not arrive "
                 "whole; run the same version of ballot everywhere");
        rc = -EPROTO;
    }
    explicit_bzero(text, sizeof(text));
    return rc;
}

int pmix_size(int *ranks, uint64_t deadline_ns, char *why)
{
    uint32_t number = 0;
    int rc = begin(why);

    if (rc == 0)
        rc = get(PMIX_RANK_OF_JOB, "pmix.job.size", NULL, &number, deadline_ns,
                 why);
    if (rc == 0)
        *ranks = number > INT32_MAX ? INT32_MAX : (int)number;
    return rc;
}
