/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_node.h - on which NUMA node memory lies. Only memory.c binds any.
 */
#ifndef BALLOT_TRANSPORT_MEMORY_NODE_H
#define BALLOT_TRANSPORT_MEMORY_NODE_H

#include <limits.h>
#include <stddef.h>

enum {
    NODES_MAX = 1024, /* the most that Linux can be built for */
    NODE_BITS = CHAR_BIT * sizeof(unsigned long),
};

/* Node n is bit n mod NODE_BITS of word n / NODE_BITS, as the kernel has it. */
struct node_set {
    unsigned long words[NODES_MAX / NODE_BITS];
};

/* Fills the nodes whose memory this process may use; returns how many, at least
 * one, or a negative errno where the system has no NUMA or does not tell. */
int memory_nodes(struct node_set *usable);

/* The node that a thread on node `here` shall prefer; -1 where there is nothing
 * to choose, or where that node has no memory for us: then the kernel takes the
 * nearest. */
int memory_node_choose(const struct node_set *usable, unsigned int here);

/* The same for this thread on this machine. */
int memory_node_here(void);

/*
 * Pages of whole, mapped memory that are first touched after this come from
 * `node` as long as it has some, and from others then. Of shared memory this
 * holds for every process that has mapped it.
 */
int memory_node_bind(void *memory, size_t bytes, int node);

#endif
