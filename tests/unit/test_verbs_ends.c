/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_ends.c - what ends a link over verbs, and what it leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "verbs_rig.h"

/* Rank 0 has lost rank 1 and nobody else. */
static void check_one_is_lost(const struct rig *rig, int reason)
{
    rig_expect_lost(rig, 0, 1, reason);
    rig_expect_silence(rig, 0);
    assert_false(transport_verbs.busy(rig->endpoints[0]));
    assert_null(transport_verbs.stage(rig->endpoints[0], 1, 0));
    assert_int_equal(transport_verbs.put(rig->endpoints[0], 1, 0, 64),
                     -ENOTCONN);
    assert_int_equal(rig_counts(rig, 0).violations, reason == -EPROTO);
    rig_check_pair(rig, 0, 2);
}

/* ---- A rank that goes ---- */

static void what_was_sent_arrives_before_the_loss(void **state)
{
    enum { SLOTS = 40 };
    struct rig rig;

    (void)state;
    rig_start(&rig, SLOTS, 4096);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        rig_put(&rig, 0, 1, slot, 64 * (slot + 1), slot);
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    transport_verbs.close(rig.endpoints[0]);
    rig.endpoints[0] = NULL;
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        rig_expect(&rig, 1, 0, slot, 64 * (slot + 1), slot);
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    rig_expect_silence(&rig, 1);
    assert_null(transport_verbs.stage(rig.endpoints[1], 0, 0));
    assert_int_equal(transport_verbs.put(rig.endpoints[1], 0, 0, 64),
                     -ENOTCONN);
    rig_expect_lost(&rig, 2, 0, -ECONNRESET);
    rig_check_pair(&rig, 1, 2);
    rig_stop(&rig);
}

static void a_put_to_a_peer_that_died_is_its_loss(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    transport_verbs.close(rig.endpoints[1]);
    rig.endpoints[1] = NULL;
    rig_put(&rig, 0, 1, 0, 4096, 1);
    rig_put(&rig, 0, 1, 1, 64, 1);
    rig_expect_lost(&rig, 0, 1, -ECONNRESET);
    assert_false(transport_verbs.busy(rig.endpoints[0]));
    rig_expect_silence(&rig, 0);
    rig_expect_lost(&rig, 2, 1, -ECONNRESET);
    rig_check_pair(&rig, 0, 2);
    rig_stop(&rig);
}

static void a_dropped_peer_is_silent_here_and_lost_there(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    rig_put(&rig, 1, 0, 0, 64, 1);
    fake_is_held = true;
    rig_put(&rig, 0, 1, 0, 4096, 1);
    assert_true(transport_verbs.busy(rig.endpoints[0]));
    transport_verbs.drop(rig.endpoints[0], 1);
    fake_release();
    assert_false(transport_verbs.busy(rig.endpoints[0]));
    rig_expect_silence(&rig, 0);
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    transport_verbs.drop(rig.endpoints[0], 1);
    transport_verbs.drop(rig.endpoints[0], 0);
    transport_verbs.drop(rig.endpoints[0], 3);
    rig_check_pair(&rig, 0, 2);
    rig_stop(&rig);
}

/* More has arrived than one look takes when the end is seen. */
static void a_peer_that_has_ended_is_dropped_before_all_is_read(void **state)
{
    enum { SLOTS = 400 };
    struct rig rig;

    (void)state;
    for (int dropped = 0; dropped < 2; dropped++) {
        rig_start(&rig, SLOTS, 64);
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            rig_put(&rig, 1, 0, slot, 64, slot);
            transport_verbs.poll(rig.endpoints[1], NULL, 0);
        }
        transport_verbs.drop(rig.endpoints[1], 0);
        assert_int_equal(transport_verbs.arm(rig.endpoints[0]), -EAGAIN);
        transport_verbs.poll(rig.endpoints[0], NULL, 0);
        assert_int_equal(rig_link(&rig, 0, 1)->state, LINK_CLOSING);
        if (dropped == 1)
            transport_verbs.drop(rig.endpoints[0], 1);
        for (uint32_t slot = 0; slot < SLOTS && dropped == 0; slot++)
            rig_expect(&rig, 0, 1, slot, 64, slot);
        if (dropped == 0)
            rig_expect_lost(&rig, 0, 1, -ECONNRESET);
        rig_expect_silence(&rig, 0);
        assert_true(transport_verbs.arm(rig.endpoints[0]) >= 0);
        rig_check_pair(&rig, 0, 2);
        rig_stop(&rig);
    }
}

