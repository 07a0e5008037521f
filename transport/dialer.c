/* SPDX-License-Identifier: Apache-2.0 */
/* dialer.c - the connecting side of a handshake, with its retries. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "dialer.h"

enum {
    RETRY_MS = 20,
    /* Who closes on us without a word gets asked less and less often, up to
     * every RETRY_MS << RETRY_SHIFT_MAX. */
    RETRY_SHIFT_MAX = 4,
};

void dialer_start(struct dialer *dialer, const struct sockaddr *address,
                  socklen_t address_bytes,
                  const struct handshake_config *config)
{
    memset(dialer, 0, sizeof(*dialer));
    dialer->config = *config;
    dialer->address = address;
    dialer->address_bytes = address_bytes;
    dialer->descriptor = -1;
}

/* A descriptor that is connected or on its way there. The handshake's first
 * send waits for the connection and reports its failure. */
static int dial(const struct dialer *dialer)
{
    int family = dialer->address->sa_family;
    int descriptor =
        socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result;

    if (descriptor < 0)
        return -errno;
    if (family != AF_UNIX)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1},
                   sizeof(int));
    if (connect(descriptor, dialer->address, dialer->address_bytes) == 0)
        return descriptor;
    /* An interrupted connect goes on in the background, like any other. */
    if (errno == EINPROGRESS || errno == EINTR)
        return descriptor;
    result = -errno;
    close(descriptor);
    return result;
}

static void note_rejection(struct dialer *dialer, int error, uint64_t now_ns)
{
    bool closed = error == -ECONNRESET || error == -EACCES;

    if (!closed || handshake_greeted(&dialer->handshake)) {
        dialer->rejections = 0;
        return;
    }
    if (dialer->rejections++ == 0)
        dialer->rejected_ns = now_ns;
}

static void fail(struct dialer *dialer, int error, uint64_t now_ns)
{
    uint32_t shift;

    note_rejection(dialer, error, now_ns);
    shift = dialer->rejections < RETRY_SHIFT_MAX ? dialer->rejections
                                                 : RETRY_SHIFT_MAX;
    dialer_stop(dialer);
    dialer->error = error;
    dialer->due_ns = clock_later_ns(now_ns, (uint64_t)RETRY_MS << shift);
}

bool dialer_move(struct dialer *dialer, uint64_t now_ns)
{
    int result;

    if (dialer->descriptor < 0) {
        if (now_ns < dialer->due_ns)
            return false;
        result = dial(dialer);
        if (result < 0) {
            memset(&dialer->handshake, 0, sizeof(dialer->handshake));
            fail(dialer, result, now_ns);
            return false;
        }
        dialer->descriptor = result;
        dialer->due_ns = clock_later_ns(now_ns, HANDSHAKE_TIMEOUT_MS);
        handshake_start(&dialer->handshake, result, true, &dialer->config);
    }
    result = handshake_step(&dialer->handshake, &dialer->events);
    if (result == HANDSHAKE_DONE)
        return true;
    /* Once the proof is on its way the other side may have taken us in:
     * hanging up now would leave it with a dead connection. */
    if (result == HANDSHAKE_WAIT && handshake_greeted(&dialer->handshake))
        dialer->due_ns = UINT64_MAX;
    else if (result == HANDSHAKE_WAIT && now_ns >= dialer->due_ns)
        result = -ETIMEDOUT;
    if (result < 0)
        fail(dialer, result, now_ns);
    return false;
}

int dialer_take(struct dialer *dialer)
{
    int descriptor = dialer->descriptor;

    dialer->descriptor = -1;
    return descriptor;
}

void dialer_stop(struct dialer *dialer)
{
    if (dialer->descriptor >= 0)
        close(dialer->descriptor);
    dialer->descriptor = -1;
}
