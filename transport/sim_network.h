/* SPDX-License-Identifier: Apache-2.0 */
/* sim_network.h - what the simulated network and its endpoints share. */
#ifndef BALLOT_TRANSPORT_SIM_NETWORK_H
#define BALLOT_TRANSPORT_SIM_NETWORK_H

#include <pthread.h>

#include "sim.h"

enum {
    NOTICES_PER_SLOT = 4
}; /* honest peers need one; two when announced
      twice */

struct notice {
    uint32_t slot, bytes;
};

/* One endpoint's side of a link. */
struct port {
    enum { PORT_NONE, PORT_UP, PORT_ENDED, PORT_GONE } state;
    int reason;
    uint32_t serial;        /* of the link: older happenings are void */
    uint8_t *out, *in;      /* [slots], staged here and landed here */
    bool *leaving;          /* [slots]: a put has not landed whole */
    uint32_t *laps;         /* [slots]: puts that began to land in `in` */
    struct notice *notices; /* ring */
    uint32_t head, count;
    uint64_t last_ns; /* when the newest put in order is announced */
    struct sim_rates rates;
};

struct endpoint {
    struct sim *sim;
    struct endpoint_config config;
    struct port *ports; /* [ranks] */
    bool *wanted;       /* of the connect() under way, or NULL */
    uint32_t waiting;   /* events that a poll would give */
    uint32_t next_peer; /* whose events the next poll reports first */
    int descriptor;     /* eventfd */
    bool armed;
    bool rung; /* the descriptor is readable */
    struct endpoint_counts counts;
};

struct happening {
    uint64_t at_ns, order;
    enum { PIECE, NOTICE, BREAK } kind;
    uint32_t from, to, serial, slot;
    uint32_t first, bytes; /* of the piece; NOTICE: of the whole put */
    uint32_t lap;          /* NOTICE: void if another put began to land */
    bool begins, leaves;   /* PIECE: the first, the last of its put */
};

struct sim {
    struct sim_config config;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* endpoints connect or close */
    uint64_t random[4];
    uint64_t now_ns, order;
    uint32_t serial;
    struct endpoint **endpoints; /* [ranks] */
    struct happening *heap;
    size_t heap_count, heap_size;
    sim_twist_fn *twist;
    void *twist_context;
    uint64_t counts[SIM_FAULTS];
};

static inline void *sim_slot_in(const struct endpoint *endpoint,
                                uint8_t *memory, uint32_t slot)
{
    return memory + (size_t)slot * endpoint->config.slot_bytes;
}

/* What is staged in `slot` leaves, or is lost as the rates want it. The port is
 * up. */
void sim_send(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot,
              uint32_t bytes);

/* The link ends at `rank`, now. */
void sim_end_port(struct sim *sim, uint32_t rank, uint32_t peer, int reason);

#endif
