/* SPDX-License-Identifier: Apache-2.0 */
/* test_verbs_memory.c - puts from and to memory of the caller's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "verbs_rig.h"

enum { SLOTS = 6, SLOT_BYTES = 2048, MEMORY_BYTES = 4096 };

static uint8_t ours[MEMORY_BYTES], theirs[MEMORY_BYTES], spare[MEMORY_BYTES];

static void start(struct rig *rig)
{
    rig_start(rig, SLOTS, SLOT_BYTES);
    for (uint32_t i = 0; i < MEMORY_BYTES; i++)
        ours[i] = (uint8_t)(i % 241);
    memset(theirs, 0, sizeof(theirs));
}

static int enrol(const struct rig *rig, uint32_t rank, void *memory,
                 bool writable)
{
    return transport_verbs.enrol(rig->endpoints[rank], memory, MEMORY_BYTES,
                                 writable);
}

static int withdraw(const struct rig *rig, uint32_t rank, const void *memory)
{
    return transport_verbs.withdraw(rig->endpoints[rank], memory);
}

static struct event next_event(const struct rig *rig, uint32_t rank)
{
    struct event event;

    for (uint32_t i = 0; i < RIG_RANKS; i++)
        transport_verbs.poll(rig->endpoints[i], NULL, 0);
    assert_int_equal(transport_verbs.poll(rig->endpoints[rank], &event, 1), 1);
    return event;
}

/* ---- From enrolled memory ---- */

static void what_is_staged_and_what_is_enrolled_arrive_as_one(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    assert_int_equal(enrol(&rig, 0, ours, false), 0);
    for (uint32_t peer = 1; peer < RIG_RANKS; peer++)
        for (uint32_t bytes = 64; bytes < SLOT_BYTES; bytes += 64) {
            uint32_t from_bytes = bytes - bytes / 128 * 64 + 64 - 4;
            uint32_t slot = bytes / 64 % SLOTS, all = bytes + 64;
            struct event event;
            const uint8_t *at;

            rig_fill(&rig, 0, peer, slot, all - from_bytes, bytes);
            assert_int_equal(transport_verbs.put_from(rig.endpoints[0], peer,
                                                      slot, all, ours + 100,
                                                      from_bytes),
                             0);
            event = next_event(&rig, peer);
            assert_int_equal(event.bytes, all);
            at = event.memory;
            assert_memory_equal(at + all - from_bytes, ours + 100, from_bytes);
            event.bytes = all - from_bytes;
            rig_check(&event, 0, slot, all - from_bytes, bytes);
        }
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    assert_false(transport_verbs.busy(rig.endpoints[0]));
    /* Also a small one is not copied. */
    assert_int_equal(rig_counts(&rig, 0).copied_bytes, 0);
    assert_int_equal(withdraw(&rig, 0, ours), 0);
    rig_stop(&rig);
}

static int put_from(const struct rig *rig, uint32_t slot, uint32_t bytes,
                    const void *memory, uint32_t memory_bytes)
{
    return transport_verbs.put_from(rig->endpoints[0], 1, slot, bytes, memory,
                                    memory_bytes);
}

static void a_put_from_memory_is_checked(void **state)
{
    const void *before = (const void *)((uintptr_t)ours - 1);
    struct rig rig;

    (void)state;
    start(&rig);
    assert_int_equal(put_from(&rig, 0, 128, ours, 64), -EFAULT);
    assert_int_equal(enrol(&rig, 0, ours, false), 0);
    assert_int_equal(put_from(&rig, 0, 128, ours, 0), -EINVAL);
    assert_int_equal(put_from(&rig, 0, 128, ours, 128), -EINVAL);
    assert_int_equal(put_from(&rig, 0, 100, ours, 64), -EINVAL);
    assert_int_equal(put_from(&rig, SLOTS, 128, ours, 64), -EINVAL);
    assert_int_equal(put_from(&rig, 0, SLOT_BYTES + 64, ours, 64), -EINVAL);
    assert_int_equal(put_from(&rig, 0, 128, before, 64), -EFAULT);
    assert_int_equal(put_from(&rig, 0, 128, ours + MEMORY_BYTES - 63, 64),
                     -EFAULT);
    assert_int_equal(
        transport_verbs.put_from(rig.endpoints[0], 0, 0, 128, ours, 64),
        -ENOTCONN);
    fake_is_held = true;
    assert_int_equal(put_from(&rig, 0, 128, ours + MEMORY_BYTES - 64, 64), 0);
    assert_int_equal(put_from(&rig, 0, 128, ours, 64), -EBUSY);
    fake_release();
    assert_int_equal(next_event(&rig, 1).bytes, 128);
    transport_verbs.drop(rig.endpoints[0], 1);
    assert_int_equal(put_from(&rig, 0, 128, ours, 64), -ENOTCONN);
    rig_stop(&rig);
}

