/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_net.h - flows of many ranks in one process, in an order of events that a
 * seed gives.
 *
 * What is put lies where it was staged until it is delivered, and its slot is
 * not free before. If nothing can be delivered and no flow has anything to do,
 * they stand still, and that is a failure.
 */
#ifndef TESTS_UNIT_FLOW_NET_H
#define TESTS_UNIT_FLOW_NET_H

#include "../../collective/calls.h"
#include "../../collective/flow.h"

enum {
    RANKS = 17,
    WINDOW = 2,
    SLOT_BYTES = LINE_BYTES + 2 * 64,     /* a fragment is 32 floats */
    WIDE_BYTES = LINE_BYTES + 4 * 2 * 64, /* where two ranks widen it */
    QUEUE = 64, /* puts on the way between two ranks */
    NOTES = 3,  /* brief messages, at most */
    EPOCH = 77,
    SLOTS = 2 * WINDOW + 2 * STREAM_WINDOW + CONTROL_SLOTS,
};

struct put {
    uint32_t slot, bytes;
    const void
        *memory; /* its end is read there when it is delivered; or NULL */
    uint32_t memory_bytes;
    uint32_t shared; /* 0, or 1 + the sender's place where its end is */
};

/* A brief message, and as it was before somebody lied. */
struct note {
    uint32_t head[BRIEF_HEAD], bytes;
    uint8_t body[BRIEF_BYTES];
};

/* From one rank to another. */
struct wire {
    struct note notes[NOTES];
    uint32_t notes_given, notes_here, notes_taken; /* since the beginning */

    /* As slots are, for all types. */
    _Alignas(16) uint8_t staged[SLOTS][WIDE_BYTES];
    _Alignas(16) uint8_t slots[SLOTS][WIDE_BYTES];
    bool leaving[SLOTS];
    struct put puts[QUEUE];
    uint32_t first, count;
};

/* One rank's end of all its wires, as the endpoint of a transport. */
struct node {
    uint32_t rank;
    struct flow *flow;
    struct link links[RANKS];
    bool ended, differs;
    struct difference difference;
    uint8_t shared[STREAM_WINDOW][WIDE_BYTES];
};

struct net {
    uint32_t ranks;
    struct wire *wires; /* [ranks * ranks], from * ranks + to */
    /* Puts that landed elsewhere, that were not staged, that were shared. */
    uint64_t apart, held, shared;
    struct node nodes[RANKS];
    uint64_t random;
    bool brief;   /* net_open() gives them brief messages */
    bool crowded; /* and says that they share cores */
    uint64_t briefs;
    uint32_t liar; /* or RANKS */
    uint64_t lies;
};

extern struct net net;

uint64_t net_draw(void);
void net_open(uint32_t ranks, uint64_t seed);
void net_close(void);
/* All ranks call; nothing has gone on but what is drawn. */
void net_begin(struct flow_call *calls);
/* Until nothing happens, however it is drawn. Whoever has ended has no memory
 * on the way. */
void net_run(void);
/* The next put of that wire, if there is one. */
bool net_deliver(uint32_t from, uint32_t to);

/* ---- Calls of floats ---- */

struct data {
    float *send, *recv; /* in place: in the same memory */
};

struct shape_of_call {
    uint8_t op;
    enum flow_algorithm algorithm;
    uint32_t root;
    size_t count;
    bool in_place;
};

/* What a rank gives as element i. */
float data_given(uint32_t rank, size_t i);
struct data data_new(const struct shape_of_call *shape, uint32_t rank);
void data_free(const struct shape_of_call *shape, struct data *data);
struct flow_call data_call(const struct shape_of_call *shape,
                           const struct data *data);
/* Fails where a rank did not receive what it must have, bit for bit. */
void data_check(const struct flow_call *call, uint32_t rank);

#endif
