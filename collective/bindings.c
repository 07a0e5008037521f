/* SPDX-License-Identifier: Apache-2.0 */
/* bindings.c - what libraries on top of ballot ask for. */
#include "../include/ballot_bindings.h"

#include <errno.h>
#include <string.h>

#include "../transport/variable.h"
#include "comm.h"

int ballot_set_variable(const char *name, const char *value)
{
    static const char prefix[] = "BALLOT_";

    if (name == NULL || strncmp(name, prefix, sizeof(prefix) - 1) != 0)
        return -EINVAL;
    return variable_stand_in(name, value);
}

const char *ballot_variable(const char *name)
{
    return name == NULL ? NULL : variable(name);
}

void ballot_note(enum ballot_note_level level, const char *text)
{
    report_debug(level == BALLOT_NOTE_INFO ? DEBUG_INFO : DEBUG_WARN, "%s",
                 text == NULL ? "" : text);
}
