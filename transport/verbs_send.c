/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_send.c - puts to work requests.
 *
 * Large puts are posted together, at the next poll; only the last of a batch
 * completes with a sign of it, for a queue pair works in order. A small one is
 * posted at once and copied into the work request, so that its staging is free
 * again.
 *
 * A put is at most two writes: what goes to memory that the peer has named,
 * then what goes into the slot, with notification. They are placed in this
 * order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "verbs.h"

enum { WRITES_MAX = 2, PIECES_MAX = 2 };

/* Work requests under construction. */
struct batch {
    struct ibv_send_wr writes[SEND_BATCH];
    struct ibv_sge pieces[SEND_BATCH][PIECES_MAX];
    uint16_t carried[SEND_BATCH]; /* as in struct verbs_stripe */
    uint32_t count;
};

static uint32_t writes_of(const struct verbs_put *put)
{
    return put->to_bytes > 0 ? 2 : 1;
}

static uint32_t next_slot(const struct verbs_stripe *stripe)
{
    return stripe->waiting[stripe->waiting_first];
}

/* Whether the next put that waits has room in the batch and the queue. */
static bool fits(const struct endpoint *endpoint, const struct verbs_link *link,
                 const struct verbs_stripe *stripe, const struct batch *batch)
{
    uint32_t more;

    if (stripe->waiting_count == 0)
        return false;
    more = batch->count + writes_of(&link->puts[next_slot(stripe)]);
    /* Room stays to seal each slot and to open it again. */
    return more <= SEND_BATCH &&
           stripe->posted - stripe->done + more + 2 * endpoint->sealed <=
               endpoint->send_depth;
}

/* The next work request of the batch, a write of what *pieces will name. */
static struct ibv_send_wr *add_write(const struct verbs_link *link,
                                     const struct verbs_stripe *stripe,
                                     struct batch *batch, uint16_t carried,
                                     struct ibv_sge **pieces)
{
    struct ibv_send_wr *write = &batch->writes[batch->count];

    *pieces = batch->pieces[batch->count];
    *write = (struct ibv_send_wr){
        .wr_id = verbs_work_pack((struct verbs_work){
            .peer = link->peer,
            .sent = true,
            .stripe = (uint8_t)(stripe - link->stripes),
            .index = (uint16_t)(stripe->posted + batch->count)}),
        .sg_list = *pieces,
        .num_sge = 1,
        .opcode = IBV_WR_RDMA_WRITE,
    };
    if (batch->count > 0)
        batch->writes[batch->count - 1].next = write;
    batch->carried[batch->count++] = carried;
    return write;
}

/* What the peer wants elsewhere. */
static void add_apart(const struct verbs_link *link,
                      const struct verbs_stripe *stripe,
                      const struct verbs_put *put, const uint8_t *staged,
                      struct batch *batch)
{
    struct ibv_sge *piece;
    struct ibv_send_wr *write = add_write(link, stripe, batch, NO_PUT, &piece);

    *piece = (struct ibv_sge){
        .addr = (uintptr_t)(staged + put->bytes),
        .length = put->to_bytes,
        .lkey = link->staging_key->lkey,
    };
    write->wr.rdma.remote_addr = put->to;
    write->wr.rdma.rkey = put->to_key;
}

/* What goes into the slot. */
static void add_notified(const struct verbs_link *link,
                         const struct verbs_stripe *stripe, uint32_t slot,
                         size_t at, struct batch *batch)
{
    const struct verbs_put *put = &link->puts[slot];
    bool copied = put->from_bytes == 0 && put->to_bytes == 0 &&
                  put->bytes <= link->inline_bytes;
    struct ibv_sge *pieces;
    struct ibv_send_wr *write =
        add_write(link, stripe, batch,
                  copied ? (uint16_t)NO_SLOT : (uint16_t)slot, &pieces);

    pieces[0] = (struct ibv_sge){
        .addr = (uintptr_t)(link->staging + at),
        .length = put->bytes - put->from_bytes,
        .lkey = link->staging_key->lkey,
    };
    if (put->from_bytes > 0)
        pieces[write->num_sge++] = (struct ibv_sge){
            .addr = put->from,
            .length = put->from_bytes,
            .lkey = put->from_key,
        };
    write->opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
    write->imm_data = htonl((uint32_t)put->number << 16 | slot);
    write->wr.rdma.remote_addr = link->remote + at;
    write->wr.rdma.rkey = put->key;
    if (copied)
        write->send_flags |= IBV_SEND_INLINE;
}

