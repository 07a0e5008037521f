/* SPDX-License-Identifier: Apache-2.0 */
/* ends.c - whether a round that failed blames whom it may, in time. */
#include "ends.h"

#include <inttypes.h>
#include <string.h>

static const uint64_t slack_ns = 20000000;

/* Whether ranks may number their puts differently: no quorum said which of two
 * calls was right. */
static bool numbers_differ(const struct plan *plan)
{
    bool differ = false;

    for (uint32_t r = 0; r < plan->members; r++)
        differ = differ || plan->roles[r] == ROLE_DIFFERS;
    return differ && plan->quorum != 0 && !plan_survivable(plan);
}

/*
 * Whether who is missing at a deadline is faulty, without exception. Who delays
 * a round but comes in before its deadline leaves too little time for the
 * others.
 */
static bool names_exactly(const struct plan *plan)
{
    bool exactly = plan->servers == 1 && plan->quorum == 0;

    for (uint32_t r = 0; r < plan->members; r++)
        exactly = exactly && plan->roles[r] != ROLE_LIAR &&
                  plan->roles[r] != ROLE_SLOW && plan->roles[r] != ROLE_STOPPED;
    return exactly;
}

static bool blames_right(const struct cluster *cluster,
                         const struct majority_end *end)
{
    const struct plan *plan = &cluster->plan;
    bool any = false, right = false;

    if (end->status == STATUS_DEAD)
        return end->rank < plan->members &&
               cluster_suspects(cluster, end->rank);
    if (end->status == STATUS_DIFFERS)
        return (cluster_suspects(cluster, end->difference.rank[0]) ||
                cluster_suspects(cluster, end->difference.rank[1])) &&
               memcmp(&end->difference.call[0], &end->difference.call[1],
                      sizeof(struct call)) != 0;
    if (end->status == STATUS_GONE)
        return plan->quorum != 0 || plan->faulty > 0;
    for (uint32_t r = 0; r < plan->members; r++) {
        bool missing = end->timed_out
                           ? mask_has(&end->missing, r)
                           : r < plan->ranks && !mask_has(&end->every, r);

        any = any || missing;
        right = right || (missing && cluster_suspects(cluster, r));
        if (missing && names_exactly(plan) && !cluster_suspects(cluster, r))
            return false;
    }
    /* A rank that is behind is missing too, be it by a quorum that went on
     * without it or by a silent server that it waits for. */
    return right || numbers_differ(plan) ||
           (any && !end->timed_out && plan->quorum != 0) ||
           (any && plan->faulty > 0 && plan->quorum == 0 &&
            !names_exactly(plan));
}

/* Whether a rank in this role has all it needs to go on. */
static bool resumes(enum role role)
{
    return role == ROLE_SOUND || role == ROLE_STOPPED || role == ROLE_SLOW;
}

void ends_check_failure(struct cluster *cluster, const struct member *m,
                        const struct open_call *open,
                        const struct majority_end *end)
{
    enum role role = cluster->plan.roles[m->rank];

    /* Who lies is told what it deserves. */
    if (role == ROLE_LIAR)
        return;
    if (!blames_right(cluster, end))
        run_fail(cluster->run,
                 "rank %u: round %" PRIu64 " ended with status %d%s and blames "
                 "no faulty rank (in: %016" PRIx64 ", missing: %016" PRIx64
                 ", rank %u, differ: %u, %u)",
                 m->rank, open->round, (int)end->status,
                 end->timed_out ? ", timed out" : "", end->every.words[0],
                 end->missing.words[0], end->rank, end->difference.rank[0],
                 end->difference.rank[1]);
    if (end->timed_out && plan_survivable(&cluster->plan) && resumes(role))
        run_fail(cluster->run, "rank %u gave up a server that was there",
                 m->rank);
    cluster->oracle.gone |= end->status == STATUS_GONE;
    cluster->oracle.lost |= resumes(role) && end->status != STATUS_GONE;
}

void ends_check_duration(struct cluster *cluster, const struct member *m,
                         const struct open_call *open)
{
    const struct plan *plan = &cluster->plan;
    uint64_t took = sim_now(cluster->sim) - open->begun_ns;
    uint32_t rounds = open->begun_with + 1;
    uint64_t most;

    if (plan->roles[m->rank] == ROLE_LIAR)
        return;
    /* Rounds that have failed, or were left, are drained before. */
    if (plan->quorum != 0 &&
        (!plan_survivable(plan) || cluster->oracle.disturbed))
        rounds += ROUNDS_MAX;
    for (uint32_t r = 0; r < plan->members; r++) {
        if (plan->roles[r] == ROLE_STOPPED)
            return;
        /* Each result that does arrive makes a rank wait anew. */
        if (plan->roles[r] == ROLE_LOSSY)
            rounds += plan->window;
    }
    most = rounds * plan->timeout_ns + plan->margin_ns + slack_ns;
    if (took > most)
        run_fail(cluster->run,
                 "rank %u: round %" PRIu64 " took %.3f ms, at most %.3f",
                 m->rank, open->round, (double)took / 1e6, (double)most / 1e6);
}
