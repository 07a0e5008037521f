/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables_rounds.c - what takes several rounds: how long Aspis+ takes to find
 * the liars, what kept evidence proves, and how many recomputations convict.
 */
#include "tables.h"

enum {
    TRIALS = 4000,
    STUCK_TRIALS = 500,
    ROUNDS_MAX = 100,
    EVIDENCE_TRIALS = 400,
    COORDINATES = 64,
};

static struct trial *open_triples(struct tables *tables, uint32_t workers,
                                  uint32_t q, enum trial_rule rule,
                                  bool rotates)
{
    const struct trial_config config = {
        .assignment = {.design = DESIGN_STEINER,
                       .workers = workers,
                       .replication = 3,
                       .seed = 1},
        .attack = BALLOT_ATTACK_REVERSED,
        .rule = rule,
        .promise = q,
        .coordinates = COORDINATES,
        .keep = true,
        .rotates = rotates,
        .seed = 1,
    };
    char why[ASSIGNMENT_WHY_BYTES];
    struct trial *trial = NULL;
    int error;

    if (tables->error != 0)
        return NULL;
    error = trial_open(&trial, &config, why);
    if (error < 0)
        tables_fail(tables, error, why);
    return trial;
}

/* ---- Aspis+: rounds to find all ------------------------------------------ */

struct detection {
    uint32_t workers, liars;
    double mean, median, p95, within_5;
};

static const struct detection detections[] = {
    {7, 2, 3.90, 4, 6, .904},  {15, 2, 3.26, 3, 4, .994},
    {15, 4, 3.07, 3, 5, .991}, {15, 6, 4.59, 4, 6, .830},
    {21, 6, 3.10, 3, 4, .998}, {25, 7, 3.03, 3, 4, 1.000},
    {25, 9, 3.64, 4, 5, .995},
};

struct times {
    uint32_t after[ROUNDS_MAX + 1]; /* trials that took so many rounds */
    uint32_t trials, wronged;
};

/* One trial. No two trials have a round in common. */
static void find_all(struct trial *trial, const struct ballot_cast *cast,
                     uint32_t q, struct times *times)
{
    uint32_t round = 0;
    struct trial_outcome outcome;

    trial_forget(trial);
    do {
        trial_play(trial, cast, (uint64_t)times->trials * ROUNDS_MAX + round,
                   &outcome);
        times->wronged += outcome.wronged;
        round++;
    } while (outcome.caught < q && round < ROUNDS_MAX);
    times->after[round]++;
    times->trials++;
}

static double mean_of(const struct times *times)
{
    double sum = 0;

    for (uint32_t r = 0; r <= ROUNDS_MAX; r++)
        sum += (double)r * times->after[r];
    return sum / times->trials;
}

static double share_within(const struct times *times, uint32_t rounds)
{
    double sum = 0;

    for (uint32_t r = 0; r <= rounds; r++)
        sum += times->after[r];
    return sum / times->trials;
}

/* The fewest rounds within which that share is done. */
static uint32_t quantile(const struct times *times, double share)
{
    uint32_t rounds = 0;

    while (rounds < ROUNDS_MAX && share_within(times, rounds) < share)
        rounds++;
    return rounds;
}

static void detect(struct tables *tables, const struct detection *d)
{
    struct trial *trial =
        open_triples(tables, d->workers, d->liars, TRIAL_PAPER_PLUS, true);
    struct times times = {.trials = 0};
    struct ballot_cast cast;

    if (trial == NULL)
        return;
    ballot_cast_draw(&cast, BALLOT_SCHEME_MAJORITY, d->workers, d->liars, 0);
    while (times.trials < TRIALS)
        find_all(trial, &cast, d->liars, &times);
    trial_close(trial);
    tables_add(tables, (struct table_number){d->mean, mean_of(&times), .1},
               "K=%u q=%u mean rounds to flag all", d->workers, d->liars);
    tables_add(tables,
               (struct table_number){d->median, quantile(&times, .5), 0},
               "K=%u q=%u median", d->workers, d->liars);
    tables_add(tables, (struct table_number){d->p95, quantile(&times, .95), 0},
               "K=%u q=%u 95 of 100 trials within", d->workers, d->liars);
    tables_add(tables,
               (struct table_number){d->within_5, share_within(&times, 5), .02},
               "K=%u q=%u share within 5 rounds", d->workers, d->liars);
    tables_add(tables, (struct table_number){0, times.wronged, 0},
               "K=%u q=%u honest accused in all trials", d->workers, d->liars);
}

