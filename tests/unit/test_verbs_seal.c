/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_seal.c - slots that are closed to their writer while read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "verbs_rig.h"

enum { SLOTS = 4, SEALED = 2, SLOT_BYTES = 1024 };

static void start(struct rig *rig)
{
    rig_prepare(rig, SLOTS, SLOT_BYTES);
    rig->sealed_slots = SEALED;
    rig_open(rig);
    rig_connect(rig);
    for (uint32_t i = 0; i < RIG_RANKS; i++)
        assert_int_equal(rig->connected[i], 0);
}

static void release(const struct rig *rig, uint32_t rank, uint32_t peer,
                    uint32_t slot)
{
    transport_verbs.release(rig->endpoints[rank], peer, slot);
}

/* Rank 0 writes 64 bytes to rank 1 by hand: to slot `to`, whose key was `key`,
 * and says that they are put `number`, of slot `said`. */
static void write_by_hand(const struct rig *rig, uint32_t to, uint32_t key,
                          uint32_t said, uint32_t number)
{
    struct verbs_link *link = rig_link(rig, 0, 1);
    struct ibv_sge piece = {.addr = (uintptr_t)link->staging,
                            .length = 64,
                            .lkey = link->staging_key->lkey};
    struct ibv_send_wr wr = {
        .sg_list = &piece,
        .num_sge = 1,
        .opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
        .imm_data = htonl(number << 16 | said),
        .wr.rdma = {.remote_addr = link->remote + to * SLOT_BYTES,
                    .rkey = key}};
    struct ibv_send_wr *bad;

    memset(link->staging, 0xee, 64);
    assert_int_equal(ibv_post_send(rig_pair(rig, 0, 1), &wr, &bad), 0);
}

/* ---- Honest peers ---- */

/* The keys of a window have 8 bits that change, so they wrap. */
static void a_slot_is_written_again_after_each_release(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    for (uint32_t round = 0; round < 600; round++)
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            uint32_t bytes = round % 2 == 0 ? SLOT_BYTES : 64;

            rig_put(&rig, 0, 1, slot, bytes, round);
            rig_expect(&rig, 1, 0, slot, bytes, round);
            release(&rig, 1, 0, slot);
        }
    for (uint32_t i = 0; i < RIG_RANKS; i++) {
        rig_expect_silence(&rig, i);
        assert_false(transport_verbs.busy(rig.endpoints[i]));
    }
    assert_int_equal(fake_not_ready, 0);
    rig_stop(&rig);
}

static void *release_later(void *unused)
{
    (void)unused;
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    fake_release();
    return NULL;
}

/* A peer hears that it may write when it may, and no earlier. */
static void windows_that_open_late_delay_a_link(void **state)
{
    pthread_t releaser;
    struct rig rig;

    (void)state;
    rig_prepare(&rig, SLOTS, SLOT_BYTES);
    rig.sealed_slots = SEALED;
    rig_open(&rig);
    fake_is_held = true;
    assert_int_equal(pthread_create(&releaser, NULL, release_later, NULL), 0);
    rig_connect(&rig);
    pthread_join(releaser, NULL);
    for (uint32_t i = 0; i < RIG_RANKS; i++)
        assert_int_equal(rig.connected[i], 0);
    rig_put(&rig, 0, 1, 0, 64, 1);
    rig_expect(&rig, 1, 0, 0, 64, 1);
    rig_stop(&rig);
}

static void a_release_of_what_is_not_closed_does_nothing(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    release(&rig, 1, 0, 0);
    release(&rig, 1, 0, SEALED);
    release(&rig, 1, 1, 0);
    release(&rig, 1, RIG_RANKS, 0);
    rig_put(&rig, 0, 1, 0, 64, 1);
    rig_expect(&rig, 1, 0, 0, 64, 1);
    release(&rig, 1, 0, 0);
    release(&rig, 1, 0, 0);
    rig_put(&rig, 0, 1, 0, 64, 2);
    rig_expect(&rig, 1, 0, 0, 64, 2);
    transport_verbs.drop(rig.endpoints[1], 0);
    release(&rig, 1, 0, 0);
    rig_check_pair(&rig, 1, 2);
    rig_stop(&rig);
}

