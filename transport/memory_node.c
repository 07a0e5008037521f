/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_node.c - on which NUMA node memory lies.
 *
 * Of libnuma only what can neither print nor end the process is called: where
 * the system refuses, as many containers do, memory is merely not bound.
 */
#include "memory_node.h"

#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

static bool has(const struct node_set *nodes, unsigned int node)
{
    return node < NODES_MAX &&
           (nodes->words[node / NODE_BITS] >> (node % NODE_BITS) & 1) != 0;
}

static int count(const struct node_set *nodes)
{
    int found = 0;

    for (unsigned int n = 0; n < NODES_MAX; n++)
        found += has(nodes, n);
    return found;
}

int memory_nodes(struct node_set *usable)
{
    struct node_set allowed = {{0}};
    int found;

    if (numa_available() < 0)
        return -ENOSYS;
    if (get_mempolicy(NULL, allowed.words, NODES_MAX, NULL,
                      MPOL_F_MEMS_ALLOWED) != 0)
        return -errno;
    /* A kernel without cpusets allows nodes that do not exist. */
    for (unsigned int n = 0; n < NODES_MAX; n++) {
        if (has(&allowed, n) && !numa_bitmask_isbitset(numa_nodes_ptr, n))
            allowed.words[n / NODE_BITS] &= ~(1UL << (n % NODE_BITS));
    }
    found = count(&allowed);
    if (found == 0)
        return -ENODEV;
    *usable = allowed;
    return found;
}

int memory_node_choose(const struct node_set *usable, unsigned int here)
{
    return count(usable) > 1 && has(usable, here) ? (int)here : -1;
}

int memory_node_here(void)
{
    struct node_set usable;
    unsigned int node;

    if (memory_nodes(&usable) < 0 || getcpu(NULL, &node) != 0)
        return -1;
    return memory_node_choose(&usable, node);
}

int memory_node_bind(void *memory, size_t bytes, int node)
{
    struct node_set only = {{0}};

    if (node < 0 || node >= NODES_MAX)
        return -EINVAL;
    only.words[node / NODE_BITS] = 1UL << (node % NODE_BITS);
    /* The kernel takes one bit less than it is told. */
    return mbind(memory, bytes, MPOL_PREFERRED, only.words, NODES_MAX + 1, 0) ==
                   0
               ? 0
               : -errno;
}
