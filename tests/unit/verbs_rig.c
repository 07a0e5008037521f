/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_rig.c - a few ranks over verbs in one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fake_wraps.h"
#include "transport/clock.h"
#include "transport/handshake.h"
#include "transport/stream.h"
#include "verbs_rig.h"

enum { EPOCH = 77, PATIENCE_MS = 5000, CONFIRM_BYTES = 4 };

static const struct credentials credentials = {.key = {2, 7, 1, 8, 2}};

/* ---- Lies ---- */

/* Set in the thread that lies. */
static _Thread_local const struct rig_lie *lie;

static int send_changed(int descriptor, const uint8_t *bytes, size_t count,
                        size_t *done)
{
    uint8_t *changed = malloc(count);
    int rc;

    memcpy(changed, bytes, count);
    stream_store32(changed + lie->at, lie->word);
    rc = __real_stream_send(descriptor, changed, count, done);
    free(changed);
    return rc;
}

/* What verbs_offer.c says goes through here: the offer, which is longer than
 * any frame of the handshake before it, and the confirmation. */
int __wrap_stream_send(int descriptor, const void *bytes, size_t count,
                       size_t *done)
{
    bool offer = count > HELLO_BYTES, confirmation = count == CONFIRM_BYTES;
    size_t cut = 0;

    if (lie == NULL || !(offer || confirmation))
        return __real_stream_send(descriptor, bytes, count, done);
    if (confirmation && lie->before != NULL && *done == 0)
        lie->before();
    if ((offer && lie->kind == LIE_WORD) ||
        (confirmation && lie->kind == LIE_CONFIRM))
        return send_changed(descriptor, bytes, count, done);
    if (offer && (lie->kind == LIE_CUT || lie->kind == LIE_SILENCE)) {
        (void)__real_stream_send(descriptor, bytes, lie->at, &cut);
        if (lie->kind == LIE_CUT)
            shutdown(descriptor, SHUT_RDWR);
        *done = count;
        return 1;
    }
    return __real_stream_send(descriptor, bytes, count, done);
}

/* ---- Life ---- */

struct endpoint_config rig_config(struct rig *rig, uint32_t rank)
{
    return (struct endpoint_config){
        .rank = rank,
        .ranks = RIG_RANKS,
        .slots = rig->slots,
        .slot_bytes = rig->slot_bytes,
        .sealed_slots = rig->sealed_slots,
        .credentials = &credentials,
        .interface = "127.0.0.1",
        .why = rig->why[rank],
    };
}

void rig_prepare(struct rig *rig, uint32_t slots, uint32_t slot_bytes)
{
    *rig = (struct rig){
        .slots = slots, .slot_bytes = slot_bytes, .patience_ms = PATIENCE_MS};
    fake_reset(RIG_RANKS);
}

void rig_open(struct rig *rig)
{
    if (rig->sealed_slots > 0)
        setenv("BALLOT_IB_SEAL", "1", 1);
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        struct endpoint_config config = rig_config(rig, i);
        char device[16];

        snprintf(device, sizeof(device), "=fake%u", i);
        setenv("BALLOT_IB_HCA", device, 1);
        assert_int_equal(transport_verbs.open(&rig->endpoints[i], &config), 0);
        assert_int_equal(
            transport_verbs.address(rig->endpoints[i], &rig->table[i]), 0);
    }
    unsetenv("BALLOT_IB_HCA");
    unsetenv("BALLOT_IB_SEAL");
}

struct joiner {
    struct rig *rig;
    uint32_t rank;
    pthread_t thread;
};

static void *join(void *argument)
{
    struct joiner *joiner = argument;
    struct rig *rig = joiner->rig;
    uint32_t rank = joiner->rank;
    /* Who is silent stays until the others have given up. */
    bool stays = rank == 1 && rig->lie.kind == LIE_SILENCE;

    for (uint32_t i = 0; i < RIG_RANKS; i++)
        rig->wanted[rank][i] = i != rank;
    if (rank == 0 && rig->times > 0)
        fake_fail(rig->call, rig->nth, rig->times, rig->error);
    if (rank == 1 && (rig->lie.kind != LIE_NONE || rig->lie.before != NULL))
        lie = &rig->lie;
    rig->connected[rank] = transport_verbs.connect(
        rig->endpoints[rank], rig->table, rig->wanted[rank], EPOCH,
        clock_later_ns(clock_now_ns(), rig->patience_ms * (1 + stays)));
    if (rank == 0)
        rig->failed = fake_stop_failing();
    return NULL;
}

void rig_connect(struct rig *rig)
{
    struct joiner joiners[RIG_RANKS];

    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        joiners[i] = (struct joiner){.rig = rig, .rank = i};
        assert_int_equal(
            pthread_create(&joiners[i].thread, NULL, join, &joiners[i]), 0);
    }
    for (uint32_t i = 0; i < RIG_RANKS; i++)
        pthread_join(joiners[i].thread, NULL);
}

