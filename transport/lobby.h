/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lobby.h - where accepted connections wait until they have proven the key.
 *
 * A port scan, an HTTP request, a half-open or slow connection costs one of a
 * bounded number of places for a bounded time, and delays nobody who knows the
 * key.
 */
#ifndef BALLOT_TRANSPORT_LOBBY_H
#define BALLOT_TRANSPORT_LOBBY_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "handshake.h"

enum { LOBBY_STRANGERS_MAX = 64 }; /* places beyond those for expected peers */

struct guest; /* one connection */

struct lobby {
    struct handshake_config config;
    int listener; /* the caller's */
    struct guest *guests;
    uint32_t count;
    uint32_t places;    /* <= what was opened; when full, one is dropped */
    uint64_t resume_ns; /* descriptors were short: no accept() before */
    uint64_t strangers; /* connections that were dropped or refused */
};

/*
 * A peer has proven its key. True if it was let in: then its descriptor, on
 * which handshake_step() said HANDSHAKE_DONE, is the callee's. Otherwise it
 * counts as a stranger and is closed.
 */
typedef bool lobby_admit_fn(void *context, struct handshake *handshake);

/* -ENOMEM. `listener` is non-blocking. */
int lobby_open(struct lobby *lobby, int listener, uint32_t places,
               const struct handshake_config *config);

/* Fills polls[places + 1] with what to wait for; returns how many. */
uint32_t lobby_watch(const struct lobby *lobby, struct pollfd *polls,
                     uint64_t now_ns);

/* Until when to wait at most. */
uint64_t lobby_due_ns(const struct lobby *lobby, uint64_t now_ns);

/*
 * Moves all on which something happened, drops whose time is up, accepts some
 * more. `polls` is what lobby_watch() filled and poll() saw. 0, or the errno of
 * a listener that cannot accept at all.
 */
int lobby_move(struct lobby *lobby, const struct pollfd *polls, uint64_t now_ns,
               lobby_admit_fn *admit, void *context);

/* Whoever still waits is a stranger. */
void lobby_close(struct lobby *lobby);

#endif
