/* SPDX-License-Identifier: Apache-2.0 */
/* voters.c - who was counted in a chunk, and whether they may be. */
#include "voters.h"

#include <inttypes.h>
#include <string.h>

bool voters_add(struct voters *voters, const struct oracle *o,
                const void *votes)
{
    const uint32_t i = voters->count;

    if (!sim_find_slot(o->sim, o->server, votes, &voters->rank[i],
                       &voters->slot[i])) {
        run_fail(o->run, "row %u is in no slot of server %u", i, o->server);
        return false;
    }
    memcpy(&voters->header[i], (const uint8_t *)votes - sizeof(struct header),
           sizeof(struct header));
    voters->count++;
    return true;
}

static bool calls_as_agreed(const struct header *h,
                            const struct planned_call *call)
{
    uint64_t first = (uint64_t)h->call.chunk * call->chunk_coordinates;

    return first < call->count && h->call.count == call->count &&
           h->call.detail == call->detail && h->call.rows == call->rows &&
           h->call.type == call->type && h->call.op == call->kind &&
           h->call.coordinates == (call->count - first < call->chunk_coordinates
                                       ? call->count - first
                                       : call->chunk_coordinates);
}

/* The header line of some rank that does not lie; NULL if there is none. */
static const struct header *honest_header(const struct voters *voters,
                                          const struct oracle *o)
{
    for (uint32_t i = 0; i < voters->count; i++)
        if (o->plan->roles[voters->rank[i]] != ROLE_LIAR)
            return &voters->header[i];
    return NULL;
}

/* A sound voter's put is of this round and chunk and no other. */
static void check_put(const struct voters *voters, const struct oracle *o,
                      uint32_t i, const struct header *agreed)
{
    const struct header *h = &voters->header[i];

    if (memcmp(&h->call, &agreed->call, sizeof(h->call)) != 0 ||
        h->sequence != agreed->sequence || h->flags != 0 ||
        h->epoch != PLAN_EPOCH ||
        h->sequence % o->plan->window != voters->slot[i])
        run_fail(o->run,
                 "server %u counts a put of rank %u for round %" PRIu64
                 " chunk %u, sequence %" PRIu64 " as round %" PRIu64
                 " chunk %u, sequence %" PRIu64,
                 o->server, voters->rank[i], h->call.round, h->call.chunk,
                 h->sequence, agreed->call.round, agreed->call.chunk,
                 agreed->sequence);
}

static void note_voters(const struct voters *voters, const struct oracle *o,
                        struct finding *verdict)
{
    for (uint32_t i = 0; i < voters->count; i++) {
        uint32_t voter = voters->rank[i];

        if (mask_has(&verdict->voters, voter))
            run_fail(o->run, "rank %u is counted twice", voter);
        if (o->links[voter].lost)
            run_fail(o->run, "rank %u is counted after its loss", voter);
        mask_set(&verdict->voters, voter);
    }
    verdict->voters_count = voters->count;
}

/* Whether enough voters were counted. */
static void check_count(const struct oracle *o, uint32_t count, uint64_t round)
{
    const struct plan *plan = o->plan;
    uint32_t wanted = plan->quorum, live = 0;
    bool agree = true; /* no put that is in can be left out of the count */

    for (uint32_t v = 0; v < plan->ranks; v++) {
        struct planned_call call;

        live += !o->links[v].lost;
        agree = agree && plan->roles[v] != ROLE_LIAR &&
                plan->roles[v] != ROLE_DIFFERS;
        if (plan->quorum != 0)
            continue;
        plan_call(plan, v, round, &call);
        wanted += !call.abstain || plan->roles[v] == ROLE_LIAR;
    }
    if (plan->quorum == 0 ? count != wanted && plan->faulty == 0
                          : count < wanted)
        run_fail(o->run, "%u voters are counted, %u are wanted", count, wanted);
    if (plan->quorum == 0 || count == live)
        return;
    o->run->fates[FATE_MINORITY_MISSING]++;
    if (agree && !o->disturbed &&
        sim_now(o->sim) < o->rounds[round].first_ns + plan->grace_ns)
        run_fail(o->run, "%u of %u voters are counted before the grace is over",
                 count, live);
}

bool voters_judge(const struct voters *voters, struct oracle *o,
                  uint32_t coordinates, struct counted *counted)
{
    const struct header *agreed = honest_header(voters, o);

    if (agreed == NULL || agreed->call.round >= o->plan->rounds) {
        run_fail(o->run, "server %u counts nothing that was called", o->server);
        return false;
    }
    plan_agreed_call(o->plan, agreed->call.round, &counted->call);
    if (!calls_as_agreed(agreed, &counted->call) ||
        lines_for(coordinates) != lines_for(agreed->call.coordinates)) {
        run_fail(o->run, "server %u counts a call that was not agreed on",
                 o->server);
        return false;
    }
    counted->agreed = agreed;
    counted->verdict =
        &o->rounds[agreed->call.round].chunks[agreed->call.chunk];
    if (counted->verdict->counted)
        run_fail(o->run, "round %" PRIu64 " chunk %u is counted twice",
                 agreed->call.round, agreed->call.chunk);
    counted->verdict->counted = true;
    for (uint32_t i = 0; i < voters->count; i++)
        if (o->plan->roles[voters->rank[i]] != ROLE_LIAR)
            check_put(voters, o, i, agreed);
    note_voters(voters, o, counted->verdict);
    check_count(o, voters->count, agreed->call.round);
    run_trace(o->run, "counted", o->server, agreed->call.round,
              agreed->call.chunk, voters->count);
    return !o->run->failed;
}