static void closing_with_puts_that_have_not_left(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 32, 4096);
    fake_is_held = true;
    for (uint32_t slot = 0; slot < 32; slot++)
        rig_put(&rig, 0, 1, slot, slot % 2 == 0 ? 64 : 4096, slot);
    assert_true(transport_verbs.arm(rig.endpoints[2]) >= 0);
    rig_stop(&rig);
    transport_verbs.close(NULL);
}

/* ---- Failed completions ---- */

struct failure {
    enum ibv_wc_status status;
    bool port_down;
    int reason;
};

static const struct failure failures[] = {
    {IBV_WC_RETRY_EXC_ERR, false, -ETIMEDOUT},
    {IBV_WC_RETRY_EXC_ERR, true, -ENETDOWN},
    {IBV_WC_RNR_RETRY_EXC_ERR, false, -ENOBUFS},
    {IBV_WC_REM_ACCESS_ERR, false, -EACCES},
    {IBV_WC_LOC_PROT_ERR, false, -EACCES},
    {IBV_WC_LOC_ACCESS_ERR, false, -EACCES},
    {IBV_WC_WR_FLUSH_ERR, false, -ECONNRESET},
    {IBV_WC_LOC_QP_OP_ERR, false, -EIO},
    {IBV_WC_REM_INV_REQ_ERR, false, -EIO},
    {IBV_WC_GENERAL_ERR, true, -ENETDOWN},
};

/* The first says why; those that are flushed behind it say nothing new. */
static void a_failed_send_is_one_loss_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        const struct failure *failure = &failures[i];
        struct rig rig;

        rig_start(&rig, 8, 4096);
        if (failure->port_down)
            fake_tell_port(rig.endpoints[0]->device.context, IBV_EVENT_PORT_ERR,
                           1);
        rig_expect_silence(&rig, 0);
        fake_is_held = true;
        for (uint32_t slot = 0; slot < 8; slot++)
            rig_put(&rig, 0, 1, slot, slot % 2 == 0 ? 4096 : 64, slot);
        transport_verbs.poll(rig.endpoints[0], NULL, 0);
        fake_end(rig_pair(&rig, 0, 1), failure->status);
        fake_release();
        check_one_is_lost(&rig, failure->reason);
        rig_expect_lost(&rig, 1, 0, -ECONNRESET);
        rig_stop(&rig);
    }
}

static void a_failed_receive_is_one_loss_with_its_reason(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    fake_end(rig_pair(&rig, 0, 1), IBV_WC_LOC_LEN_ERR);
    check_one_is_lost(&rig, -EIO);
    rig_stop(&rig);
}

static void what_arrived_before_a_failure_is_reported_before_it(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    rig_put(&rig, 1, 0, 2, 64, 1);
    rig_put(&rig, 1, 0, 3, 64, 2);
    fake_end(rig_pair(&rig, 0, 1), IBV_WC_GENERAL_ERR);
    rig_expect(&rig, 0, 1, 2, 64, 1);
    rig_expect(&rig, 0, 1, 3, 64, 2);
    check_one_is_lost(&rig, -EIO);
    rig_stop(&rig);
}

