/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs.c - slots over verbs between honest ranks that live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/memory.h"
#include "transport/verbs_transport.h"
#include "verbs_rig.h"

/* ---- Honest peers ---- */

static void every_size_arrives_both_ways(void **state)
{
    enum { SLOTS = 5, SLOT_BYTES = 2048 };
    struct rig rig;

    (void)state;
    rig_start(&rig, SLOTS, SLOT_BYTES);
    for (uint32_t bytes = 64; bytes <= SLOT_BYTES; bytes += 64) {
        uint32_t slot = bytes / 64 % SLOTS;

        rig_put(&rig, 0, 1, slot, bytes, bytes / 64);
        rig_expect(&rig, 1, 0, slot, bytes, bytes / 64);
        rig_put(&rig, 1, 0, slot, bytes, bytes / 64 + 1);
        rig_expect(&rig, 0, 1, slot, bytes, bytes / 64 + 1);
    }
    for (uint32_t i = 0; i < RIG_RANKS; i++)
        rig_expect_silence(&rig, i);
    assert_int_equal(fake_not_ready, 0);
    rig_stop(&rig);
}

static uint32_t size_of(uint32_t slot, uint32_t slot_bytes)
{
    return slot % 3 == 0 ? slot_bytes : 64 * (1 + slot * 7919 % 9);
}

/* Sends and receives of all slots at once, in one order on any stripes. */
static void all_slots_in_flight_in_order(const char *stripes)
{
    enum { SLOTS = 67, SLOT_BYTES = 4096, ROUNDS = 5 };
    struct rig rig;

    setenv("BALLOT_IB_QPS_PER_CONNECTION", stripes, 1);
    rig_start(&rig, SLOTS, SLOT_BYTES);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            for (uint32_t from = 0; from < RIG_RANKS; from++)
                for (uint32_t to = 0; to < RIG_RANKS; to++)
                    if (from != to)
                        rig_put(&rig, from, to, slot, size_of(slot, SLOT_BYTES),
                                round + slot);
        for (uint32_t to = 0; to < RIG_RANKS; to++) {
            uint32_t next[RIG_RANKS] = {0};

            for (uint32_t i = 0; i < (RIG_RANKS - 1) * SLOTS; i++) {
                struct event event;
                uint32_t slot;

                for (uint32_t from = 0; from < RIG_RANKS; from++)
                    transport_verbs.poll(rig.endpoints[from], NULL, 0);
                assert_int_equal(
                    transport_verbs.poll(rig.endpoints[to], &event, 1), 1);
                slot = next[event.peer]++;
                rig_check(&event, event.peer, slot, size_of(slot, SLOT_BYTES),
                          round + slot);
            }
        }
    }
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        rig_expect_silence(&rig, i);
        assert_false(transport_verbs.busy(rig.endpoints[i]));
        assert_int_equal(rig_counts(&rig, i).violations, 0);
    }
    assert_int_equal(fake_not_ready, 0);
    rig_stop(&rig);
    unsetenv("BALLOT_IB_QPS_PER_CONNECTION");
}

static void all_slots_in_flight_in_order_over_one_pair(void **state)
{
    (void)state;
    all_slots_in_flight_in_order("1");
}

static void all_slots_in_flight_in_order_over_three_pairs(void **state)
{
    (void)state;
    all_slots_in_flight_in_order("3");
}

static void numbers_of_puts_wrap(void **state)
{
    enum { SLOTS = 3 };
    struct rig rig;

    (void)state;
    rig_start(&rig, SLOTS, 64);
    for (uint32_t i = 0; i < (1 << 16) + 100; i++) {
        struct event event;

        rig_put(&rig, 0, 1, i % SLOTS, 64, i);
        if (transport_verbs.poll(rig.endpoints[1], &event, 1) != 1)
            fail_msg("put %u did not arrive", i);
        rig_check(&event, 0, i % SLOTS, 64, i);
        transport_verbs.poll(rig.endpoints[0], NULL, 0);
    }
    assert_int_equal(fake_not_ready, 0);
    rig_stop(&rig);
}

