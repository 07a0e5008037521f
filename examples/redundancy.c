/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redundancy.c - the step of a training in which several ranks compute each
 * part of the batch, so that liars are found out.
 */
#include "redundancy.h"

#include <ballot_attack.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

enum {
    SIGN_WORDS = (NETWORK_PARAMETERS + 63) / 64,
    SET_WORDS = BALLOT_WORKERS_MAX / 64,
};

struct redundancy {
    const struct options *options;
    const struct mnist *train;
    struct ballot_comm *comm;
    uint32_t rank;
    struct ballot_aspis_shape shape;
    uint32_t *tasks;   /* [load], of this step */
    uint64_t *signs;   /* [load][SIGN_WORDS] */
    const void **rows; /* [load], where the signs of each task begin */
    struct ballot_cast cast;
    /* Of a liar whose attack needs it: the truth about the first tasks, which
     * are all where a lie can take so many. */
    uint32_t known;            /* of the tasks; 0: none */
    float *truths;             /* [known][NETWORK_PARAMETERS] */
    const void **truth_of;     /* [known], where each begins */
    uint64_t same[SIGN_WORDS]; /* its lie, in all tasks of this step */
    uint32_t picks[BATCH_MAX];
    float gradient[NETWORK_PARAMETERS];
    uint64_t packed[SIGN_WORDS]; /* the vote */
    /* What the reports said so far. */
    uint64_t caught[SET_WORDS];
    uint32_t caught_at; /* the step of the last one */
    uint64_t counted;
    uint64_t disputed;
    uint64_t dropped;
};

static bool has(const uint64_t *set, uint32_t rank)
{
    return set[rank / 64] >> rank % 64 & 1;
}

/* ---- Start and end ------------------------------------------------------- */

void redundancy_configure(struct ballot_config *config, const struct options *o)
{
    config->design = o->design;
    config->replicas = o->replicas;
    config->seed = o->seed;
    config->rule =
        o->rule == RULE_PAPER ? BALLOT_RULE_PAPER : BALLOT_RULE_PROOF;
    /* Who lies does so for the whole training. */
    config->evidence = BALLOT_EVIDENCE_KEEP;
    /* A promise that more break proves nothing, and the majority of each task's
     * replicas is left; while one alone lies it is the honest's anyway. */
    if (o->rule == RULE_NONE) {
        config->evidence = BALLOT_EVIDENCE_ROUND;
        config->liars = 1;
    }
    if (getenv("BALLOT_SERVERS") == NULL)
        config->servers = BALLOT_SERVERS_ROOT;
}

static bool allocate(struct redundancy *r)
{
    const size_t load = r->shape.load;
    const bool lies = ballot_cast_lies(&r->cast, (int)r->rank);

    r->tasks = calloc(load, sizeof(*r->tasks));
    r->signs = calloc(load * SIGN_WORDS, sizeof(*r->signs));
    r->rows = calloc(load, sizeof(*r->rows));
    if (r->tasks == NULL || r->signs == NULL || r->rows == NULL)
        return false;
    for (size_t i = 0; i < load; i++)
        r->rows[i] = &r->signs[i * SIGN_WORDS];
    if (!lies || !attack_needs_honest(r->options->attack))
        return true;
    r->known =
        r->shape.tasks < BALLOT_RANKS_MAX ? r->shape.tasks : BALLOT_RANKS_MAX;
    r->truths =
        calloc((size_t)r->known * NETWORK_PARAMETERS, sizeof(*r->truths));
    r->truth_of = calloc(r->known, sizeof(*r->truth_of));
    if (r->truths == NULL || r->truth_of == NULL)
        return false;
    for (size_t task = 0; task < r->known; task++)
        r->truth_of[task] = &r->truths[task * NETWORK_PARAMETERS];
    return true;
}

