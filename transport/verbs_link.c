/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_link.c - one peer: its protection domain, memory and queue pairs.
 *
 * A key of this link is void in any other protection domain, so whatever a peer
 * guesses it reaches its own slots. Completion queues have room for everything
 * that can complete, for one that runs over takes all its queue pairs with it.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "memory.h"
#include "memory_node.h"
#include "verbs.h"

enum {
    RNR_TIMER = 12,  /* 0.64 ms; a receive is missing only for a liar */
    RNR_RETRIES = 6, /* 7 would have no end */
    PACKET_NUMBERS = 1 << 24,
};

/* ---- Completion queues ---- */

static uint32_t entries_of_link(const struct endpoint *endpoint)
{
    return endpoint->settings.stripes *
           (endpoint->send_depth + endpoint->receive_depth);
}

int verbs_queues_open(struct endpoint *endpoint, uint32_t links)
{
    uint32_t entries = entries_of_link(endpoint);
    uint32_t room = (uint32_t)endpoint->device.limits.max_cqe / entries;
    uint32_t each = links < room ? links : room;
    uint32_t count;

    if (room == 0) {
        verbs_explain(endpoint,
                      "the device's completion queues hold %d entries and a "
                      "peer needs %u: choose a smaller BALLOT_WINDOW",
                      endpoint->device.limits.max_cqe, entries);
        return -E2BIG;
    }
    count = (links + each - 1) / each;
    endpoint->queues = calloc(count, sizeof(struct ibv_cq *));
    if (endpoint->queues == NULL)
        return -ENOMEM;
    while (endpoint->queues_count < count) {
        struct ibv_cq *queue;

        errno = ENOMEM;
        queue = ibv_create_cq(endpoint->device.context, (int)(each * entries),
                              NULL, endpoint->channel, 0);
        if (queue == NULL) {
            verbs_explain(endpoint, "ibv_create_cq for %u entries: %s",
                          each * entries, strerror(errno));
            return -errno;
        }
        endpoint->queues[endpoint->queues_count++] = queue;
    }
    return 0;
}

void verbs_queues_close(struct endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->queues_count; i++)
        ibv_destroy_cq(endpoint->queues[i]);
    free(endpoint->queues);
    endpoint->queues = NULL;
    endpoint->queues_count = 0;
}

/* ---- Memory ---- */

static size_t region_bytes(const struct endpoint *endpoint)
{
    return (size_t)endpoint->config.slots * endpoint->config.slot_bytes;
}

/* The peer reaches these through windows alone. */
static size_t sealed_bytes(const struct endpoint *endpoint)
{
    return (size_t)endpoint->sealed * endpoint->config.slot_bytes;
}

static size_t landing_bytes(const struct endpoint *endpoint)
{
    return region_bytes(endpoint) + MEMORY_SKEW_MAX;
}

/* Maps memory near the device, which is the one that writes or reads it. */
static int map_near(const struct endpoint *endpoint, void **memory,
                    size_t bytes)
{
    int rc = memory_map(memory, bytes);

    if (rc == 0 && endpoint->device.node >= 0)
        (void)memory_node_bind(*memory, memory_round(bytes),
                               endpoint->device.node);
    return rc;
}

static int register_memory(const struct endpoint *endpoint,
                           struct verbs_link *link, void *memory, size_t bytes,
                           unsigned int access, struct ibv_mr **key)
{
    struct rlimit limit = {0};

    errno = ENOMEM;
    *key = ibv_reg_mr(link->domain, memory, bytes, access);
    if (*key != NULL)
        return 0;
    if (errno != ENOMEM) {
        verbs_explain(endpoint, "ibv_reg_mr of %zu bytes: %s", bytes,
                      strerror(errno));
        return -errno;
    }
    getrlimit(RLIMIT_MEMLOCK, &limit);
    verbs_explain(endpoint,
                  "the device may lock %llu KiB of memory and needs %llu for "
                  "%u ranks: raise the limit (ulimit -l unlimited; in "
                  "containers --ulimit memlock=-1) or choose a smaller "
                  "BALLOT_WINDOW or BALLOT_CHUNK",
                  (unsigned long long)limit.rlim_cur / 1024,
                  (unsigned long long)endpoint->config.ranks * 2 *
                      region_bytes(endpoint) / 1024,
                  endpoint->config.ranks);
    return -ENOMEM;
}

static int make_memory(const struct endpoint *endpoint, struct verbs_link *link)
{
    void *staging;
    int rc = map_near(endpoint, &link->landing, landing_bytes(endpoint));

    if (rc != 0)
        return rc;
    link->inbound = (uint8_t *)link->landing + memory_skew(link->peer);
    rc = map_near(endpoint, &staging, region_bytes(endpoint));
    if (rc != 0)
        return rc;
    link->staging = staging;
    rc = register_memory(endpoint, link, link->staging, region_bytes(endpoint),
                         0, &link->staging_key);
    if (rc != 0)
        return rc;
    return register_memory(
        endpoint, link, link->inbound + sealed_bytes(endpoint),
        region_bytes(endpoint) - sealed_bytes(endpoint),
        IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE, &link->inbound_key);
}

