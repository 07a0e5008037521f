/* SPDX-License-Identifier: Apache-2.0 */
/* lobby.c - unproven connections: bounded in number and in time. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "lobby.h"

enum {
    ACCEPTS_A_TURN = 16, /* so that a flood leaves time for those inside */
    SHORTAGE_MS = 20,    /* no descriptor to be had: ask again so much later */
};

struct guest {
    struct handshake handshake;
    short events;
    uint64_t due_ns;
};

int lobby_open(struct lobby *lobby, int listener, uint32_t places,
               const struct handshake_config *config)
{
    memset(lobby, 0, sizeof(*lobby));
    lobby->guests = calloc(places, sizeof(*lobby->guests));
    if (lobby->guests == NULL)
        return -ENOMEM;
    lobby->config = *config;
    lobby->listener = listener;
    lobby->places = places;
    return 0;
}

uint32_t lobby_watch(const struct lobby *lobby, struct pollfd *polls,
                     uint64_t now_ns)
{
    polls[0] = (struct pollfd){
        .fd = now_ns < lobby->resume_ns ? -1 : lobby->listener,
        .events = POLLIN,
    };
    for (uint32_t i = 0; i < lobby->count; i++)
        polls[1 + i] = (struct pollfd){
            .fd = lobby->guests[i].handshake.descriptor,
            .events = lobby->guests[i].events,
        };
    return lobby->count + 1;
}

uint64_t lobby_due_ns(const struct lobby *lobby, uint64_t now_ns)
{
    uint64_t due_ns = now_ns < lobby->resume_ns ? lobby->resume_ns : UINT64_MAX;

    for (uint32_t i = 0; i < lobby->count; i++)
        if (lobby->guests[i].due_ns < due_ns)
            due_ns = lobby->guests[i].due_ns;
    return due_ns;
}

/* The last guest moves to the place that becomes free. */
static void leave(struct lobby *lobby, uint32_t index)
{
    lobby->guests[index] = lobby->guests[--lobby->count];
}

static void expel(struct lobby *lobby, uint32_t index)
{
    close(lobby->guests[index].handshake.descriptor);
    lobby->strangers++;
    leave(lobby, index);
}

/* The oldest of those that showed nothing yet, else the oldest of all: a flood
 * of half-open connections must not push out peers that are half-way in. */
static void expel_oldest(struct lobby *lobby)
{
    uint32_t oldest = 0;

    for (uint32_t i = 1; i < lobby->count; i++) {
        const struct guest *guest = &lobby->guests[i];
        const struct guest *best = &lobby->guests[oldest];
        bool greeted = handshake_greeted(&guest->handshake);
        bool best_greeted = handshake_greeted(&best->handshake);

        if (greeted != best_greeted ? best_greeted
                                    : guest->due_ns < best->due_ns)
            oldest = i;
    }
    expel(lobby, oldest);
}

static void move_guest(struct lobby *lobby, uint32_t index, uint64_t now_ns,
                       lobby_admit_fn *admit, void *context)
{
    struct guest *guest = &lobby->guests[index];
    int result = handshake_step(&guest->handshake, &guest->events);

    if (result == HANDSHAKE_PROVEN && admit(context, &guest->handshake))
        leave(lobby, index);
    else if (result != HANDSHAKE_WAIT || now_ns >= guest->due_ns)
        expel(lobby, index);
}

/* Most have said hello by now, so look at once. */
static void enter(struct lobby *lobby, int descriptor, uint64_t now_ns,
                  lobby_admit_fn *admit, void *context)
{
    struct guest *guest;

    if (lobby->count >= lobby->places)
        expel_oldest(lobby);
    guest = &lobby->guests[lobby->count++];
    /* Fails on a Unix socket, which has no such delay. */
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    guest->due_ns = clock_later_ns(now_ns, HANDSHAKE_TIMEOUT_MS);
    handshake_start(&guest->handshake, descriptor, false, &lobby->config);
    move_guest(lobby, lobby->count - 1, now_ns, admit, context);
}

/* What accept() said: 1 go on, 0 enough for now, or it will never work. */
static int refused(struct lobby *lobby, int error, uint64_t now_ns)
{
    switch (error) {
    case EAGAIN: return 0;
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP: return -error;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        /* The listener stays readable: without a pause poll() would spin. */
        if (lobby->count > 0)
            expel_oldest(lobby);
        else
            lobby->resume_ns = clock_later_ns(now_ns, SHORTAGE_MS);
        return lobby->count > 0;
    default: return 1; /* of that one connection, or a signal */
    }
}

static int accept_some(struct lobby *lobby, uint64_t now_ns,
                       lobby_admit_fn *admit, void *context)
{
    int result = 1;

    if (now_ns < lobby->resume_ns)
        return 0;
    for (int i = 0; i < ACCEPTS_A_TURN && result > 0; i++) {
        int descriptor =
            accept4(lobby->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (descriptor >= 0)
            enter(lobby, descriptor, now_ns, admit, context);
        else
            result = refused(lobby, errno, now_ns);
    }
    return result < 0 ? result : 0;
}

int lobby_move(struct lobby *lobby, const struct pollfd *polls, uint64_t now_ns,
               lobby_admit_fn *admit, void *context)
{
    /* From the end, so that leave() fills a gap with one that was moved. */
    for (uint32_t i = lobby->count; i-- > 0;)
        if (polls[1 + i].revents != 0 || now_ns >= lobby->guests[i].due_ns)
            move_guest(lobby, i, now_ns, admit, context);
    return accept_some(lobby, now_ns, admit, context);
}

void lobby_close(struct lobby *lobby)
{
    while (lobby->count > 0)
        expel(lobby, lobby->count - 1);
    free(lobby->guests);
    lobby->guests = NULL;
}
