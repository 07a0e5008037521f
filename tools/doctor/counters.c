/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.c - what RDMA hardware counted while something was tried.
 */
#include "counters.h"
#include "files.h"

#include <stdio.h>
#include <string.h>

/* Of mlx5 and its kind, then of rxe. */
static const char *const names[] = {
    "out_of_sequence",       "packet_seq_err",         "rnr_nak_retry_err",
    "local_ack_timeout_err", "rcvd_seq_err",           "completer_retry_err",
    "retry_exceeded_err",    "retry_rnr_exceeded_err",
};

static void read_counter(struct counters *counters, const struct device *device,
                         const struct port *port, const char *name,
                         const char *root)
{
    struct counter *counter = &counters->list[counters->count];
    long value = files_number(
        root, -1, "/sys/class/infiniband/%s/ports/%u/hw_counters/%s",
        device->name, port->number, name);

    if (value < 0 || counters->count == COUNTERS_MAX)
        return;
    snprintf(counter->device, sizeof(counter->device), "%s", device->name);
    snprintf(counter->name, sizeof(counter->name), "%s", name);
    counter->port = port->number;
    counter->value = (uint64_t)value;
    counters->count++;
}

void counters_read(struct counters *counters, const struct facts *facts,
                   const char *root)
{
    counters->count = 0;
    for (uint32_t d = 0; d < facts->devices_count; d++)
        for (uint32_t p = 0; p < facts->devices[d].ports_count; p++)
            for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
                read_counter(counters, &facts->devices[d],
                             &facts->devices[d].ports[p], names[n], root);
}

static uint64_t value_in(const struct counters *counters,
                         const struct counter *like)
{
    for (uint32_t i = 0; i < counters->count; i++) {
        const struct counter *counter = &counters->list[i];

        if (counter->port == like->port &&
            strcmp(counter->device, like->device) == 0 &&
            strcmp(counter->name, like->name) == 0)
            return counter->value;
    }
    return 0;
}

void counters_gain(struct counters *later, const struct counters *earlier)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < later->count; i++) {
        struct counter counter = later->list[i];
        uint64_t before = value_in(earlier, &counter);

        if (counter.value <= before)
            continue;
        counter.value -= before;
        later->list[kept++] = counter;
    }
    later->count = kept;
}
