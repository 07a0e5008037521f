/* SPDX-License-Identifier: Apache-2.0 */
/* verbs_settings.c - the BALLOT_IB_ variables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "variable.h"
#include "verbs_settings.h"

/* An unset or empty variable leaves *value alone. */
static int read_number(const char *name, long least, long most, long *value,
                       const char *hint, char why[WHY_BYTES])
{
    const char *text = variable(name);
    char *end;
    long number;

    if (text == NULL || *text == '\0')
        return 0;
    errno = 0;
    number = strtol(text, &end, 10);
    if (errno == 0 && *end == '\0' && number >= least && number <= most) {
        *value = number;
        return 0;
    }
    snprintf(why, WHY_BYTES, "%s=%s is not a number from %ld to %ld%s", name,
             text, least, most, hint);
    return -EINVAL;
}

int verbs_settings_read(struct verbs_settings *settings, char why[WHY_BYTES])
{
    long gid_index = -1, traffic_class = -1, service_level = -1;
    long timeout = 16, retries = 6, stripes = 1, seal = 0;
    struct {
        const char *name;
        long least, most, *value;
        const char *hint;
    } numbers[] = {
        {"BALLOT_IB_GID_INDEX", -1, 255, &gid_index, ""},
        {"BALLOT_IB_TC", 0, 255, &traffic_class, ""},
        {"BALLOT_IB_SL", 0, 15, &service_level, ""},
        {"BALLOT_IB_TIMEOUT", 1, 24, &timeout, " (0 would wait for ever)"},
        {"BALLOT_IB_RETRY_CNT", 0, 6, &retries,
         " (7 has no end on some devices)"},
        {"BALLOT_IB_QPS_PER_CONNECTION", 1, VERBS_STRIPES_MAX, &stripes, ""},
        {"BALLOT_IB_SEAL", 0, 1, &seal, ""},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int rc = read_number(numbers[i].name, numbers[i].least, numbers[i].most,
                             numbers[i].value, numbers[i].hint, why);

        if (rc != 0)
            return rc;
    }
    *settings = (struct verbs_settings){
        .devices = variable("BALLOT_IB_HCA"),
        .gid_index = (int)gid_index,
        .traffic_class = (int)traffic_class,
        .service_level = (int)service_level,
        .timeout = (uint8_t)timeout,
        .retries = (uint8_t)retries,
        .stripes = (uint32_t)stripes,
        .seal = seal != 0,
    };
    return 0;
}

/* Whether one entry, "name" or "name:port", names this port. */
static bool names(const char *entry, size_t length, bool whole,
                  const char *device, uint32_t port)
{
    const char *colon = memchr(entry, ':', length);
    size_t name_length = colon != NULL ? (size_t)(colon - entry) : length;

    if (colon != NULL && strtoul(colon + 1, NULL, 10) != port)
        return false;
    return strncmp(entry, device, name_length) == 0 &&
           (!whole || device[name_length] == '\0');
}

bool verbs_settings_allow(const struct verbs_settings *settings,
                          const char *device, uint32_t port)
{
    const char *entry = settings->devices;
    bool excluded, whole, named = false;

    if (entry == NULL || *entry == '\0')
        return true;
    excluded = *entry == '^';
    entry += excluded;
    whole = *entry == '=';
    entry += whole;
    while (*entry != '\0') {
        size_t length = strcspn(entry, ",");

        named |= length > 0 && names(entry, length, whole, device, port);
        entry += length;
        entry += *entry == ',';
    }
    return named != excluded;
}
