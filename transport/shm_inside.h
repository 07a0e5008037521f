/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_inside.h - an endpoint of the shm transport from the inside, for shm.c
 * and shm_brief.c.
 */
#ifndef BALLOT_TRANSPORT_SHM_INSIDE_H
#define BALLOT_TRANSPORT_SHM_INSIDE_H

#include "shm_link.h"

struct endpoint {
    struct endpoint_config config;
    struct shm_layout layout;
    struct shm_link *links; /* [ranks] */
    uint32_t *active;       /* [active_count], the peers whose link is up */
    uint32_t active_count;
    uint32_t next; /* in active: where the next poll begins */
    uint32_t polls;
    bool armed;                 /* what the page says */
    bool thinned;               /* a link that is gone is still in active */
    bool fences;                /* our puts need fences, whatever peers say */
    uint32_t copies_alone;      /* large ones since something large has come */
    struct shm_copying sharing; /* copies into shared places */
    struct shm_page *page;      /* which peers can read */
    int page_descriptor;        /* -1 once every peer has it */
    int listener;               /* -1 once every peer is linked */
    int epoll;
    struct address address;
    struct endpoint_counts counts;
};

static inline bool shm_linked(const struct shm_link *link)
{
    return link->state == LINK_UP || link->state == LINK_ENDED;
}

/* ---- shm_wake.c ---- */

/* Whether this process can order what others do; from then on others can. */
bool shm_can_order(void);
/* After our page says that we sleep, before the last look at the rings. */
void shm_order(const struct endpoint *endpoint);
void shm_disarm(struct endpoint *endpoint);
/* Wakes the peer if it sleeps, after something was stored for it. */
void shm_announce(struct endpoint *endpoint, const struct shm_link *link);
/* Takes the rings off the connections, and notices those that ended. */
void shm_watch(struct endpoint *endpoint);

/* ---- shm_copy.c ---- */

/* What takes so long to copy that it matters how. */
enum { SHM_COPY_LARGE = 8192 };
/* memcpy() into a slot of a peer, or a shared place. Any place and size. */
void shm_copy(struct endpoint *endpoint, struct shm_copying *copying, void *to,
              const void *from, size_t bytes);
/* The same of lines that were fetched before, where the next one should be: one
 * that will be timed, or goes past the cache, should not. */
void shm_copy_owned(struct shm_copying *copying, void *to, const void *from,
                    size_t bytes);
bool shm_copy_owns(const struct shm_copying *copying);

/* ---- shm_brief.c ---- */

int shm_put_brief(struct endpoint *endpoint, uint32_t peer,
                  const uint32_t head[BRIEF_HEAD], const void *body,
                  uint32_t bytes);
int shm_peek_brief(struct endpoint *endpoint, uint32_t peer,
                   uint32_t head[BRIEF_HEAD]);
void shm_take_brief(struct endpoint *endpoint, uint32_t peer, void *body,
                    uint32_t bytes);
/* Whether something is here that was not reported yet, for who goes to sleep;
 * and the same as an event: 1, 0, or -EPROTO. */
bool shm_brief_waits(const struct endpoint *endpoint,
                     const struct shm_link *link);
int shm_brief_report(struct endpoint *endpoint, struct shm_link *link);

#endif
