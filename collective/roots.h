/* SPDX-License-Identifier: Apache-2.0 */
/* roots.h - where a job's ranks meet: unique ids and addresses in words. */
#ifndef BALLOT_COLLECTIVE_ROOTS_H
#define BALLOT_COLLECTIVE_ROOTS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "../include/ballot.h"
#include "../transport/handshake.h"

/* Where the root listens, and the job's key. */
struct place {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct credentials credentials;
    bool known; /* to all ranks beforehand: see ballot_unique_id_at() */
};

/*
 * Makes an id and listens for the ranks, as ballot_get_unique_id() says, until
 * roots_leave(); on this host alone with `one_host`, unless BALLOT_ROOT or
 * BALLOT_SOCKET_IFNAME say otherwise. *why of an error.
 */
int roots_listen(struct ballot_unique_id *id, bool one_host, char *why);

/* Listens for the next communicator, with an id that roots_listen() made in
 * this process. */
int roots_listen_again(const struct ballot_unique_id *id, char *why);

/* What an id says. -EINVAL with *why if it was not made by
 * ballot_get_unique_id(). */
int roots_read_id(const struct ballot_unique_id *id, struct place *place,
                  char *why);

/* If it is a known place: reads the key, as roots_read_place() does, and
 * listens there if this rank has to. */
int roots_open_known(const struct ballot_unique_id *id, struct place *place,
                     unsigned auth, int rank, bool listens, char *why);

/* A communicator was made with the id, or could not be: if its root listens in
 * this process, it stops. Returns how many strangers it sent away. */
uint64_t roots_leave(const struct ballot_unique_id *id);

/* Where they meet, `root` in words, and the key; warns once if there is none.
 * -ENOENT if there are no words, -EINVAL and errors of the key, with *why. */
int roots_read_place(struct place *place, const char *root, unsigned auth,
                     int rank, char *why);

#endif
