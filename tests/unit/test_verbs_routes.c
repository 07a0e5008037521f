/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_routes.c - what queue pairs are told of the way to their peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/clock.h"
#include "verbs_rig.h"

enum { SHORT_MS = 800 };

static void check_says(const char *why, const char *says)
{
    if (strstr(why, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, says);
}

/* ---- What is told ---- */

/* Links all ranks of a rig that was prepared; rank 0's pair with rank 1. */
static struct ibv_qp_attr link_all(struct rig *rig)
{
    rig_open(rig);
    rig_connect(rig);
    for (uint32_t i = 0; i < RIG_RANKS; i++)
        if (rig->connected[i] != 0)
            fail_msg("rank %u: %s", i, rig->why[i]);
    rig_check_pair(rig, 0, 1);
    return fake_attributes(rig_pair(rig, 0, 1));
}

static void a_pair_over_roce_is_told_the_way(void **state)
{
    struct ibv_qp_attr told;
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    fake_routes.service_level = 2;
    told = link_all(&rig);
    assert_int_equal(told.port_num, 1);
    assert_int_equal(told.pkey_index, 0);
    assert_int_equal(told.qp_access_flags, IBV_ACCESS_REMOTE_WRITE);
    assert_int_equal(told.path_mtu, IBV_MTU_1024);
    assert_int_equal(told.ah_attr.port_num, 1);
    assert_int_equal(told.ah_attr.is_global, 1);
    assert_memory_equal(&told.ah_attr.grh.dgid, &fake_devices[1].gids[1].gid,
                        sizeof(union ibv_gid));
    assert_int_equal(told.ah_attr.grh.sgid_index, 1);
    assert_int_equal(told.ah_attr.grh.hop_limit, 64);
    assert_int_equal(told.ah_attr.grh.flow_label, 5);
    assert_int_equal(told.ah_attr.grh.traffic_class, 0);
    assert_int_equal(told.ah_attr.sl, 2);
    /* None of these waits without end. */
    assert_int_equal(told.timeout, 16);
    assert_int_equal(told.retry_cnt, 6);
    assert_int_equal(told.rnr_retry, 6);
    assert_int_not_equal(told.min_rnr_timer, 0);
    rig_stop(&rig);
}

static void the_users_choice_comes_before_the_route(void **state)
{
    struct ibv_qp_attr told;
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    setenv("BALLOT_IB_TC", "106", 1);
    setenv("BALLOT_IB_SL", "3", 1);
    setenv("BALLOT_IB_TIMEOUT", "14", 1);
    setenv("BALLOT_IB_RETRY_CNT", "2", 1);
    told = link_all(&rig);
    unsetenv("BALLOT_IB_TC");
    unsetenv("BALLOT_IB_SL");
    unsetenv("BALLOT_IB_TIMEOUT");
    unsetenv("BALLOT_IB_RETRY_CNT");
    assert_int_equal(told.ah_attr.grh.traffic_class, 106);
    assert_int_equal(told.ah_attr.sl, 3);
    assert_int_equal(told.timeout, 14);
    assert_int_equal(told.retry_cnt, 2);
    rig_stop(&rig);
}

static void the_smallest_mtu_of_all_is_used(void **state)
{
    static const enum ibv_mtu cases[][4] = {
        /* of rank 0's port, of the route, of rank 1's port; the least */
        {IBV_MTU_4096, IBV_MTU_2048, IBV_MTU_4096, IBV_MTU_2048},
        {IBV_MTU_512, IBV_MTU_2048, IBV_MTU_4096, IBV_MTU_512},
        {IBV_MTU_4096, IBV_MTU_2048, IBV_MTU_256, IBV_MTU_256},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ibv_qp_attr told;
        struct rig rig;

        rig_prepare(&rig, 4, 4096);
        fake_devices[0].ports[0].active_mtu = cases[i][0];
        fake_devices[1].ports[0].active_mtu = cases[i][2];
        fake_routes.mtu = (uint8_t)cases[i][1];
        told = link_all(&rig);
        assert_int_equal(told.path_mtu, cases[i][3]);
        rig_stop(&rig);
    }
}

static void ipv6_leads_there_as_well(void **state)
{
    struct ibv_qp_attr told;
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    for (int i = 0; i < RIG_RANKS; i++) {
        static const char *const ips[] = {"2001:db8::1", "2001:db8::2",
                                          "2001:db8::3"};

        fake_devices[i].gids_count = 0;
        fake_add_gid(&fake_devices[i], 1, ips[i], IBV_GID_TYPE_ROCE_V2);
    }
    told = link_all(&rig);
    assert_memory_equal(&told.ah_attr.grh.dgid, &fake_devices[1].gids[0].gid,
                        sizeof(union ibv_gid));
    rig_stop(&rig);
}

static struct ibv_qp_attr link_over_infiniband(struct rig *rig)
{
    for (int i = 0; i < RIG_RANKS; i++)
        fake_make_infiniband(&fake_devices[i], "ib0");
    return link_all(rig);
}

static void a_pair_over_infiniband_is_told_lid_and_partition(void **state)
{
    struct ibv_qp_attr told;
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    fake_routes.hop_limit = 1;
    fake_routes.pkey = htons(0x8002);
    told = link_over_infiniband(&rig);
    assert_int_equal(told.ah_attr.is_global, 0);
    assert_int_equal(told.ah_attr.dlid, 0x1234);
    assert_int_equal(told.ah_attr.static_rate, 3);
    assert_int_equal(told.pkey_index, 3);
    rig_stop(&rig);
    /* Through a router, in the partition of all. */
    rig_prepare(&rig, 4, 4096);
    fake_routes.hop_limit = 9;
    told = link_over_infiniband(&rig);
    assert_int_equal(told.ah_attr.is_global, 1);
    assert_int_equal(told.ah_attr.grh.hop_limit, 9);
    assert_int_equal(told.pkey_index, 0);
    rig_stop(&rig);
    /* In one that the port does not know: then in the first. */
    rig_prepare(&rig, 4, 4096);
    fake_routes.pkey = htons(0x8077);
    told = link_over_infiniband(&rig);
    assert_int_equal(told.pkey_index, 0);
    rig_stop(&rig);
}

static void a_partition_that_cannot_be_read_is_passed_over(void **state)
{
    struct rig rig;

    (void)state;
    for (uint32_t nth = 1; nth <= 4; nth++) {
        rig_prepare(&rig, 4, 4096);
        fake_routes.pkey = htons(0x8002);
        rig.call = FAKE_QUERY_PKEY;
        rig.nth = nth;
        rig.times = 1;
        rig.error = EIO;
        (void)link_over_infiniband(&rig);
        assert_int_equal(rig.failed, 1);
        rig_stop(&rig);
    }
}

static void a_partition_that_is_refused_costs_one_peer(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    for (int i = 0; i < RIG_RANKS; i++)
        fake_make_infiniband(&fake_devices[i], "ib0");
    fake_routes.pkey = htons(0x8002);
    rig.call = FAKE_MODIFY_QP;
    rig.nth = 3; /* after one INIT for each peer */
    rig.times = 1;
    rig.error = EINVAL;
    rig_open(&rig);
    rig_connect(&rig);
    assert_int_equal(rig.failed, 1);
    assert_int_equal(rig.connected[0], -EINVAL);
    check_says(rig.why[0], "ibv_modify_qp to INIT");
    assert_int_not_equal(rig.wanted[0][1], rig.wanted[0][2]);
    rig_check_pair(&rig, 0, rig.wanted[0][1] ? 2 : 1);
    rig_stop(&rig);
}

/* ---- Routes that are not found ---- */

/* Nobody has a way to rank 1; the others have one another. */
static void check_rank_1_is_missing(struct rig *rig, const char *says)
{
    rig->patience_ms = SHORT_MS;
    rig_open(rig);
    rig_connect(rig);
    for (uint32_t rank = 0; rank < RIG_RANKS; rank += 2) {
        assert_int_equal(rig->connected[rank], -ETIMEDOUT);
        check_says(rig->why[rank], "no RDMA route to rank 1: ");
        check_says(rig->why[rank], says);
        assert_true(rig->wanted[rank][1]);
        assert_false(rig->wanted[rank][2 - rank]);
        assert_null(rig_link(rig, rank, 1));
    }
    assert_int_not_equal(rig->connected[1], 0);
    rig_check_pair(rig, 0, 2);
    rig_stop(rig);
}

static void a_peer_without_route_is_named_and_the_others_are_linked(
    void **state)
{
    static const struct {
        bool refuses_route;
        int status;
        int says;
    } cases[] = {{false, -ENETUNREACH, ENETUNREACH},
                 {true, -ENETUNREACH, ENETUNREACH},
                 {false, 0, EHOSTUNREACH},
                 {true, 3, EHOSTUNREACH}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;

        rig_prepare(&rig, 4, 4096);
        fake_routes.refused = 1;
        fake_routes.refuses_route = cases[i].refuses_route;
        fake_routes.status = cases[i].status;
        check_rank_1_is_missing(&rig, strerror(cases[i].says));
    }
}

/* No rank has any route; connect() takes no longer than it may. */
static void check_nobody_is_linked(struct rig *rig, int error)
{
    uint64_t start_ns = clock_now_ns();

    rig->patience_ms = SHORT_MS;
    rig_open(rig);
    rig_connect(rig);
    assert_in_range((clock_now_ns() - start_ns) / 1000000, SHORT_MS / 2,
                    SHORT_MS + 5000);
    assert_int_equal(rig->connected[0], -ETIMEDOUT);
    check_says(rig->why[0], "no RDMA route to rank 2: ");
    check_says(rig->why[0], strerror(error));
    for (uint32_t peer = 1; peer < RIG_RANKS; peer++) {
        assert_true(rig->wanted[0][peer]);
        assert_null(rig_link(rig, 0, peer));
    }
    rig_stop(rig);
}

static void routes_that_lead_nowhere(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    fake_routes.silent = true;
    check_nobody_is_linked(&rig, ETIMEDOUT);
    rig_prepare(&rig, 4, 4096);
    fake_routes.paths = 0;
    check_nobody_is_linked(&rig, EHOSTUNREACH);
    rig_prepare(&rig, 4, 4096);
    fake_routes.port = 2;
    check_nobody_is_linked(&rig, EXDEV);
}

static void calls_for_routes_that_always_fail(void **state)
{
    static const enum fake_call calls[] = {FAKE_CREATE_ID, FAKE_RESOLVE_ADDRESS,
                                           FAKE_RESOLVE_ROUTE};

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct rig rig;

        rig_prepare(&rig, 4, 4096);
        rig.call = calls[i];
        rig.nth = 1;
        rig.times = 1000;
        rig.error = ENOBUFS;
        check_nobody_is_linked(&rig, ENOBUFS);
        /* For each peer, at most every 50 ms. */
        assert_in_range(rig.failed, 2, 2 * (1 + SHORT_MS / 50));
    }
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(a_pair_over_roce_is_told_the_way),
    cmocka_unit_test(the_users_choice_comes_before_the_route),
    cmocka_unit_test(the_smallest_mtu_of_all_is_used),
    cmocka_unit_test(ipv6_leads_there_as_well),
    cmocka_unit_test(a_pair_over_infiniband_is_told_lid_and_partition),
    cmocka_unit_test(a_partition_that_cannot_be_read_is_passed_over),
    cmocka_unit_test(a_partition_that_is_refused_costs_one_peer),
    cmocka_unit_test(a_peer_without_route_is_named_and_the_others_are_linked),
    cmocka_unit_test(routes_that_lead_nowhere),
    cmocka_unit_test(calls_for_routes_that_always_fail),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
