/* SPDX-License-Identifier: Apache-2.0 */
/* fake_device.c - devices, and their objects but for queue pairs. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"
#include "fake_wraps.h"

struct fake_device fake_devices[FAKE_DEVICES_MAX];
int fake_devices_count;

/* ---- Devices ---- */

void fake_add_gid(struct fake_device *device, uint32_t port, const char *ip,
                  enum ibv_gid_type type)
{
    struct ibv_gid_entry *entry = &device->gids[device->gids_count];

    *entry = (struct ibv_gid_entry){.gid_index = device->gids_count,
                                    .port_num = port,
                                    .gid_type = type,
                                    .ndev_ifindex = 7};
    if (inet_pton(AF_INET, ip, &entry->gid.raw[12]) == 1)
        entry->gid.raw[10] = entry->gid.raw[11] = 0xff;
    else if (inet_pton(AF_INET6, ip, entry->gid.raw) != 1)
        fake_breach("no IP");
    device->gids_count++;
}

static void fill_device(struct fake_device *device, int index)
{
    char ip[32];

    *device = (struct fake_device){
        .limits = {.phys_port_cnt = 1,
                   .max_cqe = 32767,
                   .max_pkeys = 4,
                   .device_cap_flags = IBV_DEVICE_MEM_WINDOW_TYPE_2B},
        .inline_max = 256,
        .pkeys = {htons(0xffff), 0, htons(0x8001), htons(0x8002)},
    };
    for (int port = 0; port < FAKE_PORTS_MAX; port++)
        device->ports[port] = (struct ibv_port_attr){
            .state = IBV_PORT_ACTIVE,
            .active_mtu = IBV_MTU_1024,
            .link_layer = IBV_LINK_LAYER_ETHERNET,
        };
    snprintf(device->device.name, sizeof(device->device.name), "fake%d", index);
    snprintf(ip, sizeof(ip), "10.9.0.%d", index + 1);
    fake_add_gid(device, 1, ip, IBV_GID_TYPE_ROCE_V1);
    fake_add_gid(device, 1, ip, IBV_GID_TYPE_ROCE_V2);
}

void fake_reset(int count)
{
    fake_forget();
    fake_devices_count = count;
    for (int i = 0; i < count; i++)
        fill_device(&fake_devices[i], i);
    fake_is_held = false;
    fake_not_ready = fake_signalled = 0;
    fake_ipoib_has_v4 = fake_ipoib_has_v6 = true;
    fake_routes = (struct fake_routes){.refused = -1,
                                       .paths = 1,
                                       .port = 1,
                                       .mtu = IBV_MTU_1024,
                                       .hop_limit = 64,
                                       .pkey = htons(0xffff)};
    fake_stop_failing();
}

void fake_make_infiniband(struct fake_device *device, const char *ipoib)
{
    device->ports[0].link_layer = IBV_LINK_LAYER_INFINIBAND;
    device->ipoib = ipoib;
    device->gids_count = 0;
    fake_add_gid(device, 1, "fe80::2:c903:1:2", IBV_GID_TYPE_IB);
}

int fake_device_at(const void *ip, size_t bytes)
{
    for (int i = 0; i < fake_devices_count; i++)
        for (uint32_t g = 0; g < fake_devices[i].gids_count; g++)
            if (memcmp(&fake_devices[i].gids[g].gid.raw[16 - bytes], ip,
                       bytes) == 0 ||
                fake_devices[i].ipoib != NULL)
                return i;
    return -1;
}

struct ibv_device **__wrap_ibv_get_device_list(int *count)
{
    struct ibv_device **list;

    *count = 0;
    if (fake_refuse(FAKE_GET_DEVICE_LIST) != 0)
        return NULL;
    list = fake_make(KIND_LIST, (FAKE_DEVICES_MAX + 1) * sizeof(*list));
    for (int i = 0; i < fake_devices_count; i++)
        list[i] = &fake_devices[i].device;
    *count = fake_devices_count;
    return list;
}

void __wrap_ibv_free_device_list(struct ibv_device **list)
{
    fake_free(KIND_LIST, list);
}

const char *__wrap_ibv_get_device_name(struct ibv_device *device)
{
    return device->name;
}

struct context *fake_context(struct ibv_context *context)
{
    char *at = (char *)context - offsetof(struct context, verbs.context);

    fake_check(KIND_CONTEXT, at);
    return (struct context *)(void *)at;
}

static int query_port(struct ibv_context *context, uint8_t port,
                      struct ibv_port_attr *attributes, size_t bytes)
{
    if (fake_refuse(FAKE_QUERY_PORT) != 0)
        return errno;
    if (bytes != sizeof(*attributes) || port < 1 || port > FAKE_PORTS_MAX)
        return EINVAL;
    *attributes = fake_context(context)->device->ports[port - 1];
    return 0;
}

