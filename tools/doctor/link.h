/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - one peer over one transport, with a deadline on every wait.
 */
#ifndef BALLOT_DOCTOR_LINK_H
#define BALLOT_DOCTOR_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "../../transport/transport.h"

enum { LINK_WHY_BYTES = 448 };

/* What the doctor tries, in this order. */
struct tried_transport {
    const struct transport *transport;
    const char *const *engines; /* for BALLOT_TCP_ENGINE; NULL: it has none */
    bool is_rdma;
};

extern const struct tried_transport tried_transports[];
extern const uint32_t tried_count;
enum { TRIED_MAX = 4 };

struct tried_link {
    const struct transport *transport;
    struct endpoint *endpoint; /* linked with peer; the caller's */
    uint32_t peer;
    uint32_t slot_bytes;  /* as the endpoint was opened */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC, of whatever is waited for */
    bool has_event;       /* arrived, and not looked at yet */
    struct event event;
    int error;                /* the last failure: a negative errno, and */
    char why[LINK_WHY_BYTES]; /* what was waited for */
};

/* Keeps the error and why; returns it. */
__attribute__((format(printf, 3, 4))) int tried_fail(struct tried_link *link,
                                                     int error,
                                                     const char *format, ...);

/* The next arrival, as *event; `awaited` is for the error in words. */
int tried_wait(struct tried_link *link, struct event *event,
               const char *awaited);

/* Where to write bytes for a slot. The put before may still be leaving, though
 * the peer has answered it. */
int tried_stage(struct tried_link *link, uint32_t slot, void **memory);

int tried_put(struct tried_link *link, uint32_t slot, uint32_t bytes);

/* Waits until no put is on its way. */
int tried_wait_left(struct tried_link *link);

/*
 * Sends ours[bytes] (a multiple of 64, at most a slot) on a slot that the peer
 * does not use, and receives as many from the same slot of the peer.
 */
int tried_swap(struct tried_link *link, uint32_t slot, const void *ours,
               void *theirs, uint32_t bytes);

#endif
