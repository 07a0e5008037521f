/* SPDX-License-Identifier: Apache-2.0 */
/* flows.c - the flows of a communicator: when one begins, fails, is too late.
 */
#include <errno.h>

#include "comm.h"

void flows_finish(struct ballot_request *r, int result)
{
    r->flowed = true;
    r->flow_result = result;
    if (r->entered || !r->enters)
        queue_finish(r, result);
}

/* Nothing of it was sent. */
static void refuse_exchange(struct ballot_comm *comm, struct ballot_request *r,
                            int rc)
{
    if (rc == -E2BIG)
        report_error(comm,
                     "%s: %u sends and receives in a group are too many; "
                     "divide it",
                     r->name, r->flow.messages_count);
    else
        report_error(comm,
                     "%s: a rank's sends to itself need as many receives of "
                     "equal count and type in the same group",
                     r->name);
    queue_finish(r, rc);
}

void flows_abandon(struct ballot_comm *comm, int result)
{
    flow_abandon(comm->flow);
    if (comm->flows_ended == 0)
        comm->flows_ended = result;
}

/* What ranks have sent and not taken is in the way of every later one. */
static void refuse_flow(struct ballot_comm *comm, struct ballot_request *r)
{
    report_error(comm,
                 "%s: an earlier call that needs every rank has failed (%s), "
                 "and only votes can go on; make another communicator "
                 "(ballot_comm_shrink)",
                 r->name, ballot_error_string(comm->flows_ended));
    flows_finish(r, comm->flows_ended);
}

/* One flow at a time, in the order of the calls. */
bool flows_start(struct ballot_comm *comm, uint64_t now_ns)
{
    struct ballot_request *r;
    int rc;

    if (flow_progress(comm->flow) != UINT64_MAX)
        return false;
    r = queue_oldest_flow(comm);
    /* With a quorum the call may be ours alone: then nothing may be sent. */
    if (r == NULL || r->flowing || (r->enters && !r->entered))
        return false;
    r->flowing = true;
    rc = comm->dead_count > 0 ? -ENOTCONN
                              : flow_begin(comm->flow, now_ns, &r->flow);
    if (comm->tells && rc == 0)
        report_way(comm, r);
    if (rc == -EINVAL || rc == -E2BIG)
        refuse_exchange(comm, r, rc);
    else if (rc == -EBUSY)
        refuse_flow(comm, r);
    else if (rc < 0)
        loss_fails_flow(comm, r);
    return true;
}

/* Ranks have called different things: no stream is in order any more. */
static void flow_fails(struct ballot_comm *comm,
                       const struct difference *difference)
{
    struct ballot_request *r = queue_oldest_flow(comm);
    int rc =
        report_difference(comm, r == NULL ? "a call" : r->name, difference);

    if (comm->settings.quorum == 0) {
        comm->farewell = STATUS_DIFFERS;
        comm->difference = *difference;
        advance_fail(comm, rc);
        return;
    }
    flows_abandon(comm, rc);
    if (r != NULL)
        flows_finish(r, rc);
}

void flows_check(struct ballot_comm *comm, uint64_t now_ns)
{
    struct difference difference;

    if (flow_differs(comm->flow, &difference))
        flow_fails(comm, &difference);
    else if (flow_suspects(comm->flow))
        control_ask(comm, now_ns, now_ns);
}

/* ---- Deadlines ---- */

void flows_tick(struct ballot_comm *comm, uint64_t now_ns)
{
    const uint64_t timeout = (uint64_t)comm->settings.timeout_ms * 1000000;
    uint64_t at = flow_progress(comm->flow);
    struct rank_mask missing = {0};
    struct difference difference;
    struct ballot_request *r;
    char names[256];
    bool behind;

    if (at == UINT64_MAX)
        return;
    at += timeout;
    if (now_ns >= advance_early(comm, at))
        control_ask(comm, now_ns, advance_early(comm, at));
    if (now_ns < at)
        return;
    control_confirm(comm, now_ns, advance_early(comm, at), at);
    if (now_ns < control_answers_ns(comm))
        return;
    if (waits_cross(comm, &difference)) {
        flow_fails(comm, &difference);
        return;
    }
    r = queue_oldest_flow(comm);
    flow_awaited(comm->flow, &missing);
    behind = control_blame(comm, &missing);
    report_members(names, sizeof(names), comm, &missing);
    report_error(comm, "%s: nothing moved for %u ms; missing: %s%s",
                 r == NULL ? "a call" : r->name, comm->settings.timeout_ms,
                 names, behind ? ", who have not called it" : "");
    advance_fail(comm, -ETIMEDOUT);
}

uint64_t flows_deadline(const struct ballot_comm *comm)
{
    const uint64_t timeout = (uint64_t)comm->settings.timeout_ms * 1000000;
    uint64_t at = flow_progress(comm->flow), answers;

    if (at == UINT64_MAX)
        return at;
    at += timeout;
    if (comm->asked_ns < advance_early(comm, at))
        return advance_early(comm, at);
    answers = control_answers_ns(comm);
    return answers > at ? answers : at;
}
