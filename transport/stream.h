/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - what whoever speaks frames over a non-blocking stream needs.
 */
#ifndef BALLOT_TRANSPORT_STREAM_H
#define BALLOT_TRANSPORT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Integers on the wire are little-endian. */
static inline void stream_store32(uint8_t bytes[4], uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static inline uint32_t stream_load32(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
           (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/*
 * Send or receive bytes[*done..count) as far as the socket allows, and never
 * more; *done grows. No SIGPIPE.
 *   1            all of it
 *   0            the socket would block
 *   -ECONNRESET  the other side has closed; or another errno of the socket
 */
int stream_send(int descriptor, const void *bytes, size_t count, size_t *done);
int stream_receive(int descriptor, void *bytes, size_t count, size_t *done);

/* Whether the other side has closed a connection on which nothing is unread. */
bool stream_ended(int descriptor);

/* The time for poll(): until `until_ns`, rounded up, within its range. */
int stream_wait_ms(uint64_t now_ns, uint64_t until_ns);

/* poll() of polls[count], which has room for one more, and of the bell, if that
 * is not NULL. Whether it has rung. */
struct pollfd;
bool stream_poll(struct pollfd *polls, uint32_t count, const int *bell,
                 int timeout_ms);

#endif
