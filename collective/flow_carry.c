/* SPDX-License-Identifier: Apache-2.0 */
/* flow_carry.c - one fragment of a move, from its sources to its destination.
 */
#include <string.h>

#include "flow_inside.h"
#include "transport/past.h"

static uint64_t fragment_of(const struct flow *flow, const struct move *m)
{
    uint64_t left = m->bytes - move_at(m);

    return left < flow->payload ? left : flow->payload;
}

bool move_may_go(const struct flow *flow, const struct move *m, uint64_t end)
{
    if (m->follows != MOVE_NONE && flow->moves[m->follows].done < end)
        return false;
    if (m->after != MOVE_NONE && !flow->moves[m->after].complete)
        return false;
    return (m->flags & MOVE_LAST) == 0 || flow->puts_left == 0;
}

/* Whether every source has its next fragment here. */
static bool has_sources(struct flow *flow, const struct move *m, uint64_t bytes)
{
    for (uint32_t i = 0; i < m->sources; i++) {
        uint32_t index = m->source_first + i;
        const struct source *s = &flow->sources[index];
        const struct call *call = flow->exchanges ? &m->call : &flow->call.call;

        if (s->peer == MOVE_NONE)
            continue;
        if (flow->streams[s->peer].source_head != index ||
            !mask_has(&flow->coming, s->peer) ||
            !check_message(flow, s->peer, call, stream_message_bytes(bytes)))
            return false;
    }
    return true;
}

/* Where the fragment of a source begins. */
static const void *source_place(struct flow *flow, const struct move *m,
                                const struct source *s, uint64_t bytes)
{
    const struct flow_call *call = &flow->call;
    const struct stream *stream;

    if (s->peer == MOVE_NONE) {
        const uint8_t *memory = s->memory + move_at(m);

        if ((m->flags & MOVE_RAW) == 0 || call->factor == NULL)
            return memory;
        call->reduction->scale(flow->scaled, memory, call->factor,
                               bytes / call->unit);
        return flow->scaled;
    }
    stream = &flow->streams[s->peer];
    return stream->arrivals[stream->expected % STREAM_WINDOW].payload;
}

static uint32_t next_row(const struct folding *f, uint32_t row)
{
    return row + 1 == f->rows ? 0 : row + 1;
}

/* Elements of each block, with another row first. */
void flow_fold(struct flow *flow, const struct folding *f)
{
    uint64_t at = f->first, end = at + f->count;
    /* A division takes as long as the rest of a small fold. */
    uint64_t block = f->block == 0 || at == 0 ? 0 : at / f->block;
    const void **turned = flow->rows + flow->config.ranks;
    uint32_t row = (uint32_t)((f->turn + block) % f->rows);

    while (at < end) {
        uint64_t stop = f->block == 0 ? end : (block + 1) * f->block;
        uint64_t offset = (at - f->first) * flow->call.unit;

        stop = stop < end ? stop : end;
        for (uint32_t i = 0; i < f->rows; i++) {
            turned[i] = (const uint8_t *)flow->rows[row] + offset;
            row = next_row(f, row);
        }
        flow->call.reduction->fold(f->to + offset, turned, f->rows, stop - at);
        row = next_row(f, row);
        block++;
        at = stop;
    }
}

static void fold(struct flow *flow, const struct move *m, uint8_t *to,
                 uint64_t bytes)
{
    uint32_t unit = flow->call.unit;

    flow_fold(flow, &(struct folding){
                        .to = to,
                        .rows = m->sources,
                        .turn = m->turn,
                        .block = m->block,
                        .first = m->first + m->done / unit,
                        .count = bytes / unit,
                    });
}

/* Memory that no cache can keep until it is used is not fetched to be written.
 */
static void copy(const struct move *m, void *to, const void *from,
                 uint64_t bytes)
{
    if (m->peer == MOVE_NONE && m->bytes >= PAST_BYTES)
        copy_past(to, from, bytes);
    else
        memcpy(to, from, bytes);
}

/* What comes out of a fragment's sources goes to `to`. */
static void carry(struct flow *flow, const struct move *m, uint8_t *to,
                  uint64_t bytes)
{
    const struct flow_call *call = &flow->call;

    for (uint32_t i = 0; i < m->sources; i++)
        flow->rows[i] =
            source_place(flow, m, &flow->sources[m->source_first + i], bytes);
    if (m->sources > 1)
        fold(flow, m, to, bytes);
    else if (bytes > 0 && to != flow->rows[0])
        copy(m, to, flow->rows[0], bytes);
    if (call->average && (m->flags & MOVE_FINAL) != 0)
        call->reduction->divide(to, flow->config.ranks, bytes / call->unit);
}

