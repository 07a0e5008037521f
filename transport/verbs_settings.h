/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_settings.h - what a user may choose of RDMA: variables named as NCCL
 * names its own (NCCL_IB_TIMEOUT is BALLOT_IB_TIMEOUT here).
 */
#ifndef BALLOT_TRANSPORT_VERBS_SETTINGS_H
#define BALLOT_TRANSPORT_VERBS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "bootstrap.h"

enum { VERBS_STRIPES_MAX = 16 };

struct verbs_settings {
    const char *devices; /* BALLOT_IB_HCA: "mlx5", "mlx5_0:1,mlx5_1", "=rxe0",
                            "^mlx5_3"; NULL: any */
    int gid_index;       /* BALLOT_IB_GID_INDEX; -1: chosen */
    int traffic_class;   /* BALLOT_IB_TC, 0..255; -1: as routed */
    int service_level;   /* BALLOT_IB_SL, 0..15; -1: as routed */
    uint8_t timeout;     /* BALLOT_IB_TIMEOUT: an acknowledgement is awaited for
                            4.096 us * 2^timeout; 1..24, default 16: 268 ms */
    uint8_t retries;     /* BALLOT_IB_RETRY_CNT: then it is sent again so many
                            times; 0..6. 7 has no end on some devices */
    uint32_t stripes;    /* BALLOT_IB_QPS_PER_CONNECTION, 1..16 */
    bool seal;           /* BALLOT_IB_SEAL=1: what has arrived is closed to its
                            writer until it was read */
};

/* -EINVAL: a variable is wrong; *why says which and what it may be. */
int verbs_settings_read(struct verbs_settings *settings, char why[WHY_BYTES]);

/* Whether `devices` lets a port be used. */
bool verbs_settings_allow(const struct verbs_settings *settings,
                          const char *device, uint32_t port);

#endif