static void memory_is_withdrawn_when_nothing_leaves(void **state)
{
    struct rig rig;

    (void)state;
    start(&rig);
    assert_int_equal(withdraw(&rig, 0, ours), -ENOENT);
    assert_int_equal(enrol(&rig, 0, spare, false), 0);
    assert_int_equal(enrol(&rig, 0, ours, false), 0);
    assert_int_equal(withdraw(&rig, 0, ours + 1), -ENOENT);
    fake_is_held = true;
    assert_int_equal(put_from(&rig, 0, 1024, ours, 512), 0);
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    assert_int_equal(withdraw(&rig, 0, ours), -EBUSY);
    fake_release();
    assert_int_equal(next_event(&rig, 1).bytes, 1024);
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    assert_int_equal(withdraw(&rig, 0, spare), 0);
    assert_int_equal(put_from(&rig, 0, 1024, spare, 512), -EFAULT);
    assert_int_equal(put_from(&rig, 0, 1024, ours, 512), 0);
    assert_int_equal(next_event(&rig, 1).bytes, 1024);
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    assert_int_equal(withdraw(&rig, 0, ours), 0);
    assert_int_equal(withdraw(&rig, 0, ours), -ENOENT);
    rig_stop(&rig);
}

static void enrolling_with_a_call_that_fails(void **state)
{
    struct rig rig;
    uint32_t before;

    (void)state;
    start(&rig);
    before = fake_alive();
    for (uint32_t nth = 1; nth < RIG_RANKS; nth++) {
        fake_fail(FAKE_REG_MR, nth, 1, EACCES);
        assert_int_equal(enrol(&rig, 0, ours, true), -EACCES);
        assert_int_equal(fake_alive(), before);
    }
    fake_fail(FAKE_CALLOC, 1, 1, ENOMEM);
    assert_int_equal(enrol(&rig, 0, ours, true), -ENOMEM);
    assert_int_equal(put_from(&rig, 0, 1024, ours, 512), -EFAULT);
    for (uint32_t i = 0; i < VERBS_REGIONS_MAX; i++)
        assert_int_equal(enrol(&rig, 0, ours, false), 0);
    assert_int_equal(enrol(&rig, 0, spare, false), -ENOSPC);
    assert_int_equal(withdraw(&rig, 0, ours), 0);
    assert_int_equal(enrol(&rig, 0, spare, false), 0);
    assert_int_equal(put_from(&rig, 0, 1024, spare, 512), 0);
    /* What is left is given back with the endpoint. */
    rig_stop(&rig);
}

/* ---- To memory that a peer names ---- */

/* Rank 0 puts 64 bytes to rank 1, and 1000 apart to a place. */
static void put_to(const struct rig *rig, uint32_t slot,
                   const struct landing_place *place)
{
    uint8_t *at = transport_verbs.stage(rig->endpoints[0], 1, slot);

    assert_non_null(at);
    memset(at, 0xab, 64);
    memcpy(at + 64, ours + slot, 1000);
    assert_int_equal(
        transport_verbs.put_to(rig->endpoints[0], 1, slot, 64, 1000, place), 0);
}

static void what_goes_apart_is_there_before_its_news(void **state)
{
    struct landing_place place;
    struct rig rig;

    (void)state;
    start(&rig);
    assert_int_equal(enrol(&rig, 1, theirs, true), 0);
    assert_true(
        transport_verbs.offers(rig.endpoints[1], 0, theirs + 24, 1000, &place));
    fake_signalled = 0;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        struct event event;

        put_to(&rig, slot, &place);
        event = next_event(&rig, 1);
        assert_int_equal(event.bytes, 64);
        assert_int_equal(event.slot, slot);
        assert_int_equal(*(const uint8_t *)event.memory, 0xab);
        assert_memory_equal(theirs + 24, ours + slot, 1000);
    }
    assert_int_equal(theirs[23], 0);
    assert_int_equal(theirs[1024], 0);
    transport_verbs.poll(rig.endpoints[0], NULL, 0);
    assert_false(transport_verbs.busy(rig.endpoints[0]));
    assert_int_equal(fake_signalled, SLOTS);
    rig_stop(&rig);
}

