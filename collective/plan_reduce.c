/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_reduce.c - collectives that fold values of all ranks.
 *
 * In which order values are folded depends on ranks and count alone, so that
 * every algorithm gives the same bits: the vector is cut into a block for each
 * rank, and block b is folded from rank b on, all around. A reduce is one block
 * that begins behind the root; in a reduce_scatter a block begins behind its
 * rank. That is the order in which a ring has them anyway.
 */
#include "plan.h"

/* Elements [first, first + count) of the vector are block `rank`. */
struct share {
    uint64_t first, count;
};

static struct share share_of(uint64_t count, uint32_t ranks, uint32_t rank)
{
    uint64_t whole = plan_share(count, ranks);
    uint64_t first = rank * whole;

    if (first >= count)
        return (struct share){count, 0};
    return (struct share){first, count - first < whole ? count - first : whole};
}

static uint8_t *at(const void *memory, uint64_t element, uint32_t unit)
{
    return (uint8_t *)(uintptr_t)memory + element * unit;
}

/* Our own values of a block go to a rank as they are. */
static struct move *send_own(struct flow *f, uint32_t peer, const uint8_t *from,
                             uint64_t bytes)
{
    struct move *m = flow_to(f, peer, bytes);

    m->flags = MOVE_RAW;
    move_read(f, m, from);
    return m;
}

/* Where a ring begins: nobody could pass on what comes to them before all of
 * their own has gone. */
static void begin_sum(struct flow *f, const uint8_t *from, uint64_t bytes)
{
    send_own(f, plan_behind(f, 1), from, bytes)->flags |= MOVE_TURNS;
}

/* What has come so far from the rank before us, and our own values. */
static void add_own(struct flow *f, struct move *m, const uint8_t *own)
{
    m->flags |= MOVE_RAW | MOVE_TURNS;
    move_take(f, m, plan_before(f, 1));
    move_read(f, m, own);
}

/* It goes on to the next rank. */
static void pass_sum(struct flow *f, const uint8_t *own, uint64_t bytes)
{
    add_own(f, flow_to(f, plan_behind(f, 1), bytes), own);
}

/* It is complete. */
static struct move *end_sum(struct flow *f, void *to, const uint8_t *own,
                            uint64_t bytes)
{
    struct move *m = flow_into(f, to, bytes);

    m->flags = MOVE_FINAL;
    add_own(f, m, own);
    return m;
}

/* The values of all ranks, in their order, as they come. */
static struct move *fold_all(struct flow *f, uint8_t *to, const uint8_t *own,
                             uint64_t bytes)
{
    struct move *m = flow_into(f, to, bytes);

    m->flags = MOVE_RAW | MOVE_FINAL;
    for (uint32_t r = 0; r < f->config.ranks; r++)
        if (r == f->config.rank)
            move_read(f, m, own);
        else
            move_take(f, m, r);
    return m;
}

static struct move *receive(struct flow *f, uint32_t peer, void *to,
                            uint64_t bytes)
{
    struct move *m = flow_into(f, to, bytes);

    move_take(f, m, peer);
    return m;
}

static struct move *show(struct flow *f, uint32_t peer, const void *from,
                         uint64_t bytes, uint32_t follows)
{
    struct move *m = flow_to(f, peer, bytes);

    m->follows = follows;
    move_read(f, m, from);
    return m;
}

/* ---- Trees: up to a root, which folds ---- */

/*
 * The vectors of our subtree come into the scratch memory, by place, and go on
 * to our parent. Returns the move that completes them at the root.
 */
static uint32_t gather_up(struct flow *f, const struct flow_call *call,
                          uint32_t root, uint64_t bytes)
{
    uint32_t ranks = f->config.ranks;
    uint32_t place = (f->config.rank + ranks - root) % ranks;
    uint32_t span = plan_span(place, ranks), have = 1, last;
    struct move *m = flow_into(f, f->scratch + place * bytes, bytes);

    m->flags = MOVE_RAW;
    move_read(f, m, call->send);
    last = move_index(f, m);
    for (uint32_t step = 1; step < span && place + step < ranks; step *= 2) {
        uint32_t child = place + step;
        uint32_t count = step < ranks - child ? step : ranks - child;

        m = receive(f, (child + root) % ranks, f->scratch + child * bytes,
                    count * bytes);
        m->after = last;
        last = move_index(f, m);
        have += count;
    }
    if (place > 0) {
        m = show(f, (place - span + root) % ranks, f->scratch + place * bytes,
                 have * bytes, MOVE_NONE);
        m->after = last;
    }
    return last;
}

