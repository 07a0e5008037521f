/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_device.h - which RDMA device, port and GID this rank uses.
 */
#ifndef BALLOT_TRANSPORT_VERBS_DEVICE_H
#define BALLOT_TRANSPORT_VERBS_DEVICE_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "bootstrap.h"
#include "verbs_settings.h"

struct verbs_device {
    struct ibv_context *context; /* open; async_fd does not block */
    uint8_t port;
    bool roce; /* Ethernet, not InfiniBand */
    uint8_t gid_index;
    union ibv_gid gid;
    enum ibv_mtu mtu;                /* of the port */
    struct sockaddr_storage address; /* the IP that leads here, port 0 */
    socklen_t address_bytes;
    struct ibv_device_attr limits;
    int node; /* of NUMA; -1: not known */
};

/*
 * Opens the best port that is active and that the settings allow: one that has
 * the IP `near` first, then RoCE v2 over IPv4, InfiniBand, RoCE v2 over IPv6.
 * `near` may be NULL.
 *   -ENODEV  there is none; *why says what was found and what to do
 */
int verbs_device_open(struct verbs_device *device,
                      const struct verbs_settings *settings,
                      const struct sockaddr *near, char why[WHY_BYTES]);
void verbs_device_close(struct verbs_device *device);

#endif
