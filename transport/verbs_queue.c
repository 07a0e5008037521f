/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_queue.c - completions to arrivals.
 *
 * Receives have no memory: a write lands where it was aimed, and its immediate
 * data takes a receive. There are as many as an honest peer can need, and they
 * are posted again only when an arrival is reported, so a peer that floods us
 * waits for us.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "stream.h"
#include "verbs.h"

enum {
    BATCH = 16,        /* work requests posted by one call */
    COLLECT_MAX = 128, /* completions taken in one poll */
    COLLECT_AT_ONCE = 16,
};

int verbs_post_receives(struct verbs_link *link, uint32_t stripe,
                        uint32_t count)
{
    struct ibv_recv_wr receives[RECEIVE_BATCH];
    struct ibv_recv_wr *bad;

    while (count > 0) {
        uint32_t batch = count < RECEIVE_BATCH ? count : RECEIVE_BATCH;
        int rc;

        for (uint32_t i = 0; i < batch; i++)
            receives[i] = (struct ibv_recv_wr){
                .wr_id = verbs_work_pack((struct verbs_work){
                    .peer = link->peer, .stripe = (uint8_t)stripe}),
                .next = i + 1 < batch ? &receives[i + 1] : NULL,
            };
        rc = ibv_post_recv(link->stripes[stripe].pair, receives, &bad);
        if (rc != 0)
            return -rc;
        count -= batch;
    }
    return 0;
}

void verbs_lose(struct endpoint *endpoint, struct verbs_link *link, int reason)
{
    /* It is not up yet; who makes it so sees the reason. */
    if (link->state == LINK_MEETING && link->reason == 0)
        link->reason = reason;
    if (link->state != LINK_UP && link->state != LINK_CLOSING)
        return;
    if (link->state == LINK_CLOSING)
        endpoint->closing--;
    endpoint->counts.violations += reason == -EPROTO;
    link->state = LINK_ENDED;
    link->reason = reason;
    verbs_ready(endpoint, link);
}

/* What the status of the first failure says. After a peer has closed, whatever
 * its queue pair answers is no fault of the network. */
static int reason_of(const struct endpoint *endpoint,
                     const struct verbs_link *link, enum ibv_wc_status status)
{
    if (stream_ended(link->descriptor))
        return -ECONNRESET;
    switch (status) {
    case IBV_WC_RETRY_EXC_ERR:
        return endpoint->port_down ? -ENETDOWN : -ETIMEDOUT;
    case IBV_WC_RNR_RETRY_EXC_ERR: return -ENOBUFS;
    case IBV_WC_REM_ACCESS_ERR:
    case IBV_WC_LOC_PROT_ERR:
    case IBV_WC_LOC_ACCESS_ERR: return -EACCES;
    case IBV_WC_WR_FLUSH_ERR: return -ECONNRESET;
    default: return endpoint->port_down ? -ENETDOWN : -EIO;
    }
}

/* Work request `index` of a stripe is through, and with it all before. */
static void complete_sends(struct endpoint *endpoint, struct verbs_link *link,
                           struct verbs_stripe *stripe, uint16_t index)
{
    bool waited = stripe->waiting_count > 0;

    while ((uint16_t)stripe->done != (uint16_t)(index + 1)) {
        uint16_t slot = stripe->carried[stripe->done++ % endpoint->send_depth];

        if (slot == NO_PUT)
            continue;
        if (slot != NO_SLOT && (slot & SEALS_SLOT) != 0) {
            link->seals[slot & ~SEALS_SLOT].closed = true;
            link->sealing--;
            verbs_ready(endpoint, link);
            continue;
        }
        if (slot != NO_SLOT)
            link->puts[slot].leaving = false;
        link->unfinished--;
        endpoint->unfinished--;
    }
    if (waited)
        verbs_ready(endpoint, link);
}

