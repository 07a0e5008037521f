/* SPDX-License-Identifier: Apache-2.0 */
/* brief.c - messages without a slot, of transports that have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "brief.h"
#include "rig.h"

static struct rig rig;

static void start(void)
{
    if (rig_transport()->put_brief == NULL)
        skip();
    rig_start(&rig, 4, 64);
}

enum { BODY_MOST = 64 << 10 }; /* more than any transport has */

static uint8_t pattern(uint32_t number, uint32_t i)
{
    return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

/* Message `number` from one rank to another, of so many bytes. */
static int put(uint32_t from, uint32_t to, uint32_t number, uint32_t bytes)
{
    const uint32_t head[BRIEF_HEAD] = {number, from, to};
    static uint8_t body[BODY_MOST];

    assert_true(bytes <= BODY_MOST);

    for (uint32_t i = 0; i < bytes; i++)
        body[i] = pattern(number, i);
    return rig_transport()->put_brief(rig.endpoints[from], to, head, body,
                                      bytes);
}

static int peek(uint32_t from, uint32_t to, uint32_t head[BRIEF_HEAD])
{
    if (rig_transport()->look_brief != NULL)
        rig_transport()->look_brief(rig.endpoints[to], from);
    return rig_transport()->peek_brief(rig.endpoints[to], from, head);
}

/* The next message, which may be on its way. */
static int await(uint32_t from, uint32_t to, uint32_t head[BRIEF_HEAD])
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    int bytes;

    while ((bytes = peek(from, to, head)) == -EAGAIN) {
        assert_true(rig_now_ns() < deadline_ns);
        rig_transport()->poll(rig.endpoints[from], NULL, 0);
    }
    return bytes;
}

/* The next message is that one. */
static void check(uint32_t from, uint32_t to, uint32_t number, uint32_t bytes)
{
    uint32_t head[BRIEF_HEAD];
    static uint8_t body[BODY_MOST + 1];

    assert_int_equal(await(from, to, head), bytes);
    assert_int_equal(head[0], number);
    assert_int_equal(head[1], from);
    assert_int_equal(head[2], to);
    memset(body, 0xee, sizeof(body));
    rig_transport()->take_brief(rig.endpoints[to], from, body, bytes);
    for (uint32_t i = 0; i < bytes; i++)
        assert_int_equal(body[i], pattern(number, i));
    assert_int_equal(body[bytes], 0xee);
}

void brief_messages_arrive_in_order(void **state)
{
    uint32_t sizes[] = {0, 1, 8, 47, 48, 49, 200, 1024, BRIEF_BYTES, 7};
    uint32_t head[BRIEF_HEAD], number = 0;

    (void)state;
    start();
    for (int turn = 0; turn < 400; turn++)
        for (uint32_t from = 0; from < RIG_RANKS; from++) {
            uint32_t to = (from + 1) % RIG_RANKS, first = number;

            /* Now and then the largest that this transport has. */
            sizes[8] =
                turn % 16 == 0 ? rig_transport()->brief_bytes : BRIEF_BYTES;
            for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                assert_int_equal(put(from, to, number++, sizes[i]), 0);
            /* One that is not read is as good as read. */
            for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                if (turn % 3 == 1 && i == 2)
                    rig_transport()->take_brief(rig.endpoints[to], from, NULL,
                                                0);
                else
                    check(from, to, first + (uint32_t)i, sizes[i]);
            assert_int_equal(peek(from, to, head), -EAGAIN);
            assert_int_equal(peek(to, from, head), -EAGAIN);
        }
    rig_stop(&rig);
}

/* Who looks for brief messages alone does not stumble over what is for poll().
 */
void brief_messages_pass_by_puts(void **state)
{
    enum { MESSAGES = 40 };
    uint32_t head[BRIEF_HEAD];
    struct event event;

    (void)state;
    start();
    for (uint32_t turn = 0; turn < 5; turn++) {
        assert_int_equal(put(0, 1, 0, 100), 0);
        rig_put(&rig, 0, 1, 1, 64, turn);
        for (uint32_t i = 1; i <= MESSAGES; i++) {
            assert_int_equal(put(0, 1, i, BRIEF_BYTES), 0);
            peek(0, 1, head);
        }
        do
            event = rig_next(&rig, 1);
        while (event.kind == EVENT_BRIEF);
        rig_check(&rig, &event, 0, 1, 1, 64, turn);
        check(0, 1, 0, 100);
        for (uint32_t i = 1; i <= MESSAGES; i++)
            check(0, 1, i, BRIEF_BYTES);
    }
    rig_stop(&rig);
}

void a_brief_message_finds_room_again(void **state)
{
    uint32_t given = 0, taken = 0;
    struct event event;

    (void)state;
    start();
    for (int turn = 0; turn < 20; turn++) {
        while (put(0, 1, given, 100) == 0)
            given++;
        assert_int_equal(put(0, 1, given, 100), -EAGAIN);
        assert_true(given - taken > 1);
        while (taken < given)
            check(0, 1, taken++, 100);
        do
            event = rig_next(&rig, 0);
        while (event.kind != EVENT_BRIEF);
        assert_int_equal(event.peer, 1);
    }
    rig_stop(&rig);
}

/* Until poll() gives the event: arms, and waits for what wakes. */
static void sleep_for_brief(uint32_t rank, uint32_t peer)
{
    const struct transport *transport = rig_transport();
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    struct event event;

    while (transport->poll(rig.endpoints[rank], &event, 1) == 0) {
        struct pollfd waited = {.fd = transport->arm(rig.endpoints[rank]),
                                .events = POLLIN};

        assert_true(rig_now_ns() < deadline_ns);
        if (waited.fd != -EAGAIN)
            assert_int_equal(poll(&waited, 1, 5000), 1);
    }
    assert_int_equal(event.kind, EVENT_BRIEF);
    assert_int_equal(event.peer, peer);
}

void a_brief_message_wakes_a_sleeper(void **state)
{
    const struct transport *transport = rig_transport();
    struct event event;
    struct pollfd waited = {.events = POLLIN};

    (void)state;
    start();
    for (uint32_t turn = 0; turn < 10; turn++) {
        while (transport->poll(rig.endpoints[1], &event, 1) > 0)
            ;
        waited.fd = transport->arm(rig.endpoints[1]);
        assert_true(waited.fd >= 0);
        assert_int_equal(put(0, 1, turn, 8), 0);
        assert_int_equal(poll(&waited, 1, 5000), 1);
        sleep_for_brief(1, 0);
        /* It was told: one that is not taken keeps nobody awake. */
        assert_int_equal(transport->poll(rig.endpoints[1], &event, 1), 0);
        assert_true(transport->arm(rig.endpoints[1]) >= 0);
        check(0, 1, turn, 8);
    }
    rig_stop(&rig);
}

void who_waits_for_room_is_woken(void **state)
{
    const struct transport *transport = rig_transport();
    uint32_t given = 0, taken = 0;
    struct pollfd waited = {.events = POLLIN};
    struct event event;

    (void)state;
    start();
    while (put(0, 1, given, 8) == 0)
        given++;
    while (transport->poll(rig.endpoints[0], &event, 1) > 0)
        ;
    waited.fd = transport->arm(rig.endpoints[0]);
    assert_true(waited.fd >= 0);
    while (taken < given)
        check(0, 1, taken++, 8);
    assert_int_equal(poll(&waited, 1, 5000), 1);
    sleep_for_brief(0, 1);
    assert_int_equal(put(0, 1, given, 8), 0);
    rig_stop(&rig);
}
