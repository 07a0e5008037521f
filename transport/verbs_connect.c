/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_connect.c - from a table of addresses to links that are up: a control
 * connection to each peer, our half of its link, the route to it, its half.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "mesh.h"
#include "verbs.h"
#include "verbs_transport.h"

/* ---- Addresses ---- */

/* Of the control connection, then the IP of the port. */
enum { PORT_AT = SOCKET_ADDRESS_BYTES, WIRE_BYTES = PORT_AT + 20 };

/* An address without a port says nothing; any number will do. */
static struct sockaddr_storage with_port(const struct sockaddr_storage *ip)
{
    struct sockaddr_storage address = *ip;

    ((struct sockaddr_in *)&address)->sin_port = 1;
    return address;
}

int verbs_address(struct endpoint *endpoint, struct address *address)
{
    struct sockaddr_storage port = with_port(&endpoint->device.address);
    int rc;

    memset(address, 0, sizeof(*address));
    rc = socket_address_write(address->bytes, &endpoint->listener.local);
    if (rc == 0)
        rc = socket_address_write(&address->bytes[PORT_AT], &port);
    return rc;
}

bool verbs_address_is_there(const struct address *address)
{
    return !address_is_zero_from(address, 0);
}

void verbs_describe(const struct endpoint *endpoint, char *text, size_t bytes)
{
    const struct verbs_device *device = &endpoint->device;
    char address[ADDRESS_TEXT_BYTES];

    bootstrap_format((const struct sockaddr *)&device->address,
                     device->address_bytes, address);
    *strrchr(address, ':') = '\0';
    snprintf(text, bytes, "%s port %u, GID %u (%s), %s, MTU %u%s",
             ibv_get_device_name(device->context->device), device->port,
             device->gid_index, address,
             device->roce ? "RoCE v2" : "InfiniBand", 128u << device->mtu,
             device->roce && device->mtu < IBV_MTU_4096
                 ? " (an interface's MTU of 4200 would give 4096)"
                 : "");
}

static int read_address(const struct endpoint *endpoint,
                        const struct address *address, struct mesh_peer *peer,
                        struct verbs_route *route)
{
    socklen_t bytes;
    int rc;

    if (!address_is_zero_from(address, WIRE_BYTES))
        return -EINVAL;
    rc = socket_address_read(&peer->address, &peer->address_bytes,
                             address->bytes, &endpoint->listener.local);
    if (rc == 0)
        rc = socket_address_read(&route->to, &bytes, &address->bytes[PORT_AT],
                                 &endpoint->device.address);
    ((struct sockaddr_in *)&route->to)->sin_port = 0;
    return rc;
}

/* ---- Connecting ---- */

struct meeting {
    struct mesh_peer *peers;    /* [ranks] */
    struct verbs_route *routes; /* [ranks] */
};

static int open_meeting(struct meeting *meeting, uint32_t ranks)
{
    meeting->peers = calloc(ranks, sizeof(struct mesh_peer));
    meeting->routes = calloc(ranks, sizeof(struct verbs_route));
    for (uint32_t i = 0; meeting->peers != NULL && i < ranks; i++)
        meeting->peers[i].descriptor = -1;
    return meeting->peers == NULL || meeting->routes == NULL ? -ENOMEM : 0;
}

static int prepare(const struct endpoint *endpoint, struct meeting *meeting,
                   const struct address *table, const bool *wanted,
                   uint32_t *count)
{
    for (uint32_t peer = 0; peer < endpoint->config.ranks; peer++) {
        int rc;

        if (!wanted[peer])
            continue;
        if (peer == endpoint->config.rank)
            return -EINVAL;
        rc = read_address(endpoint, &table[peer], &meeting->peers[peer],
                          &meeting->routes[peer]);
        if (rc != 0)
            return rc;
        meeting->peers[peer].wanted = true;
        (*count)++;
    }
    return 0;
}

/* Makes our half of the links whose control connection is there. */
static int make_links(struct endpoint *endpoint, struct meeting *meeting)
{
    int rc = 0;

    for (uint32_t i = 0; i < endpoint->config.ranks; i++) {
        struct mesh_peer *peer = &meeting->peers[i];
        int made;

        if (peer->descriptor < 0)
            continue;
        made = verbs_link_make(endpoint, i, &endpoint->links[i]);
        if (made == 0) {
            endpoint->links[i]->descriptor = peer->descriptor;
            peer->descriptor = -1;
            meeting->routes[i].wanted = true;
        }
        rc = rc == 0 ? made : rc;
    }
    return rc;
}

