/* SPDX-License-Identifier: Apache-2.0 */
/* fake_pairs.c - queue pairs: their life, and their states as IBTA has them. */
#include <errno.h>
#include <stdlib.h>

#include "fake_inside.h"
#include "fake_wraps.h"

/* ---- Life ---- */

struct ibv_qp *__wrap_ibv_create_qp(struct ibv_pd *domain,
                                    struct ibv_qp_init_attr *wanted)
{
    static uint32_t number = 17;
    struct pair *pair;

    fake_check(KIND_DOMAIN, domain);
    fake_check(KIND_QUEUE, wanted->send_cq);
    fake_check(KIND_QUEUE, wanted->recv_cq);
    if (fake_refuse(FAKE_CREATE_QP) != 0)
        return NULL;
    if (wanted->qp_type != IBV_QPT_RC || wanted->cap.max_send_wr == 0 ||
        wanted->cap.max_send_sge > FAKE_PIECES_MAX ||
        wanted->cap.max_inline_data >
            fake_context(domain->context)->device->inline_max) {
        errno = EINVAL;
        return NULL;
    }
    pthread_mutex_lock(&fake_lock);
    pair = fake_make(KIND_PAIR, sizeof(*pair));
    pair->cap = wanted->cap;
    pair->sends = __real_calloc(wanted->cap.max_send_wr, sizeof(struct send));
    pair->receives = __real_calloc(wanted->cap.max_recv_wr, sizeof(uint64_t));
    pair->qp.context = domain->context;
    pair->qp.qp_context = wanted->qp_context;
    pair->qp.pd = domain;
    pair->qp.send_cq = wanted->send_cq;
    pair->qp.recv_cq = wanted->recv_cq;
    pair->qp.qp_type = wanted->qp_type;
    pair->qp.qp_num = number += 2;
    pair->qp.state = IBV_QPS_RESET;
    pthread_mutex_unlock(&fake_lock);
    return &pair->qp;
}

/* What completed stays in the queue, as with soft-RoCE; events do not. */
int __wrap_ibv_destroy_qp(struct ibv_qp *qp)
{
    struct pair *pair = (struct pair *)qp;
    struct queue *queue = (struct queue *)qp->send_cq;
    struct fake_events *events = &fake_context(qp->context)->events;

    pthread_mutex_lock(&fake_lock);
    for (struct window *window = NULL;
         (window = fake_next(KIND_WINDOW, window)) != NULL;)
        if (window->pair == pair)
            fake_breach("a pair is destroyed before its windows");
    for (uint32_t i = 0; i < queue->count; i++) {
        uint32_t at = (queue->first + i) % (uint32_t)queue->cq.cqe;

        if (queue->ring[at].pair == pair)
            queue->ring[at].pair = NULL;
    }
    for (uint32_t i = events->count; i-- > 0;) {
        struct ibv_async_event *event = events->items[i];

        if (event->element.qp == qp) {
            fake_events_remove(events, i);
            free(event);
        }
    }
    free(pair->sends);
    free(pair->receives);
    fake_free(KIND_PAIR, pair);
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

/* ---- States ---- */

static int mask_of(enum ibv_qp_state to)
{
    switch (to) {
    case IBV_QPS_INIT:
        return IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
               IBV_QP_ACCESS_FLAGS;
    case IBV_QPS_RTR:
        return IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
               IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
    case IBV_QPS_RTS:
        return IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
               IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC;
    default: return IBV_QP_STATE;
    }
}

static bool may_follow(enum ibv_qp_state from, enum ibv_qp_state to)
{
    return to == IBV_QPS_ERR ||
           (to == IBV_QPS_INIT &&
            (from == IBV_QPS_RESET || from == IBV_QPS_INIT)) ||
           (to == IBV_QPS_RTR && from == IBV_QPS_INIT) ||
           (to == IBV_QPS_RTS && from == IBV_QPS_RTR);
}

/* Keeps the part of the attributes that a state is told. */
static void keep(struct ibv_qp_attr *kept, const struct ibv_qp_attr *told)
{
    kept->qp_state = told->qp_state;
    if (told->qp_state == IBV_QPS_INIT) {
        kept->pkey_index = told->pkey_index;
        kept->port_num = told->port_num;
        kept->qp_access_flags = told->qp_access_flags;
    } else if (told->qp_state == IBV_QPS_RTR) {
        kept->ah_attr = told->ah_attr;
        kept->path_mtu = told->path_mtu;
        kept->dest_qp_num = told->dest_qp_num;
        kept->rq_psn = told->rq_psn;
        kept->max_dest_rd_atomic = told->max_dest_rd_atomic;
        kept->min_rnr_timer = told->min_rnr_timer;
    } else if (told->qp_state == IBV_QPS_RTS) {
        kept->sq_psn = told->sq_psn;
        kept->timeout = told->timeout;
        kept->retry_cnt = told->retry_cnt;
        kept->rnr_retry = told->rnr_retry;
    }
}

int __wrap_ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *told, int mask)
{
    struct pair *pair = (struct pair *)qp;
    const struct fake_device *device = fake_context(qp->context)->device;

    fake_check(KIND_PAIR, qp);
    if (fake_refuse(FAKE_MODIFY_QP) != 0)
        return errno;
    if (!may_follow(qp->state, told->qp_state) ||
        mask != mask_of(told->qp_state) ||
        (told->qp_state == IBV_QPS_RTR && device->wants_read_room &&
         told->max_dest_rd_atomic == 0))
        return EINVAL;
    pthread_mutex_lock(&fake_lock);
    keep(&pair->attributes, told);
    qp->state = told->qp_state;
    if (qp->state == IBV_QPS_ERR)
        fake_flush(pair);
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

struct ibv_qp_attr fake_attributes(const struct ibv_qp *pair)
{
    return ((const struct pair *)pair)->attributes;
}