struct ibv_context *__wrap_ibv_open_device(struct ibv_device *device)
{
    struct context *context;

    if (fake_refuse(FAKE_OPEN_DEVICE) != 0)
        return NULL;
    context = fake_make(KIND_CONTEXT, sizeof(*context));
    fake_events_open(&context->events);
    context->device = (struct fake_device *)device;
    context->verbs.sz = sizeof(context->verbs);
    context->verbs.query_port = query_port;
    context->verbs.context.abi_compat = __VERBS_ABI_IS_EXTENDED;
    context->verbs.context.device = device;
    context->verbs.context.async_fd = context->events.descriptor;
    fake_work_fill(&context->verbs.context.ops);
    return &context->verbs.context;
}

int __wrap_ibv_close_device(struct ibv_context *opened)
{
    struct context *context;

    context = fake_context(opened);
    while (context->events.count > 0)
        free(fake_events_pop(&context->events));
    fake_events_close(&context->events);
    fake_free(KIND_CONTEXT, context);
    return 0;
}

int __wrap_ibv_query_device(struct ibv_context *context,
                            struct ibv_device_attr *limits)
{
    if (fake_refuse(FAKE_QUERY_DEVICE) != 0)
        return errno;
    *limits = fake_context(context)->device->limits;
    return 0;
}

ssize_t __wrap__ibv_query_gid_table(struct ibv_context *context,
                                    struct ibv_gid_entry *entries, size_t max,
                                    uint32_t flags, size_t entry_bytes)
{
    const struct fake_device *device = fake_context(context)->device;

    if (fake_refuse(FAKE_QUERY_GID_TABLE) != 0)
        return -errno;
    if (flags != 0 || entry_bytes != sizeof(*entries) ||
        max < device->gids_count)
        return -EINVAL;
    memcpy(entries, device->gids, device->gids_count * sizeof(*entries));
    return device->gids_count;
}

int __wrap_ibv_query_pkey(struct ibv_context *context, uint8_t port, int index,
                          __be16 *pkey)
{
    (void)port;
    if (fake_refuse(FAKE_QUERY_PKEY) != 0)
        return -1;
    *pkey = fake_context(context)->device->pkeys[index];
    return 0;
}

/* ---- Protection domains and memory ---- */

struct ibv_pd *__wrap_ibv_alloc_pd(struct ibv_context *context)
{
    struct ibv_pd *domain;

    if (fake_refuse(FAKE_ALLOC_PD) != 0)
        return NULL;
    domain = fake_make(KIND_DOMAIN, sizeof(*domain));
    domain->context = context;
    return domain;
}

int __wrap_ibv_dealloc_pd(struct ibv_pd *domain)
{
    pthread_mutex_lock(&fake_lock);
    for (struct region *region = NULL;
         (region = fake_next(KIND_REGION, region)) != NULL;)
        if (region->mr.pd == domain)
            fake_breach("a domain is freed before its memory");
    for (struct window *window = NULL;
         (window = fake_next(KIND_WINDOW, window)) != NULL;)
        if (window->mw.pd == domain)
            fake_breach("a domain is freed before its windows");
    pthread_mutex_unlock(&fake_lock);
    fake_free(KIND_DOMAIN, domain);
    return 0;
}

struct ibv_mr *__wrap_ibv_reg_mr_iova2(struct ibv_pd *domain, void *memory,
                                       size_t bytes, uint64_t address,
                                       unsigned int access)
{
    static uint32_t keys = 1000;
    struct region *region;

    fake_check(KIND_DOMAIN, domain);
    if (fake_refuse(FAKE_REG_MR) != 0)
        return NULL;
    if (address != (uintptr_t)memory ||
        ((access & IBV_ACCESS_REMOTE_WRITE) != 0 &&
         (access & IBV_ACCESS_LOCAL_WRITE) == 0))
        fake_breach("memory is registered in a way that devices refuse");
    pthread_mutex_lock(&fake_lock);
    region = fake_make(KIND_REGION, sizeof(*region));
    region->access = access;
    region->mr = (struct ibv_mr){.context = domain->context,
                                 .pd = domain,
                                 .addr = memory,
                                 .length = bytes,
                                 .lkey = keys,
                                 .rkey = keys + 1};
    keys += 2;
    pthread_mutex_unlock(&fake_lock);
    return &region->mr;
}

struct ibv_mr *__wrap_ibv_reg_mr(struct ibv_pd *domain, void *memory,
                                 size_t bytes, int access)
{
    return __wrap_ibv_reg_mr_iova2(domain, memory, bytes, (uintptr_t)memory,
                                   (unsigned int)access);
}

