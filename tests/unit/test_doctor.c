/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_doctor.c - ballot-doctor names each problem of a machine's RDMA, and its
 * cure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor_machine.h"

static void a_card_with_all_it_needs_is_no_problem(void **state)
{
    const struct device *device;
    const struct port *port;

    (void)state;
    machine_put_device("mlx5_0", "eth2", 9000);
    machine_put("/sys/class/infiniband/mlx5_0/device/numa_node", "1\n");
    machine_put_gid("mlx5_0", 0, GID_LINK_LOCAL, "IB/RoCE v1", "eth2");
    machine_put_gid("mlx5_0", 1, GID_LINK_LOCAL, "RoCE v2", "eth2");
    machine_put_gid("mlx5_0", 2, GID_IPV4, "IB/RoCE v1", "eth2");
    machine_put_gid("mlx5_0", 10, GID_IPV4, "RoCE v2", "eth2");
    machine_put_gid("mlx5_0", 3, GID_EMPTY, NULL, NULL);
    machine_read();
    machine_judge();
    machine_has_only(0);
    assert_int_equal(machine_facts.devices_count, 1);
    device = &machine_facts.devices[0];
    assert_string_equal(device->name, "mlx5_0");
    assert_string_equal(device->node, "uverbs0");
    assert_int_equal(device->numa_node, 1);
    assert_false(device_is_soft(device));
    assert_true(device_is_usable(device));
    assert_true(rdma_is_usable(&machine_facts));
    port = &device->ports[0];
    assert_int_equal(port->gids_count, 4);
    assert_int_equal(port->gids[3].index, 10);
    assert_int_equal(port->gids[0].type, GID_ROCE_V1);
    assert_ptr_equal(port_best_gid(port), &port->gids[3]);
    assert_string_equal(port->gids[3].ip, "10.77.0.1");
    assert_string_equal(port->gids[3].interface, "eth2");
    assert_int_equal(port->active_mtu, 4096);
    assert_string_equal(machine_facts.netns_mode, "shared");
}

static void infiniband_has_gids_of_its_own(void **state)
{
    (void)state;
    machine_put_device("mlx5_0", "ib0", 2044);
    machine_put("/sys/class/infiniband/mlx5_0/ports/1/link_layer",
                "InfiniBand\n");
    machine_put_gid("mlx5_0", 0, GID_LINK_LOCAL, "IB/RoCE v1", "ib0");
    machine_read();
    machine_judge();
    machine_has_only(0);
    assert_int_equal(machine_facts.devices[0].ports[0].gids[0].type, GID_IB);
    machine_put("/sys/class/infiniband/mlx5_0/ports/1/state", "2: INIT\n");
    machine_read();
    machine_judge();
    machine_has("port-down", LEVEL_WARNING, "is INIT", "opensm");
}

static void a_device_on_loopback_is_moved(void **state)
{
    (void)state;
    machine_put_rxe("lo", 65536);
    machine_read();
    machine_judge();
    machine_has("soft-device-on-lo", LEVEL_WARNING, "dummy interface",
                "rdma link delete rxe0 && ip link add dummy0 type dummy");
    machine_has_only(1);
    assert_true(device_is_soft(&machine_facts.devices[0]));
}

static void a_small_mtu_is_raised(void **state)
{
    (void)state;
    machine_put_rxe("eth0", 1500);
    machine_read();
    machine_judge();
    assert_int_equal(machine_facts.devices[0].ports[0].active_mtu, 1024);
    machine_has("mtu-small", LEVEL_WARNING, "the RoCE MTU is 1024",
                "set the interface's MTU to at least 4200");
    machine_has("mtu-small", LEVEL_WARNING, "1500",
                "ip link set eth0 mtu 4200");
    machine_has_only(1);
}

