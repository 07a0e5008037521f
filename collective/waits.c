/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waits.c - who waits for whom, when nothing goes on.
 *
 * A message of another call than we wait for shows that ranks differ. But ranks
 * that exchange messages concern two of them only: where one sends first and
 * then reduces, and the other reduces first, each may wait for what the other
 * will do later, and no message says so. So an answer to who is there says what
 * its rank has called, and for whom it waits. At a deadline that is followed
 * from rank to rank: to two whose calls cross, or to one who waits for nobody
 * and is the cause.
 */
#include <string.h>

#include "comm.h"

void waits_describe(const struct ballot_comm *comm, uint64_t number,
                    struct told *told)
{
    const uint64_t half = (uint64_t)comm->settings.timeout_ms * 500000;
    const struct flow *flow = comm->flow;
    uint64_t since;
    uint32_t peer;

    *told = (struct told){.waits_for = RANKS_MAX};
    if (flow == NULL)
        return;
    told->noted = flow_noted(flow);
    told->at = flow_at(flow);
    told->before = flow_number(flow);
    told->called = flow_recall(flow, number, &told->call);
    if (told->at == UINT64_MAX) /* what came last */
        flow_recall(flow, told->noted - 1, &told->under);
    else
        flow_recall(flow, told->at - 1, &told->under);
    /* Who has begun to wait just now may not have to for long. */
    since = flow_progress(flow);
    if (since != UINT64_MAX && clock_now_ns() >= since + half &&
        flow_waits(flow, &peer, &told->under))
        told->waits_for = peer;
}

void waits_heard(struct ballot_comm *comm, uint32_t peer,
                 const struct told *told)
{
    comm->said[peer] = *told;
    /* It may be in a call that is over here. */
    if (told->at != 0 && told->under.round == told->at - 1)
        flow_heard(comm->flow, peer, &told->under);
}

/* Whom a rank waits for, as far as we know; or RANKS_MAX. */
static uint32_t next_of(const struct ballot_comm *comm, uint32_t rank)
{
    uint32_t next = comm->said[rank].waits_for;

    return mask_has(&comm->answered, rank) && next < comm->ranks &&
                   next != rank && mask_has(&comm->answered, next)
               ? next
               : RANKS_MAX;
}

/* What that rank has called as that number, or has been in since; false: it
 * has not come so far. */
static bool has_passed(const struct ballot_comm *comm, uint32_t rank,
                       uint64_t number, struct call *call)
{
    const struct told *told = &comm->said[rank];

    if (told->noted <= number || told->at <= number)
        return false;
    *call =
        told->called && told->call.round == number ? told->call : told->under;
    if (rank == comm->rank)
        flow_recall(comm->flow, number, call);
    return call->round >= number;
}

static void cross(const struct ballot_comm *comm, uint32_t a, uint32_t b,
                  const struct call *theirs, struct difference *difference)
{
    *difference = (struct difference){
        .rank = {a, b},
        .call = {comm->said[a].under, *theirs},
    };
}

/* From `rank` on to two that cross, or to *end, who waits for nobody. */
static bool follow(const struct ballot_comm *comm, uint32_t rank, uint32_t *end,
                   struct difference *difference)
{
    for (uint32_t steps = 0;; steps++) {
        uint32_t next = next_of(comm, rank);
        struct call call;

        *end = rank;
        if (next == RANKS_MAX)
            return false;
        /* It has made the call that comes after the exchange here. */
        if (has_passed(comm, next, comm->said[rank].before, &call)) {
            cross(comm, rank, next, &call, difference);
            return true;
        }
        if (steps >= comm->ranks) { /* all around */
            cross(comm, rank, next, &comm->said[next].under, difference);
            return true;
        }
        rank = next;
    }
}

static void describe_own(struct ballot_comm *comm)
{
    waits_describe(comm, comm->asked_call, &comm->said[comm->rank]);
}

bool waits_cross(struct ballot_comm *comm, struct difference *difference)
{
    uint32_t end;

    /* Else who is silent is the cause. */
    if (mask_count(&comm->answered) < comm->members)
        return false;
    describe_own(comm);
    if (follow(comm, comm->rank, &end, difference))
        return true;
    /* Whom we wait for may wait, in a collective, for one of these. */
    for (uint32_t r = 0; r < comm->ranks; r++)
        if (follow(comm, r, &end, difference))
            return true;
    return false;
}

void waits_narrow(struct ballot_comm *comm, struct rank_mask *missing)
{
    struct difference difference;
    struct rank_mask ends = {0};
    uint32_t end;

    describe_own(comm);
    for (uint32_t r = 0; r < comm->ranks; r++)
        if (mask_has(missing, r) && !follow(comm, r, &end, &difference) &&
            end != comm->rank)
            mask_set(&ends, end);
    if (mask_count(&ends) > 0)
        *missing = ends;
}
