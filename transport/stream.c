/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - frames over a non-blocking stream socket. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "clock.h"
#include "stream.h"

/* What a failed send() or recv() means: 0 is "not now". */
static int socket_error(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    return errno == EPIPE ? -ECONNRESET : -errno;
}

int stream_send(int descriptor, const void *bytes, size_t count, size_t *done)
{
    const uint8_t *from = bytes;

    while (*done < count) {
        ssize_t sent =
            send(descriptor, from + *done, count - *done, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return socket_error();
        *done += (size_t)sent;
    }
    return 1;
}

int stream_receive(int descriptor, void *bytes, size_t count, size_t *done)
{
    uint8_t *into = bytes;

    while (*done < count) {
        ssize_t got = recv(descriptor, into + *done, count - *done, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return socket_error();
        if (got == 0)
            return -ECONNRESET;
        *done += (size_t)got;
    }
    return 1;
}

bool stream_ended(int descriptor)
{
    uint8_t byte;
    ssize_t got;

    do
        got = recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno != EAGAIN && errno != EWOULDBLOCK;
    return got == 0;
}

int stream_wait_ms(uint64_t now_ns, uint64_t until_ns)
{
    enum { WAIT_MS_MAX = 60000 };
    uint64_t wait_ms;

    if (until_ns <= now_ns)
        return 0;
    wait_ms = (until_ns - now_ns - 1) / NS_PER_MS + 1;
    return wait_ms < WAIT_MS_MAX ? (int)wait_ms : WAIT_MS_MAX;
}

bool stream_poll(struct pollfd *polls, uint32_t count, const int *bell,
                 int timeout_ms)
{
    polls[count] = (struct pollfd){
        .fd = bell == NULL ? -1 : *bell, /* which poll() leaves out */
        .events = POLLIN,
    };
    return poll(polls, count + 1, timeout_ms) > 0 && polls[count].revents != 0;
}
