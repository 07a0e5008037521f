/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verbs_errors.c - each call that can fail does so, at its first time, its
 * second, and so on until none is left: what comes is an error and no leak.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verbs_rig.h"

static uint32_t open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint32_t count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void check_says(const char *why, const char *says)
{
    if (strstr(why, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, says);
}

/* ---- open() ---- */

struct opening {
    enum fake_call call;
    int error;  /* of the call */
    int result; /* of open() */
    const char *says;
};

/* True if the failure was reached. */
static bool open_fails(const struct opening *opening, uint32_t nth)
{
    struct rig rig;
    struct endpoint_config config;
    struct endpoint *endpoint = NULL;
    uint32_t before = open_descriptors();
    bool failed;
    int rc;

    rig_prepare(&rig, 4, 4096);
    fake_devices_count = 1;
    config = rig_config(&rig, 0);
    fake_fail(opening->call, nth, 1, opening->error);
    rc = transport_verbs.open(&endpoint, &config);
    failed = fake_stop_failing() == 1;
    if (failed) {
        assert_int_equal(rc, opening->result);
        assert_null(endpoint);
        check_says(rig.why[0], opening->says);
    } else {
        assert_int_equal(rc, 0);
        assert_string_equal(rig.why[0], "");
        transport_verbs.close(endpoint);
    }
    assert_int_equal(fake_alive(), 0);
    assert_int_equal(open_descriptors(), before);
    return failed;
}

static void opening_with_a_call_that_fails(void **state)
{
    static const struct opening openings[] = {
        {FAKE_CALLOC, ENOMEM, -ENOMEM, ""},
        {FAKE_GET_DEVICE_LIST, ENOSYS, -ENODEV, "there is none"},
        {FAKE_OPEN_DEVICE, EACCES, -ENODEV, "cannot be opened"},
        {FAKE_QUERY_DEVICE, EIO, -ENODEV, "cannot be asked"},
        {FAKE_QUERY_PORT, EIO, -ENODEV, "is not active"},
        {FAKE_QUERY_GID_TABLE, EIO, -ENODEV, "has no usable GID"},
        {FAKE_ACCESS, ENOENT, -ENODEV, "modprobe rdma_ucm"},
        {FAKE_CREATE_CHANNEL, EMFILE, -EMFILE, ""},
        {FAKE_FCNTL, EPERM, -EPERM, ""},
        {FAKE_EPOLL_CREATE, EMFILE, -EMFILE, ""},
        {FAKE_EPOLL_ADD, ENOSPC, -ENOSPC, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        uint32_t nth = 1;

        while (open_fails(&openings[i], nth))
            nth++;
        print_message("  %s: %u times\n", fake_call_name(openings[i].call),
                      nth - 1);
        assert_true(nth > 1);
    }
}

static void a_configuration_that_cannot_be(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    for (int i = 0; i < 7; i++) {
        struct endpoint_config config = rig_config(&rig, 0);
        struct endpoint *endpoint = NULL;

        switch (i) {
        case 0: config.rank = RIG_RANKS; break;
        case 1: config.slots = 0; break;
        case 2: config.slots = VERBS_SLOTS_MAX + 1; break;
        case 3: config.slot_bytes = 0; break;
        case 4: config.slot_bytes = 96; break;
        case 5: config.credentials = NULL; break;
        default: config.interface = "none0"; break;
        }
        assert_int_equal(transport_verbs.open(&endpoint, &config),
                         i < 6 ? -EINVAL : -ENODEV);
        assert_null(endpoint);
    }
    assert_int_equal(fake_alive(), 0);
}

static void a_variable_that_cannot_be(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    setenv("BALLOT_IB_TIMEOUT", "0", 1);
    for (int asked = 0; asked < 2; asked++) {
        struct endpoint_config config = rig_config(&rig, 0);
        struct endpoint *endpoint = NULL;

        if (asked == 0)
            config.why = NULL;
        assert_int_equal(transport_verbs.open(&endpoint, &config), -EINVAL);
        assert_null(endpoint);
    }
    unsetenv("BALLOT_IB_TIMEOUT");
    check_says(rig.why[0], "BALLOT_IB_TIMEOUT=0 is not a number from 1 to 24");
    assert_int_equal(fake_alive(), 0);
}

/* ---- connect() ---- */

struct connecting {
    enum fake_call call;
    uint32_t times;
    int error;
    int result;       /* of connect(), besides `error`; 0: it may go well */
    bool of_one_peer; /* then the other one is linked all the same */
    const char *says; /* where the link itself failed */
    uint32_t sealed_slots;
};

static const struct connecting connectings[] = {
    {FAKE_CREATE_CQ, 1, ENOMEM, -ENOMEM, false, "ibv_create_cq for ", 0},
    {FAKE_ALLOC_PD, 1, ENOMEM, -ENOMEM, true, "", 0},
    {FAKE_MMAP, 1, ENOMEM, -ENOMEM, true, "", 0},
    {FAKE_REG_MR, 1, ENOMEM, -ENOMEM, true, "ulimit -l unlimited", 0},
    {FAKE_REG_MR, 1, EINVAL, -EINVAL, true, "ibv_reg_mr of 16384 bytes", 0},
    {FAKE_CREATE_QP, 3, ENOMEM, -ENOMEM, true, "ibv_create_qp with ", 0},
    {FAKE_CREATE_QP, 1, EINVAL, 0, true, "", 0}, /* less inline will do */
    {FAKE_MODIFY_QP, 1, ENOMEM, -ENOMEM, true, "ibv_modify_qp to ", 0},
    {FAKE_MODIFY_QP, 1, ETIMEDOUT, -ETIMEDOUT, true, "ibv_modify_qp to ", 0},
    {FAKE_POST_RECV, 1, ENOMEM, -ENOMEM, true, "", 0},
    {FAKE_EVENT_CHANNEL, 1, EMFILE, -EMFILE, false, "no RDMA route", 0},
    {FAKE_EVENT_CHANNEL, 1, 0, -ENODEV, false, "no RDMA route", 0},
    {FAKE_FCNTL, 1, EPERM, -EPERM, false, "", 0},
    /* Routes are asked for again. */
    {FAKE_CREATE_ID, 1, ENOMEM, 0, true, "", 0},
    {FAKE_RESOLVE_ADDRESS, 1, ENETUNREACH, 0, true, "", 0},
    {FAKE_RESOLVE_ROUTE, 1, EHOSTUNREACH, 0, true, "", 0},
    {FAKE_MALLOC, 1, ENOMEM, -ENOMEM, true, "", 0},
    {FAKE_CALLOC, 1, ENOMEM, -ENOMEM, false, "", 0},
    {FAKE_EPOLL_ADD, 1, ENOSPC, -ENOSPC, true, "", 0},
    {FAKE_ALLOC_MW, 1, ENOMEM, -ENOMEM, true, "ibv_alloc_mw: ", 2},
    {FAKE_REG_MR, 1, EINVAL, -EINVAL, true, "ibv_reg_mr of ", 2},
    {FAKE_POST_SEND, 1, ENOMEM, -ENOMEM, true, "binding a memory window", 2},
    {FAKE_BIND_MW, 1, EIO, -EIO, true, "", 2},
    {FAKE_CALLOC, 1, ENOMEM, -ENOMEM, false, "", 2},
};

static bool is_up(const struct rig *rig, uint32_t rank, uint32_t peer)
{
    const struct verbs_link *link = rig_link(rig, rank, peer);

    return link != NULL && link->state == LINK_UP;
}

/* Whoever has a link on both sides can use it; returns how many of rank 0's
 * that are. */
static uint32_t check_links(const struct rig *rig)
{
    uint32_t count = 0;

    for (uint32_t peer = 1; peer < RIG_RANKS; peer++) {
        if (!is_up(rig, 0, peer) || rig->wanted[0][peer])
            continue;
        assert_true(is_up(rig, peer, 0));
        rig_check_pair(rig, 0, peer);
        count++;
    }
    if (is_up(rig, 1, 2) && is_up(rig, 2, 1))
        rig_check_pair(rig, 1, 2);
    return count;
}

static void check_failure(const struct rig *rig,
                          const struct connecting *connecting)
{
    int rc = rig->connected[0];
    /* It did not come to links: others have waited for us. */
    bool met = rig->connected[1] != -ETIMEDOUT;
    uint32_t linked = check_links(rig);

    assert_true(rc == connecting->result || rc == -connecting->error);
    if (rc == 0)
        assert_int_equal(linked, 2);
    else if (met && connecting->of_one_peer)
        assert_int_equal(linked, 1);
    if (met && rc != 0)
        check_says(rig->why[0], connecting->says);
    if (met)
        assert_true(is_up(rig, 1, 2) && is_up(rig, 2, 1));
}

/* True if the failure was reached. */
static bool connect_fails(const struct connecting *connecting, uint32_t nth)
{
    uint32_t before = open_descriptors();
    struct rig rig;

    rig_prepare(&rig, 4, 4096);
    /* Where it does not come to links, the others wait for us. */
    if (connecting->call == FAKE_CALLOC)
        rig.patience_ms = 1000;
    rig.sealed_slots = connecting->sealed_slots;
    rig_open(&rig);
    rig.call = connecting->call;
    rig.nth = nth;
    rig.times = connecting->times;
    rig.error = connecting->error;
    rig_connect(&rig);
    if (rig.failed > 0)
        check_failure(&rig, connecting);
    else
        assert_int_equal(rig.connected[0], 0);
    rig_stop(&rig);
    assert_int_equal(open_descriptors(), before);
    return rig.failed > 0;
}

static void connecting_with_a_call_that_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(connectings) / sizeof(connectings[0]); i++) {
        const struct connecting *connecting = &connectings[i];
        uint32_t nth = 1;

        while (connect_fails(connecting, nth))
            nth++;
        print_message("  %s, %s: %u times\n", fake_call_name(connecting->call),
                      strerror(connecting->error), nth - 1);
        assert_true(nth > 1);
    }
}

