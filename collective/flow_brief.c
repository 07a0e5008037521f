/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_brief.c - calls that are one short block from rank to rank.
 *
 * Where every rank can be sent brief messages (transport.h) a small call needs
 * no moves: each rank sends a block to some, takes one from some, and folds
 * what it has taken. All ranks know from the call alone that it goes this way.
 * A message's head is the call, and a body is read only if that is ours.
 *
 * Where ranks share cores, a call takes as long as all of them work on it. Then
 * there are as few messages as can be: everybody's goes to a hub, rank 0, and
 * what comes out to everybody.
 */
#include <errno.h>
#include <string.h>

#include "calls.h"
#include "flow_inside.h"
#include "plan.h"

enum {
    RANKS = 16, /* of more, masks have no bits */
    ROW_STEP = 64,
    COUNT_BITS = 16,
};

static uint64_t row_bytes(uint64_t bytes)
{
    return (bytes + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
}

bool brief_takes(const struct flow *flow, const struct flow_call *call)
{
    const struct flow_config *config = &flow->config;
    uint64_t bytes = call->count * call->unit;

    if (config->brief_bytes == 0 || config->ranks < 2 ||
        config->ranks > RANKS || call->algorithm != FLOW_CHOOSE ||
        call->factor != NULL || call->call.op < CALL_ALL_REDUCE ||
        call->call.op > CALL_BARRIER || call->call.count >> COUNT_BITS != 0 ||
        bytes > config->brief_bytes)
        return false;
    return call->reduction == NULL ||
           config->ranks * row_bytes(bytes) <= SCRATCH_BYTES;
}

/* ---- Who sends what to whom ---- */

static void copy_own(void *to, const void *from, uint64_t bytes)
{
    if (to != from && bytes > 0)
        memcpy(to, from, bytes);
}

static uint8_t *place(const void *memory, uint32_t block, uint64_t bytes)
{
    return (uint8_t *)(uintptr_t)memory + block * bytes;
}

static uint32_t all_but(const struct flow_config *config, uint32_t rank)
{
    return (UINT32_MAX >> (32 - config->ranks)) & ~(UINT32_C(1) << rank);
}

/* Down a binomial tree, if ranks share cores: then who sends can be another one
 * while the root is already in its next call. */
static void lay_out_broadcast(struct brief *b, const struct flow_config *config,
                              const struct flow_call *call)
{
    uint32_t ranks = config->ranks, root = call->root;
    uint32_t at = (config->rank + ranks - root) % ranks, children = 0;
    uint32_t span = plan_span(at, ranks);

    b->to_send = b->to_take = 0;
    if (config->crowded)
        for (uint32_t step = span / 2; step > 0; step /= 2)
            children |= at + step < ranks
                            ? UINT32_C(1) << (at + step + root) % ranks
                            : 0;
    else
        children = at == 0 ? all_but(config, root) : 0;
    if (at == 0) {
        b->to_send = children;
        copy_own(b->to, b->from, b->bytes);
        return;
    }
    b->to_answer = children;
    b->to_take = UINT32_C(1)
                 << (config->crowded ? (at - span + root) % ranks : root);
}

/* Fills who sends, who takes, and the places; our own block goes at once. */
static void lay_out(struct brief *b, const struct flow_config *config,
                    const struct flow_call *call)
{
    uint32_t others = all_but(config, config->rank);
    bool is_root = config->rank == call->root;
    uint32_t bytes = b->bytes, root = UINT32_C(1) << call->root;

    b->to_send = b->to_take = others;
    switch ((enum call_op)call->call.op) {
    case CALL_BROADCAST: lay_out_broadcast(b, config, call); break;
    case CALL_SCATTER:
        b->to_send = is_root ? others : 0;
        b->to_take = is_root ? 0 : root;
        b->from_step = bytes;
        if (is_root)
            copy_own(b->to, place(b->from, call->root, bytes), bytes);
        break;
    case CALL_REDUCE:
    case CALL_GATHER:
        b->to_send = is_root ? 0 : root;
        b->to_take = is_root ? others : 0;
        b->to_step = bytes;
        if (is_root && call->reduction == NULL)
            copy_own(place(b->to, call->root, bytes), b->from, bytes);
        break;
    case CALL_ALL_GATHER:
        b->to_step = bytes;
        copy_own(place(b->to, config->rank, bytes), b->from, bytes);
        break;
    case CALL_ALL_TO_ALL:
        b->from_step = b->to_step = bytes;
        copy_own(place(b->to, config->rank, bytes),
                 place(b->from, config->rank, bytes), bytes);
        break;
    case CALL_REDUCE_SCATTER: b->from_step = bytes; break;
    default: break;
    }
}

/* ---- By way of a hub ---- */

enum { HUB = 0 };

static bool has_hub(const struct flow_config *config,
                    const struct flow_call *call)
{
    uint64_t all_bytes = call->count * call->unit * config->ranks;

    if (!config->crowded || config->ranks < 3)
        return false;
    switch ((enum call_op)call->call.op) {
    case CALL_ALL_REDUCE:
    case CALL_BARRIER: return true;
    case CALL_ALL_GATHER: return all_bytes <= config->brief_bytes;
    case CALL_REDUCE_SCATTER:
        return all_bytes <= config->brief_bytes &&
               config->ranks * row_bytes(all_bytes) <= SCRATCH_BYTES;
    default: return false;
    }
}

static void lay_out_hub(struct brief *b, const struct flow_config *config,
                        const struct flow_call *call)
{
    uint32_t all_bytes = b->bytes * config->ranks;
    bool is_hub = config->rank == HUB;

    if (is_hub)
        b->to_take = b->to_answer = all_but(config, HUB);
    else
        b->to_send = b->to_take = UINT32_C(1) << HUB;
    switch ((enum call_op)call->call.op) {
    case CALL_ALL_GATHER:
        *(is_hub ? &b->send_bytes : &b->take_bytes) = all_bytes;
        if (is_hub) {
            b->to_step = b->bytes;
            copy_own(place(b->to, HUB, b->bytes), b->from, b->bytes);
        }
        break;
    case CALL_REDUCE_SCATTER:
        *(is_hub ? &b->take_bytes : &b->send_bytes) = all_bytes;
        break;
    default: break;
    }
}

void brief_begin(struct flow *flow)
{
    const struct flow_call *call = &flow->call;
    struct brief *b = &flow->brief;

    b->active = true;
    b->looks = !flow->config.crowded;
    b->bytes = (uint32_t)(call->count * call->unit);
    b->send_bytes = b->take_bytes = b->bytes;
    b->head[0] = (uint32_t)call->call.round;
    b->head[1] = call->call.detail;
    b->head[2] = (uint32_t)call->call.count | (uint32_t)call->call.type << 16 |
                 (uint32_t)call->call.op << 24;
    b->from = call->send;
    b->to = call->recv;
    b->from_step = b->to_step = 0;
    b->to_send = b->to_take = b->to_answer = 0;
    b->folds = call->reduction != NULL;
    if (has_hub(&flow->config, call)) {
        lay_out_hub(b, &flow->config, call);
        b->folds &= flow->config.rank == HUB;
    } else {
        lay_out(b, &flow->config, call);
        b->folds &= b->to_take != 0;
    }
    if (b->folds) {
        b->to = flow->scratch;
        b->to_step = row_bytes(b->take_bytes);
    }
    flow->moves_left = 1; /* it stands for the call */
}

/* ---- What comes ---- */

/* The call that a head names; its round is near ours. */
static struct call call_of(const struct flow *flow,
                           const uint32_t head[BRIEF_HEAD])
{
    int32_t ahead = (int32_t)(head[0] - (uint32_t)flow->noted_count);

    return (struct call){
        .round = flow->noted_count + (uint64_t)(int64_t)ahead,
        .count = head[2] & 0xffff,
        .detail = head[1],
        .type = (uint8_t)(head[2] >> 16),
        .op = (uint8_t)(head[2] >> 24),
    };
}

static int peek(const struct flow *flow, uint32_t peer,
                uint32_t head[BRIEF_HEAD])
{
    const struct link *link = &flow->config.links[peer];

    return link->transport->peek_brief(link->endpoint, peer, head);
}

static int look(const struct flow *flow, uint32_t peer,
                uint32_t head[BRIEF_HEAD])
{
    const struct link *link = &flow->config.links[peer];

    if (link->transport->look_brief == NULL)
        return -EAGAIN;
    link->transport->look_brief(link->endpoint, peer);
    return peek(flow, peer, head);
}

static void take(const struct flow *flow, uint32_t peer, void *body,
                 uint32_t bytes)
{
    const struct link *link = &flow->config.links[peer];

    link->transport->take_brief(link->endpoint, peer, body, bytes);
}

/* One that nobody expects: it is early, of another call, or a lie. */
static void check_early(struct flow *flow, uint32_t peer)
{
    uint32_t head[BRIEF_HEAD];
    struct call call;

    flow->brief.early &= ~(UINT32_C(1) << peer);
    while (peek(flow, peer, head) >= 0) {
        call = call_of(flow, head);
        if (check_is_early(flow, peer, &call)) {
            flow->brief.early |= UINT32_C(1) << peer;
            return;
        }
        take(flow, peer, NULL, 0);
        flow->counts.dropped++;
    }
}

void brief_check_early(struct flow *flow)
{
    const struct brief *b = &flow->brief;
    uint32_t left = b->early & ~(b->active ? b->to_take : 0);

    for (; left != 0; left &= left - 1)
        check_early(flow, (uint32_t)__builtin_ctz(left));
}

void flow_briefed(struct flow *flow, uint32_t peer)
{
    struct brief *b = &flow->brief;

    if (flow->config.brief_bytes > 0 &&
        (!b->active || (b->to_take >> peer & 1) == 0))
        check_early(flow, peer);
}

/* Whether the rank's block has come. */
static bool take_block(struct flow *flow, uint32_t peer)
{
    struct brief *b = &flow->brief;
    uint32_t head[BRIEF_HEAD];
    int bytes = peek(flow, peer, head);
    struct call call;

    if (bytes < 0 && b->looks)
        bytes = look(flow, peer, head);
    if (bytes < 0)
        return false;
    if (memcmp(head, b->head, sizeof(head)) == 0 &&
        (uint32_t)bytes == b->take_bytes) {
        take(flow, peer, b->to + peer * b->to_step, b->take_bytes);
        return true;
    }
    call = call_of(flow, head);
    if (call_equal(&call, &flow->call.call) ||
        !check_compare(flow, peer, &flow->call.call, &call)) {
        take(flow, peer, NULL, 0);
        flow->counts.dropped++;
    }
    return false;
}

/* ---- Steps ---- */

static bool send_block(struct flow *flow, uint32_t peer)
{
    const struct link *link = &flow->config.links[peer];
    const struct brief *b = &flow->brief;

    if (link->lost || link->transport->put_brief(link->endpoint, peer, b->head,
                                                 b->from + peer * b->from_step,
                                                 b->send_bytes) < 0)
        return false;
    flow->counts.puts++;
    flow->counts.bytes_put += sizeof(b->head) + b->send_bytes;
    return true;
}

/* What came, and our own values; `own` is where they are. */
static void fold_rows(struct flow *flow, uint8_t *to, uint32_t block,
                      const uint8_t *own)
{
    const struct flow_call *call = &flow->call;
    const struct brief *b = &flow->brief;
    uint32_t ranks = flow->config.ranks;
    struct folding fold = {.to = to, .count = call->count, .rows = ranks};

    for (uint32_t r = 0; r < ranks; r++)
        flow->rows[r] = b->to + r * b->to_step + block * b->bytes;
    flow->rows[flow->config.rank] = own;
    if (call->call.op == CALL_ALL_REDUCE)
        fold.block = plan_share(call->count, ranks);
    else if (call->call.op == CALL_REDUCE)
        fold.turn = call->root + 1;
    else
        fold.turn = flow->config.rank + block + 1;
    flow_fold(flow, &fold);
    if (call->average)
        call->reduction->divide(to, ranks, call->count);
}

/* At a hub: every rank's block, ours last, for it may be in place. The others
 * are folded in the row that is ours, where nothing came. */
static void fold_blocks(struct flow *flow)
{
    struct brief *b = &flow->brief;
    const struct flow_call *call = &flow->call;
    uint8_t *blocks = b->to + HUB * b->to_step;

    for (uint32_t r = 1; r < flow->config.ranks; r++)
        fold_rows(flow, blocks + r * b->bytes, r,
                  place(call->send, r, b->bytes));
    fold_rows(flow, call->recv, HUB, call->send);
    b->from = blocks;
    b->from_step = b->bytes;
}

/* All that was awaited has come. */
static void fold(struct flow *flow)
{
    struct brief *b = &flow->brief;
    const struct flow_call *call = &flow->call;

    if (b->to_answer != 0 && call->call.op == CALL_REDUCE_SCATTER)
        fold_blocks(flow);
    else
        fold_rows(flow, call->recv, 0,
                  place(call->send, flow->config.rank, b->from_step));
}

/* The last rank first: where ranks share cores, those that share one are often
 * neighbours, and who shares ours can do nothing before we wait. */
static size_t send_blocks(struct flow *flow, uint32_t *to_send)
{
    size_t moved = 0;

    for (uint32_t left = *to_send, bit; left != 0; left &= ~bit) {
        uint32_t peer = 31 - (uint32_t)__builtin_clz(left);

        bit = UINT32_C(1) << peer;
        if (send_block(flow, peer)) {
            *to_send &= ~bit;
            moved += LINE_BYTES;
        }
    }
    return moved;
}

static size_t take_blocks(struct flow *flow)
{
    struct brief *b = &flow->brief;
    size_t moved = 0;

    for (uint32_t left = b->to_take; left != 0; left &= left - 1)
        if (take_block(flow, (uint32_t)__builtin_ctz(left))) {
            b->to_take &= ~(left & -left);
            moved += LINE_BYTES;
        }
    if (moved == 0 || b->to_take != 0)
        return moved;
    if (b->folds)
        fold(flow);
    if (b->to_answer != 0 && flow->call.call.op != CALL_REDUCE_SCATTER)
        b->from = flow->call.recv;
    return moved;
}

/* What is taken may lie where we send from, so all is sent first. Where ranks
 * share cores, what we wait for will hardly be here before another rank had our
 * core; and by then more may be. */
size_t brief_step(struct flow *flow)
{
    struct brief *b = &flow->brief;
    size_t moved = send_blocks(flow, &b->to_send);

    if (b->to_send == 0 && b->to_take != 0) {
        if (moved > 0 && flow->config.crowded)
            return moved;
        moved += take_blocks(flow);
        b->looks = true;
    }
    if (b->to_send == 0 && b->to_take == 0)
        moved += send_blocks(flow, &b->to_answer);
    if ((b->to_send | b->to_take | b->to_answer) != 0)
        return moved;
    b->active = false;
    flow->moves_left = 0;
    return moved + LINE_BYTES;
}
