/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_check.c - what ranks have called.
 *
 * Calls are numbered alike on all ranks, votes included, and every message says
 * which it belongs to. So a message of our number that is not our call tells of
 * a difference, and one of a later number that its rank made other calls than
 * we: then it is asked. Messages of an exchange have numbers of their own, for
 * only two ranks call them.
 */
#include <string.h>

#include "calls.h"
#include "flow_inside.h"

void check_coming(struct flow *flow)
{
    if (flow->config.ranks <= 64 && flow->coming.words[0] == 0 &&
        flow->brief.early == 0)
        return;
    for (uint32_t w = 0; w < (flow->config.ranks + 63) / 64; w++)
        for (uint64_t left = flow->coming.words[w]; left != 0;
             left &= left - 1) {
            uint32_t r = 64 * w + (uint32_t)__builtin_ctzll(left);

            if (flow->streams[r].source_head == MOVE_NONE)
                check_unexpected(flow, r);
        }
    brief_check_early(flow);
}

void flow_note(struct flow *flow, const struct call *call)
{
    flow->noted[flow->noted_count++ % CALLS_KEPT] = *call;
    check_coming(flow);
}

uint64_t flow_noted(const struct flow *flow)
{
    return flow->noted_count;
}

uint64_t flow_number(const struct flow *flow)
{
    return flow->active ? flow->call.call.round : flow->noted_count;
}

bool flow_exchanges(const struct flow *flow)
{
    return flow->active && flow->exchanges;
}

bool flow_recall(const struct flow *flow, uint64_t number, struct call *call)
{
    if (number >= flow->noted_count || flow->noted_count - number > CALLS_KEPT)
        return false;
    *call = flow->noted[number % CALLS_KEPT];
    return true;
}

static void note_difference(struct flow *flow, uint32_t peer,
                            const struct call *ours, const struct call *theirs)
{
    if (flow->differs)
        return;
    flow->differs = true;
    flow->difference = (struct difference){
        .rank = {flow->config.rank, peer},
        .call = {*ours, *theirs},
    };
}

bool flow_differs(struct flow *flow, struct difference *difference)
{
    if (!flow->differs || flow->told)
        return false;
    flow->told = true;
    *difference = flow->difference;
    return true;
}

void flow_heard(struct flow *flow, uint32_t peer, const struct call *call)
{
    struct call ours;

    if (flow_recall(flow, call->round, &ours) && !call_equal(&ours, call))
        note_difference(flow, peer, &ours, call);
}

bool flow_suspects(struct flow *flow)
{
    bool suspects = flow->suspects;

    flow->suspects = false;
    return suspects;
}

/* Whether the rank has yet to take what must not change before. */
static bool holds_something(const struct stream *s)
{
    for (uint64_t n = s->credited; n < s->sequence; n++)
        if (s->holdings[n % STREAM_WINDOW].bytes > 0)
            return true;
    return false;
}

static bool awaits_message(const struct flow *flow, uint32_t peer)
{
    return flow->streams[peer].source_head != MOVE_NONE &&
           !mask_has(&flow->coming, peer);
}

static bool awaits_credit(const struct flow *flow, uint32_t peer)
{
    const struct stream *s = &flow->streams[peer];

    return (s->move_head != MOVE_NONE &&
            s->sequence - s->credited >= flow->window) ||
           holds_something(s);
}

static bool brief_awaits(const struct flow *flow, uint32_t peer)
{
    const struct brief *b = &flow->brief;
    uint32_t ranks = b->to_send | b->to_take;

    if (ranks == 0)
        ranks = b->to_answer;
    return b->active && (ranks >> peer & 1) != 0;
}

void flow_awaited(const struct flow *flow, struct rank_mask *awaited)
{
    for (uint32_t r = 0; flow->active && r < flow->config.ranks; r++)
        if (awaits_message(flow, r) || awaits_credit(flow, r) ||
            brief_awaits(flow, r))
            mask_set(awaited, r);
}

uint64_t flow_at(const struct flow *flow)
{
    if (!flow->active)
        return UINT64_MAX;
    return flow->exchanges ? 0 : flow->call.call.round + 1;
}

/* A message of an exchange, in words that say to or from whom. */
static struct call in_words(struct call call, enum call_op op, uint32_t peer)
{
    call.op = (uint8_t)op;
    call.detail = call_detail(peer, 0);
    return call;
}

