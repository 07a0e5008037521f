/* SPDX-License-Identifier: Apache-2.0 */
/* roots.h - where a job's ranks meet: unique ids and the environment. */
#ifndef BALLOT_COLLECTIVE_ROOTS_H
#define BALLOT_COLLECTIVE_ROOTS_H

#include <sys/socket.h>

#include "../include/ballot.h"
#include "../transport/handshake.h"

/* Where the root listens, and the job's key. */
struct place {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct credentials credentials;
};

/* What an id says. -EINVAL with *why if it was not made by
 * ballot_get_unique_id(). */
int roots_read_id(const struct ballot_unique_id *id, struct place *place,
                  char *why);

/* A communicator was made with the id, or could not be: if its root listens in
 * this process, it stops. Returns how many strangers it sent away. */
uint64_t roots_leave(const struct ballot_unique_id *id);

/* BALLOT_RANK and BALLOT_RANKS. -ENOENT, -EINVAL with *why. */
int roots_read_launch(int *ranks, int *rank, char *why);

/* Where they meet, `root` (BALLOT_ROOT) in words, and the key; warns once if
 * there is none. */
int roots_read_place(struct place *place, const char *root, unsigned auth,
                     int rank, char *why);

#endif
