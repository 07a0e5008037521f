/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - one peer over one transport, with a deadline on every wait.
 */
#include "link.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../../transport/clock.h"

enum {
    SPINS = 2000,          /* polls before other threads have their turn */
    AWAKE_NS = 200 * 1000, /* of silence before we sleep: whoever spins on may
                              keep the peer, or the device's driver, off */
    SLEEP_MS = 100,        /* at most, before the deadline is looked at */
};

static const char *const tcp_engines[] = {"uring", "epoll", NULL};

const struct tried_transport tried_transports[] = {
    {&transport_tcp, tcp_engines, false},
    {&transport_shm, NULL, false},
    {&transport_verbs, NULL, true},
};
const uint32_t tried_count =
    sizeof(tried_transports) / sizeof(tried_transports[0]);

_Static_assert(sizeof(tried_transports) / sizeof(tried_transports[0]) <=
                   TRIED_MAX,
               "all that is tried has room");

int tried_fail(struct tried_link *link, int error, const char *format, ...)
{
    va_list arguments;

    link->error = error;
    va_start(arguments, format);
    vsnprintf(link->why, sizeof(link->why), format, arguments);
    va_end(arguments);
    return error;
}

static bool is_late(const struct tried_link *link)
{
    return clock_now_ns() >= link->deadline_ns;
}

static void sleep_until_something(struct tried_link *link)
{
    int descriptor = link->transport->arm(link->endpoint);
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};

    if (descriptor >= 0)
        (void)poll(&wanted, 1, SLEEP_MS);
}

/* Moves everything; an event that comes is kept for tried_wait(). */
static int move(struct tried_link *link)
{
    int count;

    if (link->has_event)
        return 1;
    count = link->transport->poll(link->endpoint, &link->event, 1);
    link->has_event = count > 0;
    return count;
}

static int take_event(struct tried_link *link, struct event *event,
                      const char *awaited)
{
    *event = link->event;
    link->has_event = false;
    if (event->kind == EVENT_LOST)
        return tried_fail(link, event->reason < 0 ? event->reason : -ECONNRESET,
                          "the link broke, waiting for %s", awaited);
    return 0;
}

int tried_wait(struct tried_link *link, struct event *event,
               const char *awaited)
{
    uint64_t sleep_ns = clock_now_ns() + AWAKE_NS;
    uint32_t spins = 0;

    for (;;) {
        int count = move(link);

        if (count < 0)
            return tried_fail(link, count, "poll failed, waiting for %s",
                              awaited);
        if (count > 0)
            return take_event(link, event, awaited);
        if (is_late(link))
            return tried_fail(link, -ETIMEDOUT, "%s did not come in time",
                              awaited);
        if (++spins < SPINS)
            continue;
        if (clock_now_ns() < sleep_ns)
            sched_yield();
        else
            sleep_until_something(link);
    }
}

int tried_stage(struct tried_link *link, uint32_t slot, void **memory)
{
    for (;;) {
        *memory = link->transport->stage(link->endpoint, link->peer, slot);
        if (*memory != NULL)
            return 0;
        if (move(link) < 0)
            return tried_fail(link, -EIO, "poll failed, writing slot %u", slot);
        if (link->has_event && link->event.kind == EVENT_LOST)
            return tried_fail(link, link->event.reason,
                              "the link broke, writing slot %u", slot);
        if (is_late(link))
            return tried_fail(link, -ETIMEDOUT, "slot %u did not leave in time",
                              slot);
        sched_yield();
    }
}

int tried_put(struct tried_link *link, uint32_t slot, uint32_t bytes)
{
    int rc = link->transport->put(link->endpoint, link->peer, slot, bytes);

    return rc == 0 ? 0 : tried_fail(link, rc, "put of slot %u failed", slot);
}

int tried_wait_left(struct tried_link *link)
{
    while (link->transport->busy(link->endpoint)) {
        if (move(link) < 0 || link->has_event)
            return 0; /* whoever waits next sees what came */
        if (is_late(link))
            return tried_fail(link, -ETIMEDOUT, "the last put did not leave");
        sched_yield();
    }
    return 0;
}

int tried_swap(struct tried_link *link, uint32_t slot, const void *ours,
               void *theirs, uint32_t bytes)
{
    struct event event;
    void *memory;
    int rc = tried_stage(link, slot, &memory);

    if (rc == 0) {
        memcpy(memory, ours, bytes);
        rc = tried_put(link, slot, bytes);
    }
    if (rc == 0)
        rc = tried_wait(link, &event, "the other side's result");
    if (rc == 0 && (event.slot != slot || event.bytes != bytes))
        rc = tried_fail(link, -EPROTO, "the other side's result was none");
    if (rc == 0) {
        memcpy(theirs, event.memory, bytes);
        rc = tried_wait_left(link);
    }
    return rc;
}
