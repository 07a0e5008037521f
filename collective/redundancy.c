/* SPDX-License-Identifier: Apache-2.0 */
/* redundancy.c - who computes which tasks; signs that a worker keeps. */
#include "redundancy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../aspis/tolerance.h"
#include "../transport/variable.h"
#include "comm.h"

enum {
    /* One chunk of all tasks of all workers: it is read where it lies, and what
     * differs a second time. */
    CHUNK_CACHE_BYTES = 1 << 20,
    /* Lines of signs that are packed at a time, here on the stack. */
    RUN_LINES = 64,
    RUN_COORDINATES = RUN_LINES * LINE_COORDINATES,
};

struct redundancy {
    struct assignment_config config;
    pthread_mutex_t lock;
    struct assignment *assignment; /* of `step`; under the lock */
    uint32_t step;
    bool rotated; /* it is of `step`, and not of none */
};

static const enum design designs[] = {
    [BALLOT_DESIGN_SUBSETS] = DESIGN_SUBSETS,
    [BALLOT_DESIGN_STS] = DESIGN_STEINER,
    [BALLOT_DESIGN_PLANE] = DESIGN_PLANE,
    [BALLOT_DESIGN_REPETITION] = DESIGN_REPETITION,
    [BALLOT_DESIGN_MOLS] = DESIGN_MOLS,
};

static void shorten_chunk(struct settings *settings,
                          const struct assignment_shape *shape)
{
    uint32_t lines =
        CHUNK_CACHE_BYTES / LINE_BYTES / (shape->workers * shape->load);

    if (lines < 1)
        lines = 1;
    if (settings->chunk > lines * LINE_COORDINATES)
        settings->chunk = lines * LINE_COORDINATES;
}

void redundancy_verifier(const struct redundancy *redundancy,
                         const struct settings *settings,
                         const struct kernels *kernels,
                         struct verifier_config *config)
{
    *config = (struct verifier_config){
        .assignment = redundancy->config,
        .liars_max = settings->liars,
        .rule = settings->rule,
        .tolerance = settings->tolerance,
        .keep = settings->evidence == BALLOT_EVIDENCE_KEEP,
        .coordinates_max = settings->chunk,
        .kernels = kernels,
    };
}

/* A server that is told the tolerance has no rate. */
static int find_tolerance(const struct redundancy *r, struct settings *settings,
                          const struct kernels *kernels, char *why)
{
    struct verifier_config config;
    char broken[ASSIGNMENT_WHY_BYTES] = "";
    int rc;

    if (settings->flip_rate == 0)
        return 0;
    rc = tolerance_for(&settings->tolerance, settings->step_count,
                       settings->flip_rate);
    if (rc < 0) {
        snprintf(why, ERROR_BYTES,
                 "flip_rate: %g is not from 0 to %g; replicas that differ more "
                 "often prove nothing",
                 settings->flip_rate, TOLERANCE_RATE_MAX);
        return rc;
    }
    redundancy_verifier(r, settings, kernels, &config);
    rc = tolerance_try(&config, settings->step_count, broken);
    if (rc < 0)
        snprintf(why, ERROR_BYTES, "flip_rate: %s", broken);
    else
        report_debug(DEBUG_INFO,
                     "honest replicas of a task may differ in %llu of %llu "
                     "coordinates of a step",
                     (unsigned long long)settings->tolerance,
                     (unsigned long long)settings->step_count);
    return rc;
}

int redundancy_open(struct redundancy **redundancy, struct settings *settings,
                    uint32_t ranks, const struct kernels *kernels, char *why)
{
    struct redundancy *r;
    char broken[ASSIGNMENT_WHY_BYTES] = "";
    int rc;

    *redundancy = NULL;
    if (settings->design == BALLOT_DESIGN_NONE)
        return 0;
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    r->config = (struct assignment_config){
        .design = designs[settings->design],
        .workers = ranks,
        .replication = settings->replicas,
        .seed = settings->seed,
    };
    rc = assignment_open(&r->assignment, &r->config, broken);
    if (rc < 0) {
        snprintf(why, ERROR_BYTES, "design: %s", broken);
        free(r);
        return rc;
    }
    pthread_mutex_init(&r->lock, NULL);
    shorten_chunk(settings, assignment_shape(r->assignment));
    rc = find_tolerance(r, settings, kernels, why);
    if (rc < 0) {
        redundancy_close(r);
        return rc;
    }
    *redundancy = r;
    return 0;
}

void redundancy_close(struct redundancy *redundancy)
{
    if (redundancy == NULL)
        return;
    assignment_close(redundancy->assignment);
    pthread_mutex_destroy(&redundancy->lock);
    free(redundancy);
}

const struct assignment_shape *redundancy_shape(
    const struct redundancy *redundancy)
{
    return assignment_shape(redundancy->assignment);
}

/* ---- The plan ---- */

/* Of the communicator, only the text of its last error changes here. */
static struct redundancy *need_design(const struct ballot_comm *comm,
                                      const char *name)
{
    if (comm->redundancy == NULL)
        report_error((struct ballot_comm *)(uintptr_t)comm,
                     "%s: this communicator has no design; set one in the "
                     "configuration, or BALLOT_DESIGN",
                     name);
    return comm->redundancy;
}

