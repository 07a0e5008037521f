/* SPDX-License-Identifier: Apache-2.0 */
/* fake_work.c - what is posted to queue pairs, and what it completes as. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_inside.h"
#include "fake_wraps.h"

bool fake_is_held;
uint64_t fake_not_ready, fake_signalled;

/* ---- Completions ---- */

static void complete(struct ibv_cq *cq, const struct completion *completion)
{
    struct queue *queue = (struct queue *)cq;

    if (queue->count == (uint32_t)cq->cqe)
        fake_breach("a completion queue runs over");
    queue->ring[(queue->first + queue->count++) % (uint32_t)cq->cqe] =
        *completion;
    if (queue->armed)
        fake_events_push(&((struct channel *)cq->channel)->events, cq);
    queue->armed = false;
}

/* Takes the oldest send off; it shows in the queue if it must. */
static void complete_send(struct pair *pair, enum ibv_wc_status status)
{
    const struct send *send = &pair->sends[pair->sends_first];
    bool failed = status != IBV_WC_SUCCESS;
    struct completion completion = {
        .wc = {.wr_id = send->wr.wr_id,
               .status = status,
               .opcode = failed ? (enum ibv_wc_opcode)0xff : IBV_WC_RDMA_WRITE,
               .qp_num = pair->qp.qp_num},
        .pair = pair,
        .done = ++pair->carried_out,
    };

    pair->sends_first = (pair->sends_first + 1) % pair->cap.max_send_wr;
    pair->sends_count--;
    if (failed || (send->wr.send_flags & IBV_SEND_SIGNALED) != 0)
        complete(pair->qp.send_cq, &completion);
}

static void complete_receive(struct pair *pair, const struct ibv_wc *wc)
{
    struct completion completion = {.wc = *wc};

    completion.wc.wr_id = pair->receives[pair->receives_first];
    completion.wc.qp_num = pair->qp.qp_num;
    pair->receives_first = (pair->receives_first + 1) % pair->cap.max_recv_wr;
    pair->receives_count--;
    complete(pair->qp.recv_cq, &completion);
}

void fake_flush(struct pair *pair)
{
    pair->qp.state = IBV_QPS_ERR;
    while (pair->sends_count > 0)
        complete_send(pair, IBV_WC_WR_FLUSH_ERR);
    while (pair->receives_count > 0)
        complete_receive(pair, &(struct ibv_wc){.status = IBV_WC_WR_FLUSH_ERR,
                                                .opcode = IBV_WC_RECV});
}

void fake_end(struct ibv_qp *qp, enum ibv_wc_status status)
{
    struct pair *pair = (struct pair *)qp;

    pthread_mutex_lock(&fake_lock);
    if (pair->sends_count > 0)
        complete_send(pair, status);
    else
        complete_receive(pair, &(struct ibv_wc){.status = status});
    fake_flush(pair);
    pthread_mutex_unlock(&fake_lock);
}

static int poll_cq(struct ibv_cq *cq, int max, struct ibv_wc *wc)
{
    struct queue *queue = (struct queue *)cq;
    int count = 0;

    fake_check(KIND_QUEUE, cq);
    if (fake_refuse(FAKE_POLL_CQ) != 0)
        return -1;
    pthread_mutex_lock(&fake_lock);
    while (count < max && queue->count > 0) {
        const struct completion *completion = &queue->ring[queue->first];

        wc[count++] = completion->wc;
        if (completion->pair != NULL) {
            completion->pair->done = completion->done;
            fake_signalled++;
        }
        queue->first = (queue->first + 1) % (uint32_t)cq->cqe;
        queue->count--;
    }
    pthread_mutex_unlock(&fake_lock);
    return count;
}