/* The next move that takes turns goes first, and this one behind all that do.
 */
static void turn_stream(struct flow *flow, struct move *m)
{
    struct move *last = m;

    while (last->next != MOVE_NONE &&
           (flow->moves[last->next].flags & MOVE_TURNS) != 0)
        last = &flow->moves[last->next];
    if (last == m)
        return;
    flow->streams[m->peer].move_head = m->next;
    flow_wake(flow, m->next);
    m->next = last->next;
    last->next = move_index(flow, m);
}

static void turn_source(struct flow *flow, struct source *s)
{
    struct source *last = s;

    while (last->next != MOVE_NONE &&
           (flow->moves[flow->sources[last->next].move].flags & MOVE_TURNS) !=
               0)
        last = &flow->sources[last->next];
    if (last == s)
        return;
    flow->streams[s->peer].source_head = s->next;
    flow_wake(flow, flow->sources[s->next].move);
    s->next = last->next;
    last->next = (uint32_t)(s - flow->sources);
}

static void consume_sources(struct flow *flow, const struct move *m)
{
    for (uint32_t i = 0; i < m->sources; i++) {
        struct source *s = &flow->sources[m->source_first + i];
        struct stream *stream;

        if (s->peer == MOVE_NONE)
            continue;
        stream = &flow->streams[s->peer];
        stream_consume(flow, s->peer);
        if (!m->complete) {
            if ((m->flags & MOVE_TURNS) != 0)
                turn_source(flow, s);
            continue;
        }
        stream->source_head = s->next;
        if (s->next != MOVE_NONE)
            flow_wake(flow, flow->sources[s->next].move);
        else if (mask_has(&flow->coming, s->peer))
            check_unexpected(flow, s->peer);
    }
}

static void wake_all(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->moves_count; i++)
        flow_wake(flow, i);
}

static void complete(struct flow *flow, struct move *m)
{
    m->complete = true;
    flow->moves_left--;
    for (uint32_t i = m->heirs; i != MOVE_NONE; i = flow->moves[i].next_heir)
        flow_wake(flow, i);
    if (m->peer != MOVE_NONE && --flow->puts_left == 0)
        wake_all(flow);
}

/* Its next bytes are behind it: they may be read, and written. */
static void go_on(struct flow *flow, struct move *m, uint64_t bytes)
{
    m->done += bytes;
    for (uint32_t i = m->followers; i != MOVE_NONE;
         i = flow->moves[i].next_follower)
        flow_wake(flow, i);
    if (m->done == m->bytes)
        complete(flow, m);
}

void move_release(struct flow *flow, const struct holding *holding)
{
    struct move *m = &flow->moves[holding->move];

    m->held -= holding->bytes;
    flow->released = true;
    go_on(flow, m, holding->bytes);
}

/* The slot of a move's next fragment into a stream; NULL: it cannot go now. */
static uint8_t *find_slot(struct flow *flow, const struct move *m,
                          uint32_t *slot)
{
    const struct stream *s = &flow->streams[m->peer];
    uint8_t *place;

    if (s->move_head != move_index(flow, m) ||
        s->sequence - s->credited >= flow->window)
        return NULL;
    *slot = lane_first(flow->config.window, LANE_STREAM) +
            (uint32_t)(s->sequence % STREAM_WINDOW);
    place = link_stage(&flow->config.links[m->peer], *slot);
    if (place == NULL)
        mask_set(&flow->leaving, m->peer);
    return place;
}

/* Whether it takes less time to put it from where it is. What goes one way and
 * is in no cache does: its copies would wait for room and be copied twice. */
static bool is_kept(const struct flow *flow, const struct move *m,
                    uint64_t bytes)
{
    const struct link *link = &flow->config.links[m->peer];
    const struct transport *t = link->transport;

    if (t->put_from == NULL || m->bytes < flow->config.direct_bytes)
        return false;
    return t->keeps == NULL ||
           (flow->payload > flow->narrow && m->bytes >= PAST_BYTES) ||
           t->keeps(link->endpoint, link->peer, (uint32_t)bytes);
}

/*
 * Where a fragment lies that needs no copy of ours. It stays there if it is
 * part of a large move, and memory that nobody writes before the rank has told
 * us that it has taken it. What two ranks send to each other is not held as
 * long as it fits the window: each may wait until the other has sent.
 */
