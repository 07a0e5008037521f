/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_offer.c - two ranks tell each other which queue pairs and which memory
 * they have for one another.
 *
 * They do so over a connection that has proven its key, and never through the
 * connection manager: its private data is not authenticated, its requests let a
 * peer choose our retries and MTU, and anybody may send them. The offer has one
 * length on both sides, so none is read from the wire.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "stream.h"
#include "verbs.h"

enum {
    OFFER_MAGIC = 0x31766c62, /* "blv1" */
    AT_SLOTS = 4,
    AT_SLOT_BYTES = 8,
    AT_STRIPES = 12,
    AT_MTU = 16,
    AT_NUMBER = 20,
    AT_MEMORY = 24,
    AT_SEALED = 32,
    AT_PAIRS = 36,
    AT_KEYS = AT_PAIRS + 4 * VERBS_STRIPES_MAX,
    CONFIRM_BYTES = 4, /* follows the offer: I can be written to */
};

static size_t offer_bytes(const struct endpoint *endpoint)
{
    return AT_KEYS + 4 * (size_t)endpoint->config.slots;
}

static void write_offer(const struct endpoint *endpoint,
                        const struct verbs_link *link, uint8_t *bytes)
{
    uint64_t memory = (uintptr_t)link->inbound;

    memset(bytes, 0, offer_bytes(endpoint));
    stream_store32(bytes, OFFER_MAGIC);
    stream_store32(bytes + AT_SLOTS, endpoint->config.slots);
    stream_store32(bytes + AT_SLOT_BYTES, endpoint->config.slot_bytes);
    stream_store32(bytes + AT_STRIPES, endpoint->settings.stripes);
    stream_store32(bytes + AT_MTU, endpoint->device.mtu);
    stream_store32(bytes + AT_NUMBER, link->first_number);
    stream_store32(bytes + AT_SEALED, endpoint->sealed);
    stream_store32(bytes + AT_MEMORY, (uint32_t)memory);
    stream_store32(bytes + AT_MEMORY + 4, (uint32_t)(memory >> 32));
    for (uint32_t i = 0; i < endpoint->settings.stripes; i++)
        stream_store32(bytes + AT_PAIRS + 4 * i, link->stripes[i].pair->qp_num);
    for (uint32_t slot = 0; slot < endpoint->config.slots; slot++)
        stream_store32(bytes + AT_KEYS + 4 * slot,
                       verbs_seal_key(endpoint, link, slot));
}

/* Wrong keys and addresses harm whoever offers them; the rest is compared. */
static int read_offer(const struct endpoint *endpoint, struct verbs_link *link,
                      struct verbs_offer *offer)
{
    const uint8_t *bytes = link->offer;
    uint32_t mtu = stream_load32(bytes + AT_MTU);

    if (stream_load32(bytes) != OFFER_MAGIC ||
        stream_load32(bytes + AT_SLOTS) != endpoint->config.slots ||
        stream_load32(bytes + AT_SLOT_BYTES) != endpoint->config.slot_bytes ||
        mtu < IBV_MTU_256 || mtu > IBV_MTU_4096)
        return -EPROTO;
    if (stream_load32(bytes + AT_STRIPES) != endpoint->settings.stripes) {
        verbs_explain(endpoint,
                      "rank %u has %u queue pairs and we have %u: give all the "
                      "same BALLOT_IB_QPS_PER_CONNECTION",
                      link->peer, stream_load32(bytes + AT_STRIPES),
                      endpoint->settings.stripes);
        return -EPROTO;
    }
    if (stream_load32(bytes + AT_SEALED) != endpoint->sealed) {
        verbs_explain(endpoint,
                      "rank %u seals %u slots and we %u: give all the same "
                      "BALLOT_IB_SEAL",
                      link->peer, stream_load32(bytes + AT_SEALED),
                      endpoint->sealed);
        return -EPROTO;
    }
    offer->mtu = (enum ibv_mtu)mtu;
    offer->first_number = stream_load32(bytes + AT_NUMBER) & 0xffffff;
    offer->memory = stream_load32(bytes + AT_MEMORY) |
                    (uint64_t)stream_load32(bytes + AT_MEMORY + 4) << 32;
    for (uint32_t i = 0; i < endpoint->settings.stripes; i++)
        offer->pairs[i] = stream_load32(bytes + AT_PAIRS + 4 * i) & 0xffffff;
    for (uint32_t slot = 0; slot < endpoint->config.slots; slot++)
        link->remote_keys[slot] = stream_load32(bytes + AT_KEYS + 4 * slot);
    return 0;
}

/* Sends bytes [from, from + count) of what we have to say, link->told of which
 * are gone. 1: all, 0: not now. */
static int tell(struct verbs_link *link, size_t from, const uint8_t *bytes,
                size_t count)
{
    size_t done = link->told - from;
    int rc = stream_send(link->descriptor, bytes, count, &done);

    link->told = from + done;
    return rc;
}

static int hear(struct verbs_link *link, size_t from, uint8_t *bytes,
                size_t count)
{
    size_t done = link->heard - from;
    int rc = stream_receive(link->descriptor, bytes, count, &done);

    link->heard = from + done;
    return rc;
}

/* Our offer goes out, the peer's comes in. 1: both have. */
static int exchange_offers(const struct endpoint *endpoint,
                           struct verbs_link *link)
{
    size_t bytes = offer_bytes(endpoint);
    int told = 1, heard = 1;

