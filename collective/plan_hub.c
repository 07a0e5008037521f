/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_hub.c - everything by way of rank 0, with as few messages as can be.
 *
 * Where ranks share cores a call takes as long as all of them work on it. So
 * what each rank gives goes to the hub, and what comes out to each.
 */
#include "plan.h"

enum { HUB = 0 };

static struct move *give(struct flow *f, uint32_t peer, const void *from,
                         uint64_t bytes)
{
    struct move *m = flow_to(f, peer, bytes);

    move_read(f, m, from);
    return m;
}

static struct move *get(struct flow *f, uint32_t peer, void *to, uint64_t bytes)
{
    struct move *m = flow_into(f, to, bytes);

    move_take(f, m, peer);
    return m;
}

/* All vectors of `bytes`, as they come. */
static struct move *fold_all(struct flow *f, const struct flow_call *call,
                             void *to, uint64_t bytes)
{
    struct move *m = flow_into(f, to, bytes);

    m->flags = MOVE_RAW | MOVE_FINAL;
    for (uint32_t r = 0; r < f->config.ranks; r++)
        if (r == HUB)
            move_read(f, m, call->send);
        else
            move_take(f, m, r);
    return m;
}

void plan_all_reduce_hub(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    uint32_t ours, folded;
    struct move *m;

    if (f->config.rank != HUB) {
        m = give(f, HUB, call->send, bytes);
        m->flags = MOVE_RAW;
        ours = move_index(f, m);
        m = get(f, HUB, call->recv, bytes);
        if (call->send == call->recv)
            m->follows = ours;
        return;
    }
    m = fold_all(f, call, call->recv, bytes);
    m->block = plan_share(call->count, f->config.ranks);
    folded = move_index(f, m);
    for (uint32_t r = 1; r < f->config.ranks; r++) {
        m = give(f, r, call->recv, bytes);
        m->follows = folded;
        move_share(f, m);
    }
}

bool plan_fits_hub(const struct flow *f, uint64_t bytes)
{
    return bytes <= SCRATCH_BYTES / f->config.ranks;
}

void plan_reduce_scatter_hub(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    uint64_t all_bytes = bytes * f->config.ranks;
    uint32_t ours, folded;
    struct move *m;

    if (f->config.rank != HUB) {
        m = give(f, HUB, call->send, all_bytes);
        m->flags = MOVE_RAW;
        ours = move_index(f, m);
        /* In place: all of it has gone. */
        get(f, HUB, call->recv, bytes)->after = ours;
        return;
    }
    m = fold_all(f, call, f->scratch, all_bytes);
    m->turn = 1;
    m->block = call->count;
    folded = move_index(f, m);
    for (uint32_t r = 1; r < f->config.ranks; r++)
        give(f, r, f->scratch + r * bytes, bytes)->after = folded;
    m = flow_into(f, call->recv, bytes);
    m->after = folded;
    move_read(f, m, f->scratch);
}

void plan_all_gather_hub(struct flow *f, const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    uint64_t all_bytes = bytes * f->config.ranks;
    uint32_t known = MOVE_NONE;
    uint8_t *recv = call->recv;

    if (f->config.rank != HUB) {
        give(f, HUB, call->send, bytes);
        get(f, HUB, recv, all_bytes);
        return;
    }
    if (f->moves_count > 0)
        known = 0; /* our own block is copied first */
    for (uint32_t r = 1; r < f->config.ranks; r++) {
        struct move *m = get(f, r, recv + r * bytes, bytes);

        m->after = known;
        known = move_index(f, m);
    }
    for (uint32_t r = 1; r < f->config.ranks; r++)
        give(f, r, recv, all_bytes)->after = known;
}