static void a_missing_provider_is_installed(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_read();
    machine_facts.devices[0].has_provider = false;
    machine_judge();
    machine_has("provider-missing", LEVEL_WARNING, "rxe0",
                "apt-get install ibverbs-providers");
    assert_false(device_is_usable(&machine_facts.devices[0]));
    strcpy(machine_facts.transport_asked, "verbs");
    machine_judge();
    machine_has("provider-missing", LEVEL_ERROR, "rxe0", "ibverbs-providers");
    assert_true(problems_stop(&machine_problems));
}

static void a_device_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_read();
    machine_facts.devices[0].open_error = -ENOMEM;
    machine_judge();
    machine_has("open-failed", LEVEL_WARNING, "ENOMEM", "ulimit -l unlimited");
}

static void a_device_that_ballot_may_not_use_is_named(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_read();
    strcpy(machine_facts.chosen.why, "BALLOT_IB_HCA=mlx5 allows none of: rxe0");
    machine_judge();
    machine_has("device-refused", LEVEL_WARNING, "allows none of: rxe0",
                "unset BALLOT_IB_HCA");
    machine_has_only(1);
    strcpy(machine_facts.ib_settings_error, "BALLOT_IB_RETRY_CNT=7");
    machine_judge();
    machine_has("ib-settings", LEVEL_WARNING, "BALLOT_IB_RETRY_CNT=7", "unset");
    machine_has_only(1);
}

static void connections_need_rdma_cm(void **state)
{
    char path[256];

    (void)state;
    machine_put_rxe("dummy0", 4200);
    snprintf(path, sizeof(path), "%s/dev/infiniband/rdma_cm", machine_root);
    assert_int_equal(unlink(path), 0);
    machine_read();
    strcpy(machine_facts.transport_asked, "verbs");
    machine_judge();
    machine_has("rdma-cm-missing", LEVEL_ERROR, "there is no",
                "--device /dev/infiniband");
    assert_true(problems_stop(&machine_problems));
    strcpy(machine_facts.transport_asked, "");
    machine_judge();
    machine_has("rdma-cm-missing", LEVEL_WARNING, "there is no", "--device");
}

static void a_container_without_nodes_is_given_them(void **state)
{
    char path[256];

    (void)state;
    machine_put_rxe("dummy0", 4200);
    snprintf(path, sizeof(path), "%s/dev/infiniband/uverbs0", machine_root);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/dev/infiniband/rdma_cm", machine_root);
    assert_int_equal(unlink(path), 0);
    machine_read();
    machine_judge();
    machine_has("uverbs-not-passed", LEVEL_WARNING, "/dev/infiniband/uverbs0",
                "--device /dev/infiniband");
    machine_has("rdma-cm-missing", LEVEL_WARNING, "there is no",
                "--device /dev/infiniband");
    machine_has_only(2);
    assert_false(rdma_is_usable(&machine_facts));
}

static void missing_modules_are_loaded(void **state)
{
    char path[256];

    (void)state;
    machine_put_rxe("dummy0", 4200);
    snprintf(path, sizeof(path), "%s/dev/infiniband/rdma_cm", machine_root);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/sys/module/rdma_ucm/refcnt", machine_root);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/sys/module/rdma_ucm", machine_root);
    assert_int_equal(rmdir(path), 0);
    machine_put("/sys/class/infiniband_verbs/uverbs0/ibdev", "another\n");
    machine_read();
    machine_judge();
    machine_has("rdma-cm-missing", LEVEL_WARNING, "rdma_cm",
                "modprobe rdma_ucm");
    machine_has("uverbs-missing", LEVEL_WARNING, "rxe0", "modprobe ib_uverbs");
}

static void a_port_that_is_down_is_brought_up(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_put("/sys/class/infiniband/rxe0/ports/1/state", "1: DOWN\n");
    machine_read();
    machine_judge();
    machine_has("port-down", LEVEL_WARNING, "rxe0 port 1 is DOWN",
                "ip link set dummy0 up");
    assert_false(device_is_usable(&machine_facts.devices[0]));
}

