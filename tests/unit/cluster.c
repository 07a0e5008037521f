/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.c - a few ranks over tcp in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "cluster.h"

const struct credentials cluster_credentials = {.key = {3, 1, 4, 1, 5}};

uint64_t clock_in_ms(uint64_t ms)
{
    return clock_now_ns() + ms * 1000000u;
}

void clock_sleep_ms(long ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000};

    nanosleep(&pause, NULL);
}

/* ---- Clusters ---- */

struct endpoint_config cluster_config(const struct cluster *cluster,
                                      uint32_t rank)
{
    return (struct endpoint_config){
        .rank = rank,
        .ranks = cluster->ranks,
        .slots = cluster->slots,
        .slot_bytes = cluster->slot_bytes,
        .credentials = &cluster_credentials,
        .interface = "127.0.0.1",
    };
}

void cluster_open_rank(struct cluster *cluster, uint32_t rank)
{
    struct endpoint_config config = cluster_config(cluster, rank);

    assert_int_equal(transport_tcp.open(&cluster->endpoints[rank], &config), 0);
    assert_int_equal(
        transport_tcp.address(cluster->endpoints[rank], &cluster->table[rank]),
        0);
}

static void *join(void *argument)
{
    struct joiner *joiner = argument;
    bool wanted[RANKS_MAX];

    for (uint32_t i = 0; i < joiner->cluster->ranks; i++)
        wanted[i] = i != joiner->rank;
    joiner->result = transport_tcp.connect(
        joiner->cluster->endpoints[joiner->rank], joiner->cluster->table,
        wanted, EPOCH, clock_in_ms(PATIENCE_MS));
    return NULL;
}

void cluster_start_joining(struct cluster *cluster, struct joiner *joiners)
{
    for (uint32_t i = 0; i < cluster->ranks; i++) {
        joiners[i] = (struct joiner){.cluster = cluster, .rank = i};
        if (cluster->endpoints[i] != NULL)
            assert_int_equal(
                pthread_create(&joiners[i].thread, NULL, join, &joiners[i]), 0);
    }
}

void cluster_finish_joining(struct cluster *cluster, struct joiner *joiners)
{
    for (uint32_t i = 0; i < cluster->ranks; i++) {
        if (cluster->endpoints[i] == NULL)
            continue;
        pthread_join(joiners[i].thread, NULL);
        assert_int_equal(joiners[i].result, 0);
    }
}

void cluster_open(struct cluster *cluster, uint32_t ranks, uint32_t slots,
                  uint32_t slot_bytes)
{
    struct joiner joiners[RANKS_MAX];

    *cluster = (struct cluster){ranks, slots, slot_bytes, {NULL}, {{{0}}}};
    for (uint32_t i = 0; i < ranks; i++)
        cluster_open_rank(cluster, i);
    cluster_start_joining(cluster, joiners);
    cluster_finish_joining(cluster, joiners);
}

void cluster_close(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->ranks; i++) {
        transport_tcp.close(cluster->endpoints[i]);
        cluster->endpoints[i] = NULL;
    }
}

/* ---- Puts and what arrives ---- */

/* A prime period, so that blocks in the wrong place do not match. */
uint8_t cluster_pattern(uint32_t from, uint32_t salt, uint32_t index)
{
    return (uint8_t)(index % 251 + 17 * salt + 101 * from);
}

void cluster_put(const struct cluster *cluster, uint32_t from, uint32_t to,
                 uint32_t slot, uint32_t bytes, uint32_t salt)
{
    struct endpoint *endpoint = cluster->endpoints[from];
    uint8_t *at = transport_tcp.stage(endpoint, to, slot);

    assert_non_null(at);
    assert_int_equal((uintptr_t)at % 64, 0);
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = cluster_pattern(from, salt, i);
    assert_int_equal(transport_tcp.put(endpoint, to, slot, bytes), 0);
}

void cluster_check(const struct event *event, uint32_t from, uint32_t slot,
                   uint32_t bytes, uint32_t salt)
{
    const uint8_t *at = event->memory;

    assert_int_equal(event->kind, EVENT_ARRIVED);
    assert_int_equal(event->peer, from);
    assert_int_equal(event->slot, slot);
    assert_int_equal(event->bytes, bytes);
    assert_int_equal((uintptr_t)at % 64, 0);
    for (uint32_t i = 0; i < bytes; i++)
        if (at[i] != cluster_pattern(from, salt, i))
            fail_msg("byte %u of %u in slot %u differs", i, bytes, slot);
}

/* The next event of `rank`, while all others are driven too: one at a time, so
 * that nobody's events are lost. */
struct event cluster_next_event(const struct cluster *cluster, uint32_t rank)
{
    uint64_t deadline = clock_in_ms(PATIENCE_MS);
    struct event event;

    while (clock_now_ns() < deadline) {
        if (transport_tcp.poll(cluster->endpoints[rank], &event, 1) == 1)
            return event;
        for (uint32_t i = 0; i < cluster->ranks; i++)
            if (i != rank && cluster->endpoints[i] != NULL)
                transport_tcp.poll(cluster->endpoints[i], NULL, 0);
    }
    fail_msg("rank %u got no event in time", rank);
    return event;
}

void cluster_check_lost(const struct event *event, uint32_t peer, int reason)
{
    assert_int_equal(event->kind, EVENT_LOST);
    assert_int_equal(event->peer, peer);
    assert_int_equal(event->reason, reason);
}

void cluster_check_silence(const struct cluster *cluster, uint32_t rank,
                           long ms)
{
    uint64_t deadline = clock_in_ms((uint64_t)ms);
    struct event event;

    while (clock_now_ns() < deadline)
        assert_int_equal(
            transport_tcp.poll(cluster->endpoints[rank], &event, 1), 0);
}

/* ---- Engines ---- */

bool cluster_has_uring(void)
{
    struct cluster cluster = {1, 1, 64, {NULL}, {{{0}}}};
    struct endpoint_config config = cluster_config(&cluster, 0);
    struct endpoint *endpoint;

    setenv("BALLOT_TCP_ENGINE", "uring", 1);
    if (transport_tcp.open(&endpoint, &config) != 0) {
        print_message("io_uring is refused here: not tested\n");
        return false;
    }
    transport_tcp.close(endpoint);
    return true;
}

int cluster_use_epoll(void **state)
{
    (void)state;
    return setenv("BALLOT_TCP_ENGINE", "epoll", 1);
}

int cluster_use_uring(void **state)
{
    (void)state;
    return setenv("BALLOT_TCP_ENGINE", "uring", 1);
}
