/* SPDX-License-Identifier: Apache-2.0 */
/* trial.c - rounds of redundant tasks with liars, played in one process. */
#include "trial.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/splitmix.h"
#include "aspis/agreement.h"
#include "aspis/resolve.h"

enum { HONEST_SEEN = 15 }; /* true vectors that a liar looks at */

struct trial {
    struct trial_config config;
    struct assignment *assignment;
    struct agreement *agreement;
    const struct kernels *kernels;
    struct verdict_window window;
    size_t words;       /* of a row */
    uint64_t *truth;    /* [tasks][words] */
    uint64_t *replicas; /* [tasks][replication][words] */
    uint64_t *value;    /* [words] */
    uint32_t *counts; /* [2][coordinates]: minus of the values, of the truth */
    struct worker_set absent;
};

static uint64_t *truth_of(const struct trial *trial, uint32_t task)
{
    return &trial->truth[task * trial->words];
}

static uint64_t *replica_of(const struct trial *trial, uint32_t task,
                            uint32_t i)
{
    const uint32_t replication =
        assignment_shape(trial->assignment)->replication;

    return &trial->replicas[((size_t)task * replication + i) * trial->words];
}

static bool allocate(struct trial *trial)
{
    const struct assignment_shape *shape = assignment_shape(trial->assignment);
    const size_t rows = (size_t)shape->tasks * (shape->replication + 1) + 1;

    trial->words = LINE_WORDS * lines_for(trial->config.coordinates);
    trial->truth =
        aligned_alloc(LINE_BYTES, rows * trial->words * sizeof(uint64_t));
    trial->counts =
        calloc(2 * (size_t)trial->config.coordinates, sizeof(*trial->counts));
    if (trial->truth == NULL || trial->counts == NULL)
        return false;
    trial->replicas = trial->truth + shape->tasks * trial->words;
    trial->value = trial->truth + (rows - 1) * trial->words;
    return true;
}

int trial_open(struct trial **trial, const struct trial_config *config,
               char why[ASSIGNMENT_WHY_BYTES])
{
    struct trial *t = calloc(1, sizeof(*t));
    int error = t == NULL ? -ENOMEM : 0;

    assert(config->coordinates >= 1 &&
           config->coordinates <= TRIAL_COORDINATES_MAX);
    snprintf(why, ASSIGNMENT_WHY_BYTES, "no memory; take fewer workers");
    if (error == 0) {
        t->config = *config;
        t->kernels = kernels_pick(NULL);
        error = assignment_open(&t->assignment, &config->assignment, why);
    }
    if (error == 0 && !allocate(t))
        error = -ENOMEM;
    /* One replica of a task contradicts nobody. */
    if (error == 0 && config->assignment.replication > 1) {
        const struct assignment_shape *shape = assignment_shape(t->assignment);

        error =
            agreement_open(&t->agreement, &(struct agreement_config){
                                              .workers = shape->workers,
                                              .tasks = shape->tasks,
                                              .replicas = shape->replication,
                                              .tolerance = config->tolerance,
                                          });
    }
    if (error < 0) {
        trial_close(t);
        return error;
    }
    trial_forget(t);
    *trial = t;
    return 0;
}

void trial_close(struct trial *trial)
{
    if (trial == NULL)
        return;
    agreement_close(trial->agreement);
    assignment_close(trial->assignment);
    free(trial->truth);
    free(trial->counts);
    free(trial);
}

void trial_forget(struct trial *trial)
{
    trial->window = (struct verdict_window){.length = TRIAL_WINDOW};
    if (trial->agreement != NULL)
        agreement_begin(trial->agreement, false);
}

/* ---- What the workers say ------------------------------------------------ */

