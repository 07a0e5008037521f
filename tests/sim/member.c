/* SPDX-License-Identifier: Apache-2.0 */
/* member.c - drives serve.c and majority.c as the engine does. */
#include "member.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "collective/inquest.h"
#include "collective/lanes.h"
#include "ends.h"

enum { EVENTS_MAX = 8 };

static const uint64_t us = 1000;

/* ---- Life ---------------------------------------------------------------- */

static struct tally_config tally_config(const struct plan *plan, uint32_t rank)
{
    return (struct tally_config){
        .shape = plan_shape(plan),
        .server = rank - plan->server_first,
        .servers = plan->servers,
        .window = plan->window,
        .kept = plan->kept,
        .quorum = plan->quorum,
        .epoch = PLAN_EPOCH,
        .timeout_ns = plan->timeout_ns,
        .grace_ns = plan->grace_ns,
    };
}

static struct caster_config caster_config(const struct plan *plan,
                                          uint32_t rank)
{
    return (struct caster_config){
        .shape = plan_shape(plan),
        .rank = rank,
        .servers = plan->servers,
        .window = plan->window,
        .epoch = PLAN_EPOCH,
        .timeout_ns = plan->timeout_ns,
        .margin_ns = plan->margin_ns,
    };
}

static int open_inquest(struct cluster *cluster, struct member *m)
{
    struct verifier_config config = cluster->plan.verifier;
    char why[ASSIGNMENT_WHY_BYTES];

    config.kernels = cluster->oracle.real;
    return inquest_open(&m->inquest, &config, why);
}

int member_open(struct cluster *cluster, uint32_t rank)
{
    const struct plan *plan = &cluster->plan;
    struct member *m = &cluster->members[rank];
    struct shape shape = plan_shape(plan);
    const struct endpoint_config endpoint = {
        .rank = rank,
        .ranks = plan->members,
        .slots = lanes_slots(plan->window),
        .slot_bytes = slot_bytes_for(&shape),
        .context = cluster->sim,
    };
    struct serve_config serve = {
        .tally = tally_config(plan, rank),
        .rules = plan->rules,
        .kernels = &cluster->oracle.kernels,
        .links = m->links,
        .ahead = plan->ahead,
    };
    const struct majority_config majority = {
        .caster = caster_config(plan, rank),
        .kernels = cluster->oracle.real,
        .links = m->links + plan->server_first,
        .local_ranks = 1,
        .fused_max = PLAN_COUNT_MAX,
    };
    int rc;

    *m = (struct member){.rank = rank, .fault_ns = UINT64_MAX};
    rc = transport_sim.open(&m->endpoint, &endpoint);
    if (rc == 0 && plan_serves(plan, rank) && plan->load > 0)
        rc = open_inquest(cluster, m);
    serve.inquest = m->inquest;
    if (rc == 0 && plan_serves(plan, rank))
        rc = serve_open(&m->serve, &serve);
    /* Who does not vote has no program, and is there for the others. */
    m->finished = rank >= plan->ranks;
    if (m->finished && !plan_sound(plan, rank))
        m->fault_ns = sim_below(cluster->sim, 5000 * us);
    if (rc == 0 && !m->finished)
        rc = majority_open(&m->majority, &majority);
    return rc;
}

static void free_call(struct member *m, struct open_call *call)
{
    free(call->send);
    free(call->tasks);
    free(call->recv);
    free(call->momentum);
    *call = (struct open_call){0};
    m->under_way--;
}

void member_close(struct member *member)
{
    for (int i = 0; i < ROUNDS_MAX; i++)
        if (member->calls[i].used)
            free_call(member, &member->calls[i]);
    majority_close(member->majority);
    serve_close(member->serve);
    inquest_close(member->inquest);
    transport_sim.close(member->endpoint);
}

/* ---- The program --------------------------------------------------------- */

/* How long it computes before it calls the next round. */
static uint64_t think(struct cluster *cluster, struct member *m)
{
    const struct plan *plan = &cluster->plan;

    if (plan->roles[m->rank] == ROLE_SLOW &&
        m->round >= plan->fault_round[m->rank] &&
        sim_below(cluster->sim, 4) == 0) {
        cluster->run->fates[FATE_SLOW]++;
        return sim_below(cluster->sim, plan->stop_ns[m->rank]);
    }
    if (sim_below(cluster->sim, 30) == 0)
        return sim_below(cluster->sim, 3000 * us);
    return sim_below(cluster->sim, 60 * us);
}

/* A vector for each task of the rank. */
static void make_tasks(const struct cluster *cluster, const struct member *m,
                       struct open_call *open, size_t bytes)
{
    const struct plan *plan = &cluster->plan;
    const uint16_t *tasks =
        jury_tasks(cluster->oracle.jury, m->rank, open->call.detail);

    open->send = malloc(bytes * plan->load);
    open->tasks = malloc(plan->load * sizeof(*open->tasks));
    assert(open->send != NULL && open->tasks != NULL);
    for (uint32_t i = 0; i < plan->load; i++) {
        void *vector = (uint8_t *)open->send + i * bytes;

        open->tasks[i] = vector;
        plan_row_values(plan, m->rank, m->round, &open->call, tasks[i], vector);
    }
}

