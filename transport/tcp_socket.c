/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_socket.c - what a link's socket is set to, and pages that go into it.
 *
 * Between two processes of a host the bytes of a put are copied twice, by the
 * sender into the socket and by the receiver out of it. Pages that are spliced
 * are not copied by the sender: the socket's queue refers to them until the
 * receiver has taken them out. The pipe in between is a Linux formality, and
 * each link has its own, for pages may stay in it while the socket is full.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tcp.h"

enum {
    SLOW = 3000,       /* MB/s: 1500 to 2500 were seen, or 4000 and more */
    SLOW_RUN = 3,      /* slow copies in a row: one may be an interruption */
    SPLICED_RUN = 256, /* puts, then copies are tried again */
    KEEPALIVE_IDLE_S = 10,
    KEEPALIVE_INTERVAL_S = 5,
    KEEPALIVE_PROBES = 3,
};

/* Tuning only, so a kernel that refuses does no harm. Keepalive finds a host
 * that vanished while nothing was on the way to it. */
void tcp_tune(int descriptor)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        (void)setsockopt(descriptor, options[i].level, options[i].name,
                         &options[i].value, sizeof(options[i].value));
}

void tcp_free_of_control(int descriptor)
{
    static const char control[] = "reno"; /* every kernel has it */

    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, control,
                     sizeof(control) - 1);
}

/* The address of one end, without its port; 0 bytes: neither IPv4 nor IPv6. */
static size_t host_of(const struct sockaddr_storage *at, const void **host)
{
    if (at->ss_family == AF_INET) {
        *host = &((const struct sockaddr_in *)(const void *)at)->sin_addr;
        return sizeof(struct in_addr);
    }
    if (at->ss_family == AF_INET6) {
        *host = &((const struct sockaddr_in6 *)(const void *)at)->sin6_addr;
        return sizeof(struct in6_addr);
    }
    return 0;
}

bool tcp_is_here(int descriptor)
{
    struct sockaddr_storage ours = {0}, theirs = {0};
    socklen_t ours_bytes = sizeof(ours), theirs_bytes = sizeof(theirs);
    const void *host, *other;
    size_t bytes;

    if (getsockname(descriptor, (struct sockaddr *)&ours, &ours_bytes) < 0 ||
        getpeername(descriptor, (struct sockaddr *)&theirs, &theirs_bytes) < 0)
        return false;
    bytes = host_of(&ours, &host);
    return bytes > 0 && bytes == host_of(&theirs, &other) &&
           memcmp(host, other, bytes) == 0;
}

bool tcp_keeps(struct endpoint *endpoint, uint32_t peer, uint32_t bytes)
{
    struct tcp_link *link = tcp_link_up(endpoint, peer);

    if (link == NULL || !link->here)
        return link != NULL;
    if (bytes < TCP_SPLICE_BYTES || link->copying.spliced_left == 0)
        return false;
    link->copying.spliced_left--;
    return true;
}

void tcp_copied(struct tcp_link *link, size_t bytes, uint64_t took_ns)
{
    struct tcp_copying *copying = &link->copying;

    if (1000 * bytes >= SLOW * took_ns) {
        copying->slow = 0;
    } else if (++copying->slow == SLOW_RUN) {
        copying->slow = 0;
        copying->spliced_left = SPLICED_RUN;
    }
}

/* Where there is none, the bytes are copied. */
static bool has_pipe(struct tcp_link *link)
{
    if (link->pipe[0] >= 0)
        return true;
    if (pipe2(link->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        link->pipe[0] = link->pipe[1] = -1;
        link->here = false;
        return false;
    }
    (void)fcntl(link->pipe[1], F_SETPIPE_SZ, link->pipe_bytes);
    return true;
}

void tcp_close_pipe(struct tcp_link *link)
{
    if (link->pipe[0] < 0)
        return;
    close(link->pipe[0]);
    close(link->pipe[1]);
    link->pipe[0] = link->pipe[1] = -1;
    link->piped_bytes = 0;
}

/* splice() has no MSG_NOSIGNAL: a peer that is gone would kill the process. */
static ssize_t splice_quietly(const struct tcp_link *link, unsigned int flags)
{
    static const struct timespec at_once = {0};
    sigset_t broken, before;
    ssize_t moved;
    int error;

    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    moved = splice(link->pipe[0], NULL, link->descriptor, NULL,
                   link->piped_bytes, flags);
    error = errno;
    if (moved < 0 && error == EPIPE)
        sigtimedwait(&broken, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return moved < 0 ? -error : moved;
}

ssize_t tcp_splice(struct tcp_link *link, const uint8_t *memory, size_t bytes)
{
    unsigned int flags = SPLICE_F_NONBLOCK;
    ssize_t moved;

    if (link->piped_bytes == 0) {
        struct iovec piece = {(uint8_t *)(uintptr_t)memory, bytes};

        if (!has_pipe(link))
            return -EOPNOTSUPP;
        moved = vmsplice(link->pipe[1], &piece, 1, SPLICE_F_NONBLOCK);
        if (moved <= 0) {
            link->here = false;
            return -EOPNOTSUPP;
        }
        link->piped_bytes = (size_t)moved;
    }
    if (link->piped_bytes < bytes)
        flags |= SPLICE_F_MORE;
    moved = splice_quietly(link, flags);
    if (moved > 0)
        link->piped_bytes -= (size_t)moved;
    return moved;
}
