/* SPDX-License-Identifier: Apache-2.0 */
/* flow_stream.c - messages between two ranks, and what credit they have. */
#include <string.h>

#include "flow_inside.h"

/* Of a rank's messages taken, so many and it is told of the credit, if no
 * message of ours has. */
enum { CREDIT_EVERY = STREAM_WINDOW / 2 };

uint32_t stream_message_bytes(uint64_t payload)
{
    return (uint32_t)(LINE_BYTES + (payload + 7) / 8 * 8);
}

static bool is_ours(const struct flow *flow, const struct header *header,
                    enum header_kind kind)
{
    return header->magic == HEADER_MAGIC && header->kind == kind &&
           header->epoch == flow->config.epoch;
}

static void take_credit(struct flow *flow, uint32_t peer, uint64_t credited)
{
    struct stream *s = &flow->streams[peer];

    if (credited <= s->credited || credited > s->sequence)
        return;
    s->credited = credited;
    flow_wake(flow, s->move_head);
}

void flow_arrived(struct flow *flow, const struct event *event, uint32_t slot)
{
    struct stream *s = &flow->streams[event->peer];
    struct header header;

    if (s->arrivals[slot].full) {
        flow->counts.dropped++;
        return;
    }
    s->arrivals[slot] = (struct arrival){event->memory, event->bytes, true};
    memcpy(&header, event->memory, sizeof(header));
    if (is_ours(flow, &header, HEADER_STREAM))
        take_credit(flow, event->peer, header.mask);
    if (slot != s->expected % STREAM_WINDOW)
        return;
    mask_set(&flow->coming, event->peer);
    if (s->source_head != MOVE_NONE)
        flow_wake(flow, flow->sources[s->source_head].move);
    else
        check_unexpected(flow, event->peer);
}

void flow_credited(struct flow *flow, const struct event *event)
{
    struct header header;

    memcpy(&header, event->memory, sizeof(header));
    if (is_ours(flow, &header, HEADER_CREDIT))
        take_credit(flow, event->peer, header.sequence);
    else
        flow->counts.dropped++;
}

bool stream_put(struct flow *flow, uint32_t peer, uint32_t slot, uint8_t *place,
                const struct header *header, uint64_t payload)
{
    uint32_t bytes = stream_message_bytes(payload);

    memcpy(place, header, LINE_BYTES);
    if (link_put(&flow->config.links[peer], slot, bytes) < 0)
        return false;
    flow->counts.puts++;
    flow->counts.bytes_put += bytes;
    flow->streams[peer].told = flow->streams[peer].expected;
    mask_clear(&flow->owing, peer);
    return true;
}

/* A credit that finds its slot still leaving is tried again. */
static void give_credit(struct flow *flow, uint32_t peer)
{
    struct stream *s = &flow->streams[peer];
    uint32_t slot = lane_first(flow->config.window, LANE_CREDIT) +
                    (uint32_t)(s->expected / CREDIT_EVERY % STREAM_WINDOW);
    struct header header = {
        .magic = HEADER_MAGIC,
        .epoch = flow->config.epoch,
        .sequence = s->expected,
        .kind = HEADER_CREDIT,
    };
    uint8_t *place = link_stage(&flow->config.links[peer], slot);

    if (flow->config.links[peer].lost)
        mask_clear(&flow->owing, peer);
    else if (place != NULL)
        stream_put(flow, peer, slot, place, &header, 0);
}

void stream_give_credits(struct flow *flow)
{
    for (uint32_t w = 0; w < (flow->config.ranks + 63) / 64; w++)
        for (uint64_t left = flow->owing.words[w]; left != 0; left &= left - 1)
            give_credit(flow, 64 * w + (uint32_t)__builtin_ctzll(left));
}

/* The next message of `peer` was used up. */
void stream_consume(struct flow *flow, uint32_t peer)
{
    struct stream *s = &flow->streams[peer];

    s->arrivals[s->expected % STREAM_WINDOW].full = false;
    s->expected++;
    if (!s->arrivals[s->expected % STREAM_WINDOW].full)
        mask_clear(&flow->coming, peer);
    if (s->expected - s->told >= CREDIT_EVERY)
        mask_set(&flow->owing, peer);
}

/* No event says that a slot has left. */
void stream_wake_leaving(struct flow *flow)
{
    for (uint32_t w = 0; w < (flow->config.ranks + 63) / 64; w++) {
        for (uint64_t left = flow->leaving.words[w]; left != 0;
             left &= left - 1)
            flow_wake(flow,
                      flow->streams[64 * w + (uint32_t)__builtin_ctzll(left)]
                          .move_head);
        flow->leaving.words[w] = 0;
    }
}
