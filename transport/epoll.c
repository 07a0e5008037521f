/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll.c - the tcp transport over epoll and plain socket calls.
 *
 * Sockets are watched edge-triggered for both directions; a link remembers what
 * the kernel said until a call contradicts it. Where sockets are few they are
 * asked themselves, and after a while watched no more until somebody wants to
 * sleep, or asks epoll: each arrival costs its sender a look for who waits.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tcp.h"

enum {
    COLLECT_EVENTS = 64,
    SENDS = 4,       /* of a link in its turn */
    UNWATCHED = 256, /* questions to sockets themselves, in a row, before */
};

int epoll_open(struct endpoint *endpoint)
{
    endpoint->epoll = epoll_create1(EPOLL_CLOEXEC);
    return endpoint->epoll < 0 ? -errno : 0;
}

void epoll_close(struct endpoint *endpoint)
{
    close(endpoint->epoll);
}

static int watch(const struct endpoint *endpoint, struct tcp_link *link)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = link,
    };

    if (epoll_ctl(endpoint->epoll, EPOLL_CTL_ADD, link->descriptor, &event) < 0)
        return -errno;
    return 0;
}

int epoll_add(struct endpoint *endpoint, struct tcp_link *link)
{
    link->writable = true;
    return watch(endpoint, link);
}

/* What has happened since is told as what happens then. */
static void watch_all(struct endpoint *endpoint)
{
    endpoint->direct = 0;
    if (!endpoint->unwatched)
        return;
    endpoint->unwatched = false;
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        struct tcp_link *link = endpoint->links[endpoint->peers[i]];
        int rc = link->descriptor < 0 ? 0 : watch(endpoint, link);

        if (rc < 0)
            tcp_broken(endpoint, link, rc);
    }
}

/* Counts questions to sockets themselves. */
static void count_direct(struct endpoint *endpoint)
{
    if (endpoint->unwatched || ++endpoint->direct < UNWATCHED)
        return;
    endpoint->unwatched = true;
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        const struct tcp_link *link = endpoint->links[endpoint->peers[i]];

        if (link->descriptor >= 0)
            epoll_ctl(endpoint->epoll, EPOLL_CTL_DEL, link->descriptor, NULL);
    }
}

void epoll_cut(struct endpoint *endpoint, struct tcp_link *link)
{
    if (!link->writable)
        endpoint->blocked--;
    link->readable = false;
    link->writable = true;
    /* A child process may hold a copy, so closing is not enough for either:
     * neither to tell the peer nor to leave the epoll set. */
    epoll_ctl(endpoint->epoll, EPOLL_CTL_DEL, link->descriptor, NULL);
    shutdown(link->descriptor, SHUT_RDWR);
    close(link->descriptor);
    link->descriptor = -1;
}

static void note(struct endpoint *endpoint, struct tcp_link *link,
                 uint32_t events)
{
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        link->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        link->hangup = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) && !link->writable) {
        link->writable = true;
        endpoint->blocked--;
    }
    if (link->readable || tcp_has_output(link))
        tcp_ready(endpoint, link);
}

/* Asking the socket itself takes its lock, which holds up who sends while we
 * wait for the rest of a large payload. */
static bool asks_directly(const struct endpoint *endpoint)
{
    if (endpoint->peers_count > DIRECT_LINKS || endpoint->blocked > 0)
        return false;
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        const struct tcp_link *link = endpoint->links[endpoint->peers[i]];

        if (link->bytes - link->landed_bytes > SMALL_BYTES)
            return false;
    }
    return true;
}

static void ask_epoll(struct endpoint *endpoint)
{
    struct epoll_event events[COLLECT_EVENTS];
    int count;

    watch_all(endpoint);
    count = epoll_wait(endpoint->epoll, events, COLLECT_EVENTS, 0);
    endpoint->asked++;
    for (int i = 0; i < count; i++)
        note(endpoint, events[i].data.ptr, events[i].events);
}

void epoll_collect(struct endpoint *endpoint)
{
    if (!asks_directly(endpoint)) {
        ask_epoll(endpoint);
        return;
    }
    /* Each socket is asked in its turn. */
    count_direct(endpoint);
    for (uint32_t i = 0; i < endpoint->peers_count; i++) {
        struct tcp_link *link = endpoint->links[endpoint->peers[i]];

        if (link->descriptor >= 0) {
            link->readable = true;
            tcp_ready(endpoint, link);
        }
    }
}

void epoll_receive(struct endpoint *endpoint, struct tcp_link *link)
{
    size_t asked_bytes;
    ssize_t got;

    if (!link->readable)
        return;
    got = tcp_receive_now(endpoint, link, &asked_bytes);
    /* What comes later makes a new edge; an end that came does not. */
    if (got == -EAGAIN ||
        (got > 0 && (size_t)got < asked_bytes && !link->hangup))
        link->readable = false;
}

/* Who looks at one link again and again asks its socket; who looks at several
 * in turn asks the kernel which are ready, once in a turn. */
void epoll_look(struct endpoint *endpoint, struct tcp_link *link)
{
    bool again = endpoint->looked == link->peer;

    endpoint->looked = link->peer;
    if (link->descriptor < 0 || link->ended)
        return;
    if (endpoint->peers_count <= DIRECT_LINKS)
        count_direct(endpoint);
    if (again || endpoint->peers_count <= DIRECT_LINKS)
        link->readable = true;
    else if (!link->readable && link->asked == endpoint->asked)
        ask_epoll(endpoint);
    link->asked = endpoint->asked;
    epoll_receive(endpoint, link);
}

void epoll_send(struct endpoint *endpoint, struct tcp_link *link)
{
    ssize_t sent = 1;

    /* Pages of several puts take a call each. */
    for (int i = 0; i < SENDS && sent > 0; i++) {
        if (!link->up || !link->writable || !tcp_has_output(link))
            return;
        sent = tcp_send_now(endpoint, link);
    }
    if (sent == -EAGAIN) {
        link->writable = false;
        endpoint->blocked++;
    }
    if (tcp_has_output(link) && link->writable)
        tcp_ready(endpoint, link);
}

int epoll_arm(struct endpoint *endpoint)
{
    if (endpoint->ready_count == 0)
        ask_epoll(endpoint);
    return endpoint->ready_count > 0 ? -EAGAIN : endpoint->epoll;
}
