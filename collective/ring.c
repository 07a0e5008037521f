/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - sum, average and broadcast around a ring of all ranks.
 *
 * The sum is the usual pair of phases: in step t < ranks - 1 a rank sends
 * segment rank - t, adds what arrives to its own values of segment
 * rank - 1 - t, and in the steps after that passes finished segments on. Each
 * segment travels in `pieces` messages; message m is piece m mod pieces of step
 * m / pieces, and the one that it depends on is message m - pieces from the
 * previous rank. A broadcast is the same with one step.
 */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../aggregate/kernels.h"
#include "../aggregate/round.h"
#include "lanes.h"

struct arrival {
    const uint8_t *memory;
    uint32_t bytes;
    bool full;
};

struct ring {
    struct ring_config config;
    uint32_t next, previous; /* ranks */

    bool active;
    bool broken;
    struct ring_call call;
    uint64_t number;           /* of the operation, to tell them apart */
    uint64_t segment;          /* float32 values of a segment */
    uint64_t piece;            /* values (bytes in a broadcast) of a message */
    uint64_t pieces;           /* messages of a step */
    uint64_t to_send, to_take; /* messages of this operation */
    uint64_t sent, taken;
    uint64_t progress_ns;

    /* Over all operations. */
    uint64_t sequence; /* of the next message sent */
    uint64_t credited; /* messages that the next rank has taken */
    uint64_t expected; /* sequence of the next message taken */
    struct arrival arrivals[STREAM_WINDOW];
    struct ring_counts counts;
};

int ring_open(struct ring **ring, const struct ring_config *config)
{
    struct ring *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    r->config = *config;
    r->next = (config->rank + 1) % config->ranks;
    r->previous = (config->rank + config->ranks - 1) % config->ranks;
    *ring = r;
    return 0;
}

void ring_close(struct ring *ring)
{
    free(ring);
}

static void plan_sum(struct ring *r)
{
    uint64_t ranks = r->config.ranks;

    r->piece = (r->config.slot_bytes - LINE_BYTES) / sizeof(float);
    r->segment = (r->call.count + ranks - 1) / ranks;
    r->pieces = (r->segment + r->piece - 1) / r->piece;
    r->to_send = r->to_take = 2 * (ranks - 1) * r->pieces;
}

static void plan_broadcast(struct ring *r)
{
    uint32_t ranks = r->config.ranks;
    uint32_t place = (r->config.rank + ranks - r->call.root) % ranks;

    r->piece = r->config.slot_bytes - LINE_BYTES;
    r->pieces = (r->call.count + r->piece - 1) / r->piece;
    r->to_take = place == 0 ? 0 : r->pieces;
    r->to_send = place == ranks - 1 ? 0 : r->pieces;
}

int ring_begin(struct ring *ring, uint64_t now_ns, const struct ring_call *call)
{
    bool broadcast = call->kind == RING_BROADCAST;
    bool root = broadcast && call->root == ring->config.rank;
    size_t bytes = call->count * (broadcast ? 1 : sizeof(float));

    if (ring->active || ring->broken)
        return -EBUSY;
    ring->call = *call;
    ring->number++;
    ring->sent = ring->taken = 0;
    ring->progress_ns = now_ns;
    ring->active = true;
    if (broadcast)
        plan_broadcast(ring);
    else
        plan_sum(ring);
    if ((root || ring->config.ranks == 1) && call->send != call->recv)
        memcpy(call->recv, call->send, bytes);
    return 0;
}

/* First value and count of piece `m mod pieces` of `segment`. */
static uint64_t piece_range(const struct ring *r, uint64_t segment, uint64_t m,
                            uint64_t *count)
{
    uint64_t first = segment * r->segment + m % r->pieces * r->piece;
    uint64_t end = (segment + 1) * r->segment;

    if (r->call.kind == RING_BROADCAST) {
        first = m * r->piece;
        end = r->call.count;
    }
    if (end > r->call.count)
        end = r->call.count;
    if (first > end)
        first = end;
    *count = end - first < r->piece ? end - first : r->piece;
    return first;
}

