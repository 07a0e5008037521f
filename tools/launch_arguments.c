/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch_arguments.c - numbers and words on a launcher's command line.
 */
#include "launch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS_MAX = 1000000 };

bool launch_seconds(const char *text, uint32_t *ms)
{
    char *end;
    double seconds = strtod(text, &end);

    /* Written so that NaN fails too. */
    if (end == text || *end != '\0' ||
        !(seconds >= 0.001 && seconds <= SECONDS_MAX))
        return false;
    *ms = (uint32_t)(seconds * 1000);
    return true;
}

bool launch_count(const char *text, int least, int most, int *count)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least ||
        value > most)
        return false;
    *count = (int)value;
    return true;
}

bool launch_binding(const char *text, bool *bound)
{
    if (strcmp(text, "core") != 0 && strcmp(text, "none") != 0)
        return false;
    *bound = strcmp(text, "core") == 0;
    return true;
}
