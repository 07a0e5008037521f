/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_brief.c - calls that are one short block from rank to rank.
 *
 * Where every rank can be sent brief messages (transport.h) a small call needs
 * no moves: each rank sends a block to some, takes one from some, and folds
 * what it has taken. All ranks know from the call alone that it goes this way.
 * A message's head is the call, and a body is read only if that is ours.
 */
#include <errno.h>
#include <string.h>

#include "calls.h"
#include "flow_inside.h"
#include "plan.h"

enum { RANKS = 16, ROW_STEP = 64 };
_Static_assert(RANKS *BRIEF_BYTES <= SCRATCH_BYTES, "rows fit");

bool brief_possible(const struct flow_config *config)
{
    if (config->ranks < 2 || config->ranks > RANKS)
        return false;
    for (uint32_t r = 0; r < config->ranks; r++)
        if (r != config->rank && !link_has_brief(&config->links[r]))
            return false;
    return true;
}

bool brief_takes(const struct flow *flow, const struct flow_call *call)
{
    return flow->brief.possible && call->algorithm == FLOW_CHOOSE &&
           call->factor == NULL && call->call.op >= CALL_ALL_REDUCE &&
           call->call.op <= CALL_BARRIER &&
           call->count <= BRIEF_BYTES / (call->unit == 0 ? 1 : call->unit);
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

/* Fills who sends, who takes, and the places; our own block goes at once. */
static void lay_out(struct brief *b, const struct flow_config *config,
                    const struct flow_call *call)
{
    uint32_t others =
        (UINT32_MAX >> (32 - config->ranks)) & ~(UINT32_C(1) << config->rank);
    bool is_root = config->rank == call->root;
    uint32_t bytes = b->bytes, root = UINT32_C(1) << call->root;

    b->from = call->send;
    b->to = call->recv;
    b->from_step = b->to_step = 0;
    b->to_send = b->to_take = others;
    switch ((enum call_op)call->call.op) {
    case CALL_BROADCAST:
        b->to_send = is_root ? others : 0;
        b->to_take = is_root ? 0 : root;
        if (is_root)
            copy_own(b->to, b->from, bytes);
        break;
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

void brief_begin(struct flow *flow)
{
    const struct flow_call *call = &flow->call;
    struct brief *b = &flow->brief;

    b->active = true;
    b->bytes = (uint32_t)(call->count * call->unit);
    b->head[0] = (uint32_t)call->call.round;
    b->head[1] = call->call.detail;
    b->head[2] = (uint32_t)call->call.count | (uint32_t)call->call.type << 16 |
                 (uint32_t)call->call.op << 24;
    lay_out(b, &flow->config, call);
    b->folds = call->reduction != NULL && b->to_take != 0;
    if (b->folds) {
        b->to = flow->scratch;
        b->to_step = (b->bytes + ROW_STEP - 1) / ROW_STEP * ROW_STEP;
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

    if (b->possible && (!b->active || (b->to_take >> peer & 1) == 0))
        check_early(flow, peer);
}

/* Whether the rank's block has come. */
static bool take_block(struct flow *flow, uint32_t peer)
{
    struct brief *b = &flow->brief;
    uint32_t head[BRIEF_HEAD];
    int bytes = peek(flow, peer, head);
    struct call call;

    if (bytes < 0)
        return false;
    if (memcmp(head, b->head, sizeof(head)) == 0 &&
        (uint32_t)bytes == b->bytes) {
        take(flow, peer, b->to + peer * b->to_step, b->bytes);
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

    if (link->lost ||
        link->transport->put_brief(link->endpoint, peer, b->head,
                                   b->from + peer * b->from_step, b->bytes) < 0)
        return false;
    flow->counts.puts++;
    flow->counts.bytes_put += sizeof(b->head) + b->bytes;
    return true;
}

static void fold_rows(struct flow *flow)
{
    const struct flow_call *call = &flow->call;
    const struct brief *b = &flow->brief;
    uint32_t ranks = flow->config.ranks, rank = flow->config.rank;
    struct folding fold = {
        .to = call->recv,
        .count = call->count,
        .rows = ranks,
    };

    for (uint32_t r = 0; r < ranks; r++)
        flow->rows[r] = b->to + r * b->to_step;
    flow->rows[rank] = place(call->send, rank, b->from_step);
    if (call->call.op == CALL_ALL_REDUCE)
        fold.block = plan_share(call->count, ranks);
    else if (call->call.op == CALL_REDUCE)
        fold.turn = call->root + 1;
    else
        fold.turn = rank + 1;
    flow_fold(flow, &fold);
    if (call->average)
        call->reduction->divide(call->recv, ranks, call->count);
}

/* What is taken may lie where we send from, so all is sent first. */
size_t brief_step(struct flow *flow)
{
    struct brief *b = &flow->brief;
    size_t moved = 0;

    for (uint32_t left = b->to_send; left != 0; left &= left - 1)
        if (send_block(flow, (uint32_t)__builtin_ctz(left))) {
            b->to_send &= ~(left & -left);
            moved += LINE_BYTES;
        }
    if (b->to_send != 0)
        return moved;
    for (uint32_t left = b->to_take; left != 0; left &= left - 1)
        if (take_block(flow, (uint32_t)__builtin_ctz(left))) {
            b->to_take &= ~(left & -left);
            moved += LINE_BYTES;
        }
    if (b->to_take != 0)
        return moved;
    if (b->folds)
        fold_rows(flow);
    b->active = false;
    flow->moves_left = 0;
    return moved + LINE_BYTES;
}