/* ---- What the device cannot do ---- */

static void a_queue_too_small_for_one_peer(void **state)
{
    struct rig rig;
    char says[64];

    (void)state;
    rig_prepare(&rig, 4, 4096);
    rig_open(&rig);
    rig.endpoints[0]->device.limits.max_cqe = (int)rig_entries(&rig) - 1;
    rig_connect(&rig);
    assert_int_equal(rig.connected[0], -E2BIG);
    snprintf(says, sizeof(says), "hold %u entries and a peer needs %u",
             rig_entries(&rig) - 1, rig_entries(&rig));
    check_says(rig.why[0], says);
    check_says(rig.why[0], "BALLOT_WINDOW");
    rig_stop(&rig);
}

/* Some refuse a queue pair without room for reads. */
static void a_device_that_wants_room_for_reads(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    fake_devices[0].wants_read_room = true;
    rig_open(&rig);
    rig_connect(&rig);
    assert_int_equal(rig.connected[0], 0);
    assert_int_equal(fake_attributes(rig_pair(&rig, 0, 1)).max_dest_rd_atomic,
                     1);
    assert_int_equal(fake_attributes(rig_pair(&rig, 1, 0)).max_dest_rd_atomic,
                     0);
    rig_check_pair(&rig, 0, 1);
    rig_stop(&rig);
}

