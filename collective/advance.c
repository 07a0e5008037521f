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
    BUSY_STEPS = 1000,     /* so many in a row, then deadlines are looked at */
    STEP_BYTES = 1 << 16,  /* small chunks go on until then: about 5 us */
    EARLY_NS = 200000000,  /* before a deadline all are asked who is there */
    FRESH_NS = 1000000000, /* answers are so old at most */
};

/* ---- Events ---- */

static void dispatch(struct ballot_comm *comm, uint64_t now_ns,
                     const struct event *event)
{
    uint32_t index;
    enum lane lane;

    if (event->kind == EVENT_LOST) {
        loss_of_peer(comm, now_ns, event);
        return;
    }
    if (event->kind == EVENT_BRIEF) {
        if (comm->flow != NULL && event->peer < comm->ranks)
            flow_briefed(comm->flow, event->peer);
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
        if (comm->majority != NULL && comm_serves(comm, event->peer))
            majority_arrived(comm->majority, event->peer - comm->server_first,
                             event, index);
        else
            comm->control_dropped++;
        break;
    case LANE_STREAM:
        if (comm->flow != NULL && event->peer < comm->ranks)
            flow_arrived(comm->flow, event, index);
        else
            comm->control_dropped++;
        break;
    case LANE_CREDIT:
        if (comm->flow != NULL && event->peer < comm->ranks)
            flow_credited(comm->flow, event);
        else
            comm->control_dropped++;
        break;
    case LANE_CONTROL: control_arrived(comm, event, index); break;
    }
}

void *advance_place(void *context, uint32_t peer, uint32_t slot,
                    const void *head, uint32_t bytes)
{
    struct ballot_comm *comm = context;
    uint32_t index;

    if (comm->flow == NULL || peer >= comm->ranks ||
        lane_of(comm->settings.window, slot, &index) != LANE_STREAM)
        return NULL;
    return flow_place(comm->flow, peer, index, head, bytes);
}

bool advance_take_events(struct ballot_comm *comm, uint64_t now_ns)
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

/* ---- Starting ---- */

/*
 * Numbers the call, so that ranks know which of the others' is the same one.
 * With a quorum votes may be a rank's alone and have no number. Sends and
 * receives never have one, but that of the call behind them.
 */
void advance_number(struct ballot_comm *comm, struct ballot_request *r)
{
    const struct caster_round *vote = &r->call.round;
    struct call call;

    if (r->kind == REQUEST_FLOW) {
        r->flow.call.round = flow_noted(comm->flow);
        if (r->flow.call.op != CALL_SEND)
            flow_note(comm->flow, &r->flow.call);
        return;
    }
    if (comm->settings.quorum != 0)
        return;
    call = (struct call){
        .round = flow_noted(comm->flow),
        .count = vote->count,
        .detail = vote->detail,
        .type = vote->type,
        .op = vote->op,
        .rows = vote->rows,
    };
    r->flow.call.round = call.round;
    flow_note(comm->flow, &call);
}

/* Whether one has begun. */
static bool start_requests(struct ballot_comm *comm, uint64_t now_ns)
{
    bool begun = false;

    while (atomic_load(&comm->queued) > 0 && !comm->holding) {
        struct ballot_request *r = queue_next(comm);
        int rc = comm->failed;

        if (rc == 0 && (r->kind != REQUEST_FLOW || r->enters))
            rc = majority_begin(comm->majority, &r->call);
        if (rc == -EAGAIN)
            break; /* rounds are drained, or a fused step is under way */
        queue_begin(r, now_ns);
        if (rc < 0) {
            queue_finish(r, rc);
            continue;
        }
        advance_number(comm, r);
        begun = true;
    }
    return begun;
}

static void keep_round(struct ballot_comm *comm, const struct majority_end *end)
{
    struct ballot_round *round = &comm->round;
    uint32_t words = mask_words(comm->ranks); /* the others are always 0 */

    round->round = end->round;
    round->voters_every = mask_count_of(&end->every, words);
    round->voters_some = mask_count_of(&end->some, words);
    round->voters_least = end->least;
    round->lost = comm->dead_count;
    for (uint32_t w = 0; w < words; w++) {
        round->every[w] = end->every.words[w];
        round->some[w] = end->some.words[w];
        round->dead[w] = comm->dead.words[w];
    }
    comm->rounds++;
}

/* The round's end is the communicator's. */
static void conclude(struct ballot_comm *comm, const struct majority_end *end)
{
    struct ballot_request *r = end->context;
    int rc = report_end(comm, r, end);

    if (end->status == STATUS_DIFFERS) {
        comm->farewell = STATUS_DIFFERS;
        comm->difference = end->difference;
    }
    queue_finish(r, rc);
    advance_fail(comm, rc);
}