static uint32_t message_bytes(uint64_t payload)
{
    return (uint32_t)(LINE_BYTES +
                      (payload + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES);
}

/* ---- Taking ---- */

void ring_arrived(struct ring *ring, const struct event *event, uint32_t slot)
{
    struct arrival *a = &ring->arrivals[slot];

    if (event->peer != ring->previous || a->full) {
        ring->counts.dropped++;
        return;
    }
    *a = (struct arrival){event->memory, event->bytes, true};
}

void ring_credited(struct ring *ring, const struct event *event)
{
    struct header header;

    memcpy(&header, event->memory, sizeof(header));
    if (event->peer != ring->next || header.kind != HEADER_CREDIT ||
        header.epoch != ring->config.epoch ||
        header.sequence <= ring->credited || header.sequence > ring->sequence) {
        ring->counts.dropped++;
        return;
    }
    ring->credited = header.sequence;
}

static bool put_header(struct ring *r, uint32_t peer, uint32_t slot,
                       const struct header *header, const void *payload,
                       uint64_t payload_bytes)
{
    const struct link *link = &r->config.links[peer];
    uint32_t bytes = message_bytes(payload_bytes);
    uint8_t *place = link_stage(link, slot);

    if (place == NULL)
        return false;
    memcpy(place, header, LINE_BYTES);
    if (payload_bytes > 0)
        memcpy(place + LINE_BYTES, payload, payload_bytes);
    if (link_put(link, slot, bytes) < 0)
        return false;
    r->counts.puts++;
    r->counts.bytes_put += bytes;
    return true;
}

static void use_payload(struct ring *r, uint64_t first, uint64_t count,
                        const uint8_t *payload)
{
    uint64_t ranks = r->config.ranks;
    uint64_t step = r->taken / r->pieces;
    float *recv = r->call.recv;
    const float *send = r->call.send;

    if (r->call.kind == RING_BROADCAST) {
        memcpy((uint8_t *)r->call.recv + first, payload, count);
        return;
    }
    if (step >= ranks - 1) {
        memcpy(recv + first, payload, count * sizeof(float));
        return;
    }
    reduce_add_float32(recv + first, (const float *)(const void *)payload,
                       send + first, count);
    if (step == ranks - 2 && r->call.kind == RING_AVERAGE)
        reduce_scale_float32(recv + first, 1.0f / (float)ranks, count);
}

static bool message_valid(const struct ring *r, const struct header *header,
                          const struct arrival *a, uint64_t payload_bytes)
{
    return header->magic == HEADER_MAGIC && header->kind == HEADER_STREAM &&
           header->epoch == r->config.epoch &&
           header->sequence == r->expected && header->call.round == r->number &&
           a->bytes == message_bytes(payload_bytes);
}

static bool take_message(struct ring *r, uint64_t now_ns)
{
    uint32_t slot = (uint32_t)(r->expected % STREAM_WINDOW);
    uint32_t credit = lane_first(r->config.window, LANE_CREDIT) + slot;
    struct arrival *a = &r->arrivals[slot];
    uint64_t ranks = r->config.ranks;
    uint64_t step, first, count, unit;
    struct header header;

    if (!a->full || r->taken == r->to_take)
        return false;
    memcpy(&header, a->memory, sizeof(header));
    step = r->taken / r->pieces;
    unit = r->call.kind == RING_BROADCAST ? 1 : sizeof(float);
    first = piece_range(r, (r->config.rank + 2 * ranks - 1 - step) % ranks,
                        r->taken, &count);
    if (!message_valid(r, &header, a, count * unit)) {
        a->full = false;
        r->counts.dropped++;
        return true;
    }
    use_payload(r, first, count, a->memory + LINE_BYTES);
    a->full = false;
    r->expected++;
    r->taken++;
    r->progress_ns = now_ns;
    header = (struct header){
        .magic = HEADER_MAGIC,
        .epoch = r->config.epoch,
        .sequence = r->expected,
        .kind = HEADER_CREDIT,
    };
    /* Credits are cumulative: one that finds its slot still leaving is made
     * good by the next. */
    put_header(r, r->previous, credit, &header, NULL, 0);
    return true;
}

/* ---- Sending ---- */

static bool send_message(struct ring *r, uint64_t now_ns)
{
    uint32_t slot = (uint32_t)(r->sequence % STREAM_WINDOW) +
                    lane_first(r->config.window, LANE_STREAM);
    uint64_t ranks = r->config.ranks;
    uint64_t step, first, count, unit;
    bool broadcast = r->call.kind == RING_BROADCAST;
    bool own; /* our own values, not what was passed on to us */
    const uint8_t *source;
    struct header header;

    if (r->sent == r->to_send || r->sequence - r->credited >= STREAM_WINDOW)
        return false;
    step = r->sent / r->pieces;
    own = broadcast ? r->to_take == 0 : step == 0;
    if (!own && r->sent >= r->taken + (broadcast ? 0 : r->pieces))
        return false;
    first = piece_range(r, (r->config.rank + 2 * ranks - step) % ranks, r->sent,
                        &count);
    unit = broadcast ? 1 : sizeof(float);
    source = (const uint8_t *)(own ? r->call.send : r->call.recv);
    header = (struct header){
        .magic = HEADER_MAGIC,
        .epoch = r->config.epoch,
        .sequence = r->sequence,
        .call = {.round = r->number},
        .kind = HEADER_STREAM,
    };
    if (!put_header(r, r->next, slot, &header, source + first * unit,
                    count * unit))
        return false;
    r->sequence++;
    r->sent++;
    r->progress_ns = now_ns;
    return true;
}

bool ring_step(struct ring *ring, uint64_t now_ns)
{
    return ring->active &&
           (take_message(ring, now_ns) || send_message(ring, now_ns));
}

void *ring_ended(struct ring *ring)
{
    if (!ring->active || ring->sent < ring->to_send ||
        ring->taken < ring->to_take)
        return NULL;
    ring->active = false;
    return ring->call.context;
}

uint64_t ring_progress(const struct ring *ring)
{
    return ring->active ? ring->progress_ns : UINT64_MAX;
}

void ring_abandon(struct ring *ring)
{
    ring->active = false;
    ring->broken = true;
}

void ring_count(const struct ring *ring, struct ring_counts *counts)
{
    *counts = ring->counts;
}
