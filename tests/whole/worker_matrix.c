/* SPDX-License-Identifier: Apache-2.0 */
/* worker_matrix.c - every call with every type, op, root and count, or a sample
 * of them by a seed. */
#include "worker_calls.h"

static const size_t counts[] = {0, 1, 17, 63, 1000, 30011, 400009};
enum { COUNTS = sizeof(counts) / sizeof(counts[0]) };

struct walk {
    const struct calls_matrix *matrix;
    void (*with)(void *context, const struct call_plan *plan);
    void *context;
    uint64_t at; /* of all calls of the matrix, made or not */
};

/* Whether this one is of the sample. */
static bool sampled(struct walk *w, size_t count)
{
    uint64_t one_of = w->matrix->one_of;

    if (one_of > 1 && count > w->matrix->rare_above)
        one_of *= 8;
    return mix(w->matrix->seed + w->at++) % one_of == 0;
}

static void every_root(struct walk *w, struct call_plan *plan)
{
    bool has_root = call_has_root(plan->kind) || plan->kind == CALLS_SHIFT;
    int roots = has_root ? w->matrix->ranks : 1;

    for (plan->root = 0; plan->root < roots; plan->root++)
        for (int in_place = 0; in_place < 2; in_place++) {
            plan->in_place = in_place != 0;
            plan->seed = mix(w->at);
            if (sampled(w, plan->count))
                w->with(w->context, plan);
        }
}

static void every_op(struct walk *w, struct call_plan *plan)
{
    plan->op = BALLOT_SUM;
    if (!call_reduces(plan->kind)) {
        every_root(w, plan);
        return;
    }
    for (int op = 0; op <= BALLOT_OPS; op++) {
        plan->op = (enum ballot_op)op;
        if (call_folds(plan->type, plan->op))
            every_root(w, plan);
    }
}

void calls_every(const struct calls_matrix *matrix,
                 void (*with)(void *context, const struct call_plan *plan),
                 void *context)
{
    struct walk w = {.matrix = matrix, .with = with, .context = context};

    for (int kind = 0; kind < CALLS_KINDS; kind++) {
        if (kind == CALLS_VOTE)
            continue;
        for (int type = 0; type < BALLOT_TYPES; type++)
            for (int c = 0; c < COUNTS; c++) {
                struct call_plan plan = {
                    .kind = (enum call_kind)kind,
                    .type = (enum ballot_type)type,
                    .count = counts[c],
                };

                if (counts[c] <= matrix->count_max)
                    every_op(&w, &plan);
            }
    }
}
