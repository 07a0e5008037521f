/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_interface.c - the network interface that NCCL_SOCKET_IFNAME and
 * NCCL_SOCKET_FAMILY mean.
 *
 * NCCL uses all that match; ballot listens on one, the best: up, not loopback,
 * not link-local, IPv4 before IPv6, and then the first.
 */
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "nccl_inside.h"

/* "^=docker0,lo" */
struct pattern {
    bool excludes, whole;
    const char *names;
};

static struct pattern read_pattern(const char *list)
{
    struct pattern p = {.names = list == NULL ? "" : list};

    p.excludes = *p.names == '^';
    p.names += p.excludes;
    p.whole = *p.names == '=';
    p.names += p.whole;
    return p;
}

/* Whether the list allows it; an empty one allows all. */
static bool allows(const struct pattern *p, const char *interface)
{
    bool named = false;

    if (*p->names == '\0')
        return true;
    for (const char *at = p->names; *at != '\0';) {
        const size_t entry = strcspn(at, ",");
        const size_t length = strcspn(at, ",:"); /* a port means nothing */

        named |= length > 0 && strncmp(at, interface, length) == 0 &&
                 (!p->whole || interface[length] == '\0');
        at += entry;
        at += *at == ',';
    }
    return named != p->excludes;
}

static socklen_t bytes_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                         : sizeof(struct sockaddr_in6);
}

static bool is_link_local(const struct sockaddr *address)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

/* 0: it has no address that could be listened on. */
static int rate(const struct ifaddrs *i, int family)
{
    const struct sockaddr *address = i->ifa_addr;

    if (address == NULL || (i->ifa_flags & IFF_UP) == 0 ||
        (address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        (family != AF_UNSPEC && address->sa_family != family))
        return 0;
    return 1 + (address->sa_family == AF_INET ? 1 : 0) +
           (is_link_local(address) ? 0 : 2) +
           ((i->ifa_flags & IFF_LOOPBACK) != 0 ? 0 : 4);
}

static bool name_address(const struct ifaddrs *i, char *text, size_t text_bytes)
{
    return getnameinfo(i->ifa_addr, bytes_of(i->ifa_addr), text,
                       (socklen_t)text_bytes, NULL, 0, NI_NUMERICHOST) == 0;
}

static void list_interfaces(const struct ifaddrs *all, char *why,
                            size_t why_bytes)
{
    const char *separator = "; there are: ";
    char address[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];

    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        const size_t used = strlen(why);

        if (rate(i, AF_UNSPEC) == 0 ||
            !name_address(i, address, sizeof(address)))
            continue;
        snprintf(why + used, why_bytes - used, "%s%s %s", separator,
                 i->ifa_name, address);
        separator = ", ";
    }
}

/* "AF_INET" and "AF_INET6"; NULL is any. */
static bool read_family(const char *family, int *out)
{
    *out = family == NULL                    ? AF_UNSPEC
           : strcmp(family, "AF_INET") == 0  ? AF_INET
           : strcmp(family, "AF_INET6") == 0 ? AF_INET6
                                             : -1;
    return *out >= 0;
}

/* By its name, with whatever address is best for whom it talks to; by the
 * address where its family was asked for. */
static bool name_interface(const struct ifaddrs *best, int family, char *text,
                           size_t text_bytes)
{
    if (family != AF_UNSPEC)
        return name_address(best, text, text_bytes);
    snprintf(text, text_bytes, "%s", best->ifa_name);
    return true;
}

bool nccl_interface(const char *list, const char *family, char *text,
                    size_t text_bytes, char *why, size_t why_bytes)
{
    const struct pattern pattern = read_pattern(list);
    const struct ifaddrs *best = NULL;
    struct ifaddrs *all;
    int wanted, most = 0;
    bool found;

    if (!read_family(family, &wanted)) {
        snprintf(why, why_bytes,
                 "NCCL_SOCKET_FAMILY=%.64s: it is AF_INET or AF_INET6", family);
        return false;
    }
    if (getifaddrs(&all) != 0) {
        snprintf(why, why_bytes,
                 "NCCL_SOCKET_IFNAME: the interfaces cannot be listed; set "
                 "BALLOT_SOCKET_IFNAME to one");
        return false;
    }
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        const int rated = allows(&pattern, i->ifa_name) ? rate(i, wanted) : 0;

        if (rated > most) {
            best = i;
            most = rated;
        }
    }
    found = best != NULL && name_interface(best, wanted, text, text_bytes);
    if (!found) {
        snprintf(why, why_bytes,
                 "NCCL_SOCKET_IFNAME=%.128s%s%.16s: no interface that is up "
                 "is meant by it",
                 list == NULL ? "" : list,
                 family == NULL ? "" : " NCCL_SOCKET_FAMILY=",
                 family == NULL ? "" : family);
        list_interfaces(all, why, why_bytes);
    }
    freeifaddrs(all);
    return found;
}