static int notify_cq(struct ibv_cq *cq, int solicited)
{
    (void)solicited;
    fake_check(KIND_QUEUE, cq);
    if (fake_refuse(FAKE_NOTIFY_CQ) != 0)
        return errno;
    pthread_mutex_lock(&fake_lock);
    ((struct queue *)cq)->armed = true;
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

/* ---- Carrying out ---- */

static struct pair *find_peer(const struct pair *pair)
{
    struct pair *peer = NULL;

    while ((peer = fake_next(KIND_PAIR, peer)) != NULL)
        if (peer->qp.qp_num == pair->attributes.dest_qp_num)
            break;
    if (peer == NULL || peer->attributes.dest_qp_num != pair->qp.qp_num ||
        peer->attributes.rq_psn != pair->attributes.sq_psn ||
        (peer->qp.state != IBV_QPS_RTR && peer->qp.state != IBV_QPS_RTS))
        return NULL;
    return peer;
}

bool fake_reaches_peer(const struct ibv_qp *qp)
{
    bool reaches;

    pthread_mutex_lock(&fake_lock);
    reaches =
        qp->state == IBV_QPS_RTS && find_peer((const struct pair *)qp) != NULL;
    pthread_mutex_unlock(&fake_lock);
    return reaches;
}

/* Whether a key of the domain allows `access` to these bytes. */
static bool is_allowed(const struct ibv_pd *domain, uint32_t key, bool remote,
                       uint64_t address, uint32_t bytes)
{
    unsigned int access = remote ? IBV_ACCESS_REMOTE_WRITE : 0;

    for (struct region *region = NULL;
         (region = fake_next(KIND_REGION, region)) != NULL;) {
        uint64_t start = (uintptr_t)region->mr.addr;

        if (region->mr.pd == domain &&
            (remote ? region->mr.rkey : region->mr.lkey) == key &&
            (region->access & access) == access && address >= start &&
            address - start <= region->mr.length &&
            bytes <= region->mr.length - (address - start))
            return true;
    }
    return false;
}

static bool is_inline(const struct ibv_send_wr *wr)
{
    return (wr->send_flags & IBV_SEND_INLINE) != 0;
}

/* Whether the device may read what is sent. */
static bool may_send(const struct pair *pair, const struct send *send)
{
    for (int i = 0; i < send->wr.num_sge && !is_inline(&send->wr); i++)
        if (!is_allowed(pair->qp.pd, send->pieces[i].lkey, false,
                        send->pieces[i].addr, send->pieces[i].length))
            return false;
    return true;
}

/* All pieces, one behind the other. */
static void gather(uint8_t *into, const struct send *send)
{
    for (int i = 0; i < send->wr.num_sge; i++) {
        memcpy(into, (const void *)(uintptr_t)send->pieces[i].addr,
               send->pieces[i].length);
        into += send->pieces[i].length;
    }
}

/* What a write becomes; a peer that it breaks is told. */
static enum ibv_wc_status write_to(struct pair *peer, const struct send *send)
{
    bool announced = send->wr.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
    uint32_t bytes = send->bytes;
    void *to = (void *)(uintptr_t)send->wr.wr.rdma.remote_addr;

    /* One of no length needs neither address nor key. */
    if (bytes > 0 &&
        !is_allowed(peer->qp.pd, send->wr.wr.rdma.rkey, true,
                    send->wr.wr.rdma.remote_addr, bytes) &&
        !fake_window_allows(peer, send->wr.wr.rdma.rkey,
                            send->wr.wr.rdma.remote_addr, bytes)) {
        fake_flush(peer);
        return IBV_WC_REM_ACCESS_ERR;
    }
    if (announced && peer->receives_count == 0) {
        fake_not_ready++;
        return IBV_WC_RNR_RETRY_EXC_ERR;
    }
    if (is_inline(&send->wr))
        memcpy(to, send->copied, bytes);
    else
        gather(to, send);
    if (announced)
        complete_receive(peer,
                         &(struct ibv_wc){.opcode = IBV_WC_RECV_RDMA_WITH_IMM,
                                          .byte_len = bytes,
                                          .imm_data = send->wr.imm_data,
                                          .wc_flags = IBV_WC_WITH_IMM});
    return IBV_WC_SUCCESS;
}

/* Receives have no memory: a message with bytes does not fit. */
static enum ibv_wc_status send_to(struct pair *peer, const struct send *send)
{
    if (peer->receives_count == 0) {
        fake_not_ready++;
        return IBV_WC_RNR_RETRY_EXC_ERR;
    }
    if (send->bytes > 0) {
        complete_receive(peer, &(struct ibv_wc){.status = IBV_WC_LOC_LEN_ERR});
        fake_flush(peer);
        return IBV_WC_REM_INV_REQ_ERR;
    }
    complete_receive(peer, &(struct ibv_wc){.opcode = IBV_WC_RECV,
                                            .imm_data = send->wr.imm_data,
                                            .wc_flags = IBV_WC_WITH_IMM});
    return IBV_WC_SUCCESS;
}

static void carry_out(struct pair *pair)
{
    while (pair->sends_count > 0) {
        const struct send *send = &pair->sends[pair->sends_first];
        struct pair *peer = find_peer(pair);
        enum ibv_wc_status status;

        if (send->wr.opcode == IBV_WR_BIND_MW)
            status = fake_bind(pair, &send->wr);
        else if (send->wr.opcode == IBV_WR_LOCAL_INV)
            status = fake_invalidate(pair, send->wr.invalidate_rkey);
        else if (!may_send(pair, send))
            status = IBV_WC_LOC_PROT_ERR;
        else if (peer == NULL)
            status = IBV_WC_RETRY_EXC_ERR;
        else if (send->wr.opcode == IBV_WR_SEND_WITH_IMM)
            status = send_to(peer, send);
        else
            status = write_to(peer, send);
        complete_send(pair, status);
        if (status != IBV_WC_SUCCESS)
            fake_flush(pair);
    }
}

void fake_release(void)
{
    struct pair *pair = NULL;

    pthread_mutex_lock(&fake_lock);
    fake_is_held = false;
    while ((pair = fake_next(KIND_PAIR, pair)) != NULL)
        carry_out(pair);
    pthread_mutex_unlock(&fake_lock);
}

/* ---- Posting ---- */

static int take_send(struct pair *pair, const struct ibv_send_wr *wr)
{
    struct send *send;
    uint32_t at =
        (pair->sends_first + pair->sends_count) % pair->cap.max_send_wr;

    if (pair->qp.state != IBV_QPS_RTS && pair->qp.state != IBV_QPS_ERR)
        return EINVAL;
    if (pair->posted - pair->done == pair->cap.max_send_wr)
        return ENOMEM;
    if ((uint32_t)wr->num_sge > pair->cap.max_send_sge)
        return EINVAL;
    send = &pair->sends[at];
    send->wr = *wr;
    send->bytes = 0;
    for (int i = 0; i < wr->num_sge; i++) {
        send->pieces[i] = wr->sg_list[i];
        send->bytes += wr->sg_list[i].length;
    }
    if (is_inline(wr) && send->bytes > pair->cap.max_inline_data)
        return EINVAL;
    if (is_inline(wr))
        gather(send->copied, send);
    pair->sends_count++;
    pair->posted++;
    return 0;
}

static int post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
                     struct ibv_send_wr **bad)
{
    struct pair *pair = (struct pair *)qp;
    int rc = 0;

