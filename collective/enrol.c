/* SPDX-License-Identifier: Apache-2.0 */
/* enrol.c - memory of the caller's that transports may use without a copy. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "comm.h"

static int withdraw(const struct ballot_comm *comm, int e, const void *memory)
{
    const struct transport *transport = comm->transports[e];

    return transport->withdraw == NULL
               ? 0
               : transport->withdraw(comm->endpoints[e], memory);
}

int ballot_mem_register(struct ballot_comm *comm, void *memory, size_t bytes,
                        bool writable)
{
    int rc = 0;

    if (comm == NULL || memory == NULL || bytes == 0)
        return -EINVAL;
    engine_lock();
    for (int e = 0; e < comm->endpoints_count && rc == 0; e++) {
        const struct transport *transport = comm->transports[e];

        if (transport->enrol == NULL)
            continue;
        rc = transport->enrol(comm->endpoints[e], memory, bytes, writable);
        if (rc < 0)
            report_error(comm,
                         "mem_register of %zu bytes for %s: %s (ulimit -l "
                         "says how much may be locked; each rank that is "
                         "reached so counts it once)",
                         bytes, transport->name, strerror(-rc));
        for (int before = e - 1; rc < 0 && before >= 0; before--)
            (void)withdraw(comm, before, memory);
    }
    engine_unlock();
    return rc;
}

int ballot_mem_deregister(struct ballot_comm *comm, void *memory)
{
    uint64_t deadline_ns;
    int rc = 0;

    if (comm == NULL || memory == NULL)
        return -EINVAL;
    deadline_ns =
        clock_now_ns() + (uint64_t)comm->settings.timeout_ms * 1000000;
    for (int e = 0; e < comm->endpoints_count && rc == 0; e++) {
        do {
            engine_lock();
            rc = withdraw(comm, e, memory);
            if (rc == -EBUSY)
                (void)advance_step(comm, clock_now_ns());
            engine_unlock();
            if (rc == -EBUSY)
                sched_yield();
        } while (rc == -EBUSY && clock_now_ns() < deadline_ns);
    }
    if (rc < 0)
        report_error(comm, "mem_deregister: %s",
                     rc == -ENOENT ? "this address was not registered"
                                   : strerror(-rc));
    return rc;
}
