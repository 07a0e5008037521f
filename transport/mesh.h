/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh.h - one authenticated stream connection to each wanted peer.
 *
 * Of each pair the higher rank connects to the lower one's listener. Both tcp
 * and shm make their links with it: tcp keeps the connection for the data, shm
 * passes its memory over it and keeps it to notice a death.
 */
#ifndef BALLOT_TRANSPORT_MESH_H
#define BALLOT_TRANSPORT_MESH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "handshake.h"

struct mesh_config {
    struct handshake_config handshake;
    int listener;         /* non-blocking, listening; stays the caller's */
    uint64_t deadline_ns; /* CLOCK_MONOTONIC */
    const int *bell; /* NULL, or a descriptor that ends the wait when it becomes
                        readable */
};

struct mesh_peer {
    struct sockaddr_storage address; /* where it listens */
    socklen_t address_bytes;
    bool wanted;    /* false once connected; never set for ourselves */
    int descriptor; /* connected and proven, non-blocking, the caller's to
                       close; -1 if a wanted peer was not reached */
};

/*
 * Connects with every wanted peer of peers[ranks]; refused or reset connections
 * are tried again until the deadline. Strangers on the listener (wrong key, no
 * ballot, half-open, slow) are dropped and counted in *strangers and delay
 * nobody: at most a bounded number of unproven connections is kept, the oldest
 * goes first. A second connection as the same rank is dropped and counted. Both
 * ends of a connection agree that it is made, and nothing that follows the
 * handshake is read. Whatever is returned, the descriptors of peers that are no
 * longer wanted are the caller's.
 *   -ETIMEDOUT  peers[i].wanted says who is missing
 *   -ECANCELED  the bell
 *   -EMFILE     the same, and this process was short of descriptors
 *   -ENOMEM, or the errno of a listener that does not listen
 */
int mesh_connect(const struct mesh_config *config, struct mesh_peer *peers,
                 uint64_t *strangers);

#endif
