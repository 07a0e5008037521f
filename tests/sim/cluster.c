/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.c - lets a simulated communicator live, and checks how it ends. */
#include "cluster.h"

#include <inttypes.h>
#include <string.h>

#include "collective/lanes.h"
#include "liar.h"

static const uint64_t ms = 1000000;

bool cluster_suspects(const struct cluster *cluster, uint32_t rank)
{
    const struct plan *plan = &cluster->plan;

    if (rank >= plan->members)
        return false;
    if (!plan_sound(plan, rank) || cluster->members[rank].failed)
        return true;
    for (uint32_t r = 0; r < plan->members; r++)
        if ((plan->roles[r] == ROLE_CUT || plan->roles[r] == ROLE_LOSSY) &&
            plan->peer[r] == rank)
            return true;
    return false;
}

/* ---- What is put --------------------------------------------------------- */

/* A server answers by its deadline, whoever is missing: so long after the put,
 * or after it was done with the round before. */
static void check_answer(struct cluster *cluster, uint32_t server,
                         uint32_t voter, uint32_t slot,
                         const struct header *header)
{
    const struct plan *plan = &cluster->plan;
    struct member *m = &cluster->members[server];
    uint64_t now = sim_now(cluster->sim), from = m->arrived_ns[voter][slot];
    uint64_t most = plan->timeout_ns + plan->network.stray_ns + 20 * ms;

    for (uint32_t r = 0; r < plan->members; r++)
        if (plan->roles[r] == ROLE_STOPPED || plan->roles[r] == ROLE_LOSSY ||
            plan->roles[r] == ROLE_LIAR || plan->roles[r] == ROLE_DIFFERS)
            return;
    if (header->call.round > m->answered_round) {
        m->answered_round = header->call.round;
        m->turned_ns = m->answered_ns;
    }
    m->answered_ns = now;
    if (m->turned_ns > from)
        from = m->turned_ns;
    if (now - from > most)
        run_fail(cluster->run,
                 "server %u answers rank %u after %.3f ms, at most %.3f",
                 server, voter, (double)(now - from) / 1e6, (double)most / 1e6);
}

static void see_put(void *context, uint32_t from, uint32_t to, uint32_t slot,
                    void *staged, uint32_t *bytes)
{
    struct cluster *cluster = context;
    uint32_t index;

    switch (lane_of(cluster->plan.window, slot, &index)) {
    case LANE_VOTE:
        if (cluster->plan.roles[from] == ROLE_LIAR)
            liar_twists(&cluster->oracle, from, to, slot, staged, bytes);
        break;
    case LANE_RESULT:
        check_answer(cluster, from, to, index, staged);
        oracle_answered(&cluster->oracle, from, to, staged);
        break;
    default: break;
    }
}

/* ---- Faults -------------------------------------------------------------- */

static void make_lossy(struct cluster *cluster, uint32_t a, uint32_t b)
{
    struct sim_rates rates = cluster->plan.rates;

    rates.chance[SIM_DROPPED] = 3000;
    rates.chance[SIM_SEVERED] = 1000;
    sim_set_rates(cluster->sim, a, b, &rates);
    sim_set_rates(cluster->sim, b, a, &rates);
}

static void act(struct cluster *cluster, struct member *m)
{
    const struct plan *plan = &cluster->plan;

    m->fault_done = true;
    cluster->run->fates[FATE_SERVER_LOST] += m->rank >= plan->ranks;
    switch (plan->roles[m->rank]) {
    case ROLE_KILLED:
        m->state = MEMBER_DEAD;
        sim_kill(cluster->sim, m->rank);
        break;
    case ROLE_FROZEN:
        m->state = MEMBER_DEAD;
        cluster->run->fates[FATE_FROZEN]++;
        break;
    case ROLE_STOPPED:
        m->state = MEMBER_STOPPED;
        m->stopped_ns = sim_now(cluster->sim) + plan->stop_ns[m->rank];
        cluster->run->fates[FATE_STOPPED]++;
        break;
    case ROLE_CUT: sim_cut(cluster->sim, m->rank, plan->peer[m->rank]); break;
    case ROLE_LOSSY: make_lossy(cluster, m->rank, plan->peer[m->rank]); break;
    default: return;
    }
    run_trace(cluster->run, "fault", m->rank, plan->roles[m->rank], 0, 0);
}

