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
    LOOKS = 20000,     /* for answers, if they come: some 20 to 200 us */
    LOOKS_IDLE = 2000, /* without any */
    YIELDS = 2000,     /* the ranks that must answer may need this core */
};

bool express_has(const struct ballot_request *request)
{
    return request == &request->comm->express;
}

struct ballot_request *express_take(struct ballot_comm *comm)
{
    struct ballot_request *r = &comm->express;

    if (comm->settings.quorum != 0 || atomic_load(&comm->express_taken) ||
        atomic_load(&comm->queued) > 0 || !engine_try_role())
        return NULL;
    if (comm->failed != 0 || comm->active_count > 0 || comm->holding ||
        atomic_load(&comm->queued) > 0 || atomic_load(&comm->express_taken) ||
        atomic_load(&comm->aborted)) {
        engine_give_role();
        return NULL;
    }
    atomic_store(&comm->express_taken, true);
    r->comm = comm;
    r->entered = r->flowed = r->flowing = false;
    r->result = r->flow_result = 0;
    atomic_store(&r->done, false);
    return r;
}

/* Whether its flow has ended. */
static bool look(struct ballot_comm *comm, struct ballot_request *r)
{
    bool crowded = engine_crowded();
    int most = crowded ? YIELDS : LOOKS_IDLE;

    for (int looks = 0, idle = 0;
         looks < LOOKS && idle < most && !engine_wanted(); looks++) {
        bool moved = advance_take_events(comm, r->begun_ns);

        while (comm->failed == 0 && flow_step(comm->flow, r->begun_ns) > 0)
            moved = true;
        if (comm->failed != 0)
            return false;
        if (flow_ended(comm->flow) != NULL)
            return true;
        idle = moved ? 0 : idle + 1;
        if (!moved && crowded)
            sched_yield();
        else if (!moved)
            relax();
    }
    return false;
}

int express_run(struct ballot_request *request)
{
    struct ballot_comm *comm = request->comm;

    request->state = REQUEST_ACTIVE;
    request->begun_ns = engine_now();
    comm->active[comm->active_count++] = request;
    advance_number(comm, request);
    request->flowing =
        flow_begin(comm->flow, request->begun_ns, &request->flow) == 0;
    /* What else comes meanwhile is for the next step. */
    comm->quiet = false;
    if (request->flowing && request->flow.count <= BYTES / request->flow.unit &&
        look(comm, request)) {
        comm->active_count = 0;
        request->state = REQUEST_FREE;
        atomic_store(&comm->express_taken, false);
        engine_give_role();
        return 0;
    }
    engine_give_role();
    return ballot_wait(&request);
}
