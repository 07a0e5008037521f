/* SPDX-License-Identifier: Apache-2.0 */
/* worker_jury.c - redundant rounds once more, the slow way. */
#include "worker_jury.h"

#include <stdlib.h>
#include <string.h>

void jury_open(struct jury *jury, const struct jury_rules *rules,
               size_t coordinates)
{
    const size_t replicas = (size_t)rules->tasks * rules->replicas;

    *jury = (struct jury){.rules = *rules};
    jury->members = need_memory(rules->tasks * sizeof(*jury->members));
    jury->distances = need_memory(replicas * rules->replicas * 8);
    jury->rows = need_memory(replicas * sizeof(*jury->rows));
    for (size_t i = 0; i < replicas; i++)
        jury->rows[i] = need_memory((coordinates + 63) / 64 * 8 + 8);
}

void jury_close(struct jury *jury)
{
    for (size_t i = 0; i < (size_t)jury->rules.tasks * jury->rules.replicas;
         i++)
        free(jury->rows[i]);
    free(jury->rows);
    free(jury->distances);
    free(jury->members);
}

void jury_begin(struct jury *jury, uint32_t step)
{
    const struct jury_rules *rules = &jury->rules;

    jury->step = step;
    jury->absent = jury->byzantine = jury->honest = 0;
    jury->outcome = BALLOT_OUTCOME_REACHED;
    jury->chunks = jury->counted = jury->dropped = jury->disputed = 0;
    memset(jury->distances, 0,
           (size_t)rules->tasks * rules->replicas * rules->replicas * 8);
    if (rules->plus ? jury->rounds % JURY_WINDOW != 0 : rules->keep)
        return;
    memset(jury->flagged, 0, sizeof(jury->flagged));
    memset(jury->edges, 0, sizeof(jury->edges));
    memset(jury->first, 0, sizeof(jury->first));
}

static bool bit(const uint64_t *row, size_t i)
{
    return row[i / 64] >> i % 64 & 1;
}

static uint64_t *row_of(const struct jury *jury, uint32_t task,
                        uint32_t replica)
{
    return jury->rows[task * jury->rules.replicas + replica];
}

static bool takes_part(const struct jury *jury, uint32_t task, uint32_t replica,
                       uint32_t out)
{
    return (out >> jury->members[task][replica] & 1) == 0;
}

static uint64_t differing(const uint64_t *a, const uint64_t *b, size_t first,
                          size_t count)
{
    uint64_t sum = 0;

    for (size_t i = first; i < first + count; i++)
        sum += bit(a, i) != bit(b, i);
    return sum;
}

/* ---- Evidence ---- */

static void compare_pair(struct jury *jury, uint32_t task, uint32_t i,
                         uint32_t j, uint64_t distance)
{
    const uint32_t replicas = jury->rules.replicas;
    const int a = jury->members[task][i], b = jury->members[task][j];
    uint64_t *sum = &jury->distances[(task * replicas + i) * replicas + j];

    *sum += distance;
    if (*sum <= jury->rules.tolerance)
        return;
    jury->edges[a] |= 1u << b;
    jury->edges[b] |= 1u << a;
    if (jury->first[a][b].distance == 0)
        jury->first[a][b] =
            (struct ballot_dispute){a, b, jury->step, task, *sum};
}

static void compare_task(struct jury *jury, uint32_t task, size_t first,
                         size_t count, uint32_t out)
{
    bool disputed = false;

    for (uint32_t i = 0; i < jury->rules.replicas; i++)
        for (uint32_t j = i + 1; j < jury->rules.replicas; j++) {
            uint64_t distance;

            if (!takes_part(jury, task, i, out) ||
                !takes_part(jury, task, j, out))
                continue;
            distance = differing(row_of(jury, task, i), row_of(jury, task, j),
                                 first, count);
            disputed |= distance > 0;
            compare_pair(jury, task, i, j, distance);
        }
    jury->disputed += disputed;
}

/* ---- Verdicts ---- */

