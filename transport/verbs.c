/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.c - the transport over RDMA: InfiniBand, RoCE v2 and soft-RoCE.
 *
 * Every pair of ranks has an authenticated control connection, made like those
 * of tcp, over which queue pairs and keys are exchanged and whose end is the
 * news of a death. The data never touches it: a put is written by the network
 * into the peer's slot.
 */
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TURN_EVENTS = 8, /* of one link before the next one has its turn */
    /* So often a rank that never sleeps looks beside the data. */
    POLLS_PER_WATCH = 256,
};

void verbs_explain(const struct endpoint *endpoint, const char *format, ...)
{
    va_list arguments;

    if (endpoint->config.why == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(endpoint->config.why, WHY_BYTES, format, arguments);
    va_end(arguments);
}

/* ---- Life of an endpoint ---- */

static bool valid(const struct endpoint_config *config)
{
    return config->rank < config->ranks && config->slots > 0 &&
           config->slots <= VERBS_SLOTS_MAX && config->slot_bytes >= 64 &&
           config->slot_bytes % 64 == 0 &&
           config->sealed_slots < config->slots && config->credentials != NULL;
}

static uint32_t power_of_two(uint32_t least)
{
    uint32_t power = 1;

    while (power < least)
        power *= 2;
    return power;
}

/* How much can be under way between two ranks. */
static void size_queues(struct endpoint *endpoint)
{
    uint32_t stripes = endpoint->settings.stripes;
    uint32_t slots = (endpoint->config.slots + stripes - 1) / stripes;

    /* Each slot once, with two writes, and small ones once more that have
     * arrived before we know it. */
    endpoint->sealed =
        endpoint->settings.seal ? endpoint->config.sealed_slots : 0;
    endpoint->send_depth =
        power_of_two(2 * slots + SEND_BATCH + 2 * endpoint->sealed);
    endpoint->receive_depth = slots + RECEIVE_BATCH;
    endpoint->arrivals = power_of_two(stripes * endpoint->receive_depth);
}

static void verbs_close(struct endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    for (uint32_t i = 0; i < endpoint->peers_count; i++)
        verbs_link_cut(endpoint, endpoint->links[endpoint->peers[i]]);
    verbs_memory_close(endpoint);
    for (uint32_t i = 0; i < endpoint->peers_count; i++)
        verbs_link_free(endpoint, endpoint->links[endpoint->peers[i]]);
    /* Before it has queues the channel may not be open, or may block. */
    if (endpoint->queues_count > 0)
        verbs_watch_woken(endpoint);
    verbs_queues_close(endpoint);
    if (endpoint->channel != NULL)
        ibv_destroy_comp_channel(endpoint->channel);
    if (endpoint->epoll >= 0)
        close(endpoint->epoll);
    verbs_device_close(&endpoint->device);
    listener_close(&endpoint->listener);
    free(endpoint->links);
    free(endpoint->peers);
    free(endpoint->ready);
    free(endpoint);
}

static int open_channel(struct endpoint *endpoint)
{
    int flags;

    errno = ENOMEM;
    endpoint->channel = ibv_create_comp_channel(endpoint->device.context);
    if (endpoint->channel == NULL)
        return -errno;
    flags = fcntl(endpoint->channel->fd, F_GETFL);
    if (flags < 0 ||
        fcntl(endpoint->channel->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
    return 0;
}

/* Said while another transport can still be chosen. Without the device file
 * librdmacm would write to the program's standard error, too. */
static int check_manager(const struct endpoint *endpoint)
{
    if (access("/dev/infiniband/rdma_cm", R_OK | W_OK) == 0)
        return 0;
    verbs_explain(endpoint,
                  "/dev/infiniband/rdma_cm: %s: modprobe rdma_ucm (in "
                  "containers pass the device)",
                  strerror(errno));
    return -ENODEV;
}

/* Sealing is asked for, or nothing is checked. */
static int check_seal(const struct endpoint *endpoint)
{
    const struct verbs_device *device = &endpoint->device;

    if (!endpoint->settings.seal)
        return 0;
    if (endpoint->settings.stripes != 1) {
        verbs_explain(endpoint, "BALLOT_IB_SEAL=1 needs "
                                "BALLOT_IB_QPS_PER_CONNECTION=1");
        return -EINVAL;
    }
    if ((device->limits.device_cap_flags &
         (IBV_DEVICE_MEM_WINDOW_TYPE_2A | IBV_DEVICE_MEM_WINDOW_TYPE_2B)) != 0)
        return 0;
    verbs_explain(endpoint,
                  "BALLOT_IB_SEAL=1: %s has no memory windows of type 2; "
                  "leave it unset, slots are then read once",
                  ibv_get_device_name(device->context->device));
    return -EOPNOTSUPP;
}

static int fill(struct endpoint *endpoint)
{
    uint32_t ranks = endpoint->config.ranks;
    char why[WHY_BYTES] = "";
    int rc;

    endpoint->links = calloc(ranks, sizeof(struct verbs_link *));
    endpoint->peers = calloc(ranks, sizeof(*endpoint->peers));
    endpoint->ready = calloc(ranks, sizeof(*endpoint->ready));
    if (endpoint->links == NULL || endpoint->peers == NULL ||
        endpoint->ready == NULL)
        return -ENOMEM;
    rc = listener_open(&endpoint->listener, endpoint->config.interface);
    if (rc == 0)
        rc = verbs_settings_read(&endpoint->settings, why);
    if (rc == 0)
        rc = verbs_device_open(&endpoint->device, &endpoint->settings,
                               (struct sockaddr *)&endpoint->listener.local,
                               why);
    if (why[0] != '\0')
        verbs_explain(endpoint, "%s", why);
    if (rc == 0)
        rc = check_manager(endpoint);
    if (rc == 0)
        rc = check_seal(endpoint);
    if (rc == 0)
        rc = open_channel(endpoint);
    if (rc == 0)
        rc = verbs_watch_open(endpoint);
    size_queues(endpoint);
    return rc;
}

static int verbs_open(struct endpoint **out,
                      const struct endpoint_config *config)
{
    struct endpoint *endpoint;
    int rc;

    if (!valid(config))
        return -EINVAL;
    endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL)
        return -ENOMEM;
    endpoint->config = *config;
    endpoint->settings.stripes = 1;
    endpoint->listener.descriptor = -1;
    endpoint->epoll = -1;
    rc = fill(endpoint);
    if (rc != 0) {
        verbs_close(endpoint);
        return rc;
    }
    *out = endpoint;
    return 0;
}

/* ---- Data path ---- */

static struct verbs_link *link_up(const struct endpoint *endpoint,
                                  uint32_t peer)
{
    struct verbs_link *link =
        peer < endpoint->config.ranks ? endpoint->links[peer] : NULL;

    return link != NULL && link->state == LINK_UP ? link : NULL;
}

static void *verbs_stage(struct endpoint *endpoint, uint32_t peer,
                         uint32_t slot)
{
    struct verbs_link *link = link_up(endpoint, peer);

    if (link == NULL || slot >= endpoint->config.slots)
        return NULL;
    if (link->puts[slot].leaving)
        (void)verbs_collect(endpoint);
    if (link->puts[slot].leaving || link->state != LINK_UP)
        return NULL;
    return link->staging + (size_t)slot * endpoint->config.slot_bytes;
}

static int enqueue(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                   const struct verbs_put *put)
{
    struct verbs_link *link = link_up(endpoint, peer);
    uint64_t bytes = (uint64_t)put->bytes + put->to_bytes;

    if (slot >= endpoint->config.slots || put->bytes < 64 ||
        put->bytes % 8 != 0 || bytes > endpoint->config.slot_bytes)
        return -EINVAL;
    if (link == NULL)
        return -ENOTCONN;
    if (link->puts[slot].leaving)
        return -EBUSY;
    verbs_enqueue(endpoint, link, slot, put);
    if (bytes <= link->inline_bytes)
        verbs_post(endpoint, link);
    else
        verbs_ready(endpoint, link);
    return 0;
}

static int verbs_put(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                     uint32_t bytes)
{
    return enqueue(endpoint, peer, slot, &(struct verbs_put){.bytes = bytes});
}

static int verbs_put_from(struct endpoint *endpoint, uint32_t peer,
                          uint32_t slot, uint32_t bytes, const void *memory,
                          uint32_t memory_bytes)
{
    const struct verbs_link *link = link_up(endpoint, peer);
    const struct ibv_mr *key;

    if (link == NULL)
        return -ENOTCONN;
    if (memory_bytes == 0 || memory_bytes >= bytes)
        return -EINVAL;
    key = verbs_find(endpoint, link, memory, memory_bytes, false);
    if (key == NULL)
        return -EFAULT;
    return enqueue(endpoint, peer, slot,
                   &(struct verbs_put){.bytes = bytes,
                                       .from_bytes = memory_bytes,
                                       .from_key = key->lkey,
                                       .from = (uintptr_t)memory});
}

static int verbs_put_to(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                        uint32_t bytes, uint32_t apart_bytes,
                        const struct landing_place *place)
{
    return enqueue(endpoint, peer, slot,
                   &(struct verbs_put){.bytes = bytes,
                                       .to_bytes = apart_bytes,
                                       .to_key = place->key,
                                       .to = place->address});
}

static bool verbs_offers(struct endpoint *endpoint, uint32_t peer, void *memory,
                         size_t bytes, struct landing_place *place)
{
    const struct verbs_link *link = link_up(endpoint, peer);
    const struct ibv_mr *key =
        link == NULL ? NULL : verbs_find(endpoint, link, memory, bytes, true);

    if (key == NULL)
        return false;
    *place =
        (struct landing_place){.address = (uintptr_t)memory, .key = key->rkey};
    return true;
}

void verbs_ready(struct endpoint *endpoint, struct verbs_link *link)
{
    uint32_t last = endpoint->ready_first + endpoint->ready_count;

    /* Before it is up it may yet be freed. */
    if (link->queued || link->state == LINK_MEETING)
        return;
    link->queued = true;
    endpoint->ready[last % endpoint->config.ranks] = link->peer;
    endpoint->ready_count++;
}

static struct verbs_link *take_ready(struct endpoint *endpoint)
{
    uint32_t peer = endpoint->ready[endpoint->ready_first];
    struct verbs_link *link = endpoint->links[peer];

    endpoint->ready_first =
        (endpoint->ready_first + 1) % endpoint->config.ranks;
    endpoint->ready_count--;
    link->queued = false;
    return link;
}

/* Posts what waits and reports what has arrived; the loss comes last. */
static int take_turn(struct endpoint *endpoint, struct verbs_link *link,
                     struct event *events, int max)
{
    int most = max < TURN_EVENTS ? max : TURN_EVENTS;
    int count = 0;

    verbs_post(endpoint, link);
    if (link->state == LINK_GONE)
        return 0;
    while (count < most && verbs_next(endpoint, link, &events[count]))
        count++;
    if (count == most) {
        verbs_ready(endpoint, link);
    } else if (link->state == LINK_ENDED) {
        events[count++] = (struct event){
            .kind = EVENT_LOST,
            .peer = link->peer,
            .reason = link->reason,
        };
        verbs_link_cut(endpoint, link);
    }
    return count;
}

/* What arrived before the end of a control connection is in: that was it. */
static void end_closing(struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        struct verbs_link *link = endpoint->links[endpoint->peers[i]];

        if (link->state == LINK_CLOSING && link->sealing == 0)
            verbs_lose(endpoint, link, -ECONNRESET);
    }
}

static int verbs_poll(struct endpoint *endpoint, struct event *events, int max)
{
    uint32_t turns;
    int count = 0;

    if (endpoint->armed || ++endpoint->polls % POLLS_PER_WATCH == 0)
        verbs_watch(endpoint);
    endpoint->armed = false;
    if (verbs_collect(endpoint) && endpoint->closing > 0)
        end_closing(endpoint);
    for (turns = endpoint->ready_count; turns > 0 && count < max; turns--)
        count += take_turn(endpoint, take_ready(endpoint), &events[count],
                           max - count);
    /* Without room for events the others keep their place, but can send. */
    for (uint32_t i = 0; i < turns; i++) {
        uint32_t at = (endpoint->ready_first + i) % endpoint->config.ranks;

        verbs_post(endpoint, endpoint->links[endpoint->ready[at]]);
    }
    return count;
}

/* Who asks to be told of the next completion looks once more: what came just
 * before is not told. */
static int verbs_arm(struct endpoint *endpoint)
{
    endpoint->armed = true;
    for (uint32_t i = 0; i < endpoint->queues_count; i++)
        if (ibv_req_notify_cq(endpoint->queues[i], 0) != 0)
            return -EAGAIN;
    if (!verbs_collect(endpoint) || endpoint->ready_count > 0 ||
        endpoint->closing > 0)
        return -EAGAIN;
    return endpoint->epoll;
}

static bool verbs_busy(struct endpoint *endpoint)
{
    return endpoint->unfinished > 0;
}

static void verbs_drop(struct endpoint *endpoint, uint32_t peer)
{
    if (peer < endpoint->config.ranks && endpoint->links[peer] != NULL)
        verbs_link_cut(endpoint, endpoint->links[peer]);
}

static void verbs_counts(struct endpoint *endpoint,
                         struct endpoint_counts *counts)
{
    *counts = endpoint->counts;
}

const struct transport transport_verbs = {
    .name = "verbs",
    .open = verbs_open,
    .address = verbs_address,
    .connect = verbs_connect,
    .close = verbs_close,
    .stage = verbs_stage,
    .put = verbs_put,
    .poll = verbs_poll,
    .arm = verbs_arm,
    .busy = verbs_busy,
    .drop = verbs_drop,
    .counts = verbs_counts,
    .release = verbs_release,
    .enrol = verbs_enrol,
    .withdraw = verbs_withdraw,
    .put_from = verbs_put_from,
    .offers = verbs_offers,
    .put_to = verbs_put_to,
};
