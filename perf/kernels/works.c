/* SPDX-License-Identifier: Apache-2.0 */
/*
 * works.c - the library's kernels and the limits, each run once on a set.
 */
#include "works.h"

#include "limits.h"

#include <string.h>

/* ---- Kernels ------------------------------------------------------------ */

/* One vote for each piece. */
static void vote_with(const struct bench_data *data, const uint8_t *weights,
                      uint32_t threshold)
{
    for (size_t piece = 0; piece < data->pieces; piece++)
        data->kernels->vote(&(struct vote){
            .result = data->result + piece * data->words,
            .signs = data->rows + piece * data->voters,
            .weights = weights,
            .voters = data->voters,
            .threshold = threshold,
            .words = data->words,
            .far = data->far,
        });
}

static void run_vote(const struct bench_data *data)
{
    vote_with(data, NULL, bench_majority(data->voters));
}

/* One vote more than a majority needs takes the loop for any number of voters,
 * and for most of these numbers no plane more. */
static void run_vote_general(const struct bench_data *data)
{
    vote_with(data, NULL, bench_majority(data->voters) + 1);
}

uint32_t bench_weights(const struct bench_data *data)
{
    uint32_t total = 0;

    for (uint32_t v = 0; v < data->voters; v++)
        total += data->weights[v];
    return total;
}

static void run_vote_weights(const struct bench_data *data)
{
    vote_with(data, data->weights, bench_majority(bench_weights(data)));
}

/* Eights of voters as they arrive, each added to the planes in the scratch; the
 * last one decides. */
static void run_count(const struct bench_data *data)
{
    enum { GROUP = 8 };
    const uint32_t voters = data->voters;
    struct count count = {
        .planes = (void *)data->vector,
        .words = data->words,
        .threshold = bench_majority(voters),
    };

    while (1u << count.top < count.threshold)
        count.top++;
    for (uint32_t v = 0; v < voters; v += GROUP) {
        const bool last = voters - v <= GROUP;

        count.first = v == 0;
        count.signs = data->rows + v;
        count.voters = last ? voters - v : GROUP;
        count.result = last ? data->result : NULL;
        data->kernels->count(&count);
    }
}

static void run_pack(const struct bench_data *data)
{
    data->kernels->pack[data->type](data->signs, data->values, data->count);
}

static void run_unpack(const struct bench_data *data)
{
    data->kernels->apply[TYPE_FLOAT32](data->vector, data->votes, NULL, 1.0f,
                                       data->count, data->far);
}

static void run_update(const struct bench_data *data)
{
    data->kernels->update(data->vector, data->votes, NULL, 1e-3f, 1e-4f,
                          data->count);
}

static void run_signum(const struct bench_data *data)
{
    data->kernels->signum(data->signs, NULL, data->vector, data->second, 0.9f,
                          data->count);
}

static void run_feedback(const struct bench_data *data)
{
    data->kernels->feedback(data->signs, NULL, data->vector, data->second,
                            0.01f, data->count);
}

static void run_feedback_blocks(const struct bench_data *data)
{
    feedback_blocks(data->kernels, data->signs, NULL, data->vector,
                    data->second, data->count);
}

const struct bench_work bench_vote = {
    .name = "vote", .outcome = BENCH_MAJORITY, .run = run_vote};
const struct bench_work bench_vote_general = {.name = "vote_general",
                                              .run = run_vote_general};
const struct bench_work bench_vote_weights = {.name = "vote_weights",
                                              .outcome =
                                                  BENCH_WEIGHTED_MAJORITY,
                                              .run = run_vote_weights};
const struct bench_work bench_count_eights = {
    .name = "count_eights", .outcome = BENCH_MAJORITY, .run = run_count};
const struct bench_work bench_pack = {.name = "pack", .run = run_pack};
const struct bench_work bench_unpack = {.name = "unpack", .run = run_unpack};
const struct bench_work bench_update = {.name = "update", .run = run_update};
const struct bench_work bench_signum = {.name = "signum", .run = run_signum};
const struct bench_work bench_feedback = {.name = "feedback",
                                          .run = run_feedback};
const struct bench_work bench_feedback_blocks = {.name = "feedback_blocks",
                                                 .run = run_feedback_blocks};

/* ---- Limits ------------------------------------------------------------- */

/* Limits take whole lines; a ResNet-50 ends within one. */
static size_t whole_floats(const struct bench_data *data)
{
    return data->count / LINE_COORDINATES * LINE_COORDINATES;
}

static void run_or(const struct bench_data *data)
{
    for (size_t piece = 0; piece < data->pieces; piece++)
        data->limits->or_one(data->result + piece * data->words,
                             data->rows + piece * data->voters, data->voters,
                             data->words, data->far);
}

static void run_or_cached(const struct bench_data *data)
{
    for (size_t piece = 0; piece < data->pieces; piece++)
        data->limits->or_one(data->result + piece * data->words,
                             data->rows + piece * data->voters, data->voters,
                             data->words, false);
}

static void run_or_two(const struct bench_data *data)
{
    for (size_t piece = 0; piece < data->pieces; piece++)
        data->limits->or_two(data->result + piece * data->words,
                             data->rows + piece * data->voters, data->voters,
                             data->words, data->far);
}

static void run_read_rows(const struct bench_data *data)
{
    bench_use(data->limits->read_rows(data->rows, data->pieces * data->voters,
                                      data->words));
}

static void run_read(const struct bench_data *data)
{
    static const size_t type_bytes[TYPES] = {4, 2, 2, 8, 0};

    bench_use(data->limits->read(data->values,
                                 whole_floats(data) * type_bytes[data->type]));
}

static void run_fill(const struct bench_data *data)
{
    data->limits->fill(data->vector, whole_floats(data) * sizeof(float), false);
}

static void run_fill_around(const struct bench_data *data)
{
    data->limits->fill(data->vector, whole_floats(data) * sizeof(float), true);
}

static void run_memcpy(const struct bench_data *data)
{
    memcpy(data->second, data->vector, data->count * sizeof(float));
    bench_use(data->count);
}

static void run_add_constant(const struct bench_data *data)
{
    data->limits->add_constant(data->vector, whole_floats(data));
}

static void run_add(const struct bench_data *data)
{
    data->limits->add(data->vector, data->second, whole_floats(data));
}

const struct bench_work bench_or = {.name = "or", .run = run_or};
const struct bench_work bench_or_cached = {.name = "or_cached",
                                           .run = run_or_cached};
const struct bench_work bench_or_two = {.name = "or2", .run = run_or_two};
const struct bench_work bench_read_rows = {.name = "rd1", .run = run_read_rows};
const struct bench_work bench_read = {.name = "rd", .run = run_read};
const struct bench_work bench_fill = {.name = "fill", .run = run_fill};
const struct bench_work bench_fill_around = {.name = "fill_nt",
                                             .run = run_fill_around};
const struct bench_work bench_memcpy = {.name = "memcpy", .run = run_memcpy};
const struct bench_work bench_add_constant = {.name = "w+=c",
                                              .run = run_add_constant};
const struct bench_work bench_add = {.name = "m+=g", .run = run_add};