/* Links whose route is not known are given up. */
static void drop_unrouted(struct endpoint *endpoint,
                          const struct verbs_route *routes)
{
    for (uint32_t i = 0; i < endpoint->config.ranks; i++) {
        if (!routes[i].wanted || endpoint->links[i] == NULL)
            continue;
        verbs_explain(
            endpoint,
            "no RDMA route to rank %u: %s (do both ports reach each "
            "other? TCP does)",
            i, routes[i].error != 0 ? strerror(-routes[i].error) : "no answer");
        verbs_link_free(endpoint, endpoint->links[i]);
        endpoint->links[i] = NULL;
    }
}

/* Takes the links that are up into what is polled and watched. */
static int admit_links(struct endpoint *endpoint, bool *wanted)
{
    int rc = 0;

    for (uint32_t i = 0; i < endpoint->config.ranks; i++) {
        int watched;

        if (!wanted[i] || endpoint->links[i] == NULL)
            continue;
        endpoint->peers[endpoint->peers_count++] = i;
        watched = verbs_watch_add(endpoint, endpoint->links[i]);
        wanted[i] = watched != 0;
        rc = rc == 0 ? watched : rc;
    }
    return rc;
}

static int link_peers(struct endpoint *endpoint, struct meeting *meeting,
                      bool *wanted, uint64_t deadline_ns)
{
    int made = make_links(endpoint, meeting);
    uint64_t now_ns = clock_now_ns();
    /* A route that is not found leaves time to meet the other peers. */
    uint64_t routes_ns = now_ns < deadline_ns
                             ? deadline_ns - (deadline_ns - now_ns) / 4
                             : deadline_ns;
    int routed = verbs_routes_resolve(&endpoint->device, &endpoint->settings,
                                      meeting->routes, endpoint->config.ranks,
                                      routes_ns);
    int exchanged, admitted;

    drop_unrouted(endpoint, meeting->routes);
    exchanged = verbs_links_exchange(endpoint, meeting->routes, deadline_ns);
    admitted = admit_links(endpoint, wanted);
    if (made != 0)
        return made;
    if (routed != 0)
        return routed;
    return exchanged != 0 ? exchanged : admitted;
}

static void free_meeting(const struct endpoint *endpoint,
                         struct meeting *meeting)
{
    for (uint32_t i = 0; meeting->peers != NULL && i < endpoint->config.ranks;
         i++)
        if (meeting->peers[i].descriptor >= 0)
            close(meeting->peers[i].descriptor);
    free(meeting->peers);
    free(meeting->routes);
}

/* Whoever was reached is there, whatever the others miss. */
static void name_missing(const struct endpoint *endpoint,
                         const struct mesh_peer *peers, bool *wanted)
{
    for (uint32_t i = 0; i < endpoint->config.ranks; i++)
        if (peers[i].descriptor >= 0)
            wanted[i] = false;
}

int verbs_connect(struct endpoint *endpoint, const struct address *table,
                  bool *wanted, uint32_t epoch, uint64_t deadline_ns)
{
    struct endpoint_config *config = &endpoint->config;
    struct meeting meeting = {0};
    struct mesh_config mesh = {
        .handshake = {.credentials = config->credentials,
                      .purpose = PURPOSE_VERBS,
                      .rank = config->rank,
                      .ranks = config->ranks,
                      .epoch = epoch},
        .listener = endpoint->listener.descriptor,
        .deadline_ns = deadline_ns,
        .bell = config->bell,
    };
    uint32_t count = 0;
    int rc;

    if (endpoint->listener.descriptor < 0)
        return -EISCONN;
    rc = open_meeting(&meeting, config->ranks);
    if (rc == 0)
        rc = prepare(endpoint, &meeting, table, wanted, &count);
    if (rc != 0)
        goto free_meeting;
    config->epoch = epoch;
    rc = mesh_connect(&mesh, meeting.peers, &endpoint->counts.strangers);
    if (rc != 0) {
        name_missing(endpoint, meeting.peers, wanted);
        goto free_meeting;
    }
    if (count > 0)
        rc = verbs_queues_open(endpoint, count);
    if (rc == 0)
        rc = link_peers(endpoint, &meeting, wanted, deadline_ns);
    if (rc == 0)
        listener_close(&endpoint->listener);
free_meeting:
    free_meeting(endpoint, &meeting);
    return rc;
}
