/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.c - slots over one TCP connection a peer.
 *
 * A put becomes a frame, whose payload the receiver lets the kernel write into
 * its own slot. The header is received into private memory and checked there,
 * so a peer cannot name a slot or a length that is not its own, and what is in
 * a slot cannot change unless we receive more.
 *
 * Everything that has to be looked at stands in one queue of links, each at
 * most once. A link that has more after its turn goes to the end, so nobody
 * keeps another one waiting for longer than a turn.
 */
#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

enum {
    TURN_EVENTS = 8, /* of one link before the next one has its turn */
};

static int tcp_address(struct endpoint *endpoint, struct address *address)
{
    memset(address, 0, sizeof(*address));
    return socket_address_write(address->bytes, &endpoint->listener.local);
}

/* ---- Life of an endpoint ---- */

static void free_endpoint(struct endpoint *endpoint)
{
    free(endpoint->links);
    free(endpoint->peers);
    free(endpoint->ready);
    free(endpoint);
}

static int tcp_open(struct endpoint **out, const struct endpoint_config *config)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    int rc = -ENOMEM;

    if (endpoint == NULL)
        return -ENOMEM;
    endpoint->config = *config;
    endpoint->links = calloc(config->ranks, sizeof(*endpoint->links));
    endpoint->peers = calloc(config->ranks, sizeof(*endpoint->peers));
    endpoint->ready = calloc(config->ranks, sizeof(*endpoint->ready));
    if (endpoint->links == NULL || endpoint->peers == NULL ||
        endpoint->ready == NULL)
        goto free_endpoint;
    rc = tcp_engine_open(endpoint);
    if (rc != 0)
        goto free_endpoint;
    rc = listener_open(&endpoint->listener, config->interface);
    if (rc != 0)
        goto close_engine;
    *out = endpoint;
    return 0;
close_engine:
    tcp_engine_close(endpoint);
free_endpoint:
    free_endpoint(endpoint);
    return rc;
}

/* ---- Life of a link ---- */

static size_t region_bytes(const struct endpoint *endpoint)
{
    return (size_t)endpoint->config.slots * endpoint->config.slot_bytes;
}

static size_t landing_bytes(const struct endpoint *endpoint)
{
    return region_bytes(endpoint) + MEMORY_SKEW_MAX;
}

static void free_link(const struct endpoint *endpoint, struct tcp_link *link)
{
    memory_unmap(link->landing, landing_bytes(endpoint));
    memory_unmap(link->staging, region_bytes(endpoint));
    tcp_close_pipe(link);
    tcp_brief_close(&link->brief);
    free(link->frames);
    free(link->leaving);
    free(link->outside);
    free(link);
}

/* Cuts for good. Memory stays until close: events may point into it, and so may
 * requests that the kernel still has. */
static void cut(struct endpoint *endpoint, struct tcp_link *link)
{
    if (link->descriptor < 0)
        return;
    tcp_forget_frames(endpoint, link);
    link->ended = true;
    tcp_engine_cut(endpoint, link);
}

static void tcp_close(struct endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    for (uint32_t i = 0; i < endpoint->peers_count; i++)
        cut(endpoint, endpoint->links[endpoint->peers[i]]);
    tcp_engine_close(endpoint);
    for (uint32_t i = 0; i < endpoint->peers_count; i++)
        free_link(endpoint, endpoint->links[endpoint->peers[i]]);
    listener_close(&endpoint->listener);
    free_endpoint(endpoint);
}

static int make_link(const struct endpoint *endpoint, uint32_t peer,
                     struct tcp_link **out)
{
    uint32_t slots = endpoint->config.slots;
    struct tcp_link *link = calloc(1, sizeof(*link));
    void *staging = NULL;
    int rc = -ENOMEM;

