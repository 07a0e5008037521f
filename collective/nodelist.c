/* SPDX-License-Identifier: Apache-2.0 */
/* nodelist.c - the lists of hosts that Slurm writes. */
#include "nodelist.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { NAME_BYTES = 256 };

/* The first host as it grows; what follows in the list is only checked. */
struct growing {
    char name[NAME_BYTES];
    size_t bytes;
};

static const char digits[] = "0123456789";
static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789-_.";

static bool grow(struct growing *first, const char *text, size_t bytes)
{
    if (first == NULL)
        return true;
    if (bytes >= sizeof(first->name) - first->bytes)
        return false;
    memcpy(first->name + first->bytes, text, bytes);
    first->bytes += bytes;
    first->name[first->bytes] = '\0';
    return true;
}

/* Digits, of which the first number of a bracket is part of the first host. */
static const char *take_number(const char *at, struct growing *first)
{
    size_t bytes = strspn(at, digits);

    return bytes > 0 && grow(first, at, bytes) ? at + bytes : NULL;
}

/* "[07-12,20]"; NULL: it is none. */
static const char *take_bracket(const char *at, struct growing *first)
{
    do {
        at = take_number(at + 1, first);
        first = NULL;
        if (at != NULL && *at == '-')
            at = take_number(at + 1, NULL);
    } while (at != NULL && *at == ',');
    return at != NULL && *at == ']' ? at + 1 : NULL;
}

/* One name, up to its comma or the end. */
static const char *take_name(const char *at, struct growing *first)
{
    const char *begin = at;

    while (at != NULL && *at != '\0' && *at != ',') {
        size_t bytes = strspn(at, name_characters);

        if (bytes > 0)
            at = grow(first, at, bytes) ? at + bytes : NULL;
        else
            at = *at == '[' ? take_bracket(at, first) : NULL;
    }
    return at == begin ? NULL : at;
}

int nodelist_first(const char *list, char *host, size_t host_bytes)
{
    struct growing first = {.bytes = 0};
    const char *at = take_name(list, &first);

    while (at != NULL && *at == ',')
        at = take_name(at + 1, NULL);
    if (at == NULL || first.bytes >= host_bytes)
        return -EINVAL;
    memcpy(host, first.name, first.bytes + 1);
    return 0;
}