/* The last ranks lie. */
static int cast_liars(struct redundancy *r)
{
    const struct options *o = r->options;
    uint64_t liars[BALLOT_CAST_WORDS] = {0};
    int error;

    for (uint32_t w = r->shape.workers - o->liars; w < r->shape.workers; w++)
        liars[w / 64] |= (uint64_t)1 << w % 64;
    error = ballot_cast_among(&r->cast, o->scheme, r->shape.workers, liars, 0);
    if (error != 0)
        fprintf(stderr,
                "--liars %u: in redundant tasks they must be the minority of "
                "%u ranks\n",
                o->liars, r->shape.workers);
    return error;
}

static int prepare(struct redundancy *r)
{
    int error = ballot_aspis_shape(r->comm, &r->shape);

    if (error != 0) {
        fprintf(stderr, "%s\n", ballot_last_error(r->comm));
        return error;
    }
    if (r->options->liars > 0)
        error = cast_liars(r);
    if (error == 0 && !allocate(r)) {
        fputs("no memory for the tasks; start fewer ranks\n", stderr);
        error = -ENOMEM;
    }
    return error;
}

int redundancy_open(struct redundancy **redundancy,
                    const struct options *options, const struct mnist *train,
                    struct ballot_comm *comm)
{
    struct redundancy *r = calloc(1, sizeof(*r));
    int error;

    if (r == NULL) {
        fputs("no memory for redundant tasks; start fewer ranks\n", stderr);
        return -ENOMEM;
    }
    r->options = options;
    r->train = train;
    r->comm = comm;
    r->rank = (uint32_t)ballot_comm_rank(comm);
    error = prepare(r);
    if (error == 0)
        *redundancy = r;
    else
        redundancy_close(&r);
    return error;
}

void redundancy_close(struct redundancy **redundancy)
{
    struct redundancy *r = *redundancy;

    if (r == NULL)
        return;
    free(r->tasks);
    free(r->signs);
    free(r->rows);
    free(r->truths);
    free(r->truth_of);
    free(r);
    *redundancy = NULL;
}

/* ---- One step ------------------------------------------------------------ */

/* What every honest rank computes for a task. Returns the loss. */
static float compute(struct redundancy *r, float *gradient,
                     const float *parameters, uint32_t step, uint32_t task)
{
    const struct options *o = r->options;

    mnist_draw(r->picks, o->batch, r->train->count, o->seed, task, step);
    return network_gradient(gradient, parameters, r->train, r->picks, o->batch);
}

/* Signs in which they differ. */
static uint64_t distance(const uint64_t *one, const uint64_t *other)
{
    uint64_t far = 0;

    for (uint32_t i = 0; i < SIGN_WORDS; i++)
        far += (uint64_t)__builtin_popcountll(one[i] ^ other[i]);
    return far;
}

/* signs[SIGN_WORDS] = what a liar says of a task; its gradient is lost. */
static int distort(struct redundancy *r, uint64_t *signs, uint32_t step,
                   uint32_t task)
{
    attack_task(r->options->attack, r->gradient,
                (struct ballot_attack_scene){
                    .honest = r->truth_of,
                    .honest_count = r->known,
                    .seed = r->options->seed,
                    .step = step,
                    .task = task,
                    .voice = ballot_cast_voice(&r->cast, (int)r->rank),
                });
    return ballot_pack(signs, r->gradient, NETWORK_PARAMETERS, BALLOT_FLOAT32);
}

/*
 * An attack that needs to know others' says the same in each of its tasks. In
 * quarantine, where nobody listens, the last lie is as good as a new one.
 */
static int look_around(struct redundancy *r, const float *parameters,
                       uint32_t step)
{
    if (has(r->caught, r->rank))
        return 0;
    for (uint32_t task = 0; task < r->known; task++)
        compute(r, &r->truths[(size_t)task * NETWORK_PARAMETERS], parameters,
                step, task);
    return distort(r, r->same, step, 0);
}

