/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - sum, average and broadcast around a ring of all ranks.
 *
 * One operation at a time, in the order of the calls. Messages to the next rank
 * are numbered over all operations and lie in the stream lane; the next rank
 * answers each with a header line in the credit lane. One thread at a time;
 * never blocks, allocates only in ring_open().
 */
#ifndef BALLOT_COLLECTIVE_RING_H
#define BALLOT_COLLECTIVE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../transport/transport.h"

struct ring_config {
    uint32_t rank, ranks;
    uint32_t window; /* of the vote lanes: says where ours begin */
    uint32_t slot_bytes;
    uint32_t epoch;
    const struct link *links; /* [ranks], the caller's */
};

struct ring_call {
    enum { RING_SUM, RING_AVERAGE, RING_BROADCAST } kind;
    const void *send;
    void *recv;
    size_t count; /* float32 values; broadcast: bytes */
    uint32_t root;
    void *context; /* comes back when it ends */
};

struct ring_counts {
    uint64_t puts;
    uint64_t bytes_put;
    uint64_t dropped;
};

struct ring;

int ring_open(struct ring **ring, const struct ring_config *config);
void ring_close(struct ring *ring); /* NULL is allowed */

/* -EBUSY while another operation is under way. */
int ring_begin(struct ring *ring, uint64_t now_ns,
               const struct ring_call *call);

/* The previous rank put stream slot `slot`; the next one credit slot `slot`
 * (both of the lane). */
void ring_arrived(struct ring *ring, const struct event *event, uint32_t slot);
void ring_credited(struct ring *ring, const struct event *event);

/* Takes or sends one message; false if there was nothing to do. */
bool ring_step(struct ring *ring, uint64_t now_ns);

/* The context of the operation that is complete; NULL: none. Once each. */
void *ring_ended(struct ring *ring);

/* When the operation under way last moved; UINT64_MAX: there is none. */
uint64_t ring_progress(const struct ring *ring);

/* Forgets the operation under way and its buffers: it ended otherwise. The
 * ring cannot be used any more. */
void ring_abandon(struct ring *ring);

void ring_count(const struct ring *ring, struct ring_counts *counts);

#endif