/* A peer that has closed did not have a network that fails. */
static void after_a_peer_has_closed_no_status_says_otherwise(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    fake_is_held = true;
    rig_put(&rig, 0, 1, 0, 64, 1);
    transport_verbs.drop(rig.endpoints[1], 0);
    fake_end(rig_pair(&rig, 0, 1), IBV_WC_RETRY_EXC_ERR);
    fake_release();
    check_one_is_lost(&rig, -ECONNRESET);
    rig_stop(&rig);
}

/* ---- Work requests that are refused ---- */

static void a_send_that_is_refused_is_a_loss(void **state)
{
    static const uint32_t sizes[] = {64, 4096};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rig rig;

        rig_start(&rig, 4, 4096);
        fake_fail(FAKE_POST_SEND, 1, 1, ENOMEM);
        rig_put(&rig, 0, 1, 0, sizes[i], 1);
        transport_verbs.poll(rig.endpoints[0], NULL, 0);
        assert_int_equal(fake_stop_failing(), 1);
        check_one_is_lost(&rig, -ENOMEM);
        rig_stop(&rig);
    }
}

static void a_receive_that_is_refused_is_a_loss(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RECEIVE_BATCH, 64);
    for (uint32_t slot = 0; slot < RECEIVE_BATCH; slot++)
        rig_put(&rig, 1, 0, slot, 64, slot);
    fake_fail(FAKE_POST_RECV, 1, 1, ENOMEM);
    for (uint32_t slot = 0; slot < RECEIVE_BATCH; slot++)
        rig_expect(&rig, 0, 1, slot, 64, slot);
    assert_int_equal(fake_stop_failing(), 1);
    check_one_is_lost(&rig, -ENOMEM);
    rig_stop(&rig);
}

/* It is lost once, however many things end it. */
static void several_ends_are_one_loss(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    fake_tell(rig.endpoints[0]->device.context, IBV_EVENT_QP_FATAL,
              rig_pair(&rig, 0, 1));
    fake_end(rig_pair(&rig, 0, 1), IBV_WC_GENERAL_ERR);
    transport_verbs.drop(rig.endpoints[1], 0);
    fake_tell(rig.endpoints[0]->device.context, IBV_EVENT_QP_ACCESS_ERR,
              rig_pair(&rig, 0, 1));
    rig_expect_lost(&rig, 0, 1, -ECONNRESET);
    rig_expect_silence(&rig, 0);
    assert_int_equal(rig_counts(&rig, 0).violations, 0);
    rig_check_pair(&rig, 0, 2);
    rig_stop(&rig);
}

/* ---- Events of the device ---- */

static void an_event_of_a_pair_costs_its_peer(void **state)
{
    static const struct {
        enum ibv_event_type type;
        int reason;
    } events[] = {{IBV_EVENT_QP_FATAL, -EIO},
                  {IBV_EVENT_QP_REQ_ERR, -EIO},
                  {IBV_EVENT_QP_ACCESS_ERR, -EPROTO}};

    (void)state;
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct rig rig;

        rig_start(&rig, 4, 4096);
        fake_tell(rig.endpoints[0]->device.context, events[i].type,
                  rig_pair(&rig, 0, 1));
        check_one_is_lost(&rig, events[i].reason);
        rig_stop(&rig);
    }
}

/* Where one queue does not hold all peers, only those of it depend on it. */
static void an_event_of_a_queue_costs_its_peers(void **state)
{
    struct rig rig;

    (void)state;
    rig_prepare(&rig, 4, 4096);
    rig_open(&rig);
    rig.endpoints[0]->device.limits.max_cqe = (int)rig_entries(&rig);
    rig_connect(&rig);
    assert_int_equal(rig.connected[0], 0);
    assert_int_equal(rig.endpoints[0]->queues_count, 2);
    fake_tell(rig.endpoints[0]->device.context, IBV_EVENT_CQ_ERR,
              rig_pair(&rig, 0, 1)->recv_cq);
    check_one_is_lost(&rig, -EOVERFLOW);
    rig_stop(&rig);
    rig_start(&rig, 4, 4096);
    assert_int_equal(rig.endpoints[0]->queues_count, 1);
    fake_tell(rig.endpoints[0]->device.context, IBV_EVENT_CQ_ERR,
              rig_pair(&rig, 0, 1)->recv_cq);
    rig_expect_lost(&rig, 0, 1, -EOVERFLOW);
    rig_expect_lost(&rig, 0, 2, -EOVERFLOW);
    rig_expect_silence(&rig, 0);
    rig_stop(&rig);
}

