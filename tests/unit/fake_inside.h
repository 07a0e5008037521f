/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_inside.h - what the files of the fake device share.
 */
#ifndef BALLOT_TESTS_UNIT_FAKE_INSIDE_H
#define BALLOT_TESTS_UNIT_FAKE_INSIDE_H

#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_verbs.h"

/* Of everything here. */
extern pthread_mutex_t fake_lock;

/* The errno, which is also set, if this call shall fail now; else 0. */
int fake_refuse(enum fake_call call);

/* Aborts: the program did what the true libraries do not forgive. */
_Noreturn void fake_breach(const char *what);

/* ---- Objects by their address: of one kind, made once, freed once ---- */

enum fake_kind {
    KIND_LIST,
    KIND_CONTEXT,
    KIND_DOMAIN,
    KIND_REGION,
    KIND_WINDOW,
    KIND_CHANNEL,
    KIND_QUEUE,
    KIND_PAIR,
    KIND_CM_CHANNEL,
    KIND_CM_ID,
};

/* Zeroed. */
void *fake_make(enum fake_kind kind, size_t bytes);
void fake_free(enum fake_kind kind, void *object);
void fake_check(enum fake_kind kind, const void *object);
/* The next one after `object`, or the first; NULL: there is none. Whoever goes
 * through a kind has fake_lock, and so has whoever makes or frees one of it. */
void *fake_next(enum fake_kind kind, const void *object);

/* Whatever a test that failed has left. */
void fake_forget(void);

/* ---- Queues of events behind a descriptor ---- */

enum { EVENTS_MAX = 64 };

struct fake_events {
    int descriptor; /* readable while there is one */
    uint32_t count;
    void *items[EVENTS_MAX];
};

void fake_events_open(struct fake_events *events);
void fake_events_close(struct fake_events *events);
void fake_events_push(struct fake_events *events, void *item);
/* NULL with errno = EAGAIN: there is none. */
void *fake_events_pop(struct fake_events *events);
void fake_events_remove(struct fake_events *events, uint32_t index);

/* ---- What is behind a struct of libibverbs ---- */

struct context {
    struct verbs_context verbs;
    struct fake_device *device;
    struct fake_events events; /* struct ibv_async_event */
    uint32_t unacknowledged;
};

struct channel {
    struct ibv_comp_channel channel;
    struct fake_events events; /* struct ibv_cq */
};

struct pair;

struct completion {
    struct ibv_wc wc;
    struct pair *pair; /* NULL: a receive, or the pair is destroyed */
    uint32_t done;     /* with this, so many sends are */
};

struct queue {
    struct ibv_cq cq;
    struct completion *ring; /* [cq.cqe] */
    uint32_t first, count;
    bool armed;
    uint32_t unacknowledged;
};

struct region {
    struct ibv_mr mr;
    unsigned int access;
};

enum { FAKE_INLINE_MAX = 1024, FAKE_PIECES_MAX = 2 };

struct send {
    struct ibv_send_wr wr;
    struct ibv_sge pieces[FAKE_PIECES_MAX];
    uint32_t bytes;                  /* of all */
    uint8_t copied[FAKE_INLINE_MAX]; /* of an inline one, when it was posted */
};

struct pair {
    struct ibv_qp qp;
    struct ibv_qp_cap cap;
    struct ibv_qp_attr attributes; /* as told last, each part */
    struct send *sends;            /* ring of [cap.max_send_wr] */
    uint64_t *receives;            /* ring of [cap.max_recv_wr] of wr_id */
    uint32_t sends_first, sends_count;
    uint32_t receives_first, receives_count;
    uint32_t posted, carried_out, done; /* sends since ever */
};

/* A memory window, of type 2. */
struct window {
    struct ibv_mw mw;
    struct pair *pair; /* that it is bound to, or NULL */
    uint32_t key;      /* while it is bound */
    uint64_t address, bytes;
};

struct context *fake_context(struct ibv_context *context);

/* The operations that are inline functions. */
void fake_work_fill(struct ibv_context_ops *operations);

/* What a work request that binds or invalidates a window becomes. Under the
 * lock, as the one after it. */
enum ibv_wc_status fake_bind(struct pair *pair, const struct ibv_send_wr *wr);
enum ibv_wc_status fake_invalidate(struct pair *pair, uint32_t key);
/* Whether a peer may write these bytes over `pair` by a window's key. */
bool fake_window_allows(const struct pair *pair, uint32_t key, uint64_t address,
                        uint32_t bytes);
void fake_windows_fill(struct ibv_context_ops *operations);

/* The pair is in error, and all that is posted completes so. Under the lock. */
void fake_flush(struct pair *pair);

/* The device with this IP, or -1. */
int fake_device_at(const void *ip, size_t bytes);

#endif
