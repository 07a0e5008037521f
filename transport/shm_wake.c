/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_wake.c - who sleeps, and who wakes whom.
 *
 * A put costs no system call unless the peer sleeps. Who goes to sleep first
 * stores `armed`, then looks at the rings; who puts first stores the notice,
 * then looks at `armed`; so at least one of the two sees the other, if neither
 * core does the second before the first. Sleeping is rare, so it pays for both:
 * membarrier() orders what other cores do at that moment. Where the kernel
 * refuses it, puts have a fence.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm_inside.h"

enum {
    READY_MAX = 32,  /* connections looked at in one watch */
    RINGS_MAX = 128, /* bytes taken from a connection in one watch */
};

/* From then on what this process does is ordered by who goes to sleep. */
bool shm_can_order(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0,
                   0) == 0 &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

/* What we put to ourselves is in order. Where a processor is emulated, or has
 * to wait for one of the host's, it would cost milliseconds. */
void shm_order(const struct endpoint *endpoint)
{
    uint32_t count = endpoint->active_count;

    if (count == 0 ||
        (count == 1 && endpoint->active[0] == endpoint->config.rank))
        return;
    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

/* A full connection has rings in it already; a broken one is noticed by
 * watch(). */
static void ring(struct endpoint *endpoint, const struct shm_link *link)
{
    (void)send(link->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    endpoint->counts.wakeups++;
}

void shm_announce(struct endpoint *endpoint, const struct shm_link *link)
{
    if (endpoint->fences ||
        atomic_load_explicit(&link->page->fences, memory_order_relaxed) != 0)
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&link->page->armed, memory_order_relaxed) != 0)
        ring(endpoint, link);
}

/* Takes the rings off the connections, and notices those that ended. */
void shm_watch(struct endpoint *endpoint)
{
    struct epoll_event ready[READY_MAX];
    int count = epoll_wait(endpoint->epoll, ready, READY_MAX, 0);

    for (int i = 0; i < count; i++) {
        struct shm_link *link = &endpoint->links[ready[i].data.u32];
        uint8_t rings[RINGS_MAX];
        ssize_t got =
            recv(link->descriptor, rings, sizeof(rings), MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            link->state = LINK_ENDED;
    }
}

void shm_disarm(struct endpoint *endpoint)
{
    atomic_store_explicit(&endpoint->page->armed, 0, memory_order_relaxed);
    endpoint->armed = false;
}
