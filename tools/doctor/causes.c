/* SPDX-License-Identifier: Apache-2.0 */
/*
 * causes.c - why RDMA fails between two hosts between which tcp works.
 */
#include "pair.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void copy_port(struct rdma_side *side, const struct port *port,
                      uint32_t gid_index)
{
    side->port = port->number;
    side->mtu = port->active_mtu;
    for (uint32_t g = 0; g < port->gids_count; g++)
        if (port->gids[g].index == gid_index)
            side->gid = port->gids[g];
}

void rdma_side_of(struct rdma_side *side, const struct facts *facts,
                  const struct chosen *chosen)
{
    *side = (struct rdma_side){0};
    for (uint32_t d = 0; d < facts->devices_count; d++) {
        const struct device *device = &facts->devices[d];

        if (!chosen->is_there || strcmp(device->name, chosen->device) != 0)
            continue;
        side->has_device = true;
        side->is_soft = device_is_soft(device);
        memcpy(side->device, device->name, sizeof(side->device));
        for (uint32_t p = 0; p < device->ports_count; p++)
            if (device->ports[p].number == chosen->port)
                copy_port(side, &device->ports[p], chosen->gid_index);
    }
}

__attribute__((format(printf, 3, 4))) static void add_cause(
    struct pair_result *pair, const char *command, const char *what, ...)
{
    struct cause *cause;
    va_list arguments;

    if (pair->causes_count == CAUSES_MAX)
        return;
    cause = &pair->causes[pair->causes_count++];
    snprintf(cause->command, sizeof(cause->command), "%s", command);
    va_start(arguments, what);
    vsnprintf(cause->what, sizeof(cause->what), what, arguments);
    va_end(arguments);
}

/* What is wrong for certain comes before what may be. */
static void add_differences(struct pair_result *pair)
{
    const struct rdma_side *ours = &pair->rdma, *theirs = &pair->rdma_theirs;

    if (ours->gid.is_link_local || theirs->gid.is_link_local)
        add_cause(pair, "ip address add ADDRESS/24 dev INTERFACE",
                  "a link-local GID is used (here %s, there %s): give the "
                  "RDMA interface an IP address",
                  ours->gid.ip, theirs->gid.ip);
    if (ours->gid.type != theirs->gid.type)
        add_cause(pair, "ballot-doctor, then BALLOT_IB_GID_INDEX=INDEX",
                  "the GIDs are of different types: %s here, %s there",
                  gid_type_name(ours->gid.type),
                  gid_type_name(theirs->gid.type));
    if (ours->mtu != theirs->mtu && ours->mtu != 0 && theirs->mtu != 0)
        add_cause(pair, "ip link set INTERFACE mtu 4200",
                  "the MTUs differ: %u here, %u there; packets of the larger "
                  "one may not pass",
                  ours->mtu, theirs->mtu);
}

void pair_explain(struct pair_result *pair)
{
    const struct rdma_side *ours = &pair->rdma, *theirs = &pair->rdma_theirs;
    char route[128];

    add_differences(pair);
    if (ours->gid.type == GID_ROCE_V2)
        add_cause(pair, "nft add rule inet filter input udp dport 4791 accept",
                  "a firewall drops UDP port 4791, which RoCE v2 travels in, "
                  "on a host or between");
    if (ours->gid.type == GID_IB) {
        add_cause(pair, "sminfo (of infiniband-diags)",
                  "no subnet manager leads from %s port %u to the other side",
                  ours->device, ours->port);
    } else {
        snprintf(route, sizeof(route), "ip route get %s", theirs->gid.ip);
        add_cause(pair, route,
                  "%s port %u (GID %u, %s) has no route to %s, or it goes by "
                  "another interface; BALLOT_IB_HCA and BALLOT_IB_GID_INDEX "
                  "choose others",
                  ours->device, ours->port, ours->gid.index, ours->gid.ip,
                  theirs->gid.ip);
    }
    if (ours->is_soft)
        add_cause(pair, "rdma link delete NAME, then add it anew",
                  "rdma_rxe makes no connections any more once its interface "
                  "went down in the middle of work");
    add_cause(pair, "rdma system show",
              "the device belongs to another network namespace than the "
              "process; rdma_rxe knows the first one only");
    add_cause(pair, "rdma statistic show",
              "the switch drops what is not in its lossless class (PFC, VLAN, "
              "traffic class)");
}
