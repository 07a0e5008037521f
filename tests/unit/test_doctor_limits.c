/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_doctor_limits.c - what ballot-doctor says beside RDMA devices, and its
 * pure parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "doctor_machine.h"
#include "tools/doctor/counters.h"
#include "tools/doctor/meet.h"
#include "tools/doctor/pair.h"

/* ---- Limits, sysctls, processor ---- */

static void locked_memory_is_computed(void **state)
{
    long page = sysconf(_SC_PAGESIZE);

    (void)state;
    assert_int_equal(locked_bytes_for(1, 27, 65600), 0);
    /* A staging of whole pages, and a landing that is skewed besides. */
    assert_int_equal(locked_bytes_for(2, 16, 4096), 16 * 4096 * 2 + page);
    assert_int_equal(locked_bytes_for(9, 16, 4096), 8 * (16 * 4096 * 2 + page));
}

static void a_small_memlock_is_raised(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_put(
        "/proc/self/limits",
        "Max cpu time              unlimited            unlimited  seconds\n"
        "Max locked memory         8388608              8388608    bytes\n");
    machine_put("/proc/self/status",
                "CapEff:\t0000000000000000\nSeccomp:\t0\n");
    machine_read();
    assert_int_equal(machine_facts.memlock_bytes, 8388608);
    machine_facts.locked_bytes = 8388608;
    machine_judge();
    assert_null(machine_problem("memlock-small"));
    machine_facts.locked_bytes++;
    machine_judge();
    machine_has("memlock-small", LEVEL_ERROR, "8 ranks", "ulimit -l unlimited");
    machine_has("memlock-small", LEVEL_ERROR, "8.0 MiB", "--ulimit memlock=-1");
    strcpy(machine_facts.transport_asked, "tcp");
    machine_judge();
    machine_has("memlock-small", LEVEL_WARNING, "8 ranks", "ulimit -l");
    machine_put("/proc/self/status", "CapEff:\t0000000000004000\n");
    machine_read();
    machine_facts.locked_bytes = 8388609;
    machine_judge();
    assert_null(machine_problem("memlock-small"));
    machine_put("/proc/self/limits", "Max locked memory         unlimited "
                                     "           unlimited            bytes\n");
    machine_read();
    assert_true(machine_facts.memlock_bytes == UINT64_MAX);
}

