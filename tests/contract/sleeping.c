/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleeping.c - whoever sleeps is woken when there is something to do, and only
 * then.
 */
#include "sleeping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "rig.h"

static struct rig rig;

/* Arms and waits; false when nothing woke it for `ms`. */
static bool sleep_on(struct endpoint *endpoint, int ms)
{
    struct pollfd waited = {.fd = rig_transport()->arm(endpoint),
                            .events = POLLIN};

    if (waited.fd == -EAGAIN)
        return true;
    return poll(&waited, 1, ms) == 1;
}

/* Sleeps until an event comes; false when none comes for 5 s. */
static bool sleep_for_event(struct endpoint *endpoint, struct event *event)
{
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;

    while (rig_transport()->poll(endpoint, event, 1) == 0) {
        if (!sleep_on(endpoint, 5000) || rig_now_ns() > deadline_ns)
            return false;
    }
    return true;
}

void arm_says_again_while_events_wait(void **state)
{
    const struct transport *transport = rig_transport();
    uint64_t deadline_ns = rig_now_ns() + 5000000000u;
    struct event event;
    int descriptor;

    (void)state;
    rig_start(&rig, 4, 64);
    assert_true(rig_silent(&rig, 20));
    descriptor = transport->arm(rig.endpoints[1]);
    assert_true(descriptor >= 0);
    rig_put(&rig, 0, 1, 0, 64, 0);
    rig_put(&rig, 0, 1, 1, 64, 0);
    event = rig_next(&rig, 1);
    rig_check(&rig, &event, 0, 1, 0, 64, 0);
    event = rig_next(&rig, 1);
    rig_check(&rig, &event, 0, 1, 1, 64, 0);
    rig_put(&rig, 0, 1, 2, 64, 0);
    rig_put(&rig, 0, 1, 3, 64, 0);
    while (transport->poll(rig.endpoints[1], &event, 1) == 0)
        assert_true(rig_now_ns() < deadline_ns);
    /* The other one is here, or will make the descriptor readable. */
    assert_true(sleep_on(rig.endpoints[1], 5000));
    event = rig_next(&rig, 1);
    rig_check(&rig, &event, 0, 1, 3, 64, 0);
    assert_true(rig_silent(&rig, 20));
    assert_int_equal(transport->arm(rig.endpoints[1]), descriptor);
    rig_stop(&rig);
}

void nobody_wakes_an_idle_sleeper(void **state)
{
    uint64_t end_ns;
    int wakeups = 0;

    (void)state;
    rig_start(&rig, 4, 64);
    assert_true(rig_silent(&rig, 20));
    end_ns = rig_now_ns() + 200000000;
    while (rig_now_ns() < end_ns) {
        struct event event;

        wakeups += sleep_on(rig.endpoints[0], 50);
        assert_int_equal(rig_transport()->poll(rig.endpoints[0], &event, 1), 0);
    }
    assert_in_range(wakeups, 0, 2);
    rig_stop(&rig);
}

struct player {
    pthread_t thread;
    struct endpoint *endpoint;
    uint32_t peer;
    bool serves;
    int played;
};

enum { MATCHES = 10000, LOOKS = 1000 };

static bool strike(const struct player *player)
{
    const struct transport *transport = rig_transport();
    struct event ignored;
    void *staged;

    while ((staged = transport->stage(player->endpoint, player->peer, 0)) ==
           NULL) {
        transport->poll(player->endpoint, &ignored, 0);
    }
    memset(staged, player->played & 0xff, 64);
    return transport->put(player->endpoint, player->peer, 0, 64) == 0;
}

static bool take(const struct player *player, const struct event *event)
{
    const struct transport *transport = rig_transport();

    if (transport->release != NULL)
        transport->release(player->endpoint, event->peer, event->slot);
    return event->kind == EVENT_ARRIVED;
}

/* Sleeps after a number of looks that varies, so that the put comes at every
 * moment of arm(). */
static bool await(const struct player *player)
{
    struct event event;

    for (int looks = player->played % 13; looks > 0; looks--) {
        if (rig_transport()->poll(player->endpoint, &event, 1) == 1)
            return take(player, &event);
    }
    return sleep_for_event(player->endpoint, &event) && take(player, &event);
}

static void *play(void *context)
{
    struct player *player = context;

    while (player->played < MATCHES) {
        if (player->serves && !strike(player))
            break;
        if (!await(player))
            break;
        if (!player->serves && !strike(player))
            break;
        player->played++;
    }
    return NULL;
}

void no_wakeup_is_lost_in_a_race(void **state)
{
    struct player players[2] = {{.peer = 1, .serves = true}, {.peer = 0}};

    (void)state;
    rig_start(&rig, 1, 64);
    for (int i = 0; i < 2; i++) {
        players[i].endpoint = rig.endpoints[i];
        assert_int_equal(
            pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(players[i].thread, NULL);
    assert_int_equal(players[0].played, MATCHES);
    assert_int_equal(players[1].played, MATCHES);
    rig_stop(&rig);
}

struct sleeper {
    pthread_t thread;
    struct endpoint *endpoint;
    atomic_bool asleep;
    bool woken;
    struct event event;
};

static void *sleep_once(void *context)
{
    struct sleeper *sleeper = context;

    /* After so long a transport may look in another way. */
    for (int i = 0; i < LOOKS; i++)
        rig_transport()->poll(sleeper->endpoint, &sleeper->event, 0);
    atomic_store(&sleeper->asleep, true);
    sleeper->woken = sleep_for_event(sleeper->endpoint, &sleeper->event);
    return NULL;
}

/* Starts a thread that sleeps on the endpoint of `rank`. */
static void fall_asleep(struct sleeper *sleeper, uint32_t rank)
{
    *sleeper = (struct sleeper){.endpoint = rig.endpoints[rank]};
    assert_int_equal(
        pthread_create(&sleeper->thread, NULL, sleep_once, sleeper), 0);
    while (!atomic_load(&sleeper->asleep))
        rig_sleep_ms(1);
    rig_sleep_ms(20);
}

void a_put_wakes_a_sleeper_in_each_direction(void **state)
{
    struct sleeper sleeper;
    struct event ignored;

    (void)state;
    rig_start(&rig, 1, 64);
    for (uint32_t to = 0; to < RIG_RANKS; to++) {
        uint32_t from = (to + 1) % RIG_RANKS;

        fall_asleep(&sleeper, to);
        rig_put(&rig, from, to, 0, 64, to);
        rig_transport()->poll(rig.endpoints[from], &ignored, 0);
        pthread_join(sleeper.thread, NULL);
        assert_true(sleeper.woken);
        rig_check(&rig, &sleeper.event, from, to, 0, 64, to);
    }
    rig_stop(&rig);
}

void a_loss_wakes_a_sleeper(void **state)
{
    struct sleeper sleeper;

    (void)state;
    rig_start(&rig, 1, 64);
    fall_asleep(&sleeper, 0);
    rig_close(&rig, 1);
    pthread_join(sleeper.thread, NULL);
    assert_true(sleeper.woken);
    rig_check_lost(&sleeper.event, 1);
    rig_stop(&rig);
}
