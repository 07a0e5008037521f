/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.c - works through the moves of a collective.
 *
 * Moves into the stream of a rank, and moves that take from one, go in the
 * order in which the plan wrote them; both ends cut them at the same places.
 * What a move needs is looked at only when something has changed for it: a
 * message or credit has come, or a move on which it depends has gone on. Then
 * its bit in `ready` is set.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "flow_inside.h"

enum {
    MOVES_PER_RANK = 6,
    MOVES_MORE = 64,
    FRAGMENT_STEP = 64,
    WIDENED = 4, /* times stream_bytes, one way between two ranks */
};

int flow_open(struct flow **flow, const struct flow_config *config)
{
    struct flow *f = calloc(1, sizeof(*f));
    uint32_t ranks = config->ranks;

    if (f == NULL)
        return -ENOMEM;
    f->config = *config;
    if (f->config.apart_bytes == 0)
        f->config.apart_bytes = APART_BYTES;
    if (f->config.direct_bytes == 0)
        f->config.direct_bytes = DIRECT_BYTES;
    if (f->config.shared_bytes == 0)
        f->config.shared_bytes = SHARED_BYTES;
    f->whole =
        (config->slot_bytes - LINE_BYTES) / FRAGMENT_STEP * FRAGMENT_STEP;
    f->payload = config->stream_bytes;
    if (f->payload == 0)
        f->payload = f->whole < PAYLOAD_MOST ? f->whole : PAYLOAD_MOST;
    f->narrow = f->payload;
    f->wide = flow_widest(config->stream_bytes, ranks);
    if (f->wide == 0)
        f->wide = f->narrow;
    /* With more ranks the others would wait for it. */
    f->burst = config->stream_bytes != 0 && ranks == 2 ? 3 * f->payload : 1;
    f->moves_max = (MOVES_PER_RANK * ranks + MOVES_MORE + 63) / 64 * 64;
    f->sources_max = 2 * f->moves_max;
    f->moves = calloc(f->moves_max, sizeof(f->moves[0]));
    f->sources = calloc(f->sources_max, sizeof(f->sources[0]));
    f->ready = calloc(f->moves_max / 64, sizeof(f->ready[0]));
    f->streams = calloc(ranks, sizeof(f->streams[0]));
    f->rows = calloc(2 * (size_t)ranks, sizeof(f->rows[0]));
    f->scaled = malloc(f->wide);
    f->scratch = calloc(1, SCRATCH_BYTES);
    *flow = f;
    if (f->moves == NULL || f->sources == NULL || f->ready == NULL ||
        f->streams == NULL || f->rows == NULL || f->scaled == NULL ||
        f->scratch == NULL) {
        flow_close(f);
        *flow = NULL;
        return -ENOMEM;
    }
    for (uint32_t r = 0; r < ranks; r++)
        f->streams[r].source_head = f->streams[r].move_head = MOVE_NONE;
    return 0;
}

void flow_close(struct flow *flow)
{
    if (flow == NULL)
        return;
    free(flow->moves);
    free(flow->sources);
    free(flow->ready);
    free(flow->streams);
    free(flow->rows);
    free(flow->scaled);
    free(flow->scratch);
    free(flow);
}

/* ---- Writing a plan ---- */

static struct move *add_move(struct flow *flow, uint64_t bytes)
{
    struct move *m = &flow->moves[flow->moves_count++];

    *m = (struct move){
        .peer = MOVE_NONE,
        .bytes = bytes,
        .source_first = flow->sources_count,
        .follows = MOVE_NONE,
        .after = MOVE_NONE,
        .next = MOVE_NONE,
        .followers = MOVE_NONE,
        .next_follower = MOVE_NONE,
        .heirs = MOVE_NONE,
        .next_heir = MOVE_NONE,
    };
    flow->moves_left++;
    return m;
}

struct move *flow_into(struct flow *flow, void *to, uint64_t bytes)
{
    struct move *m = add_move(flow, bytes);

    m->to = to;
    return m;
}

struct move *flow_to(struct flow *flow, uint32_t peer, uint64_t bytes)
{
    struct move *m = add_move(flow, bytes);
    struct stream *s = &flow->streams[peer];
    uint32_t index = move_index(flow, m);

    m->peer = peer;
    if (s->move_head == MOVE_NONE)
        s->move_head = index;
    else
        flow->moves[s->move_tail].next = index;
    s->move_tail = index;
    flow->puts_left++;
    return m;
}

static struct source *add_source(struct flow *flow, struct move *move)
{
    struct source *s = &flow->sources[flow->sources_count++];

    *s = (struct source){
        .peer = MOVE_NONE,
        .move = move_index(flow, move),
        .next = MOVE_NONE,
    };
    move->sources++;
    return s;
}

void move_take(struct flow *flow, struct move *move, uint32_t peer)
{
    struct source *s = add_source(flow, move);
    struct stream *stream = &flow->streams[peer];
    uint32_t index = (uint32_t)(s - flow->sources);

    s->peer = peer;
    if (stream->source_head == MOVE_NONE)
        stream->source_head = index;
    else
        flow->sources[stream->source_tail].next = index;
    stream->source_tail = index;
}

void move_read(struct flow *flow, struct move *move, const void *memory)
{
    add_source(flow, move)->memory = memory;
}

void move_share(struct flow *flow, struct move *move)
{
    const struct transport *t = flow->config.links[move->peer].transport;

    if (t == NULL || t->shared < SHARED_PLACES ||
        move->bytes < flow->config.shared_bytes ||
        ((move->flags & MOVE_RAW) != 0 && flow->call.factor != NULL))
        return;
    move->flags |= MOVE_SHARED;
    flow->sharing.moves++;
}

