/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.h - what the files of the RDMA transport share.
 *
 * verbs.c has the endpoint and the contract; verbs_connect.c how all links come
 * up; verbs_link.c one peer's queue pairs and memory; verbs_offer.c how two
 * ranks tell each other about them; verbs_send.c puts, verbs_queue.c
 * completions; verbs_memory.c memory of the caller's; verbs_seal.c slots that
 * are closed while they are read; verbs_watch.c what comes beside the data:
 * events of the device, ends of control connections, waking.
 *
 * A put is one RDMA write with immediate data, from registered staging into the
 * peer's slot. The immediate is slot | number << 16, where the puts to a peer
 * are numbered from 0 and wrap: so a repeated or invented one is found, and
 * events come in order over any number of queue pairs (stripes; slot s travels
 * on stripe s mod stripes).
 */
#ifndef BALLOT_TRANSPORT_VERBS_H
#define BALLOT_TRANSPORT_VERBS_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "listener.h"
#include "transport.h"
#include "verbs_device.h"
#include "verbs_route.h"
#include "verbs_settings.h"

enum {
    VERBS_SLOTS_MAX = 1 << 14, /* numbers of 16 bits tell laps apart */
    VERBS_REGIONS_MAX = 64,    /* of the caller's memory */
    INLINE_BYTES = 256,        /* puts up to this size are copied into the work
                                  request, where the device can do it */
    SEND_BATCH = 16,           /* puts posted by one call; the last completes
                                  with a sign of it */
    RECEIVE_BATCH = 16,        /* receives posted again at once */
};

/* What a work request carries that keeps no slot busy: a put that was copied,
 * or none; or it seals the slot in the other bits. */
enum {
    NO_SLOT = UINT16_MAX,
    NO_PUT = UINT16_MAX - 1,
    SEALS_SLOT = 1 << 15,
};

/* What a wr_id says, which comes back unchanged, also with a failure. */
struct verbs_work {
    uint32_t peer;
    bool sent; /* else a receive */
    uint8_t stripe;
    uint16_t index; /* of what was sent: the stripe's work requests before it */
};

static inline uint64_t verbs_work_pack(struct verbs_work work)
{
    return (uint64_t)work.peer << 32 | (uint64_t)work.sent << 24 |
           (uint64_t)work.stripe << 16 | work.index;
}

static inline struct verbs_work verbs_work_unpack(uint64_t id)
{
    return (struct verbs_work){.peer = (uint32_t)(id >> 32),
                               .sent = (id >> 24 & 1) != 0,
                               .stripe = (uint8_t)(id >> 16),
                               .index = (uint16_t)id};
}

/* One queue pair of a link. */
struct verbs_stripe {
    struct ibv_qp *pair;
    uint16_t *waiting; /* ring of [slots], to be posted */
    uint32_t waiting_first, waiting_count;
    uint16_t *carried;     /* ring of [send_depth]: the slot that each work
                              request keeps busy, NO_SLOT or NO_PUT */
    uint32_t posted, done; /* work requests since ever; both wrap */
    uint32_t spent;        /* receives to be posted again */
};

/* A put that was announced and not yet reported, by number. */
struct verbs_arrival {
    bool there;
    uint16_t slot;
    uint32_t bytes;
};

struct verbs_put {
    uint32_t bytes; /* in the slot */
    uint32_t key;   /* of the slot */
    uint16_t number;
    bool leaving;
    /* The last bytes of those may stand in registered memory of the caller's
     * instead of staging. */
    uint32_t from_bytes;
    uint32_t from_key;
    uint64_t from;
    /* What is staged behind the slot's bytes may go to memory that the peer has
     * named, before them. */
    uint32_t to_bytes;
    uint32_t to_key;
    uint64_t to;
};

/* A slot of ours that is closed to its writer while it is read: reached through
 * a memory window whose key is another one each time. */
struct verbs_seal {
    struct ibv_mw *window;
    bool closed; /* for sure: nothing can change any more */
};

/* Memory of the caller's that every link can use. */
struct verbs_region {
    uint8_t *memory;
    size_t bytes;
    bool writable;        /* by peers, too */
    struct ibv_mr **keys; /* [ranks]; NULL where there is no link */
};