static void memory_comes_from_the_node_of_the_device(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    fake_devices[0].node = "0\n";
    rig_open(&rig);
    assert_int_equal(rig.endpoints[0]->device.node, 0);
    rig_connect(&rig);
    assert_int_equal(rig.connected[0], 0);
    rig_check_pair(&rig, 0, 1);
    rig_stop(&rig);
}

/* ---- Who calls wrongly ---- */

static void connecting_to_oneself_or_twice(void **state)
{
    struct rig rig;
    bool wanted[RIG_RANKS] = {true};
    uint32_t before;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    rig_open(&rig);
    before = open_descriptors();
    assert_int_equal(
        transport_verbs.connect(rig.endpoints[0], rig.table, wanted, 77, 0),
        -EINVAL);
    wanted[0] = false;
    assert_int_equal(transport_verbs.connect(rig.endpoints[0], rig.table,
                                             wanted, 77, UINT64_MAX),
                     0);
    assert_int_equal(transport_verbs.connect(rig.endpoints[0], rig.table,
                                             wanted, 77, UINT64_MAX),
                     -EISCONN);
    /* The listener's, and nobody else's, is closed. */
    assert_int_equal(open_descriptors(), before - 1);
    rig_expect_silence(&rig, 0);
    rig_stop(&rig);
}

static void an_address_that_nobody_has(void **state)
{
    /* Of the connection, of the port, and behind both. */
    static const struct {
        uint32_t index;
        uint8_t value;
    } edits[] = {{0, 5}, {1, 1}, {4, 224}, {20, 7}, {24, 224}, {127, 1}};
    struct rig rig;
    bool wanted[RIG_RANKS] = {false, true};
    uint32_t before;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    rig_open(&rig);
    before = open_descriptors();
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct address table[RIG_RANKS] = {rig.table[0], rig.table[1]};

        table[1].bytes[edits[i].index] = edits[i].value;
        assert_int_equal(transport_verbs.connect(rig.endpoints[0], table,
                                                 wanted, 77, UINT64_MAX),
                         -EINVAL);
        assert_true(wanted[1]);
        assert_int_equal(open_descriptors(), before);
    }
    rig_stop(&rig);
}

/* A rank that is not there is named; who is there, is not. */
static void a_missing_peer_is_named(void **state)
{
    struct rig rig;
    bool wanted[RIG_RANKS] = {false, false, true};

    (void)state;
    rig_prepare(&rig, 4, 4096);
    rig_open(&rig);
    assert_int_equal(
        transport_verbs.connect(rig.endpoints[0], rig.table, wanted, 77, 0),
        -ETIMEDOUT);
    assert_true(wanted[2]);
    assert_false(wanted[1]);
    rig_stop(&rig);
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(opening_with_a_call_that_fails),
    cmocka_unit_test(a_configuration_that_cannot_be),
    cmocka_unit_test(a_variable_that_cannot_be),
    cmocka_unit_test(connecting_with_a_call_that_fails),
    cmocka_unit_test(a_queue_too_small_for_one_peer),
    cmocka_unit_test(a_device_that_wants_room_for_reads),
    cmocka_unit_test(memory_comes_from_the_node_of_the_device),
    cmocka_unit_test(connecting_to_oneself_or_twice),
    cmocka_unit_test(an_address_that_nobody_has),
    cmocka_unit_test(a_missing_peer_is_named),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
