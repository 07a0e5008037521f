/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - ranks in words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "names.h"

void names_append(char *text, size_t bytes, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + used, bytes - used, format, arguments);
    va_end(arguments);
}

void names_append_ranks(char *text, size_t bytes, size_t spare,
                        const bool *named, uint32_t ranks)
{
    enum { NAME_BYTES_MAX = sizeof(", 4294967295-4294967295, ...") };
    const char *separator = "";
    uint32_t last;

    for (uint32_t first = 0; first < ranks; first = last + 1) {
        last = first;
        if (!named[first])
            continue;
        if (strlen(text) + NAME_BYTES_MAX + spare > bytes) {
            names_append(text, bytes, "%s...", separator);
            break;
        }
        while (last + 1 < ranks && named[last + 1])
            last++;
        names_append(text, bytes, first == last ? "%s%u" : "%s%u-%u", separator,
                     first, last);
        separator = ", ";
    }
    names_append(text, bytes, " of %u ranks", ranks);
}

void names_append_missing(char *text, size_t bytes, const bool *missing,
                          uint32_t ranks, uint32_t servers, uint64_t strangers)
{
    enum { CURE_BYTES = 220 };
    uint32_t workers = servers < ranks ? ranks - servers : ranks;

    names_append(text, bytes, "missing: ");
    if (workers == ranks || memchr(missing, true, workers) != NULL)
        names_append_ranks(text, bytes, CURE_BYTES, missing, workers);
    else
        names_append(text, bytes, "no rank");
    for (uint32_t m = workers; m < ranks; m++)
        if (missing[m] && strlen(text) + CURE_BYTES < bytes)
            names_append(text, bytes, ", server %u", m - workers);
    names_append(text, bytes,
                 servers > 0
                     ? "; did they start, and can they reach the first of"
                       " BALLOT_SERVERS? A server serves one job at a time."
                     : "; did they start, and can they reach the same"
                       " BALLOT_ROOT?");
    if (strangers != 0)
        names_append(text, bytes,
                     " %llu connections did not prove the key: is"
                     " BALLOT_KEY_FILE the same on all ranks?",
                     (unsigned long long)strangers);
}
