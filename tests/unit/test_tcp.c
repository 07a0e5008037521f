/* SPDX-License-Identifier: Apache-2.0 */
/* test_tcp.c - slots over tcp between honest ranks, and their losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "cluster.h"
#include "transport/memory.h"

/* ---- Honest peers ---- */

static void ping_pong_of_every_size(void **state)
{
    enum { SLOT_BYTES = 20480 };
    struct cluster cluster;

    (void)state;
    cluster_open(&cluster, 2, 5, SLOT_BYTES);
    for (uint32_t bytes = 64; bytes <= SLOT_BYTES; bytes += 64) {
        struct event event;
        uint32_t slot = bytes / 64 % 5;

        cluster_put(&cluster, 0, 1, slot, bytes, bytes / 64);
        event = cluster_next_event(&cluster, 1);
        cluster_check(&event, 0, slot, bytes, bytes / 64);
        cluster_put(&cluster, 1, 0, slot, bytes, bytes / 64 + 1);
        event = cluster_next_event(&cluster, 0);
        cluster_check(&event, 1, slot, bytes, bytes / 64 + 1);
    }
    cluster_close(&cluster);
}

static uint32_t size_of(uint32_t round, uint32_t slot, uint32_t slot_bytes)
{
    uint32_t lines = slot_bytes / 64;

    /* Every third one is full, the others small or somewhere between. */
    if (slot % 3 == 0)
        return slot_bytes;
    return (1 + (round * 7919 + slot * 104729) % (slot % 3 == 1 ? 9 : lines)) *
           64;
}

static void all_slots_in_flight_between_all(void **state)
{
    enum { SLOTS = 24, SLOT_BYTES = 128 << 10, ROUNDS = 4 };
    struct cluster cluster;

    (void)state;
    cluster_open(&cluster, RANKS_MAX, SLOTS, SLOT_BYTES);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t next[RANKS_MAX][RANKS_MAX] = {{0}};

        for (uint32_t slot = 0; slot < SLOTS; slot++)
            for (uint32_t pair = 0; pair < RANKS_MAX * RANKS_MAX; pair++)
                if (pair / RANKS_MAX != pair % RANKS_MAX)
                    cluster_put(&cluster, pair / RANKS_MAX, pair % RANKS_MAX,
                                slot, size_of(round, slot, SLOT_BYTES),
                                round + slot);
        for (uint32_t i = 0; i < RANKS_MAX * (RANKS_MAX - 1) * SLOTS; i++) {
            uint32_t to = i % RANKS_MAX;
            struct event event = cluster_next_event(&cluster, to);
            uint32_t slot = next[event.peer][to]++;

            cluster_check(&event, event.peer, slot,
                          size_of(round, slot, SLOT_BYTES), round + slot);
        }
    }
    for (uint32_t i = 0; i < RANKS_MAX; i++) {
        assert_false(transport_tcp.busy(cluster.endpoints[i]));
        cluster_check_silence(&cluster, i, 5);
    }
    cluster_close(&cluster);
}

static void a_put_is_checked(void **state)
{
    struct cluster cluster;
    struct endpoint *endpoint;

    (void)state;
    cluster_open(&cluster, 2, 4, 4096);
    endpoint = cluster.endpoints[0];
    assert_int_equal(transport_tcp.put(endpoint, 1, 4, 64), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 1, 0, 0), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 1, 0, 100), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 1, 0, 4160), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 0, 0, 64), -ENOTCONN);
    assert_int_equal(transport_tcp.put(endpoint, 2, 0, 64), -ENOTCONN);
    assert_null(transport_tcp.stage(endpoint, 0, 0));
    assert_null(transport_tcp.stage(endpoint, 2, 0));
    assert_null(transport_tcp.stage(endpoint, 1, 4));
    cluster_check_silence(&cluster, 1, 5);
    cluster_close(&cluster);
}

static void a_slot_of_each_voter_has_its_own_place_in_a_page(void **state)
{
    enum { SLOTS = 3, SLOT_BYTES = 4096 + 64 };
    struct cluster cluster;

    (void)state;
    cluster_open(&cluster, RANKS_MAX, SLOTS, SLOT_BYTES);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        for (uint32_t rank = 1; rank < RANKS_MAX; rank++) {
            struct event event;

            cluster_put(&cluster, rank, 0, slot, SLOT_BYTES, slot);
            event = cluster_next_event(&cluster, 0);
            cluster_check(&event, rank, slot, SLOT_BYTES, slot);
            assert_int_equal((uintptr_t)event.memory % 4096,
                             (memory_skew(rank) + slot * SLOT_BYTES) % 4096);
        }
    cluster_close(&cluster);
}