static struct move *fold_gathered(struct flow *f, const struct flow_call *call,
                                  uint32_t gathered, uint64_t bytes)
{
    struct move *m = flow_into(f, call->recv, bytes);

    m->flags = MOVE_FINAL;
    m->after = gathered;
    for (uint32_t r = 0; r < f->config.ranks; r++)
        move_read(f, m, f->scratch + r * bytes);
    return m;
}

/* ---- All reduce ---- */

static void all_reduce_direct(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    bool in_place = call->send == call->recv;
    struct move *m;

    for (uint32_t i = 1; i < f->config.ranks; i++) {
        m = send_own(f, plan_behind(f, i), call->send, bytes);
        move_share(f, m);
        /* All would wait for each other until somebody has folded. */
        if (in_place)
            m->flags |= MOVE_COPIED;
    }
    m = fold_all(f, call->recv, call->send, bytes);
    m->block = plan_share(call->count, f->config.ranks);
    if (in_place)
        m->flags |= MOVE_LAST;
}

/* Each rank folds its block as the values come, and shows what comes out. */
static void all_reduce_split(struct flow *f, const struct flow_call *call)
{
    uint32_t rank = f->config.rank, ranks = f->config.ranks, unit = call->unit;
    struct share own = share_of(call->count, ranks, rank);
    uint32_t folded = MOVE_NONE;

    for (uint32_t i = 1; i < ranks; i++) {
        uint32_t to = plan_behind(f, i);
        struct share s = share_of(call->count, ranks, to);

        if (s.count > 0)
            send_own(f, to, at(call->send, s.first, unit), s.count * unit);
    }
    if (own.count > 0) {
        struct move *m =
            fold_all(f, at(call->recv, own.first, unit),
                     at(call->send, own.first, unit), own.count * unit);

        m->turn = rank;
        folded = move_index(f, m);
    }
    for (uint32_t i = 1; i < ranks; i++) {
        uint32_t to = plan_behind(f, i), from = plan_before(f, i);
        struct share s = share_of(call->count, ranks, from);

        if (own.count > 0)
            move_share(f, show(f, to, at(call->recv, own.first, unit),
                               own.count * unit, folded));
        /* In place, what we send of this block has gone before: the first move
         * into that stream. */
        if (s.count > 0)
            receive(f, from, at(call->recv, s.first, unit), s.count * unit)
                ->follows = f->streams[from].move_head;
    }
}

static void all_reduce_ring(struct flow *f, const struct flow_call *call)
{
    uint32_t ranks = f->config.ranks, unit = call->unit;
    uint32_t next = plan_behind(f, 1), previous = plan_before(f, 1);
    struct share s = share_of(call->count, ranks, f->config.rank);
    struct move *m;

    if (s.count > 0)
        begin_sum(f, at(call->send, s.first, unit), s.count * unit);
    for (uint32_t i = 1; i < ranks - 1; i++) {
        s = share_of(call->count, ranks, plan_before(f, i));
        if (s.count > 0)
            pass_sum(f, at(call->send, s.first, unit), s.count * unit);
    }
    s = share_of(call->count, ranks, next);
    if (s.count > 0) {
        uint8_t *to = at(call->recv, s.first, unit);

        m = end_sum(f, to, at(call->send, s.first, unit), s.count * unit);
        show(f, next, to, s.count * unit, move_index(f, m));
    }
    for (uint32_t i = 0; i < ranks - 1; i++) {
        s = share_of(call->count, ranks, plan_before(f, i));
        if (s.count == 0)
            continue;
        m = receive(f, previous, at(call->recv, s.first, unit), s.count * unit);
        if (i < ranks - 2)
            show(f, next, at(call->recv, s.first, unit), s.count * unit,
                 move_index(f, m));
    }
}