void rig_start(struct rig *rig, uint32_t slots, uint32_t slot_bytes)
{
    rig_prepare(rig, slots, slot_bytes);
    rig_open(rig);
    rig_connect(rig);
    for (uint32_t i = 0; i < RIG_RANKS; i++)
        if (rig->connected[i] != 0)
            fail_msg("rank %u: %s (%s)", i, strerror(-rig->connected[i]),
                     rig->why[i]);
}

void rig_stop(struct rig *rig)
{
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        transport_verbs.close(rig->endpoints[i]);
        rig->endpoints[i] = NULL;
    }
    assert_int_equal(fake_alive(), 0);
}

struct verbs_link *rig_link(const struct rig *rig, uint32_t rank, uint32_t peer)
{
    return rig->endpoints[rank]->links[peer];
}

uint32_t rig_entries(const struct rig *rig)
{
    return rig->endpoints[0]->send_depth + rig->endpoints[0]->receive_depth;
}

struct ibv_qp *rig_pair(const struct rig *rig, uint32_t rank, uint32_t peer)
{
    return rig_link(rig, rank, peer)->stripes[0].pair;
}

struct endpoint_counts rig_counts(const struct rig *rig, uint32_t rank)
{
    struct endpoint_counts counts;

    transport_verbs.counts(rig->endpoints[rank], &counts);
    return counts;
}

/* ---- Puts and what arrives ---- */

/* A prime period, so that blocks in the wrong place do not match. */
static uint8_t pattern(uint32_t from, uint32_t salt, uint32_t index)
{
    return (uint8_t)(index % 251 + 17 * salt + 101 * from);
}

void rig_fill(const struct rig *rig, uint32_t from, uint32_t to, uint32_t slot,
              uint32_t bytes, uint32_t salt)
{
    uint8_t *at = transport_verbs.stage(rig->endpoints[from], to, slot);

    assert_non_null(at);
    assert_int_equal((uintptr_t)at % 64, 0);
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = pattern(from, salt, i);
}

void rig_put(const struct rig *rig, uint32_t from, uint32_t to, uint32_t slot,
             uint32_t bytes, uint32_t salt)
{
    rig_fill(rig, from, to, slot, bytes, salt);
    assert_int_equal(transport_verbs.put(rig->endpoints[from], to, slot, bytes),
                     0);
}

void rig_check(const struct event *event, uint32_t from, uint32_t slot,
               uint32_t bytes, uint32_t salt)
{
    const uint8_t *at = event->memory;

    if (event->kind != EVENT_ARRIVED)
        fail_msg("peer %u is lost: %s", event->peer, strerror(-event->reason));
    assert_int_equal(event->peer, from);
    assert_int_equal(event->slot, slot);
    assert_int_equal(event->bytes, bytes);
    assert_int_equal((uintptr_t)at % 64, 0);
    for (uint32_t i = 0; i < bytes; i++)
        if (at[i] != pattern(from, salt, i))
            fail_msg("byte %u of %u in slot %u differs", i, bytes, slot);
}

/* The next event of `rank`, while all others are driven too. What comes beside
 * the data is looked at, as after a sleep. */
static bool next_event(const struct rig *rig, uint32_t rank,
                       struct event *event)
{
    for (uint32_t turn = 0; turn < 4; turn++) {
        (void)transport_verbs.arm(rig->endpoints[rank]);
        if (transport_verbs.poll(rig->endpoints[rank], event, 1) == 1)
            return true;
        for (uint32_t i = 0; i < RIG_RANKS; i++)
            if (i != rank && rig->endpoints[i] != NULL)
                transport_verbs.poll(rig->endpoints[i], NULL, 0);
    }
    return false;
}

void rig_expect(const struct rig *rig, uint32_t rank, uint32_t from,
                uint32_t slot, uint32_t bytes, uint32_t salt)
{
    struct event event;

    assert_true(next_event(rig, rank, &event));
    rig_check(&event, from, slot, bytes, salt);
}

void rig_expect_lost(const struct rig *rig, uint32_t rank, uint32_t peer,
                     int reason)
{
    struct event event = {.kind = EVENT_ARRIVED};

    assert_true(next_event(rig, rank, &event));
    assert_int_equal(event.kind, EVENT_LOST);
    assert_int_equal(event.peer, peer);
    assert_int_equal(event.reason, reason);
}

void rig_expect_silence(const struct rig *rig, uint32_t rank)
{
    struct event event;

    assert_false(next_event(rig, rank, &event));
}

void rig_check_pair(const struct rig *rig, uint32_t a, uint32_t b)
{
    uint32_t bytes = rig->slot_bytes;

    rig_put(rig, a, b, 0, bytes, 5);
    rig_expect(rig, b, a, 0, bytes, 5);
    rig_put(rig, b, a, rig->slots - 1, 64, 6);
    rig_expect(rig, a, b, rig->slots - 1, 64, 6);
}