/* The last message to that rank: it has gone, but was not taken. */
static const struct move *last_to(const struct flow *flow, uint32_t peer)
{
    const struct move *last = NULL;

    for (uint32_t i = 0; i < flow->moves_count; i++)
        if (flow->moves[i].peer == peer)
            last = &flow->moves[i];
    return last;
}

/* The message for which an exchange waits for that rank; NULL: it does not. */
static const struct move *awaited_message(const struct flow *flow,
                                          uint32_t peer)
{
    const struct stream *s = &flow->streams[peer];

    if (awaits_message(flow, peer))
        return &flow->moves[flow->sources[s->source_head].move];
    if (!awaits_credit(flow, peer))
        return NULL;
    return s->move_head != MOVE_NONE ? &flow->moves[s->move_head]
                                     : last_to(flow, peer);
}

bool flow_waits(const struct flow *flow, uint32_t *peer, struct call *call)
{
    for (uint32_t r = 0; flow_exchanges(flow) && r < flow->config.ranks; r++) {
        const struct move *m = awaited_message(flow, r);

        if (m == NULL)
            continue;
        *call = in_words(m->call, m->peer == r ? CALL_SEND : CALL_RECV, r);
        *peer = r;
        return true;
    }
    return false;
}

/* ---- Messages ---- */

static const struct arrival *next_arrival(const struct flow *flow,
                                          uint32_t peer)
{
    const struct stream *s = &flow->streams[peer];

    return &s->arrivals[s->expected % STREAM_WINDOW];
}

static bool header_valid(const struct flow *flow, uint32_t peer,
                         const struct header *header)
{
    return header->magic == HEADER_MAGIC && header->kind == HEADER_STREAM &&
           header->epoch == flow->config.epoch &&
           header->sequence == flow->streams[peer].expected;
}

/* It is nobody's: its rank breaks the rules, and its stream stands still until
 * a deadline. */
static void drop(struct flow *flow, uint32_t peer)
{
    struct stream *s = &flow->streams[peer];

    s->arrivals[s->expected % STREAM_WINDOW].full = false;
    mask_clear(&flow->coming, peer);
    flow->counts.dropped++;
}

bool check_is_early(struct flow *flow, uint32_t peer, const struct call *theirs)
{
    struct call ours;

    if (theirs->op == CALL_SEND || theirs->round >= flow->noted_count)
        return true;
    if (!flow_recall(flow, theirs->round, &ours))
        return false;
    if (!call_equal(&ours, theirs)) {
        note_difference(flow, peer, &ours, theirs);
        return true;
    }
    /* Noted, and not begun yet. */
    return theirs->round >= flow->begun;
}

void check_unexpected(struct flow *flow, uint32_t peer)
{
    struct header header;

    memcpy(&header, next_arrival(flow, peer)->memory, sizeof(header));
    if (!header_valid(flow, peer, &header) ||
        !check_is_early(flow, peer, &header.call))
        drop(flow, peer);
}

static void suspect(struct flow *flow)
{
    flow->suspects = !flow->suspected && !flow->differs;
    flow->suspected = true;
}

bool check_compare(struct flow *flow, uint32_t peer, const struct call *ours,
                   const struct call *theirs)
{
    struct call received = *ours, sent = *theirs;
    bool exchange = ours->op == CALL_SEND;

    if (exchange)
        received = in_words(*ours, CALL_RECV, peer);
    if (theirs->op == CALL_SEND)
        sent = in_words(*theirs, CALL_SEND, flow->config.rank);
    if (exchange || theirs->op == CALL_SEND || theirs->round == ours->round)
        note_difference(flow, peer, &received, &sent);
    else if (check_is_early(flow, peer, theirs))
        suspect(flow);
    else
        return false;
    return true;
}

bool check_message(struct flow *flow, uint32_t peer, const struct call *call,
                   uint32_t bytes)
{
    const struct arrival *a = next_arrival(flow, peer);
    struct header header;

    memcpy(&header, a->memory, sizeof(header));
    if (!header_valid(flow, peer, &header)) {
        drop(flow, peer);
        return false;
    }
    if (!call_equal(&header.call, call)) {
        if (!check_compare(flow, peer, call, &header.call))
            drop(flow, peer);
        return false;
    }
    if (a->bytes != bytes) {
        drop(flow, peer);
        return false;
    }
    return true;
}
