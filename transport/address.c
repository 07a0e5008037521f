/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.c - addresses as people write them, and those of this host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bootstrap.h"
#include "names.h"

enum { HOST_BYTES = 256, PORT_BYTES = 6 };

/* ---- In words, and back ---- */

/* Finds host and port in "host:port" or "[v6]:port". */
static const char *split(const char *text, char host[HOST_BYTES],
                         char port[PORT_BYTES])
{
    const char *colon = strrchr(text, ':');
    const char *first = text, *end = colon;
    size_t digits;

    if (colon == NULL)
        return "it has no port; write host:port, such as 10.0.0.1:29500";
    if (text[0] == '[') {
        if (colon == text || colon[-1] != ']')
            return "write an IPv6 address as [address]:port";
        first++;
        end--;
    } else if (strchr(text, ':') != colon) {
        return "write an IPv6 address as [address]:port";
    }
    digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits >= PORT_BYTES || colon[1 + digits] != '\0' ||
        strtoul(colon + 1, NULL, 10) > UINT16_MAX)
        return "the port is to be a number up to 65535";
    if (end == first || end - first >= HOST_BYTES)
        return "the host before the colon is missing or too long";
    memcpy(host, first, (size_t)(end - first));
    host[end - first] = '\0';
    memcpy(port, colon + 1, digits + 1);
    return NULL;
}

int bootstrap_parse(const char *text, struct sockaddr_storage *address,
                    socklen_t *address_bytes, char why[WHY_BYTES])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char host[HOST_BYTES], port[PORT_BYTES];
    const char *wrong = split(text, host, port);
    int error;

    if (wrong != NULL) {
        snprintf(why, WHY_BYTES, "cannot read the address '%.100s': %s", text,
                 wrong);
        return -EINVAL;
    }
    error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        snprintf(why, WHY_BYTES,
                 "cannot resolve the host '%.100s' (%s); is it spelled right?"
                 " A numeric address always works",
                 host, gai_strerror(error));
        return -EINVAL;
    }
    memset(address, 0, sizeof(*address));
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *address_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

