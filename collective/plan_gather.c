/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_gather.c - collectives that only carry bytes. Blocks of `bytes` are one
 * rank's; those of all ranks lie in the order of the ranks.
 */
#include "plan.h"

/* Where ranks share cores, so much is copied in less time than it takes to be
 * told that it was taken. */
enum { COPIED_BYTES = 2 << 20 };

/* Our own block stays here. */
static void keep(struct flow *f, void *to, const void *from, uint64_t bytes)
{
    if (to != from)
        move_read(f, flow_into(f, to, bytes), from);
}

static struct move *send(struct flow *f, uint32_t peer, const void *from,
                         uint64_t bytes)
{
    struct move *m = flow_to(f, peer, bytes);

    move_read(f, m, from);
    return m;
}

static struct move *receive(struct flow *f, uint32_t peer, void *to,
                            uint64_t bytes)
{
    struct move *m = flow_into(f, to, bytes);

    move_take(f, m, peer);
    return m;
}

static uint8_t *block(const void *memory, uint32_t rank, uint64_t bytes)
{
    return (uint8_t *)(uintptr_t)memory + rank * bytes;
}

/* ---- Broadcast ---- */

/* To each of them as it comes in, or from our own memory. */
static void pass_on(struct flow *f, const struct flow_call *call,
                    uint32_t incoming, uint32_t peer, uint64_t bytes)
{
    const void *from = incoming == MOVE_NONE ? call->send : call->recv;
    struct move *m = send(f, peer, from, bytes);

    m->follows = incoming;
    if (f->config.crowded && bytes <= COPIED_BYTES)
        m->flags |= MOVE_COPIED;
    move_share(f, m);
}

static uint32_t take_from(struct flow *f, const struct flow_call *call,
                          uint32_t peer, uint64_t bytes)
{
    return move_index(f, receive(f, peer, call->recv, bytes));
}

static void broadcast_direct(struct flow *f, const struct flow_call *call,
                             uint64_t bytes)
{
    uint32_t ranks = f->config.ranks;

    if (f->config.rank != call->root) {
        take_from(f, call, call->root, bytes);
        return;
    }
    for (uint32_t i = 1; i < ranks; i++)
        pass_on(f, call, MOVE_NONE, (call->root + i) % ranks, bytes);
}

static void broadcast_ring(struct flow *f, const struct flow_call *call,
                           uint64_t bytes)
{
    uint32_t ranks = f->config.ranks;
    uint32_t place = (f->config.rank + ranks - call->root) % ranks;
    uint32_t incoming = MOVE_NONE;

    if (place > 0)
        incoming = take_from(f, call, plan_before(f, 1), bytes);
    if (place < ranks - 1)
        pass_on(f, call, incoming, plan_behind(f, 1), bytes);
}

/* Places count from the root; a place's parent is it without its lowest bit. */
static void broadcast_tree(struct flow *f, const struct flow_call *call,
                           uint64_t bytes)
{
    uint32_t ranks = f->config.ranks, root = call->root;
    uint32_t place = (f->config.rank + ranks - root) % ranks;
    uint32_t span = plan_span(place, ranks);
    uint32_t incoming = MOVE_NONE;

    if (place > 0)
        incoming = take_from(f, call, (place - span + root) % ranks, bytes);
    /* The deepest first. */
    for (uint32_t step = span / 2; step > 0; step /= 2)
        if (place + step < ranks)
            pass_on(f, call, incoming, (place + step + root) % ranks, bytes);
}

void plan_broadcast(struct flow *f, const struct flow_call *call,
                    enum flow_algorithm algorithm)
{
    uint64_t bytes = call->count * call->unit;

    if (f->config.rank == call->root)
        keep(f, call->recv, call->send, bytes);
    if (algorithm == FLOW_RING)
        broadcast_ring(f, call, bytes);
    else if (algorithm == FLOW_TREE)
        broadcast_tree(f, call, bytes);
    else
        broadcast_direct(f, call, bytes);
}

/* ---- All gather ---- */

static void all_gather_direct(struct flow *f, const struct flow_call *call,
                              uint64_t bytes)
{
    for (uint32_t i = 1; i < f->config.ranks; i++) {
        uint32_t from = plan_before(f, i);

        move_share(f, send(f, plan_behind(f, i), call->send, bytes));
        receive(f, from, block(call->recv, from, bytes), bytes);
    }
}

static void all_gather_ring(struct flow *f, const struct flow_call *call,
                            uint64_t bytes)
{
    uint32_t next = plan_behind(f, 1), previous = plan_before(f, 1);
    uint32_t incoming = MOVE_NONE;
    const void *from = call->send;

    for (uint32_t i = 1; i < f->config.ranks; i++) {
        uint8_t *to = block(call->recv, plan_before(f, i), bytes);

        send(f, next, from, bytes)->follows = incoming;
        incoming = move_index(f, receive(f, previous, to, bytes));
        from = to;
    }
}

