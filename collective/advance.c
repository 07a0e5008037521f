/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advance.c - one step of one communicator: what arrived goes to whom it
 * concerns, then at most one chunk of work is done.
 */
#include <errno.h>
#include <string.h>

#include "comm.h"

enum {
    EVENTS_MAX = 32,
    PING_MARGIN_NS = 200000000, /* after which who was asked is missing */
};

/* ---- Control ---- */

static void put_control(struct ballot_comm *comm, uint32_t peer,
                        enum control control)
{
    const struct link *link = &comm->links[peer];
    uint32_t slot = lane_first(comm->settings.window, LANE_CONTROL) + control;
    struct header header = {
        .magic = HEADER_MAGIC,
        .epoch = comm->epoch,
        .kind = HEADER_CONTROL,
        .status = comm->failed == 0 ? STATUS_OK : STATUS_DEAD,
        .rank = RANKS_MAX,
    };
    void *place = link_stage(link, slot);

    if (place == NULL)
        return;
    /* A rank that has failed says whom it blames. */
    for (uint32_t r = comm->ranks; comm->failed != 0 && r-- > 0;)
        if (mask_has(&comm->dead, r))
            header.rank = r;
    memcpy(place, &header, sizeof(header));
    if (link_put(link, slot, sizeof(header)) == 0)
        comm->control_puts++;
}

void advance_tell_all(struct ballot_comm *comm, enum control control)
{
    for (uint32_t r = 0; r < comm->ranks; r++)
        if (r != comm->rank)
            put_control(comm, r, control);
}

static void goodbye(struct ballot_comm *comm, uint32_t peer,
                    const struct header *header)
{
    mask_set(&comm->departed, peer);
    if (comm->leaving || comm->failed != 0 || header->status == STATUS_OK ||
        comm->settings.quorum != 0)
        return;
    if (header->rank < comm->ranks && header->rank != comm->rank) {
        mask_set(&comm->dead, header->rank);
        report_error(comm,
                     "rank %u (%s) is gone, as rank %u noticed; this "
                     "communicator has ended",
                     header->rank, comm->hosts[header->rank], peer);
    } else {
        report_error(comm,
                     "rank %u (%s) has ended the communicator after an error; "
                     "see its last error",
                     peer, comm->hosts[peer]);
    }
    advance_fail(comm, -ENOTCONN);
}

static void control_arrived(struct ballot_comm *comm, const struct event *event,
                            uint32_t control)
{
    struct header header;

    memcpy(&header, event->memory, sizeof(header));
    if (header.magic != HEADER_MAGIC || header.kind != HEADER_CONTROL ||
        header.epoch != comm->epoch) {
        comm->control_dropped++;
        return;
    }
    switch ((enum control)control) {
    case CONTROL_GOODBYE: goodbye(comm, event->peer, &header); break;
    case CONTROL_PING: put_control(comm, event->peer, CONTROL_PONG); break;
    case CONTROL_PONG: mask_set(&comm->ponged, event->peer); break;
    }
}

/* ---- Events ---- */

static void peer_lost(struct ballot_comm *comm, uint64_t now_ns,
                      const struct event *event)
{
    uint32_t peer = event->peer;
    bool needed = comm->settings.quorum == 0 || peer == 0;

    if (comm->links[peer].lost)
        return;
    comm->links[peer].lost = true;
    mask_set(&comm->dead, peer);
    comm->dead_count++;
    if (comm->serve != NULL)
        serve_lost(comm->serve, now_ns, peer);
    if (comm->leaving || comm->failed != 0)
        return;
    /* Who said goodbye first is not missed before somebody calls again. */
    report_debug(DEBUG_INFO, "rank %u: lost rank %u (%s): %s", comm->rank, peer,
                 comm->hosts[peer], strerror(-event->reason));
    if (!needed)
        return;
    report_error(comm, "rank %u (%s) %s: %s; this communicator has ended", peer,
                 comm->hosts[peer],
                 mask_has(&comm->departed, peer) ? "has left" : "is gone",
                 strerror(-event->reason));
    advance_fail(comm, -ENOTCONN);
}

static void dispatch(struct ballot_comm *comm, uint64_t now_ns,
                     const struct event *event)
{
    uint32_t index;
    enum lane lane;

    if (event->kind == EVENT_LOST) {
        peer_lost(comm, now_ns, event);
        return;
    }
    lane = lane_of(comm->settings.window, event->slot, &index);
    switch (lane) {
    case LANE_VOTE:
        if (comm->serve != NULL)
            serve_arrived(comm->serve, now_ns, event, index);
        else
            comm->control_dropped++;
        break;
    case LANE_RESULT:
        if (event->peer < comm->servers)
            majority_arrived(comm->majority, event, index);
        else
            comm->control_dropped++;
        break;
    case LANE_STREAM: ring_arrived(comm->ring, event, index); break;
    case LANE_CREDIT: ring_credited(comm->ring, event); break;
    case LANE_CONTROL: control_arrived(comm, event, index); break;
    }
}