void bootstrap_format(const struct sockaddr *address, socklen_t address_bytes,
                      char text[ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1], port[PORT_BYTES];
    const struct sockaddr_un *local = (const struct sockaddr_un *)address;
    size_t head = offsetof(struct sockaddr_un, sun_path);

    if (address->sa_family == AF_UNIX && address_bytes > head) {
        bool abstract = local->sun_path[0] == '\0';

        snprintf(text, ADDRESS_TEXT_BYTES, "unix:%s%.*s", abstract ? "@" : "",
                 (int)(address_bytes - head) - abstract,
                 local->sun_path + abstract);
        return;
    }
    if (getnameinfo(address, address_bytes, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(text, ADDRESS_TEXT_BYTES, "a local process");
    else
        snprintf(text, ADDRESS_TEXT_BYTES,
                 address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                 port);
}

/* ---- Of this host ---- */

static bool is_inet(const struct sockaddr *address)
{
    return address != NULL &&
           (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

static socklen_t inet_bytes(const struct sockaddr *address)
{
    return address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                         : sizeof(struct sockaddr_in6);
}

/* "10.0.0.1", without the port. */
static void format_host(const struct sockaddr *address, char host[HOST_BYTES])
{
    if (getnameinfo(address, inet_bytes(address), host, HOST_BYTES, NULL, 0,
                    NI_NUMERICHOST) != 0)
        host[0] = '\0';
}

static bool is_link_local(const struct sockaddr *address)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

/* How well an address serves; 0: not at all. `family` AF_UNSPEC takes any. */
static int rate(const struct ifaddrs *interface, const char *name, int family)
{
    const struct sockaddr *address = interface->ifa_addr;
    char host[HOST_BYTES];

    if (!is_inet(address) || (interface->ifa_flags & IFF_UP) == 0)
        return 0;
    format_host(address, host);
    if (name != NULL && strcmp(name, host) == 0)
        return 4; /* asked for to the letter, whatever the family */
    if (name != NULL && strcmp(name, interface->ifa_name) != 0)
        return 0;
    if (family != AF_UNSPEC && family != address->sa_family)
        return 0;
    if (is_link_local(address))
        return 1;
    return address->sa_family == AF_INET ? 3 : 2;
}

static void give(const struct sockaddr *from, struct sockaddr_storage *address,
                 socklen_t *address_bytes)
{
    memset(address, 0, sizeof(*address));
    memcpy(address, from, inet_bytes(from));
    *address_bytes = inet_bytes(from);
    if (from->sa_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = 0;
    else
        ((struct sockaddr_in6 *)address)->sin6_port = 0;
}

static void append_interfaces(char why[WHY_BYTES],
                              const struct ifaddrs *interfaces)
{
    const char *separator = "";
    char host[HOST_BYTES];

    for (; interfaces != NULL; interfaces = interfaces->ifa_next) {
        if (rate(interfaces, NULL, AF_UNSPEC) == 0)
            continue;
        format_host(interfaces->ifa_addr, host);
        names_append(why, WHY_BYTES, "%s%s %s", separator, interfaces->ifa_name,
                     host);
        separator = ", ";
    }
}

static int find_interface(const char *name, int family,
                          struct sockaddr_storage *address,
                          socklen_t *address_bytes, char why[WHY_BYTES])
{
    const struct ifaddrs *best = NULL;
    struct ifaddrs *interfaces;
    int best_rate = 0;

    if (getifaddrs(&interfaces) < 0) {
        snprintf(why, WHY_BYTES,
                 "cannot list the interfaces (%s); set BALLOT_ROOT on rank 0",
                 strerrordesc_np(errno));
        return -ENODEV;
    }
    for (struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        int rated = rate(i, name, family);

        if (rated > best_rate) {
            best = i;
            best_rate = rated;
        }
    }
    if (best != NULL) {
        give(best->ifa_addr, address, address_bytes);
    } else {
        snprintf(why, WHY_BYTES,
                 "no interface or local address '%.64s'%s is up; set"
                 " BALLOT_SOCKET_IFNAME to one of: ",
                 name,
                 family == AF_INET    ? " with IPv4"
                 : family == AF_INET6 ? " with IPv6"
                                      : "");
        append_interfaces(why, interfaces);
    }
    freeifaddrs(interfaces);
    return best != NULL ? 0 : -ENODEV;
}

/* Connecting a datagram socket sends nothing, but asks for the route. */
static int ask_route(const struct sockaddr *towards, socklen_t towards_bytes,
                     struct sockaddr_storage *local)
{
    int descriptor = socket(towards->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t local_bytes = sizeof(*local);
    int result = 0;

    if (descriptor < 0)
        return -errno;
    if (connect(descriptor, towards, towards_bytes) < 0 ||
        getsockname(descriptor, (struct sockaddr *)local, &local_bytes) < 0)
        result = -errno;
    close(descriptor);
    return result;
}

/* Of the best interface that leads to other hosts; false: none does. */
static bool find_outside(struct sockaddr_storage *local)
{
    struct ifaddrs *interfaces;
    socklen_t bytes;
    int best_rate = 0;

    if (getifaddrs(&interfaces) < 0)
        return false;
    for (struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        int rated =
            (i->ifa_flags & IFF_LOOPBACK) != 0 ? 0 : rate(i, NULL, AF_UNSPEC);

        if (rated > best_rate) {
            best_rate = rated;
            give(i->ifa_addr, local, &bytes);
        }
    }
    freeifaddrs(interfaces);
    return best_rate > 0;
}

/* The address of the default route. The hosts of a cluster may have none to
 * reach each other; a host without any network talks to itself. */
static void find_default(struct sockaddr_storage *local)
{
    struct sockaddr_in somewhere = {
        .sin_family = AF_INET,
        .sin_port = htons(9),
        .sin_addr.s_addr = htonl(0xc0000201), /* 192.0.2.1, for examples */
    };
    struct sockaddr_in *loopback = (struct sockaddr_in *)local;

    if (ask_route((const struct sockaddr *)&somewhere, sizeof(somewhere),
                  local) == 0 ||
        find_outside(local))
        return;
    memset(local, 0, sizeof(*local));
    loopback->sin_family = AF_INET;
    loopback->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

int bootstrap_local_address(const char *name, const struct sockaddr *towards,
                            socklen_t towards_bytes,
                            struct sockaddr_storage *address,
                            socklen_t *address_bytes, char why[WHY_BYTES])
{
    struct sockaddr_storage local;
    char where[ADDRESS_TEXT_BYTES];
    int result;

    if (name != NULL)
        return find_interface(name,
                              is_inet(towards) ? towards->sa_family : AF_UNSPEC,
                              address, address_bytes, why);
    if (towards == NULL) {
        find_default(&local);
    } else {
        result = is_inet(towards) ? ask_route(towards, towards_bytes, &local)
                                  : -EAFNOSUPPORT;
        if (result < 0) {
            bootstrap_format(towards, towards_bytes, where);
            snprintf(why, WHY_BYTES,
                     "no route to %s (%s); check BALLOT_ROOT, or name an"
                     " interface in BALLOT_SOCKET_IFNAME",
                     where, strerrordesc_np(-result));
            return -ENODEV;
        }
    }
    give((const struct sockaddr *)&local, address, address_bytes);
    return 0;
}