    if (link == NULL)
        return -ENOMEM;
    link->peer = peer;
    link->pipe[0] = link->pipe[1] = -1;
    link->pipe_bytes = (int)memory_round(endpoint->config.slot_bytes) + 4096;
    link->frames = calloc(slots, sizeof(*link->frames));
    link->leaving = calloc(slots, sizeof(*link->leaving));
    link->outside = calloc(slots, sizeof(*link->outside));
    if (link->frames != NULL && link->leaving != NULL && link->outside != NULL)
        rc = memory_map_sparse(&link->landing, landing_bytes(endpoint));
    if (rc == 0)
        rc = memory_map_sparse(&staging, region_bytes(endpoint));
    if (rc == 0)
        rc = tcp_brief_open(&link->brief);
    link->staging = staging;
    if (rc != 0) {
        free_link(endpoint, link);
        return rc;
    }
    link->inbound = (uint8_t *)link->landing + memory_skew(peer);
    *out = link;
    return 0;
}

/* Takes the descriptor, also when it fails. */
static int add_link(struct endpoint *endpoint, uint32_t peer, int descriptor)
{
    struct tcp_link *link;
    int rc = make_link(endpoint, peer, &link);

    if (rc != 0)
        goto close_descriptor;
    link->descriptor = descriptor;
    link->up = true;
    tcp_tune(descriptor);
    link->here = tcp_is_here(descriptor);
    if (link->here && endpoint->config.ranks == 2)
        tcp_free_of_control(descriptor);
    rc = tcp_engine_add(endpoint, link);
    if (rc != 0)
        goto free_link;
    endpoint->links[peer] = link;
    endpoint->peers[endpoint->peers_count++] = peer;
    tcp_ready(endpoint, link);
    return 0;
free_link:
    free_link(endpoint, link);
close_descriptor:
    close(descriptor);
    return rc;
}

static int read_address(const struct endpoint *endpoint,
                        const struct address *address, struct mesh_peer *peer)
{
    if (!address_is_zero_from(address, SOCKET_ADDRESS_BYTES))
        return -EINVAL;
    return socket_address_read(&peer->address, &peer->address_bytes,
                               address->bytes, &endpoint->listener.local);
}

