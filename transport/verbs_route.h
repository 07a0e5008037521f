/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_route.h - how a peer's IP is reached from our port: librdmacm asks the
 * network, as its connections would.
 */
#ifndef BALLOT_TRANSPORT_VERBS_ROUTE_H
#define BALLOT_TRANSPORT_VERBS_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "verbs_device.h"

struct rdma_cm_id;

struct verbs_route {
    bool wanted; /* false once resolved */
    struct sockaddr_storage to;
    struct ibv_ah_attr path; /* once resolved: what a queue pair is told */
    enum ibv_mtu mtu;        /* of the path, at most our port's */
    uint16_t pkey;           /* network order; 0: the first of the port */
    int error;               /* why it is still wanted */
    struct rdma_cm_id *id;   /* of the try under way */
    uint64_t again_ns;       /* no other try begins before */
};

/*
 * Resolves every wanted route at once; an address or route that does not answer
 * is asked for again until the deadline.
 *   -ETIMEDOUT  routes[i].wanted and .error say which and why
 *   or the errno of an event channel that cannot be opened
 */
int verbs_routes_resolve(const struct verbs_device *device,
                         const struct verbs_settings *settings,
                         struct verbs_route *routes, uint32_t count,
                         uint64_t deadline_ns);

#endif
