/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_copy.c - copies for another core, past the cache or through it.
 *
 * Lines that one core has written and another reads travel from cache to cache,
 * and are fetched back when they are written again. How fast that is depends on
 * which cores they are, and, in a virtual machine, changes while it runs: on
 * one Zen 4 machine 2.5 GB/s or 9 to 18 GB/s. Stores past the cache, and reads
 * from memory that the hardware fetches ahead, run at 10 to 20 GB/s always. So
 * copies are timed now and then, and go past the cache where the way through it
 * is slow; and where nothing large comes back meanwhile, for then this core has
 * nothing to gain from lines that it owns (perf/README.md has the numbers).
 */
#include <string.h>

#include "clock.h"
#include "past.h"
#include "shm_inside.h"

enum {
    PAST_RUN = 256,  /* copies, then the cache is tried again */
    TIMED_EVERY = 8, /* copies through it */
    SLOW_RUN = 3,    /* slow ones in a row: one may be an interruption */
    /* MB/s that are slow. A slot's bytes may come from memory, which takes
     * part of the time. */
    SLOW = 6000,
    SLOW_SLOT = 3500,
    ALONE = 16, /* copies in which nothing large came; more than a window */
};

/* Copies through the cache, and sees how long it takes. */
static void copy_timed(struct shm_copying *copying, void *to, const void *from,
                       size_t bytes, uint32_t slow_mb_s)
{
    uint64_t began = clock_now_ns();

    memcpy(to, from, bytes);
    if (1000 * bytes >= slow_mb_s * (clock_now_ns() - began)) {
        copying->slow = 0;
    } else if (++copying->slow == SLOW_RUN) {
        copying->slow = 0;
        copying->past_left = PAST_RUN;
    }
}

bool shm_copy_owns(const struct shm_copying *copying)
{
    return copying->past_left == 0 && copying->slow == 0 &&
           copying->cached % TIMED_EVERY != 0;
}

static void copy(struct shm_copying *copying, void *to, const void *from,
                 size_t bytes, uint32_t slow_mb_s)
{
    if (bytes < SHM_COPY_LARGE) {
        memcpy(to, from, bytes);
    } else if (copying->past_left > 0) {
        copying->past_left--;
        copy_past(to, from, bytes);
    } else if (copying->slow > 0 || copying->cached++ % TIMED_EVERY == 0) {
        copy_timed(copying, to, from, bytes, slow_mb_s);
    } else {
        memcpy(to, from, bytes);
    }
}

void shm_copy_owned(struct shm_copying *copying, void *to, const void *from,
                    size_t bytes)
{
    copy(copying, to, from, bytes, SLOW);
}

void shm_copy(struct endpoint *endpoint, struct shm_copying *copying, void *to,
              const void *from, size_t bytes)
{
    if (bytes >= SHM_COPY_LARGE && ++endpoint->copies_alone > ALONE)
        copy_past(to, from, bytes);
    else
        copy(copying, to, from, bytes, SLOW_SLOT);
}