static int prepare_peers(const struct endpoint *endpoint,
                         const struct address *table, const bool *wanted,
                         struct mesh_peer *peers)
{
    for (uint32_t peer = 0; peer < endpoint->config.ranks; peer++) {
        int rc;

        peers[peer].descriptor = -1;
        if (!wanted[peer])
            continue;
        if (peer == endpoint->config.rank)
            return -EINVAL;
        if (endpoint->links[peer] != NULL)
            return -EISCONN;
        peers[peer].wanted = true;
        rc = read_address(endpoint, &table[peer], &peers[peer]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Links whom the mesh reached, whatever became of the others. */
static int add_links(struct endpoint *endpoint, const struct mesh_peer *peers,
                     bool *wanted)
{
    int result = 0;

    for (uint32_t peer = 0; peer < endpoint->config.ranks; peer++) {
        int rc;

        if (peers[peer].descriptor < 0)
            continue;
        rc = add_link(endpoint, peer, peers[peer].descriptor);
        if (rc == 0)
            wanted[peer] = false;
        else
            result = rc;
    }
    return result;
}

static int tcp_connect(struct endpoint *endpoint, const struct address *table,
                       bool *wanted, uint32_t epoch, uint64_t deadline_ns)
{
    struct endpoint_config *config = &endpoint->config;
    struct mesh_config mesh = {
        .handshake = {.credentials = config->credentials,
                      .purpose = PURPOSE_TCP,
                      .rank = config->rank,
                      .ranks = config->ranks,
                      .epoch = epoch},
        .listener = endpoint->listener.descriptor,
        .deadline_ns = deadline_ns,
        .bell = config->bell,
    };
    struct mesh_peer *peers;
    int rc, added;

    if (endpoint->listener.descriptor < 0)
        return -EISCONN;
    peers = calloc(config->ranks, sizeof(*peers));
    if (peers == NULL)
        return -ENOMEM;
    rc = prepare_peers(endpoint, table, wanted, peers);
    if (rc == 0) {
        config->epoch = epoch;
        rc = mesh_connect(&mesh, peers, &endpoint->counts.strangers);
        added = add_links(endpoint, peers, wanted);
        if (rc == 0)
            rc = added;
    }
    free(peers);
    if (rc == 0)
        listener_close(&endpoint->listener);
    return rc;
}

/* ---- Data path ---- */

struct tcp_link *tcp_link_up(const struct endpoint *endpoint, uint32_t peer)
{
    struct tcp_link *link =
        peer < endpoint->config.ranks ? endpoint->links[peer] : NULL;

    return link != NULL && link->up ? link : NULL;
}

static void *tcp_stage(struct endpoint *endpoint, uint32_t peer, uint32_t slot)
{
    struct tcp_link *link = tcp_link_up(endpoint, peer);

    if (link == NULL || slot >= endpoint->config.slots || link->leaving[slot])
        return NULL;
    return tcp_staging(endpoint, link, slot);
}

static int check_put(const struct endpoint *endpoint,
                     const struct tcp_link *link, uint32_t slot, uint32_t bytes)
{
    if (!tcp_put_is_valid(endpoint, slot, bytes))
        return -EINVAL;
    if (link == NULL)
        return -ENOTCONN;
    return link->leaving[slot] ? -EBUSY : 0;
}

static int tcp_put(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                   uint32_t bytes)
{
    struct tcp_link *link = tcp_link_up(endpoint, peer);
    int rc = check_put(endpoint, link, slot, bytes);

    if (rc != 0)
        return rc;
    tcp_enqueue(endpoint, link, slot, bytes);
    /* Large frames that leave together cost far less than one by one; a small
     * one is awaited. */
    if (bytes > SMALL_BYTES || link->frames_count > 1) {
        tcp_ready(endpoint, link);
        return 0;
    }
    tcp_engine_send(endpoint, link);
    tcp_engine_flush(endpoint);
    return 0;
}

/* Lets the end of the next put of this slot come from there. The requests of
 * uring.c outlive what such memory is good for, so they have a copy. */
static int add_outside(struct endpoint *endpoint, struct tcp_link *link,
                       uint32_t slot, uint32_t bytes,
                       const struct tcp_outside *outside)
{
    int rc = check_put(endpoint, link, slot, bytes);

    if (outside->bytes == 0 || bytes < HEAD_BYTES + outside->bytes)
        return -EINVAL;
    if (rc != 0)
        return rc;
    link->outside[slot] = *outside;
    if (endpoint->engine != TCP_EPOLL ||
        (!outside->stays && link->frames_count > 0))
        tcp_stage_outside(endpoint, link, slot, bytes);
    return 0;
}

static int tcp_put_from(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                        uint32_t bytes, const void *memory,
                        uint32_t memory_bytes)
{
    const struct tcp_outside outside = {memory, memory_bytes, .stays = true};
    struct tcp_link *link = tcp_link_up(endpoint, peer);
    int rc = add_outside(endpoint, link, slot, bytes, &outside);

    return rc != 0 ? rc : tcp_put(endpoint, peer, slot, bytes);
}

/* What cannot leave at once is copied. */
static int tcp_put_with(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                        uint32_t bytes, const void *memory,
                        uint32_t memory_bytes)
{
    const struct tcp_outside outside = {memory, memory_bytes, .stays = false};
    struct tcp_link *link = tcp_link_up(endpoint, peer);
    int rc = add_outside(endpoint, link, slot, bytes, &outside);

    if (rc == 0)
        rc = tcp_put(endpoint, peer, slot, bytes);
    if (rc != 0 || link->outside[slot].bytes == 0)
        return rc;
    tcp_engine_send(endpoint, link);
    if (link->outside[slot].bytes > 0)
        tcp_stage_outside(endpoint, link, slot, bytes);
    return 0;
}

static void tcp_forget(struct endpoint *endpoint, uint32_t peer)
{
    if (peer < endpoint->config.ranks && endpoint->links[peer] != NULL)
        tcp_let_go(endpoint, endpoint->links[peer]);
}

void tcp_ready(struct endpoint *endpoint, struct tcp_link *link)
{
    uint32_t last = endpoint->ready_first + endpoint->ready_count;

    if (link->queued)
        return;
    link->queued = true;
    endpoint->ready[last % endpoint->config.ranks] = link->peer;
    endpoint->ready_count++;
}

static struct tcp_link *take_ready(struct endpoint *endpoint)
{
    uint32_t peer = endpoint->ready[endpoint->ready_first];
    struct tcp_link *link = endpoint->links[peer];

    endpoint->ready_first =
        (endpoint->ready_first + 1) % endpoint->config.ranks;
    endpoint->ready_count--;
    link->queued = false;
    return link;
}

/* Reports what has been received, up to `max`; link->more: that was the limit.
 * The loss comes after everything else. */
static int report(struct endpoint *endpoint, struct tcp_link *link,
                  struct event *events, int max)
{
    int count = 0;

    while (count < max && tcp_frame_arrived(endpoint, link, &events[count]))
        count++;
    if (count < max && tcp_brief_news(link))
        events[count++] =
            (struct event){.kind = EVENT_BRIEF, .peer = link->peer};
    link->more = count == max;
    if (link->ended && !link->more) {
        events[count++] = (struct event){
            .kind = EVENT_LOST,
            .peer = link->peer,
            .reason = link->reason,
        };
        cut(endpoint, link);
    }
    return count;
}

static int take_turn(struct endpoint *endpoint, struct tcp_link *link,
                     struct event *events, int max)
{
    int most = max < TURN_EVENTS ? max : TURN_EVENTS;
    int count = report(endpoint, link, events, most);

    if (!link->more && link->descriptor >= 0) {
        tcp_engine_receive(endpoint, link);
        count += report(endpoint, link, &events[count], most - count);
    }
    if (link->descriptor < 0)
        return count;
    tcp_engine_send(endpoint, link);
    tcp_brief_tell(endpoint, link);
    if (link->more || link->readable)
        tcp_ready(endpoint, link);
    return count;
}

static int tcp_poll(struct endpoint *endpoint, struct event *events, int max)
{
    uint32_t turns;
    int count = 0;

    tcp_engine_collect(endpoint);
    for (turns = endpoint->ready_count; turns > 0 && count < max; turns--) {
        struct tcp_link *link = take_ready(endpoint);

        if (link->descriptor >= 0)
            count += take_turn(endpoint, link, &events[count], max - count);
    }
    /* Without room for events the others keep their place, but can send. */
    for (uint32_t i = 0; i < turns; i++) {
        uint32_t at = (endpoint->ready_first + i) % endpoint->config.ranks;

        tcp_engine_send(endpoint, endpoint->links[endpoint->ready[at]]);
    }
    tcp_engine_flush(endpoint);
    return count;
}

static bool tcp_busy(struct endpoint *endpoint)
{
    return endpoint->leaving > 0;
}

static void tcp_drop(struct endpoint *endpoint, uint32_t peer)
{
    if (peer < endpoint->config.ranks && endpoint->links[peer] != NULL)
        cut(endpoint, endpoint->links[peer]);
}

static void tcp_counts(struct endpoint *endpoint,
                       struct endpoint_counts *counts)
{
    *counts = endpoint->counts;
}

const struct transport transport_tcp = {
    .name = "tcp",
    .open = tcp_open,
    .address = tcp_address,
    .connect = tcp_connect,
    .close = tcp_close,
    .stage = tcp_stage,
    .put = tcp_put,
    .poll = tcp_poll,
    .arm = tcp_engine_arm,
    .busy = tcp_busy,
    .drop = tcp_drop,
    .counts = tcp_counts,
    .put_from = tcp_put_from,
    .put_with = tcp_put_with,
    .keeps = tcp_keeps,
    .let_go = tcp_forget,
    .stream_bytes = STREAM_BYTES,
    .brief_bytes = TCP_BRIEF_BYTES,
    .put_brief = tcp_put_brief,
    .peek_brief = tcp_peek_brief,
    .look_brief = tcp_look_brief,
    .take_brief = tcp_take_brief,
};