static void make_call(struct cluster *cluster, struct member *m,
                      struct open_call *open)
{
    size_t bytes;

    plan_call(&cluster->plan, m->rank, m->round, &open->call);
    bytes = oracle_vector_bytes(&open->call);
    if (open->call.kind == KIND_TASKS)
        make_tasks(cluster, m, open, bytes);
    else
        open->send = malloc(bytes);
    open->recv = malloc(bytes + RECV_GUARD_BYTES);
    open->momentum = malloc(bytes);
    assert(open->send != NULL && open->recv != NULL && open->momentum != NULL);
    if (open->call.kind != KIND_TASKS)
        plan_values(&cluster->plan, m->rank, m->round, &open->call, open->send);
    oracle_fill(open);
}

static int begin(struct member *m, struct open_call *open)
{
    /* From a state of zeros both steps vote on the gradient's signs. */
    static const enum majority_kind kinds[][2] = {
        [KIND_REDUCE] = {MAJORITY_REDUCE, MAJORITY_REDUCE},
        [KIND_FUSED] = {MAJORITY_SIGNUM, MAJORITY_FEEDBACK},
        [KIND_ENTRY] = {MAJORITY_ENTRY, MAJORITY_ENTRY},
        [KIND_TASKS] = {MAJORITY_TASKS, MAJORITY_TASKS},
        [KIND_REPORT] = {MAJORITY_QUESTION, MAJORITY_QUESTION},
        [KIND_RELEASE] = {MAJORITY_QUESTION, MAJORITY_QUESTION},
    };
    const struct planned_call *call = &open->call;
    const struct majority_call majority = {
        .kind = kinds[call->kind][open->round % 2],
        .round =
            {
                .count = call->count,
                .chunk_coordinates = call->chunk_coordinates,
                .detail = call->detail,
                .type = call->type,
                .op = (uint8_t)call->kind,
                .rows = call->rows,
                .abstain = call->abstain,
            },
        .send = open->send,
        .tasks = open->tasks,
        .recv = call->kind == KIND_RELEASE ? NULL : open->recv,
        .keep_count = call->count,
        .state = open->momentum,
        .rate = 0.5f,
        .decay = 0.25f,
        .context = open,
    };

    return majority_begin(m->majority, &majority);
}

/* What a fault plan makes of a round that begins. */
static void note_begun(struct cluster *cluster, struct member *m,
                       const struct open_call *open)
{
    const struct plan *plan = &cluster->plan;

    run_trace(cluster->run, "calls", m->rank, open->round, open->call.count,
              open->call.kind);
    if (open->call.abstain)
        cluster->run->fates[FATE_ABSTAINED]++;
    if (plan->roles[m->rank] == ROLE_DIFFERS &&
        open->round == plan->fault_round[m->rank])
        cluster->run->fates[FATE_DIFFERENT_CALL]++;
    if (m->fault_ns == UINT64_MAX && open->round >= plan->fault_round[m->rank])
        m->fault_ns =
            sim_now(cluster->sim) + sim_below(cluster->sim, 3000 * us);
}

static void call_next(struct cluster *cluster, struct member *m)
{
    struct open_call *open = NULL;
    uint64_t round;
    int rc;

    if (m->failed || m->finished || m->under_way >= cluster->plan.depth ||
        sim_now(cluster->sim) < m->think_ns)
        return;
    round = majority_round(m->majority);
    if (round != m->round)
        cluster->run->fates[FATE_JUMPED]++;
    m->round = round;
    if (round >= cluster->plan.rounds) {
        m->finished = m->under_way == 0;
        return;
    }
    for (int i = 0; i < ROUNDS_MAX && open == NULL; i++)
        if (!m->calls[i].used)
            open = &m->calls[i];
    if (open == NULL)
        return;
    open->round = round;
    open->begun_ns = sim_now(cluster->sim);
    open->begun_with = m->under_way++;
    open->used = true;
    make_call(cluster, m, open);
    rc = begin(m, open);
    if (rc < 0) {
        free_call(m, open);
        if (rc != -EAGAIN)
            m->failed = m->finished = true;
        return;
    }
    note_begun(cluster, m, open);
    m->round = round + 1;
    m->think_ns = sim_now(cluster->sim) + think(cluster, m);
}

/* The communicator has ended at this rank. It goes on to serve. */
static void fail_member(struct cluster *cluster, struct member *m)
{
    run_trace(cluster->run, "failed", m->rank, 0, 0, 0);
    m->failed = m->finished = true;
    if (m->majority != NULL)
        majority_abandon(m->majority);
    for (int i = 0; i < ROUNDS_MAX; i++)
        if (m->calls[i].used)
            free_call(m, &m->calls[i]);
}

/* ---- Ends ---------------------------------------------------------------- */

