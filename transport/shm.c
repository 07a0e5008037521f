/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm.c - the transport between processes of one host: a rank writes straight
 * into its peer's memory.
 */
#include "shm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "memory.h"
#include "mesh.h"
#include "shm_inside.h"

enum {
    BURST = 8, /* events of one peer before the next peer's turn */
    /* So often a rank that never sleeps asks whether a peer has died: at about
     * 0.5 us a time this adds 2 ns to a poll. */
    POLLS_PER_WATCH = 256,
};

/* ---- Control path -------------------------------------------------------- */

static bool valid(const struct endpoint_config *config)
{
    return config->rank < config->ranks && config->slots > 0 &&
           config->slots <= SHM_SLOTS_MAX && config->slot_bytes > 0 &&
           config->slot_bytes <= SHM_SLOT_BYTES_MAX &&
           config->slot_bytes % 64 == 0 && config->credentials != NULL;
}

static void shm_close(struct endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    if (endpoint->links != NULL) {
        for (uint32_t i = 0; i < endpoint->config.ranks; i++)
            shm_link_close(&endpoint->links[i], &endpoint->layout);
    }
    if (endpoint->listener >= 0)
        close(endpoint->listener);
    if (endpoint->page_descriptor >= 0)
        close(endpoint->page_descriptor);
    if (endpoint->epoll >= 0)
        close(endpoint->epoll);
    memory_unmap(endpoint->page, endpoint->layout.shown_bytes);
    free(endpoint->active);
    free(endpoint->links);
    free(endpoint);
}

static int fill(struct endpoint *endpoint)
{
    uint32_t ranks = endpoint->config.ranks;
    void *page;
    int rc;

    endpoint->links = calloc(ranks, sizeof(*endpoint->links));
    endpoint->active = calloc(ranks, sizeof(*endpoint->active));
    if (endpoint->links == NULL || endpoint->active == NULL)
        return -ENOMEM;
    rc = memory_share(&page, &endpoint->page_descriptor,
                      endpoint->layout.shown_bytes, MEMORY_READ);
    if (rc != 0)
        return rc;
    endpoint->page = page;
    endpoint->fences = !shm_can_order();
    atomic_store(&endpoint->page->fences, endpoint->fences);
    endpoint->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (endpoint->epoll < 0)
        return -errno;
    endpoint->listener = shm_listen(&endpoint->address);
    return endpoint->listener < 0 ? endpoint->listener : 0;
}

static int shm_open_endpoint(struct endpoint **endpoint,
                             const struct endpoint_config *config)
{
    struct endpoint *made;
    int rc;

    if (!valid(config))
        return -EINVAL;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return -ENOMEM;
    made->config = *config;
    made->listener = made->page_descriptor = made->epoll = -1;
    shm_layout_init(&made->layout, config->slots, config->slot_bytes);
    rc = fill(made);
    if (rc != 0) {
        shm_close(made);
        return rc;
    }
    *endpoint = made;
    return 0;
}

static int shm_address(struct endpoint *endpoint, struct address *address)
{
    *address = endpoint->address;
    return 0;
}

/* Takes a link that is up into active and into what wakes us. */
static int admit(struct endpoint *endpoint, uint32_t peer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = peer};
    struct shm_link *link = &endpoint->links[peer];

    if (epoll_ctl(endpoint->epoll, EPOLL_CTL_ADD, link->descriptor, &event) !=
        0) {
        int rc = -errno;

        shm_link_close(link, &endpoint->layout);
        return rc;
    }
    endpoint->active[endpoint->active_count++] = peer;
    return 0;
}

/* Whom to connect to, and where. */
static int list_peers(const struct endpoint *endpoint, struct mesh_peer *peers,
                      const struct address *table, const bool *wanted)
{
    for (uint32_t i = 0; i < endpoint->config.ranks; i++) {
        int rc;

        peers[i].descriptor = -1;
        if (!wanted[i])
            continue;
        if (endpoint->links[i].state != LINK_NONE)
            return -EISCONN;
        if (i == endpoint->config.rank)
            continue;
        rc = shm_socket_address(&peers[i].address, &peers[i].address_bytes,
                                &table[i], &endpoint->address);
        if (rc != 0)
            return rc;
        peers[i].wanted = true;
    }
    return 0;
}

