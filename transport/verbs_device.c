/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_device.c - looks at every port and GID there is, and takes the best.
 */
#include "verbs_device.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* What is not usable at all has no score. */
enum {
    SCORE_LINK_LOCAL = 1,
    SCORE_IPV6,
    SCORE_INFINIBAND,
    SCORE_IPV4,
    SCORE_NEAR = 16, /* added where the IP is the one asked for */
};

/* The best choice until now, and what stood in the way of others. */
struct search {
    const struct verbs_settings *settings;
    const struct sockaddr *near;
    struct verbs_device best;
    int score;
    char found[WHY_BYTES / 2]; /* ports that cannot be used, and why */
};

static void note(struct search *search, const char *device, uint32_t port,
                 const char *what)
{
    size_t used = strlen(search->found);

    snprintf(search->found + used, sizeof(search->found) - used,
             "%s%s port %u %s", used > 0 ? "; " : "", device, port, what);
}

/* ---- The IP of a port ---- */

static void address_of_gid(struct verbs_device *device,
                           const struct ibv_gid_entry *entry)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&device->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&device->address;
    struct in6_addr ip;

    memcpy(&ip, entry->gid.raw, sizeof(ip));
    if (IN6_IS_ADDR_V4MAPPED(&ip)) {
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, &ip.s6_addr[12], sizeof(v4->sin_addr));
        device->address_bytes = sizeof(*v4);
        return;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_addr = ip;
    if (IN6_IS_ADDR_LINKLOCAL(&ip))
        v6->sin6_scope_id = entry->ndev_ifindex;
    device->address_bytes = sizeof(*v6);
}

/* The IP of a network interface; IPv4 before IPv6. False: it has none. */
static bool address_of_interface(struct verbs_device *device, const char *name)
{
    struct ifaddrs *all, *at;

    if (getifaddrs(&all) != 0)
        return false;
    for (at = all; at != NULL; at = at->ifa_next) {
        int family = at->ifa_addr != NULL ? at->ifa_addr->sa_family : AF_UNSPEC;

        if (strcmp(at->ifa_name, name) != 0 ||
            (family != AF_INET && family != AF_INET6) ||
            (family == AF_INET6 && device->address_bytes > 0))
            continue;
        device->address_bytes = family == AF_INET ? sizeof(struct sockaddr_in)
                                                  : sizeof(struct sockaddr_in6);
        memcpy(&device->address, at->ifa_addr, device->address_bytes);
        if (family == AF_INET)
            break;
    }
    freeifaddrs(all);
    return device->address_bytes > 0;
}

/* InfiniBand: the IP of the interface over it (IPoIB). */
static bool address_over_infiniband(struct verbs_device *device)
{
    char path[128];
    struct dirent *entry;
    DIR *directory;
    bool found = false;

    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/device/net",
             ibv_get_device_name(device->context->device));
    directory = opendir(path);
    if (directory == NULL)
        return false;
    while (!found && (entry = readdir(directory)) != NULL)
        found = entry->d_name[0] != '.' &&
                address_of_interface(device, entry->d_name);
    closedir(directory);
    return found;
}

static bool same_ip(const struct sockaddr *a, const struct sockaddr *b)
{
    const struct sockaddr_in *a4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in *b4 = (const struct sockaddr_in *)b;
    const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a;
    const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)b;

    if (a == NULL || a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET)
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
}

/* ---- Ports and GIDs ---- */

static int score_of_ip(const struct sockaddr *ip)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)ip;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ip;

    if (ip->sa_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ? 0
                                                                  : SCORE_IPV4;
    if (IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr))
        return 0;
    return IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr) ? SCORE_LINK_LOCAL
                                                 : SCORE_IPV6;
}

/* Keeps `device` if it is better than the best; its context stays open. */
static void consider(struct search *search, const struct verbs_device *device,
                     int score)
{
    if (same_ip(search->near, (const struct sockaddr *)&device->address))
        score += SCORE_NEAR;
    if (score <= search->score)
        return;
    search->best = *device;
    search->score = score;
}