    fake_check(KIND_PAIR, qp);
    *bad = wr;
    if (fake_refuse(FAKE_POST_SEND) != 0)
        return errno;
    pthread_mutex_lock(&fake_lock);
    for (; wr != NULL && rc == 0; wr = wr->next) {
        *bad = wr;
        rc = take_send(pair, wr);
    }
    if (qp->state == IBV_QPS_ERR)
        fake_flush(pair);
    else if (!fake_is_held)
        carry_out(pair);
    pthread_mutex_unlock(&fake_lock);
    return rc;
}

static int post_receive(struct ibv_qp *qp, struct ibv_recv_wr *wr,
                        struct ibv_recv_wr **bad)
{
    struct pair *pair = (struct pair *)qp;
    int rc = 0;

    fake_check(KIND_PAIR, qp);
    *bad = wr;
    if (fake_refuse(FAKE_POST_RECV) != 0)
        return errno;
    pthread_mutex_lock(&fake_lock);
    if (qp->state == IBV_QPS_RESET)
        rc = EINVAL;
    for (; wr != NULL && rc == 0; wr = wr->next) {
        uint32_t at = (pair->receives_first + pair->receives_count) %
                      pair->cap.max_recv_wr;

        *bad = wr;
        if (pair->receives_count == pair->cap.max_recv_wr) {
            rc = ENOMEM;
        } else {
            pair->receives[at] = wr->wr_id;
            pair->receives_count++;
        }
    }
    if (qp->state == IBV_QPS_ERR)
        fake_flush(pair);
    pthread_mutex_unlock(&fake_lock);
    return rc;
}

void fake_work_fill(struct ibv_context_ops *operations)
{
    operations->poll_cq = poll_cq;
    operations->req_notify_cq = notify_cq;
    operations->post_send = post_send;
    operations->post_recv = post_receive;
    fake_windows_fill(operations);
}
