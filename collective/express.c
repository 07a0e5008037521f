/* SPDX-License-Identifier: Apache-2.0 */
/*
 * express.c - small calls that need nothing but an answer.
 *
 * What a call costs besides its messages (queues, the clock, a look at votes
 * and deadlines) is more than what a short message takes between two cores. So
 * a blocking call that finds the engine idle and nothing else under way begins
 * its flow itself and looks for answers alone. It does so for a moment only:
 * then it is a request like any other.
 */
#include <sched.h>

#include "comm.h"
#include "relax.h"

enum {
    BYTES = 256 << 10, /* of what is small */
    /* The same where ranks share cores and messages are system calls: who looks
     * here gives its core away at once, and does not spin first. */
    CROWDED_BYTES = 1 << 20,
    LOOKS = 20000,     /* for answers, if they come: some 20 to 200 us */
    LOOKS_IDLE = 2000, /* without any */
    YIELDS = 2000,     /* the ranks that must answer may need this core */
    BRIEF_LOOKS = 32,
    BRIEF_YIELDS = 8,
};

/* Only then does ballot_wait() come in: the request itself has deadlines. */
static const uint64_t MOST_NS = UINT64_C(3600000000000);

bool express_has(const struct ballot_request *request)
{
    return request == &request->comm->express;
}

struct ballot_request *express_take(struct ballot_comm *comm)
{
    struct ballot_request *r = &comm->express;

    if (comm->settings.quorum != 0 || !engine_try_role())
        return NULL;
    if (comm->failed != 0 || comm->active_count > 0 || comm->holding ||
        atomic_load(&comm->queued) > 0 || atomic_load(&comm->express_taken) ||
        atomic_load(&comm->aborted)) {
        engine_give_role();
        return NULL;
    }
    /* The lock orders it for others. */
    atomic_store_explicit(&comm->express_taken, true, memory_order_relaxed);
    r->comm = comm;
    r->entered = r->flowed = r->flowing = false;
    r->result = r->flow_result = 0;
    atomic_store_explicit(&r->done, false, memory_order_relaxed);
    return r;
}

static bool is_small(const struct ballot_comm *comm,
                     const struct ballot_request *r)
{
    uint64_t most = comm->crowded ? CROWDED_BYTES : BYTES;

    return r->flow.count <= most / r->flow.unit;
}

/* Whether its flow has ended. What is not its messages is looked at rarely,
 * where these come by themselves. */
static bool look(struct ballot_comm *comm, struct ballot_request *r)
{
    bool crowded = engine_crowded(), brief = flow_is_brief(comm->flow);
    int most = crowded ? YIELDS : LOOKS_IDLE;
    int every = crowded ? BRIEF_YIELDS : BRIEF_LOOKS;

    for (int looks = 0, idle = 0;
         looks < LOOKS && idle < most && !engine_wanted(); looks++) {
        bool moved = false, stepped;

        if (!brief)
            moved = advance_take_events(comm, r->begun_ns);
        else if (looks % every == every - 1)
            moved = advance_take_events(comm, clock_now_ns());

        if (comm->failed != 0)
            return false;
        do {
            stepped = flow_step(comm->flow, r->begun_ns) > 0;
            moved |= stepped;
            if (flow_ended(comm->flow) != NULL)
                return true;
        } while (stepped);
        idle = moved ? 0 : idle + 1;
        /* What could be done was. */
        if (crowded && (brief || !moved))
            sched_yield();
        else if (!moved)
            relax();
    }
    return false;
}

int express_run(struct ballot_request *request)
{
    struct ballot_comm *comm = request->comm;

    request->taken = true;
    comm->active[comm->active_count++] = request;
    advance_number(comm, request);
    request->flowing = flow_begin(comm->flow, 0, &request->flow) == 0;
    if (comm->tells && request->flowing)
        report_way(comm, request);
    /* Of brief messages only who waits needs to know for how long. */
    request->begun_ns = flow_is_brief(comm->flow) ? 0 : clock_now_ns();
    /* What else comes meanwhile is for the next step. */
    comm->quiet = false;
    if (request->flowing && is_small(comm, request) && look(comm, request)) {
        comm->active_count = 0;
        request->taken = false;
        atomic_store_explicit(&comm->express_taken, false,
                              memory_order_relaxed);
        engine_give_role();
        return 0;
    }
    request->begun_ns = clock_now_ns();
    flow_wait_from(comm->flow, request->begun_ns);
    /* Were the role free in between, the thread would be woken to take it. */
    engine_drive_on(&request->done, request->begun_ns + MOST_NS);
    return ballot_wait(&request);
}