/* A deadline has passed: first it must be known who is there. */
static void hold(struct ballot_comm *comm, uint64_t now_ns,
                 const struct majority_end *end)
{
    comm->held = *end;
    comm->holding = true;
    control_confirm(comm, now_ns, now_ns - FRESH_NS, now_ns);
}

/* A set of servers as members. */
static struct rank_mask members_of(const struct ballot_comm *comm,
                                   const struct rank_mask *servers)
{
    struct rank_mask members = {0};

    for (uint32_t s = 0; s < comm->servers; s++)
        if (mask_has(servers, s))
            mask_set(&members, comm->server_first + s);
    return members;
}

static void vote_ended(struct ballot_comm *comm, uint64_t now_ns,
                       struct majority_end *end)
{
    struct ballot_request *r = end->context;
    int rc = 0;

    if (end->timed_out)
        end->missing = members_of(comm, &end->missing);
    if (end->status == STATUS_LOST && !end->timed_out)
        for (uint32_t v = 0; v < comm->ranks; v++)
            if (!mask_has(&end->every, v))
                mask_set(&end->missing, v);
    if (end->status != STATUS_OK &&
        (comm->settings.quorum == 0 || end->timed_out)) {
        if (end->status == STATUS_LOST)
            hold(comm, now_ns, end);
        else
            conclude(comm, end);
        return;
    }
    if (end->status != STATUS_OK) {
        rc = report_end(comm, r, end);
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
    } else if (r->kind == REQUEST_FLOW && !r->flowed) {
        r->entered = true;
        return;
    } else if (r->kind == REQUEST_FLOW) {
        rc = r->flow_result;
    }
    if (rc < 0 && r->flowing && !r->flowed)
        flows_abandon(comm, rc);
    queue_finish(r, rc);
}

/* Whether a flow has ended, behind which another may begin. */
static bool take_ends(struct ballot_comm *comm, uint64_t now_ns)
{
    struct majority_end *end;
    struct ballot_request *r;

    while (comm->failed == 0 && !comm->holding &&
           (end = majority_ended(comm->majority)) != NULL)
        vote_ended(comm, now_ns, end);
    r = flow_ended(comm->flow);
    if (r == NULL || comm->failed != 0)
        return false;
    r->flowed = true;
    if (r->entered || !r->enters)
        queue_finish(r, r->flow_result);
    return true;
}

/* ---- Deadlines ---- */

static uint64_t timeout_ns(const struct ballot_comm *comm)
{
    return (uint64_t)comm->settings.timeout_ms * 1000000;
}

uint64_t advance_early(const struct ballot_comm *comm, uint64_t at_ns)
{
    uint64_t half = timeout_ns(comm) / 2;

    return at_ns - (half < EARLY_NS ? half : EARLY_NS);
}

/* The votes' own deadlines are the tallies' and the caster's. */
static void vote_tick(struct ballot_comm *comm, uint64_t now_ns)
{
    const struct ballot_request *r = queue_oldest(comm);

    if (r != NULL && !comm->holding) {
        uint64_t ask = advance_early(comm, r->begun_ns + timeout_ns(comm));

        if (now_ns >= ask)
            control_ask(comm, now_ns, ask);
    }
    if (comm->holding && now_ns >= control_answers_ns(comm)) {
        if (waits_cross(comm, &comm->held.difference))
            comm->held.status = STATUS_DIFFERS;
        else
            control_blame(comm, &comm->held.missing);
        conclude(comm, &comm->held);
    }
}

static uint64_t vote_deadline(struct ballot_comm *comm)
{
    const struct ballot_request *r = queue_oldest(comm);
    uint64_t ask;

    if (comm->holding)
        return control_answers_ns(comm);
    if (r == NULL)
        return UINT64_MAX;
    ask = advance_early(comm, r->begun_ns + timeout_ns(comm));
    return comm->asked_ns < ask ? ask : UINT64_MAX;
}

static void tick(struct ballot_comm *comm, uint64_t now_ns)
{
    if (comm->serve != NULL)
        serve_tick(comm->serve, now_ns);
    if (comm->majority == NULL)
        server_watch(comm, now_ns);
    if (comm->failed != 0 || comm->majority == NULL)
        return;
    majority_tick(comm->majority, now_ns);
    if (comm->active_count > 0) {
        vote_tick(comm, now_ns);
        flows_tick(comm, now_ns);
    }
}

uint64_t advance_deadline(struct ballot_comm *comm)
{
    uint64_t at = UINT64_MAX, next;

    if (comm->serve != NULL)
        at = serve_deadline(comm->serve);
    if (comm->failed != 0)
        return at;
    next = comm->majority == NULL ? server_deadline(comm)
                                  : majority_deadline(comm->majority);
    at = next < at ? next : at;
    if (comm->active_count == 0)
        return at;
    next = vote_deadline(comm);
    at = next < at ? next : at;
    next = flows_deadline(comm);
    return next < at ? next : at;
}

/* ---- The step ---- */