int __wrap_ibv_dereg_mr(struct ibv_mr *region)
{
    pthread_mutex_lock(&fake_lock); /* no write is under way */
    fake_free(KIND_REGION, region);
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

/* ---- Completion channels and queues ---- */

struct ibv_comp_channel *__wrap_ibv_create_comp_channel(
    struct ibv_context *context)
{
    struct channel *channel;

    if (fake_refuse(FAKE_CREATE_CHANNEL) != 0)
        return NULL;
    channel = fake_make(KIND_CHANNEL, sizeof(*channel));
    fake_events_open(&channel->events);
    channel->channel.context = context;
    channel->channel.fd = channel->events.descriptor;
    return &channel->channel;
}

int __wrap_ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
{
    if (channel->refcnt > 0)
        fake_breach("a channel is destroyed before its queues");
    fake_events_close(&((struct channel *)channel)->events);
    fake_free(KIND_CHANNEL, channel);
    return 0;
}

struct ibv_cq *__wrap_ibv_create_cq(struct ibv_context *context, int entries,
                                    void *cq_context,
                                    struct ibv_comp_channel *channel,
                                    int vector)
{
    struct queue *queue;

    (void)vector;
    if (fake_refuse(FAKE_CREATE_CQ) != 0)
        return NULL;
    if (entries < 1 || entries > fake_context(context)->device->limits.max_cqe)
        fake_breach("a queue has more entries than the device can");
    queue = fake_make(KIND_QUEUE, sizeof(*queue));
    queue->ring = __real_calloc((size_t)entries, sizeof(*queue->ring));
    queue->cq.context = context;
    queue->cq.channel = channel;
    queue->cq.cq_context = cq_context;
    queue->cq.cqe = entries;
    channel->refcnt++;
    return &queue->cq;
}

/* The true one waits for ever for what was not acknowledged. */
int __wrap_ibv_destroy_cq(struct ibv_cq *destroyed)
{
    struct queue *queue = (struct queue *)destroyed;
    struct fake_events *events =
        &((struct channel *)destroyed->channel)->events;

    if (queue->unacknowledged > 0)
        fake_breach("a queue is destroyed with events to acknowledge");
    for (uint32_t i = events->count; i-- > 0;)
        if (events->items[i] == destroyed)
            fake_events_remove(events, i);
    destroyed->channel->refcnt--;
    free(queue->ring);
    fake_free(KIND_QUEUE, queue);
    return 0;
}

int __wrap_ibv_get_cq_event(struct ibv_comp_channel *channel,
                            struct ibv_cq **queue, void **context)
{
    void *item;

    pthread_mutex_lock(&fake_lock);
    item = fake_events_pop(&((struct channel *)channel)->events);
    pthread_mutex_unlock(&fake_lock);
    if (item == NULL)
        return -1;
    *queue = item;
    *context = (*queue)->cq_context;
    ((struct queue *)item)->unacknowledged++;
    return 0;
}

void __wrap_ibv_ack_cq_events(struct ibv_cq *queue, unsigned int count)
{
    if (((struct queue *)queue)->unacknowledged < count)
        fake_breach("more events are acknowledged than there were");
    ((struct queue *)queue)->unacknowledged -= count;
}

/* ---- Events of the device ---- */

void fake_tell(struct ibv_context *context, enum ibv_event_type type,
               void *element)
{
    struct ibv_async_event *event = __real_calloc(1, sizeof(*event));

    event->event_type = type;
    event->element.qp = element;
    fake_events_push(&fake_context(context)->events, event);
}

void fake_tell_port(struct ibv_context *context, enum ibv_event_type type,
                    int port)
{
    struct ibv_async_event *event = __real_calloc(1, sizeof(*event));

    event->event_type = type;
    event->element.port_num = port;
    fake_events_push(&fake_context(context)->events, event);
}

int __wrap_ibv_get_async_event(struct ibv_context *opened,
                               struct ibv_async_event *event)
{
    struct context *context = fake_context(opened);
    struct ibv_async_event *first = fake_events_pop(&context->events);

    if (first == NULL)
        return -1;
    *event = *first;
    free(first);
    context->unacknowledged++;
    return 0;
}

void __wrap_ibv_ack_async_event(struct ibv_async_event *event)
{
    struct context *context = NULL;

    (void)event;
    while ((context = fake_next(KIND_CONTEXT, context)) != NULL)
        if (context->unacknowledged > 0) {
            context->unacknowledged--;
            return;
        }
    fake_breach("more events are acknowledged than there were");
}