static void two_floods_are_served_in_turn(void **state)
{
    enum { SLOTS = 64 };
    struct cluster cluster;
    uint32_t from_rank[RANKS_MAX] = {0};

    (void)state;
    cluster_open(&cluster, 4, SLOTS, 64);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        cluster_put(&cluster, 1, 0, slot, 64, slot);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        cluster_put(&cluster, 2, 0, slot, 64, slot);
    for (uint32_t i = 1; i < 3; i++)
        while (transport_tcp.busy(cluster.endpoints[i]))
            transport_tcp.poll(cluster.endpoints[i], NULL, 0);
    clock_sleep_ms(5);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct event event = cluster_next_event(&cluster, 0);

        from_rank[event.peer]++;
    }
    /* One event a poll: each has had half of the turns, or nearly so. */
    assert_in_range(from_rank[1], SLOTS / 2 - 8, SLOTS / 2 + 8);
    cluster_close(&cluster);
}

/* ---- Peers that come late, go, or do not read ---- */

static void a_peer_that_does_not_read_stops_nobody(void **state)
{
    enum { SLOTS = 64, SLOT_BYTES = 1 << 20 };
    struct cluster cluster;
    struct endpoint *endpoint;
    struct event event;
    uint32_t busy_slot = SLOTS;

    (void)state;
    cluster_open(&cluster, 3, SLOTS, SLOT_BYTES);
    endpoint = cluster.endpoints[0];
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        cluster_put(&cluster, 0, 1, slot, SLOT_BYTES, slot);
    for (uint32_t i = 0; i < 100; i++)
        transport_tcp.poll(endpoint, NULL, 0);
    assert_true(transport_tcp.busy(endpoint));
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (transport_tcp.stage(endpoint, 1, slot) == NULL)
            busy_slot = slot;
    assert_int_equal(busy_slot, SLOTS - 1);
    assert_int_equal(transport_tcp.put(endpoint, 1, busy_slot, 64), -EBUSY);
    /* The third rank is served meanwhile. */
    for (uint32_t i = 0; i < 50; i++) {
        cluster_put(&cluster, 0, 2, i % SLOTS, 64 + 64 * i, i);
        do {
            transport_tcp.poll(endpoint, NULL, 0);
        } while (transport_tcp.poll(cluster.endpoints[2], &event, 1) == 0);
        cluster_check(&event, 0, i % SLOTS, 64 + 64 * i, i);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        event = cluster_next_event(&cluster, 1);
        cluster_check(&event, 0, slot, SLOT_BYTES, slot);
    }
    assert_false(transport_tcp.busy(endpoint));
    cluster_close(&cluster);
}

static void closing_with_puts_that_nobody_reads(void **state)
{
    enum { SLOTS = 32, SLOT_BYTES = 1 << 20 };
    struct cluster cluster;
    uint64_t start;

    (void)state;
    cluster_open(&cluster, 2, SLOTS, SLOT_BYTES);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        cluster_put(&cluster, 0, 1, slot, SLOT_BYTES, slot);
    start = clock_now_ns();
    transport_tcp.close(cluster.endpoints[0]);
    assert_true(clock_now_ns() - start < 1000000000u);
    cluster.endpoints[0] = NULL;
    cluster_close(&cluster);
}

static void what_was_sent_arrives_before_the_loss(void **state)
{
    enum { SLOTS = 20 };
    struct cluster cluster;
    struct event event;

    (void)state;
    cluster_open(&cluster, 4, SLOTS, 8192);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        cluster_put(&cluster, 0, 1, slot, 64 * (slot + 1), slot);
    while (transport_tcp.busy(cluster.endpoints[0]))
        transport_tcp.poll(cluster.endpoints[0], NULL, 0);
    transport_tcp.close(cluster.endpoints[0]);
    cluster.endpoints[0] = NULL;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        event = cluster_next_event(&cluster, 1);
        cluster_check(&event, 0, slot, 64 * (slot + 1), slot);
    }
    event = cluster_next_event(&cluster, 1);
    cluster_check_lost(&event, 0, -ECONNRESET);
    cluster_check_silence(&cluster, 1, 5);
    assert_null(transport_tcp.stage(cluster.endpoints[1], 0, 0));
    assert_int_equal(transport_tcp.put(cluster.endpoints[1], 0, 0, 64),
                     -ENOTCONN);
    cluster_close(&cluster);
}