/* When something has to be done for a member next. */
static uint64_t member_time(const struct cluster *cluster,
                            const struct member *m)
{
    uint64_t at = m->wake_ns;

    if (m->state == MEMBER_DEAD)
        return UINT64_MAX;
    if (m->state == MEMBER_STOPPED)
        return m->stopped_ns;
    if (sim_has_event(cluster->sim, m->rank))
        at = sim_now(cluster->sim);
    if (at < m->busy_ns)
        at = m->busy_ns;
    if (!m->fault_done && m->fault_ns < at)
        at = m->fault_ns;
    return at;
}

static void serve_member(struct cluster *cluster, struct member *m)
{
    uint64_t now = sim_now(cluster->sim);

    if (member_time(cluster, m) > now)
        return;
    if (m->state == MEMBER_STOPPED) {
        m->state = MEMBER_RUNS;
        cluster->run->fates[FATE_CONTINUED]++;
    }
    if (!m->fault_done && m->fault_ns <= now)
        act(cluster, m);
    if (m->state == MEMBER_RUNS)
        member_step(cluster, m);
}

/* ---- Life ---------------------------------------------------------------- */

static int start(struct cluster *cluster)
{
    const struct plan *plan = &cluster->plan;
    uint32_t first = plan->server_first, last = first + plan->servers;
    int rc = 0;

    for (uint32_t r = 0; rc == 0 && r < plan->members; r++)
        rc = member_open(cluster, r);
    for (uint32_t a = first; rc == 0 && a < last; a++)
        for (uint32_t b = first < plan->ranks ? a : 0;
             rc == 0 && b < plan->ranks; b++) {
            rc = sim_link(cluster->sim, a, b);
            cluster->members[a].links[b] =
                (struct link){.transport = &transport_sim,
                              .endpoint = cluster->members[a].endpoint,
                              .peer = b};
            cluster->members[b].links[a] =
                (struct link){.transport = &transport_sim,
                              .endpoint = cluster->members[b].endpoint,
                              .peer = a};
        }
    for (uint32_t a = first; rc == 0 && a < last; a++)
        for (uint32_t b = 0; b < plan->ranks; b++) {
            struct sim_rates rates = plan->rates;

            sim_set_rates(cluster->sim, a, b, &rates);
            /* Where all are servers, their results are not lies. */
            if (plan->roles[b] == ROLE_LIAR && plan->servers == 1)
                rates.chance[SIM_TORN] = rates.chance[SIM_EARLY] = 20000;
            sim_set_rates(cluster->sim, b, a, &rates);
        }
    return rc;
}

static bool is_over(const struct cluster *cluster)
{
    for (uint32_t r = 0; r < cluster->plan.members; r++) {
        const struct member *m = &cluster->members[r];

        if (m->state != MEMBER_DEAD && !m->finished)
            return false;
    }
    return true;
}

static void run_until_over(struct cluster *cluster)
{
    const struct plan *plan = &cluster->plan;
    uint64_t limit =
        plan->rounds * (plan->timeout_ns + plan->margin_ns + 800 * ms) +
        5000 * ms;

    while (!cluster->run->failed && !is_over(cluster)) {
        uint64_t next = sim_next(cluster->sim);

        for (uint32_t r = 0; r < plan->members; r++) {
            uint64_t at = member_time(cluster, &cluster->members[r]);

            next = at < next ? at : next;
        }
        if (next > limit) {
            run_fail(cluster->run, "not over after %.0f ms: next %.3f ms",
                     (double)limit / 1e6, (double)next / 1e6);
            return;
        }
        sim_advance(cluster->sim, next);
        cluster->run->now_ns = next;
        for (uint32_t r = 0; r < plan->members && !cluster->run->failed; r++)
            serve_member(cluster, &cluster->members[r]);
    }
}