static uint32_t size_of(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

/* Whether nobody outside `cover`, of `left`, disputes with another of them. */
static bool covers(const struct jury *jury, uint32_t cover, uint32_t left)
{
    for (uint32_t w = 0; w < jury->rules.workers; w++)
        if ((left & ~cover) >> w & 1 && (jury->edges[w] & left & ~cover) != 0)
            return false;
    return true;
}

/* Who is in all sets that could be the liars, and who is in none. */
static void judge_proof(struct jury *jury)
{
    const uint32_t all = (1u << jury->rules.workers) - 1;
    const uint32_t left = all & ~jury->quarantined;
    const uint32_t most = jury->rules.liars_max - size_of(jury->quarantined);
    uint32_t every = all, some = 0;

    for (uint32_t set = 0; set <= all; set++) {
        if ((set & ~left) != 0 || size_of(set) > most ||
            !covers(jury, set, left))
            continue;
        every &= set;
        some |= set;
    }
    if (every == all || jury->outcome == BALLOT_OUTCOME_BROKEN) {
        jury->outcome = BALLOT_OUTCOME_BROKEN;
        jury->byzantine = jury->honest = 0;
        return;
    }
    jury->byzantine = every | jury->quarantined;
    jury->honest = left & ~some;
}

/* The only largest group of those present that all agree, if there is one. */
static void judge_paper(struct jury *jury)
{
    const uint32_t all = (1u << jury->rules.workers) - 1;
    const uint32_t present = all & ~jury->absent;
    uint32_t best = 0, times = 0;

    for (uint32_t set = 0; set <= all; set++) {
        if ((set & ~present) != 0 || size_of(set) < size_of(best) ||
            !covers(jury, ~set & all, all))
            continue;
        times = size_of(set) > size_of(best) ? 1 : times + 1;
        best = set;
    }
    jury->outcome =
        times == 1 ? BALLOT_OUTCOME_REACHED : BALLOT_OUTCOME_AMBIGUOUS;
    jury->honest = times == 1 ? best : 0;
    jury->byzantine = times == 1 ? present & ~best : 0;
}

/* Who disputes with more than may lie, the last ones to do so first. */
static void judge_plus(struct jury *jury, uint32_t *flagged)
{
    const uint32_t all = (1u << jury->rules.workers) - 1;
    const uint32_t now = jury->rounds % JURY_WINDOW + 1;

    jury->byzantine = 0;
    for (uint32_t w = 0; w < jury->rules.workers; w++)
        if (flagged[w] == 0 && size_of(jury->edges[w]) > jury->rules.liars_max)
            flagged[w] = now;
    for (uint32_t round = now; round > 0; round--)
        for (uint32_t w = 0; w < jury->rules.workers; w++)
            if (flagged[w] == round &&
                size_of(jury->byzantine) < jury->rules.liars_max)
                jury->byzantine |= 1u << w;
    jury->honest = all & ~jury->absent & ~jury->byzantine;
}

/* As if the round ended here. */
static void judge(struct jury *jury)
{
    uint32_t flagged[JURY_WORKERS_MAX];

    memcpy(flagged, jury->flagged, sizeof(flagged));
    if (jury->rules.plus)
        judge_plus(jury, flagged);
    else if (jury->rules.paper)
        judge_paper(jury);
    else
        judge_proof(jury);
}

/* ---- Values ---- */

static bool is_open(const struct jury *jury)
{
    for (uint32_t w = 0; w < jury->rules.workers; w++)
        if ((jury->byzantine >> w & 1) == 0 &&
            (jury->edges[w] & ~jury->byzantine) != 0)
            return true;
    return false;
}

/* Equal here, or near enough in the step. */
static bool agree(const struct jury *jury, uint32_t task, uint32_t i,
                  uint32_t j, size_t first, size_t count)
{
    const uint32_t replicas = jury->rules.replicas;
    const uint32_t low = i < j ? i : j, high = i < j ? j : i;

    return i == j ||
           jury->distances[(task * replicas + low) * replicas + high] <=
               jury->rules.tolerance ||
           differing(row_of(jury, task, i), row_of(jury, task, j), first,
                     count) == 0;
}

/* Whether all of a set of replicas agree with each other. */
static bool all_agree(const struct jury *jury, uint32_t task, uint32_t set,
                      size_t first, size_t count)
{
    for (uint32_t i = 0; i < jury->rules.replicas; i++)
        for (uint32_t j = 0; j < i; j++)
            if ((set >> i & set >> j & 1) != 0 &&
                !agree(jury, task, i, j, first, count))
                return false;
    return true;
}

/* The replicas whose majority is a task's value, as bits; 0: it has none. */
static uint32_t voters_of(const struct jury *jury, uint32_t task, size_t first,
                          size_t count, uint32_t out)
{
    const uint32_t replicas = jury->rules.replicas;
    uint32_t left = 0;
    bool complete = true;

    for (uint32_t i = 0; i < replicas; i++) {
        const int w = jury->members[task][i];
        const bool liar = jury->byzantine >> w & 1;

        if (takes_part(jury, task, i, out) && !liar)
            left |= 1u << i;
        complete &= liar || takes_part(jury, task, i, out);
    }
    for (uint32_t i = 0; i < replicas; i++)
        if (jury->honest >> jury->members[task][i] & 1 &&
            takes_part(jury, task, i, out))
            return 1u << i;
    if (!is_open(jury) && (size_of(left) > replicas / 2 || complete))
        return left;
    for (uint32_t set = 0; set < 1u << replicas; set++)
        if ((set & ~left) == 0 && size_of(set) > replicas / 2 &&
            all_agree(jury, task, set, first, count))
            return left;
    return 0;
}

static bool majority_of(const struct jury *jury, uint32_t task, uint32_t voters,
                        size_t i)
{
    uint32_t minus = 0;

    for (uint32_t r = 0; r < jury->rules.replicas; r++)
        minus += voters >> r & 1 && bit(row_of(jury, task, r), i);
    return 2 * minus > size_of(voters);
}

/* By the printed rule: any that is trusted, or what most present ones say. */
static bool paper_value(const struct jury *jury, uint32_t task, size_t i,
                        uint32_t out)
{
    uint32_t minus = 0, votes = 0;

    for (uint32_t r = 0; r < jury->rules.replicas; r++) {
        const int w = jury->members[task][r];

        if (!takes_part(jury, task, r, out))
            continue;
        if (jury->honest >> w & 1)
            return bit(row_of(jury, task, r), i);
        votes++;
        minus += bit(row_of(jury, task, r), i);
    }
    return 2 * minus > votes;
}

static bool paper_has_value(const struct jury *jury, uint32_t task,
                            uint32_t out)
{
    for (uint32_t r = 0; r < jury->rules.replicas; r++)
        if (takes_part(jury, task, r, out) &&
            (jury->outcome != BALLOT_OUTCOME_REACHED ||
             jury->honest >> jury->members[task][r] & 1))
            return true;
    return false;
}

static void vote(struct jury *jury, size_t first, size_t count, uint32_t out,
                 bool *minus, bool *tied)
{
    uint32_t *sums = need_memory(count * sizeof(*sums) + 1);
    uint32_t tasks = 0;

    for (uint32_t t = 0; t < jury->rules.tasks; t++) {
        uint32_t voters = 0;

        if (!jury->rules.paper)
            voters = voters_of(jury, t, first, count, out);
        if (jury->rules.paper ? !paper_has_value(jury, t, out) : voters == 0)
            continue;
        tasks++;
        for (size_t i = 0; i < count; i++)
            sums[i] += jury->rules.paper
                           ? paper_value(jury, t, first + i, out)
                           : majority_of(jury, t, voters, first + i);
    }
    for (size_t i = 0; i < count; i++) {
        minus[i] = 2 * sums[i] > tasks;
        tied[i] = 2 * sums[i] == tasks;
    }
    jury->counted += tasks;
    jury->dropped += jury->rules.tasks - tasks;
    free(sums);
}

void jury_count(struct jury *jury, size_t first, size_t count, uint32_t absent,
                bool *minus, bool *tied)
{
    const uint32_t out = absent | jury->quarantined;

    jury->absent |= absent & ~jury->quarantined;
    for (uint32_t t = 0; t < jury->rules.tasks; t++)
        compare_task(jury, t, first, count, out);
    judge(jury);
    vote(jury, first, count, out, minus, tied);
    jury->chunks++;
}

void jury_end(struct jury *jury)
{
    if (jury->rules.plus) {
        judge_plus(jury, jury->flagged);
        jury->rounds++;
    }
    if (!jury->rules.paper)
        jury->quarantined = jury->byzantine;
}

void jury_release(struct jury *jury, uint32_t worker)
{
    jury->quarantined &= ~(1u << worker);
    for (uint32_t w = 0; w < jury->rules.workers; w++) {
        jury->edges[w] &= ~(1u << worker);
        jury->first[w][worker].distance = 0;
        jury->first[worker][w].distance = 0;
    }
    jury->edges[worker] = 0;
    jury->flagged[worker] = 0;
}

/* ---- The report ---- */

static int unlike(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        say("unlike what=%s got=%llx want=%llx", what, (unsigned long long)got,
            (unsigned long long)want);
    return got != want;
}

static int compare_verdicts(const struct jury *jury,
                            const struct ballot_aspis_report *report)
{
    uint32_t byzantine = 0, honest = 0;

    for (int w = 0; w < BALLOT_WORKERS_MAX; w++) {
        if (report->verdict[w] == BALLOT_PROVEN_BYZANTINE)
            byzantine |= w < 32 ? 1u << w : UINT32_MAX;
        if (report->verdict[w] == BALLOT_PROVEN_HONEST)
            honest |= w < 32 ? 1u << w : UINT32_MAX;
    }
    return unlike("byzantine", byzantine, jury->byzantine) +
           unlike("honest", honest, jury->honest) +
           unlike("absent", report->absent[0], jury->absent) +
           unlike("quarantined", report->quarantined[0], jury->quarantined);
}

struct list {
    const struct ballot_dispute *disputes;
    size_t max, count;
    int wrong;
};

static void expect(struct list *list, struct ballot_dispute want)
{
    const struct ballot_dispute *got = &list->disputes[list->count];

    if (list->count++ < list->max)
        list->wrong += unlike("a", (uint64_t)got->a, (uint64_t)want.a) +
                       unlike("b", (uint64_t)got->b, (uint64_t)want.b) +
                       unlike("step", got->step, want.step) +
                       unlike("task", got->task, want.task) +
                       unlike("distance", got->distance, want.distance);
}

static int compare_disputes(const struct jury *jury,
                            const struct ballot_aspis_report *report,
                            const struct ballot_dispute *disputes, size_t max)
{
    const uint32_t workers = jury->rules.workers, r = jury->rules.replicas;
    struct list list = {.disputes = disputes, .max = max};
    uint32_t now[JURY_WORKERS_MAX] = {0};

    for (uint32_t t = 0; t < jury->rules.tasks; t++)
        for (uint32_t i = 0; i < r; i++)
            for (uint32_t j = i + 1; j < r; j++) {
                const int a = jury->members[t][i], b = jury->members[t][j];
                uint64_t sum = jury->distances[(t * r + i) * r + j];

                if (sum <= jury->rules.tolerance)
                    continue;
                now[a] |= 1u << b;
                expect(&list,
                       (struct ballot_dispute){a, b, jury->step, t, sum});
            }
    for (uint32_t a = 0; a < workers; a++)
        for (uint32_t b = a + 1; b < workers; b++)
            if (jury->first[a][b].distance != 0 && (now[a] >> b & 1) == 0)
                expect(&list, jury->first[a][b]);
    return list.wrong + unlike("disputes", report->disputes, list.count);
}

int jury_compare(const struct jury *jury,
                 const struct ballot_aspis_report *report,
                 const struct ballot_dispute *disputes, size_t disputes_max)
{
    return unlike("step", report->step, jury->step) +
           unlike("outcome", report->outcome, jury->outcome) +
           unlike("chunks", report->chunks, jury->chunks) +
           unlike("counted", report->counted, jury->counted) +
           unlike("dropped", report->dropped, jury->dropped) +
           unlike("disputed", report->disputed, jury->disputed) +
           compare_verdicts(jury, report) +
           compare_disputes(jury, report, disputes, disputes_max);
}