static int connect_peers(struct endpoint *endpoint, struct mesh_peer *peers,
                         uint64_t deadline_ns)
{
    struct mesh_config config = {
        .handshake = {.credentials = endpoint->config.credentials,
                      .purpose = PURPOSE_SHM,
                      .rank = endpoint->config.rank,
                      .ranks = endpoint->config.ranks,
                      .epoch = endpoint->config.epoch},
        .listener = endpoint->listener,
        .deadline_ns = deadline_ns,
        .bell = endpoint->config.bell,
    };

    return mesh_connect(&config, peers, &endpoint->counts.strangers);
}

/* Makes links of the connections that the mesh made. */
static int link_peers(struct endpoint *endpoint, const struct mesh_peer *peers,
                      bool *wanted, uint64_t deadline_ns)
{
    uint32_t rank = endpoint->config.rank;
    int rc = 0, exchanged, admitted;

    for (uint32_t i = 0; i < endpoint->config.ranks; i++) {
        if (peers[i].descriptor >= 0) {
            endpoint->links[i].descriptor = peers[i].descriptor;
            endpoint->links[i].state = LINK_MEETING;
        }
    }
    exchanged = shm_links_exchange(endpoint->links, endpoint->config.ranks,
                                   &endpoint->layout, endpoint->page_descriptor,
                                   deadline_ns, endpoint->config.bell);
    if (wanted[rank])
        rc = shm_link_self(&endpoint->links[rank], &endpoint->layout,
                           endpoint->page);
    for (uint32_t i = 0; i < endpoint->config.ranks; i++) {
        if (!wanted[i] || endpoint->links[i].state != LINK_UP)
            continue;
        admitted = admit(endpoint, i);
        wanted[i] = admitted != 0;
        rc = rc == 0 ? admitted : rc;
    }
    return exchanged != 0 ? exchanged : rc;
}

static void close_setup(struct endpoint *endpoint)
{
    close(endpoint->listener);
    close(endpoint->page_descriptor);
    endpoint->listener = endpoint->page_descriptor = -1;
}

static int shm_connect(struct endpoint *endpoint, const struct address *table,
                       bool *wanted, uint32_t epoch, uint64_t deadline_ns)
{
    uint32_t ranks = endpoint->config.ranks;
    struct mesh_peer *peers;
    int rc;

    if (endpoint->listener < 0)
        return -EISCONN;
    peers = calloc(ranks, sizeof(*peers));
    if (peers == NULL)
        return -ENOMEM;
    endpoint->config.epoch = epoch;
    rc = list_peers(endpoint, peers, table, wanted);
    if (rc != 0)
        goto free_peers;
    rc = connect_peers(endpoint, peers, deadline_ns);
    if (rc == 0) {
        rc = link_peers(endpoint, peers, wanted, deadline_ns);
    } else {
        /* Who has connected is there, whatever the others miss. */
        for (uint32_t i = 0; i < ranks; i++) {
            if (peers[i].descriptor >= 0) {
                close(peers[i].descriptor);
                wanted[i] = false;
            }
        }
        wanted[endpoint->config.rank] = false;
    }
    if (rc == 0)
        close_setup(endpoint);
free_peers:
    free(peers);
    return rc;
}

/* ---- Data path ----------------------------------------------------------- */

static void *shm_stage(struct endpoint *endpoint, uint32_t peer, uint32_t slot)
{
    const struct shm_link *link = &endpoint->links[peer];

    assert(slot < endpoint->layout.slots);
    if (!shm_linked(link))
        return NULL;
    return shm_slot(&endpoint->layout, link->out, endpoint->config.rank, slot);
}