/* signs[SIGN_WORDS], the truth about a task, become what this rank says. */
static int lie(struct redundancy *r, uint64_t *signs, uint32_t step,
               uint32_t task)
{
    uint64_t truth[SIGN_WORDS];
    int members[BALLOT_WORKERS_MAX];
    enum ballot_part part;
    int error = ballot_aspis_workers(r->comm, step, task, members);

    if (error != 0)
        return error;
    part = ballot_cast_part(&r->cast, (int)r->rank, step, task, members,
                            r->shape.replicas);
    if (part == BALLOT_PART_TRUTH)
        return 0;
    memcpy(truth, signs, sizeof(truth));
    if (r->truths != NULL)
        memcpy(signs, r->same, sizeof(r->same));
    else
        error = distort(r, signs, step, task);
    if (error == 0 && part == BALLOT_PART_HALF)
        ballot_attack_limit(signs, truth, NETWORK_PARAMETERS,
                            distance(signs, truth) / 2);
    return error;
}

static int compute_tasks(struct redundancy *r, const float *parameters,
                         uint32_t step, float *loss)
{
    const bool lies = ballot_cast_lies(&r->cast, (int)r->rank);
    int error = ballot_aspis_plan(r->comm, step, r->tasks);

    *loss = 0.0f;
    if (error == 0 && r->truths != NULL)
        error = look_around(r, parameters, step);
    for (uint32_t i = 0; error == 0 && i < r->shape.load; i++) {
        uint64_t *signs = &r->signs[(size_t)i * SIGN_WORDS];

        *loss += compute(r, r->gradient, parameters, step, r->tasks[i]);
        error =
            ballot_pack(signs, r->gradient, NETWORK_PARAMETERS, BALLOT_FLOAT32);
        if (error == 0 && lies)
            error = lie(r, signs, step, r->tasks[i]);
    }
    *loss /= (float)r->shape.load;
    return error;
}

/* ---- What is proven ------------------------------------------------------ */

static void note(struct redundancy *r, const struct ballot_aspis_report *report)
{
    r->counted += report->counted;
    r->disputed += report->disputed;
    r->dropped += report->dropped;
    for (uint32_t w = 0; w < r->shape.workers; w++) {
        if (!has(report->quarantined, w) || has(r->caught, w))
            continue;
        r->caught[w / 64] |= (uint64_t)1 << w % 64;
        r->caught_at = report->step + 1;
        if (r->rank == 0)
            printf("step %u: rank %u is proven a liar\n", r->caught_at, w);
    }
}

int redundancy_vote(struct redundancy *r, const float *parameters,
                    uint32_t step, float *vote, float *loss)
{
    struct ballot_aspis_report report;
    int error = compute_tasks(r, parameters, step, loss);

    if (error == 0)
        error = ballot_aspis_vote(r->rows, r->packed, NETWORK_PARAMETERS,
                                  BALLOT_SIGNS, step, r->comm, NULL);
    if (error == 0)
        error =
            ballot_unpack(vote, r->packed, NETWORK_PARAMETERS, BALLOT_FLOAT32);
    if (error != 0 || r->options->rule == RULE_NONE)
        return error;
    error = ballot_aspis_report(r->comm, &report, NULL, 0);
    if (error == 0)
        note(r, &report);
    return error;
}

double redundancy_coordinates(const struct redundancy *r)
{
    return (double)r->shape.load * NETWORK_PARAMETERS;
}

void redundancy_print(const struct redundancy *r)
{
    uint32_t liars = 0;
    uint32_t honest = 0;

    if (r->rank != 0 || r->options->rule == RULE_NONE)
        return;
    for (uint32_t w = 0; w < r->shape.workers; w++) {
        const bool lies = ballot_cast_lies(&r->cast, (int)w);

        liars += has(r->caught, w) && lies;
        honest += has(r->caught, w) && !lies;
    }
    printf("of a vote's tasks %.1f %% were disputed, %.1f %% had no value\n",
           100.0 * (double)r->disputed / (double)(r->counted + r->dropped),
           100.0 * (double)r->dropped / (double)(r->counted + r->dropped));
    if (r->options->rule != RULE_PROOF)
        return;
    printf("proven: %u of %u liars", liars, r->options->liars);
    if (liars + honest > 0)
        printf(", the last in step %u,", r->caught_at);
    printf(" and %u honest ranks\n", honest);
}