static void a_small_put_leaves_its_staging_at_once(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    fake_is_held = true;
    rig_put(&rig, 0, 1, 0, INLINE_BYTES, 1);
    /* The device has its copy: what is staged next does not change it. */
    rig_fill(&rig, 0, 1, 0, INLINE_BYTES, 2);
    rig_put(&rig, 0, 1, 1, INLINE_BYTES + 64, 3);
    assert_null(transport_verbs.stage(rig.endpoints[0], 1, 1));
    assert_int_equal(transport_verbs.put(rig.endpoints[0], 1, 1, 64), -EBUSY);
    assert_true(transport_verbs.busy(rig.endpoints[0]));
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    rig_expect_silence(&rig, 1);
    fake_release();
    rig_expect(&rig, 1, 0, 0, INLINE_BYTES, 1);
    rig_expect(&rig, 1, 0, 1, INLINE_BYTES + 64, 3);
    assert_non_null(transport_verbs.stage(rig.endpoints[0], 1, 1));
    assert_false(transport_verbs.busy(rig.endpoints[0]));
    assert_int_equal(rig_counts(&rig, 0).copied_bytes, INLINE_BYTES);
    rig_stop(&rig);
}

/* Devices differ in what a work request takes; the rest is the same. */
static void a_device_that_takes_little_or_nothing_inline(void **state)
{
    static const uint32_t takes[] = {64, 0};

    (void)state;
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        struct rig rig;

        rig_prepare(&rig, 4, 4096);
        fake_devices[0].inline_max = takes[i];
        rig_open(&rig);
        rig_connect(&rig);
        assert_int_equal(rig.connected[0], 0);
        rig_put(&rig, 0, 1, 0, 128, 1);
        rig_expect(&rig, 1, 0, 0, 128, 1);
        rig_put(&rig, 0, 1, 1, 64, 2);
        rig_expect(&rig, 1, 0, 1, 64, 2);
        assert_int_equal(rig_counts(&rig, 0).copied_bytes, takes[i]);
        rig_stop(&rig);
    }
}

static void a_batch_has_one_completion(void **state)
{
    enum { SLOTS = SEND_BATCH * 2 };
    struct rig rig;

    (void)state;
    rig_start(&rig, SLOTS, 1024);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        rig_put(&rig, 0, 1, slot, 1024, slot);
    fake_signalled = 0;
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    assert_true(transport_verbs.busy(rig.endpoints[0]));
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    assert_false(transport_verbs.busy(rig.endpoints[0]));
    assert_int_equal(fake_signalled, 2);
    rig_stop(&rig);
}

/* Who does not poll does not know what has left. */
static void what_has_no_room_in_the_send_queue_waits(void **state)
{
    enum { SLOTS = 16 };
    struct rig rig;
    uint32_t depth;

    (void)state;
    rig_start(&rig, SLOTS, 64);
    depth = rig.endpoints[0]->send_depth;
    for (uint32_t i = 0; i < depth + 5; i++) {
        struct event event;

        rig_put(&rig, 0, 1, i % SLOTS, 64, i);
        if (i < depth) {
            assert_int_equal(transport_verbs.poll(rig.endpoints[1], &event, 1),
                             1);
            rig_check(&event, 0, i % SLOTS, 64, i);
        }
    }
    assert_int_equal(rig_link(&rig, 0, 1)->stripes[0].waiting_count, 5);
    rig_expect_silence(&rig, 2);
    for (uint32_t i = depth; i < depth + 5; i++)
        rig_expect(&rig, 1, 0, i % SLOTS, 64, i);
    rig_expect_silence(&rig, 1);
    assert_false(transport_verbs.busy(rig.endpoints[0]));
    assert_int_equal(fake_not_ready, 0);
    rig_stop(&rig);
}

