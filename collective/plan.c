/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - which algorithm a call takes, and exchanges. */
#include "plan.h"

#include <errno.h>

#include "calls.h"

enum {
    /* Up to so many ranks everybody talks to everybody: above, the messages
     * cost more than the steps of a tree. */
    DIRECT_RANKS = 16,
    SPLIT_RANKS = 32,
    /* Where ranks share cores (4 of them, on 2): */
    HUB_BYTES = 256 << 10,  /* a sum of so many by way of rank 0: with more
                               the others wait too long for it */
    CHAIN_BYTES = 16 << 10, /* broadcasts from there on down a chain, which
                               gives everybody one thing to send */
};

static bool fits_scratch(const struct flow *f, uint64_t bytes)
{
    return bytes <= SCRATCH_BYTES / f->config.ranks;
}

static enum flow_algorithm choose_all_reduce(const struct flow *f,
                                             uint64_t bytes)
{
    if (f->config.crowded && f->config.ranks > 2 && bytes <= HUB_BYTES)
        return FLOW_HUB;
    if (f->config.ranks > DIRECT_RANKS && fits_scratch(f, bytes))
        return FLOW_TREE;
    if (bytes <= f->whole && f->config.ranks <= DIRECT_RANKS)
        return FLOW_DIRECT;
    return f->config.ranks <= SPLIT_RANKS ? FLOW_SPLIT : FLOW_RING;
}

static enum flow_algorithm choose(const struct flow *f,
                                  const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    bool few = f->config.ranks <= DIRECT_RANKS;

    switch ((enum call_op)call->call.op) {
    case CALL_ALL_REDUCE: return choose_all_reduce(f, bytes);
    case CALL_REDUCE:
        if (few)
            return FLOW_DIRECT;
        return fits_scratch(f, bytes) ? FLOW_TREE : FLOW_RING;
    case CALL_REDUCE_SCATTER: return few ? FLOW_DIRECT : FLOW_RING;
    case CALL_BROADCAST:
        if (f->config.crowded && bytes >= CHAIN_BYTES)
            return FLOW_RING;
        if (few)
            return FLOW_DIRECT;
        return bytes <= f->payload ? FLOW_TREE : FLOW_RING;
    case CALL_ALL_GATHER:
    case CALL_SPLIT:
    case CALL_DUPLICATE:
    case CALL_BARRIER:
        if (few)
            return FLOW_DIRECT;
        return bytes <= f->payload ? FLOW_DOUBLING : FLOW_RING;
    default: return FLOW_DIRECT;
    }
}

/* What was asked for, where it can be had: a tree's vectors fit the scratch
 * memory, and a whole vector that is sent directly is a message or two, for it
 * may be in place. */
static enum flow_algorithm allowed(const struct flow *f,
                                   const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;
    enum flow_algorithm a = call->algorithm;
    bool reduces = call->reduction != NULL;

    if (a == FLOW_CHOOSE || call->count == 0 ||
        (a == FLOW_TREE && reduces && !fits_scratch(f, bytes)))
        return choose(f, call);
    if (call->call.op == CALL_REDUCE_SCATTER && a == FLOW_HUB &&
        !plan_fits_hub(f, bytes))
        return choose(f, call);
    if (call->call.op == CALL_ALL_REDUCE && bytes > f->whole &&
        (a == FLOW_DIRECT || a == FLOW_DOUBLING))
        return FLOW_SPLIT;
    return a;
}

/* ---- In words ---- */

const char *const flow_algorithm_words[] = {"auto", "direct",   "split", "ring",
                                            "tree", "doubling", "hub",   NULL};

/* What is not in here goes directly, whatever was asked for. */
static const uint32_t ways[CALL_OPS] = {
    [CALL_ALL_REDUCE] =
        1u << FLOW_SPLIT | 1u << FLOW_RING | 1u << FLOW_TREE | 1u << FLOW_HUB,
    [CALL_REDUCE] = 1u << FLOW_RING | 1u << FLOW_TREE,
    [CALL_REDUCE_SCATTER] = 1u << FLOW_RING | 1u << FLOW_HUB,
    [CALL_BROADCAST] = 1u << FLOW_RING | 1u << FLOW_TREE,
    [CALL_ALL_GATHER] = 1u << FLOW_RING | 1u << FLOW_DOUBLING | 1u << FLOW_HUB,
    [CALL_SPLIT] = 1u << FLOW_RING | 1u << FLOW_DOUBLING | 1u << FLOW_HUB,
    [CALL_DUPLICATE] = 1u << FLOW_RING | 1u << FLOW_DOUBLING | 1u << FLOW_HUB,
    [CALL_BARRIER] = 1u << FLOW_RING | 1u << FLOW_DOUBLING | 1u << FLOW_HUB,
};