static bool take_events(struct ballot_comm *comm, uint64_t now_ns)
{
    struct event events[EVENTS_MAX];
    bool moved = false;

    for (int e = 0; e < comm->endpoints_count; e++) {
        int count =
            comm->transports[e]->poll(comm->endpoints[e], events, EVENTS_MAX);

        for (int i = 0; i < count; i++)
            dispatch(comm, now_ns, &events[i]);
        moved |= count > 0;
    }
    return moved;
}

/* ---- Requests ---- */

static void finish(struct ballot_request *request, int result)
{
    struct ballot_comm *comm = request->comm;

    request->result = result;
    pthread_mutex_lock(&comm->queue_lock);
    request->state = REQUEST_DONE;
    pthread_mutex_unlock(&comm->queue_lock);
    comm->active--;
    atomic_store(&request->done, true);
    engine_announce();
}

/* The oldest request in `state`; with the queue's lock or for ACTIVE ones. */
static struct ballot_request *oldest(struct ballot_comm *comm, int state,
                                     bool ring)
{
    struct ballot_request *found = NULL;

    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct ballot_request *r = &comm->requests[i];

        if ((int)r->state == state &&
            (!ring || (r->kind == REQUEST_RING && !r->circled)) &&
            (found == NULL || r->order < found->order))
            found = r;
    }
    return found;
}

static void start_requests(struct ballot_comm *comm)
{
    while (atomic_load(&comm->queued) > 0) {
        struct ballot_request *r;
        int rc = comm->failed;

        pthread_mutex_lock(&comm->queue_lock);
        r = oldest(comm, REQUEST_QUEUED, false);
        pthread_mutex_unlock(&comm->queue_lock);
        if (r == NULL)
            return;
        if (rc == 0)
            rc = majority_begin(comm->majority, &r->call);
        if (rc == -EAGAIN)
            return; /* rounds are drained, or a fused step is under way */
        pthread_mutex_lock(&comm->queue_lock);
        r->state = REQUEST_ACTIVE;
        pthread_mutex_unlock(&comm->queue_lock);
        atomic_fetch_sub(&comm->queued, 1);
        comm->active++;
        if (rc < 0)
            finish(r, rc);
    }
}

/* The ring works on one operation at a time, in the order of the calls. */
static bool start_ring(struct ballot_comm *comm, uint64_t now_ns)
{
    struct ballot_request *r;

    if (ring_progress(comm->ring) != UINT64_MAX)
        return false;
    r = oldest(comm, REQUEST_ACTIVE, true);
    if (r == NULL || r->ringing)
        return false;
    if (ring_begin(comm->ring, now_ns, &r->ring) < 0) {
        /* A rank of the ring has died: nothing goes around any more. */
        finish(r, -ENOTCONN);
        return true;
    }
    r->ringing = true;
    return true;
}

static void keep_round(struct ballot_comm *comm, const struct majority_end *end)
{
    struct ballot_round *round = &comm->round;

    *round = (struct ballot_round){
        .round = end->round,
        .voters_every = mask_count(&end->every),
        .voters_some = mask_count(&end->some),
        .voters_least = end->least,
        .lost = comm->dead_count,
    };
    memcpy(round->every, end->every.words, sizeof(round->every));
    memcpy(round->some, end->some.words, sizeof(round->some));
    memcpy(round->dead, comm->dead.words, sizeof(round->dead));
    comm->rounds++;
}

static void vote_ended(struct ballot_comm *comm, const struct majority_end *end)
{
    struct ballot_request *r = end->context;
    int rc = 0;

    if (end->status != STATUS_OK) {
        rc = report_end(comm, r, end);
        if (comm->settings.quorum == 0 || end->timed_out) {
            finish(r, rc);
            advance_fail(comm, rc);
            return;
        }
    } else if (r->kind == REQUEST_MAJORITY) {
        keep_round(comm, end);
        if (comm->settings.same_voters != 0 &&
            memcmp(&end->every, &end->some, sizeof(end->every)) != 0) {
            report_error(comm,
                         "round %llu was not decided by the same voters in "
                         "every chunk, as same_voters demands",
                         (unsigned long long)end->round);
            rc = -EPROTO;
        }
    } else if (r->kind == REQUEST_RING && !r->circled) {
        r->entered = true;
        return;
    }
    if (rc < 0 && r->ringing && !r->circled)
        ring_abandon(comm->ring);
    finish(r, rc);
}

static void take_ends(struct ballot_comm *comm)
{
    struct majority_end end;
    struct ballot_request *r;

    while (comm->failed == 0 && majority_ended(comm->majority, &end))
        vote_ended(comm, &end);
    r = ring_ended(comm->ring);
    if (r == NULL || comm->failed != 0)
        return;
    r->circled = true;
    if (r->entered)
        finish(r, 0);
}

