/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_link.h - how two processes of one host come to write each other's memory.
 *
 * Each side makes the memory that the other will write (its inbound memory) and
 * passes it over the proven Unix connection, together with the page that says
 * whether it sleeps, which the other can only read. The connection stays: bytes
 * on it wake the sleeper, its end is the news of a death.
 */
#ifndef BALLOT_TRANSPORT_SHM_LINK_H
#define BALLOT_TRANSPORT_SHM_LINK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "transport.h"

/* A notice names a slot in 16 bits and tells laps apart by 16 more, so twice
 * the slots have to be below 2^15. */
enum { SHM_SLOTS_MAX = (1 << 14) - 1 };

enum {
    BRIEF_RING = 64,            /* brief messages under way, */
    SHM_BRIEF_BYTES = 32 << 10, /* with bodies of so many bytes at most */
    /* From a long body to the next: an odd number of lines, so that they do not
     * all lie in the same sets of a cache. */
    BRIEF_BODY_STEP = SHM_BRIEF_BYTES + 64,
    SHM_SHARED = 8,                      /* places */
    SHM_SLOT_BYTES_MAX = (1 << 26) - 64, /* a notice has 26 bits for them */
};

/*
 * What inbound memory looks like: a ring of notices, a line with how much the
 * writer has taken of what we sent it, a ring of lines with brief messages,
 * their bodies, then the slots, which begin at another place of a page for each
 * writer, see memory_skew(). A notice is one word, number | slot << 16 | bytes
 * << 32 | shared << 58, where number counts the notices from 1 and wraps,
 * and shared is 0, or 1 + the place where all is behind the first 64 bytes. The
 * reader knows which number comes next, so the writer's position is nowhere in
 * memory, where it could lie.
 */
struct shm_layout {
    uint32_t slots, slot_bytes;
    uint32_t notices;   /* a power of two above twice the slots */
    size_t brief_at;    /* the line before the brief messages' */
    size_t slots_at;    /* rank 0's first, from the start of the memory */
    size_t bytes;       /* of all, the same for every writer */
    size_t shown_bytes; /* of what a rank shows to its peers */
};

/* What a rank shows to its peers: this, and SHM_SHARED places of a slot each,
 * from page to page. */
struct shm_page {
    _Atomic uint32_t armed;  /* 1 while it sleeps */
    _Atomic uint32_t fences; /* 1: who puts has to order the notice before its
                                look at `armed`, for who sleeps cannot */
};

/* Brief messages: how many, since the beginning. */
struct shm_brief {
    uint32_t given;    /* written to `out` */
    uint32_t room;     /* of these, known to be taken */
    uint32_t taken;    /* read from `in` */
    uint32_t told;     /* of these, said to the peer */
    uint32_t reported; /* in events, if more than taken */
    bool starved;      /* a message found no room */
    bool lied;
};

/* How large copies for a peer go; shm_copy.c. */
struct shm_copying {
    uint32_t past_left; /* so many more past the cache */
    uint32_t cached;    /* went through it */
    uint32_t slow;      /* of these, the last that were timed */
};

struct shm_link {
    enum {
        LINK_NONE,
        LINK_MEETING, /* connected; memory not exchanged */
        LINK_UP,
        LINK_ENDED, /* the peer is gone, which is not yet reported */
        LINK_GONE,  /* memory stays, for events handed out point into it */
    } state;
    uint32_t taken; /* notices that were read from `in` */
    uint32_t given; /* notices that were written to `out` */
    struct shm_brief brief;
    struct shm_copying copying;
    int descriptor;              /* the connection */
    int bell;                    /* what a byte is sent on to wake the peer */
    void *in;                    /* ours, written by the peer */
    void *out;                   /* the peer's, written by us */
    const struct shm_page *page; /* the peer's, which it can change */
};

void shm_layout_init(struct shm_layout *layout, uint32_t slots,
                     uint32_t slot_bytes);

/* Where `slot` of the rank `writer` is, in memory of layout->bytes. */
void *shm_slot(const struct shm_layout *layout, void *memory, uint32_t writer,
               uint32_t slot);

/* Where a shared place is, in what a rank shows; others can only read it. */
void *shm_shared(const struct shm_layout *layout, const struct shm_page *page,
                 uint32_t place);

/* Listens under a random name, which goes to *address together with what
 * shm_same_host() compares. Returns the descriptor. */
int shm_listen(struct address *address);

/* The socket address in a peer's address; -EHOSTUNREACH if the peer is not on
 * the host of `ours`. */
int shm_socket_address(struct sockaddr_storage *socket_address,
                       socklen_t *socket_address_bytes,
                       const struct address *address,
                       const struct address *ours);

/*
 * Exchanges memory with the peers of all links[ranks] that are LINK_MEETING,
 * at the same time, and makes them LINK_UP. `page` is the descriptor of our
 * page. A peer that stalls or lies loses its own link only, which becomes
 * LINK_NONE; the first such failure is returned after the rest was tried:
 *   -ETIMEDOUT   the deadline passed
 *   -EPROTO      what the peer offered cannot be trusted or is of other sizes
 *   -EACCES      the peer runs as another user
 *   -ECONNRESET  it went away
 *   -ECANCELED   the bell (NULL: none) has rung; nobody is waited for then
 */
int shm_links_exchange(struct shm_link *links, uint32_t ranks,
                       const struct shm_layout *layout, int page,
                       uint64_t deadline_ns, const int *bell);

/* Makes the link of a rank to itself LINK_UP; `page` is our own. */
int shm_link_self(struct shm_link *link, const struct shm_layout *layout,
                  const struct shm_page *page);

/* Ends the connection; the memory stays. */
void shm_link_cut(struct shm_link *link);

/* Cuts, and gives the memory back. */
void shm_link_close(struct shm_link *link, const struct shm_layout *layout);

#endif
