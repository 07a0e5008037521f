/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - CLOCK_MONOTONIC in nanoseconds, the clock of every deadline and of
 * every measurement here.
 */
#ifndef BALLOT_TRANSPORT_CLOCK_H
#define BALLOT_TRANSPORT_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { NS_PER_MS = 1000000 };

static inline uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* `now_ns` + `wait_ms`, or the end of time where that would wrap. */
static inline uint64_t clock_later_ns(uint64_t now_ns, uint64_t wait_ms)
{
    uint64_t room_ms = (UINT64_MAX - now_ns) / NS_PER_MS;

    return wait_ms > room_ms ? UINT64_MAX : now_ns + wait_ms * NS_PER_MS;
}

#endif
