/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byzantine_raw.c - the queue pairs of a rank that has joined, used as they
 * are: nothing here checks what is written where, as the library would.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../../collective/comm.h"
#include "../../transport/verbs.h"
#include "byzantine.h"

enum { OURS = 0xb1ade, AT_ONCE = 16 };

uint8_t wanted_rnr_retries;
bool wants_longest_rnr;
bool wants_to_read;

/* What the library asks for, but for what an attack wants. */
int __real_ibv_modify_qp(struct ibv_qp *pair, struct ibv_qp_attr *attributes,
                         int mask);
int __wrap_ibv_modify_qp(struct ibv_qp *pair, struct ibv_qp_attr *attributes,
                         int mask);
int __wrap_ibv_modify_qp(struct ibv_qp *pair, struct ibv_qp_attr *attributes,
                         int mask)
{
    struct ibv_qp_attr changed = *attributes;

    if (wanted_rnr_retries != 0 && (mask & IBV_QP_RNR_RETRY) != 0)
        changed.rnr_retry = wanted_rnr_retries;
    if (wants_to_read && (mask & IBV_QP_MAX_QP_RD_ATOMIC) != 0)
        changed.max_rd_atomic = 1;
    if (wants_longest_rnr && (mask & IBV_QP_MIN_RNR_TIMER) != 0)
        changed.min_rnr_timer = 0;
    return __real_ibv_modify_qp(pair, &changed, mask);
}

static struct verbs_link *link_of(const struct liar *liar, uint32_t peer)
{
    struct verbs_link *link = liar->endpoint->links[peer];

    if (link == NULL)
        fail("there is no link with rank %u", peer);
    return link;
}

void liar_open(struct liar *liar, struct ballot_comm *comm)
{
    const struct verbs_link *root;

    *liar = (struct liar){
        .rank = comm->rank,
        .ranks = comm->ranks,
        .window = comm->settings.window,
        .victims = calloc(comm->ranks, sizeof(struct victim)),
        .posts_receives = true,
    };
    if (liar->victims == NULL)
        fail("memory");
    /* For good: the library does nothing any more. */
    engine_lock();
    for (int e = 0; e < comm->endpoints_count; e++)
        if (comm->transports[e] == &transport_verbs)
            liar->endpoint = comm->endpoints[e];
    if (liar->endpoint == NULL)
        fail("this job does not use verbs");
    for (uint32_t r = 0; r < liar->ranks; r++)
        if (r != liar->rank)
            liar->victims[r].next_number = link_of(liar, r)->next_number;
    root = link_of(liar, 0);
    memcpy(&liar->header, root->staging, sizeof(liar->header));
    if (liar->header.kind != HEADER_VOTE || liar->header.sequence != 0)
        fail("the first call's vote is not where it was staged");
}

/* ---- What the peer told us ---- */

uint64_t liar_slot(const struct liar *liar, uint32_t peer, uint32_t slot)
{
    return link_of(liar, peer)->remote +
           (uint64_t)slot * liar->endpoint->config.slot_bytes;
}

uint32_t liar_key(const struct liar *liar, uint32_t peer, uint32_t slot)
{
    return link_of(liar, peer)->remote_keys[slot];
}

uint64_t liar_region_bytes(const struct liar *liar)
{
    return (uint64_t)liar->endpoint->config.slots *
           liar->endpoint->config.slot_bytes;
}

uint8_t *liar_staging(const struct liar *liar, uint32_t peer, uint32_t slot)
{
    return link_of(liar, peer)->staging +
           (size_t)slot * liar->endpoint->config.slot_bytes;
}

int liar_descriptor(const struct liar *liar, uint32_t peer)
{
    return link_of(liar, peer)->descriptor;
}

uint32_t liar_next_immediate(struct liar *liar, uint32_t peer, uint32_t slot)
{
    return (uint32_t)liar->victims[peer].next_number++ << 16 | slot;
}

/* ---- Completions ---- */

static uint32_t peer_of(const struct liar *liar, uint32_t pair)
{
    for (uint32_t r = 0; r < liar->ranks; r++)
        if (r != liar->rank &&
            link_of(liar, r)->stripes[0].pair->qp_num == pair)
            return r;
    fail("a completion of queue pair %u, which is not ours", pair);
}

/* What has failed needs no receives any more. */
static void post_receive(const struct liar *liar, uint32_t peer)
{
    struct ibv_recv_wr receive = {0}, *bad;

    (void)ibv_post_recv(link_of(liar, peer)->stripes[0].pair, &receive, &bad);
}

static void take(struct liar *liar, const struct ibv_wc *completion)
{
    uint32_t peer = peer_of(liar, completion->qp_num);
    struct victim *victim = &liar->victims[peer];

    if (completion->wr_id == OURS) {
        victim->done++;
        if (victim->failure == IBV_WC_SUCCESS)
            victim->failure = completion->status;
    } else if (completion->status == IBV_WC_SUCCESS &&
               (completion->opcode & IBV_WC_RECV) != 0 &&
               liar->posts_receives) {
        post_receive(liar, peer);
    }
}