/* Where notice number `index` + 1 is. */
static _Atomic uint64_t *notice_at(const struct endpoint *endpoint,
                                   void *memory, uint32_t index)
{
    return (_Atomic uint64_t *)memory +
           (index & (endpoint->layout.notices - 1));
}

/* `shared`: 0, or 1 + the place. */
static int give(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                uint32_t bytes, uint32_t shared)
{
    struct shm_link *link = &endpoint->links[peer];
    _Atomic uint64_t *notice;

    assert(slot < endpoint->layout.slots && bytes >= 64 && bytes % 8 == 0 &&
           bytes <= endpoint->layout.slot_bytes);
    if (!shm_linked(link))
        return -ENOTCONN;
    notice = notice_at(endpoint, link->out, link->given);
    link->given++;
    atomic_store_explicit(notice,
                          (uint16_t)link->given | (uint64_t)slot << 16 |
                              (uint64_t)bytes << 32 | (uint64_t)shared << 58,
                          memory_order_release);
    shm_announce(endpoint, link);
    return 0;
}

static int shm_put(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                   uint32_t bytes)
{
    return give(endpoint, peer, slot, bytes, 0);
}

static int shm_put_with(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                        uint32_t bytes, const void *memory,
                        uint32_t memory_bytes)
{
    uint8_t *place = shm_stage(endpoint, peer, slot);

    assert(memory_bytes % 8 == 0 && memory_bytes + 64 <= bytes);
    if (place == NULL)
        return -ENOTCONN;
    shm_copy(endpoint, &endpoint->links[peer].copying,
             place + bytes - memory_bytes, memory, memory_bytes);
    return shm_put(endpoint, peer, slot, bytes);
}

static void shm_share(struct endpoint *endpoint, uint32_t place,
                      const void *memory, uint32_t bytes)
{
    assert(place < SHM_SHARED && bytes + 64 <= endpoint->layout.slot_bytes);
    shm_copy(endpoint, &endpoint->sharing,
             shm_shared(&endpoint->layout, endpoint->page, place), memory,
             bytes);
}

static int shm_put_shared(struct endpoint *endpoint, uint32_t peer,
                          uint32_t slot, uint32_t bytes, uint32_t place)
{
    return give(endpoint, peer, slot, bytes, 1 + place);
}

/*
 * Takes the next notice of a link. Only two words can honestly be in its place:
 * the next notice, or the one of a lap ago.
 *   1  slot, bytes and apart of *event are filled; 0 nothing new; -EPROTO
 */
static int take(struct endpoint *endpoint, struct shm_link *link,
                struct event *event)
{
    uint64_t notice = atomic_load_explicit(
        notice_at(endpoint, link->in, link->taken), memory_order_acquire);
    uint32_t next = link->taken + 1;
    uint32_t slot = (notice >> 16) & 0xffff;
    uint32_t bytes = (notice >> 32) & 0x3ffffff;
    uint32_t shared = (uint32_t)(notice >> 58);

    if ((uint16_t)notice == (uint16_t)(next - endpoint->layout.notices))
        return 0;
    if ((uint16_t)notice != (uint16_t)next || slot >= endpoint->layout.slots ||
        bytes < 64 || bytes > endpoint->layout.slot_bytes || bytes % 8 != 0 ||
        shared > SHM_SHARED)
        return -EPROTO;
    link->taken = next;
    if (bytes >= SHM_COPY_LARGE)
        endpoint->copies_alone = 0;
    event->slot = slot;
    event->bytes = bytes;
    event->apart = shared == 0
                       ? NULL
                       : shm_shared(&endpoint->layout, link->page, shared - 1);
    return 1;
}

static void lose(struct endpoint *endpoint, uint32_t peer, int reason,
                 struct event *event)
{
    *event = (struct event){.kind = EVENT_LOST, .peer = peer, .reason = reason};
    endpoint->counts.violations += reason == -EPROTO;
    shm_link_cut(&endpoint->links[peer]);
    endpoint->thinned = true;
}

