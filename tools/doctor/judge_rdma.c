/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge_rdma.c - what keeps RDMA from working, beside a single device.
 */
#include "judge.h"

#include <stdio.h>
#include <string.h>

enum { GOOD_INTERFACE_MTU = 4200 /* what RoCE's largest, 4096, needs */ };

#define DUMMY_ADDRESS "10.77.0.1/24"

enum level late_rdma_level(const struct facts *facts)
{
    const char *asked = facts->transport_asked;
    bool is_tried = strcmp(asked, "tcp") != 0 && strcmp(asked, "shm") != 0;

    for (uint32_t d = 0; d < facts->devices_count; d++)
        if (is_tried && device_is_usable(&facts->devices[d]))
            return LEVEL_ERROR;
    return LEVEL_WARNING;
}

static bool is_loaded(const struct facts *facts, enum module_name module)
{
    return facts->modules[module].state == MODULE_LOADED ||
           facts->modules[module].state == MODULE_BUILT_IN;
}

/* ---- No device ---- */

static void cure_no_rxe(struct problem *problem)
{
    cure_with(problem,
              "apt-get install linux-image-amd64 (Debian; its cloud kernel "
              "lacks rdma_rxe) or linux-modules-extra-$(uname -r) (Ubuntu); in "
              "a container, docker run --device /dev/infiniband");
}

/* rxe asks for crc32 by name, which modules.dep does not know of. */
static void judge_no_device(struct problems *problems,
                            const struct facts *facts)
{
    enum module_state rxe = facts->modules[MODULE_RDMA_RXE].state;
    bool needs_crc32 = facts->modules[MODULE_CRC32].state == MODULE_LOADABLE;
    enum level level =
        rdma_level(facts) == LEVEL_ERROR ? LEVEL_ERROR : LEVEL_NOTE;
    struct problem *problem = problems_add(
        problems, level, "no-device",
        "no RDMA device: ranks of other hosts are reached by tcp%s",
        rxe == MODULE_ABSENT ? ", and this kernel has no rdma_rxe to make one"
                             : "; rdma_rxe can make one in software, to try");

    if (rxe == MODULE_ABSENT) {
        cure_no_rxe(problem);
        return;
    }
    cure_with(problem,
              "modprobe -a %srdma_rxe rdma_ucm && ip link add dummy0 type "
              "dummy && ip address add " DUMMY_ADDRESS
              " dev dummy0 && ip link set dummy0 mtu %d up && rdma link add "
              "rxe0 type rxe netdev dummy0",
              needs_crc32 ? "crc32_generic " : "", GOOD_INTERFACE_MTU);
}

/* ---- What all devices share ---- */

static void judge_memlock(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;

    if (facts->has_ipc_lock || facts->locked_bytes <= facts->memlock_bytes)
        return;
    problem = problems_add(
        problems, late_rdma_level(facts), "memlock-small",
        "%u ranks make this one register %.1f MiB, and ulimit -l allows %.1f "
        "MiB: registering fails with ENOMEM, and joining with it",
        facts->ranks, (double)facts->locked_bytes / (1 << 20),
        (double)facts->memlock_bytes / (1 << 20));
    cure_with(problem,
              "ulimit -l unlimited (for good: \"* - memlock unlimited\" in "
              "/etc/security/limits.conf, then log in again; systemd: "
              "LimitMEMLOCK=infinity; docker run --ulimit memlock=-1)");
}

static void judge_rdma_cm(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;

    if (facts->rdma_cm_node == NODE_USABLE)
        return;
    /* Found out when the transport is opened: tcp takes its place, unless verbs
     * was asked for. */
    problem = problems_add(
        problems,
        strcmp(facts->transport_asked, "verbs") == 0 ? LEVEL_ERROR
                                                     : LEVEL_WARNING,
        "rdma-cm-missing",
        "%s /dev/infiniband/rdma_cm, by which an IP address leads to an RDMA "
        "device",
        facts->rdma_cm_node == NODE_MISSING ? "there is no"
                                            : "this user may not use");
    if (facts->rdma_cm_node == NODE_FORBIDDEN)
        cure_with(problem, "chmod 0666 /dev/infiniband/rdma_cm");
    else if (is_loaded(facts, MODULE_RDMA_UCM))
        cure_with(problem, "docker run --device /dev/infiniband ...");
    else
        cure_with(problem, "modprobe rdma_ucm");
}

