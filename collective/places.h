/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.h - the transports of a communicator, and through which of them each
 * peer is reached.
 */
#ifndef BALLOT_COLLECTIVE_PLACES_H
#define BALLOT_COLLECTIVE_PLACES_H

#include "comm.h"

/* Endpoints while joining, best first, and what settings.transport asks for. */
enum place { PLACE_SHM, PLACE_VERBS, PLACE_TCP };
enum {
    WANT_AUTO,
    WANT_SHM,
    WANT_TCP,
    WANT_VERBS,
    WANT_NO_SHM, /* chosen among the others */
    WANT_NO_VERBS,
};

enum { CORE_WORDS = 16 };

/* What a rank tells all others of its endpoints, zeros where it has none, and
 * of the cores that it may run on: bit c mod 64 of word c / 64. */
struct places {
    char host[HOST_BYTES];
    uint32_t trusts_host; /* a dedicated server: shm with its own uid */
    uint64_t cores[CORE_WORDS];
    struct address address[ENDPOINTS_MAX];
};

/*
 * Opens what may be needed, and fills ours->address. Without an RDMA device
 * nothing is said unless verbs was asked for. `root` is where ranks meet.
 * `bell` ends places_connect(), or is NULL.
 */
int places_open(struct ballot_comm *comm, const struct sockaddr *root,
                uint32_t root_bytes, const int *bell, struct places *ours,
                char *why);

/*
 * Links every member over the best transport that both have, closes endpoints
 * that nobody is reached through, and says what was chosen at INFO. table is
 * [members].
 */
int places_connect(struct ballot_comm *comm, const struct places *table,
                   uint64_t deadline_ns, char *why);

#endif