/* Takes the next put off the stripe's waiting ones into the batch. */
static void add_next(const struct endpoint *endpoint,
                     const struct verbs_link *link, struct verbs_stripe *stripe,
                     struct batch *batch)
{
    uint32_t slot = next_slot(stripe);
    size_t at = (size_t)slot * endpoint->config.slot_bytes;

    stripe->waiting_first =
        (stripe->waiting_first + 1) % endpoint->config.slots;
    stripe->waiting_count--;
    if (link->puts[slot].to_bytes > 0)
        add_apart(link, stripe, &link->puts[slot], link->staging + at, batch);
    add_notified(link, stripe, slot, at, batch);
}

/* Copied puts leave their staging at once. */
static void note_posted(struct endpoint *endpoint, struct verbs_link *link,
                        struct verbs_stripe *stripe, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t index = stripe->posted++ % endpoint->send_depth;
        uint32_t slot = ntohl(batch->writes[i].imm_data) & UINT16_MAX;

        stripe->carried[index] = batch->carried[i];
        if (batch->carried[i] != NO_SLOT)
            continue;
        link->puts[slot].leaving = false;
        endpoint->counts.copied_bytes += link->puts[slot].bytes;
    }
}

/* Posts up to a batch; false when nothing waits or there is no room. */
static bool post_batch(struct endpoint *endpoint, struct verbs_link *link,
                       struct verbs_stripe *stripe)
{
    struct batch batch;
    struct ibv_send_wr *bad;
    int rc;

    batch.count = 0;
    while (fits(endpoint, link, stripe, &batch))
        add_next(endpoint, link, stripe, &batch);
    if (batch.count == 0)
        return false;
    batch.writes[batch.count - 1].send_flags |= IBV_SEND_SIGNALED;
    rc = ibv_post_send(stripe->pair, batch.writes, &bad);
    if (rc != 0) {
        verbs_lose(endpoint, link, -rc);
        return false;
    }
    note_posted(endpoint, link, stripe, &batch);
    return true;
}

int verbs_post_one(const struct endpoint *endpoint, struct verbs_link *link,
                   struct ibv_send_wr *request, uint16_t carried)
{
    struct verbs_stripe *stripe = &link->stripes[0];
    struct ibv_send_wr *bad;
    int rc;

    if (stripe->posted - stripe->done == endpoint->send_depth)
        return -EOVERFLOW;
    request->wr_id = verbs_work_pack((struct verbs_work){
        .peer = link->peer, .sent = true, .index = (uint16_t)stripe->posted});
    rc = ibv_post_send(stripe->pair, request, &bad);
    if (rc == 0)
        stripe->carried[stripe->posted++ % endpoint->send_depth] = carried;
    return -rc;
}

void verbs_post(struct endpoint *endpoint, struct verbs_link *link)
{
    if (link->state != LINK_UP)
        return;
    for (uint32_t i = 0; i < endpoint->settings.stripes; i++)
        while (post_batch(endpoint, link, &link->stripes[i]))
            ;
}

void verbs_enqueue(struct endpoint *endpoint, struct verbs_link *link,
                   uint32_t slot, const struct verbs_put *put)
{
    struct verbs_stripe *stripe =
        &link->stripes[verbs_stripe_of(endpoint, slot)];
    uint32_t at = (stripe->waiting_first + stripe->waiting_count++) %
                  endpoint->config.slots;

    stripe->waiting[at] = (uint16_t)slot;
    link->puts[slot] = *put;
    link->puts[slot].number = link->next_number++;
    link->puts[slot].leaving = true;
    link->puts[slot].key = link->remote_keys[slot];
    /* The peer opens a sealed slot again with its next key. */
    if (slot < endpoint->sealed)
        link->remote_keys[slot] = ibv_inc_rkey(link->remote_keys[slot]);
    link->unfinished++;
    endpoint->unfinished++;
}