static void look_at_gid(struct search *search, const struct verbs_device *port,
                        const struct ibv_gid_entry *entry)
{
    struct verbs_device device = *port;
    int forced = search->settings->gid_index;
    int score = SCORE_INFINIBAND;

    if (entry->port_num != port->port ||
        (forced >= 0 && entry->gid_index != (uint32_t)forced))
        return;
    if (port->roce) {
        if (entry->gid_type != IBV_GID_TYPE_ROCE_V2)
            return;
        address_of_gid(&device, entry);
        score = score_of_ip((const struct sockaddr *)&device.address);
        if (score == 0)
            note(search, ibv_get_device_name(port->context->device), port->port,
                 "is on the loopback interface, which RDMA connections cannot "
                 "use (put it on a dummy interface)");
    } else if (!address_over_infiniband(&device)) {
        note(search, ibv_get_device_name(port->context->device), port->port,
             "has no IP (set one up over InfiniBand: modprobe ib_ipoib)");
        score = 0;
    }
    device.gid = entry->gid;
    device.gid_index = (uint8_t)entry->gid_index;
    if (score > 0)
        consider(search, &device, score);
}

static void look_at_port(struct search *search, const struct verbs_device *open,
                         uint8_t number)
{
    enum { GIDS_MAX = 256 };
    struct ibv_gid_entry gids[GIDS_MAX];
    struct verbs_device port = *open;
    const char *name = ibv_get_device_name(open->context->device);
    struct ibv_port_attr attributes;
    int score = search->score;
    ssize_t count;

    if (!verbs_settings_allow(search->settings, name, number)) {
        note(search, name, number, "is excluded by BALLOT_IB_HCA");
        return;
    }
    if (ibv_query_port(open->context, number, &attributes) != 0 ||
        attributes.state != IBV_PORT_ACTIVE) {
        note(search, name, number,
             "is not active (set its interface up: ip link set IF up)");
        return;
    }
    port.port = number;
    port.roce = attributes.link_layer == IBV_LINK_LAYER_ETHERNET;
    port.mtu = attributes.active_mtu;
    count = ibv_query_gid_table(open->context, gids, GIDS_MAX, 0);
    for (ssize_t i = 0; i < count; i++)
        look_at_gid(search, &port, &gids[i]);
    if (search->score == score && score == 0)
        note(search, name, number,
             "has no usable GID (give its interface an IP; see "
             "BALLOT_IB_GID_INDEX)");
}

static int node_of(const struct ibv_device *device)
{
    char path[128];
    FILE *file;
    int node = -1;

    snprintf(path, sizeof(path), "/sys/class/infiniband/%s/device/numa_node",
             device->name);
    file = fopen(path, "re");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%d", &node) != 1)
        node = -1;
    fclose(file);
    return node;
}

/* Opens a device and keeps it open if one of its ports is the best now. */
static void look_at_device(struct search *search, struct ibv_device *found)
{
    struct verbs_device device = {.context = ibv_open_device(found)};
    struct ibv_context *replaced = search->best.context;

    if (device.context == NULL) {
        note(search, ibv_get_device_name(found), 0,
             "cannot be opened (may this user open /dev/infiniband/uverbs*?)");
        return;
    }
    device.node = node_of(found);
    if (ibv_query_device(device.context, &device.limits) != 0)
        note(search, ibv_get_device_name(found), 0,
             "cannot be asked what it can do (is its driver being unloaded?)");
    else
        for (uint8_t port = 1; port <= device.limits.phys_port_cnt; port++)
            look_at_port(search, &device, port);
    if (search->best.context != device.context)
        ibv_close_device(device.context);
    else if (replaced != NULL)
        ibv_close_device(replaced);
}

int verbs_device_open(struct verbs_device *device,
                      const struct verbs_settings *settings,
                      const struct sockaddr *near, char why[WHY_BYTES])
{
    struct search search = {.settings = settings, .near = near};
    int count = 0;
    struct ibv_device **list = ibv_get_device_list(&count);
    int flags;

    for (int i = 0; list != NULL && i < count; i++)
        look_at_device(&search, list[i]);
    if (list != NULL)
        ibv_free_device_list(list);
    if (search.score == 0) {
        snprintf(why, WHY_BYTES, "no RDMA device can be used: %s",
                 count > 0 ? search.found
                           : "there is none (ballot-doctor says how to get "
                             "one; soft-RoCE: rdma link add rxe0 type rxe "
                             "netdev IF)");
        return -ENODEV;
    }
    *device = search.best;
    flags = fcntl(device->context->async_fd, F_GETFL);
    if (flags < 0 ||
        fcntl(device->context->async_fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        int rc = -errno;

        snprintf(why, WHY_BYTES, "events of %s cannot be read: %s",
                 ibv_get_device_name(device->context->device), strerror(-rc));
        verbs_device_close(device);
        return rc;
    }
    return 0;
}

void verbs_device_close(struct verbs_device *device)
{
    if (device->context != NULL)
        ibv_close_device(device->context);
    device->context = NULL;
}
