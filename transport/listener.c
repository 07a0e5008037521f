/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.c - where an endpoint listens, and how peers are told.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.h"
#include "listener.h"

/* How an address travels. */
struct wire_address {
    uint8_t version; /* of IP, 4 or 6 */
    uint8_t zero;
    uint16_t port; /* network order */
    uint8_t ip[16];
};

_Static_assert(sizeof(struct wire_address) == SOCKET_ADDRESS_BYTES,
               "what others may put behind it");

int socket_address_write(uint8_t bytes[SOCKET_ADDRESS_BYTES],
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
    memcpy(bytes, &wire, sizeof(wire));
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

int socket_address_read(struct sockaddr_storage *to, socklen_t *to_bytes,
                        const uint8_t bytes[SOCKET_ADDRESS_BYTES],
                        const struct sockaddr_storage *local)
{
    struct wire_address wire;

    memcpy(&wire, bytes, sizeof(wire));
    memset(to, 0, sizeof(*to));
    if (wire.zero != 0 || wire.port == 0)
        return -EINVAL;
    if (wire.version == 4) {
        *to_bytes = sizeof(struct sockaddr_in);
        return read_v4(&wire, (struct sockaddr_in *)to);
    }
    if (wire.version == 6) {
        *to_bytes = sizeof(struct sockaddr_in6);
        return read_v6(&wire, (struct sockaddr_in6 *)to, local);
    }
    return -EINVAL;
}

bool address_is_zero_from(const struct address *address, size_t from)
{
    static const uint8_t zeros[ADDRESS_BYTES];

    return memcmp(&address->bytes[from], zeros, ADDRESS_BYTES - from) == 0;
}

/*
 * Without an interface: the one of the default route, or else loopback. The
 * addresses asked for are reserved for documentation, and nothing is sent.
 */
static int any_local_address(struct listener *listener)
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
                                     &listener->local, &listener->local_bytes,
                                     why);
    }
    return rc;
}

int listener_open(struct listener *listener, const char *interface)
{
    struct sockaddr *local = (struct sockaddr *)&listener->local;
    char why[WHY_BYTES];
    int rc = interface == NULL
                 ? any_local_address(listener)
                 : bootstrap_local_address(interface, NULL, 0, &listener->local,
                                           &listener->local_bytes, why);

    listener->descriptor = -1;
    if (rc != 0)
        return rc;
    listener->descriptor =
        socket(local->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->descriptor < 0)
        return -errno;
    if (bind(listener->descriptor, local, listener->local_bytes) < 0 ||
        listen(listener->descriptor, SOMAXCONN) < 0 ||
        getsockname(listener->descriptor, local, &listener->local_bytes) < 0) {
        rc = -errno;
        listener_close(listener);
    }
    return rc;
}

void listener_close(struct listener *listener)
{
    if (listener->descriptor >= 0)
        close(listener->descriptor);
    listener->descriptor = -1;
}