/* All tasks go the way of the whole batch in three of four coordinates. */
static void draw_truth(struct trial *trial, uint64_t round)
{
    const uint32_t tasks = assignment_shape(trial->assignment)->tasks;
    const uint64_t tail = trial->config.coordinates % 64;
    const size_t used = (trial->config.coordinates + 63) / 64;
    uint64_t draw = splitmix(splitmix(trial->config.seed) + round);

    memset(trial->truth, 0, tasks * trial->words * sizeof(uint64_t));
    for (size_t w = 0; w < used; w++) {
        const uint64_t batch = splitmix(draw += SPLITMIX_STEP);

        for (uint32_t t = 0; t < tasks; t++) {
            const uint64_t one = splitmix(draw += SPLITMIX_STEP);
            const uint64_t other = splitmix(draw += SPLITMIX_STEP);
            uint64_t *word = &truth_of(trial, t)[w];

            *word = batch ^ (one & other);
            if (tail != 0 && w == used - 1)
                *word &= (UINT64_C(1) << tail) - 1;
        }
    }
}

/* Whoever plays a part of a matching has to stay within the tolerance of one
 * side, and so has the liar, of the other liars. */
static void shorten(const struct trial *trial, uint64_t *lie, uint32_t task,
                    enum ballot_part part)
{
    const uint64_t whole = trial->config.tolerance + 1;

    ballot_attack_limit(lie, truth_of(trial, task), trial->config.coordinates,
                        part == BALLOT_PART_HALF ? whole / 2 : whole);
}

static void say(const struct trial *trial, const struct ballot_cast *cast,
                uint64_t round, uint32_t task, uint32_t i)
{
    const struct assignment_shape *shape = assignment_shape(trial->assignment);
    const uint8_t *workers = assignment_workers(trial->assignment, task);
    uint64_t *row = replica_of(trial, task, i);
    const void *honest[HONEST_SEEN];
    struct ballot_attack_scene scene = {
        .honest = honest,
        .honest_count = shape->tasks < HONEST_SEEN ? shape->tasks : HONEST_SEEN,
        .seed = trial->config.seed,
        .step = round,
        .task = task,
        .voice = ballot_cast_voice(cast, workers[i]),
    };
    int members[ASSIGNMENT_REPLICATION_MAX];
    enum ballot_part part;

    memcpy(row, truth_of(trial, task), trial->words * sizeof(*row));
    if (!ballot_cast_lies(cast, workers[i]))
        return;
    for (uint32_t m = 0; m < shape->replication; m++)
        members[m] = workers[m];
    part = ballot_cast_part(cast, workers[i], round, task, members,
                            shape->replication);
    if (part == BALLOT_PART_TRUTH)
        return;
    for (uint32_t h = 0; h < scene.honest_count; h++)
        honest[h] = truth_of(trial, h);
    ballot_attack_lie(trial->config.attack, row, trial->config.coordinates,
                      BALLOT_SIGNS, &scene);
    if (cast->scheme == BALLOT_SCHEME_MATCHING)
        shorten(trial, row, task, part);
}

/* ---- What the server makes of it ----------------------------------------- */

static uint32_t present_of(const struct trial *trial, uint32_t task)
{
    const struct assignment_shape *shape = assignment_shape(trial->assignment);
    const uint8_t *workers = assignment_workers(trial->assignment, task);
    uint32_t present = 0;

    for (uint32_t i = 0; i < shape->replication; i++)
        if (!workers_has(&trial->absent, workers[i]))
            present |= 1u << i;
    return present;
}

/* The distances of the replicas in the mask, and what most of them say. */
static void compare(const struct trial *trial, uint32_t task, uint32_t mask,
                    uint64_t *majority, uint64_t *distances)
{
    const uint64_t *rows[REPLICAS_MAX];
    uint32_t count = 0;

    for (uint32_t left = mask; left != 0; left &= left - 1)
        rows[count++] = replica_of(trial, task, (uint32_t)__builtin_ctz(left));
    memset(distances, 0,
           REPLICAS_MAX * (REPLICAS_MAX - 1) / 2 * sizeof(*distances));
    if (count == 0)
        return;
    if (count == 1) {
        memcpy(majority, rows[0], trial->words * sizeof(*majority));
        return;
    }
    trial->kernels->compare(&(struct compare){
        .majority = majority,
        .distances = distances,
        .rows = rows,
        .replicas = count,
        .count = trial->config.coordinates,
    });
}