void liar_poll(struct liar *liar)
{
    struct ibv_wc completions[AT_ONCE];

    for (uint32_t q = 0; q < liar->endpoint->queues_count; q++) {
        int count =
            ibv_poll_cq(liar->endpoint->queues[q], AT_ONCE, completions);

        for (int i = 0; i < count; i++)
            take(liar, &completions[i]);
    }
}

/* ---- Writing ---- */

/* A few places are left for what the library had posted itself. */
static bool has_room(const struct liar *liar, const struct victim *victim)
{
    return victim->posted - victim->done < liar->endpoint->send_depth / 2;
}

bool liar_post(struct liar *liar, uint32_t peer, const struct raw_write *write)
{
    struct victim *victim = &liar->victims[peer];
    struct verbs_link *link = link_of(liar, peer);
    uint64_t until_ns = deadline_ns(30);
    struct ibv_sge piece = {
        .addr = (uintptr_t)liar_staging(liar, peer, write->source_slot),
        .length = write->bytes,
        .lkey = link->staging_key->lkey,
    };
    struct ibv_send_wr request = {
        .wr_id = OURS,
        .sg_list = &piece,
        .num_sge = write->bytes > 0 ? 1 : 0,
        .opcode = write->opcode,
        .send_flags = IBV_SEND_SIGNALED,
        .imm_data = htonl(write->immediate),
        .wr.rdma = {.remote_addr = write->address, .rkey = write->key},
    };
    struct ibv_send_wr *bad;
    int rc;

    if (write->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
        request.wr.atomic.remote_addr = write->address;
        request.wr.atomic.compare_add = 1;
        request.wr.atomic.rkey = write->key;
    }
    while (victim->failure == IBV_WC_SUCCESS && !has_room(liar, victim)) {
        liar_poll(liar);
        if (is_past(until_ns))
            fail("writes to rank %u do not get through", peer);
    }
    if (victim->failure != IBV_WC_SUCCESS)
        return false;
    rc = ibv_post_send(link->stripes[0].pair, &request, &bad);
    if (rc != 0)
        fail("a write to rank %u cannot be posted: %s", peer, strerror(rc));
    victim->posted++;
    return true;
}

enum ibv_wc_status liar_settle(struct liar *liar, uint32_t peer)
{
    const struct victim *victim = &liar->victims[peer];
    uint64_t until_ns = deadline_ns(30);

    while (victim->done != victim->posted) {
        liar_poll(liar);
        if (is_past(until_ns))
            fail("writes to rank %u do not complete", peer);
    }
    return victim->failure;
}

/* ---- Being cut ---- */

bool liar_is_cut(const struct liar *liar, uint32_t peer)
{
    uint8_t byte;
    ssize_t got =
        recv(liar_descriptor(liar, peer), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

void liar_await_cut(struct liar *liar, uint32_t peer)
{
    uint64_t until_ns = deadline_ns(10);

    while (!liar_is_cut(liar, peer)) {
        liar_poll(liar);
        if (is_past(until_ns))
            fail("rank %u does not cut us", peer);
    }
}

/* ---- Votes: one chunk a round, so rounds and sequences are the same ---- */

void liar_put_vote(struct liar *liar)
{
    uint32_t slot = (uint32_t)(++liar->header.sequence % liar->window);
    uint8_t *staging = liar_staging(liar, 0, slot);
    uint32_t signs =
        LINE_BYTES * (uint32_t)lines_for(liar->header.call.coordinates);

    liar->header.call.round = liar->header.sequence;
    (void)liar_settle(liar, 0);
    memcpy(staging, &liar->header, LINE_BYTES);
    randombytes_buf(staging + LINE_BYTES, signs);
    (void)liar_post(liar, 0,
                    &(struct raw_write){
                        .address = liar_slot(liar, 0, slot),
                        .key = liar_key(liar, 0, slot),
                        .bytes = LINE_BYTES + signs,
                        .source_slot = slot,
                        .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
                        .immediate = liar_next_immediate(liar, 0, slot),
                    });
}

bool liar_has_result(const struct liar *liar, struct header *result)
{
    uint32_t slot = lane_first(liar->window, LANE_RESULT) +
                    (uint32_t)(liar->header.sequence % liar->window);
    const volatile uint8_t *place =
        link_of(liar, 0)->inbound +
        (size_t)slot * liar->endpoint->config.slot_bytes;
    uint8_t *copy = (uint8_t *)result;

    for (size_t i = 0; i < sizeof(*result); i++)
        copy[i] = place[i];
    return result->kind == HEADER_RESULT &&
           result->sequence == liar->header.sequence;
}

bool liar_vote(struct liar *liar)
{
    uint64_t until_ns = deadline_ns(20);
    struct header result;

    liar_put_vote(liar);
    while (!liar_has_result(liar, &result)) {
        if (liar_is_cut(liar, 0))
            return false;
        liar_poll(liar);
        if (is_past(until_ns))
            fail("there is no result of round %llu",
                 (unsigned long long)liar->header.sequence);
    }
    if (result.status != STATUS_OK)
        fail("round %llu has failed", (unsigned long long)result.sequence);
    return true;
}
