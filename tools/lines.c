/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.c - passes on what a process writes, in whole lines with a prefix.
 */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Writes prefix, bytes and, if asked for, a newline with one writev where the
 * kernel allows, so that lines of several launchers on one terminal stay whole.
 */
static int write_line(const struct lines *lines, const char *bytes,
                      size_t count, const char *end)
{
    struct iovec parts[] = {
        {.iov_base = (void *)(uintptr_t)lines->prefix,
         .iov_len = lines->prefix_bytes},
        {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count},
        {.iov_base = (void *)(uintptr_t)end, .iov_len = strlen(end)},
    };
    size_t first = 0;

    while (first < 3) {
        ssize_t written = writev(lines->to, &parts[first], 3 - (int)first);

        if (written < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = lines->to, .events = POLLOUT};

            poll(&ready, 1, -1);
            continue;
        }
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        for (size_t left = (size_t)written; first < 3; first++) {
            if (left < parts[first].iov_len) {
                parts[first].iov_base = (char *)parts[first].iov_base + left;
                parts[first].iov_len -= left;
                break;
            }
            left -= parts[first].iov_len;
        }
    }
    return 0;
}

void lines_open(struct lines *lines, int from, int to, const char *prefix)
{
    size_t bytes = strnlen(prefix, LINES_PREFIX_BYTES_MAX);

    lines->from = from;
    lines->to = to;
    lines->held = 0;
    lines->prefix_bytes = (uint32_t)bytes;
    memcpy(lines->prefix, prefix, bytes);
    fcntl(from, F_SETFL, fcntl(from, F_GETFL) | O_NONBLOCK);
}

/* Writes the whole lines among the first `bytes` of line[], keeps the rest. */
static int write_whole(struct lines *lines, uint32_t bytes)
{
    uint32_t start = 0;
    int error = 0;

    while (start < bytes && error == 0) {
        const char *at = &lines->line[start];
        const char *newline = memchr(at, '\n', bytes - start);

        if (newline == NULL)
            break;
        error = write_line(lines, at, (size_t)(newline - at) + 1, "");
        start += (uint32_t)(newline - at) + 1;
    }
    if (error == 0 && start == 0 && bytes == LINES_LINE_BYTES_MAX) {
        error = write_line(lines, lines->line, bytes, "\n");
        start = bytes;
    }
    lines->held = bytes - start;
    memmove(lines->line, &lines->line[start], lines->held);
    return error;
}

int lines_forward(struct lines *lines)
{
    ssize_t got;

    if (lines->from < 0)
        return 0;
    got = read(lines->from, &lines->line[lines->held],
               LINES_LINE_BYTES_MAX - lines->held);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) {
        lines_close(lines);
        return 0;
    }
    if (write_whole(lines, lines->held + (uint32_t)got) != 0) {
        /* Nobody reads us any more: closing tells the writer by SIGPIPE, as
         * if it stood in the pipeline itself. */
        lines->held = 0;
        lines_close(lines);
        return 0;
    }
    return 1;
}

void lines_close(struct lines *lines)
{
    if (lines->from < 0)
        return;
    if (lines->held > 0)
        write_line(lines, lines->line, lines->held, "\n");
    lines->held = 0;
    close(lines->from);
    lines->from = -1;
}