static bool endpoints_busy(const struct ballot_comm *comm)
{
    for (int e = 0; e < comm->endpoints_count; e++)
        if (comm->transports[e]->busy(comm->endpoints[e]))
            return true;
    return false;
}

/*
 * In finalize: nobody needs us any more, and what we said has left. Who has
 * failed waits too, for who hears our goodbye says its own: until then a
 * connection that is closed may take our last bytes with it.
 */
static void check_left(struct ballot_comm *comm)
{
    if (atomic_load(&comm->left))
        return;
    for (uint32_t r = 0; r < comm->members; r++)
        if (r != comm->rank && comm_links(comm, comm->rank, r) &&
            !mask_has(&comm->departed, r) && !comm->links[r].lost &&
            !mask_has(&comm->dead, r) && !mask_has(&comm->missing, r))
            return;
    if (endpoints_busy(comm))
        return;
    atomic_store(&comm->left, true);
    engine_announce();
}

/* At most one chunk of work, for others first; returns the bytes that it went
 * through, 0: there was nothing to do. */
static size_t work_once(struct ballot_comm *comm, uint64_t now_ns)
{
    size_t bytes = comm->serve == NULL ? 0 : serve_step(comm->serve, now_ns);

    if (comm->majority == NULL)
        return bytes;
    if (bytes == 0 && comm->failed == 0)
        bytes = majority_step(comm->majority, now_ns);
    if (bytes == 0 && comm->failed == 0 && !flow_idle(comm->flow)) {
        bytes = flow_step(comm->flow, now_ns);
        flows_check(comm, now_ns);
    }
    if (bytes == 0 && comm->failed == 0 && flows_start(comm, now_ns))
        bytes = LINE_BYTES;
    return bytes;
}

/* One large chunk of work, or several small ones. */
static bool work(struct ballot_comm *comm, uint64_t now_ns)
{
    size_t all = 0, bytes;
    bool moved;

    do {
        bytes = work_once(comm, now_ns);
        all += bytes;
    } while (bytes > 0 && all < STEP_BYTES);
    /* A flow may end by what came, before any work. */
    moved = (comm->majority != NULL && take_ends(comm, now_ns)) || all > 0;
    comm->quiet = !moved && !endpoints_busy(comm);
    return moved;
}

bool advance_step(struct ballot_comm *comm, uint64_t now_ns)
{
    bool moved = false, still;

    if (atomic_load(&comm->aborted) && comm->failed == 0) {
        report_error(comm, "%s() was called on this %s",
                     comm->majority == NULL ? "ballot_server_stop"
                                            : "ballot_comm_abort",
                     comm->majority == NULL ? "server" : "rank");
        advance_fail(comm, -ECANCELED);
    } else if (atomic_load(&comm->aborted)) {
        membership_wake(comm, true);
    }
    if (atomic_load(&comm->queued) > 0) {
        moved = start_requests(comm, now_ns);
        comm->quiet = false;
    }
    /* What was called now goes out before we look at what has come: there are
     * not enough requests to put that off for long. */
    if (!moved)
        moved = advance_take_events(comm, now_ns);
    membership_retry(comm);
    if (comm->majority == NULL && moved)
        server_watch(comm, now_ns);
    still = !moved && comm->quiet;
    if (!still) {
        moved |= work(comm, now_ns);
        comm->tick_ns = 0;
    }
    /* Deadlines only when all that came was seen: after a stop of our own
     * process one may have passed that others have kept. But no peer that keeps
     * us busy holds them back. */
    comm->busy_steps = moved ? comm->busy_steps + 1 : 0;
    if (!moved || comm->busy_steps % BUSY_STEPS == 0) {
        if (comm->tick_ns == 0)
            comm->tick_ns = advance_deadline(comm);
        if (now_ns >= comm->tick_ns) {
            tick(comm, now_ns);
            moved = work(comm, now_ns);
            comm->tick_ns = 0;
        }
    }
    if (!moved && comm->leaving)
        check_left(comm);
    return moved;
}

bool advance_busy(const struct ballot_comm *comm)
{
    return comm->active_count > 0 || atomic_load(&comm->queued) > 0;
}

void advance_fail(struct ballot_comm *comm, int error)
{
    struct majority_end *end = NULL;

    if (comm->failed != 0)
        return;
    if (comm->majority != NULL)
        end = majority_complete(comm->majority);
    if (end != NULL) {
        keep_round(comm, end);
        queue_finish(end->context, 0);
    }
    comm->failed = error;
    comm->quiet = false;
    membership_wake(comm, false);
    comm->holding = false;
    if (comm->majority != NULL) {
        majority_abandon(comm->majority);
        flow_abandon(comm->flow);
    }
    while (comm->active_count > 0)
        queue_finish(comm->active[0], error);
    /* In a quorum the others go on without us. */
    control_tell_all(comm, CONTROL_GOODBYE);
    if (comm->majority == NULL)
        server_watch(comm, 0);
}
