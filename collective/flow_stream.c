/* SPDX-License-Identifier: Apache-2.0 */
/* flow_stream.c - messages between two ranks, and what credit they have. */
#include <string.h>

#include "flow_inside.h"

/* Half a window of a rank's messages taken, and it is told of the credit, if no
 * message of ours has: at least so many. What a call of the larger window has
 * left untold is less than the smaller window, so the next one can begin. */
enum { CREDIT_LEAST = STREAM_WINDOW / 4 };

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

/* A rank has taken what it found in a shared place. */
static void leave_shared(struct flow *flow, uint32_t place)
{
    if (--flow->sharing.users[place] > 0)
        return;
    for (uint32_t r = 0; r < flow->config.ranks; r++)
        flow_wake(flow, flow->streams[r].move_head);
}

static void take_credit(struct flow *flow, uint32_t peer, uint64_t credited)
{
    struct stream *s = &flow->streams[peer];

    if (credited <= s->credited || credited > s->sequence)
        return;
    for (; s->credited < credited; s->credited++) {
        struct holding *h = &s->holdings[s->credited % STREAM_WINDOW];
        uint8_t *shared = &s->shared[s->credited % STREAM_WINDOW];

        if (h->bytes > 0)
            move_release(flow, h);
        h->bytes = 0;
        if (*shared > 0)
            leave_shared(flow, *shared - 1u);
        *shared = 0;
    }
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
    s->arrivals[slot] = (struct arrival){
        .memory = event->memory,
        .payload = event->apart != NULL
                       ? event->apart
                       : (const uint8_t *)event->memory + LINE_BYTES,
        .bytes = event->bytes,
        .full = true,
    };
    memcpy(&header, event->memory, sizeof(header));
    if (is_ours(flow, &header, HEADER_STREAM)) {
        s->arrivals[slot].tell = (header.flags & FLAG_TELL) != 0;
        take_credit(flow, event->peer, header.mask);
    }
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

/*
 * Only into memory of the move that takes from this stream next, and only what
 * is the fragment of our call that comes so far behind the next one: the check
 * is made again when its turn has come.
 */
void *flow_place(struct flow *flow, uint32_t peer, uint32_t slot,
                 const void *head, uint32_t bytes)
{
    struct stream *s = &flow->streams[peer];
    const struct move *m;
    struct header header;
    uint64_t ahead, at, fragment;

    memcpy(&header, head, sizeof(header));
    if (!flow->active || flow->differs ||
        bytes < LINE_BYTES + flow->config.apart_bytes ||
        !is_ours(flow, &header, HEADER_STREAM) ||
        slot != header.sequence % STREAM_WINDOW || s->arrivals[slot].full)
        return NULL;
    take_credit(flow, peer, header.mask);
    if (s->source_head == MOVE_NONE)
        return NULL;
    m = &flow->moves[flow->sources[s->source_head].move];
    ahead = header.sequence - s->expected;
    if (m->sources != 1 || m->peer != MOVE_NONE || ahead >= STREAM_WINDOW ||
        !call_equal(&header.call,
                    flow->exchanges ? &m->call : &flow->call.call))
        return NULL;
    at = m->done + ahead * flow->payload;
    if (at >= m->bytes)
        return NULL;
    fragment = m->bytes - at < flow->payload ? m->bytes - at : flow->payload;
    if (bytes != LINE_BYTES + fragment || !move_may_go(flow, m, at + fragment))
        return NULL;
    return m->to + at;
}

/* Memory of the caller's, where the transport needs no copy of it. */
static int put_message(const struct link *link, uint32_t slot, uint32_t bytes,
                       struct apart apart)
{
    const struct transport *t = link->transport;

    if (apart.shared > 0)
        return t->put_shared(link->endpoint, link->peer, slot, bytes,
                             apart.shared - 1);
    if (apart.memory == NULL)
        return link_put(link, slot, bytes);
    return (apart.stays ? t->put_from : t->put_with)(link->endpoint, link->peer,
                                                     slot, bytes, apart.memory,
                                                     bytes - LINE_BYTES);
}

bool stream_put(struct flow *flow, uint32_t peer, uint32_t slot, uint8_t *place,
                const struct header *header, uint64_t payload,
                struct apart apart)
{
    uint32_t bytes = stream_message_bytes(payload);

    memcpy(place, header, LINE_BYTES);
    if (put_message(&flow->config.links[peer], slot, bytes, apart) < 0)
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
                    (uint32_t)(s->expected / CREDIT_LEAST % STREAM_WINDOW);
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
        stream_put(flow, peer, slot, place, &header, 0,
                   (struct apart){.memory = NULL});
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

    struct arrival *a = &s->arrivals[s->expected % STREAM_WINDOW];

    a->full = false;
    s->expected++;
    if (!s->arrivals[s->expected % STREAM_WINDOW].full)
        mask_clear(&flow->coming, peer);
    if (a->tell || s->expected - s->told >= flow->window / 2)
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