/* Where nothing was wrong, or nothing that a quorum does not survive. */
static void check_progress(struct cluster *cluster)
{
    const struct plan *plan = &cluster->plan;

    for (uint32_t r = 0; r < plan->members; r++) {
        const struct member *m = &cluster->members[r];
        bool sound = plan_sound(plan, r) || plan->roles[r] == ROLE_STOPPED ||
                     plan->roles[r] == ROLE_SLOW;

        if (m->failed &&
            (plan->faulty == 0 || (plan_survivable(plan) && sound)))
            run_fail(cluster->run, "rank %u has failed for no reason", r);
    }
    /* A rank whose results are gone drains what it had called: then a quorum
     * may be short of its vote. */
    if (plan_survivable(plan) && cluster->oracle.lost && !cluster->oracle.gone)
        run_fail(cluster->run,
                 "rounds have failed, but a quorum of sound ranks was there");
    for (uint32_t i = 0; i < plan->rounds; i++) {
        struct planned_call call;

        plan_agreed_call(plan, i, &call);
        if ((plan->faulty == 0 && !plan->abstentions) ||
            (plan_survivable(plan) && !cluster->oracle.gone))
            for (uint32_t c = 0;
                 call.chunk_coordinates > 0 &&
                 (uint64_t)c * call.chunk_coordinates < call.count;
                 c++)
                if (!cluster->oracle.rounds[i].chunks[c].counted)
                    run_fail(cluster->run, "round %u chunk %u was not counted",
                             i, c);
    }
}

static void gather_counts(struct cluster *cluster)
{
    for (int f = 0; f < SIM_FAULTS; f++)
        cluster->run->fates[FATE_DELAYED + f] +=
            sim_count(cluster->sim, (enum sim_fault)f);
    for (uint32_t r = 0; r < cluster->plan.members; r++) {
        struct serve_counts counts;

        if (cluster->members[r].serve == NULL)
            continue;
        serve_count(cluster->members[r].serve, &counts);
        cluster->run->fates[FATE_LATE_RESULT] += counts.votes_late;
    }
}

uint32_t cluster_live(struct run *run, uint32_t life, uint32_t rounds_max)
{
    static struct cluster cluster;

    memset(&cluster.oracle, 0, sizeof(cluster.oracle));
    cluster.run = run;
    run->life = life;
    run->now_ns = 0;
    plan_draw(&cluster.plan, run->seed, life, rounds_max);
    run->fates[FATE_SERVER_APART] += cluster.plan.server_first > 0;
    if (run->verbose)
        plan_print(&cluster.plan, stdout);
    for (uint32_t r = 0; r < cluster.plan.members; r++)
        memset(&cluster.members[r], 0, sizeof(cluster.members[r]));
    if (sim_open(&cluster.sim, &cluster.plan.network) != 0 ||
        oracle_open(&cluster.oracle, &cluster.plan, cluster.sim, run) != 0 ||
        start(&cluster) != 0) {
        run_fail(run, "a life could not begin: out of memory?");
    } else {
        sim_set_twist(cluster.sim, see_put, &cluster);
        run_until_over(&cluster);
        if (!run->failed)
            check_progress(&cluster);
        gather_counts(&cluster);
    }
    if (run->failed && !run->verbose)
        plan_print(&cluster.plan, stderr);
    for (uint32_t r = 0; r < cluster.plan.members; r++)
        member_close(&cluster.members[r]);
    oracle_close(&cluster.oracle);
    sim_close(cluster.sim);
    return cluster.plan.rounds;
}
