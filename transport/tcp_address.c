/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_address.c - where an endpoint listens, and how peers are told.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.h"
#include "tcp.h"

/* How an address travels; the rest of struct address is zero. */
struct wire_address {
    uint8_t version; /* of IP, 4 or 6 */
    uint8_t zero;
    uint16_t port; /* network order */
    uint8_t ip[16];
};

int tcp_address_write(struct address *address,
                      const struct sockaddr_storage *from)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
    struct wire_address wire = {0};

    if (from->ss_family == AF_INET) {
        wire.version = 4;
        wire.port = v4->sin_port;
        memcpy(wire.ip, &v4->sin_addr, sizeof(v4->sin_addr));
    } else if (from->ss_family == AF_INET6) {
        wire.version = 6;
        wire.port = v6->sin6_port;
        memcpy(wire.ip, &v6->sin6_addr, sizeof(v6->sin6_addr));
    } else {
        return -EAFNOSUPPORT;
    }
    memset(address, 0, sizeof(*address));
    memcpy(address->bytes, &wire, sizeof(wire));
    return 0;
}

static int read_v4(const struct wire_address *wire, struct sockaddr_in *to)
{
    static const uint8_t zeros[12];

    to->sin_family = AF_INET;
    to->sin_port = wire->port;
    memcpy(&to->sin_addr, wire->ip, sizeof(to->sin_addr));
    if (memcmp(&wire->ip[4], zeros, sizeof(zeros)) != 0 ||
        to->sin_addr.s_addr == htonl(INADDR_ANY) ||
        to->sin_addr.s_addr == htonl(INADDR_BROADCAST) ||
        IN_MULTICAST(ntohl(to->sin_addr.s_addr)))
        return -EINVAL;
    return 0;
}

/* A link-local address is reached through the interface that we listen on. */
static int read_v6(const struct wire_address *wire, struct sockaddr_in6 *to,
                   const struct sockaddr_storage *local)
{
    to->sin6_family = AF_INET6;
    to->sin6_port = wire->port;
    memcpy(&to->sin6_addr, wire->ip, sizeof(to->sin6_addr));
    if (IN6_IS_ADDR_UNSPECIFIED(&to->sin6_addr) ||
        IN6_IS_ADDR_MULTICAST(&to->sin6_addr))
        return -EINVAL;
    if (IN6_IS_ADDR_LINKLOCAL(&to->sin6_addr) && local->ss_family == AF_INET6)
        to->sin6_scope_id = ((const struct sockaddr_in6 *)local)->sin6_scope_id;
    return 0;
}

int tcp_address_read(struct mesh_peer *peer, const struct address *address,
                     const struct sockaddr_storage *local)
{
    static const uint8_t zeros[ADDRESS_BYTES];
    struct wire_address wire;

    memcpy(&wire, address->bytes, sizeof(wire));
    memset(&peer->address, 0, sizeof(peer->address));
    if (memcmp(&address->bytes[sizeof(wire)], zeros,
               sizeof(zeros) - sizeof(wire)) != 0 ||
        wire.zero != 0 || wire.port == 0)
        return -EINVAL;
    if (wire.version == 4) {
        peer->address_bytes = sizeof(struct sockaddr_in);
        return read_v4(&wire, (struct sockaddr_in *)&peer->address);
    }
    if (wire.version == 6) {
        peer->address_bytes = sizeof(struct sockaddr_in6);
        return read_v6(&wire, (struct sockaddr_in6 *)&peer->address, local);
    }
    return -EINVAL;
}

/*
 * Without an interface: the one of the default route, or else loopback. The
 * addresses asked for are reserved for documentation, and nothing is sent.
 */
static int any_local_address(struct endpoint *endpoint)
{
    static const struct {
        int family;
        const char *towards;
    } tries[] = {{AF_INET, "192.0.2.1"},
                 {AF_INET6, "2001:db8::1"},
                 {AF_INET, "127.0.0.1"}};
    char why[WHY_BYTES];
    int rc = -ENODEV;

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]) && rc != 0; i++) {
        union {
            struct sockaddr any;
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;
        } towards = {.any.sa_family = (sa_family_t)tries[i].family};
        void *ip = tries[i].family == AF_INET ? (void *)&towards.v4.sin_addr
                                              : (void *)&towards.v6.sin6_addr;

        inet_pton(tries[i].family, tries[i].towards, ip);
        towards.v4.sin_port = htons(9);
        rc = bootstrap_local_address(NULL, &towards.any, sizeof(towards),
                                     &endpoint->local, &endpoint->local_bytes,
                                     why);
    }
    return rc;
}

int tcp_listen(struct endpoint *endpoint)
{
    const char *interface = endpoint->config.interface;
    struct sockaddr *local = (struct sockaddr *)&endpoint->local;
    char why[WHY_BYTES];
    int rc = interface == NULL
                 ? any_local_address(endpoint)
                 : bootstrap_local_address(interface, NULL, 0, &endpoint->local,
                                           &endpoint->local_bytes, why);

    if (rc != 0)
        return rc;
    endpoint->listener =
        socket(local->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (endpoint->listener < 0)
        return -errno;
    if (bind(endpoint->listener, local, endpoint->local_bytes) < 0 ||
        listen(endpoint->listener, SOMAXCONN) < 0 ||
        getsockname(endpoint->listener, local, &endpoint->local_bytes) < 0) {
        rc = -errno;
        close(endpoint->listener);
        endpoint->listener = -1;
    }
    return rc;
}