int ballot_aspis_shape(const struct ballot_comm *comm,
                       struct ballot_aspis_shape *shape)
{
    const struct assignment_shape *s;

    if (comm == NULL || shape == NULL ||
        need_design(comm, "aspis_shape") == NULL)
        return -EINVAL;
    s = redundancy_shape(comm->redundancy);
    *shape = (struct ballot_aspis_shape){
        .workers = s->workers,
        .tasks = s->tasks,
        .load = s->load,
        .replicas = s->replication,
    };
    return 0;
}

/* Leaves the lock held: what the assignment gives is void when it is turned to
 * another step. */
static void turn_to(struct redundancy *r, uint32_t step)
{
    pthread_mutex_lock(&r->lock);
    if (!r->rotated || r->step != step)
        assignment_rotate(r->assignment, step);
    r->rotated = true;
    r->step = step;
}

int ballot_aspis_plan(const struct ballot_comm *comm, uint32_t step,
                      uint32_t *tasks)
{
    struct redundancy *r;
    const uint16_t *ours;

    if (comm == NULL || tasks == NULL)
        return -EINVAL;
    r = need_design(comm, "aspis_plan");
    if (r == NULL)
        return -EINVAL;
    turn_to(r, step);
    ours = assignment_tasks(r->assignment, comm->rank);
    for (uint32_t i = 0; i < redundancy_shape(r)->load; i++)
        tasks[i] = ours[i];
    pthread_mutex_unlock(&r->lock);
    return 0;
}

int ballot_aspis_workers(const struct ballot_comm *comm, uint32_t step,
                         uint32_t task, int *workers)
{
    struct redundancy *r;
    const uint8_t *holders;

    if (comm == NULL || workers == NULL)
        return -EINVAL;
    r = need_design(comm, "aspis_workers");
    if (r == NULL)
        return -EINVAL;
    if (task >= redundancy_shape(r)->tasks) {
        report_error((struct ballot_comm *)(uintptr_t)comm,
                     "aspis_workers: task %u is not one of %u", task,
                     redundancy_shape(r)->tasks);
        return -EINVAL;
    }
    turn_to(r, step);
    holders = assignment_workers(r->assignment, task);
    for (uint32_t i = 0; i < redundancy_shape(r)->replication; i++)
        workers[i] = holders[i];
    pthread_mutex_unlock(&r->lock);
    return 0;
}

/* ---- Signs ---- */

static const uint8_t element_bits[BALLOT_VOTE_TYPES] = {
    [BALLOT_FLOAT32] = 32, [BALLOT_FLOAT16] = 16, [BALLOT_BFLOAT16] = 16,
    [BALLOT_FLOAT64] = 64, [BALLOT_SIGNS] = 1,
};

/* The kernels for `count` values; NULL: no such call, which is reported. */
static const struct kernels *kernels_for(const char *name, const void *from,
                                         const void *to, size_t count,
                                         enum ballot_type type)
{
    const char *wanted = variable("BALLOT_KERNELS");
    const struct kernels *kernels = kernels_pick(wanted);

    if ((unsigned)type >= BALLOT_VOTE_TYPES)
        report_thread("%s: type %d has no signs: floats have, and signs", name,
                      (int)type);
    else if (count > 0 && (from == NULL || to == NULL))
        report_thread("%s: a buffer of %zu values is NULL", name, count);
    else if (kernels == NULL)
        report_thread("BALLOT_KERNELS=%s: no such kernels, or this machine "
                      "cannot run them; avx512, avx2 and portable are there",
                      wanted);
    else
        return kernels;
    return NULL;
}

/* Kernels want whole lines in their own places; the caller's words may be
 * neither. */
int ballot_pack(uint64_t *signs, const void *values, size_t count,
                enum ballot_type type)
{
    _Alignas(LINE_BYTES) uint64_t run[RUN_LINES * LINE_WORDS];
    const struct kernels *kernels =
        kernels_for("pack", values, signs, count, type);

    if (kernels == NULL)
        return -EINVAL;
    for (size_t first = 0; first < count; first += RUN_COORDINATES) {
        size_t left = count - first;
        size_t now = left < RUN_COORDINATES ? left : RUN_COORDINATES;

        kernels->pack[type](
            run, (const uint8_t *)values + first * element_bits[type] / 8, now);
        memcpy(signs + first / 64, run, (now + 63) / 64 * sizeof(*signs));
    }
    return 0;
}

int ballot_unpack(void *values, const uint64_t *signs, size_t count,
                  enum ballot_type type)
{
    _Alignas(LINE_BYTES) uint64_t run[RUN_LINES * LINE_WORDS];
    const struct kernels *kernels =
        kernels_for("unpack", signs, values, count, type);

    if (kernels == NULL)
        return -EINVAL;
    for (size_t first = 0; first < count; first += RUN_COORDINATES) {
        size_t left = count - first;
        size_t now = left < RUN_COORDINATES ? left : RUN_COORDINATES;

        memcpy(run, signs + first / 64, (now + 63) / 64 * sizeof(*signs));
        kernels->apply[type]((uint8_t *)values + first * element_bits[type] / 8,
                             run, NULL, 1.0f, now, false);
    }
    return 0;
}
