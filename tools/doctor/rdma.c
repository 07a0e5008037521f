/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rdma.c - RDMA devices as /sys shows them.
 */
#include "facts.h"
#include "files.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* Headers of RoCE v2 that an interface's MTU has to hold besides. */
    ROCE_HEADER_BYTES = 80,
    ROCE_MTU_MIN = 256,
    ROCE_MTU_MAX = 4096,
};

/* ---- GIDs ---- */

enum gid_type gid_type_parse(const char *text)
{
    /* The kernel has one name for InfiniBand's and RoCE's first version. */
    if (strcmp(text, "IB/RoCE v1") == 0)
        return GID_ROCE_V1;
    if (strcmp(text, "RoCE v2") == 0)
        return GID_ROCE_V2;
    if (strcmp(text, "IB") == 0)
        return GID_IB;
    return GID_UNKNOWN;
}

const char *gid_type_name(enum gid_type type)
{
    switch (type) {
    case GID_IB: return "IB";
    case GID_ROCE_V1: return "RoCE v1";
    case GID_ROCE_V2: return "RoCE v2";
    case GID_UNKNOWN: break;
    }
    return "unknown";
}

bool gid_parse(uint8_t bytes[GID_BYTES], const char *text)
{
    return inet_pton(AF_INET6, text, bytes) == 1;
}

static bool is_zero(const uint8_t bytes[GID_BYTES])
{
    static const uint8_t zero[GID_BYTES];

    return memcmp(bytes, zero, GID_BYTES) == 0;
}

void gid_explain(struct gid *gid)
{
    struct in6_addr address;

    memcpy(&address, gid->bytes, sizeof(address));
    gid->is_ipv4 = IN6_IS_ADDR_V4MAPPED(&address);
    gid->is_link_local = IN6_IS_ADDR_LINKLOCAL(&address);
    if (gid->is_ipv4)
        inet_ntop(AF_INET, &gid->bytes[12], gid->ip, sizeof(gid->ip));
    else
        inet_ntop(AF_INET6, gid->bytes, gid->ip, sizeof(gid->ip));
}

/* Empty rows have zeros, and EINVAL where their type would be. */
static bool read_gid(struct gid *gid, const char *root, const char *at,
                     const char *index, bool is_ethernet)
{
    char text[WORD_BYTES * 2], type[WORD_BYTES];

    *gid = (struct gid){.index = (uint32_t)strtoul(index, NULL, 10)};
    if (!files_line(root, text, sizeof(text), "%s/gids/%s", at, index) ||
        !gid_parse(gid->bytes, text) || is_zero(gid->bytes))
        return false;
    files_line(root, type, sizeof(type), "%s/gid_attrs/types/%s", at, index);
    gid->type = gid_type_parse(type);
    if (gid->type == GID_ROCE_V1 && !is_ethernet)
        gid->type = GID_IB;
    files_line(root, gid->interface, sizeof(gid->interface),
               "%s/gid_attrs/ndevs/%s", at, index);
    gid_explain(gid);
    return true;
}

static int rank_of_gid(const struct gid *gid)
{
    if (gid->type == GID_ROCE_V2 && gid->is_ipv4)
        return 3;
    if (gid->type == GID_ROCE_V2 && !gid->is_link_local)
        return 2;
    return gid->type == GID_ROCE_V2 || gid->type == GID_IB ? 1 : 0;
}

const struct gid *port_best_gid(const struct port *port)
{
    const struct gid *best = NULL;

    for (uint32_t i = 0; i < port->gids_count; i++)
        if (best == NULL || rank_of_gid(&port->gids[i]) > rank_of_gid(best))
            best = &port->gids[i];
    return best;
}

/* ---- Ports ---- */

const char *port_interface(const struct device *device, const struct port *port)
{
    const struct gid *gid = port_best_gid(port);
    bool is_told = gid != NULL && gid->interface[0] != '\0';

    return is_told ? gid->interface : device->parent;
}

uint32_t roce_mtu(uint32_t interface_mtu)
{
    uint32_t mtu = ROCE_MTU_MAX;

    if (interface_mtu < ROCE_MTU_MIN + ROCE_HEADER_BYTES)
        return 0;
    while (mtu > interface_mtu - ROCE_HEADER_BYTES)
        mtu /= 2;
    return mtu;
}

/* "4: ACTIVE" -> "ACTIVE" */
static void read_state(struct port *port, const char *root, const char *at)
{
    char text[WORD_BYTES];
    const char *colon;

    files_line(root, text, sizeof(text), "%s/state", at);
    colon = strchr(text, ':');
    snprintf(port->state, sizeof(port->state), "%s",
             colon != NULL ? colon + 1 + strspn(colon + 1, " ") : text);
    port->is_active = strcmp(port->state, "ACTIVE") == 0;
}