/* Nothing is reported before it is closed, nor lost because its writer ends. */
static void an_end_waits_until_what_arrived_is_closed(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    rig_put(&rig, 0, 1, 0, 64, 1);
    fake_is_held = true;
    transport_verbs.close(rig.endpoints[0]);
    rig.endpoints[0] = NULL;
    rig_expect_silence(&rig, 1);
    assert_int_equal(rig_link(&rig, 1, 0)->state, LINK_CLOSING);
    fake_release();
    rig_expect(&rig, 1, 0, 0, 64, 1);
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    rig_stop(&rig);
}

/* ---- Liars ---- */

static void what_was_reported_cannot_be_written(void **state)
{
    struct event event;
    struct rig rig;
    uint32_t key;

    (void)state;
    start(&rig);
    key = rig_link(&rig, 0, 1)->remote_keys[0];
    rig_put(&rig, 0, 1, 0, 64, 1);
    assert_int_equal(transport_verbs.poll(rig.endpoints[1], &event, 1), 0);
    assert_int_equal(transport_verbs.poll(rig.endpoints[1], &event, 1), 1);
    rig_check(&event, 0, 0, 64, 1);
    write_by_hand(&rig, 0, key, 0, 1);
    rig_check(&event, 0, 0, 64, 1);
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    rig_check(&event, 0, 0, 64, 1);
    rig_expect_lost(&rig, 0, 1, -ECONNRESET);
    rig_check_pair(&rig, 1, 2);
    rig_stop(&rig);
}

static void the_next_key_is_void_before_the_release(void **state)
{
    struct event event;
    struct rig rig;

    (void)state;
    start(&rig);
    rig_put(&rig, 0, 1, 0, 64, 1);
    assert_int_equal(transport_verbs.poll(rig.endpoints[1], &event, 1), 0);
    assert_int_equal(transport_verbs.poll(rig.endpoints[1], &event, 1), 1);
    write_by_hand(&rig, 0, rig_link(&rig, 0, 1)->remote_keys[0], 0, 1);
    rig_check(&event, 0, 0, 64, 1);
    rig_expect_lost(&rig, 1, 0, -ECONNRESET);
    rig_stop(&rig);
}

/* Who says that it wrote a sealed slot, and wrote another, harms itself. */
static void a_slot_that_is_said_to_be_written_twice(void **state)
{
    struct rig rig;
    struct event event = {.kind = EVENT_ARRIVED};
    uint32_t polls = 0;

    (void)state;
    start(&rig);
    for (uint32_t number = 0; number < 2; number++)
        write_by_hand(&rig, SLOTS - 1,
                      rig_link(&rig, 0, 1)->remote_keys[SLOTS - 1], 0, number);
    /* The first closes it, the second finds nothing to close. */
    do {
        transport_verbs.poll(rig.endpoints[1], &event, 1);
    } while (event.kind == EVENT_ARRIVED && ++polls < 8);
    assert_int_equal(event.kind, EVENT_LOST);
    assert_int_equal(event.reason, -EIO);
    rig_expect_silence(&rig, 1);
    rig_check_pair(&rig, 1, 2);
    rig_stop(&rig);
}

/* So does who says it so often that no work request is left. */
static void a_slot_that_is_said_to_be_written_very_often(void **state)
{
    enum { WRITES = 2 * SEALED + 1 };
    struct rig rig;
    struct event event;

    (void)state;
    start(&rig);
    for (uint32_t number = 0; number < WRITES; number++)
        write_by_hand(&rig, SLOTS - 1,
                      rig_link(&rig, 0, 1)->remote_keys[SLOTS - 1], 0, number);
    fake_is_held = true;
    /* Our own puts fill the rest of the queue. */
    for (uint32_t i = 0; i < rig.endpoints[1]->send_depth; i++)
        (void)transport_verbs.put(rig.endpoints[1], 0, i % SLOTS, 64);
    assert_int_equal(transport_verbs.poll(rig.endpoints[1], &event, 1), 1);
    assert_int_equal(event.kind, EVENT_LOST);
    assert_int_equal(event.reason, -EOVERFLOW);
    fake_release();
    rig_check_pair(&rig, 1, 2);
    rig_stop(&rig);
}

