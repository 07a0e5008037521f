/* SPDX-License-Identifier: Apache-2.0 */
/* jury.c - redundant rounds once more, by the verifier's oracle. */
#include "jury.h"

#include <stdlib.h>
#include <string.h>

#include "collective/evidence.h"
#include "tests/unit/verifier_oracle.h"

enum { DISPUTES_MAX = 3 * ORACLE_TASKS_MAX + 105 };

struct jury {
    const struct plan *plan;
    struct assignment *any;   /* for who asks, */
    struct assignment *tasks; /* and of the round under way */
    struct oracle oracle;
    bool open; /* a round is under way */
};

int jury_open(struct jury **jury, const struct plan *plan)
{
    struct jury *j = calloc(1, sizeof(*j));
    char why[ASSIGNMENT_WHY_BYTES];

    *jury = j;
    if (j == NULL ||
        assignment_open(&j->any, &plan->verifier.assignment, why) ||
        assignment_open(&j->tasks, &plan->verifier.assignment, why))
        return -1;
    j->plan = plan;
    j->oracle = (struct oracle){
        .assignment = j->tasks,
        .liars_max = plan->verifier.liars_max,
        .rule = plan->verifier.rule,
        .keep = plan->verifier.keep,
    };
    return 0;
}

void jury_close(struct jury *jury)
{
    if (jury == NULL)
        return;
    assignment_close(jury->tasks);
    assignment_close(jury->any);
    free(jury);
}

const uint16_t *jury_tasks(struct jury *jury, uint32_t rank, uint32_t step)
{
    assignment_rotate(jury->any, step);
    return assignment_tasks(jury->any, rank);
}

/* Nobody who is not a liar is ever proven one while the promise holds. */
static void check_proven(const struct jury *jury, struct run *run)
{
    const struct plan *plan = jury->plan;
    uint32_t liars = 0;

    for (uint32_t r = 0; r < plan->ranks; r++)
        if (plan->roles[r] == ROLE_LIAR)
            liars |= 1u << r;
    if (plan->verifier.rule != VERIFIER_PAPER &&
        (uint32_t)__builtin_popcount(liars) <= plan->verifier.liars_max &&
        (jury->oracle.byzantine & ~liars) != 0)
        run_fail(run, "ranks %x are proven liars, but only %x lie",
                 jury->oracle.byzantine, liars);
}

static void end_round(struct jury *jury, struct run *run)
{
    if (jury->open) {
        oracle_end(&jury->oracle);
        run->fates[FATE_PROVEN] += jury->oracle.byzantine != 0;
        run->fates[FATE_BROKEN] += jury->oracle.outcome == VERDICT_BROKEN;
    }
    jury->open = false;
}

void jury_count(struct jury *jury, struct run *run, uint32_t step,
                const struct verifier_chunk *chunk)
{
    struct oracle *o = &jury->oracle;
    const uint64_t disputed = o->disputed, dropped = o->dropped;

    if (jury->open && o->step != step)
        end_round(jury, run);
    if (!jury->open) {
        assignment_rotate(jury->tasks, step);
        oracle_begin(o, step);
    }
    jury->open = true;
    oracle_count(o, chunk);
    check_proven(jury, run);
    run->fates[FATE_TASKS]++;
    run->fates[FATE_DISPUTED] += o->disputed > disputed;
    run->fates[FATE_DROPPED_TASK] += o->dropped > dropped;
}

void jury_asked(struct jury *jury, struct run *run)
{
    end_round(jury, run);
}

void jury_released(struct jury *jury, struct run *run, uint32_t worker)
{
    run->fates[FATE_RELEASED] += jury->oracle.quarantined >> worker & 1;
    oracle_release(&jury->oracle, worker);
}

static bool set_is(const uint64_t *set, uint32_t should)
{
    for (int w = 1; w < BALLOT_WORKERS_MAX / 64; w++)
        if (set[w] != 0)
            return false;
    return set[0] == should;
}

static bool verdicts_are(const struct ballot_aspis_report *report,
                         const struct oracle *o)
{
    for (uint32_t w = 0; w < BALLOT_WORKERS_MAX; w++) {
        const bool liar = w < 32 && o->byzantine >> w & 1;
        const bool honest = w < 32 && o->honest >> w & 1;

        if ((report->verdict[w] == BALLOT_PROVEN_BYZANTINE) != liar ||
            (report->verdict[w] == BALLOT_PROVEN_HONEST) != honest)
            return false;
    }
    return true;
}

static bool disputes_are(const struct ballot_aspis_report *report,
                         const struct ballot_dispute *list,
                         const struct oracle *o)
{
    static struct verifier_dispute should[DISPUTES_MAX];
    const size_t count = oracle_disputes(o, should);

    if (report->disputes != count)
        return false;
    for (size_t i = 0; i < count && i < PLAN_LISTED; i++)
        if ((uint32_t)list[i].a != should[i].a ||
            (uint32_t)list[i].b != should[i].b ||
            list[i].step != should[i].step || list[i].task != should[i].task ||
            list[i].distance != should[i].distance)
            return false;
    return true;
}

void jury_reported(const struct jury *jury, struct run *run,
                   const uint8_t *bytes)
{
    const struct oracle *o = &jury->oracle;
    struct ballot_aspis_report report;
    struct ballot_dispute list[PLAN_LISTED];

    run->fates[FATE_REPORTED]++;
    if (evidence_read(bytes, jury->plan->ranks, jury->plan->tasks, &report,
                      list, PLAN_LISTED) < 0)
        run_fail(run, "a report says what cannot be");
    else if (report.step != o->step || (int)report.outcome != (int)o->outcome ||
             !verdicts_are(&report, o) || !set_is(report.absent, o->absent) ||
             !set_is(report.quarantined, o->quarantined) ||
             report.counted != o->counted || report.dropped != o->dropped ||
             report.disputed != o->disputed || report.arbitrations != 0 ||
             !disputes_are(&report, list, o))
        run_fail(run,
                 "a report is not what follows from the votes: step %u, "
                 "outcome %d, %llu disputes, absent %llx, quarantined %llx",
                 report.step, (int)report.outcome,
                 (unsigned long long)report.disputes,
                 (unsigned long long)report.absent[0],
                 (unsigned long long)report.quarantined[0]);
}
