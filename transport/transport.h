/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - how bytes travel: numbered slots that a peer writes for us.
 *
 * Between each pair of ranks and in each direction there are `slots` slots of
 * `slot_bytes` bytes. A rank stages bytes for (peer, slot), puts them, and the
 * peer gets one EVENT_ARRIVED with slot and length and may then read its
 * memory. Transports know nothing of rounds: they frame (slot, bytes) and check
 * both; what the bytes mean, and whether a slot may be written again, is the
 * business of who stages and of who reads. An honest peer writes a slot again
 * only when it knows that the earlier bytes were consumed; a dishonest one may
 * write its own slots (and nobody else's) at any time, so readers load each
 * byte once.
 *
 * Between two ranks events arrive in the order of the puts. Every int is 0 (or
 * a count) on success and a negative errno on failure. A lost peer is an event,
 * reported once, not an error. One thread at a time uses an endpoint, not
 * always the same thread.
 */
#ifndef BALLOT_TRANSPORT_TRANSPORT_H
#define BALLOT_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;    /* this rank's side of one transport, in one communicator */
struct credentials; /* handshake.h */

/* Where peers reach an endpoint; only its transport reads the bytes. They come
 * from an authenticated peer and are checked all the same. */
enum { ADDRESS_BYTES = 128 };
struct address {
    uint8_t bytes[ADDRESS_BYTES];
};

struct endpoint_config {
    uint32_t rank;         /* of this process, < ranks */
    uint32_t ranks;        /* in the communicator */
    uint32_t slots;        /* per peer and direction, the same on every rank */
    uint32_t slot_bytes;   /* a multiple of 64, the same on every rank */
    uint32_t sealed_slots; /* the first so many, < slots, whose events are
                              released; see release() */
    uint32_t epoch;        /* of the communicator; 0 until set by connect() */
    const struct credentials *credentials; /* kept by reference until close */
    const char *interface; /* name or local IP to listen on; NULL: any */
    const int *bell; /* NULL, or a descriptor that ends the wait of connect()
                        when it becomes readable: -ECANCELED; kept by reference
                        until then. sim has none */
    void *context;   /* sim: the simulated network; others NULL */
    char *why; /* NULL, or WHY_BYTES (bootstrap.h) that outlive the endpoint's
                  connect(): where a failure says more than its errno */
    /*
     * NULL, or says where what follows the first 64 bytes of a put shall land:
     * in bytes - 64 bytes of the caller's memory, or in the slot (NULL). `head`
     * are these 64 bytes, which cannot change any more. Asked at most once for
     * a put, within poll(), in the order of the puts, and not by every
     * transport.
     */
    void *(*place)(void *place_context, uint32_t peer, uint32_t slot,
                   const void *head, uint32_t bytes);
    void *place_context;
};

struct event {
    enum {
        EVENT_ARRIVED, /* the peer's put of `slot` is complete */
        EVENT_LOST,    /* the peer is gone for good */
        EVENT_BRIEF, /* brief messages of the peer's are here, or there is room
                        again for ours; only kind and peer are set */
    } kind;
    uint32_t peer;
    uint32_t slot;      /* < slots */
    uint32_t bytes;     /* 64 <= bytes <= slot_bytes, a multiple of 8 */
    const void *memory; /* the slot, 64-byte aligned; the peer can write it
                           again, so read each byte once */
    const void *apart;  /* NULL, or where all is that follows the first 64
                           bytes: where config.place has let it land, or the
                           peer shares it, who can write it again */
    int reason;         /* LOST only: negative errno; -EPROTO if the peer broke
                           the framing, -ECONNRESET if it just went away */
};

/* What a brief message carries: a head, and a body, of so many bytes at least
 * wherever there are such messages. */
enum { BRIEF_HEAD = 3, BRIEF_BYTES = 4096 };

struct endpoint_counts {
    uint64_t strangers;    /* connections that did not prove the key */
    uint64_t violations;   /* peers cut off for breaking the framing */
    uint64_t wakeups;      /* system calls made to wake a sleeping peer */
    uint64_t copied_bytes; /* copied here between staging and slot: what tcp
                              received together with a header, and puts that
                              verbs sent within a work request */
};

/* Memory of a peer's, as the peer has named it. */
struct landing_place {
    uint64_t address;
    uint32_t key;
};

struct transport {
    const char *name;

    /* ---- Control path: may block (to a deadline) and allocate. ---- */

    int (*open)(struct endpoint **endpoint,
                const struct endpoint_config *config);
    int (*address)(struct endpoint *endpoint, struct address *address);
    /*
     * Links this endpoint with every peer of wanted[ranks], whose addresses
     * are in table[ranks]; collective among them. wanted[peer] becomes false
     * when its link is up, so that after -ETIMEDOUT it says who is missing.
     * `epoch` is the communicator's. `deadline_ns` is CLOCK_MONOTONIC.
     */
    int (*connect)(struct endpoint *endpoint, const struct address *table,
                   bool *wanted, uint32_t epoch, uint64_t deadline_ns);
    /* Cuts every link and frees all; NULL is allowed. Peers see LOST. */
    void (*close)(struct endpoint *endpoint);

    /* ---- Data path: never blocks, never allocates. ---- */

    /*
     * Where to write the next bytes for (peer, slot): the peer's own slot in
     * shm, registered staging elsewhere. 64-byte aligned, slot_bytes long. NULL
     * if the previous put of this slot is still leaving, or the peer is lost.
     */
    void *(*stage)(struct endpoint *endpoint, uint32_t peer, uint32_t slot);
    /*
     * Sends the first `bytes` (64 <= bytes <= slot_bytes, a multiple of 8) of
     * what was staged, with notification. Never full: a slot can be put only
     * once until it has left. -ENOTCONN if the peer is lost, -EBUSY if the
     * previous put of this slot is still leaving.
     */
    int (*put)(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
               uint32_t bytes);
    /*
     * Moves everything forward and fills up to `max` events; returns how many.
     * Fair: no peer can keep another's events from being reported.
     */
    int (*poll)(struct endpoint *endpoint, struct event *events, int max);
    /*
     * Prepares to sleep: returns a descriptor (the same for the endpoint's
     * life) that becomes readable when poll() would have something to do, or
     * -EAGAIN if it has now. The next poll() ends the armed state.
     */
    int (*arm)(struct endpoint *endpoint);
    /* Whether some put has not left yet. */
    bool (*busy)(struct endpoint *endpoint);
    /* Cuts the link to one peer; no event follows. */
    void (*drop)(struct endpoint *endpoint, uint32_t peer);
    void (*counts)(struct endpoint *endpoint, struct endpoint_counts *counts);

    /*
     * Whoever has read what arrived in one of the first sealed_slots says so
     * before it puts what lets the peer write the slot again. Where the user
     * wants slots sealed, what an event names cannot change until then, and a
     * peer that tries loses its link. NULL where slots cannot be sealed.
     */
    void (*release)(struct endpoint *endpoint, uint32_t peer, uint32_t slot);

    /* ---- Memory of the caller's; each is NULL where there is no such thing.
     */

    /*
     * Lets the device read `memory` and, with `writable`, the peers write it,
     * until withdraw(), which takes its first address. Peers that break the
     * rules can write such memory at any time. Control path.
     *   -ENOSPC  too many; -ENOMEM the system lets no more memory be locked
     *   -EBUSY   (withdraw) some put has not left yet: poll, and try again
     *   -ENOENT  (withdraw) there is no such memory
     */
    int (*enrol)(struct endpoint *endpoint, void *memory, size_t bytes,
                 bool writable);
    int (*withdraw)(struct endpoint *endpoint, const void *memory);
    /*
     * put(), where the last memory_bytes of the slot's `bytes` are not staged
     * but come from memory that must not change until the peer has taken them
     * out of its poll(). Enrolled memory, where there is enrol(): else -EFAULT.
     */
    int (*put_from)(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                    uint32_t bytes, const void *memory, uint32_t memory_bytes);
    /* put_from(), but the memory may change when it has returned. */
    int (*put_with)(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                    uint32_t bytes, const void *memory, uint32_t memory_bytes);
    /* Whether of the two put_from() takes less time now, for so many bytes of
     * memory; NULL: always. */
    bool (*keeps)(struct endpoint *endpoint, uint32_t peer, uint32_t bytes);
    /*
     * Forgets memory of the caller's in puts that come from or go to a peer and
     * are under way: what has not left is copied, and what is still to come
     * lands in the slot, where what has landed elsewhere is missing. For a call
     * that ends before its puts do. A peer on this host may see the bytes that
     * have left as they are when it takes them.
     */
    void (*let_go)(struct endpoint *endpoint, uint32_t peer);
    /*
     * What goes to several peers can be copied once: share() copies up to
     * slot_bytes - 64 bytes into one of so many `shared` places, which peers
     * can read and not write, and put_shared() is a put() of a slot's first 64
     * bytes, behind which its `bytes` go on in that place. The place must not
     * be written again until all these peers have taken it.
     */
    uint32_t shared;
    void (*share)(struct endpoint *endpoint, uint32_t place, const void *memory,
                  uint32_t bytes);
    int (*put_shared)(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                      uint32_t bytes, uint32_t place);
    /* Names enrolled, writable memory for the peer's put_to(). */
    bool (*offers)(struct endpoint *endpoint, uint32_t peer, void *memory,
                   size_t bytes, struct landing_place *place);
    /*
     * put() of `bytes`, after another apart_bytes, which are staged behind
     * them, have been written to a place that the peer has named. A wrong place
     * costs the link to that peer.
     */
    int (*put_to)(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                  uint32_t bytes, uint32_t apart_bytes,
                  const struct landing_place *place);

    /* What a put carries behind its line where bytes take the least time, a
     * multiple of 64; 0: that of a chunk's votes. */
    uint32_t stream_bytes;

    /* ---- Brief messages; all NULL where there are none. ---- */

    uint32_t brief_bytes; /* of the largest body */
    /*
     * A message that needs no slot and has left at once. Between two ranks they
     * arrive in their order, but not in order with slots.
     *   -EAGAIN    the peer has to take some first; an EVENT_BRIEF follows
     *   -ENOTCONN  the peer is lost
     */
    int (*put_brief)(struct endpoint *endpoint, uint32_t peer,
                     const uint32_t head[BRIEF_HEAD], const void *body,
                     uint32_t bytes);
    /* The head of the peer's next brief message, which stays; returns the bytes
     * of its body, or -EAGAIN: none is here. */
    int (*peek_brief)(struct endpoint *endpoint, uint32_t peer,
                      uint32_t head[BRIEF_HEAD]);
    /* Whether one of the peer's may have come that only the system knows of:
     * asks it, outside of poll(). NULL where it knows of none. */
    void (*look_brief)(struct endpoint *endpoint, uint32_t peer);
    /* Takes the message that was peeked at, and as many bytes of its body as
     * peek_brief() has returned, or none. */
    void (*take_brief)(struct endpoint *endpoint, uint32_t peer, void *body,
                       uint32_t bytes);
};

/* Each is the only symbol that its file exports. shm also links a rank with
 * itself (wanted[rank]); tcp and verbs do not. */
extern const struct transport transport_shm, transport_tcp, transport_verbs,
    transport_sim;

/* One peer, over whichever transport. */
struct link {
    const struct transport *transport; /* NULL: there is no link */
    struct endpoint *endpoint;
    uint32_t peer; /* its rank, also the number within the endpoint */
    bool lost;
};

static inline void *link_stage(const struct link *link, uint32_t slot)
{
    if (link->lost || link->transport == NULL)
        return NULL;
    return link->transport->stage(link->endpoint, link->peer, slot);
}

/* False: the device knows no such memory, or is none. */
static inline bool link_offers(const struct link *link, void *memory,
                               size_t bytes, struct landing_place *place)
{
    return link->transport->offers != NULL &&
           link->transport->offers(link->endpoint, link->peer, memory, bytes,
                                   place);
}

/* What arrived in `slot` was read. */
static inline void link_release(const struct link *link, uint32_t slot)
{
    if (link->transport->release != NULL)
        link->transport->release(link->endpoint, link->peer, slot);
}

static inline int link_put(const struct link *link, uint32_t slot,
                           uint32_t bytes)
{
    return link->transport->put(link->endpoint, link->peer, slot, bytes);
}

#endif
