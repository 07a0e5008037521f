/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_contract.c - what transport.h promises, of any transport.
 *
 *   test_contract shm | tcp-uring | tcp-epoll | verbs | verbs-sealed | sim
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apart.h"
#include "brief.h"
#include "rig.h"
#include "sleeping.h"

enum { SKIPPED = 77 };

static struct rig rig;

/* ---- What was put arrives ------------------------------------------------ */

static void each_slot_and_size_arrives_intact(void **state)
{
    enum { SLOTS = 3, SLOT_BYTES = 64 * 7 };
    uint32_t salt = 0;

    (void)state;
    rig_start(&rig, SLOTS, SLOT_BYTES);
    for (uint32_t from = 0; from < RIG_RANKS; from++) {
        for (uint32_t to = 0; to < RIG_RANKS; to++) {
            if (from == to && !rig_links_itself())
                continue;
            for (uint32_t slot = 0; slot < SLOTS; slot++) {
                for (uint32_t bytes = 64; bytes <= SLOT_BYTES; bytes += 24) {
                    struct event event;

                    rig_put(&rig, from, to, slot, bytes, ++salt);
                    event = rig_next(&rig, to);
                    rig_check(&rig, &event, from, to, slot, bytes, salt);
                }
            }
        }
    }
    assert_true(rig_silent(&rig, 20));
    rig_stop(&rig);
}

static void all_large_slots_at_once_arrive_intact(void **state)
{
    enum { SLOTS = 8, SLOT_BYTES = (1 << 18) + 192 };

    (void)state;
    rig_start(&rig, SLOTS, SLOT_BYTES);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        rig_put(&rig, 0, 1, slot, SLOT_BYTES, slot);
        rig_put(&rig, 1, 0, slot, SLOT_BYTES - 64, slot);
        rig_put(&rig, 2, 1, slot, SLOT_BYTES - 128, slot);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        struct event event = rig_next(&rig, 0);

        rig_check(&rig, &event, 1, 0, slot, SLOT_BYTES - 64, slot);
    }
    for (uint32_t i = 0, next[RIG_RANKS] = {0}; i < 2 * SLOTS; i++) {
        struct event event = rig_next(&rig, 1);
        uint32_t bytes = SLOT_BYTES - 64 * event.peer;

        assert_true(event.peer == 0 || event.peer == 2);
        rig_check(&rig, &event, event.peer, 1, next[event.peer], bytes,
                  next[event.peer]);
        next[event.peer]++;
    }
    rig_stop(&rig);
}

static void events_keep_the_order_of_puts(void **state)
{
    enum { SLOTS = 11, LAPS = 50 };

    (void)state;
    rig_start(&rig, SLOTS, 128);
    for (uint32_t lap = 0; lap < LAPS; lap++) {
        /* 7 and 11 have no common divisor, so each lap puts every slot. */
        for (uint32_t i = 0; i < SLOTS; i++)
            rig_put(&rig, 0, 2, (7 * i + lap) % SLOTS, 64 + 64 * (i & 1), lap);
        for (uint32_t i = 0; i < SLOTS; i++) {
            struct event event = rig_next(&rig, 2);

            rig_check(&rig, &event, 0, 2, (7 * i + lap) % SLOTS,
                      64 + 64 * (i & 1), lap);
        }
    }
    rig_stop(&rig);
}

static void poll_fills_at_most_max_events(void **state)
{
    enum { SLOTS = 9, MAX = 2, KIND_BEYOND = 99 };
    const struct transport *transport = rig_transport();
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    uint32_t arrived = 0;

    (void)state;
    rig_start(&rig, SLOTS, 64);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        rig_put(&rig, 0, 1, slot, 64, 0);
    while (arrived < SLOTS) {
        struct event events[MAX + 1];
        struct event ignored;
        int got;

        assert_true(rig_now_ns() < deadline_ns);
        assert_int_equal(transport->poll(rig.endpoints[0], &ignored, 1), 0);
        events[MAX].peer = KIND_BEYOND;
        got = transport->poll(rig.endpoints[1], events, MAX);
        assert_in_range(got, 0, MAX);
        assert_int_equal(events[MAX].peer, KIND_BEYOND);
        for (int i = 0; i < got; i++)
            rig_check(&rig, &events[i], 0, 1, arrived++, 64, 0);
    }
    rig_stop(&rig);
}

