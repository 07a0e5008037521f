/* SPDX-License-Identifier: Apache-2.0 */
/* crew_kernels.c - kernel calls, cut into runs of lines for a crew. */
#include "crew.h"

enum { BLOCK_LINES = FEEDBACK_BLOCK / LINE_COORDINATES };

/* A line's coordinates in a vector of each type. */
static const uint16_t line_bytes[TYPES] = {
    [TYPE_FLOAT32] = 4 * LINE_COORDINATES,
    [TYPE_FLOAT16] = 2 * LINE_COORDINATES,
    [TYPE_BFLOAT16] = 2 * LINE_COORDINATES,
    [TYPE_FLOAT64] = 8 * LINE_COORDINATES,
    [TYPE_SIGNS] = LINE_BYTES,
};

/* Arguments of a kernel that goes through one vector. */
struct vector_call {
    const struct kernels *kernels;
    enum sign_type type;
    uint64_t *signs, *marks;       /* that are made */
    const uint64_t *voted, *zeros; /* that are followed */
    const void *from;
    void *to;
    float *state; /* momentum or error */
    float scale, decay;
    size_t count;
    bool far;
};

/* Coordinates of `lines` lines from `first` on: the last may be short. */
static size_t count_of(const struct vector_call *c, size_t first, size_t lines)
{
    size_t left = c->count - first * LINE_COORDINATES;

    return left < lines * LINE_COORDINATES ? left : lines * LINE_COORDINATES;
}

static uint64_t *plane_at(uint64_t *plane, size_t first)
{
    return plane == NULL ? NULL : plane + first * LINE_WORDS;
}

static const uint64_t *voted_at(const uint64_t *plane, size_t first)
{
    return plane == NULL ? NULL : plane + first * LINE_WORDS;
}

static void pack_run(void *call, size_t first, size_t lines)
{
    const struct vector_call *c = call;
    const void *values = (const uint8_t *)c->from + first * line_bytes[c->type];
    size_t count = count_of(c, first, lines);

    if (c->marks != NULL)
        c->kernels->pack_marks[c->type](plane_at(c->signs, first),
                                        plane_at(c->marks, first), values,
                                        count);
    else
        c->kernels->pack[c->type](plane_at(c->signs, first), values, count);
}

void crew_pack(struct crew *crew, const struct kernels *kernels,
               enum sign_type type, uint64_t *signs, uint64_t *marks,
               const void *values, size_t count)
{
    struct vector_call call = {
        .kernels = kernels,
        .type = type,
        .signs = signs,
        .marks = marks,
        .from = values,
        .count = count,
    };

    crew_run(crew, pack_run, &call, lines_for(count), line_bytes[type]);
}

static void signum_run(void *call, size_t first, size_t lines)
{
    const struct vector_call *c = call;

    c->kernels->signum(plane_at(c->signs, first), plane_at(c->marks, first),
                       c->state + first * LINE_COORDINATES,
                       (const float *)c->from + first * LINE_COORDINATES,
                       c->scale, count_of(c, first, lines));
}

void crew_signum(struct crew *crew, const struct kernels *kernels,
                 uint64_t *signs, uint64_t *marks, float *momentum,
                 const float *gradient, float beta, size_t count)
{
    struct vector_call call = {
        .kernels = kernels,
        .signs = signs,
        .marks = marks,
        .from = gradient,
        .state = momentum,
        .scale = beta,
        .count = count,
    };

    crew_run(crew, signum_run, &call, lines_for(count),
             3 * line_bytes[TYPE_FLOAT32]);
}

static void feedback_run(void *call, size_t first, size_t lines)
{
    const struct vector_call *c = call;

    c->kernels->feedback(plane_at(c->signs, first), plane_at(c->marks, first),
                         c->state + first * LINE_COORDINATES,
                         (const float *)c->from + first * LINE_COORDINATES,
                         c->scale, count_of(c, first, lines));
}

