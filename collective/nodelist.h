/* SPDX-License-Identifier: Apache-2.0 */
/* nodelist.h - the lists of hosts that Slurm writes. */
#ifndef BALLOT_COLLECTIVE_NODELIST_H
#define BALLOT_COLLECTIVE_NODELIST_H

#include <stddef.h>

/*
 * The first host of a list such as "node[07-12,20],gpu-a[1-2]b[3,5]", which is
 * node07, in host[host_bytes] (man scontrol, show hostnames). -EINVAL: the list
 * is none, or a host is longer than that; host is untouched then.
 */
int nodelist_first(const char *list, char *host, size_t host_bytes);

#endif
