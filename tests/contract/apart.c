/* SPDX-License-Identifier: Apache-2.0 */
/* apart.c - puts that come from memory of the caller's, or land there, and what
 * is shared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "apart.h"
#include "rig.h"

enum { HEAD = 64, LARGE_SLOT = 8 << 20 };

static struct rig rig;

/* Memory that must be enrolled has tests of its own. */
static bool takes_any_memory(void)
{
    return rig_transport()->put_from != NULL && rig_transport()->enrol == NULL;
}

typedef int put_function(struct endpoint *endpoint, uint32_t peer,
                         uint32_t slot, uint32_t bytes, const void *memory,
                         uint32_t memory_bytes);

/* Puts the pattern of (from, to, slot, salt), whose end lies in `memory`. */
static void put_apart(put_function *put, uint32_t from, uint32_t to,
                      uint32_t slot, uint32_t bytes, uint32_t salt,
                      uint8_t *memory, uint32_t memory_bytes)
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    uint8_t *staged;

    while ((staged = rig_transport()->stage(rig.endpoints[from], to, slot)) ==
           NULL) {
        assert_true(rig_now_ns() < deadline_ns);
        rig_pump(&rig);
    }
    for (uint32_t i = 0; i < bytes; i++)
        *(i < bytes - memory_bytes ? &staged[i]
                                   : &memory[i + memory_bytes - bytes]) =
            rig_pattern(from, to, slot, salt, i);
    assert_int_equal(
        put(rig.endpoints[from], to, slot, bytes, memory, memory_bytes), 0);
}

static const uint32_t sizes[] = {8,    64,    4088,   4096,  8192,
                                 8200, 61440, 100000, 200000};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), SLOT = 200000 + HEAD + 56 };

void what_comes_from_memory_arrives(void **state)
{
    uint8_t *memory[2];

    (void)state;
    if (!takes_any_memory())
        skip();
    for (int i = 0; i < 2; i++)
        assert_non_null(memory[i] = malloc(SIZES * (size_t)SLOT));
    rig_start(&rig, SIZES, (SLOT + 63) / 64 * 64);
    /* Of which addresses the memory is, and in both directions at once. */
    for (uint32_t shift = 0; shift < 4096; shift += 904)
        for (uint32_t head = HEAD; head <= HEAD + 56; head += 56) {
            for (uint32_t s = 0; s < SIZES; s++)
                for (uint32_t r = 0; r < 2; r++)
                    put_apart(rig_transport()->put_from, r, 1 - r, s,
                              head + sizes[s] / 8 * 8, shift + s,
                              memory[r] + s * SLOT + (s == 8 ? 0 : shift),
                              sizes[s]);
            for (uint32_t s = 0; s < SIZES; s++)
                for (uint32_t r = 0; r < 2; r++) {
                    struct event event = rig_next(&rig, r);

                    rig_check(&rig, &event, 1 - r, r, s, head + sizes[s],
                              shift + s);
                }
        }
    rig_stop(&rig);
    for (int i = 0; i < 2; i++)
        free(memory[i]);
}

void what_was_put_with_memory_may_change(void **state)
{
    uint8_t *memory;

    (void)state;
    if (rig_transport()->put_with == NULL)
        skip();
    memory = malloc(SLOT);
    assert_non_null(memory);
    rig_start(&rig, SIZES, (SLOT + 63) / 64 * 64);
    for (uint32_t lap = 0; lap < 8; lap++) {
        for (uint32_t s = 0; s < SIZES; s++) {
            put_apart(rig_transport()->put_with, 0, 1, s, HEAD + sizes[s], lap,
                      memory, sizes[s]);
            memset(memory, 0xee, SLOT);
        }
        for (uint32_t s = 0; s < SIZES; s++) {
            struct event event = rig_next(&rig, 1);

            rig_check(&rig, &event, 0, 1, s, HEAD + sizes[s], lap);
        }
    }
    rig_stop(&rig);
    free(memory);
}