static void gather_evidence(struct trial *trial, bool keep)
{
    const uint32_t tasks = assignment_shape(trial->assignment)->tasks;
    uint64_t distances[REPLICAS_MAX * (REPLICAS_MAX - 1) / 2];

    if (trial->agreement == NULL)
        return;
    agreement_begin(trial->agreement, keep);
    for (uint32_t w = workers_next(&trial->absent, 0); w < WORKERS_MAX;
         w = workers_next(&trial->absent, w + 1))
        agreement_absent(trial->agreement, w);
    for (uint32_t t = 0; t < tasks; t++) {
        const uint32_t present = present_of(trial, t);

        compare(trial, t, present, trial->value, distances);
        agreement_add(trial->agreement, t,
                      assignment_workers(trial->assignment, t), present,
                      distances);
    }
}

static void judge(struct trial *trial, struct verdict *verdict)
{
    const struct graph *disputes;

    *verdict = (struct verdict){.outcome = VERDICT_REACHED};
    if (trial->agreement == NULL)
        return;
    disputes = agreement_graph(trial->agreement);
    switch (trial->config.rule) {
    case TRIAL_PROOF:
        verdict_proof(verdict, disputes, trial->config.promise, VERDICT_NODES);
        break;
    case TRIAL_PAPER:
        verdict_paper(verdict, disputes, agreement_present(trial->agreement),
                      VERDICT_NODES);
        break;
    case TRIAL_PAPER_PLUS:
        verdict_degrees(verdict, &trial->window, disputes,
                        agreement_present(trial->agreement),
                        trial->config.promise);
        break;
    case TRIAL_VOTE:
    case TRIAL_RULES: break;
    }
}

static struct choice choose(const struct trial *trial, uint32_t task,
                            const struct verdict *verdict, bool open)
{
    const struct replicas replicas = {
        .workers = assignment_workers(trial->assignment, task),
        .count = assignment_shape(trial->assignment)->replication,
        .present = present_of(trial, task),
        .distances = trial->agreement == NULL
                         ? NULL
                         : agreement_distances(trial->agreement, task),
        .tolerance = trial->config.tolerance,
    };
    const struct choice vote = {
        .kind = replicas.present == 0 ? CHOICE_DROP : CHOICE_MAJORITY,
        .voters = replicas.present,
    };

    if (trial->config.rule == TRIAL_VOTE || trial->agreement == NULL)
        return vote;
    return trial->config.rule == TRIAL_PROOF
               ? resolve_proof(verdict, open, &replicas)
               : resolve_paper(verdict, &replicas);
}

static uint64_t distance_of(const struct trial *trial, const uint64_t *a,
                            const uint64_t *b)
{
    uint64_t distance = 0;

    for (size_t w = 0; w < trial->words; w++)
        distance += (uint64_t)__builtin_popcountll(a[w] ^ b[w]);
    return distance;
}

static void count_minus(uint32_t *counts, const uint64_t *row,
                        uint32_t coordinates)
{
    for (uint32_t i = 0; i < coordinates; i++)
        counts[i] += (uint32_t)(row[i / 64] >> i % 64 & 1);
}

static void resolve(struct trial *trial, struct trial_outcome *outcome)
{
    const uint32_t coordinates = trial->config.coordinates;
    uint64_t distances[REPLICAS_MAX * (REPLICAS_MAX - 1) / 2];
    const bool open =
        trial->agreement != NULL &&
        resolve_is_open(&outcome->verdict, agreement_graph(trial->agreement));

    memset(trial->counts, 0, 2 * coordinates * sizeof(*trial->counts));
    for (uint32_t t = 0; t < outcome->tasks; t++) {
        const struct choice choice = choose(trial, t, &outcome->verdict, open);
        const uint64_t *value = trial->value;

        count_minus(trial->counts + coordinates, truth_of(trial, t),
                    coordinates);
        outcome->disputed += trial_is_disputed(trial, t);
        if (choice.kind == CHOICE_DROP) {
            outcome->dropped++;
            continue;
        }
        if (choice.kind == CHOICE_REPLICA)
            value = replica_of(trial, t, choice.replica);
        else
            compare(trial, t, choice.voters, trial->value, distances);
        outcome->corrupted += distance_of(trial, value, truth_of(trial, t)) >
                              trial->config.tolerance;
        count_minus(trial->counts, value, coordinates);
    }
}

