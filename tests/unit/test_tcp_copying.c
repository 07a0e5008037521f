/* SPDX-License-Identifier: Apache-2.0 */
/* test_tcp_copying.c - which memory is spliced into a socket, and which copied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "transport/tcp.h"

enum {
    LARGE = 64 << 10,
    UNTIMED = 32 << 10, /* a slow machine changes nothing */
    SECOND_NS = 1000000000,
    SLOTS = 4,
};

/* Two places far from each other, so that no memory is in one piece. */
static const uint8_t *place(uint32_t number)
{
    static uint8_t memory[4 * LARGE];

    return memory + number % 2 * 2 * LARGE;
}

static struct endpoint with_peers(uint32_t peers)
{
    return (struct endpoint){.peers_count = peers};
}

/* How many of `puts` puts are spliced. */
static uint32_t count_spliced(uint32_t peers, struct tcp_link *link,
                              uint32_t puts, bool answered)
{
    const struct endpoint endpoint = with_peers(peers);
    uint32_t spliced = 0;

    for (uint32_t i = 0; i < puts; i++) {
        spliced += tcp_splices(&endpoint, link, place(i), LARGE);
        if (answered)
            link->copying.alone = 0;
    }
    return spliced;
}

static void what_goes_both_ways_is_copied_while_that_is_fast(void **state)
{
    struct tcp_link link = {.here = true};

    (void)state;
    assert_int_equal(count_spliced(1, &link, 1000, true), 0);
    for (int i = 0; i < 1000; i++)
        tcp_copied(&link, LARGE, LARGE / 8); /* 8 GB/s */
    assert_int_equal(count_spliced(1, &link, 1000, true), 0);
    assert_int_equal(count_spliced(2, &link, 1000, true), 1000);
}

static void slow_copies_end_for_a_while(void **state)
{
    struct tcp_link link = {.here = true};

    (void)state;
    for (int i = 0; i < 100; i++) {
        tcp_copied(&link, LARGE, SECOND_NS);
        tcp_copied(&link, LARGE, SECOND_NS);
        tcp_copied(&link, LARGE, LARGE / 8);
    }
    assert_int_equal(count_spliced(1, &link, 1000, true), 0);
    for (int i = 0; i < 3; i++)
        tcp_copied(&link, LARGE, LARGE / 2); /* 2 GB/s */
    assert_int_equal(count_spliced(1, &link, 256, true), 256);
    assert_int_equal(count_spliced(1, &link, 10, true), 0);
}

static void what_goes_one_way_is_spliced_unless_it_is_cold(void **state)
{
    const struct endpoint endpoint = with_peers(1);
    struct tcp_link link = {.here = true};
    uint8_t *memory = calloc(400, LARGE);
    uint32_t spliced = 0;

    (void)state;
    assert_non_null(memory);
    assert_int_equal(count_spliced(1, &link, 116, false), 100);
    for (uint32_t i = 0; i < 400; i++)
        spliced +=
            tcp_splices(&endpoint, &link, memory + i * (size_t)LARGE, LARGE);
    /* Up to 8 MiB. */
    assert_int_equal(spliced, 127);
    free(memory);
}

static void small_puts_and_those_to_elsewhere_are_copied(void **state)
{
    const struct endpoint endpoint = with_peers(2);
    struct tcp_link link = {.here = true}, far = {.here = false};

    (void)state;
    assert_false(tcp_splices(&endpoint, &link, place(0), 4096));
    assert_true(tcp_splices(&endpoint, &link, place(0), LARGE));
    assert_false(tcp_splices(&endpoint, &far, place(0), LARGE));
}

/* Puts memory, writes it again, and says what the peer has received. */
static uint8_t put_and_change(const struct cluster *cluster, uint32_t slot)
{
    static _Alignas(4096) uint8_t memory[UNTIMED];
    struct endpoint *from = cluster->endpoints[0], *to = cluster->endpoints[1];
    uint64_t deadline = clock_in_ms(PATIENCE_MS);
    struct event event = {.memory = NULL};
    const uint8_t *payload;

    memset(memory, 1, sizeof(memory));
    memset(transport_tcp.stage(from, 1, slot), 0, HEAD_BYTES);
    assert_int_equal(transport_tcp.put_from(from, 1, slot, HEAD_BYTES + UNTIMED,
                                            memory, UNTIMED),
                     0);
    while (transport_tcp.busy(from) && clock_now_ns() < deadline)
        assert_int_equal(transport_tcp.poll(from, &event, 1), 0);
    memset(memory, 2, sizeof(memory));
    while (transport_tcp.poll(to, &event, 1) == 0 && clock_now_ns() < deadline)
        ;
    assert_int_equal(event.kind, EVENT_ARRIVED);
    assert_int_equal(event.bytes, HEAD_BYTES + UNTIMED);
    payload = (const uint8_t *)event.memory + HEAD_BYTES;
    for (uint32_t i = 1; i < UNTIMED; i++)
        assert_int_equal(payload[i], payload[0]);
    return payload[0];
}

/* Pages are read by the peer when it receives, and copies when they leave. */
static void pages_go_where_copies_went(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_open(&cluster, 2, SLOTS, HEAD_BYTES + UNTIMED);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(put_and_change(&cluster, i % SLOTS), 1);
    for (uint32_t i = 0; i < 16; i++)
        assert_int_equal(put_and_change(&cluster, i % SLOTS), 2);
    cluster_close(&cluster);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_both_ways_is_copied_while_that_is_fast),
        cmocka_unit_test(slow_copies_end_for_a_while),
        cmocka_unit_test(what_goes_one_way_is_spliced_unless_it_is_cold),
        cmocka_unit_test(small_puts_and_those_to_elsewhere_are_copied),
        cmocka_unit_test(pages_go_where_copies_went),
    };

    setenv("BALLOT_TCP_ENGINE", "epoll", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