/* The link goes on: what was put comes, and what is put then is intact. */
void memory_that_was_let_go_may_vanish(void **state)
{
    struct event event;
    uint8_t *memory;

    (void)state;
    if (!takes_any_memory())
        skip();
    rig_start(&rig, 3, LARGE_SLOT);
    for (uint32_t polls = 0; polls < 4; polls++) {
        memory = mmap(NULL, 2 * (size_t)LARGE_SLOT, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(memory != MAP_FAILED);
        for (uint32_t s = 0; s < 2; s++)
            put_apart(rig_transport()->put_from, 0, 1, s, LARGE_SLOT, polls,
                      memory + s * LARGE_SLOT, LARGE_SLOT - HEAD);
        for (uint32_t i = 0; i < polls; i++)
            rig_pump(&rig);
        rig_transport()->let_go(rig.endpoints[0], 1);
        munmap(memory, 2 * (size_t)LARGE_SLOT);
        rig_put(&rig, 0, 1, 2, 128, polls);
        for (uint32_t s = 0; s < 2; s++) {
            event = rig_next(&rig, 1);
            assert_int_equal(event.kind, EVENT_ARRIVED);
            assert_int_equal(event.slot, s);
            assert_int_equal(event.bytes, LARGE_SLOT);
        }
        event = rig_next(&rig, 1);
        rig_check(&rig, &event, 0, 1, 2, 128, polls);
    }
    rig_stop(&rig);
}

void a_put_from_memory_is_checked(void **state)
{
    put_function *const puts[] = {rig_transport()->put_from,
                                  rig_transport()->put_with};
    static uint8_t memory[4096];

    (void)state;
    if (!takes_any_memory() || rig_transport()->put_with == NULL)
        skip();
    rig_start(&rig, 2, 4096);
    for (int i = 0; i < 2; i++) {
        struct endpoint *e = rig.endpoints[0];

        assert_int_equal(puts[i](e, 1, 0, 128, memory, 0), -EINVAL);
        assert_int_equal(puts[i](e, 1, 0, 128, memory, 72), -EINVAL);
        assert_int_equal(puts[i](e, 1, 0, 100, memory, 32), -EINVAL);
        assert_int_equal(puts[i](e, 1, 0, 4160, memory, 4096), -EINVAL);
        assert_int_equal(puts[i](e, 1, 2, 128, memory, 64), -EINVAL);
        assert_int_equal(puts[i](e, 0, 0, 128, memory, 64), -ENOTCONN);
        assert_int_equal(puts[i](e, RIG_RANKS, 0, 128, memory, 64), -ENOTCONN);
    }
    assert_true(rig_silent(&rig, 20));
    rig_stop(&rig);
}

/* ---- Landing ---- */

static uint8_t *landing; /* LARGE_SLOT bytes, of slot 0 alone */
static uint32_t asked;

static void *place(void *context, uint32_t peer, uint32_t slot,
                   const void *head, uint32_t bytes)
{
    const uint8_t *line = head;

    assert_ptr_equal(context, &rig);
    assert_true(bytes >= HEAD && bytes <= rig.slot_bytes);
    asked++;
    for (uint32_t i = 0; i < HEAD; i++)
        assert_int_equal(line[i], rig_pattern(peer, 1, slot, bytes, i));
    return slot == 0 ? landing : NULL;
}

static bool start_placing(uint32_t slots)
{
    struct event event;

    landing = malloc(LARGE_SLOT);
    assert_non_null(landing);
    asked = 0;
    rig_place_with(place);
    rig_start(&rig, slots, LARGE_SLOT);
    rig_put(&rig, 0, 1, 1, 4096, 4096);
    event = rig_next(&rig, 1);
    rig_check(&rig, &event, 0, 1, 1, 4096, 4096);
    return asked > 0;
}

static void stop_placing(void)
{
    rig_stop(&rig);
    rig_place_with(NULL);
    free(landing);
}

void what_is_placed_lands_there(void **state)
{
    static const uint32_t put_bytes[] = {64,   72,    128,    4096,
                                         8000, 70000, 500000, LARGE_SLOT};
    bool asks = start_placing(2);

    (void)state;
    for (size_t i = 0; i < sizeof(put_bytes) / sizeof(put_bytes[0]); i++) {
        uint32_t bytes = put_bytes[i];
        const uint8_t *rest;
        struct event event;

        rig_put(&rig, 0, 1, 0, bytes, bytes);
        rig_put(&rig, 0, 1, 1, bytes, bytes);
        event = rig_next(&rig, 1);
        assert_int_equal(event.kind, EVENT_ARRIVED);
        assert_int_equal(event.slot, 0);
        assert_int_equal(event.bytes, bytes);
        if (event.apart != NULL)
            assert_ptr_equal(event.apart, landing);
        assert_true(bytes == HEAD || (event.apart != NULL) == asks);
        rest = event.apart != NULL ? event.apart
                                   : (const uint8_t *)event.memory + HEAD;
        for (uint32_t at = HEAD; at < bytes; at++)
            assert_int_equal(rest[at - HEAD], rig_pattern(0, 1, 0, bytes, at));
        rig_release(&rig, 1, &event);
        event = rig_next(&rig, 1);
        assert_null(event.apart);
        rig_check(&rig, &event, 0, 1, 1, bytes, bytes);
    }
    stop_placing();
}

void a_place_that_was_let_go_stays_as_it_is(void **state)
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    struct event event;
    bool asks = start_placing(2);

    (void)state;
    if (asks) {
        asked = 0;
        rig_put(&rig, 0, 1, 0, LARGE_SLOT, LARGE_SLOT);
        while (asked == 0) {
            assert_true(rig_now_ns() < deadline_ns);
            rig_pump(&rig);
        }
        assert_int_equal(rig.queued[1], rig.handed[1]);
        rig_transport()->let_go(rig.endpoints[1], 0);
        memset(landing, 0xee, LARGE_SLOT);
        event = rig_next(&rig, 1);
        assert_int_equal(event.kind, EVENT_ARRIVED);
        assert_int_equal(event.bytes, LARGE_SLOT);
        assert_null(event.apart);
        for (uint32_t i = 0; i < LARGE_SLOT; i++)
            assert_int_equal(landing[i], 0xee);
        rig_put(&rig, 0, 1, 1, 128, 128);
        event = rig_next(&rig, 1);
        rig_check(&rig, &event, 0, 1, 1, 128, 128);
    }
    stop_placing();
    if (!asks)
        skip();
}