struct verbs_link {
    uint32_t peer;
    enum {
        LINK_MEETING,
        LINK_UP,
        LINK_CLOSING, /* the control connection has ended; what arrived before
                         may still be in a completion queue */
        LINK_ENDED,   /* not yet reported */
        LINK_GONE,    /* memory stays, for events handed out point into it */
    } state;
    int reason;         /* of the end */
    bool queued;        /* is in the endpoint's queue of ready links */
    int descriptor;     /* the control connection; -1 once cut */
    size_t told, heard; /* MEETING: bytes of offer and confirmation */
    bool aimed;         /* MEETING: the queue pairs know their peers */
    uint8_t *offer;     /* MEETING: what was heard */

    struct ibv_pd *domain; /* of this peer alone: no key reaches another's */
    struct ibv_mr *staging_key, *inbound_key;
    struct ibv_mr *sealed_key; /* of the slots that are sealed; no key of this
                                  one lets a peer write, its windows do */
    struct verbs_seal *seals;  /* [endpoint->sealed] */
    uint32_t sealing;          /* slots that are being closed */
    void *landing;             /* the memory that inbound is in */
    uint8_t *inbound;      /* [slots][slot_bytes], skewed by peer; the peer may
                              write this and nothing else */
    uint8_t *staging;      /* [slots][slot_bytes] */
    uint32_t first_number; /* of packets, ours; 24 bits */

    uint64_t remote;       /* the peer's inbound */
    uint32_t *remote_keys; /* [slots] */

    struct verbs_put *puts; /* [slots] */
    uint32_t unfinished;    /* of the endpoint's */
    uint16_t next_number;
    uint32_t inline_bytes;          /* what the queue pairs take */
    struct verbs_arrival *arrivals; /* ring of [endpoint->arrivals] by number */
    uint16_t expected;
    struct verbs_stripe stripes[VERBS_STRIPES_MAX];
};

struct endpoint {
    struct endpoint_config config;
    struct verbs_settings settings;
    struct verbs_device device;
    struct listener listener; /* closed once everybody is connected */
    uint32_t send_depth;      /* of a stripe, a power of two */
    uint32_t receive_depth;   /* of a stripe */
    uint32_t arrivals;        /* a power of two */
    uint32_t sealed;          /* slots that are sealed: the first ones */

    struct verbs_region regions[VERBS_REGIONS_MAX];
    uint32_t regions_count;

    struct verbs_link **links; /* [ranks], NULL where there is none */
    uint32_t *peers;           /* [peers_count] that have ever had a link */
    uint32_t peers_count;
    uint32_t *ready; /* ring of [ranks], peers to look at */
    uint32_t ready_first, ready_count;

    struct ibv_comp_channel *channel;
    struct ibv_cq **queues; /* [queues_count] */
    uint32_t queues_count;
    int epoll;
    uint32_t unfinished; /* puts whose completion is not known */
    uint32_t closing;    /* links that are LINK_CLOSING */
    uint32_t polls;
    bool armed;
    bool port_down; /* as the device said last */
    struct endpoint_counts counts;
};