/* Reports up to `max` events of one peer; returns how many. */
static int collect(struct endpoint *endpoint, uint32_t peer,
                   struct event *events, int max)
{
    struct shm_link *link = &endpoint->links[peer];
    int count = 0, brief = 0;

    while (count < max) {
        struct event *event = &events[count];
        int rc = take(endpoint, link, event);

        if (rc == 0)
            brief = shm_brief_report(endpoint, link);
        if (brief < 0)
            rc = brief;
        if (rc == 0 && brief > 0) {
            *event = (struct event){.kind = EVENT_BRIEF, .peer = peer};
            count++;
            continue;
        }
        if (rc < 0 || (rc == 0 && link->state == LINK_ENDED)) {
            lose(endpoint, peer, rc < 0 ? rc : -ECONNRESET, event);
            return count + 1;
        }
        if (rc == 0)
            break;
        event->kind = EVENT_ARRIVED;
        event->peer = peer;
        event->memory =
            shm_slot(&endpoint->layout, link->in, peer, event->slot);
        event->reason = 0;
        count++;
    }
    return count;
}

/* Takes links that are gone out of active. */
static void thin(struct endpoint *endpoint)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < endpoint->active_count; i++) {
        uint32_t peer = endpoint->active[i];

        if (shm_linked(&endpoint->links[peer]))
            endpoint->active[kept++] = peer;
    }
    endpoint->active_count = kept;
    endpoint->thinned = false;
}

static int shm_poll(struct endpoint *endpoint, struct event *events, int max)
{
    uint32_t at = endpoint->next;
    int count = 0;

    if (endpoint->armed) {
        shm_disarm(endpoint);
        shm_watch(endpoint);
    } else if (++endpoint->polls % POLLS_PER_WATCH == 0) {
        shm_watch(endpoint);
    }
    for (uint32_t i = 0; i < endpoint->active_count && count < max; i++) {
        int room = max - count < BURST ? max - count : BURST;

        if (at >= endpoint->active_count)
            at = 0;
        count +=
            collect(endpoint, endpoint->active[at++], &events[count], room);
    }
    endpoint->next = at;
    if (endpoint->thinned)
        thin(endpoint);
    return count;
}

static int shm_arm(struct endpoint *endpoint)
{
    atomic_store(&endpoint->page->armed, 1);
    endpoint->armed = true;
    shm_order(endpoint);
    for (uint32_t i = 0; i < endpoint->active_count; i++) {
        const struct shm_link *link = &endpoint->links[endpoint->active[i]];
        uint64_t notice =
            atomic_load(notice_at(endpoint, link->in, link->taken));

        if (link->state == LINK_ENDED ||
            (uint16_t)notice !=
                (uint16_t)(link->taken + 1 - endpoint->layout.notices) ||
            shm_brief_waits(endpoint, link)) {
            shm_disarm(endpoint);
            return -EAGAIN;
        }
    }
    return endpoint->epoll;
}

static bool shm_busy(struct endpoint *endpoint)
{
    (void)endpoint;
    return false; /* what was put is in the peer's memory */
}

static void shm_drop(struct endpoint *endpoint, uint32_t peer)
{
    shm_link_cut(&endpoint->links[peer]);
    thin(endpoint);
}

static void shm_counts(struct endpoint *endpoint,
                       struct endpoint_counts *counts)
{
    *counts = endpoint->counts;
}

const struct transport transport_shm = {
    .name = "shm",
    .open = shm_open_endpoint,
    .address = shm_address,
    .connect = shm_connect,
    .close = shm_close,
    .stage = shm_stage,
    .put = shm_put,
    .poll = shm_poll,
    .arm = shm_arm,
    .busy = shm_busy,
    .drop = shm_drop,
    .counts = shm_counts,
    .put_with = shm_put_with,
    .shared = SHM_SHARED,
    .share = shm_share,
    .put_shared = shm_put_shared,
    .brief_bytes = SHM_BRIEF_BYTES,
    .put_brief = shm_put_brief,
    .peek_brief = shm_peek_brief,
    .take_brief = shm_take_brief,
};