static struct apart lies_apart(const struct flow *flow, const struct move *m,
                               uint64_t bytes)
{
    const struct source *s = &flow->sources[m->source_first];

    if (bytes < flow->config.apart_bytes || bytes % 8 != 0 || m->sources != 1 ||
        s->peer != MOVE_NONE ||
        flow->config.links[m->peer].transport->put_with == NULL ||
        ((m->flags & MOVE_RAW) != 0 && flow->call.factor != NULL))
        return (struct apart){.memory = NULL};
    return (struct apart){
        .memory = s->memory + move_at(m),
        .stays = (m->flags & MOVE_COPIED) == 0 &&
                 (!flow->exchanges ||
                  m->bytes > STREAM_WINDOW * (uint64_t)flow->payload) &&
                 is_kept(flow, m, bytes),
    };
}

static bool is_shared(const struct flow *flow, const struct move *m)
{
    return (m->flags & MOVE_SHARED) != 0 && flow->sharing.moves > 1;
}

/*
 * A fragment that several moves share: whoever comes first copies it, and it
 * stays until all have taken it. False: it has to wait for a place.
 */
static bool share_fragment(struct flow *flow, const struct move *m,
                           uint64_t bytes, struct apart *apart)
{
    struct sharing *s = &flow->sharing;
    const struct source *source = &flow->sources[m->source_first];
    const struct link *link = &flow->config.links[m->peer];
    uint64_t number = s->first + m->done / flow->payload;
    uint32_t place = (uint32_t)(number % SHARED_PLACES);

    if (number == s->written) {
        if (s->users[place] > 0)
            return false;
        link->transport->share(link->endpoint, place, source->memory + m->done,
                               (uint32_t)bytes);
        s->users[place] = s->moves;
        s->written++;
    }
    *apart = (struct apart){.shared = (uint8_t)(place + 1)};
    return true;
}

static bool send_fragment(struct flow *flow, struct move *m, uint64_t bytes)
{
    struct stream *s = &flow->streams[m->peer];
    struct header header = {
        .magic = HEADER_MAGIC,
        .epoch = flow->config.epoch,
        .sequence = s->sequence,
        .call = flow->exchanges ? m->call : flow->call.call,
        .kind = HEADER_STREAM,
        .mask = s->expected,
    };
    uint32_t slot;
    uint8_t *place = find_slot(flow, m, &slot);
    struct apart apart;
    bool holds;

    if (place == NULL)
        return false;
    if (!is_shared(flow, m))
        apart = lies_apart(flow, m, bytes);
    else if (!share_fragment(flow, m, bytes, &apart))
        return false;
    /* What comes behind something held is not done before it. */
    holds = apart.stays || m->held > 0;
    /* A place gets free even if nothing else goes to that rank. */
    if ((holds || apart.shared > 0) && move_at(m) + bytes == m->bytes)
        header.flags = FLAG_TELL;
    if (apart.memory == NULL && apart.shared == 0)
        carry(flow, m, place + LINE_BYTES, bytes);
    if (!stream_put(flow, m->peer, slot, place, &header, bytes, apart))
        return false;
    if (holds) {
        s->holdings[s->sequence % STREAM_WINDOW] =
            (struct holding){move_index(flow, m), (uint32_t)bytes};
        m->held += bytes;
    }
    s->shared[s->sequence % STREAM_WINDOW] = apart.shared;
    s->sequence++;
    if (move_at(m) + (m->held > 0 ? 0 : bytes) == m->bytes) {
        s->move_head = m->next;
        flow_wake(flow, m->next);
    }
    return true;
}

bool flow_advance(struct flow *flow, struct move *m, uint64_t *moved)
{
    uint64_t bytes = fragment_of(flow, m);

    if (m->complete || (m->held > 0 && bytes == 0) ||
        !move_may_go(flow, m, move_at(m) + bytes) ||
        !has_sources(flow, m, bytes))
        return false;
    if (m->peer == MOVE_NONE)
        carry(flow, m, m->to + m->done, bytes);
    else if (!send_fragment(flow, m, bytes))
        return false;
    if (m->held == 0)
        go_on(flow, m, bytes);
    consume_sources(flow, m);
    if (m->peer != MOVE_NONE && (m->flags & MOVE_TURNS) != 0 &&
        move_at(m) < m->bytes)
        turn_stream(flow, m);
    *moved += bytes;
    return true;
}