static void all_reduce_tree(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    uint32_t rank = f->config.rank, ranks = f->config.ranks;
    uint32_t span = plan_span(rank, ranks);
    uint32_t gathered = gather_up(f, call, 0, bytes);
    struct move *m;

    if (rank == 0) {
        m = fold_gathered(f, call, gathered, bytes);
        m->block = plan_share(call->count, ranks);
    } else {
        m = receive(f, rank - span, call->recv, bytes);
        /* In place: our own values were copied. */
        m->after = gathered;
    }
    for (uint32_t step = span / 2; step > 0; step /= 2)
        if (rank + step < ranks)
            show(f, rank + step, call->recv, bytes, move_index(f, m));
}

void plan_all_reduce(struct flow *f, const struct flow_call *call,
                     enum flow_algorithm algorithm)
{
    if (f->config.ranks == 1)
        all_reduce_direct(f, call);
    else if (algorithm == FLOW_RING)
        all_reduce_ring(f, call);
    else if (algorithm == FLOW_TREE)
        all_reduce_tree(f, call);
    else if (algorithm == FLOW_HUB)
        plan_all_reduce_hub(f, call);
    else if (algorithm == FLOW_SPLIT)
        all_reduce_split(f, call);
    else
        all_reduce_direct(f, call);
}

/* ---- Reduce ---- */

static void reduce_direct(struct flow *f, const struct flow_call *call,
                          uint64_t bytes)
{
    if (f->config.rank != call->root)
        send_own(f, call->root, call->send, bytes);
    else
        fold_all(f, call->recv, call->send, bytes)->turn = call->root + 1;
}

static void reduce_ring(struct flow *f, const struct flow_call *call,
                        uint64_t bytes)
{
    if (f->config.rank == call->root)
        end_sum(f, call->recv, call->send, bytes);
    else if (f->config.rank == (call->root + 1) % f->config.ranks)
        send_own(f, plan_behind(f, 1), call->send, bytes);
    else
        pass_sum(f, call->send, bytes);
}

void plan_reduce(struct flow *f, const struct flow_call *call,
                 enum flow_algorithm algorithm)
{
    uint64_t bytes = call->count * call->unit;
    uint32_t gathered;

    if (f->config.ranks > 1 && algorithm == FLOW_RING) {
        reduce_ring(f, call, bytes);
    } else if (f->config.ranks > 1 && algorithm == FLOW_TREE) {
        gathered = gather_up(f, call, call->root, bytes);
        if (f->config.rank == call->root)
            fold_gathered(f, call, gathered, bytes)->turn = 1;
    } else {
        reduce_direct(f, call, bytes);
    }
}

/* ---- Reduce scatter ---- */

static void reduce_scatter_ring(struct flow *f, const struct flow_call *call,
                                uint64_t bytes)
{
    uint32_t ranks = f->config.ranks;

    for (uint32_t i = 1; i <= ranks; i++) {
        uint8_t *own =
            at(call->send, plan_before(f, i) * call->count, call->unit);

        if (i == 1)
            begin_sum(f, own, bytes);
        else if (i < ranks)
            pass_sum(f, own, bytes);
        else
            end_sum(f, call->recv, own, bytes);
    }
}

void plan_reduce_scatter(struct flow *f, const struct flow_call *call,
                         enum flow_algorithm algorithm)
{
    uint64_t bytes = call->count * call->unit;
    uint32_t rank = f->config.rank;

    if (f->config.ranks > 1 && algorithm == FLOW_RING) {
        reduce_scatter_ring(f, call, bytes);
        return;
    }
    if (f->config.ranks > 1 && algorithm == FLOW_HUB) {
        plan_reduce_scatter_hub(f, call);
        return;
    }
    for (uint32_t i = 1; i < f->config.ranks; i++) {
        uint32_t to = plan_behind(f, i);

        send_own(f, to, at(call->send, to * call->count, call->unit), bytes);
    }
    fold_all(f, call->recv, at(call->send, rank * call->count, call->unit),
             bytes)
        ->turn = rank + 1;
}
