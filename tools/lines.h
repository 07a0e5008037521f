/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.h - passes on what a process writes, in whole lines with a prefix.
 */
#ifndef BALLOT_LINES_H
#define BALLOT_LINES_H

#include <stdint.h>

enum {
    LINES_LINE_BYTES_MAX = 16384, /* a longer line is broken into several */
    LINES_PREFIX_BYTES_MAX = 16,
};

struct lines {
    int from; /* read end of a pipe, non-blocking; -1: at its end */
    int to;   /* where the lines go */
    uint32_t prefix_bytes;
    uint32_t held; /* bytes in line[], which have no newline yet */
    char prefix[LINES_PREFIX_BYTES_MAX];
    char line[LINES_LINE_BYTES_MAX];
};

/* Takes over `from`, which becomes non-blocking. `prefix` is cut to fit. */
void lines_open(struct lines *lines, int from, int to, const char *prefix);

/*
 * Passes on at most LINES_LINE_BYTES_MAX bytes of what is there. Returns 1 when
 * bytes were read, 0 when there are none now or no more to come; then a
 * partial last line has been written and `from` is closed.
 */
int lines_forward(struct lines *lines);

/* Writes the partial line that is held and closes `from`. */
void lines_close(struct lines *lines);

#endif