const char *flow_way(const struct flow *flow)
{
    const struct flow_call *call = &flow->call;
    enum flow_algorithm algorithm;

    if (call->call.op == CALL_SEND)
        return "messages";
    if (flow->brief.active)
        return "brief messages";
    algorithm = allowed(flow, call);
    if (flow->config.ranks < 2 || (ways[call->call.op] >> algorithm & 1u) == 0)
        algorithm = FLOW_DIRECT;
    return flow_algorithm_words[algorithm];
}

/* ---- Exchanges ---- */

/* The number of the next message to, or from, that rank. */
static struct call message_call(struct stream *s,
                                const struct flow_message *message)
{
    return (struct call){
        .round = message->receives ? s->receives++ : s->sends++,
        .count = message->count,
        .type = message->type,
        .op = CALL_SEND,
    };
}

/* The next message to ourselves that is a send, or a receive; or NULL. */
static const struct flow_message *next_own(const struct flow *f,
                                           const struct flow_call *call,
                                           bool receives, uint32_t *at)
{
    while (*at < call->messages_count) {
        const struct flow_message *message = &call->messages[(*at)++];

        if (message->peer == f->config.rank && message->receives == receives)
            return message;
    }
    return NULL;
}

/* What we send to ourselves, in the order of the receives. */
static int exchange_own(struct flow *f, const struct flow_call *call)
{
    const struct flow_message *sent, *received;
    uint32_t sends = 0, receives = 0;

    for (;;) {
        sent = next_own(f, call, false, &sends);
        received = next_own(f, call, true, &receives);
        if (sent == NULL && received == NULL)
            return 0;
        if (sent == NULL || received == NULL ||
            sent->count != received->count || sent->type != received->type)
            return -EINVAL;
        move_read(f, flow_into(f, received->to, sent->bytes), sent->from);
    }
}

static int plan_exchange(struct flow *f, const struct flow_call *call)
{
    int rc;

    if (call->messages_count > f->moves_max)
        return -E2BIG;
    rc = exchange_own(f, call);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < call->messages_count; i++) {
        const struct flow_message *message = &call->messages[i];
        struct move *m;

        if (message->peer == f->config.rank)
            continue;
        m = message->receives ? flow_into(f, message->to, message->bytes)
                              : flow_to(f, message->peer, message->bytes);
        m->call = message_call(&f->streams[message->peer], message);
        if (message->receives)
            move_take(f, m, message->peer);
        else
            move_read(f, m, message->from);
    }
    return 0;
}

int plan_write(struct flow *flow, const struct flow_call *call)
{
    enum flow_algorithm algorithm;

    if (call->call.op == CALL_SEND)
        return plan_exchange(flow, call);
    algorithm = allowed(flow, call);
    switch ((enum call_op)call->call.op) {
    case CALL_ALL_REDUCE: plan_all_reduce(flow, call, algorithm); break;
    case CALL_REDUCE: plan_reduce(flow, call, algorithm); break;
    case CALL_REDUCE_SCATTER: plan_reduce_scatter(flow, call, algorithm); break;
    case CALL_BROADCAST: plan_broadcast(flow, call, algorithm); break;
    case CALL_SPLIT:
    case CALL_DUPLICATE:
    case CALL_ALL_GATHER: plan_all_gather(flow, call, algorithm); break;
    case CALL_GATHER: plan_gather(flow, call); break;
    case CALL_SCATTER: plan_scatter(flow, call); break;
    case CALL_ALL_TO_ALL: plan_all_to_all(flow, call); break;
    case CALL_BARRIER: plan_barrier(flow, call, algorithm); break;
    default: return -EINVAL;
    }
    return 0;
}
