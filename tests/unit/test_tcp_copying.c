/* SPDX-License-Identifier: Apache-2.0 */
/* test_tcp_copying.c - what is done otherwise within a host: which memory goes
 * from where it is, and which is copied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "transport/tcp.h"

enum {
    LARGE = 64 << 10,
    SECOND_NS = 1000000000,
    SLOTS = 4,
    ENDS = 2,
};

/* An endpoint that has one link, to rank 1. */
struct pair {
    struct endpoint endpoint;
    struct tcp_link link, *links[ENDS];
};

static void pair_of(struct pair *pair, bool here)
{
    *pair = (struct pair){.link = {.here = here, .up = true}};
    pair->links[1] = &pair->link;
    pair->endpoint.links = pair->links;
    pair->endpoint.config.ranks = ENDS;
}

/* How many of `puts` puts go from where they are. */
static uint32_t count_kept(struct pair *pair, uint32_t puts)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < puts; i++)
        kept += tcp_keeps(&pair->endpoint, 1, LARGE);
    return kept;
}

static void memory_is_copied_while_that_is_fast(void **state)
{
    struct pair pair;

    (void)state;
    pair_of(&pair, true);
    assert_int_equal(count_kept(&pair, 1000), 0);
    for (int i = 0; i < 1000; i++)
        tcp_copied(&pair.link, LARGE, LARGE / 8); /* 8 GB/s */
    assert_int_equal(count_kept(&pair, 1000), 0);
}

static void slow_copies_end_for_a_while(void **state)
{
    struct pair pair;

    (void)state;
    pair_of(&pair, true);
    for (int i = 0; i < 100; i++) {
        tcp_copied(&pair.link, LARGE, SECOND_NS);
        tcp_copied(&pair.link, LARGE, SECOND_NS);
        tcp_copied(&pair.link, LARGE, LARGE / 8);
    }
    assert_int_equal(count_kept(&pair, 1000), 0);
    for (int i = 0; i < 3; i++)
        tcp_copied(&pair.link, LARGE, LARGE / 2); /* 2 GB/s */
    assert_int_equal(count_kept(&pair, 256), 256);
    assert_int_equal(count_kept(&pair, 10), 0);
}

static void small_puts_are_copied(void **state)
{
    struct pair pair;

    (void)state;
    pair_of(&pair, true);
    pair.link.copying.spliced_left = 100;
    assert_false(tcp_keeps(&pair.endpoint, 1, 4096));
    assert_true(tcp_keeps(&pair.endpoint, 1, LARGE));
}

/* There a copy would be one more. */
static void what_goes_to_another_host_is_kept(void **state)
{
    struct pair pair;

    (void)state;
    pair_of(&pair, false);
    assert_int_equal(count_kept(&pair, 1000), 1000);
    pair.link.up = false;
    assert_false(tcp_keeps(&pair.endpoint, 1, LARGE));
}

typedef int put_function(struct endpoint *endpoint, uint32_t peer,
                         uint32_t slot, uint32_t bytes, const void *memory,
                         uint32_t memory_bytes);

/* Puts memory, writes it again, and says what the peer has received. */
static uint8_t put_and_change(const struct cluster *cluster, uint32_t slot,
                              put_function *put)
{
    static _Alignas(4096) uint8_t memory[LARGE];
    struct endpoint *from = cluster->endpoints[0], *to = cluster->endpoints[1];
    uint64_t deadline = clock_in_ms(PATIENCE_MS);
    struct event event = {.memory = NULL};
    const uint8_t *payload;

    memset(memory, 1, sizeof(memory));
    memset(transport_tcp.stage(from, 1, slot), 0, HEAD_BYTES);
    assert_int_equal(put(from, 1, slot, HEAD_BYTES + LARGE, memory, LARGE), 0);
    while (transport_tcp.busy(from) && clock_now_ns() < deadline)
        assert_int_equal(transport_tcp.poll(from, &event, 1), 0);
    memset(memory, 2, sizeof(memory));
    while (transport_tcp.poll(to, &event, 1) == 0 && clock_now_ns() < deadline)
        ;
    assert_int_equal(event.kind, EVENT_ARRIVED);
    assert_int_equal(event.bytes, HEAD_BYTES + LARGE);
    payload = (const uint8_t *)event.memory + HEAD_BYTES;
    for (uint32_t i = 1; i < LARGE; i++)
        assert_int_equal(payload[i], payload[0]);
    return payload[0];
}

/* Pages are read by the peer when it receives, and what is copied when it is
 * put. */
static void only_what_is_put_with_memory_is_copied(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_open(&cluster, 2, SLOTS, HEAD_BYTES + LARGE);
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(
            put_and_change(&cluster, i % SLOTS, transport_tcp.put_with), 1);
        assert_int_equal(
            put_and_change(&cluster, i % SLOTS, transport_tcp.put_from), 2);
    }
    cluster_close(&cluster);
}

static void nothing_is_congested_within_a_host(void **state)
{
    struct cluster cluster;
    char control[16] = "";
    socklen_t bytes = sizeof(control);
    int descriptor;

    (void)state;
    cluster_open(&cluster, 2, SLOTS, HEAD_BYTES + LARGE);
    descriptor = cluster.endpoints[0]->links[1]->descriptor;
    assert_int_equal(
        getsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, control, &bytes),
        0);
    assert_string_equal(control, "reno");
    cluster_close(&cluster);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_copied_while_that_is_fast),
        cmocka_unit_test(slow_copies_end_for_a_while),
        cmocka_unit_test(small_puts_are_copied),
        cmocka_unit_test(what_goes_to_another_host_is_kept),
        cmocka_unit_test(only_what_is_put_with_memory_is_copied),
        cmocka_unit_test(nothing_is_congested_within_a_host),
    };

    setenv("BALLOT_TCP_ENGINE", "epoll", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
