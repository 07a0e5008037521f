/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_seal.c - a slot is closed to its writer from the moment its arrival is
 * known until what is in it was read.
 *
 * Each sealed slot has a memory window of type 2, which is bound to the peer's
 * queue pair. When a put has arrived the window is invalidated, and only when
 * that is complete is the arrival reported: what the reader sees then cannot
 * change. release() binds it again, with the next key, which both sides can
 * compute; the queue pair executes it before the put that follows and lets the
 * peer write. All this needs one queue pair a peer, whose order it relies on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs.h"

static uint8_t *slot_at(const struct endpoint *endpoint,
                        const struct verbs_link *link, uint32_t slot)
{
    return link->inbound + (size_t)slot * endpoint->config.slot_bytes;
}

int verbs_seals_make(const struct endpoint *endpoint, struct verbs_link *link)
{
    size_t bytes = (size_t)endpoint->sealed * endpoint->config.slot_bytes;

    if (endpoint->sealed == 0)
        return 0;
    link->seals = calloc(endpoint->sealed, sizeof(*link->seals));
    if (link->seals == NULL)
        return -ENOMEM;
    errno = ENOMEM;
    link->sealed_key = ibv_reg_mr(link->domain, link->inbound, bytes,
                                  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND);
    if (link->sealed_key == NULL) {
        verbs_explain(endpoint, "ibv_reg_mr of %zu bytes for windows: %s",
                      bytes, strerror(errno));
        return -errno;
    }
    for (uint32_t slot = 0; slot < endpoint->sealed; slot++) {
        errno = ENOMEM;
        link->seals[slot].window = ibv_alloc_mw(link->domain, IBV_MW_TYPE_2);
        if (link->seals[slot].window == NULL) {
            verbs_explain(endpoint, "ibv_alloc_mw: %s", strerror(errno));
            return -errno;
        }
    }
    return 0;
}

uint32_t verbs_seal_key(const struct endpoint *endpoint,
                        const struct verbs_link *link, uint32_t slot)
{
    return slot < endpoint->sealed
               ? ibv_inc_rkey(link->seals[slot].window->rkey)
               : link->inbound_key->rkey;
}

/* Binds a window that nothing is bound to, with its next key. */
static int bind_window(const struct endpoint *endpoint, struct verbs_link *link,
                       uint32_t slot, unsigned int flags, uint16_t carried)
{
    struct ibv_mw *window = link->seals[slot].window;
    struct ibv_send_wr request = {
        .opcode = IBV_WR_BIND_MW,
        .send_flags = flags,
        .bind_mw = {.mw = window,
                    .rkey = ibv_inc_rkey(window->rkey),
                    .bind_info = {.mr = link->sealed_key,
                                  .addr =
                                      (uintptr_t)slot_at(endpoint, link, slot),
                                  .length = endpoint->config.slot_bytes,
                                  .mw_access_flags = IBV_ACCESS_REMOTE_WRITE}},
    };
    int rc = verbs_post_one(endpoint, link, &request, carried);

    if (rc == 0)
        window->rkey = request.bind_mw.rkey;
    return rc;
}

int verbs_seals_open(const struct endpoint *endpoint, struct verbs_link *link)
{
    for (uint32_t slot = 0; slot < endpoint->sealed; slot++) {
        bool last = slot + 1 == endpoint->sealed;
        int rc =
            bind_window(endpoint, link, slot,
                        last ? (unsigned int)IBV_SEND_SIGNALED : 0, NO_PUT);

        if (rc != 0) {
            verbs_explain(endpoint, "binding a memory window: %s",
                          strerror(-rc));
            return rc;
        }
    }
    return 0;
}

void verbs_seals_free(const struct endpoint *endpoint, struct verbs_link *link)
{
    for (uint32_t slot = 0; link->seals != NULL && slot < endpoint->sealed;
         slot++)
        if (link->seals[slot].window != NULL)
            ibv_dealloc_mw(link->seals[slot].window);
    free(link->seals);
}

void verbs_seal(struct endpoint *endpoint, struct verbs_link *link,
                uint32_t slot)
{
    struct ibv_send_wr request = {
        .opcode = IBV_WR_LOCAL_INV,
        .send_flags = IBV_SEND_SIGNALED,
        .invalidate_rkey = link->seals[slot].window->rkey,
    };
    int rc =
        verbs_post_one(endpoint, link, &request, (uint16_t)(SEALS_SLOT | slot));

    if (rc == 0)
        link->sealing++;
    else
        verbs_lose(endpoint, link, rc);
}

void verbs_release(struct endpoint *endpoint, uint32_t peer, uint32_t slot)
{
    struct verbs_link *link =
        peer < endpoint->config.ranks ? endpoint->links[peer] : NULL;
    int rc;

    if (link == NULL || link->state != LINK_UP || slot >= endpoint->sealed ||
        !link->seals[slot].closed)
        return;
    link->seals[slot].closed = false;
    /* It counts as a put: nobody says that all has left before it is open. */
    rc = bind_window(endpoint, link, slot, IBV_SEND_SIGNALED, NO_SLOT);
    if (rc != 0) {
        verbs_lose(endpoint, link, rc);
        return;
    }
    link->unfinished++;
    endpoint->unfinished++;
}
