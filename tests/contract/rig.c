/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.c - opens, links and drives a few ranks of one transport.
 */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct credentials credentials = {.key = {7, 1, 4}};
static const struct transport *transport;
static bool sealed;

bool rig_choose(const char *name)
{
    if (strcmp(name, "shm") == 0) {
        transport = &transport_shm;
    } else if (strcmp(name, "tcp-uring") == 0 ||
               strcmp(name, "tcp-epoll") == 0) {
        transport = &transport_tcp;
        setenv("BALLOT_TCP_ENGINE",
               strcmp(name, "tcp-epoll") == 0 ? "epoll" : "uring", 1);
    } else if (strcmp(name, "verbs") == 0 ||
               strcmp(name, "verbs-sealed") == 0) {
        transport = &transport_verbs;
        sealed = strcmp(name, "verbs") != 0;
        setenv("BALLOT_IB_SEAL", sealed ? "1" : "0", 1);
    } else if (strcmp(name, "sim") == 0) {
        transport = &transport_sim;
    }
    return transport != NULL;
}

bool rig_is_refused(void)
{
    struct endpoint_config config = {.ranks = 1,
                                     .slots = 1,
                                     .slot_bytes = 64,
                                     .credentials = &credentials,
                                     .interface = "127.0.0.1"};
    struct endpoint *endpoint = NULL;
    int rc;

    if (transport != &transport_tcp && transport != &transport_verbs)
        return false;
    rc = transport->open(&endpoint, &config);
    transport->close(endpoint);
    return rc == -ENOSYS || rc == -EPERM || rc == -ENODEV;
}

const struct transport *rig_transport(void)
{
    return transport;
}

bool rig_is_sealed(void)
{
    return sealed;
}

bool rig_links_itself(void)
{
    return transport != &transport_tcp && transport != &transport_verbs;
}

uint64_t rig_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rig_sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000,
                             .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

static rig_place *place;

void rig_place_with(rig_place *wanted)
{
    place = wanted;
}

void rig_open(struct rig *rig, uint32_t slots, uint32_t slot_bytes)
{
    memset(rig, 0, sizeof(*rig));
    rig->slots = slots;
    rig->slot_bytes = slot_bytes;
    if (transport == &transport_sim)
        assert_int_equal(
            sim_open(&rig->network,
                     &(struct sim_config){.seed = 1, .ranks = RIG_RANKS}),
            0);
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        struct endpoint_config config = {.rank = i,
                                         .ranks = RIG_RANKS,
                                         .slots = slots,
                                         .slot_bytes = slot_bytes,
                                         .sealed_slots = slots - 1,
                                         .credentials = &credentials,
                                         .interface = "127.0.0.1",
                                         .context = rig->network,
                                         .place = place,
                                         .place_context = rig};

        assert_int_equal(transport->open(&rig->endpoints[i], &config), 0);
        assert_int_equal(transport->address(rig->endpoints[i], &rig->table[i]),
                         0);
    }
}

struct joiner {
    struct rig *rig;
    uint32_t rank, epoch;
    uint64_t deadline_ns;
    pthread_t thread;
};

static void *join(void *context)
{
    struct joiner *joiner = context;
    struct rig *rig = joiner->rig;

    rig->connected[joiner->rank] = transport->connect(
        rig->endpoints[joiner->rank], rig->table, rig->wanted[joiner->rank],
        joiner->epoch, joiner->deadline_ns);
    return NULL;
}

void rig_connect(struct rig *rig, unsigned int present, uint32_t epoch,
                 uint64_t timeout_ms)
{
    struct joiner joiners[RIG_RANKS];

    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        joiners[i] = (struct joiner){.rig = rig, .rank = i, .epoch = epoch};
        joiners[i].deadline_ns = rig_now_ns() + timeout_ms * 1000000;
        for (uint32_t j = 0; j < RIG_RANKS; j++)
            rig->wanted[i][j] = j != i || rig_links_itself();
        if ((present >> i & 1) != 0)
            assert_int_equal(
                pthread_create(&joiners[i].thread, NULL, join, &joiners[i]), 0);
    }
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        if ((present >> i & 1) != 0)
            pthread_join(joiners[i].thread, NULL);
    }
}

