/* SPDX-License-Identifier: Apache-2.0 */
/* loss.c - what the death of a peer means for who is left. */
#include <errno.h>
#include <string.h>

#include "comm.h"

void loss_fails_flow(struct ballot_comm *comm, struct ballot_request *r)
{
    report_error(comm,
                 "%s: a rank has died (%u in all); all but votes need every "
                 "rank",
                 r->name, comm->dead_count);
    flows_abandon(comm, -ENOTCONN);
    flows_finish(r, -ENOTCONN);
}

/* The one that is under way, if any. */
static void fail_flows(struct ballot_comm *comm)
{
    struct ballot_request *r = queue_oldest_flow(comm);

    if (r != NULL && r->flowing)
        loss_fails_flow(comm, r);
}

void loss_of_peer(struct ballot_comm *comm, uint64_t now_ns,
                  const struct event *event)
{
    uint32_t peer = event->peer;
    bool needed = comm->settings.quorum == 0 || comm_serves(comm, peer);
    char member[MEMBER_BYTES];

    if (comm->links[peer].lost)
        return;
    comm->links[peer].lost = true;
    mask_set(&comm->dead, peer);
    comm->dead_count++;
    membership_wake(comm, true);
    if (comm->serve != NULL)
        serve_lost(comm->serve, now_ns, peer);
    if (comm->leaving || comm->failed != 0)
        return;
    /* Who said goodbye first is not missed before somebody calls again. */
    report_debug(DEBUG_INFO, "rank %u: lost %s: %s", comm->rank,
                 report_member(comm, peer, member), strerror(-event->reason));
    if (!needed) {
        fail_flows(comm);
        return;
    }
    report_error(comm, "%s %s: %s; this communicator has ended",
                 report_member(comm, peer, member),
                 mask_has(&comm->departed, peer) ? "has left" : "is gone",
                 strerror(-event->reason));
    advance_fail(comm, -ENOTCONN);
}
