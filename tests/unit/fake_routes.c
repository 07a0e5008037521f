/* SPDX-License-Identifier: Apache-2.0 */
/* fake_routes.c - librdmacm, as far as it is asked for routes. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_inside.h"
#include "fake_wraps.h"

struct fake_routes fake_routes;

struct cm_channel {
    struct rdma_event_channel channel;
    struct fake_events events; /* struct rdma_cm_event */
    uint32_t ids;
};

struct cm_id {
    struct rdma_cm_id id;
    struct ibv_sa_path_rec path;
    int to; /* the device there, or -1 */
    uint32_t unacknowledged;
};

int __wrap_access(const char *path, int mode)
{
    if (strcmp(path, "/dev/infiniband/rdma_cm") != 0)
        return __real_access(path, mode);
    return fake_refuse(FAKE_ACCESS) != 0 ? -1 : 0;
}

struct rdma_event_channel *__wrap_rdma_create_event_channel(void)
{
    struct cm_channel *channel;

    if (fake_refuse(FAKE_EVENT_CHANNEL) != 0)
        return NULL;
    channel = fake_make(KIND_CM_CHANNEL, sizeof(*channel));
    fake_events_open(&channel->events);
    channel->channel.fd = channel->events.descriptor;
    return &channel->channel;
}

void __wrap_rdma_destroy_event_channel(struct rdma_event_channel *destroyed)
{
    struct cm_channel *channel = (struct cm_channel *)destroyed;

    if (channel->ids > 0)
        fake_breach("an event channel is destroyed before its ids");
    fake_events_close(&channel->events);
    fake_free(KIND_CM_CHANNEL, channel);
}

int __wrap_rdma_create_id(struct rdma_event_channel *channel,
                          struct rdma_cm_id **out, void *context,
                          enum rdma_port_space space)
{
    struct cm_id *id;

    fake_check(KIND_CM_CHANNEL, channel);
    if (fake_refuse(FAKE_CREATE_ID) != 0)
        return -1;
    id = fake_make(KIND_CM_ID, sizeof(*id));
    id->id.channel = channel;
    id->id.context = context;
    id->id.ps = space;
    ((struct cm_channel *)channel)->ids++;
    *out = &id->id;
    return 0;
}

/* The true one waits for ever for what was not acknowledged. */
int __wrap_rdma_destroy_id(struct rdma_cm_id *id)
{
    struct fake_events *events = &((struct cm_channel *)id->channel)->events;

    if (((struct cm_id *)id)->unacknowledged > 0)
        fake_breach("an id is destroyed with events to acknowledge");
    for (uint32_t i = events->count; i-- > 0;) {
        struct rdma_cm_event *event = events->items[i];

        if (event->id == id) {
            fake_events_remove(events, i);
            free(event);
        }
    }
    ((struct cm_channel *)id->channel)->ids--;
    fake_free(KIND_CM_ID, id);
    return 0;
}

static void tell(struct rdma_cm_id *id, enum rdma_cm_event_type type,
                 int status)
{
    struct rdma_cm_event *event;

    if (fake_routes.silent)
        return;
    event = __real_calloc(1, sizeof(*event));
    event->id = id;
    event->event = type;
    event->status = status;
    fake_events_push(&((struct cm_channel *)id->channel)->events, event);
}

int __wrap_rdma_resolve_addr(struct rdma_cm_id *id, struct sockaddr *from,
                             struct sockaddr *to, int timeout_ms)
{
    struct cm_id *ours = (struct cm_id *)id;
    bool v4 = to->sa_family == AF_INET;
    const void *ip = v4 ? (void *)&((struct sockaddr_in *)to)->sin_addr
                        : (void *)&((struct sockaddr_in6 *)to)->sin6_addr;
    bool refused;

    fake_check(KIND_CM_ID, id);
    if (fake_refuse(FAKE_RESOLVE_ADDRESS) != 0)
        return -1;
    if (timeout_ms <= 0 || from->sa_family != to->sa_family) {
        errno = EINVAL;
        return -1;
    }
    ours->to = fake_device_at(ip, v4 ? 4 : 16);
    refused = ours->to < 0 ||
              (ours->to == fake_routes.refused && !fake_routes.refuses_route);
    tell(id, refused ? RDMA_CM_EVENT_ADDR_ERROR : RDMA_CM_EVENT_ADDR_RESOLVED,
         refused ? fake_routes.status : 0);
    return 0;
}

int __wrap_rdma_resolve_route(struct rdma_cm_id *id, int timeout_ms)
{
    struct cm_id *ours = (struct cm_id *)id;
    bool refused = ours->to == fake_routes.refused;

    (void)timeout_ms;
    fake_check(KIND_CM_ID, id);
    if (fake_refuse(FAKE_RESOLVE_ROUTE) != 0)
        return -1;
    ours->path = (struct ibv_sa_path_rec){
        .dgid = fake_devices[ours->to].gids[0].gid,
        .dlid = htons(0x1234),
        .flow_label = htonl(5),
        .mtu = fake_routes.mtu,
        .rate = 3,
        .hop_limit = fake_routes.hop_limit,
        .sl = fake_routes.service_level,
        .pkey = fake_routes.pkey,
    };
    id->port_num = fake_routes.port;
    id->route.num_paths = fake_routes.paths;
    id->route.path_rec = fake_routes.paths > 0 ? &ours->path : NULL;
    tell(id, refused ? RDMA_CM_EVENT_ROUTE_ERROR : RDMA_CM_EVENT_ROUTE_RESOLVED,
         refused ? fake_routes.status : 0);
    return 0;
}

int __wrap_rdma_get_cm_event(struct rdma_event_channel *channel,
                             struct rdma_cm_event **event)
{
    fake_check(KIND_CM_CHANNEL, channel);
    *event = fake_events_pop(&((struct cm_channel *)channel)->events);
    if (*event == NULL)
        return -1;
    ((struct cm_id *)(*event)->id)->unacknowledged++;
    return 0;
}

int __wrap_rdma_ack_cm_event(struct rdma_cm_event *event)
{
    ((struct cm_id *)event->id)->unacknowledged--;
    free(event);
    return 0;
}