void rig_start(struct rig *rig, uint32_t slots, uint32_t slot_bytes)
{
    rig_open(rig, slots, slot_bytes);
    rig_connect(rig, (1u << RIG_RANKS) - 1, 1, 10000);
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        assert_int_equal(rig->connected[i], 0);
        for (uint32_t j = 0; j < RIG_RANKS; j++)
            assert_false(rig->wanted[i][j]);
    }
}

void rig_close(struct rig *rig, uint32_t rank)
{
    transport->close(rig->endpoints[rank]);
    rig->endpoints[rank] = NULL;
}

void rig_stop(struct rig *rig)
{
    for (uint32_t i = 0; i < RIG_RANKS; i++)
        rig_close(rig, i);
    sim_close(rig->network);
    rig->network = NULL;
}

void rig_pump(struct rig *rig)
{
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        int room = RIG_QUEUE - rig->queued[i];
        int got;

        if (rig->endpoints[i] == NULL || room == 0)
            continue;
        got = transport->poll(rig->endpoints[i], &rig->queue[i][rig->queued[i]],
                              room);
        assert_in_range(got, 0, room);
        rig->queued[i] += got;
    }
}

struct event rig_next(struct rig *rig, uint32_t rank)
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    struct event event;

    while (rig->handed[rank] == rig->queued[rank]) {
        rig_pump(rig);
        assert_true(rig_now_ns() < deadline_ns);
    }
    event = rig->queue[rank][rig->handed[rank]++];
    if (rig->handed[rank] == rig->queued[rank])
        rig->handed[rank] = rig->queued[rank] = 0;
    return event;
}

bool rig_silent(struct rig *rig, long ms)
{
    uint64_t end_ns = rig_now_ns() + (uint64_t)ms * 1000000;

    do {
        rig_pump(rig);
    } while (rig_now_ns() < end_ns);
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        if (rig->handed[i] != rig->queued[i])
            return false;
    }
    return true;
}

/* Differs in each byte of a line, in each line, and between puts; 251 is prime,
 * so lines that changed places do not go unnoticed. */
uint8_t rig_pattern(uint32_t from, uint32_t to, uint32_t slot, uint32_t salt,
                    uint32_t at)
{
    return (uint8_t)((at + 31 * from + 57 * to + 101 * slot + 17 * salt) % 251);
}

void rig_put(struct rig *rig, uint32_t from, uint32_t to, uint32_t slot,
             uint32_t bytes, uint32_t salt)
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    uint8_t *staged;

    /* What has arrived may yet be on its way to be acknowledged. */
    while ((staged = transport->stage(rig->endpoints[from], to, slot)) ==
           NULL) {
        assert_true(rig_now_ns() < deadline_ns);
        rig_pump(rig);
    }
    assert_int_equal((uintptr_t)staged % 64, 0);
    for (uint32_t i = 0; i < bytes; i++)
        staged[i] = rig_pattern(from, to, slot, salt, i);
    assert_int_equal(transport->put(rig->endpoints[from], to, slot, bytes), 0);
}

void rig_check(struct rig *rig, const struct event *event, uint32_t from,
               uint32_t to, uint32_t slot, uint32_t bytes, uint32_t salt)
{
    const uint8_t *memory = event->memory;

    assert_int_equal(event->kind, EVENT_ARRIVED);
    assert_int_equal(event->peer, from);
    assert_int_equal(event->slot, slot);
    assert_int_equal(event->bytes, bytes);
    assert_true(bytes <= rig->slot_bytes);
    assert_int_equal((uintptr_t)memory % 64, 0);
    for (uint32_t i = 0; i < bytes; i++) {
        if (memory[i] != rig_pattern(from, to, slot, salt, i))
            fail_msg("byte %u of %u, slot %u, from %u to %u", i, bytes, slot,
                     from, to);
    }
    rig_release(rig, to, event);
}

void rig_release(struct rig *rig, uint32_t rank, const struct event *event)
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;

    if (transport->release == NULL || rig->endpoints[rank] == NULL)
        return;
    transport->release(rig->endpoints[rank], event->peer, event->slot);
    /* Ranks are told by a put that follows; the tests know without one. */
    while (sealed && transport->busy(rig->endpoints[rank])) {
        assert_true(rig_now_ns() < deadline_ns);
        transport->poll(rig->endpoints[rank], NULL, 0);
    }
}

void rig_check_lost(const struct event *event, uint32_t peer)
{
    assert_int_equal(event->kind, EVENT_LOST);
    assert_int_equal(event->peer, peer);
    assert_int_equal(event->reason, -ECONNRESET);
}