static void the_end_of_a_device_costs_all_its_peers(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    fake_tell(rig.endpoints[0]->device.context, IBV_EVENT_DEVICE_FATAL, NULL);
    rig_expect_lost(&rig, 0, 1, -ENODEV);
    rig_expect_lost(&rig, 0, 2, -ENODEV);
    rig_expect_silence(&rig, 0);
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    rig_expect_lost(&rig, 2, 0, -ECONNRESET);
    rig_check_pair(&rig, 1, 2);
    rig_stop(&rig);
}

/* A port may come back before anybody misses it. */
static void a_port_that_goes_and_comes_costs_nobody(void **state)
{
    struct rig rig;
    struct ibv_context *context;

    (void)state;
    rig_start(&rig, 4, 4096);
    context = rig.endpoints[0]->device.context;
    fake_tell_port(context, IBV_EVENT_PORT_ERR, 1);
    fake_tell(context, IBV_EVENT_LID_CHANGE, NULL);
    rig_expect_silence(&rig, 0);
    rig_check_pair(&rig, 0, 1);
    fake_tell_port(context, IBV_EVENT_PORT_ACTIVE, 1);
    /* That of another port says nothing of ours. */
    fake_tell_port(context, IBV_EVENT_PORT_ERR, 2);
    rig_expect_silence(&rig, 0);
    rig_put(&rig, 0, 1, 0, 64, 1);
    rig_expect(&rig, 1, 0, 0, 64, 1);
    fake_end(rig_pair(&rig, 0, 1), IBV_WC_RETRY_EXC_ERR);
    check_one_is_lost(&rig, -ETIMEDOUT);
    fake_tell_port(context, IBV_EVENT_PORT_ERR, 1);
    fake_tell_port(context, IBV_EVENT_PORT_ACTIVE, 2);
    rig_expect_silence(&rig, 0);
    fake_end(rig_pair(&rig, 0, 2), IBV_WC_RETRY_EXC_ERR);
    rig_expect_lost(&rig, 0, 2, -ENETDOWN);
    rig_stop(&rig);
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(what_was_sent_arrives_before_the_loss),
    cmocka_unit_test(a_put_to_a_peer_that_died_is_its_loss),
    cmocka_unit_test(a_dropped_peer_is_silent_here_and_lost_there),
    cmocka_unit_test(a_peer_that_has_ended_is_dropped_before_all_is_read),
    cmocka_unit_test(closing_with_puts_that_have_not_left),
    cmocka_unit_test(a_failed_send_is_one_loss_with_its_reason),
    cmocka_unit_test(a_failed_receive_is_one_loss_with_its_reason),
    cmocka_unit_test(what_arrived_before_a_failure_is_reported_before_it),
    cmocka_unit_test(after_a_peer_has_closed_no_status_says_otherwise),
    cmocka_unit_test(a_send_that_is_refused_is_a_loss),
    cmocka_unit_test(a_receive_that_is_refused_is_a_loss),
    cmocka_unit_test(several_ends_are_one_loss),
    cmocka_unit_test(an_event_of_a_pair_costs_its_peer),
    cmocka_unit_test(an_event_of_a_queue_costs_its_peers),
    cmocka_unit_test(the_end_of_a_device_costs_all_its_peers),
    cmocka_unit_test(a_port_that_goes_and_comes_costs_nobody),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
