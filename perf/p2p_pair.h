/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p2p_pair.h - two ranks that are linked by one transport, and by nothing else
 * of the library: the contract of transport.h, used as the engine uses it.
 */
#ifndef BALLOT_PERF_P2P_PAIR_H
#define BALLOT_PERF_P2P_PAIR_H

#include "p2p.h"
#include "transport/bootstrap.h"
#include "transport/transport.h"

enum {
    P2P_LINE_BYTES = 64,
    P2P_EVENTS = 2 * P2P_DEPTH_MAX + 2, /* all that can be under way to us */
};

struct p2p_pair {
    uint32_t rank; /* 0 sends, 1 receives */
    struct credentials credentials;
    uint32_t epoch;
    uint32_t depth; /* slots 0 .. depth - 1; as many for credits, then two */
    struct endpoint *endpoints[P2P_OVERS]; /* NULL: does not work here */
    struct address table[P2P_OVERS][2];    /* of both ranks */
    bool works[P2P_OVERS];                 /* between them */
    char why[WHY_BYTES];
    enum p2p_over over; /* the one in use */
    struct event events[P2P_EVENTS];
    int first, last; /* of the events not yet taken */
    uint64_t meets;
    uint64_t idle, idle_ns; /* polls without an event, and since when */
};

/*
 * Opens what was asked for and finds the other rank by BALLOT_ROOT. 0; or a
 * negative errno, which has been explained. Close it in any case.
 */
int p2p_pair_open(struct p2p_pair *pair, const struct p2p_options *options);
void p2p_pair_close(struct p2p_pair *pair);

/* Links the two over `over`, which pair->works. Explained as above. */
int p2p_pair_link(struct p2p_pair *pair, enum p2p_over over);
/* Waits until all has left, then closes the link. */
void p2p_pair_unlink(struct p2p_pair *pair);

/* The functions below return a negative errno when the peer is lost, silent for
 * ten seconds (-ETIMEDOUT), or out of order (-EPROTO). */

/* Memory to be filled for a put into `slot`; waits until it is free. */
int p2p_stage(struct p2p_pair *pair, uint32_t slot, void **memory);
/* The same, but NULL at once where it is not free. */
void *p2p_try_stage(struct p2p_pair *pair, uint32_t slot);
int p2p_put(struct p2p_pair *pair, uint32_t slot, size_t bytes);
/* Takes an event if there is one: 1, or 0. Between two events at most ten
 * seconds may pass with calls. */
int p2p_poll(struct p2p_pair *pair, struct event *event);
/* Waits for the put of `slot` with `bytes`, which must be the next one. */
int p2p_await(struct p2p_pair *pair, uint32_t slot, size_t bytes,
              const void **memory);
/* Returns when both ranks have called it, with what the other one brought. */
int p2p_meet(struct p2p_pair *pair, uint64_t ours, uint64_t *theirs);

/* Whether staging is the peer's slot itself: to write is to send. */
bool p2p_is_direct(const struct p2p_pair *pair);

uint64_t p2p_now(void); /* CLOCK_MONOTONIC, ns */

#endif