/* ---- Shared places ---- */

/* Every rank but `from` finds the same bytes behind a head of its own. */
static void check_shared(struct event *event, uint32_t from, uint32_t to,
                         uint32_t bytes, const uint8_t *memory)
{
    assert_int_equal(event->kind, EVENT_ARRIVED);
    assert_int_equal(event->peer, from);
    assert_int_equal(event->slot, to);
    assert_int_equal(event->bytes, bytes);
    for (uint32_t i = 0; i < HEAD; i++)
        assert_int_equal(((const uint8_t *)event->memory)[i],
                         rig_pattern(from, to, to, bytes, i));
    assert_non_null(event->apart);
    assert_memory_equal(event->apart, memory, bytes - HEAD);
}

void what_is_shared_arrives_everywhere(void **state)
{
    const struct transport *t = rig_transport();
    uint8_t *memory, *staged;

    (void)state;
    if (t->shared == 0)
        skip();
    memory = malloc(SLOT);
    assert_non_null(memory);
    rig_start(&rig, RIG_RANKS, (SLOT + 63) / 64 * 64);
    for (uint32_t s = 0; s < SIZES * t->shared; s++) {
        uint32_t from = s % RIG_RANKS, bytes = HEAD + sizes[s % SIZES];

        for (uint32_t i = 0; i < SLOT; i++)
            memory[i] = rig_pattern(from, 0, 0, s, i);
        t->share(rig.endpoints[from], s % t->shared, memory, bytes - HEAD);
        for (uint32_t to = 0; to < RIG_RANKS; to++) {
            if (to == from)
                continue;
            staged = t->stage(rig.endpoints[from], to, to);
            assert_non_null(staged);
            for (uint32_t i = 0; i < HEAD; i++)
                staged[i] = rig_pattern(from, to, to, bytes, i);
            assert_int_equal(t->put_shared(rig.endpoints[from], to, to, bytes,
                                           s % t->shared),
                             0);
        }
        for (uint32_t to = 0; to < RIG_RANKS; to++) {
            struct event event;

            if (to == from)
                continue;
            event = rig_next(&rig, to);
            check_shared(&event, from, to, bytes, memory);
        }
    }
    rig_stop(&rig);
    free(memory);
}