/* Puts go on until the loss is noticed, which must not kill or block. */
static void putting_to_a_peer_that_died(void **state)
{
    struct cluster cluster;
    struct event event = {.kind = EVENT_ARRIVED};
    uint64_t deadline = clock_in_ms(PATIENCE_MS);

    (void)state;
    cluster_open(&cluster, 2, 4, 65536);
    cluster_put(&cluster, 1, 0, 0, 65536, 1);
    transport_tcp.close(cluster.endpoints[1]);
    cluster.endpoints[1] = NULL;
    for (uint32_t i = 0; event.kind != EVENT_LOST; i++) {
        struct endpoint *endpoint = cluster.endpoints[0];

        assert_true(clock_now_ns() < deadline);
        if (transport_tcp.stage(endpoint, 1, i % 4) != NULL)
            assert_int_equal(transport_tcp.put(endpoint, 1, i % 4, 65536), 0);
        if (i % 8 == 7)
            transport_tcp.poll(endpoint, &event, 1);
    }
    cluster_check_lost(&event, 1, -ECONNRESET);
    assert_false(transport_tcp.busy(cluster.endpoints[0]));
    cluster_check_silence(&cluster, 0, 5);
    cluster_close(&cluster);
}

static void a_dropped_peer_is_silent_here_and_lost_there(void **state)
{
    struct cluster cluster;
    struct event event;

    (void)state;
    cluster_open(&cluster, 3, 4, 1 << 20);
    cluster_put(&cluster, 1, 0, 0, 64, 1);
    for (uint32_t slot = 0; slot < 4; slot++)
        cluster_put(&cluster, 0, 1, slot, 1 << 20, slot);
    transport_tcp.drop(cluster.endpoints[0], 1);
    assert_false(transport_tcp.busy(cluster.endpoints[0]));
    assert_int_equal(transport_tcp.put(cluster.endpoints[0], 1, 0, 64),
                     -ENOTCONN);
    cluster_check_silence(&cluster, 0, 5);
    do {
        event = cluster_next_event(&cluster, 1);
    } while (event.kind == EVENT_ARRIVED);
    cluster_check_lost(&event, 0, -ECONNRESET);
    cluster_put(&cluster, 2, 0, 1, 128, 9);
    event = cluster_next_event(&cluster, 0);
    cluster_check(&event, 2, 1, 128, 9);
    transport_tcp.drop(cluster.endpoints[0], 1);
    cluster_close(&cluster);
}

static void a_missing_peer_is_named(void **state)
{
    struct cluster cluster = {3, 4, 4096, {NULL}, {{{0}}}};
    bool wanted[3] = {false, false, true};

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        cluster_open_rank(&cluster, i);
    assert_int_equal(transport_tcp.connect(cluster.endpoints[0], cluster.table,
                                           wanted, EPOCH, clock_in_ms(50)),
                     -ETIMEDOUT);
    assert_true(wanted[2]);
    assert_false(wanted[1]);
    cluster_close(&cluster);
}

static void an_address_that_nobody_listens_on(void **state)
{
    struct cluster cluster = {2, 4, 4096, {NULL}, {{{0}}}};
    static const struct {
        uint32_t index;
        uint8_t value;
    } edits[] = {{0, 5}, {1, 1}, {4, 224}, {20, 1}, {127, 1}};

    (void)state;
    cluster_open_rank(&cluster, 0);
    cluster_open_rank(&cluster, 1);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct address table[2] = {cluster.table[0], cluster.table[1]};
        bool wanted[2] = {true, false};

        table[0].bytes[edits[i].index] = edits[i].value;
        assert_int_equal(transport_tcp.connect(cluster.endpoints[1], table,
                                               wanted, EPOCH, clock_in_ms(50)),
                         -EINVAL);
        memset(&table[0], 0, sizeof(table[0]));
        assert_int_equal(transport_tcp.connect(cluster.endpoints[1], table,
                                               wanted, EPOCH, clock_in_ms(50)),
                         -EINVAL);
        assert_true(wanted[0]);
    }
    cluster_close(&cluster);
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(ping_pong_of_every_size),
    cmocka_unit_test(all_slots_in_flight_between_all),
    cmocka_unit_test(a_put_is_checked),
    cmocka_unit_test(a_slot_of_each_voter_has_its_own_place_in_a_page),
    cmocka_unit_test(two_floods_are_served_in_turn),
    cmocka_unit_test(a_peer_that_does_not_read_stops_nobody),
    cmocka_unit_test(closing_with_puts_that_nobody_reads),
    cmocka_unit_test(what_was_sent_arrives_before_the_loss),
    cmocka_unit_test(putting_to_a_peer_that_died),
    cmocka_unit_test(a_dropped_peer_is_silent_here_and_lost_there),
    cmocka_unit_test(a_missing_peer_is_named),
    cmocka_unit_test(an_address_that_nobody_listens_on),
};

int main(void)
{
    return CLUSTER_RUN_EACH_ENGINE(all);
}