/* `count` blocks that end with `last`, counted backwards, are at most two
 * pieces of memory; the piece that ends with `last` comes first. */
static uint32_t pieces(uint32_t last, uint32_t count, uint32_t ranks,
                       uint32_t begin[2], uint32_t length[2])
{
    if (count <= last + 1) {
        begin[0] = last + 1 - count;
        length[0] = count;
        return 1;
    }
    begin[0] = 0;
    length[0] = last + 1;
    length[1] = count - last - 1;
    begin[1] = ranks - length[1];
    return 2;
}

/* After step i everybody has the blocks of 2^(i+1) ranks up to its own. */
static void all_gather_doubling(struct flow *f, const struct flow_call *call,
                                uint64_t bytes)
{
    uint32_t rank = f->config.rank, ranks = f->config.ranks;
    uint32_t known = MOVE_NONE; /* the move that completes what we know */
    uint32_t begin[2], length[2];
    uint8_t *recv = call->recv;

    if (f->moves_count > 0)
        known = 0; /* our own block is copied first */
    for (uint32_t have = 1; have < ranks; have *= 2) {
        uint32_t count = have < ranks - have ? have : ranks - have;
        uint32_t from = plan_before(f, have), before = known;
        uint32_t n = pieces(rank, count, ranks, begin, length);

        for (uint32_t i = 0; i < n; i++)
            send(f, plan_behind(f, have), block(recv, begin[i], bytes),
                 length[i] * bytes)
                ->after = before;
        n = pieces(from, count, ranks, begin, length);
        for (uint32_t i = 0; i < n; i++) {
            struct move *m = receive(f, from, block(recv, begin[i], bytes),
                                     length[i] * bytes);

            m->after = known;
            known = move_index(f, m);
        }
    }
}

void plan_all_gather(struct flow *f, const struct flow_call *call,
                     enum flow_algorithm algorithm)
{
    uint64_t bytes = call->count * call->unit;

    keep(f, block(call->recv, f->config.rank, bytes), call->send, bytes);
    if (algorithm == FLOW_RING)
        all_gather_ring(f, call, bytes);
    else if (algorithm == FLOW_DOUBLING)
        all_gather_doubling(f, call, bytes);
    else if (algorithm == FLOW_HUB && f->config.ranks > 1)
        plan_all_gather_hub(f, call);
    else
        all_gather_direct(f, call, bytes);
}

/* ---- The others ---- */

void plan_gather(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;

    if (f->config.rank != call->root) {
        send(f, call->root, call->send, bytes);
        return;
    }
    keep(f, block(call->recv, call->root, bytes), call->send, bytes);
    for (uint32_t i = 1; i < f->config.ranks; i++) {
        uint32_t from = plan_behind(f, i);

        receive(f, from, block(call->recv, from, bytes), bytes);
    }
}

void plan_scatter(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;

    if (f->config.rank != call->root) {
        receive(f, call->root, call->recv, bytes);
        return;
    }
    keep(f, call->recv, block(call->send, call->root, bytes), bytes);
    for (uint32_t i = 1; i < f->config.ranks; i++) {
        uint32_t to = plan_behind(f, i);

        send(f, to, block(call->send, to, bytes), bytes);
    }
}

/* In place a block is sent before another takes its memory. */
void plan_all_to_all(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    uint32_t rank = f->config.rank, ranks = f->config.ranks;
    bool in_place = call->send == call->recv;
    struct move *m;

    keep(f, block(call->recv, rank, bytes), block(call->send, rank, bytes),
         bytes);
    for (uint32_t i = 1; i < ranks; i++) {
        uint32_t to = plan_behind(f, i);

        m = send(f, to, block(call->send, to, bytes), bytes);
        /* All would wait for each other until somebody has taken something. */
        if (in_place)
            m->flags = MOVE_COPIED;
    }
    for (uint32_t i = 1; i < ranks; i++) {
        uint32_t from = plan_before(f, i);

        m = receive(f, from, block(call->recv, from, bytes), bytes);

        /* The move to plan_behind(ranks - i), which is the same rank. */
        if (in_place)
            m->follows = ranks - i - 1;
    }
}

/* An all gather of nothing. */
void plan_barrier(struct flow *f, const struct flow_call *call,
                  enum flow_algorithm algorithm)
{
    struct flow_call nothing = *call;

    nothing.send = nothing.recv = f->scratch;
    nothing.count = 0;
    plan_all_gather(f, &nothing, algorithm);
}