/* Room for the words of a failure; the caller's, or one that nobody reads. */
void verbs_explain(const struct endpoint *endpoint, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- verbs.c ---- */

/* Asks for a turn of the link in the next poll. */
void verbs_ready(struct endpoint *endpoint, struct verbs_link *link);

/* ---- verbs_connect.c ---- */

/* Both as in struct transport. */
int verbs_address(struct endpoint *endpoint, struct address *address);
int verbs_connect(struct endpoint *endpoint, const struct address *table,
                  bool *wanted, uint32_t epoch, uint64_t deadline_ns);

/* ---- verbs_link.c ---- */

/* Completion queues with room for all that `links` links can ever complete. */
int verbs_queues_open(struct endpoint *endpoint, uint32_t links);
void verbs_queues_close(struct endpoint *endpoint);

/* Everything of a link that needs no peer; receives are posted. */
int verbs_link_make(struct endpoint *endpoint, uint32_t peer,
                    struct verbs_link **link);

struct verbs_offer; /* what a peer told about its side */

/* Points the queue pairs at the peer's: from now on both can write. */
int verbs_link_aim(const struct endpoint *endpoint, struct verbs_link *link,
                   const struct verbs_route *route,
                   const struct verbs_offer *offer);

/* Ends the connection for good; no event follows. Memory stays until free. */
void verbs_link_cut(struct endpoint *endpoint, struct verbs_link *link);
void verbs_link_free(const struct endpoint *endpoint, struct verbs_link *link);

/* ---- verbs_offer.c ---- */

/* In host order, checked against our own configuration. */
struct verbs_offer {
    enum ibv_mtu mtu;
    uint32_t first_number;
    uint64_t memory;
    uint32_t pairs[VERBS_STRIPES_MAX];
};

/*
 * Exchanges offers with all links[ranks] that are LINK_MEETING, over their
 * control connections, aims them by routes[ranks] and makes them LINK_UP. A
 * peer that stalls or lies loses its own link only, which is freed and NULL;
 * the first such failure is returned after the rest was tried:
 *   -ETIMEDOUT, -EPROTO, -ECONNRESET, or what verbs_link_aim() says
 */
int verbs_links_exchange(struct endpoint *endpoint,
                         const struct verbs_route *routes,
                         uint64_t deadline_ns);

/* ---- verbs_memory.c ---- */

/* Both as in struct transport. */
int verbs_enrol(struct endpoint *endpoint, void *memory, size_t bytes,
                bool writable);
int verbs_withdraw(struct endpoint *endpoint, const void *memory);
/* The key for a link of memory that lies in a region, or NULL. */
const struct ibv_mr *verbs_find(const struct endpoint *endpoint,
                                const struct verbs_link *link,
                                const void *memory, size_t bytes,
                                bool writable);
void verbs_memory_close(struct endpoint *endpoint);

/* ---- verbs_seal.c ---- */

/* Windows over the slots that are sealed; they open with the first bind. */
int verbs_seals_make(const struct endpoint *endpoint, struct verbs_link *link);
/* Opens all of them, once the queue pair is aimed. */
int verbs_seals_open(const struct endpoint *endpoint, struct verbs_link *link);
void verbs_seals_free(const struct endpoint *endpoint, struct verbs_link *link);
/* The key by which the peer writes a slot next. */
uint32_t verbs_seal_key(const struct endpoint *endpoint,
                        const struct verbs_link *link, uint32_t slot);
/* Begins to seal a slot that was written. */
void verbs_seal(struct endpoint *endpoint, struct verbs_link *link,
                uint32_t slot);
/* As in struct transport. */
void verbs_release(struct endpoint *endpoint, uint32_t peer, uint32_t slot);

/* ---- verbs_send.c ---- */

/* Posts one work request that is no put, and notes what it carries. */
int verbs_post_one(const struct endpoint *endpoint, struct verbs_link *link,
                   struct ibv_send_wr *request, uint16_t carried);

static inline uint32_t verbs_stripe_of(const struct endpoint *endpoint,
                                       uint32_t slot)
{
    return slot % endpoint->settings.stripes;
}

/* Gives the put its number and its place among those that wait. */
void verbs_enqueue(struct endpoint *endpoint, struct verbs_link *link,
                   uint32_t slot, const struct verbs_put *put);
/* Posts what waits, as far as there is room. */
void verbs_post(struct endpoint *endpoint, struct verbs_link *link);

/* ---- verbs_queue.c ---- */

/* The first receives of a new queue pair, or those that were spent. */
int verbs_post_receives(struct verbs_link *link, uint32_t stripe,
                        uint32_t count);
/* Takes what has completed, up to a bound; true if that was all. */
bool verbs_collect(struct endpoint *endpoint);
/* The next arrival in order, as *event. */
bool verbs_next(struct endpoint *endpoint, struct verbs_link *link,
                struct event *event);
/* The link is over for `reason`, unless it was before. */
void verbs_lose(struct endpoint *endpoint, struct verbs_link *link, int reason);

/* ---- verbs_watch.c ---- */

int verbs_watch_open(struct endpoint *endpoint);
int verbs_watch_add(struct endpoint *endpoint, const struct verbs_link *link);
/* Looks at control connections and at the device's events. */
void verbs_watch(struct endpoint *endpoint);
/* Takes the wake-ups off the completion channel. */
void verbs_watch_woken(struct endpoint *endpoint);

#endif
