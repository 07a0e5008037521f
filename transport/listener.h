/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - the port on which an endpoint's peers reach it, and how its
 * address travels.
 */
#ifndef BALLOT_TRANSPORT_LISTENER_H
#define BALLOT_TRANSPORT_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "transport.h"

struct listener {
    int descriptor; /* non-blocking; -1 once closed */
    struct sockaddr_storage local;
    socklen_t local_bytes;
};

/*
 * Listens on a free port of `interface` (a name or an IP in words); NULL: of
 * the interface that leads to other hosts. After a failure it is closed.
 *   -ENODEV  no such interface, or it has no address
 */
int listener_open(struct listener *listener, const char *interface);
void listener_close(struct listener *listener);

/* An IP and a port, within a struct address. */
enum { SOCKET_ADDRESS_BYTES = 20 };

/* -EAFNOSUPPORT: neither IPv4 nor IPv6. */
int socket_address_write(uint8_t bytes[SOCKET_ADDRESS_BYTES],
                         const struct sockaddr_storage *from);
/* `local` is where we listen ourselves; link-local addresses are reached
 * through its interface. -EINVAL: no address that anybody could listen on. */
int socket_address_read(struct sockaddr_storage *to, socklen_t *to_bytes,
                        const uint8_t bytes[SOCKET_ADDRESS_BYTES],
                        const struct sockaddr_storage *local);

/* Whether nothing follows the first `from` bytes. */
bool address_is_zero_from(const struct address *address, size_t from);

#endif