static bool carries_rdma(const struct facts *facts, const char *interface)
{
    for (uint32_t d = 0; d < facts->devices_count; d++)
        for (uint32_t p = 0; p < facts->devices[d].ports_count; p++)
            if (strcmp(port_interface(&facts->devices[d],
                                      &facts->devices[d].ports[p]),
                       interface) == 0)
                return true;
    return false;
}

static void judge_twins(struct problems *problems, const struct facts *facts)
{
    const struct twins *twins = &facts->twins;
    bool is_set = true;
    struct problem *problem;

    if (!twins->found || (!carries_rdma(facts, twins->interfaces[0]) &&
                          !carries_rdma(facts, twins->interfaces[1])))
        return;
    for (int i = 0; i < 2; i++)
        is_set =
            is_set && twins->arp_ignore[i] >= 1 && twins->accept_local[i] == 1;
    if (is_set)
        return;
    problem = problems_add(
        problems, LEVEL_WARNING, "arp-flux",
        "%s and %s are in one subnet: either answers ARP for the other, so "
        "RDMA may go to the wrong one (arp_ignore %d and %d, accept_local %d "
        "and %d)",
        twins->interfaces[0], twins->interfaces[1], twins->arp_ignore[0],
        twins->arp_ignore[1], twins->accept_local[0], twins->accept_local[1]);
    cure_with(problem, "sysctl -w net.ipv4.conf.all.arp_ignore=2 "
                       "net.ipv4.conf.all.accept_local=1");
}

static void judge_network(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;
    bool has_roce = false, has_interface = false;

    for (uint32_t d = 0; d < facts->devices_count; d++)
        for (uint32_t p = 0; p < facts->devices[d].ports_count; p++) {
            const struct port *port = &facts->devices[d].ports[p];

            has_roce |= port->is_ethernet;
            for (uint32_t g = 0; g < port->gids_count; g++)
                has_interface |= port->gids[g].interface[0] != '\0';
        }
    if (!has_roce)
        return;
    problem = problems_add(problems, LEVEL_NOTE, "udp-4791",
                           "RoCE v2 travels in UDP port 4791: a firewall that "
                           "drops it lets tcp work and RDMA not");
    cure_with(problem, "nft list ruleset | grep -n udp (and ballot-doctor "
                       "--peer HOST, which tries)");
    if (has_interface || facts->netns_mode[0] == '\0')
        return;
    problem = problems_add(
        problems, rdma_level(facts), "other-namespace",
        "no GID says which interface it belongs to: they are in another "
        "network namespace (rdma system: netns %s)",
        facts->netns_mode);
    cure_with(problem, "docker run --network host ...");
}

/* A device is there, and ballot cannot use it, or may not. */
static void judge_choice(struct problems *problems, const struct facts *facts)
{
    struct problem *problem;

    if (facts->ib_settings_error[0] != '\0') {
        problem = problems_add(problems, rdma_level(facts), "ib-settings",
                               "a BALLOT_IB_ variable is refused: %s",
                               facts->ib_settings_error);
        cure_with(problem, "unset that variable, or set it as it says");
    } else if (!facts->chosen.is_there && facts->chosen.why[0] != '\0' &&
               rdma_is_usable(facts)) {
        problem = problems_add(problems, rdma_level(facts), "device-refused",
                               "%s", facts->chosen.why);
        cure_with(problem, "unset BALLOT_IB_HCA BALLOT_IB_GID_INDEX");
    }
}

void judge_rdma(struct problems *problems, const struct facts *facts)
{
    if (facts->devices_count == 0) {
        judge_no_device(problems, facts);
        return;
    }
    for (uint32_t d = 0; d < facts->devices_count; d++)
        judge_device(problems, facts, &facts->devices[d]);
    judge_choice(problems, facts);
    judge_memlock(problems, facts);
    judge_rdma_cm(problems, facts);
    judge_twins(problems, facts);
    judge_network(problems, facts);
}