/* A tie of the tasks is plus. */
static void vote_over_tasks(const struct trial *trial,
                            struct trial_outcome *outcome)
{
    const uint32_t coordinates = trial->config.coordinates;
    const uint32_t voters = outcome->tasks - outcome->dropped;

    for (uint32_t i = 0; i < coordinates; i++) {
        const bool said = 2 * trial->counts[i] > voters;
        const bool is_true =
            2 * trial->counts[coordinates + i] > outcome->tasks;

        outcome->wrong_signs += said != is_true;
    }
}

static void look_at_accused(struct trial_outcome *outcome,
                            const struct ballot_cast *cast)
{
    const struct verdict *verdict = &outcome->verdict;

    for (uint32_t w = 0; w < cast->workers; w++) {
        const bool lies = ballot_cast_lies(cast, (int)w);

        if (workers_has(&verdict->byzantine, w))
            *(lies ? &outcome->caught : &outcome->wronged) += 1;
        outcome->trusted_liars += lies && workers_has(&verdict->honest, w);
    }
}

void trial_play(struct trial *trial, const struct ballot_cast *cast,
                uint64_t round, struct trial_outcome *outcome)
{
    const struct assignment_shape *shape = assignment_shape(trial->assignment);
    const bool keep = trial->config.rule == TRIAL_PAPER_PLUS
                          ? !verdict_window_opens(&trial->window)
                          : trial->config.keep;

    assert(cast->workers == shape->workers);
    *outcome = (struct trial_outcome){.tasks = shape->tasks};
    if (trial->config.rotates)
        assignment_rotate(trial->assignment, round);
    trial->absent = (struct worker_set){{0}};
    /* All rows of a worker come in one piece, or none does. */
    for (uint32_t w = 0; w < shape->workers; w++)
        if (trial->config.attack == BALLOT_ATTACK_SILENT &&
            ballot_cast_lies(cast, (int)w))
            workers_add(&trial->absent, w);
    draw_truth(trial, round);
    for (uint32_t t = 0; t < shape->tasks; t++)
        for (uint32_t i = 0; i < shape->replication; i++)
            say(trial, cast, round, t, i);
    gather_evidence(trial, keep);
    judge(trial, &outcome->verdict);
    resolve(trial, outcome);
    vote_over_tasks(trial, outcome);
    look_at_accused(outcome, cast);
}

/* ---- What is asked afterwards -------------------------------------------- */

const struct assignment *trial_assignment(const struct trial *trial)
{
    return trial->assignment;
}

const struct graph *trial_disputes(const struct trial *trial)
{
    return agreement_graph(trial->agreement);
}

uint32_t trial_truthful(const struct trial *trial, uint32_t task)
{
    const uint32_t replication =
        assignment_shape(trial->assignment)->replication;
    uint32_t truthful = 0;

    for (uint32_t i = 0; i < replication; i++)
        if (distance_of(trial, replica_of(trial, task, i),
                        truth_of(trial, task)) <= trial->config.tolerance)
            truthful |= 1u << i;
    return truthful;
}

bool trial_is_disputed(const struct trial *trial, uint32_t task)
{
    const uint32_t replication =
        assignment_shape(trial->assignment)->replication;
    const uint64_t *distances;

    if (trial->agreement == NULL)
        return false;
    distances = agreement_distances(trial->agreement, task);
    for (uint32_t p = 0; p < replication * (replication - 1) / 2; p++)
        if (distances[p] > trial->config.tolerance)
            return true;
    return false;
}

const char *trial_rule_name(enum trial_rule rule)
{
    static const char *const names[TRIAL_RULES] = {
        [TRIAL_PROOF] = "proof",
        [TRIAL_PAPER] = "paper",
        [TRIAL_PAPER_PLUS] = "paper+",
        [TRIAL_VOTE] = "vote",
    };

    return (unsigned)rule < TRIAL_RULES ? names[rule] : NULL;
}