static void twins_of_one_subnet_are_told_apart(void **state)
{
    (void)state;
    machine_put_rxe("eth1", 4200);
    machine_put(
        "/proc/net/route",
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "eth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
    machine_put("/proc/sys/net/ipv4/conf/all/arp_ignore", "0\n");
    machine_put("/proc/sys/net/ipv4/conf/all/accept_local", "1\n");
    machine_put("/proc/sys/net/ipv4/conf/eth0/arp_ignore", "2\n");
    machine_put("/proc/sys/net/ipv4/conf/eth1/arp_ignore", "0\n");
    machine_read();
    machine_judge();
    machine_has("arp-flux", LEVEL_WARNING, "eth0 and eth1",
                "sysctl -w net.ipv4.conf.all.arp_ignore=2");
    assert_int_equal(machine_facts.twins.arp_ignore[0], 2);
    assert_int_equal(machine_facts.twins.arp_ignore[1], 0);
    machine_put("/proc/sys/net/ipv4/conf/eth1/arp_ignore", "1\n");
    machine_read();
    machine_judge();
    assert_true(machine_facts.twins.found);
    machine_has_only(0);
}

static void a_refusal_of_io_uring_is_explained(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_put("/proc/sys/kernel/io_uring_disabled", "2\n");
    machine_put("/proc/self/status", "Seccomp:\t2\n");
    machine_read();
    machine_facts.uring_error = -EPERM;
    strcpy(machine_facts.engine, "epoll");
    machine_judge();
    machine_has("io-uring-refused", LEVEL_WARNING, "io_uring_disabled is 2",
                "sysctl -w kernel.io_uring_disabled=0");
    machine_facts.io_uring_disabled = 0;
    machine_judge();
    machine_has("io-uring-refused", LEVEL_WARNING, "seccomp",
                "seccomp=unconfined");
    machine_facts.engine_error = -EPERM; /* BALLOT_TCP_ENGINE=uring */
    machine_judge();
    machine_has("tcp-unusable", LEVEL_ERROR, "seccomp",
                "unset BALLOT_TCP_ENGINE");
    machine_facts.uring_error = -ENOSYS;
    machine_facts.has_seccomp = false;
    assert_non_null(strstr(uring_reason(&machine_facts), "kernel before 5.7"));
}

static void kernels_lack_flags_of_the_processor(void **state)
{
    char lacks[LINE_TEXT_BYTES];

    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_put(
        "/proc/cpuinfo",
        "model name\t: A processor\nflags\t\t: sse avx2 avx512f avx512dqx\n");
    machine_read();
    assert_string_equal(machine_facts.cpu, "A processor");
    kernels_lack(&machine_facts, "avx512", lacks, sizeof(lacks));
    assert_string_equal(lacks, "avx512bw avx512dq avx512vl");
    kernels_lack(&machine_facts, "avx2", lacks, sizeof(lacks));
    assert_string_equal(lacks, "");
    machine_facts.kernels = NULL;
    strcpy(machine_facts.kernels_asked, "avx512");
    machine_judge();
    machine_has("kernels-unusable", LEVEL_ERROR, "lacks avx512bw",
                "unset BALLOT_KERNELS");
}

static void refused_settings_stop_ballot(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_read();
    strcpy(machine_facts.settings_error, "BALLOT_TIE=maybe");
    strcpy(machine_facts.key_error, "cannot use the key file");
    strcpy(machine_facts.interface_error, "no interface 'x'");
    machine_judge();
    machine_has("settings", LEVEL_ERROR, "BALLOT_TIE=maybe", "README");
    machine_has("key-file", LEVEL_ERROR, "key file", "umask 077");
    machine_has("socket-interface", LEVEL_ERROR, "'x'", "BALLOT_SOCKET_IFNAME");
    assert_true(problems_stop(&machine_problems));
}

static void huge_pages_that_are_refused_are_notes(void **state)
{
    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_read();
    machine_facts.memory.private_huge = machine_facts.memory.shared_huge =
        false;
    machine_judge();
    machine_has("no-huge-pages", LEVEL_NOTE, "enabled", "echo madvise");
    machine_has("no-shared-huge-pages", LEVEL_NOTE, "shmem", "echo advise");
    machine_has_only(2);
}

/* ---- Pure parts ---- */

static void gids_and_their_types_are_read(void **state)
{
    uint8_t bytes[GID_BYTES];

    (void)state;
    assert_int_equal(gid_type_parse("RoCE v2"), GID_ROCE_V2);
    assert_int_equal(gid_type_parse("IB/RoCE v1"), GID_ROCE_V1);
    assert_int_equal(gid_type_parse(""), GID_UNKNOWN);
    assert_int_equal(gid_type_parse("RoCE v3"), GID_UNKNOWN);
    assert_true(gid_parse(bytes, GID_IPV4));
    assert_int_equal(bytes[11], 0xff);
    assert_int_equal(bytes[12], 10);
    assert_false(gid_parse(bytes, "fe80"));
}

static void an_interface_leaves_room_for_an_mtu(void **state)
{
    static const uint32_t table[][2] = {
        {0, 0},       {335, 0},     {336, 256},   {591, 256},
        {592, 512},   {1500, 1024}, {2127, 1024}, {2128, 2048},
        {4175, 2048}, {4176, 4096}, {65536, 4096}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(roce_mtu(table[i][0]), table[i][1]);
}

static void only_what_grew_of_counters_is_kept(void **state)
{
    static struct counters before, after;

    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_put("/sys/class/infiniband/rxe0/ports/1/hw_counters/rcvd_seq_err",
                "3\n");
    machine_put(
        "/sys/class/infiniband/rxe0/ports/1/hw_counters/retry_exceeded_err",
        "1\n");
    machine_put("/sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts",
                "9\n");
    machine_read();
    counters_read(&before, &machine_facts, machine_root);
    assert_int_equal(before.count, 2);
    machine_put("/sys/class/infiniband/rxe0/ports/1/hw_counters/rcvd_seq_err",
                "10\n");
    counters_read(&after, &machine_facts, machine_root);
    counters_gain(&after, &before);
    assert_int_equal(after.count, 1);
    assert_string_equal(after.list[0].name, "rcvd_seq_err");
    assert_int_equal(after.list[0].value, 7);
}

static void causes_begin_with_what_differs(void **state)
{
    struct chosen chosen = {
        .is_there = true, .device = "rxe0", .port = 1, .gid_index = 1};
    static struct pair_result pair;

    (void)state;
    machine_put_rxe("dummy0", 4200);
    machine_read();
    memset(&pair, 0, sizeof(pair));
    rdma_side_of(&pair.rdma, &machine_facts, &chosen);
    assert_true(pair.rdma.has_device);
    assert_string_equal(pair.rdma.gid.ip, "10.77.0.1");
    pair.rdma_theirs = pair.rdma;
    pair_explain(&pair);
    assert_non_null(strstr(pair.causes[0].what, "UDP port 4791"));
    assert_non_null(strstr(pair.causes[0].command, "4791 accept"));
    assert_non_null(strstr(pair.causes[1].command, "ip route get 10.77.0.1"));
    pair.causes_count = 0;
    pair.rdma_theirs.mtu = 1024;
    pair_explain(&pair);
    assert_non_null(strstr(pair.causes[0].what, "4096 here, 1024 there"));
    pair.causes_count = 0;
    pair.rdma.gid.type = pair.rdma_theirs.gid.type = GID_IB;
    pair.rdma_theirs.mtu = pair.rdma.mtu;
    pair_explain(&pair);
    assert_non_null(strstr(pair.causes[0].what, "subnet manager"));
    chosen.is_there = false;
    rdma_side_of(&pair.rdma, &machine_facts, &chosen);
    assert_false(pair.rdma.has_device);
}

static void hosts_are_given_a_port(void **state)
{
    static const char *const table[][2] = {
        {"host", "host:29531"},         {"host:1", "host:1"},
        {"fe80::1", "[fe80::1]:29531"}, {"[fe80::1]", "[fe80::1]:29531"},
        {"[::1]:7", "[::1]:7"},
    };
    char where[PAIR_WHERE_BYTES], text[2 * PAIR_WHERE_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_true(pair_where(where, table[i][0]));
        assert_string_equal(where, table[i][1]);
    }
    memset(text, 'h', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(pair_where(where, text));
}

static void what_a_peer_says_is_made_printable(void **state)
{
    char from[8] = {'a', '\x1b', '\n', (char)0x80, 'b', 'c', 'd', 'e'};
    char text[8];

    (void)state;
    meet_copy_printable(text, sizeof(text), from);
    assert_string_equal(text, "a???bcd");
}

#define MACHINE(test)                                                          \
    cmocka_unit_test_setup_teardown(test, machine_make, machine_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locked_memory_is_computed),
        MACHINE(a_small_memlock_is_raised),
        MACHINE(twins_of_one_subnet_are_told_apart),
        MACHINE(a_refusal_of_io_uring_is_explained),
        MACHINE(kernels_lack_flags_of_the_processor),
        MACHINE(refused_settings_stop_ballot),
        MACHINE(huge_pages_that_are_refused_are_notes),
        cmocka_unit_test(gids_and_their_types_are_read),
        cmocka_unit_test(an_interface_leaves_room_for_an_mtu),
        MACHINE(only_what_grew_of_counters_is_kept),
        MACHINE(causes_begin_with_what_differs),
        cmocka_unit_test(hosts_are_given_a_port),
        cmocka_unit_test(what_a_peer_says_is_made_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