/* As feedback_run(), but what it counts are blocks. */
static void feedback_blocks_run(void *call, size_t first, size_t blocks)
{
    const struct vector_call *c = call;
    const size_t line = first * BLOCK_LINES;

    feedback_blocks(c->kernels, plane_at(c->signs, line),
                    plane_at(c->marks, line), c->state + first * FEEDBACK_BLOCK,
                    (const float *)c->from + first * FEEDBACK_BLOCK,
                    count_of(c, line, blocks * BLOCK_LINES));
}

void crew_feedback(struct crew *crew, const struct kernels *kernels,
                   uint64_t *signs, uint64_t *marks, float *error,
                   const float *gradient, float scale, size_t count)
{
    const size_t bytes = 3 * line_bytes[TYPE_FLOAT32];
    struct vector_call call = {
        .kernels = kernels,
        .signs = signs,
        .marks = marks,
        .from = gradient,
        .state = error,
        .scale = scale,
        .count = count,
    };

    if (scale != 0)
        crew_run(crew, feedback_run, &call, lines_for(count), bytes);
    else
        crew_run(crew, feedback_blocks_run, &call,
                 (count + FEEDBACK_BLOCK - 1) / FEEDBACK_BLOCK,
                 BLOCK_LINES * bytes);
}

static void apply_run(void *call, size_t first, size_t lines)
{
    const struct vector_call *c = call;

    c->kernels->apply[c->type]((uint8_t *)c->to + first * line_bytes[c->type],
                               voted_at(c->voted, first),
                               voted_at(c->zeros, first), c->scale,
                               count_of(c, first, lines), c->far);
}

void crew_apply(struct crew *crew, const struct kernels *kernels,
                enum sign_type type, void *values, const uint64_t *signs,
                const uint64_t *zeros, float scale, size_t count, bool far)
{
    struct vector_call call = {
        .kernels = kernels,
        .type = type,
        .voted = signs,
        .zeros = zeros,
        .to = values,
        .scale = scale,
        .count = count,
        .far = far,
    };

    crew_run(crew, apply_run, &call, lines_for(count), line_bytes[type]);
}

static void update_run(void *call, size_t first, size_t lines)
{
    const struct vector_call *c = call;

    c->kernels->update((float *)c->to + first * LINE_COORDINATES,
                       voted_at(c->voted, first), voted_at(c->zeros, first),
                       c->scale, c->decay, count_of(c, first, lines));
}

void crew_update(struct crew *crew, const struct kernels *kernels,
                 float *parameters, const uint64_t *signs,
                 const uint64_t *zeros, float rate, float decay, size_t count)
{
    struct vector_call call = {
        .kernels = kernels,
        .voted = signs,
        .zeros = zeros,
        .to = parameters,
        .scale = rate,
        .decay = decay,
        .count = count,
    };

    crew_run(crew, update_run, &call, lines_for(count),
             2 * line_bytes[TYPE_FLOAT32]);
}

/* ---- The vote ---- */

struct vote_call {
    const struct kernels *kernels;
    const struct vote *vote;
};

static void vote_run(void *call, size_t first, size_t lines)
{
    const struct vote_call *c = call;
    const uint64_t *signs[VOTERS_MAX];
    const uint64_t *marks[VOTERS_MAX];
    struct vote run = *c->vote;

    for (uint32_t v = 0; v < run.voters; v++) {
        signs[v] = voted_at(run.signs[v], first);
        if (run.marks != NULL)
            marks[v] = voted_at(run.marks[v], first);
    }
    run.signs = signs;
    if (run.marks != NULL)
        run.marks = marks;
    run.result = plane_at(run.result, first);
    run.ties = plane_at(run.ties, first);
    run.words = lines * LINE_WORDS;
    c->kernels->vote(&run);
}

void crew_vote(struct crew *crew, const struct kernels *kernels,
               const struct vote *vote)
{
    struct vote_call call = {.kernels = kernels, .vote = vote};
    size_t rows = vote->marks != NULL ? 2 * vote->voters : vote->voters;

    /* Dissent adds up over all lines, so one thread counts it. */
    crew_run(vote->dissent == NULL ? crew : NULL, vote_run, &call,
             vote->words / LINE_WORDS, rows * LINE_BYTES);
}