/* ---- Queue pairs ---- */

/* Devices differ in how much they take into a work request; what does not fit
 * goes from staging. */
static int create_pair(const struct endpoint *endpoint, struct verbs_link *link,
                       struct verbs_stripe *stripe)
{
    static const uint32_t inline_bytes[] = {INLINE_BYTES, 64, 0};
    struct ibv_cq *queue =
        endpoint->queues[link->peer % endpoint->queues_count];

    for (size_t i = 0; i < sizeof(inline_bytes) / sizeof(inline_bytes[0]);
         i++) {
        struct ibv_qp_init_attr attributes = {
            .qp_context = link,
            .send_cq = queue,
            .recv_cq = queue,
            .cap = {.max_send_wr = endpoint->send_depth,
                    .max_recv_wr = endpoint->receive_depth,
                    .max_send_sge = 2,
                    .max_recv_sge = 1,
                    .max_inline_data = inline_bytes[i]},
            .qp_type = IBV_QPT_RC,
        };

        errno = ENOMEM;
        stripe->pair = ibv_create_qp(link->domain, &attributes);
        if (stripe->pair == NULL)
            continue;
        if (inline_bytes[i] < link->inline_bytes)
            link->inline_bytes = inline_bytes[i];
        return 0;
    }
    verbs_explain(endpoint, "ibv_create_qp with %u sends and %u receives: %s",
                  endpoint->send_depth, endpoint->receive_depth,
                  strerror(errno));
    return -errno;
}

/* The partition of a route, as an index in our port's table. */
static uint16_t find_pkey(const struct verbs_device *device, uint16_t pkey)
{
    for (int i = 0; pkey != 0 && i < device->limits.max_pkeys; i++) {
        __be16 entry;

        if (ibv_query_pkey(device->context, device->port, i, &entry) == 0 &&
            entry == pkey)
            return (uint16_t)i;
    }
    return 0;
}

/* Before this a queue pair takes no receives. The partition is not known yet;
 * it is set with the route. */
static int prepare_pair(const struct endpoint *endpoint, struct ibv_qp *pair,
                        uint16_t pkey_index)
{
    struct ibv_qp_attr attributes = {
        .qp_state = IBV_QPS_INIT,
        .pkey_index = pkey_index,
        .port_num = endpoint->device.port,
        .qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
    };
    int rc = ibv_modify_qp(pair, &attributes,
                           IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
                               IBV_QP_ACCESS_FLAGS);

    if (rc != 0)
        verbs_explain(endpoint, "ibv_modify_qp to INIT: %s", strerror(rc));
    return -rc;
}

static int make_stripe(const struct endpoint *endpoint, struct verbs_link *link,
                       uint32_t index)
{
    struct verbs_stripe *stripe = &link->stripes[index];
    int rc;

    stripe->waiting = calloc(endpoint->config.slots, sizeof(uint16_t));
    stripe->carried = calloc(endpoint->send_depth, sizeof(uint16_t));
    if (stripe->waiting == NULL || stripe->carried == NULL)
        return -ENOMEM;
    rc = create_pair(endpoint, link, stripe);
    if (rc == 0)
        rc = prepare_pair(endpoint, stripe->pair, 0);
    if (rc == 0)
        rc = verbs_post_receives(link, index, endpoint->receive_depth);
    return rc;
}

int verbs_link_make(struct endpoint *endpoint, uint32_t peer,
                    struct verbs_link **out)
{
    uint32_t slots = endpoint->config.slots;
    struct verbs_link *link = calloc(1, sizeof(*link));
    int rc = -ENOMEM;

    if (link == NULL)
        return -ENOMEM;
    link->peer = peer;
    link->descriptor = -1;
    link->inline_bytes = INLINE_BYTES;
    link->first_number = randombytes_uniform(PACKET_NUMBERS);
    link->remote_keys = calloc(slots, sizeof(*link->remote_keys));
    link->puts = calloc(slots, sizeof(*link->puts));
    link->arrivals = calloc(endpoint->arrivals, sizeof(*link->arrivals));
    if (link->remote_keys == NULL || link->puts == NULL ||
        link->arrivals == NULL)
        goto free_link;
    errno = ENOMEM;
    link->domain = ibv_alloc_pd(endpoint->device.context);
    rc = link->domain == NULL ? -errno : make_memory(endpoint, link);
    for (uint32_t i = 0; i < endpoint->settings.stripes && rc == 0; i++)
        rc = make_stripe(endpoint, link, i);
    /* After the queue pair: when a process is killed the kernel gives back what
     * was made last first, and rxe never ends one that a window keeps. */
    if (rc == 0)
        rc = verbs_seals_make(endpoint, link);
    if (rc != 0)
        goto free_link;
    *out = link;
    return 0;
free_link:
    verbs_link_free(endpoint, link);
    return rc;
}

