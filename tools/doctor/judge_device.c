/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge_device.c - what keeps one RDMA device from working or being
 * fast.
 */
#include "judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SLOW_MTU = 1024,           /* what Ethernet's 1500 leaves */
    GOOD_INTERFACE_MTU = 4200, /* what RoCE's largest, 4096, needs */
};

#define DUMMY_ADDRESS "10.77.0.1/24"

enum level rdma_level(const struct facts *facts)
{
    return strcmp(facts->transport_asked, "verbs") == 0 ? LEVEL_ERROR
                                                        : LEVEL_WARNING;
}

/* ---- A device that cannot be opened ---- */

static void judge_node(struct problems *problems, const struct facts *facts,
                       const struct device *device)
{
    enum level level = rdma_level(facts);
    struct problem *problem;

    if (device->node[0] == '\0') {
        problem = problems_add(problems, level, "uverbs-missing",
                               "%s: no user program can reach it, for the "
                               "kernel module ib_uverbs made no node for it",
                               device->name);
        cure_with(problem, "modprobe ib_uverbs");
    } else if (device->node_state == NODE_MISSING) {
        problem = problems_add(
            problems, level, "uverbs-not-passed",
            "%s: /dev/infiniband/%s is not there, as in a container that was "
            "not given it",
            device->name, device->node);
        cure_with(problem,
                  "docker run --device /dev/infiniband ...; on a host, "
                  "udevadm trigger --subsystem-match=infiniband_verbs");
    } else if (device->node_state == NODE_FORBIDDEN) {
        problem = problems_add(
            problems, level, "uverbs-forbidden",
            "%s: this user may not read and write /dev/infiniband/%s (mode "
            "%04o)",
            device->name, device->node, device->node_mode);
        cure_with(problem, "chmod 0666 /dev/infiniband/%s", device->node);
    }
}

static void judge_provider(struct problems *problems, const struct facts *facts,
                           const struct device *device)
{
    struct problem *problem;

    if (!device->has_provider) {
        problem = problems_add(
            problems, rdma_level(facts), "provider-missing",
            "%s: libibverbs does not list it; the library for devices of its "
            "kind is missing",
            device->name);
        cure_with(problem, "apt-get install ibverbs-providers");
    } else if (device->open_error != 0 && device->node_state == NODE_USABLE) {
        problem =
            problems_add(problems, rdma_level(facts), "open-failed",
                         "%s: ibv_open_device fails: %s (%s)", device->name,
                         strerrorname_np(-device->open_error),
                         strerrordesc_np(-device->open_error));
        if (device->open_error == -ENOMEM)
            cure_with(problem, "ulimit -l unlimited");
        else
            cure_with(problem, "dmesg | tail -n 20");
    }
}

/* ---- Ports ---- */

static void cure_port(struct problem *problem, const struct port *port,
                      const char *interface)
{
    if (!port->is_ethernet)
        cure_with(problem, "check the cable, and that a subnet manager runs "
                           "(systemctl start opensm on one host)");
    else if (interface[0] != '\0')
        cure_with(problem, "ip link set %s up", interface);
    else
        cure_with(problem, "rdma link, then: ip link set INTERFACE up");
}

static void judge_port_state(struct problems *problems,
                             const struct facts *facts,
                             const struct device *device,
                             const struct port *port)
{
    const char *interface = port_interface(device, port);
    struct problem *problem;

    if (!port->is_active) {
        problem = problems_add(problems, rdma_level(facts), "port-down",
                               "%s port %u is %s, not ACTIVE", device->name,
                               port->number, port->state);
        cure_port(problem, port, interface);
    } else if (port->gids_count == 0) {
        problem = problems_add(
            problems, rdma_level(facts), "no-gid",
            "%s port %u has no GID: its interface is in another network "
            "namespace, or it has no address yet",
            device->name, port->number);
        cure_with(problem,
                  "rdma system show; docker run --network host, or "
                  "rdma dev set %s netns NAME",
                  device->name);
    }
}