/* Two writes for each, in batches, in a queue that is full. */
static void all_slots_go_apart_at_once(void **state)
{
    struct landing_place place;
    struct rig rig;
    uint32_t puts = 0;

    (void)state;
    rig_start(&rig, 40, SLOT_BYTES);
    memset(theirs, 0, sizeof(theirs));
    assert_int_equal(enrol(&rig, 1, theirs, true), 0);
    assert_true(
        transport_verbs.offers(rig.endpoints[1], 0, theirs, 2000, &place));
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t slot = 0; slot < 40; slot++, puts++) {
            uint8_t *at = transport_verbs.stage(rig.endpoints[0], 1, slot);
            struct landing_place there = place;

            there.address += 50 * slot;
            memset(at, (int)(slot + round), 64 + 50);
            assert_int_equal(transport_verbs.put_to(rig.endpoints[0], 1, slot,
                                                    64, 50, &there),
                             0);
        }
        for (uint32_t slot = 0; slot < 40; slot++) {
            struct event event = next_event(&rig, 1);

            assert_int_equal(event.slot, slot);
            assert_int_equal(theirs[50 * slot], slot + round);
            assert_int_equal(theirs[50 * slot + 49], slot + round);
        }
    }
    assert_int_equal(fake_not_ready, 0);
    rig_stop(&rig);
}

static void only_writable_memory_is_offered_to_who_is_there(void **state)
{
    struct landing_place place;
    struct rig rig;

    (void)state;
    start(&rig);
    assert_int_equal(enrol(&rig, 1, ours, false), 0);
    assert_int_equal(enrol(&rig, 1, theirs, true), 0);
    assert_false(transport_verbs.offers(rig.endpoints[1], 0, ours, 64, &place));
    assert_false(
        transport_verbs.offers(rig.endpoints[1], 0, spare, 64, &place));
    assert_false(transport_verbs.offers(rig.endpoints[1], 0, theirs,
                                        MEMORY_BYTES + 1, &place));
    assert_false(
        transport_verbs.offers(rig.endpoints[1], 1, theirs, 64, &place));
    assert_true(
        transport_verbs.offers(rig.endpoints[1], 0, theirs, 64, &place));
    transport_verbs.drop(rig.endpoints[1], 0);
    assert_false(
        transport_verbs.offers(rig.endpoints[1], 0, theirs, 64, &place));
    rig_stop(&rig);
}

static void a_place_that_was_not_offered_costs_one_link(void **state)
{
    enum { WRONG_KEY, BEHIND, OF_ANOTHER, WITHDRAWN, READ_ONLY, TRIES };

    (void)state;
    for (int try = 0; try < TRIES; try++) {
        struct landing_place place, of_another;
        struct rig rig;

        start(&rig);
        assert_int_equal(enrol(&rig, 1, theirs, true), 0);
        assert_int_equal(enrol(&rig, 1, spare, false), 0);
        assert_true(
            transport_verbs.offers(rig.endpoints[1], 0, theirs, 1000, &place));
        assert_true(transport_verbs.offers(rig.endpoints[1], 2, theirs, 1000,
                                           &of_another));
        if (try == WRONG_KEY)
            place.key += 1000;
        if (try == BEHIND)
            place.address += MEMORY_BYTES - 999;
        if (try == OF_ANOTHER)
            place = of_another;
        if (try == WITHDRAWN)
            assert_int_equal(withdraw(&rig, 1, theirs), 0);
        if (try == READ_ONLY)
            place = (struct landing_place){
                .address = (uintptr_t)spare,
                .key = rig.endpoints[1]->regions[1].keys[0]->rkey};
        put_to(&rig, 0, &place);
        transport_verbs.poll(rig.endpoints[0], NULL, 0);
        assert_int_equal(theirs[0], 0);
        assert_int_equal(spare[0], 0);
        /* Its pair is broken at both ends. */
        rig_expect_lost(&rig, 0, 1, -EACCES);
        rig_expect_lost(&rig, 1, 0, -ECONNRESET);
        rig_check_pair(&rig, 1, 2);
        rig_check_pair(&rig, 0, 2);
        rig_stop(&rig);
    }
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(what_is_staged_and_what_is_enrolled_arrive_as_one),
    cmocka_unit_test(a_put_from_memory_is_checked),
    cmocka_unit_test(memory_is_withdrawn_when_nothing_leaves),
    cmocka_unit_test(enrolling_with_a_call_that_fails),
    cmocka_unit_test(what_goes_apart_is_there_before_its_news),
    cmocka_unit_test(all_slots_go_apart_at_once),
    cmocka_unit_test(only_writable_memory_is_offered_to_who_is_there),
    cmocka_unit_test(a_place_that_was_not_offered_costs_one_link),
};

int main(void)
{
    return cmocka_run_group_tests(all, NULL, NULL);
}
