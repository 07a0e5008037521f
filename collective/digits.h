/* SPDX-License-Identifier: Apache-2.0 */
/* digits.h - bytes as text, for managers that carry nothing else. */
#ifndef BALLOT_COLLECTIVE_DIGITS_H
#define BALLOT_COLLECTIVE_DIGITS_H

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

/* text[2 * count + 1] */
static inline void digits_write(char *text, const void *bytes, size_t count)
{
    sodium_bin2hex(text, 2 * count + 1, bytes, count);
}

/* false: it is not exactly `count` bytes, which are then undefined. */
static inline bool digits_read(void *bytes, size_t count, const char *text)
{
    size_t read = 0;

    return strlen(text) == 2 * count &&
           sodium_hex2bin(bytes, count, text, 2 * count, NULL, &read, NULL) ==
               0 &&
           read == count;
}

#endif