/* Those that depend on a move are known to it. */
static void link_dependants(struct flow *flow)
{
    for (uint32_t i = 0; i < flow->moves_count; i++) {
        struct move *m = &flow->moves[i];

        if (m->follows != MOVE_NONE) {
            m->next_follower = flow->moves[m->follows].followers;
            flow->moves[m->follows].followers = i;
        }
        if (m->after != MOVE_NONE) {
            m->next_heir = flow->moves[m->after].heirs;
            flow->moves[m->after].heirs = i;
        }
        flow_wake(flow, i);
    }
}

static void forget_moves(struct flow *flow)
{
    for (uint32_t r = 0; r < flow->config.ranks; r++)
        flow->streams[r].source_head = flow->streams[r].move_head = MOVE_NONE;
    flow->moves_count = flow->sources_count = 0;
    flow->moves_left = flow->puts_left = 0;
    memset(flow->ready, 0, flow->moves_max / 8);
}

uint32_t flow_widest(uint32_t stream_bytes, uint32_t ranks)
{
    return ranks == 2 ? WIDENED * stream_bytes : stream_bytes;
}

/* Between two ranks the receiver is the slower one then, and has less to do for
 * each byte of wide fragments. Fewer are under way, so that caches hold them.
 */
static bool goes_one_way(const struct flow_call *call)
{
    return call->call.op == CALL_BROADCAST || call->call.op == CALL_GATHER ||
           call->call.op == CALL_SCATTER;
}

int flow_begin(struct flow *flow, uint64_t now_ns, const struct flow_call *call)
{
    int rc;

    if (flow->active || flow->broken)
        return -EBUSY;
    flow->moves_count = flow->sources_count = 0;
    flow->cursor = 0;
    flow->call = *call;
    flow->exchanges = call->call.op == CALL_SEND;
    flow->payload = goes_one_way(call) ? flow->wide : flow->narrow;
    flow->window =
        flow->payload > flow->narrow ? STREAM_WINDOW / 2 : STREAM_WINDOW;
    flow->sharing.moves = 0;
    flow->sharing.first = flow->sharing.written;
    flow->suspects = flow->suspected = false;
    if (brief_takes(flow, call)) {
        brief_begin(flow);
    } else {
        rc = plan_write(flow, call);
        if (rc < 0) {
            forget_moves(flow);
            return rc;
        }
        link_dependants(flow);
    }
    if (!flow->exchanges)
        flow->begun = call->call.round + 1;
    flow->progress_ns = now_ns;
    flow->active = true;
    /* What came early may not be what we expect. */
    check_coming(flow);
    return 0;
}

/* ---- Steps ---- */

/* The next move that may have something to do, from the cursor on. */
static struct move *next_ready(struct flow *flow)
{
    uint32_t words = (flow->moves_count + 63) / 64;

    for (uint32_t i = 0; i <= words; i++) {
        uint32_t w = (flow->cursor / 64 + i) % (words == 0 ? 1 : words);
        uint64_t bits = flow->ready[w];

        if (i == 0)
            bits &= UINT64_MAX << (flow->cursor % 64);
        if (bits != 0)
            return &flow->moves[64 * w + (uint32_t)__builtin_ctzll(bits)];
    }
    return NULL;
}

bool flow_idle(const struct flow *flow)
{
    uint64_t left = 0;

    if (flow->active || flow->released || flow->suspects ||
        (flow->differs && !flow->told))
        return false;
    for (uint32_t w = 0; w < mask_words(flow->config.ranks); w++)
        left |= flow->owing.words[w] | flow->leaving.words[w];
    return left == 0;
}

size_t flow_step(struct flow *flow, uint64_t now_ns)
{
    uint64_t moved = 0;
    struct move *m;

    if (flow->active && flow->brief.active && !flow->differs &&
        (moved = brief_step(flow)) > 0) {
        flow->progress_ns = now_ns;
        /* It was of few ranks. */
        if (flow->moves_left == 0 && flow->owing.words[0] != 0)
            stream_give_credits(flow);
        return moved;
    }
    stream_wake_leaving(flow);
    if (flow->released)
        flow->progress_ns = now_ns;
    flow->released = false;
    while (flow->active && !flow->differs && moved < flow->burst &&
           (m = next_ready(flow)) != NULL) {
        uint32_t index = move_index(flow, m);

        if (flow_advance(flow, m, &moved)) {
            moved += LINE_BYTES;
            flow->progress_ns = now_ns;
        } else {
            flow->ready[index / 64] &= ~(UINT64_C(1) << (index % 64));
        }
        flow->cursor = (index + 1) % flow->moves_max;
    }
    /* Messages that go to these ranks anyway say it too. */
    if (moved == 0 || !flow->active || flow->moves_left == 0)
        stream_give_credits(flow);
    return moved;
}

void *flow_ended(struct flow *flow)
{
    if (!flow->active || flow->moves_left > 0)
        return NULL;
    flow->active = false;
    return flow->call.context;
}

bool flow_is_brief(const struct flow *flow)
{
    return flow->active && flow->brief.active;
}

void flow_wait_from(struct flow *flow, uint64_t now_ns)
{
    flow->progress_ns = now_ns;
}

uint64_t flow_progress(const struct flow *flow)
{
    return flow->active ? flow->progress_ns : UINT64_MAX;
}

void flow_abandon(struct flow *flow)
{
    flow->active = flow->brief.active = false;
    flow->broken = true;
    for (uint32_t r = 0; r < flow->config.ranks; r++) {
        const struct link *link = &flow->config.links[r];

        if (link->transport != NULL && link->transport->let_go != NULL)
            link->transport->let_go(link->endpoint, r);
    }
}

void flow_count(const struct flow *flow, struct flow_counts *counts)
{
    *counts = flow->counts;
}
