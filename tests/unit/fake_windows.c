/* SPDX-License-Identifier: Apache-2.0 */
/* fake_windows.c - memory windows of type 2, as soft-RoCE has them. */
#include <errno.h>

#include "fake_inside.h"
#include "fake_wraps.h"

static struct ibv_mw *alloc_window(struct ibv_pd *domain, enum ibv_mw_type type)
{
    static uint32_t keys = 1 << 20;
    struct window *window;

    fake_check(KIND_DOMAIN, domain);
    if (fake_refuse(FAKE_ALLOC_MW) != 0)
        return NULL;
    pthread_mutex_lock(&fake_lock);
    window = fake_make(KIND_WINDOW, sizeof(*window));
    window->mw = (struct ibv_mw){.context = domain->context,
                                 .pd = domain,
                                 .rkey = keys += 256,
                                 .type = type};
    pthread_mutex_unlock(&fake_lock);
    return &window->mw;
}

static int free_window(struct ibv_mw *window)
{
    pthread_mutex_lock(&fake_lock);
    fake_free(KIND_WINDOW, window);
    pthread_mutex_unlock(&fake_lock);
    return 0;
}

void fake_windows_fill(struct ibv_context_ops *operations)
{
    operations->alloc_mw = alloc_window;
    operations->dealloc_mw = free_window;
}

enum ibv_wc_status fake_bind(struct pair *pair, const struct ibv_send_wr *wr)
{
    const struct ibv_mw_bind_info *info = &wr->bind_mw.bind_info;
    const struct region *region = (const struct region *)info->mr;
    struct window *window = (struct window *)wr->bind_mw.mw;

    fake_check(KIND_WINDOW, window);
    fake_check(KIND_REGION, region);
    if (fake_refuse(FAKE_BIND_MW) != 0 || window->pair != NULL ||
        window->mw.pd != pair->qp.pd || region->mr.pd != pair->qp.pd ||
        (region->access & IBV_ACCESS_MW_BIND) == 0 ||
        (wr->bind_mw.rkey ^ window->mw.rkey) >> 8 != 0 ||
        info->addr < (uintptr_t)region->mr.addr ||
        info->addr + info->length >
            (uintptr_t)region->mr.addr + region->mr.length ||
        info->mw_access_flags != IBV_ACCESS_REMOTE_WRITE)
        return IBV_WC_MW_BIND_ERR;
    window->pair = pair;
    window->key = wr->bind_mw.rkey;
    window->address = info->addr;
    window->bytes = info->length;
    return IBV_WC_SUCCESS;
}

enum ibv_wc_status fake_invalidate(struct pair *pair, uint32_t key)
{
    for (struct window *window = NULL;
         (window = fake_next(KIND_WINDOW, window)) != NULL;)
        if (window->pair == pair && window->key == key) {
            window->pair = NULL;
            return IBV_WC_SUCCESS;
        }
    return IBV_WC_LOC_QP_OP_ERR;
}

bool fake_window_allows(const struct pair *pair, uint32_t key, uint64_t address,
                        uint32_t bytes)
{
    for (struct window *window = NULL;
         (window = fake_next(KIND_WINDOW, window)) != NULL;)
        if (window->pair == pair && window->key == key &&
            address >= window->address &&
            address - window->address <= window->bytes &&
            bytes <= window->bytes - (address - window->address))
            return true;
    return false;
}