/* Ready to receive. No peer reads from us; some devices want room for it. */
static int aim_receiving(const struct endpoint *endpoint, struct ibv_qp *pair,
                         const struct verbs_route *route,
                         const struct verbs_offer *offer, uint32_t peer_pair)
{
    struct ibv_qp_attr attributes = {
        .qp_state = IBV_QPS_RTR,
        .ah_attr = route->path,
        .path_mtu = offer->mtu < route->mtu ? offer->mtu : route->mtu,
        .dest_qp_num = peer_pair,
        .rq_psn = offer->first_number,
        .min_rnr_timer = RNR_TIMER,
    };
    int mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
               IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
    int rc = ibv_modify_qp(pair, &attributes, mask);

    if (rc == EINVAL) {
        attributes.max_dest_rd_atomic = 1;
        rc = ibv_modify_qp(pair, &attributes, mask);
    }
    if (rc == ETIMEDOUT)
        verbs_explain(endpoint,
                      "ibv_modify_qp to RTR: the peer's hardware address "
                      "cannot be found (wrong GID or no route? "
                      "BALLOT_IB_GID_INDEX chooses another)");
    else if (rc != 0)
        verbs_explain(endpoint, "ibv_modify_qp to RTR: %s", strerror(rc));
    return -rc;
}

static int aim_sending(const struct endpoint *endpoint, struct ibv_qp *pair,
                       uint32_t first_number)
{
    struct ibv_qp_attr attributes = {
        .qp_state = IBV_QPS_RTS,
        .sq_psn = first_number,
        .timeout = endpoint->settings.timeout,
        .retry_cnt = endpoint->settings.retries,
        .rnr_retry = RNR_RETRIES,
    };
    int rc = ibv_modify_qp(pair, &attributes,
                           IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
                               IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
                               IBV_QP_MAX_QP_RD_ATOMIC);

    if (rc != 0)
        verbs_explain(endpoint, "ibv_modify_qp to RTS: %s", strerror(rc));
    return -rc;
}

int verbs_link_aim(const struct endpoint *endpoint, struct verbs_link *link,
                   const struct verbs_route *route,
                   const struct verbs_offer *offer)
{
    uint16_t pkey_index = find_pkey(&endpoint->device, route->pkey);
    int rc = 0;

    for (uint32_t i = 0; i < endpoint->settings.stripes && rc == 0; i++) {
        struct ibv_qp *pair = link->stripes[i].pair;

        if (pkey_index != 0)
            rc = prepare_pair(endpoint, pair, pkey_index);
        if (rc == 0)
            rc = aim_receiving(endpoint, pair, route, offer, offer->pairs[i]);
        if (rc == 0)
            rc = aim_sending(endpoint, pair, link->first_number);
    }
    if (rc == 0)
        rc = verbs_seals_open(endpoint, link);
    link->remote = offer->memory;
    link->aimed = rc == 0;
    return rc;
}

/* ---- The end ---- */

void verbs_link_cut(struct endpoint *endpoint, struct verbs_link *link)
{
    struct ibv_qp_attr error = {.qp_state = IBV_QPS_ERR};

    if (link->descriptor < 0)
        return;
    if (link->state == LINK_CLOSING)
        endpoint->closing--;
    link->state = LINK_GONE;
    /* First the peer is told; a child that was forked may hold the connection,
     * too, and with it what is watched. Then it can write no more. */
    epoll_ctl(endpoint->epoll, EPOLL_CTL_DEL, link->descriptor, NULL);
    shutdown(link->descriptor, SHUT_RDWR);
    close(link->descriptor);
    link->descriptor = -1;
    for (uint32_t i = 0; i < endpoint->settings.stripes; i++)
        (void)ibv_modify_qp(link->stripes[i].pair, &error, IBV_QP_STATE);
    endpoint->unfinished -= link->unfinished;
    link->unfinished = 0;
}

void verbs_link_free(const struct endpoint *endpoint, struct verbs_link *link)
{
    /* A window that is bound keeps its queue pair: rxe would wait for ever. */
    verbs_seals_free(endpoint, link);
    for (uint32_t i = 0; i < VERBS_STRIPES_MAX; i++) {
        if (link->stripes[i].pair != NULL)
            ibv_destroy_qp(link->stripes[i].pair);
        free(link->stripes[i].waiting);
        free(link->stripes[i].carried);
    }
    if (link->sealed_key != NULL)
        ibv_dereg_mr(link->sealed_key);
    if (link->inbound_key != NULL)
        ibv_dereg_mr(link->inbound_key);
    if (link->staging_key != NULL)
        ibv_dereg_mr(link->staging_key);
    if (link->domain != NULL)
        ibv_dealloc_pd(link->domain);
    memory_unmap(link->landing, landing_bytes(endpoint));
    memory_unmap(link->staging, region_bytes(endpoint));
    if (link->descriptor >= 0)
        close(link->descriptor);
    free(link->offer);
    free(link->arrivals);
    free(link->puts);
    free(link->remote_keys);
    free(link);
}