    if (link->told < bytes) {
        uint8_t *ours = malloc(bytes);

        if (ours == NULL)
            return -ENOMEM;
        write_offer(endpoint, link, ours);
        told = tell(link, 0, ours, bytes);
        free(ours);
    }
    if (told >= 0 && link->heard < bytes)
        heard = hear(link, 0, link->offer, bytes);
    if (told < 0 || heard < 0)
        return told < 0 ? told : heard;
    return told == 1 && heard == 1;
}

/* Both sides say that their queue pairs are aimed; before that a write would be
 * lost, and found again only after a timeout. 1: both have. */
static int exchange_confirmations(const struct endpoint *endpoint,
                                  struct verbs_link *link)
{
    static const uint8_t confirmation[CONFIRM_BYTES] = {'u', 'p', '!', '\n'};
    size_t from = offer_bytes(endpoint);
    uint8_t *theirs = link->offer + from;
    int told = tell(link, from, confirmation, CONFIRM_BYTES);
    int heard;

    if (told < 0)
        return told;
    heard = hear(link, from, theirs, CONFIRM_BYTES);
    if (heard <= 0)
        return heard;
    if (memcmp(theirs, confirmation, CONFIRM_BYTES) != 0)
        return -EPROTO;
    return told == 1;
}

/* Moves one link forward; -EAGAIN until it is up. */
static int meet(struct endpoint *endpoint, struct verbs_link *link,
                const struct verbs_route *route)
{
    struct verbs_offer offer = {0};
    int rc;

    if (!link->aimed) {
        rc = exchange_offers(endpoint, link);
        if (rc <= 0)
            return rc == 0 ? -EAGAIN : rc;
        rc = read_offer(endpoint, link, &offer);
        if (rc == 0)
            rc = verbs_link_aim(endpoint, link, route, &offer);
        if (rc != 0)
            return rc;
    }
    /* Windows that are not open yet would refuse the peer's first write. */
    (void)verbs_collect(endpoint);
    if (link->reason != 0)
        return link->reason;
    if (link->stripes[0].posted != link->stripes[0].done)
        return -EAGAIN;
    rc = exchange_confirmations(endpoint, link);
    if (rc <= 0)
        return rc == 0 ? -EAGAIN : rc;
    link->state = LINK_UP;
    if (link->arrivals[link->expected].there) /* already */
        verbs_ready(endpoint, link);
    free(link->offer);
    link->offer = NULL;
    return 0;
}

static void discard(struct endpoint *endpoint, uint32_t peer)
{
    verbs_link_free(endpoint, endpoint->links[peer]);
    endpoint->links[peer] = NULL;
}

/* Others may fail only because they wait for the same rank. */
static void name_first(const struct endpoint *endpoint, uint32_t peer, int rc)
{
    const char *why = endpoint->config.why;

    if (why != NULL && why[0] == '\0')
        verbs_explain(endpoint, "rank %u was the first to fail: %s", peer,
                      strerror(-rc));
}

/* Moves all links forward; returns how many wait, in waiting[]. */
static uint32_t meet_all(struct endpoint *endpoint,
                         const struct verbs_route *routes,
                         struct pollfd *waiting, int *failure)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < endpoint->config.ranks; i++) {
        struct verbs_link *link = endpoint->links[i];
        int rc;

        if (link == NULL || link->state != LINK_MEETING)
            continue;
        rc = meet(endpoint, link, &routes[i]);
        if (rc == -EAGAIN) {
            size_t all = offer_bytes(endpoint) +
                         (link->aimed ? (size_t)CONFIRM_BYTES : 0);

            waiting[count].fd = link->descriptor;
            waiting[count++].events =
                link->told >= all ? POLLIN : POLLIN | POLLOUT;
        } else if (rc != 0) {
            discard(endpoint, i);
            if (*failure == 0)
                name_first(endpoint, i, rc);
            *failure = *failure == 0 ? rc : *failure;
        }
    }
    return count;
}

int verbs_links_exchange(struct endpoint *endpoint,
                         const struct verbs_route *routes, uint64_t deadline_ns)
{
    uint32_t ranks = endpoint->config.ranks;
    struct pollfd *waiting = calloc(ranks + 1, sizeof(*waiting));
    uint32_t count = 0;
    int failure = waiting == NULL ? -ENOMEM : 0;

    for (uint32_t i = 0; i < ranks; i++) {
        struct verbs_link *link = endpoint->links[i];

        if (link == NULL || link->state != LINK_MEETING)
            continue;
        link->offer = malloc(offer_bytes(endpoint) + CONFIRM_BYTES);
        if (link->offer == NULL) {
            discard(endpoint, i);
            failure = -ENOMEM;
        }
    }
    while (waiting != NULL &&
           (count = meet_all(endpoint, routes, waiting, &failure)) > 0) {
        uint64_t now_ns = clock_now_ns();

        if (now_ns >= deadline_ns)
            break;
        /* Nothing wakes us when windows are open: look again. */
        if (stream_poll(waiting, count, endpoint->config.bell,
                        endpoint->sealed > 0
                            ? 1
                            : stream_wait_ms(now_ns, deadline_ns))) {
            failure = -ECANCELED;
            break;
        }
    }
    free(waiting);
    for (uint32_t i = 0; i < ranks; i++)
        if (endpoint->links[i] != NULL &&
            endpoint->links[i]->state == LINK_MEETING)
            discard(endpoint, i);
    return failure == 0 && count > 0 ? -ETIMEDOUT : failure;
}
