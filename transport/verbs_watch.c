/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_watch.c - what comes beside the data.
 *
 * A device does not tell that a peer is gone unless we write to it; the end of
 * the control connection does. Its own events name a queue pair, a completion
 * queue, a port or the whole device, and each costs only those who depend on
 * it.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "verbs.h"

enum {
    READY_MAX = 32,   /* descriptors looked at in one watch */
    EVENTS_MAX = 256, /* of the device, taken in one watch */
};

/* What an epoll event names, beside the peers: as uint32_t, above them all. */
enum { WATCH_CHANNEL = -1, WATCH_DEVICE = -2 };

static int watch_descriptor(const struct endpoint *endpoint, int descriptor,
                            uint32_t name)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = name};

    return epoll_ctl(endpoint->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0
               ? 0
               : -errno;
}

int verbs_watch_open(struct endpoint *endpoint)
{
    int rc;

    endpoint->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (endpoint->epoll < 0)
        return -errno;
    rc = watch_descriptor(endpoint, endpoint->device.context->async_fd,
                          (uint32_t)WATCH_DEVICE);
    if (rc == 0)
        rc = watch_descriptor(endpoint, endpoint->channel->fd,
                              (uint32_t)WATCH_CHANNEL);
    return rc;
}

int verbs_watch_add(struct endpoint *endpoint, const struct verbs_link *link)
{
    return watch_descriptor(endpoint, link->descriptor, link->peer);
}

void verbs_watch_woken(struct endpoint *endpoint)
{
    struct ibv_cq *queue;
    void *context;

    /* Unacknowledged events would keep a queue from being destroyed. */
    while (ibv_get_cq_event(endpoint->channel, &queue, &context) == 0)
        ibv_ack_cq_events(queue, 1);
}

/* ---- The device ---- */

static void lose_all(struct endpoint *endpoint, const struct ibv_cq *queue,
                     int reason)
{
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        struct verbs_link *link = endpoint->links[endpoint->peers[i]];

        if (queue == NULL || link->stripes[0].pair->recv_cq == queue)
            verbs_lose(endpoint, link, reason);
    }
}

static void take_device_event(struct endpoint *endpoint,
                              const struct ibv_async_event *event)
{
    switch (event->event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
        verbs_lose(endpoint, event->element.qp->qp_context, -EIO);
        return;
    case IBV_EVENT_QP_ACCESS_ERR:
        verbs_lose(endpoint, event->element.qp->qp_context, -EPROTO);
        return;
    case IBV_EVENT_CQ_ERR:
        lose_all(endpoint, event->element.cq, -EOVERFLOW);
        return;
    case IBV_EVENT_DEVICE_FATAL: lose_all(endpoint, NULL, -ENODEV); return;
    /* A port may come back before anybody misses it: retries and deadlines
     * decide. */
    case IBV_EVENT_PORT_ERR:
        if (event->element.port_num == endpoint->device.port)
            endpoint->port_down = true;
        return;
    case IBV_EVENT_PORT_ACTIVE:
        if (event->element.port_num == endpoint->device.port)
            endpoint->port_down = false;
        return;
    default: return;
    }
}

static void take_device_events(struct endpoint *endpoint)
{
    struct ibv_async_event event;

    for (int i = 0; i < EVENTS_MAX; i++) {
        if (ibv_get_async_event(endpoint->device.context, &event) != 0)
            return;
        take_device_event(endpoint, &event);
        ibv_ack_async_event(&event);
    }
}

/* ---- Control connections ---- */

/* Nothing is said on them once a link is up; so it is the end, or a breach. */
static void hear_control(struct endpoint *endpoint, struct verbs_link *link)
{
    uint8_t byte;
    ssize_t got = recv(link->descriptor, &byte, 1, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0) {
        verbs_lose(endpoint, link, -EPROTO);
        return;
    }
    if (link->state != LINK_UP)
        return;
    link->state = LINK_CLOSING;
    endpoint->closing++;
    /* It stays readable; it is not looked at again. */
    epoll_ctl(endpoint->epoll, EPOLL_CTL_DEL, link->descriptor, NULL);
}

void verbs_watch(struct endpoint *endpoint)
{
    struct epoll_event ready[READY_MAX];
    int count = epoll_wait(endpoint->epoll, ready, READY_MAX, 0);

    for (int i = 0; i < count; i++) {
        uint32_t name = ready[i].data.u32;

        if (name == (uint32_t)WATCH_DEVICE)
            take_device_events(endpoint);
        else if (name == (uint32_t)WATCH_CHANNEL)
            verbs_watch_woken(endpoint);
        else
            hear_control(endpoint, endpoint->links[name]);
    }
}