static void a_flooding_peer_hides_nobody(void **state)
{
    enum { SLOTS = 32, EVENTS_MAX = 128 };
    const struct transport *transport = rig_transport();
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    struct event event = {.peer = 0};
    int before = 0;

    (void)state;
    rig_start(&rig, SLOTS, 64);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        rig_put(&rig, 0, 2, slot, 64, 0);
    rig_put(&rig, 1, 2, 5, 64, 0);
    while (event.peer != 1) {
        struct event ignored;

        assert_true(rig_now_ns() < deadline_ns);
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(transport->poll(rig.endpoints[i], &ignored, 1), 0);
        if (transport->poll(rig.endpoints[2], &event, 1) == 0 ||
            event.peer != 0)
            continue;
        /* What was taken is put again at once: rank 0 never runs dry. */
        assert_true(++before < EVENTS_MAX);
        rig_release(&rig, 2, &event);
        if (transport->stage(rig.endpoints[0], 2, event.slot) != NULL)
            rig_put(&rig, 0, 2, event.slot, 64, 0);
    }
    rig_check(&rig, &event, 1, 2, 5, 64, 0);
    rig_stop(&rig);
}

static void a_slot_that_leaves_cannot_be_staged(void **state)
{
    enum { SLOT_BYTES = 8 << 20 };
    const struct transport *transport = rig_transport();
    struct endpoint *sender;
    struct event event;

    (void)state;
    rig_start(&rig, 2, SLOT_BYTES);
    sender = rig.endpoints[0];
    rig_put(&rig, 0, 1, 0, SLOT_BYTES, 1);
    if (transport->stage(sender, 1, 0) == NULL) {
        assert_true(transport->busy(sender));
        assert_int_equal(transport->put(sender, 1, 0, 64), -EBUSY);
        assert_non_null(transport->stage(sender, 1, 1));
    }
    event = rig_next(&rig, 1);
    rig_check(&rig, &event, 0, 1, 0, SLOT_BYTES, 1);
    assert_true(rig_silent(&rig, 50));
    assert_false(transport->busy(sender));
    assert_non_null(transport->stage(sender, 1, 0));
    rig_stop(&rig);
}

/* A peer that writes again before it was allowed to loses its link, and what is
 * read stays as it is. */
static void a_sealed_slot_does_not_change(void **state)
{
    struct event event, lost;

    (void)state;
    if (!rig_is_sealed())
        skip();
    rig_start(&rig, 3, 4096);
    rig_put(&rig, 0, 1, 0, 4096, 1);
    rig_put(&rig, 0, 1, 1, 4096, 2);
    event = rig_next(&rig, 1);
    rig_put(&rig, 0, 1, 0, 4096, 3);
    lost = rig_next(&rig, 0);
    assert_int_equal(lost.kind, EVENT_LOST);
    rig_check(&rig, &event, 0, 1, 0, 4096, 1);
    event = rig_next(&rig, 1);
    rig_check(&rig, &event, 0, 1, 1, 4096, 2);
    event = rig_next(&rig, 1);
    assert_int_equal(event.kind, EVENT_LOST);
    rig_stop(&rig);
}

/* ---- Loss ---------------------------------------------------------------- */

static void assert_cut(uint32_t rank, uint32_t peer)
{
    struct endpoint *endpoint = rig.endpoints[rank];

    assert_null(rig_transport()->stage(endpoint, peer, 0));
    assert_int_equal(rig_transport()->put(endpoint, peer, 0, 64), -ENOTCONN);
}

static void assert_linked(uint32_t from, uint32_t to)
{
    struct event event;

    rig_put(&rig, from, to, 1, 64, 77);
    event = rig_next(&rig, to);
    rig_check(&rig, &event, from, to, 1, 64, 77);
}

static void a_close_is_one_loss_after_the_last_put(void **state)
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    struct event event;

    (void)state;
    rig_start(&rig, 3, 128);
    /* Rank 0 sleeps, so that it finds the puts and the end in one look. */
    assert_true(rig_silent(&rig, 20));
    assert_true(rig_transport()->arm(rig.endpoints[0]) >= 0);
    for (uint32_t slot = 0; slot < 3; slot++)
        rig_put(&rig, 2, 0, slot, 128, 3);
    while (rig_transport()->busy(rig.endpoints[2])) {
        rig_transport()->poll(rig.endpoints[2], &event, 1);
        assert_true(rig_now_ns() < deadline_ns);
    }
    rig_close(&rig, 2);
    for (uint32_t slot = 0; slot < 3; slot++) {
        event = rig_next(&rig, 0);
        rig_check(&rig, &event, 2, 0, slot, 128, 3);
    }
    event = rig_next(&rig, 0);
    rig_check_lost(&event, 2);
    event = rig_next(&rig, 1);
    rig_check_lost(&event, 2);
    assert_true(rig_silent(&rig, 50));
    assert_cut(0, 2);
    assert_cut(1, 2);
    assert_linked(0, 1);
    assert_linked(1, 0);
    rig_stop(&rig);
}