/* Where places are fixed, the same few disputes come again. */
static void stand_still(struct tables *tables)
{
    struct trial *trial = open_triples(tables, 15, 2, TRIAL_PAPER_PLUS, false);
    uint32_t found = 0;

    for (uint32_t i = 1; trial != NULL && i <= STUCK_TRIALS; i++) {
        struct trial_outcome outcome = {.tasks = 0};
        struct ballot_cast cast;

        ballot_cast_draw(&cast, BALLOT_SCHEME_MAJORITY, 15, 2, i);
        trial_forget(trial);
        for (uint32_t r = 0; r < 2 * TRIAL_WINDOW; r++) {
            trial_play(trial, &cast, r, &outcome);
            found += outcome.caught == 2;
        }
    }
    trial_close(trial);
    tables_add(tables, (struct table_number){0, found, 0},
               "K=15 q=2 fixed places: times all are flagged");
}

/* Two liars and the third of their task: the clique rule leaves that one out.
 */
static void expel_by_clique(struct tables *tables)
{
    struct trial *trial = open_triples(tables, 15, 2, TRIAL_PAPER, true);
    uint32_t wronged = 0;
    struct ballot_cast cast;

    ballot_cast_draw(&cast, BALLOT_SCHEME_MAJORITY, 15, 2, 0);
    for (uint32_t r = 0; trial != NULL && r < STUCK_TRIALS; r++) {
        struct trial_outcome outcome;

        trial_forget(trial);
        trial_play(trial, &cast, r, &outcome);
        wronged += outcome.wronged == 1 && outcome.caught == 0;
    }
    trial_close(trial);
    tables_add(tables,
               (struct table_number){1, (double)wronged / STUCK_TRIALS, 0},
               "K=15 q=2 paper: share of rounds that expel one honest");
}

/* ---- proof: kept evidence ------------------------------------------------ */

struct evidence {
    enum ballot_scheme scheme;
    float rate;
    uint32_t liars, rounds;
    double proven, slack; /* means of few rounds were printed */
};

static const struct evidence kept[] = {
    {BALLOT_SCHEME_MAJORITY, 1.0f, 3, 1, 0, 0},
    {BALLOT_SCHEME_MAJORITY, 1.0f, 6, 1, 5.5, .5},
    {BALLOT_SCHEME_MAJORITY, 1.0f, 7, 1, 5.2, .5},
    {BALLOT_SCHEME_MAJORITY, 1.0f, 3, 5, 3, .05},
    {BALLOT_SCHEME_MAJORITY, 1.0f, 6, 5, 6, .05},
    {BALLOT_SCHEME_MAJORITY, 1.0f, 7, 5, 7, .05},
    {BALLOT_SCHEME_INDEPENDENT, 0.3f, 3, 1, 2.5, .5},
    {BALLOT_SCHEME_INDEPENDENT, 0.3f, 6, 1, 3.5, .5},
    {BALLOT_SCHEME_INDEPENDENT, 0.3f, 7, 1, 3.5, .5},
    {BALLOT_SCHEME_INDEPENDENT, 0.3f, 3, 5, 3, .05},
    {BALLOT_SCHEME_INDEPENDENT, 0.3f, 6, 5, 6, .05},
    {BALLOT_SCHEME_INDEPENDENT, 0.3f, 7, 5, 7, .05},
    {BALLOT_SCHEME_FIXED, 1.0f, 3, 20, 0, 0},
    {BALLOT_SCHEME_FIXED, 1.0f, 6, 20, 0, 0},
    {BALLOT_SCHEME_FIXED, 1.0f, 7, 20, 0, 0},
    {BALLOT_SCHEME_FRAMING, 1.0f, 3, 20, 0, 0},
    {BALLOT_SCHEME_FRAMING, 1.0f, 6, 20, 0, 0},
    {BALLOT_SCHEME_FRAMING, 1.0f, 7, 20, 0, 0},
};