static void a_put_is_checked(void **state)
{
    struct rig rig;
    struct endpoint *endpoint;

    (void)state;
    rig_start(&rig, 4, 4096);
    endpoint = rig.endpoints[0];
    assert_int_equal(transport_verbs.put(endpoint, 1, 4, 64), -EINVAL);
    assert_int_equal(transport_verbs.put(endpoint, 1, 0, 0), -EINVAL);
    assert_int_equal(transport_verbs.put(endpoint, 1, 0, 100), -EINVAL);
    assert_int_equal(transport_verbs.put(endpoint, 1, 0, 4160), -EINVAL);
    assert_int_equal(transport_verbs.put(endpoint, 0, 0, 64), -ENOTCONN);
    assert_int_equal(transport_verbs.put(endpoint, 3, 0, 64), -ENOTCONN);
    assert_null(transport_verbs.stage(endpoint, 0, 0));
    assert_null(transport_verbs.stage(endpoint, 3, 0));
    assert_null(transport_verbs.stage(endpoint, 1, 4));
    rig_expect_silence(&rig, 1);
    rig_stop(&rig);
}

static void a_slot_of_each_voter_has_its_own_place_in_a_page(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 2, 4096);
    for (uint32_t rank = 1; rank < RIG_RANKS; rank++) {
        struct event event;

        rig_put(&rig, rank, 0, 1, 4096, 1);
        transport_verbs.poll(rig.endpoints[rank], NULL, 0);
        assert_int_equal(transport_verbs.poll(rig.endpoints[0], &event, 1), 1);
        assert_int_equal((uintptr_t)event.memory % 4096, memory_skew(rank));
    }
    rig_stop(&rig);
}

static void two_floods_are_served_in_turn(void **state)
{
    enum { SLOTS = 64 };
    struct rig rig;
    struct event events[SLOTS];
    uint32_t from_rank[RIG_RANKS] = {0};

    (void)state;
    rig_start(&rig, SLOTS, 64);
    for (uint32_t from = 1; from < RIG_RANKS; from++)
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            rig_put(&rig, from, 0, slot, 64, slot);
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(transport_verbs.poll(rig.endpoints[0], events, 1), 1);
        from_rank[events[0].peer]++;
    }
    assert_in_range(from_rank[1], SLOTS / 2 - 8, SLOTS / 2 + 8);
    /* One poll does not take all of one before the other has its turn. */
    assert_int_equal(transport_verbs.poll(rig.endpoints[0], events, 16), 16);
    assert_int_not_equal(events[0].peer, events[15].peer);
    rig_stop(&rig);
}

/* ---- Sleeping ---- */

static bool is_readable(int descriptor)
{
    struct pollfd polled = {.fd = descriptor, .events = POLLIN};

    return poll(&polled, 1, 0) == 1;
}

static void who_sleeps_is_woken_by_an_arrival_or_an_end(void **state)
{
    struct rig rig;
    int descriptor;

    (void)state;
    rig_start(&rig, 4, 4096);
    descriptor = transport_verbs.arm(rig.endpoints[1]);
    assert_true(descriptor >= 0);
    assert_false(is_readable(descriptor));
    rig_put(&rig, 0, 1, 0, 64, 1);
    assert_true(is_readable(descriptor));
    assert_int_equal(transport_verbs.arm(rig.endpoints[1]), -EAGAIN);
    rig_expect(&rig, 1, 0, 0, 64, 1);
    rig_expect_silence(&rig, 1);
    /* What wakes is taken off, and armed anew. */
    assert_int_equal(transport_verbs.arm(rig.endpoints[1]), descriptor);
    assert_false(is_readable(descriptor));
    transport_verbs.drop(rig.endpoints[0], 1);
    assert_true(is_readable(descriptor));
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    rig_expect_silence(&rig, 1);
    assert_int_equal(transport_verbs.arm(rig.endpoints[1]), descriptor);
    assert_false(is_readable(descriptor));
    rig_stop(&rig);
}