static void judge_gids(struct problems *problems, const struct device *device,
                       const struct port *port)
{
    const struct gid *best = port_best_gid(port);
    const char *interface = port_interface(device, port);
    struct problem *problem;

    if (!port->is_ethernet || best == NULL || !port->is_active)
        return;
    if (best->type != GID_ROCE_V2) {
        problem = problems_add(problems, LEVEL_WARNING, "no-roce-v2",
                               "%s port %u has no RoCE v2 GID: it is not "
                               "routed, and most switches do not carry v1",
                               device->name, port->number);
        cure_with(problem,
                  "cma_roce_mode -d %s -p %u -m 2, and give %s an IP address",
                  device->name, port->number,
                  interface[0] != '\0' ? interface : "its interface");
    } else if (best->is_link_local) {
        problem = problems_add(
            problems, LEVEL_WARNING, "gid-link-local",
            "%s port %u has link-local GIDs only: they reach no other subnet, "
            "and connecting by IP address fails",
            device->name, port->number);
        cure_with(problem,
                  "ip address add " DUMMY_ADDRESS
                  " dev %s (an address of your network)",
                  interface[0] != '\0' ? interface : "INTERFACE");
    }
}

static void judge_mtu(struct problems *problems, const struct device *device,
                      const struct port *port)
{
    const char *interface = port_interface(device, port);
    struct problem *problem;

    if (!port->is_ethernet || !port->is_active || port->active_mtu == 0 ||
        port->active_mtu > SLOW_MTU)
        return;
    problem = problems_add(
        problems, LEVEL_WARNING, "mtu-small",
        "%s port %u: the RoCE MTU is %u, for the MTU of %s is %u; 4096 "
        "would need a quarter of the packets",
        device->name, port->number, port->active_mtu,
        interface[0] != '\0' ? interface : "its interface",
        port->interface_mtu);
    cure_with(problem,
              "set the interface's MTU to at least %d, on every host and "
              "switch between: ip link set %s mtu %d",
              GOOD_INTERFACE_MTU, interface[0] != '\0' ? interface : "IFACE",
              GOOD_INTERFACE_MTU);
}

/* On lo GIDs appear and connecting by address fails all the same. */
static void judge_loopback(struct problems *problems,
                           const struct device *device)
{
    struct problem *problem;
    bool on_lo = strcmp(device->parent, "lo") == 0;

    for (uint32_t p = 0; p < device->ports_count; p++)
        on_lo |= strcmp(port_interface(device, &device->ports[p]), "lo") == 0;
    if (!on_lo)
        return;
    problem = problems_add(problems, LEVEL_WARNING, "soft-device-on-lo",
                           "%s stands on lo: connecting to 127.0.0.1 over it "
                           "fails (No such device); use a dummy interface",
                           device->name);
    cure_with(problem,
              "rdma link delete %s && ip link add dummy0 type dummy && ip "
              "address add " DUMMY_ADDRESS
              " dev dummy0 && ip link set dummy0 mtu %d up && rdma link add %s "
              "type rxe netdev dummy0",
              device->name, GOOD_INTERFACE_MTU, device->name);
}

static void judge_distance(struct problems *problems, const struct facts *facts,
                           const struct device *device)
{
    struct problem *problem;

    if (device->numa_node < 0 || facts->memory.node < 0 ||
        device->numa_node == facts->memory.node)
        return;
    problem = problems_add(problems, LEVEL_NOTE, "numa-far",
                           "%s is on NUMA node %d, this process on node %d",
                           device->name, device->numa_node, facts->memory.node);
    cure_with(problem, "numactl --cpunodebind=%d --preferred=%d PROGRAM",
              device->numa_node, device->numa_node);
}

void judge_device(struct problems *problems, const struct facts *facts,
                  const struct device *device)
{
    judge_node(problems, facts, device);
    judge_provider(problems, facts, device);
    for (uint32_t p = 0; p < device->ports_count; p++) {
        judge_port_state(problems, facts, device, &device->ports[p]);
        judge_gids(problems, device, &device->ports[p]);
        judge_mtu(problems, device, &device->ports[p]);
    }
    judge_loopback(problems, device);
    judge_distance(problems, facts, device);
}