static bool is_valid(const struct endpoint *endpoint,
                     const struct verbs_link *link, uint32_t stripe,
                     uint32_t slot, uint32_t bytes, uint16_t number)
{
    uint16_t ahead = (uint16_t)(number - link->expected);

    return slot < endpoint->config.slots &&
           verbs_stripe_of(endpoint, slot) == stripe && bytes >= 64 &&
           bytes <= endpoint->config.slot_bytes && bytes % 8 == 0 &&
           ahead < endpoint->arrivals &&
           !link->arrivals[number % endpoint->arrivals].there;
}

static void take_arrival(struct endpoint *endpoint, struct verbs_link *link,
                         uint32_t stripe, const struct ibv_wc *completion)
{
    uint32_t immediate = ntohl(completion->imm_data);
    uint16_t number = (uint16_t)(immediate >> 16);
    uint16_t slot = (uint16_t)immediate;
    uint32_t bytes = completion->byte_len;

    if (completion->opcode != IBV_WC_RECV_RDMA_WITH_IMM ||
        !is_valid(endpoint, link, stripe, slot, bytes, number)) {
        verbs_lose(endpoint, link, -EPROTO);
        return;
    }
    link->arrivals[number % endpoint->arrivals] =
        (struct verbs_arrival){.there = true, .slot = slot, .bytes = bytes};
    if (slot < endpoint->sealed)
        verbs_seal(endpoint, link, slot);
    else
        verbs_ready(endpoint, link);
}

/* Only the status, wr_id and queue pair of a failure mean something. What a
 * link completes after its end does not matter any more. */
static void take_completion(struct endpoint *endpoint,
                            const struct ibv_wc *completion)
{
    struct verbs_work work = verbs_work_unpack(completion->wr_id);
    struct verbs_link *link = endpoint->links[work.peer];

    if (link == NULL || link->state == LINK_ENDED || link->state == LINK_GONE)
        return;
    if (completion->status != IBV_WC_SUCCESS)
        verbs_lose(endpoint, link,
                   reason_of(endpoint, link, completion->status));
    else if (work.sent)
        complete_sends(endpoint, link, &link->stripes[work.stripe], work.index);
    else
        take_arrival(endpoint, link, work.stripe, completion);
}

bool verbs_collect(struct endpoint *endpoint)
{
    struct ibv_wc completions[COLLECT_AT_ONCE];
    bool all = true;

    for (uint32_t i = 0; i < endpoint->queues_count; i++) {
        int taken = 0, count;

        do {
            count =
                ibv_poll_cq(endpoint->queues[i], COLLECT_AT_ONCE, completions);
            for (int c = 0; c < count; c++)
                take_completion(endpoint, &completions[c]);
            taken += count;
        } while (count == COLLECT_AT_ONCE && taken < COLLECT_MAX);
        all &= count < COLLECT_AT_ONCE;
    }
    return all;
}

bool verbs_next(struct endpoint *endpoint, struct verbs_link *link,
                struct event *event)
{
    struct verbs_arrival *arrival =
        &link->arrivals[link->expected % endpoint->arrivals];
    uint32_t index;

    if (!arrival->there || (arrival->slot < endpoint->sealed &&
                            !link->seals[arrival->slot].closed))
        return false;
    *event = (struct event){
        .kind = EVENT_ARRIVED,
        .peer = link->peer,
        .slot = arrival->slot,
        .bytes = arrival->bytes,
        .memory =
            link->inbound + (size_t)arrival->slot * endpoint->config.slot_bytes,
    };
    index = verbs_stripe_of(endpoint, arrival->slot);
    arrival->there = false;
    link->expected++;
    if (++link->stripes[index].spent == RECEIVE_BATCH &&
        link->state == LINK_UP) {
        int rc = verbs_post_receives(link, index, RECEIVE_BATCH);

        link->stripes[index].spent = 0;
        if (rc != 0)
            verbs_lose(endpoint, link, rc);
    }
    return true;
}