/* ---- What fails ---- */

static void a_slot_that_cannot_be_closed_is_a_loss(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    rig_put(&rig, 0, 1, 0, 64, 1);
    fake_fail(FAKE_POST_SEND, 1, 1, ENOMEM);
    rig_expect_lost(&rig, 1, 0, -ENOMEM);
    assert_int_equal(fake_stop_failing(), 1);
    rig_expect_silence(&rig, 1);
    rig_check_pair(&rig, 1, 2);
    rig_stop(&rig);
}

static void a_slot_that_cannot_be_opened_again_is_a_loss(void **state)
{
    (void)state;
    for (int posted = 0; posted < 2; posted++) {
        struct rig rig;

        start(&rig);
        rig_put(&rig, 0, 1, 0, 64, 1);
        rig_expect(&rig, 1, 0, 0, 64, 1);
        fake_fail(posted ? FAKE_BIND_MW : FAKE_POST_SEND, 1, 1, ENOMEM);
        release(&rig, 1, 0, 0);
        assert_int_equal(fake_stop_failing(), 1);
        rig_expect_lost(&rig, 1, 0, posted ? -EIO : -ENOMEM);
        assert_false(transport_verbs.busy(rig.endpoints[1]));
        rig_check_pair(&rig, 1, 2);
        rig_stop(&rig);
    }
}

static void what_cannot_be_sealed_is_refused_with_its_cure(void **state)
{
    static const struct {
        const char *stripes;
        unsigned int flags;
        uint32_t sealed_slots;
        int result;
        const char *says;
    } cases[] = {
        {"3", IBV_DEVICE_MEM_WINDOW_TYPE_2B, 1, -EINVAL,
         "BALLOT_IB_SEAL=1 needs BALLOT_IB_QPS_PER_CONNECTION=1"},
        {"1", 0, 1, -EOPNOTSUPP, "fake0 has no memory windows of type 2"},
        {"1", IBV_DEVICE_MEM_WINDOW_TYPE_2B, SLOTS, -EINVAL, ""},
    };

    (void)state;
    setenv("BALLOT_IB_SEAL", "1", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;
        struct endpoint *endpoint = NULL;
        struct endpoint_config config;

        rig_prepare(&rig, SLOTS, SLOT_BYTES);
        rig.sealed_slots = cases[i].sealed_slots;
        config = rig_config(&rig, 0);
        fake_devices[0].limits.device_cap_flags = cases[i].flags;
        setenv("BALLOT_IB_QPS_PER_CONNECTION", cases[i].stripes, 1);
        assert_int_equal(transport_verbs.open(&endpoint, &config),
                         cases[i].result);
        if (strstr(rig.why[0], cases[i].says) == NULL)
            fail_msg("\"%s\"", rig.why[0]);
        assert_int_equal(fake_alive(), 0);
    }
    unsetenv("BALLOT_IB_SEAL");
    unsetenv("BALLOT_IB_QPS_PER_CONNECTION");
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(a_slot_is_written_again_after_each_release),
    cmocka_unit_test(windows_that_open_late_delay_a_link),
    cmocka_unit_test(a_release_of_what_is_not_closed_does_nothing),
    cmocka_unit_test(an_end_waits_until_what_arrived_is_closed),
    cmocka_unit_test(what_was_reported_cannot_be_written),
    cmocka_unit_test(the_next_key_is_void_before_the_release),
    cmocka_unit_test(a_slot_that_is_said_to_be_written_twice),
    cmocka_unit_test(a_slot_that_is_said_to_be_written_very_often),
    cmocka_unit_test(a_slot_that_cannot_be_closed_is_a_loss),
    cmocka_unit_test(a_slot_that_cannot_be_opened_again_is_a_loss),
    cmocka_unit_test(what_cannot_be_sealed_is_refused_with_its_cure),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