static void take_ends(struct cluster *cluster, struct member *m)
{
    struct majority_end *end;

    while (!m->failed && m->majority != NULL &&
           (end = majority_ended(m->majority)) != NULL) {
        struct open_call *open = end->context;
        enum fate fate =
            end->timed_out ? FATE_TIMED_OUT : FATE_OK + (enum fate)end->status;

        run_trace(cluster->run, "ends", m->rank, end->round, end->status,
                  end->every.words[0]);
        cluster->run->fates[fate]++;
        /* Who timed out is a server by its number among these. */
        if (end->timed_out && cluster->plan.server_first > 0) {
            end->missing = (struct rank_mask){0};
            mask_set(&end->missing, cluster->plan.server_first);
        }
        if (end->status != STATUS_OK) {
            cluster->oracle.disturbed = true;
            ends_check_failure(cluster, m, open, end);
        }
        if (cluster->plan.roles[m->rank] != ROLE_LIAR)
            oracle_ended(&cluster->oracle, m->rank, open, end);
        ends_check_duration(cluster, m, open);
        free_call(m, open);
        if (end->status != STATUS_OK &&
            (cluster->plan.quorum == 0 || end->timed_out))
            fail_member(cluster, m);
    }
}

/* ---- Events -------------------------------------------------------------- */

static void lose_peer(struct cluster *cluster, struct member *m, uint64_t now,
                      uint32_t peer)
{
    run_trace(cluster->run, "loses", m->rank, peer, 0, 0);
    m->links[peer].lost = true;
    if (m->serve != NULL)
        serve_lost(m->serve, now, peer);
    cluster->oracle.disturbed = true;
    if (m->failed ||
        (cluster->plan.quorum != 0 && !plan_serves(&cluster->plan, peer)))
        return;
    if (!cluster_suspects(cluster, peer) && !cluster_suspects(cluster, m->rank))
        run_fail(cluster->run, "rank %u lost rank %u for no reason", m->rank,
                 peer);
    cluster->run->fates[FATE_LINK_LOST]++;
    fail_member(cluster, m);
}

static void vote_arrived(struct cluster *cluster, struct member *m,
                         uint64_t now, const struct event *event, uint32_t slot)
{
    struct header header;

    memcpy(&header, event->memory, sizeof(header));
    run_trace(cluster->run, "put", event->peer, m->rank, header.sequence,
              header.call.round);
    if (cluster->plan.roles[event->peer] != ROLE_LIAR) {
        struct truth *truth = &cluster->oracle.rounds[header.call.round];

        m->arrived_ns[event->peer][slot] = now;
        if (truth->first_ns == 0)
            truth->first_ns = now;
    }
    serve_arrived(m->serve, now, event, slot);
}

static void dispatch(struct cluster *cluster, struct member *m, uint64_t now,
                     const struct event *event)
{
    uint32_t index;

    if (event->kind == EVENT_LOST) {
        lose_peer(cluster, m, now, event->peer);
        return;
    }
    switch (lane_of(cluster->plan.window, event->slot, &index)) {
    case LANE_VOTE:
        if (m->serve != NULL)
            vote_arrived(cluster, m, now, event, index);
        break;
    case LANE_RESULT:
        run_trace(cluster->run, "result", m->rank, event->peer, index,
                  event->bytes);
        if (m->majority != NULL)
            majority_arrived(m->majority,
                             event->peer - cluster->plan.server_first, event,
                             index);
        break;
    default: break;
    }
}

/* ---- The step ------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether a deadline has passed: then there may be something to do. */
static bool tick(struct member *m, uint64_t now)
{
    bool passed = false;

    if (m->serve != NULL && now >= serve_deadline(m->serve)) {
        serve_tick(m->serve, now);
        passed = true;
    }
    if (!m->failed && m->majority != NULL &&
        now >= majority_deadline(m->majority)) {
        majority_tick(m->majority, now);
        passed = true;
    }
    return passed;
}

void member_step(struct cluster *cluster, struct member *member)
{
    struct event events[EVENTS_MAX];
    uint64_t now = sim_now(cluster->sim);
    int most = 1 + (int)sim_below(cluster->sim, EVENTS_MAX);
    int count = transport_sim.poll(member->endpoint, events, most);
    bool moved = count > 0;

    for (int i = 0; i < count; i++)
        dispatch(cluster, member, now, &events[i]);
    call_next(cluster, member);
    oracle_watch(&cluster->oracle, member->rank, member->links);
    if (member->serve != NULL && serve_step(member->serve, now))
        moved = true;
    else if (!member->failed && member->majority != NULL)
        moved |= majority_step(member->majority, now);
    take_ends(cluster, member);
    member->busy_ns = now + 200 + sim_below(cluster->sim, 3 * us);
    if (!moved)
        moved = tick(member, now);
    take_ends(cluster, member);
    if (moved) {
        member->wake_ns = now;
        return;
    }
    member->wake_ns = UINT64_MAX;
    /* A call that could not be made now is tried again at the next step. */
    if (!member->finished && member->think_ns > now)
        member->wake_ns = member->think_ns;
    if (member->serve != NULL)
        member->wake_ns =
            earlier(member->wake_ns, serve_deadline(member->serve));
    if (!member->failed && member->majority != NULL)
        member->wake_ns =
            earlier(member->wake_ns, majority_deadline(member->majority));
}
