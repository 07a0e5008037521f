/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm.h - who can be reached through shared memory.
 */
#ifndef BALLOT_TRANSPORT_SHM_H
#define BALLOT_TRANSPORT_SHM_H

#include <stdbool.h>

#include "transport.h"

/*
 * Whether the two addresses, as transport_shm.address() made them, are of
 * processes that can share memory: the same boot of the same kernel, the same
 * network namespace (which the names of the sockets live in) and the same user.
 */
bool shm_same_host(const struct address *a, const struct address *b);

#endif
