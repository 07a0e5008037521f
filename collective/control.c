/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - what ranks say beside collectives: goodbye, and who is there.
 *
 * A rank that fails tells all others why, so that those who did not see it
 * return the same error. A deadline that passes does not say because of whom:
 * who waits for a stopped rank in an earlier call looks just as absent here. So
 * all ranks are asked, and who does not answer is blamed first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "comm.h"

enum { ANSWER_NS = 200000000 }; /* after which who was asked is missing */

/* What follows the header line: of a goodbye, why there was an error. */
union reason {
    struct rank_mask missing;     /* STATUS_LOST */
    struct difference difference; /* STATUS_DIFFERS */
    struct told told;             /* no goodbye, but an answer */
};
_Static_assert(sizeof(union reason) == 2 * LINE_BYTES,
               "every slot has room for a difference");

static uint32_t first_dead(const struct ballot_comm *comm)
{
    for (uint32_t r = 0; r < comm->members; r++)
        if (mask_has(&comm->dead, r))
            return r;
    return RANKS_MAX;
}

/* What we heard from another is passed on as it was. */
static void describe_end(const struct ballot_comm *comm, struct header *header,
                         union reason *reason)
{
    header->status = (uint8_t)comm->farewell;
    if (comm->farewell == STATUS_LOST) {
        reason->missing = comm->missing;
    } else if (comm->farewell == STATUS_DIFFERS) {
        reason->difference = comm->difference;
    } else if (comm->farewell == STATUS_GONE) {
        header->rank = comm->ended_by;
    } else if (mask_count(&comm->dead) > 0) {
        header->status = STATUS_DEAD;
        header->rank = first_dead(comm);
    } else {
        header->status = STATUS_GONE;
        header->rank = comm->rank;
    }
}

/* An answer says what we have called as the call that was asked about, and how
 * many we have called. */
static void describe_call(const struct ballot_comm *comm, uint64_t number,
                          struct header *header)
{
    if (comm->flow == NULL)
        return;
    header->sequence = flow_noted(comm->flow);
    if (flow_recall(comm->flow, number, &header->call))
        header->flags = FLAG_CALLED;
}

static void put_control(struct ballot_comm *comm, uint32_t peer,
                        enum control control, uint64_t number)
{
    const struct link *link = &comm->links[peer];
    uint32_t slot = lane_first(comm->settings.window, LANE_CONTROL) + control;
    struct header header = {
        .magic = HEADER_MAGIC,
        .epoch = comm->epoch,
        .kind = HEADER_CONTROL,
        .status = STATUS_OK,
    };
    union reason reason = {.missing = {{0}}};
    uint8_t *place = link_stage(link, slot);
    uint32_t bytes = LINE_BYTES + sizeof(reason);

    if (place == NULL)
        return;
    if (control == CONTROL_PING)
        header.call.round = number;
    if (control == CONTROL_PONG) {
        describe_call(comm, number, &header);
        waits_describe(comm, number, &reason.told);
    } else if (comm->failed != 0)
        describe_end(comm, &header, &reason);
    memcpy(place, &header, sizeof(header));
    memcpy(place + LINE_BYTES, &reason, sizeof(reason));
    if (link_put(link, slot, bytes) < 0)
        return;
    comm->control_puts++;
    comm->control_bytes += bytes;
}

void control_tell_all(struct ballot_comm *comm, enum control control)
{
    for (uint32_t r = 0; r < comm->members; r++)
        if (r != comm->rank)
            put_control(comm, r, control, comm->asked_call);
}

/* ---- Goodbye ---- */

/* Without its host, so that only who is missing is named in full. */
static const char *name_witness(const struct ballot_comm *comm, uint32_t peer,
                                char text[MEMBER_BYTES])
{
    if (peer < comm->ranks)
        snprintf(text, MEMBER_BYTES, "rank %u", peer);
    else
        snprintf(text, MEMBER_BYTES, "server %u", peer - comm->ranks);
    return text;
}

static int hear_dead(struct ballot_comm *comm, uint32_t peer, uint32_t rank)
{
    char gone[MEMBER_BYTES], witness[MEMBER_BYTES];

    mask_set(&comm->dead, rank);
    report_error(comm, "%s is gone, as %s noticed; this communicator has ended",
                 report_member(comm, rank, gone),
                 name_witness(comm, peer, witness));
    return -ENOTCONN;
}

static int hear_end(struct ballot_comm *comm, uint32_t rank)
{
    char member[MEMBER_BYTES];

    comm->farewell = STATUS_GONE;
    comm->ended_by = rank;
    report_error(comm, "%s has ended the communicator %s",
                 report_member(comm, rank, member),
                 rank < comm->ranks
                     ? "after an error; see its last error"
                     : "because it was stopped or had an error; see what it "
                       "printed");
    return -ENOTCONN;
}

static int hear_missing(struct ballot_comm *comm, uint32_t peer,
                        const struct rank_mask *missing)
{
    char ranks[256], witness[MEMBER_BYTES];

    comm->farewell = STATUS_LOST;
    comm->missing = *missing;
    report_members(ranks, sizeof(ranks), comm, missing);
    report_error(comm, "%u ms have passed, as %s noticed; missing: %s",
                 comm->settings.timeout_ms, name_witness(comm, peer, witness),
                 ranks);
    return -ETIMEDOUT;
}