/* ---- Deadlines ---- */

static uint64_t timeout_ns(const struct ballot_comm *comm)
{
    return (uint64_t)comm->settings.timeout_ms * 1000000;
}

/* A ring that stands still does not say because of whom: all are asked whether
 * they are there, and who does not answer is named. */
static void ring_tick(struct ballot_comm *comm, uint64_t now_ns)
{
    uint64_t progress = ring_progress(comm->ring);
    struct ballot_request *r;
    char missing[256];

    if (progress == UINT64_MAX || now_ns - progress < timeout_ns(comm)) {
        comm->ping_ns = 0;
        return;
    }
    if (comm->ping_ns == 0) {
        comm->ping_ns = now_ns;
        comm->ponged = (struct rank_mask){0};
        mask_set(&comm->ponged, comm->rank);
        advance_tell_all(comm, CONTROL_PING);
        return;
    }
    if (now_ns - comm->ping_ns < PING_MARGIN_NS)
        return;
    r = oldest(comm, REQUEST_ACTIVE, true);
    if (mask_count(&comm->ponged) == comm->ranks)
        mask_clear(&comm->ponged, (comm->rank + comm->ranks - 1) % comm->ranks);
    report_ranks(missing, sizeof(missing), &comm->ponged, comm->ranks, false);
    report_error(comm, "%s: nothing moved for %u ms; missing: %s",
                 r == NULL ? "ring" : r->name, comm->settings.timeout_ms,
                 missing);
    advance_fail(comm, -ETIMEDOUT);
}

static void tick(struct ballot_comm *comm, uint64_t now_ns)
{
    if (comm->serve != NULL)
        serve_tick(comm->serve, now_ns);
    if (comm->failed != 0)
        return;
    majority_tick(comm->majority, now_ns);
    ring_tick(comm, now_ns);
}

uint64_t advance_deadline(const struct ballot_comm *comm)
{
    uint64_t at = UINT64_MAX, next;

    if (comm->serve != NULL)
        at = serve_deadline(comm->serve);
    if (comm->failed != 0)
        return at;
    next = majority_deadline(comm->majority);
    at = next < at ? next : at;
    next = ring_progress(comm->ring);
    if (next == UINT64_MAX)
        return at;
    next = comm->ping_ns == 0 ? next + timeout_ns(comm)
                              : comm->ping_ns + PING_MARGIN_NS;
    return next < at ? next : at;
}

/* ---- The step ---- */

/* In finalize: nobody needs us any more, and what we said has left. */
static void check_left(struct ballot_comm *comm)
{
    if (atomic_load(&comm->left))
        return;
    for (uint32_t r = 0; r < comm->ranks && comm->failed == 0; r++)
        if (r != comm->rank && !mask_has(&comm->departed, r) &&
            !comm->links[r].lost)
            return;
    for (int e = 0; e < comm->endpoints_count; e++)
        if (comm->transports[e]->busy(comm->endpoints[e]))
            return;
    atomic_store(&comm->left, true);
    engine_announce();
}

/* At most one chunk of work, for others first. */
static bool work(struct ballot_comm *comm, uint64_t now_ns)
{
    bool moved = comm->serve != NULL && serve_step(comm->serve, now_ns);

    if (!moved && comm->failed == 0)
        moved = majority_step(comm->majority, now_ns) ||
                start_ring(comm, now_ns) || ring_step(comm->ring, now_ns);
    take_ends(comm);
    return moved;
}

bool advance_step(struct ballot_comm *comm, uint64_t now_ns)
{
    bool moved;

    if (atomic_load(&comm->aborted) && comm->failed == 0) {
        report_error(comm, "ballot_comm_abort() was called on this rank");
        advance_fail(comm, -ECANCELED);
    }
    moved = take_events(comm, now_ns);
    start_requests(comm);
    moved |= work(comm, now_ns);
    if (moved)
        return true;
    /* Only when all that came was seen: after a stop of our own process a
     * deadline may have passed that others have kept. */
    tick(comm, now_ns);
    moved = work(comm, now_ns);
    if (comm->leaving && !moved)
        check_left(comm);
    return moved;
}

bool advance_busy(const struct ballot_comm *comm)
{
    if (comm->active > 0 || atomic_load(&comm->queued) > 0)
        return true;
    for (int e = 0; e < comm->endpoints_count; e++)
        if (comm->transports[e]->busy(comm->endpoints[e]))
            return true;
    return false;
}

void advance_fail(struct ballot_comm *comm, int error)
{
    if (comm->failed != 0)
        return;
    comm->failed = error;
    majority_abandon(comm->majority);
    ring_abandon(comm->ring);
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (comm->requests[i].state == REQUEST_ACTIVE)
            finish(&comm->requests[i], error);
    /* In a quorum the others go on without us. */
    advance_tell_all(comm, CONTROL_GOODBYE);
}
