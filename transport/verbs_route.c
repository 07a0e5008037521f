/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_route.c - resolves addresses and routes, all from one event channel.
 *
 * The ids are for asking alone: nobody connects with them, so nothing that a
 * stranger sends to the connection manager reaches us.
 */
#include "verbs_route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <rdma/rdma_cma.h>
#include <string.h>

#include "clock.h"
#include "stream.h"

enum { TRY_MS = 1000, PAUSE_MS = 50 };

struct resolver {
    const struct verbs_device *device;
    const struct verbs_settings *settings;
    struct rdma_event_channel *channel;
    uint32_t missing;
};

static void give_up_try(struct verbs_route *route, int error)
{
    if (route->id != NULL)
        rdma_destroy_id(route->id);
    route->id = NULL;
    route->error = error;
}

static void begin_try(const struct resolver *resolver,
                      struct verbs_route *route)
{
    struct sockaddr_storage from = resolver->device->address;

    if (rdma_create_id(resolver->channel, &route->id, route, RDMA_PS_TCP) !=
        0) {
        route->id = NULL;
        route->error = -errno;
        return;
    }
    if (rdma_resolve_addr(route->id, (struct sockaddr *)&from,
                          (struct sockaddr *)&route->to, TRY_MS) != 0)
        give_up_try(route, -errno);
}

/* What a queue pair is told of a path record. */
static int take_path(const struct resolver *resolver, struct verbs_route *route)
{
    const struct verbs_device *device = resolver->device;
    const struct ibv_sa_path_rec *record = route->id->route.path_rec;
    struct ibv_ah_attr *path = &route->path;

    if (route->id->route.num_paths < 1 || record == NULL)
        return -EHOSTUNREACH;
    if (route->id->port_num != device->port)
        return -EXDEV;
    *path = (struct ibv_ah_attr){
        .port_num = device->port,
        .sl = record->sl,
        .static_rate = record->rate,
        .is_global = device->roce || record->hop_limit > 1,
        .dlid = ntohs(record->dlid),
        .grh = {.dgid = record->dgid,
                .sgid_index = device->gid_index,
                .flow_label = ntohl(record->flow_label),
                .hop_limit = device->roce ? 64 : record->hop_limit,
                .traffic_class = record->traffic_class},
    };
    if (resolver->settings->traffic_class >= 0)
        path->grh.traffic_class = (uint8_t)resolver->settings->traffic_class;
    if (resolver->settings->service_level >= 0)
        path->sl = (uint8_t)resolver->settings->service_level;
    route->mtu =
        record->mtu < device->mtu ? (enum ibv_mtu)record->mtu : device->mtu;
    route->pkey = device->roce ? 0 : record->pkey;
    return 0;
}

/* Moves a route to which something happened. */
static void advance(struct resolver *resolver, struct verbs_route *route,
                    enum rdma_cm_event_type type, int status)
{
    int rc;

    switch (type) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
        if (rdma_resolve_route(route->id, TRY_MS) != 0)
            give_up_try(route, -errno);
        return;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
        rc = take_path(resolver, route);
        give_up_try(route, rc);
        route->wanted = rc != 0;
        resolver->missing -= rc == 0;
        return;
    default: give_up_try(route, status < 0 ? status : -EHOSTUNREACH); return;
    }
}

/* Takes every event that is there. */
static void take_events(struct resolver *resolver)
{
    struct rdma_cm_event *event;

    while (rdma_get_cm_event(resolver->channel, &event) == 0) {
        struct verbs_route *route = event->id->context;
        enum rdma_cm_event_type type = event->event;
        int status = event->status;

        /* An id cannot be destroyed before its events are acknowledged. */
        rdma_ack_cm_event(event);
        advance(resolver, route, type, status);
    }
}

static int open_channel(struct resolver *resolver)
{
    int flags;

    resolver->channel = rdma_create_event_channel();
    if (resolver->channel == NULL)
        return errno != 0 ? -errno : -ENODEV;
    flags = fcntl(resolver->channel->fd, F_GETFL);
    if (flags < 0 ||
        fcntl(resolver->channel->fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        int rc = -errno;

        rdma_destroy_event_channel(resolver->channel);
        return rc;
    }
    return 0;
}

int verbs_routes_resolve(const struct verbs_device *device,
                         const struct verbs_settings *settings,
                         struct verbs_route *routes, uint32_t count,
                         uint64_t deadline_ns)
{
    struct resolver resolver = {.device = device, .settings = settings};
    int rc = open_channel(&resolver);

    if (rc != 0)
        return rc;
    for (uint32_t i = 0; i < count; i++)
        resolver.missing += routes[i].wanted;
    for (;;) {
        struct pollfd waited = {.fd = resolver.channel->fd, .events = POLLIN};
        uint64_t now_ns = clock_now_ns();
        uint64_t again_ns = clock_later_ns(now_ns, PAUSE_MS);

        take_events(&resolver);
        if (resolver.missing == 0 || now_ns >= deadline_ns)
            break;
        for (uint32_t i = 0; i < count; i++)
            if (routes[i].wanted && routes[i].id == NULL &&
                now_ns >= routes[i].again_ns) {
                routes[i].again_ns = again_ns;
                begin_try(&resolver, &routes[i]);
            }
        poll(&waited, 1,
             stream_wait_ms(now_ns,
                            again_ns < deadline_ns ? again_ns : deadline_ns));
    }
    for (uint32_t i = 0; i < count; i++)
        if (routes[i].id != NULL)
            give_up_try(&routes[i],
                        routes[i].error != 0 ? routes[i].error : -ETIMEDOUT);
    rdma_destroy_event_channel(resolver.channel);
    return resolver.missing > 0 ? -ETIMEDOUT : 0;
}
