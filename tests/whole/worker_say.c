/* SPDX-License-Identifier: Apache-2.0 */
/* worker_say.c - what a worker says, how it ends, and numbers from seeds. */
#include "worker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void sleep_ms(uint64_t ms)
{
    struct timespec left = {
        .tv_sec = (time_t)(ms / 1000),
        .tv_nsec = (long)(ms % 1000) * 1000000,
    };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

void say(const char *format, ...)
{
    char line[2048];
    va_list arguments;
    int bytes;

    va_start(arguments, format);
    bytes = vsnprintf(line, sizeof(line) - 1, format, arguments);
    va_end(arguments);
    if (bytes > (int)sizeof(line) - 2)
        bytes = (int)sizeof(line) - 2;
    line[bytes] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)bytes + 1) < 0)
        _exit(3);
}

void need(int rc, const struct ballot_comm *comm, const char *what)
{
    if (rc >= 0)
        return;
    say("failed what=%s rc=%d text=%s", what, rc, ballot_last_error(comm));
    exit(3);
}

void *need_memory(size_t bytes)
{
    void *memory = calloc(1, bytes);

    need(memory == NULL ? -ENOMEM : 0, NULL, "memory");
    return memory;
}

uint64_t mix(uint64_t x)
{
    x = (x + 0x9e3779b97f4a7c15) * 0xd1342543de82ef95;
    x ^= x >> 29;
    x *= 0xaef17502108ef2d9;
    return x ^ x >> 32;
}

uint64_t digest(uint64_t hash, const void *bytes, size_t count)
{
    const uint8_t *b = bytes;

    for (size_t i = 0; i < count; i++)
        hash = (hash ^ b[i]) * 0x100000001b3 + 1;
    return hash;
}