static void read_gids(struct port *port, const char *root, const char *at)
{
    static char entries[ENTRIES_MAX][ENTRY_BYTES];
    int count = files_list(root, entries, "%s/gids", at);

    for (int i = 0; i < count; i++) {
        struct gid gid;

        if (!read_gid(&gid, root, at, entries[i], port->is_ethernet))
            continue;
        if (port->gids_count < GIDS_MAX)
            port->gids[port->gids_count++] = gid;
        else
            port->gids_more++;
    }
}

static void read_port(struct port *port, const char *root,
                      const struct device *device, const char *number)
{
    char at[PATH_BYTES];
    const char *interface;

    *port = (struct port){.number = (uint32_t)strtoul(number, NULL, 10)};
    snprintf(at, sizeof(at), "/sys/class/infiniband/%s/ports/%s", device->name,
             number);
    read_state(port, root, at);
    files_line(root, port->link_layer, sizeof(port->link_layer),
               "%s/link_layer", at);
    port->is_ethernet = strcmp(port->link_layer, "Ethernet") == 0;
    read_gids(port, root, at);
    interface = port_interface(device, port);
    if (!port->is_ethernet || interface[0] == '\0')
        return;
    port->interface_mtu =
        (uint32_t)files_number(root, 0, "/sys/class/net/%s/mtu", interface);
    port->active_mtu = roce_mtu(port->interface_mtu);
    port->mtu_is_derived = true;
}

/* ---- Devices ---- */

_Static_assert((int)ENTRY_BYTES == (int)NAME_BYTES,
               "a folder's entry is a name");

static void read_node(struct device *device, const char *root)
{
    static char nodes[ENTRIES_MAX][ENTRY_BYTES];
    int count = files_list(root, nodes, "/sys/class/infiniband_verbs");
    char path[PATH_BYTES];
    struct stat status;

    for (int i = 0; i < count; i++) {
        char name[NAME_BYTES];

        if (files_line(root, name, sizeof(name),
                       "/sys/class/infiniband_verbs/%s/ibdev", nodes[i]) &&
            strcmp(name, device->name) == 0)
            memcpy(device->node, nodes[i], sizeof(device->node));
    }
    snprintf(path, sizeof(path), "%s/dev/infiniband/%s", root, device->node);
    if (device->node[0] == '\0' || stat(path, &status) != 0)
        return;
    device->node_mode = status.st_mode & 07777;
    device->node_state =
        access(path, R_OK | W_OK) == 0 ? NODE_USABLE : NODE_FORBIDDEN;
}

static void read_device(struct device *device, const char *root,
                        const char name[NAME_BYTES])
{
    static char ports[ENTRIES_MAX][ENTRY_BYTES];
    int count;

    *device = (struct device){.has_provider = true};
    memcpy(device->name, name, sizeof(device->name));
    files_line(root, device->parent, sizeof(device->parent),
               "/sys/class/infiniband/%s/parent", name);
    device->numa_node = (int)files_number(
        root, -1, "/sys/class/infiniband/%s/device/numa_node", name);
    read_node(device, root);
    count = files_list(root, ports, "/sys/class/infiniband/%s/ports", name);
    for (int i = 0; i < count && i < PORTS_MAX; i++)
        read_port(&device->ports[device->ports_count++], root, device,
                  ports[i]);
}

void facts_read_devices(struct facts *facts, const char *root)
{
    static char names[ENTRIES_MAX][ENTRY_BYTES];
    int count = files_list(root, names, "/sys/class/infiniband");

    facts->devices_count = 0;
    for (int i = 0; i < count && i < DEVICES_MAX; i++)
        read_device(&facts->devices[facts->devices_count++], root, names[i]);
}

bool device_is_soft(const struct device *device)
{
    return device->parent[0] != '\0';
}

bool device_is_usable(const struct device *device)
{
    if (!device->has_provider || device->node_state != NODE_USABLE ||
        device->open_error != 0)
        return false;
    for (uint32_t p = 0; p < device->ports_count; p++)
        if (device->ports[p].is_active && device->ports[p].gids_count > 0)
            return true;
    return false;
}

bool rdma_is_usable(const struct facts *facts)
{
    for (uint32_t d = 0; d < facts->devices_count; d++)
        if (device_is_usable(&facts->devices[d]))
            return facts->rdma_cm_node == NODE_USABLE;
    return false;
}
