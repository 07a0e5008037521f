/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialer.h - reaches one listener and proves the key there, however often it
 * has to try.
 */
#ifndef BALLOT_TRANSPORT_DIALER_H
#define BALLOT_TRANSPORT_DIALER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "handshake.h"

struct dialer {
    struct handshake_config config;
    const struct sockaddr *address; /* by reference */
    socklen_t address_bytes;
    struct handshake handshake;
    int descriptor;       /* of the try under way, or -1 */
    short events;         /* to wait for on it */
    uint64_t due_ns;      /* when to move it at the latest */
    int error;            /* of the last try that failed; 0: none did */
    uint32_t rejections;  /* tries in a row that were closed before the other
                             side showed that it knows the key */
    uint64_t rejected_ns; /* the first of them */
};

void dialer_start(struct dialer *dialer, const struct sockaddr *address,
                  socklen_t address_bytes,
                  const struct handshake_config *config);

/*
 * Moves it forward without blocking; a try that fails is followed by the next
 * one after a pause. True when it is through: the descriptor is connected,
 * proven, non-blocking, and by dialer_take() the caller's. Otherwise wait for
 * dialer->events on dialer->descriptor (if it is not -1) or for due_ns.
 */
bool dialer_move(struct dialer *dialer, uint64_t now_ns);
int dialer_take(struct dialer *dialer);

/* Gives up the try under way, if there is one. */
void dialer_stop(struct dialer *dialer);

#endif