static void gids_that_lead_nowhere_are_named(void **state)
{
    (void)state;
    machine_put_device("mlx5_0", "eth2", 9000);
    machine_put_gid("mlx5_0", 0, GID_EMPTY, NULL, NULL);
    machine_read();
    machine_judge();
    machine_has("no-gid", LEVEL_WARNING, "network namespace", "--network host");
    machine_put_gid("mlx5_0", 0, GID_IPV4, "IB/RoCE v1", "eth2");
    machine_read();
    machine_judge();
    machine_has("no-roce-v2", LEVEL_WARNING, "mlx5_0",
                "cma_roce_mode -d mlx5_0");
    machine_put_gid("mlx5_0", 1, GID_LINK_LOCAL, "RoCE v2", "eth2");
    machine_read();
    machine_judge();
    machine_has("gid-link-local", LEVEL_WARNING, "link-local",
                "ip address add 10.77.0.1/24 dev eth2");
    machine_put_gid("mlx5_0", 0, GID_IPV4, "RoCE v2", "");
    machine_put_gid("mlx5_0", 1, GID_LINK_LOCAL, "RoCE v2", "");
    machine_read();
    machine_judge();
    machine_has("other-namespace", LEVEL_WARNING, "netns shared",
                "--network host");
}

static void a_far_device_is_a_note(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_put("/sys/class/infiniband/rxe0/device/numa_node", "1\n");
    machine_read();
    machine_facts.memory.node = 0;
    machine_judge();
    machine_has("numa-far", LEVEL_NOTE, "node 1", "numactl --cpunodebind=1");
    machine_has_only(1);
}

static void without_a_device_one_can_be_made(void **state)
{
    (void)state;
    machine_put("/proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
    machine_read();
    machine_judge();
    machine_has("no-device", LEVEL_NOTE, "no rdma_rxe", "linux-modules-extra");
    machine_put("/lib/modules/6.1.0-9-amd64/modules.dep",
                "kernel/crypto/crc32_generic.ko:\n"
                "kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko.xz: x.ko\n");
    machine_put("/lib/modules/6.1.0-9-amd64/modules.builtin",
                "kernel/drivers/infiniband/core/ib_uverbs.ko\n");
    machine_read();
    machine_judge();
    machine_has(
        "no-device", LEVEL_NOTE, "rdma_rxe can make one",
        "modprobe -a crc32_generic rdma_rxe rdma_ucm && ip link add dummy0");
    assert_int_equal(machine_facts.modules[MODULE_RDMA_RXE].state,
                     MODULE_LOADABLE);
    assert_int_equal(machine_facts.modules[MODULE_IB_UVERBS].state,
                     MODULE_BUILT_IN);
    assert_int_equal(machine_facts.modules[MODULE_RDMA_UCM].state,
                     MODULE_ABSENT);
    assert_false(problems_stop(&machine_problems));
    machine_put("/sys/module/crc32_generic/refcnt", "1\n");
    machine_read();
    strcpy(machine_facts.transport_asked, "verbs");
    machine_judge();
    machine_has("no-device", LEVEL_ERROR, "tcp",
                "modprobe -a rdma_rxe rdma_ucm &&");
}

#define MACHINE(test)                                                          \
    cmocka_unit_test_setup_teardown(test, machine_make, machine_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE(a_card_with_all_it_needs_is_no_problem),
        MACHINE(infiniband_has_gids_of_its_own),
        MACHINE(a_device_on_loopback_is_moved),
        MACHINE(a_small_mtu_is_raised),
        MACHINE(a_missing_provider_is_installed),
        MACHINE(a_device_that_cannot_be_opened_says_why),
        MACHINE(a_device_that_ballot_may_not_use_is_named),
        MACHINE(connections_need_rdma_cm),
        MACHINE(a_container_without_nodes_is_given_them),
        MACHINE(missing_modules_are_loaded),
        MACHINE(a_port_that_is_down_is_brought_up),
        MACHINE(gids_that_lead_nowhere_are_named),
        MACHINE(a_far_device_is_a_note),
        MACHINE(without_a_device_one_can_be_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