static void a_drop_is_a_loss_to_the_dropped_alone(void **state)
{
    struct event event;

    (void)state;
    rig_start(&rig, 2, 64);
    rig_put(&rig, 1, 0, 0, 64, 0);
    rig_transport()->drop(rig.endpoints[0], 1);
    event = rig_next(&rig, 1);
    rig_check_lost(&event, 0);
    assert_true(rig_silent(&rig, 50));
    assert_cut(0, 1);
    assert_cut(1, 0);
    rig_transport()->drop(rig.endpoints[0], 1);
    assert_linked(0, 2);
    assert_linked(2, 0);
    assert_linked(1, 2);
    assert_linked(2, 1);
    rig_stop(&rig);
}

static void what_arrived_outlives_the_loss_of_its_writer(void **state)
{
    struct event arrived, lost;

    (void)state;
    rig_start(&rig, 2, 128);
    rig_put(&rig, 1, 0, 1, 128, 9);
    arrived = rig_next(&rig, 0);
    rig_close(&rig, 1);
    lost = rig_next(&rig, 0);
    rig_check_lost(&lost, 1);
    rig_check(&rig, &arrived, 1, 0, 1, 128, 9);
    rig_stop(&rig);
}

/* ---- Life ---------------------------------------------------------------- */

static void the_deadline_names_the_missing(void **state)
{
    uint64_t start_ns = rig_now_ns();

    (void)state;
    rig_open(&rig, 2, 64);
    rig_connect(&rig, 1u << 0 | 1u << 2, 1, 300);
    assert_in_range(rig_now_ns() - start_ns, 290000000u, 2000000000u);
    for (uint32_t rank = 0; rank < RIG_RANKS; rank += 2) {
        assert_int_equal(rig.connected[rank], -ETIMEDOUT);
        for (uint32_t peer = 0; peer < RIG_RANKS; peer++)
            assert_int_equal(rig.wanted[rank][peer], peer == 1);
    }
    rig_stop(&rig);
}

static void close_allows_null(void **state)
{
    (void)state;
    rig_transport()->close(NULL);
}

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void two_hundred_lives_leak_no_descriptor(void **state)
{
    int before = 0;

    (void)state;
    for (int life = 0; life < 200; life++) {
        rig_start(&rig, 2, 4096);
        assert_linked((uint32_t)life % 2, 2);
        rig_stop(&rig);
        /* The first life may leave what lasts as long as the process. */
        if (life == 0)
            before = count_descriptors();
    }
    assert_int_equal(count_descriptors(), before);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_and_size_arrives_intact),
        cmocka_unit_test(all_large_slots_at_once_arrive_intact),
        cmocka_unit_test(events_keep_the_order_of_puts),
        cmocka_unit_test(poll_fills_at_most_max_events),
        cmocka_unit_test(a_flooding_peer_hides_nobody),
        cmocka_unit_test(a_slot_that_leaves_cannot_be_staged),
        cmocka_unit_test(a_sealed_slot_does_not_change),
        cmocka_unit_test(arm_says_again_while_events_wait),
        cmocka_unit_test(nobody_wakes_an_idle_sleeper),
        cmocka_unit_test(no_wakeup_is_lost_in_a_race),
        cmocka_unit_test(a_put_wakes_a_sleeper_in_each_direction),
        cmocka_unit_test(a_close_is_one_loss_after_the_last_put),
        cmocka_unit_test(a_loss_wakes_a_sleeper),
        cmocka_unit_test(a_drop_is_a_loss_to_the_dropped_alone),
        cmocka_unit_test(what_arrived_outlives_the_loss_of_its_writer),
        cmocka_unit_test(what_comes_from_memory_arrives),
        cmocka_unit_test(what_was_put_with_memory_may_change),
        cmocka_unit_test(memory_that_was_let_go_may_vanish),
        cmocka_unit_test(a_put_from_memory_is_checked),
        cmocka_unit_test(what_is_placed_lands_there),
        cmocka_unit_test(a_place_that_was_let_go_stays_as_it_is),
        cmocka_unit_test(what_is_shared_arrives_everywhere),
        cmocka_unit_test(the_deadline_names_the_missing),
        cmocka_unit_test(close_allows_null),
        cmocka_unit_test(two_hundred_lives_leak_no_descriptor),
        cmocka_unit_test(brief_messages_arrive_in_order),
        cmocka_unit_test(brief_messages_pass_by_puts),
        cmocka_unit_test(a_brief_message_finds_room_again),
        cmocka_unit_test(a_brief_message_wakes_a_sleeper),
        cmocka_unit_test(who_waits_for_room_is_woken),
    };

    if (argc != 2 || !rig_choose(argv[1])) {
        fprintf(stderr,
                "use: %s shm | tcp-uring | tcp-epoll | verbs | "
                "verbs-sealed | sim\n",
                argv[0]);
        return 2;
    }
    if (rig_is_refused()) {
        fprintf(stderr, "%s is refused here\n", argv[1]);
        return SKIPPED;
    }
    return cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
}
