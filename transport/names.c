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