/* Arming fails as long as the device does not take it. */
static void a_queue_that_cannot_be_armed_is_polled(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, 4, 4096);
    fake_fail(FAKE_NOTIFY_CQ, 1, 1, ENOMEM);
    assert_int_equal(transport_verbs.arm(rig.endpoints[0]), -EAGAIN);
    assert_int_equal(fake_stop_failing(), 1);
    assert_true(transport_verbs.arm(rig.endpoints[0]) >= 0);
    fake_fail(FAKE_POLL_CQ, 1, 2, EIO);
    rig_put(&rig, 1, 0, 0, 64, 1);
    rig_expect(&rig, 0, 1, 0, 64, 1);
    assert_int_equal(fake_stop_failing(), 2);
    rig_stop(&rig);
}

/* Who never sleeps sees it, too, after some polls. */
static void an_end_is_seen_without_sleeping(void **state)
{
    struct rig rig;
    struct event event;
    int count = 0;

    (void)state;
    rig_start(&rig, 4, 4096);
    transport_verbs.drop(rig.endpoints[0], 1);
    for (uint32_t i = 0; i < 300 && count == 0; i++)
        count = transport_verbs.poll(rig.endpoints[1], &event, 1);
    assert_int_equal(count, 1);
    assert_int_equal(event.kind, EVENT_LOST);
    rig_stop(&rig);
}

/* A child keeps our end open: who was cut wakes nobody for ever after. */
static void a_child_that_holds_a_connection_wakes_nobody(void **state)
{
    struct rig rig;
    int held, descriptor;

    (void)state;
    rig_start(&rig, 4, 4096);
    held = dup(rig_link(&rig, 0, 1)->descriptor);
    transport_verbs.drop(rig.endpoints[0], 1);
    rig_expect_silence(&rig, 0);
    descriptor = transport_verbs.arm(rig.endpoints[0]);
    assert_true(descriptor >= 0);
    assert_false(is_readable(descriptor));
    close(held);
    rig_stop(&rig);
}

/* ---- Words ---- */

static void an_endpoint_says_what_it_uses(void **state)
{
    struct rig rig;
    char text[256];

    (void)state;
    rig_prepare(&rig, 4, 4096);
    rig_open(&rig);
    verbs_describe(rig.endpoints[1], text, sizeof(text));
    assert_string_equal(text, "fake1 port 1, GID 1 (10.9.0.2), RoCE v2, MTU "
                              "1024 (an interface's MTU of 4200 would give "
                              "4096)");
    assert_true(verbs_address_is_there(&rig.table[0]));
    assert_false(verbs_address_is_there(&(struct address){{0}}));
    rig_stop(&rig);
    rig_prepare(&rig, 4, 4096);
    fake_make_infiniband(&fake_devices[0], "ib0");
    rig_open(&rig);
    verbs_describe(rig.endpoints[0], text, sizeof(text));
    assert_string_equal(text,
                        "fake0 port 1, GID 0 (10.9.0.1), InfiniBand, MTU 1024");
    rig_stop(&rig);
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(every_size_arrives_both_ways),
    cmocka_unit_test(all_slots_in_flight_in_order_over_one_pair),
    cmocka_unit_test(all_slots_in_flight_in_order_over_three_pairs),
    cmocka_unit_test(numbers_of_puts_wrap),
    cmocka_unit_test(a_small_put_leaves_its_staging_at_once),
    cmocka_unit_test(a_device_that_takes_little_or_nothing_inline),
    cmocka_unit_test(a_batch_has_one_completion),
    cmocka_unit_test(what_has_no_room_in_the_send_queue_waits),
    cmocka_unit_test(a_put_is_checked),
    cmocka_unit_test(a_slot_of_each_voter_has_its_own_place_in_a_page),
    cmocka_unit_test(two_floods_are_served_in_turn),
    cmocka_unit_test(who_sleeps_is_woken_by_an_arrival_or_an_end),
    cmocka_unit_test(a_queue_that_cannot_be_armed_is_polled),
    cmocka_unit_test(an_end_is_seen_without_sleeping),
    cmocka_unit_test(a_child_that_holds_a_connection_wakes_nobody),
    cmocka_unit_test(an_endpoint_says_what_it_uses),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
