/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - every collective that is no vote: bytes that flow between ranks.
 *
 * A collective is a list of moves. A move takes bytes from its sources, which
 * are streams from other ranks or memory of the caller's, folds them where they
 * are more than one, and puts what comes out into memory or into the stream to
 * another rank. plan_*.c write such lists, one function for each algorithm;
 * flow.c works through any of them: it cuts moves into fragments that fit a
 * slot, keeps order and credit, and moves what can be moved.
 *
 * Every fragment's header line says which call it belongs to. flow_check.c
 * compares that with our own calls, of which it keeps the last ones, so ranks
 * that call different things learn it from the first fragment.
 *
 * One flow at a time, in the order of the calls. One thread at a time; never
 * blocks, allocates only in flow_open().
 */
#ifndef BALLOT_COLLECTIVE_FLOW_H
#define BALLOT_COLLECTIVE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../aggregate/reduce.h"
#include "../aggregate/round.h"
#include "../transport/transport.h"
#include "lanes.h"

enum { CALLS_KEPT = 64 }; /* that are compared with what comes late */

struct flow_config {
    uint32_t rank, ranks;
    uint32_t window; /* of the vote lanes: says where ours begin */
    uint32_t slot_bytes;
    uint32_t stream_bytes; /* of a fragment, as between all ranks; 0: it fits a
                              slot of slot_bytes */
    uint32_t epoch;
    /* A fragment of `apart_bytes` lands where it belongs, and is not staged; a
     * move of `direct_bytes` goes from where it is until it has been taken; 0:
     * APART_BYTES, DIRECT_BYTES. A move of `shared_bytes` that goes to several
     * ranks is copied once; 0: SHARED_BYTES. */
    uint32_t apart_bytes, direct_bytes, shared_bytes;
    uint32_t brief_bytes; /* that all can send to all by a brief message, or 0:
                             some have none */
    bool crowded;         /* on some host there are more ranks than cores, and
                             messages are system calls */
    const struct link *links; /* [ranks], the caller's; ours is not used */
};

/* A send or a receive of an exchange. */
struct flow_message {
    uint32_t peer;
    bool receives;
    const void *from; /* sends */
    void *to;         /* receives */
    uint64_t bytes;
    uint64_t count;
    uint8_t type;
};

enum flow_algorithm {
    FLOW_CHOOSE,
    FLOW_DIRECT,   /* everybody to whom it concerns */
    FLOW_SPLIT,    /* all_reduce: each rank folds a block, and shows it */
    FLOW_RING,     /* to the next rank only */
    FLOW_TREE,     /* binomial, from or to a root */
    FLOW_DOUBLING, /* what is known doubles with each step */
    FLOW_HUB,      /* by way of rank 0 */
    FLOW_ALGORITHMS,
};

/* In words, in this order, and NULL. */
extern const char *const flow_algorithm_words[];

struct flow_call {
    struct call call; /* what ranks must agree on; round: which call this is */
    const void *send;
    void *recv;
    uint64_t count; /* elements of the whole vector, or of each rank's block */
    uint32_t unit;  /* bytes of an element */
    uint32_t root;
    const struct reduction *reduction; /* NULL: nothing is folded */
    bool average;
    const void *factor; /* of our own values, or NULL */
    enum flow_algorithm algorithm;
    const struct flow_message *messages; /* of an exchange; used in begin only
                                          */
    uint32_t messages_count;
    void *context; /* comes back when it ends */
};

struct flow_counts {
    uint64_t puts;
    uint64_t bytes_put;
    uint64_t dropped;
};

struct flow;

/* Of the largest fragment, where they are of stream_bytes. */
uint32_t flow_widest(uint32_t stream_bytes, uint32_t ranks);

int flow_open(struct flow **flow, const struct flow_config *config);
void flow_close(struct flow *flow); /* NULL is allowed */

/*
 * -EBUSY while another flow is under way, -E2BIG: an exchange of more messages
 * than flow_open() has room for.
 */
int flow_begin(struct flow *flow, uint64_t now_ns,
               const struct flow_call *call);

/* Whether neither flow_step() nor flow_differs() and flow_suspects() have
 * anything to do or to say. */
bool flow_idle(const struct flow *flow);

/* Bytes that went through; 0: there was nothing to do. */
size_t flow_step(struct flow *flow, uint64_t now_ns);

/* A rank put slot `slot` of the stream lane, of the credit lane. */
void flow_arrived(struct flow *flow, const struct event *event, uint32_t slot);
void flow_credited(struct flow *flow, const struct event *event);
/* An EVENT_BRIEF of a rank. */
void flow_briefed(struct flow *flow, uint32_t peer);

/* Where a put of stream slot `slot` may land (endpoint_config.place). */
void *flow_place(struct flow *flow, uint32_t peer, uint32_t slot,
                 const void *head, uint32_t bytes);

/* The context of the flow that is complete; NULL: none. Once each. */
void *flow_ended(struct flow *flow);

/* Whether the one under way goes by brief messages (transport.h). */
bool flow_is_brief(const struct flow *flow);

/* How the one goes that was just begun: "ring", "brief messages", ... */
const char *flow_way(const struct flow *flow);
/* It was begun without a clock. */
void flow_wait_from(struct flow *flow, uint64_t now_ns);

/* When the flow under way last moved; UINT64_MAX: there is none. */
uint64_t flow_progress(const struct flow *flow);

/* Forgets the flow under way and its buffers: it ended otherwise. No other can
 * begin. */
void flow_abandon(struct flow *flow);

void flow_count(const struct flow *flow, struct flow_counts *counts);

/* ---- flow_check.c: what ranks have called -------------------------------- */

/* We called this, votes too; call->round are consecutive. */
void flow_note(struct flow *flow, const struct call *call);
/* Of the call under way, or the next; of an exchange, which has none, that of
 * the call behind it. */
uint64_t flow_number(const struct flow *flow);
/* What is under way is an exchange, which has no such number. */
bool flow_exchanges(const struct flow *flow);
/* How many calls were noted: the number of the next. */
uint64_t flow_noted(const struct flow *flow);
/* Our call `number`, if it is one of the last CALLS_KEPT. */
bool flow_recall(const struct flow *flow, uint64_t number, struct call *call);
/* Two ranks, of which we are one, have called different things. Once. */
bool flow_differs(struct flow *flow, struct difference *difference);
/* What `peer` says that it has called as this number; false: no news. */
void flow_heard(struct flow *flow, uint32_t peer, const struct call *call);
/* A rank is further than it can be if it made our calls: all should be asked
 * what they have called. Once each. */
bool flow_suspects(struct flow *flow);
/* 1 + the number of the call under way; 0: it is an exchange, UINT64_MAX: there
 * is none. */
uint64_t flow_at(const struct flow *flow);
/* A rank that an exchange under way waits for, and the message. */
bool flow_waits(const struct flow *flow, uint32_t *peer, struct call *call);
/* The ranks that the flow under way waits for. */
void flow_awaited(const struct flow *flow, struct rank_mask *awaited);

#endif