static int hear_difference(struct ballot_comm *comm,
                           const struct difference *difference)
{
    comm->farewell = STATUS_DIFFERS;
    comm->difference = *difference;
    return report_difference(comm, "a call", difference);
}

static void goodbye(struct ballot_comm *comm, const struct event *event,
                    const struct header *header)
{
    union reason reason;
    bool survivable = comm->settings.quorum != 0 && event->peer < comm->ranks;
    int rc;

    mask_set(&comm->departed, event->peer);
    if (comm->leaving || comm->failed != 0 || header->status == STATUS_OK ||
        survivable)
        return;
    memcpy(&reason, (const uint8_t *)event->memory + LINE_BYTES,
           sizeof(reason));
    if (header->status == STATUS_LOST)
        rc = hear_missing(comm, event->peer, &reason.missing);
    else if (header->status == STATUS_DIFFERS)
        rc = hear_difference(comm, &reason.difference);
    else if (header->rank >= comm->members || header->rank == comm->rank)
        rc = hear_end(comm, event->peer);
    else if (header->status == STATUS_DEAD)
        rc = hear_dead(comm, event->peer, header->rank);
    else
        rc = hear_end(comm, header->rank);
    advance_fail(comm, rc);
}

static void hear_answer(struct ballot_comm *comm, const struct event *event,
                        const struct header *header)
{
    uint32_t peer = event->peer;
    union reason body;

    mask_set(&comm->answered, peer);
    if (comm->flow == NULL || peer >= comm->ranks)
        return;
    memcpy(&body, (const uint8_t *)event->memory + LINE_BYTES, sizeof(body));
    waits_heard(comm, peer, &body.told);
    if (header->sequence <= comm->asked_call)
        mask_set(&comm->behind, peer);
    else
        mask_clear(&comm->behind, peer);
    if ((header->flags & FLAG_CALLED) != 0 &&
        header->call.round == comm->asked_call)
        flow_heard(comm->flow, peer, &header->call);
}

void control_arrived(struct ballot_comm *comm, const struct event *event,
                     uint32_t control)
{
    struct header header;

    if (control == CONTROL_STATEMENT || control == CONTROL_HEARD) {
        membership_arrived(comm, event, (enum control)control);
        return;
    }
    memcpy(&header, event->memory, sizeof(header));
    if (header.magic != HEADER_MAGIC || header.kind != HEADER_CONTROL ||
        header.epoch != comm->epoch ||
        event->bytes != LINE_BYTES + sizeof(union reason)) {
        comm->control_dropped++;
        return;
    }
    switch ((enum control)control) {
    case CONTROL_GOODBYE: goodbye(comm, event, &header); break;
    case CONTROL_PING:
        put_control(comm, event->peer, CONTROL_PONG, header.call.round);
        break;
    case CONTROL_PONG: hear_answer(comm, event, &header); break;
    case CONTROL_STATEMENT:
    case CONTROL_HEARD: break;
    }
}

/* ---- Who is there ---- */

/* What ranks are asked about: the flow under way, or the oldest vote, if it has
 * a number. */
static uint64_t call_to_ask(const struct ballot_comm *comm)
{
    const struct ballot_request *r = queue_oldest(comm);

    if (comm->flow == NULL)
        return 0;
    if (flow_progress(comm->flow) != UINT64_MAX || r == NULL ||
        r->kind == REQUEST_FLOW || comm->settings.quorum != 0)
        return flow_number(comm->flow);
    return r->flow.call.round;
}

void control_ask(struct ballot_comm *comm, uint64_t now_ns, uint64_t since_ns)
{
    if (comm->asked_ns != 0 && comm->asked_ns >= since_ns)
        return;
    comm->asked_ns = now_ns;
    comm->answered = comm->behind = (struct rank_mask){0};
    mask_set(&comm->answered, comm->rank);
    comm->asked_call = call_to_ask(comm);
    control_tell_all(comm, CONTROL_PING);
}

void control_confirm(struct ballot_comm *comm, uint64_t now_ns,
                     uint64_t since_ns, uint64_t deadline_ns)
{
    bool all = mask_count(&comm->answered) == comm->members;

    control_ask(comm, now_ns, all ? deadline_ns : since_ns);
}

uint64_t control_answers_ns(const struct ballot_comm *comm)
{
    return mask_count(&comm->answered) == comm->members
               ? comm->asked_ns
               : comm->asked_ns + ANSWER_NS;
}

bool control_blame(struct ballot_comm *comm, struct rank_mask *missing)
{
    struct rank_mask silent = {0}, both = {0};
    bool behind = false;

    for (uint32_t r = 0; r < comm->members; r++)
        if (!mask_has(&comm->answered, r)) {
            mask_set(&silent, r);
            if (mask_has(missing, r))
                mask_set(&both, r);
        }
    if (mask_count(&both) > 0)
        *missing = both;
    else if (mask_count(&silent) > 0)
        *missing = silent;
    else if (flow_progress(comm->flow) != UINT64_MAX &&
             !flow_exchanges(comm->flow) && mask_count(&comm->behind) > 0) {
        *missing = comm->behind;
        behind = true;
    }
    if (mask_count(&silent) == 0)
        waits_narrow(comm, missing);
    comm->farewell = STATUS_LOST;
    comm->missing = *missing;
    return behind;
}
