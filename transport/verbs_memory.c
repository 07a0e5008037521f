/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_memory.c - memory of the caller's that the device may read, and peers
 * may write where it was said so.
 *
 * Each link has a protection domain of its own, so each gets a key of its own.
 */
#include <errno.h>
#include <stdlib.h>

#include "verbs.h"

static void give_back(const struct endpoint *endpoint,
                      struct verbs_region *region)
{
    for (uint32_t i = 0; region->keys != NULL && i < endpoint->config.ranks;
         i++)
        if (region->keys[i] != NULL)
            ibv_dereg_mr(region->keys[i]);
    free(region->keys);
}

int verbs_enrol(struct endpoint *endpoint, void *memory, size_t bytes,
                bool writable)
{
    struct verbs_region region = {
        .memory = memory,
        .bytes = bytes,
        .writable = writable,
        .keys = calloc(endpoint->config.ranks, sizeof(struct ibv_mr *)),
    };
    unsigned int access =
        writable ? IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE : 0;

    if (region.keys == NULL)
        return -ENOMEM;
    if (endpoint->regions_count == VERBS_REGIONS_MAX) {
        free(region.keys);
        return -ENOSPC;
    }
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        uint32_t peer = endpoint->peers[i];

        errno = ENOMEM;
        region.keys[peer] =
            ibv_reg_mr(endpoint->links[peer]->domain, memory, bytes, access);
        if (region.keys[peer] == NULL) {
            int rc = -errno;

            give_back(endpoint, &region);
            return rc;
        }
    }
    endpoint->regions[endpoint->regions_count++] = region;
    return 0;
}

int verbs_withdraw(struct endpoint *endpoint, const void *memory)
{
    for (uint32_t i = 0; i < endpoint->regions_count; i++) {
        if (endpoint->regions[i].memory != memory)
            continue;
        /* A write that is not acknowledged may have to be sent again. */
        if (endpoint->unfinished > 0)
            return -EBUSY;
        give_back(endpoint, &endpoint->regions[i]);
        endpoint->regions[i] = endpoint->regions[--endpoint->regions_count];
        return 0;
    }
    return -ENOENT;
}

const struct ibv_mr *verbs_find(const struct endpoint *endpoint,
                                const struct verbs_link *link,
                                const void *memory, size_t bytes, bool writable)
{
    uintptr_t at = (uintptr_t)memory;

    for (uint32_t i = 0; i < endpoint->regions_count; i++) {
        const struct verbs_region *region = &endpoint->regions[i];
        uintptr_t start = (uintptr_t)region->memory;

        if (at >= start && bytes <= region->bytes &&
            at - start <= region->bytes - bytes &&
            (region->writable || !writable))
            return region->keys[link->peer];
    }
    return NULL;
}

void verbs_memory_close(struct endpoint *endpoint)
{
    while (endpoint->regions_count > 0)
        give_back(endpoint, &endpoint->regions[--endpoint->regions_count]);
}