static void keep_evidence(struct tables *tables, const struct evidence *e)
{
    struct trial *trial = open_triples(tables, 15, e->liars, TRIAL_PROOF, true);
    uint32_t caught = 0, wronged = 0;

    for (uint32_t i = 0; trial != NULL && i < EVIDENCE_TRIALS; i++) {
        struct trial_outcome outcome = {.tasks = 0};
        struct ballot_cast cast;

        ballot_cast_draw(&cast, e->scheme, 15, e->liars, i + 1);
        cast.rate = e->rate;
        trial_forget(trial);
        for (uint32_t r = 0; r < e->rounds; r++) {
            trial_play(trial, &cast, (uint64_t)i * ROUNDS_MAX + r, &outcome);
            wronged += outcome.wronged + outcome.trusted_liars;
        }
        caught += outcome.caught;
    }
    trial_close(trial);
    tables_add(tables,
               (struct table_number){
                   e->proven, (double)caught / EVIDENCE_TRIALS, e->slack},
               "K=15 q=%u %s, round %u: liars proven", e->liars,
               ballot_scheme_name(e->scheme), e->rounds);
    tables_add(tables, (struct table_number){0, wronged, 0},
               "K=15 q=%u %s, round %u: wrong verdicts", e->liars,
               ballot_scheme_name(e->scheme), e->rounds);
}

/* ---- Recomputations ------------------------------------------------------ */

/* A disputed task has a liar who is not convicted yet, so as many tasks as
 * there are liars are enough. */
static const enum ballot_scheme arbitrated[] = {
    BALLOT_SCHEME_INDEPENDENT, BALLOT_SCHEME_MAJORITY,  BALLOT_SCHEME_FIXED,
    BALLOT_SCHEME_TAKE_OVER,   BALLOT_SCHEME_SCAPEGOAT, BALLOT_SCHEME_FRAMING,
};

/* Whether two of the task's workers who are not convicted differ in it. */
static bool is_unsettled(const struct trial *trial, uint32_t task,
                         const struct worker_set *convicted)
{
    const uint8_t *workers = assignment_workers(trial_assignment(trial), task);

    if (!trial_is_disputed(trial, task))
        return false;
    for (uint32_t i = 0; i < 3; i++)
        if (!workers_has(convicted, workers[i]) &&
            !(trial_truthful(trial, task) >> i & 1))
            return true;
    return false;
}

/* Recomputes a disputed task, and convicts who differs from that. */
static uint32_t settle(const struct trial *trial, uint32_t *wronged,
                       const struct ballot_cast *cast)
{
    const uint32_t tasks = assignment_shape(trial_assignment(trial))->tasks;
    struct worker_set convicted = {{0}};
    uint32_t recomputed = 0;

    for (uint32_t t = 0; t < tasks; t++) {
        const uint8_t *workers = assignment_workers(trial_assignment(trial), t);

        if (!is_unsettled(trial, t, &convicted))
            continue;
        recomputed++;
        for (uint32_t i = 0; i < 3; i++)
            if (!(trial_truthful(trial, t) >> i & 1))
                workers_add(&convicted, workers[i]);
    }
    for (uint32_t w = 0; w < cast->workers; w++)
        *wronged +=
            workers_has(&convicted, w) && !ballot_cast_lies(cast, (int)w);
    return recomputed;
}

static void arbitrate(struct tables *tables, enum ballot_scheme scheme,
                      uint32_t liars)
{
    struct trial *trial = open_triples(tables, 15, liars, TRIAL_PROOF, true);
    uint32_t wronged = 0, too_many = 0;

    for (uint32_t i = 0; trial != NULL && i < EVIDENCE_TRIALS; i++) {
        struct trial_outcome outcome;
        struct ballot_cast cast;

        ballot_cast_draw(&cast, scheme, 15, liars, i + 1);
        trial_forget(trial);
        trial_play(trial, &cast, i, &outcome);
        too_many += settle(trial, &wronged, &cast) > liars;
    }
    trial_close(trial);
    tables_add(tables, (struct table_number){0, too_many, 0},
               "K=15 q=%u %s: rounds that take more than q", liars,
               ballot_scheme_name(scheme));
    tables_add(tables, (struct table_number){0, wronged, 0},
               "K=15 q=%u %s: honest convicted", liars,
               ballot_scheme_name(scheme));
}

void tables_rounds(struct tables *tables)
{
    const size_t count = sizeof(detections) / sizeof(detections[0]);

    tables_begin(tables, "Aspis+ over triples, liars where they are more");
    for (size_t i = 0; i < (tables->quick ? 2 : count); i++)
        detect(tables, &detections[i]);
    stand_still(tables);
    expel_by_clique(tables);
    tables_begin(tables, "proof over triples, with evidence that is kept");
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (!tables->quick || kept[i].rounds == 1)
            keep_evidence(tables, &kept[i]);
    tables_begin(tables, "Recomputing disputed tasks of one round of triples");
    for (size_t i = 0; i < sizeof(arbitrated) / sizeof(arbitrated[0]); i++)
        for (uint32_t q = 3; q <= 7; q += 2)
            arbitrate(tables, arbitrated[i], q);
}
