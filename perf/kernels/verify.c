/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - what is required of the verifier where nobody lies: a chunk of the
 * wire from 15 workers, of which three have each task. And what it costs that
 * somebody lies.
 */
#include "rows.h"
#include "works.h"

#include "aspis/verifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORKERS = 15,
    SUBSETS_LOAD = 91,              /* of 455 tasks */
    TRIPLES_LOAD = 7,               /* of 35 */
    CHUNK_WORDS = 546 * LINE_WORDS, /* of a worker: 512 KiB in all. Six lines
                                       of each of 91 tasks, 78 of 7 */
};

/* Verifiers as they are wanted; a run has no other place to keep one. */
struct bench_verifier {
    enum design design;
    uint32_t load;
    struct verifier *verifier;
    const struct kernels *kernels;
    uint32_t coordinates;
    bool disputed; /* in each chunk worker 0 has another sign in a task of it */
    uint64_t *lie; /* its rows, in place of */
    const uint64_t *truth;
};

static struct bench_verifier subsets = {.design = DESIGN_SUBSETS,
                                        .load = SUBSETS_LOAD};
static struct bench_verifier triples = {.design = DESIGN_STEINER,
                                        .load = TRIPLES_LOAD};
static struct bench_verifier subsets_unchecked = {.design = DESIGN_SUBSETS,
                                                  .load = SUBSETS_LOAD};
static struct bench_verifier triples_unchecked = {.design = DESIGN_STEINER,
                                                  .load = TRIPLES_LOAD};

static struct bench_verifier subsets_disputed = {
    .design = DESIGN_SUBSETS, .load = SUBSETS_LOAD, .disputed = true};
static struct bench_verifier triples_disputed = {
    .design = DESIGN_STEINER, .load = TRIPLES_LOAD, .disputed = true};

static void reopen(struct bench_verifier *b)
{
    const struct verifier_config config = {
        .assignment = {.design = b->design,
                       .workers = WORKERS,
                       .replication = 3},
        .liars_max = (WORKERS - 1) / 2,
        .coordinates_max = b->coordinates,
        .kernels = b->kernels,
    };
    char why[ASSIGNMENT_WHY_BYTES];

    verifier_close(b->verifier);
    if (verifier_open(&b->verifier, &config, why) == 0)
        return;
    fprintf(stderr, "bench_kernels: cannot verify: %s\n", why);
    exit(1);
}

/* The rows of all workers, where one lies. Made with the first chunk alone. */
static const uint64_t *const *spoil(struct bench_verifier *b,
                                    const struct bench_data *data,
                                    const uint64_t **rows)
{
    const size_t bytes = data->words * sizeof(*b->lie);

    if (b->truth != data->rows[0]) {
        free(b->lie);
        b->lie = aligned_alloc(LINE_BYTES, bytes);
        if (b->lie == NULL) {
            fprintf(stderr, "bench_kernels: no memory for %zu bytes\n", bytes);
            exit(1);
        }
        memcpy(b->lie, data->rows[0], bytes);
        b->lie[0] ^= 1;
        b->truth = data->rows[0];
    }
    memcpy(rows, data->rows, WORKERS * sizeof(rows[0]));
    rows[0] = b->lie;
    return rows;
}

static void verify(struct bench_verifier *b, const struct kernels *kernels,
                   const struct bench_data *data)
{
    const uint32_t coordinates =
        (uint32_t)(data->words / LINE_WORDS / b->load * LINE_COORDINATES);
    const uint64_t *rows[WORKERS];
    const struct verifier_chunk chunk = {
        .rows = b->disputed ? spoil(b, data, rows) : data->rows,
        .coordinates = coordinates,
        .result = data->result,
        .far = data->far,
    };

    if (b->kernels != kernels || b->coordinates != coordinates) {
        b->kernels = kernels;
        b->coordinates = coordinates;
        reopen(b);
    }
    verifier_count(b->verifier, &chunk);
}

static void run_subsets(const struct bench_data *data)
{
    verify(&subsets, data->kernels, data);
}

static void run_triples(const struct bench_data *data)
{
    verify(&triples, data->kernels, data);
}

static void run_subsets_unchecked(const struct bench_data *data)
{
    verify(&subsets_unchecked, bench_unchecked(), data);
}

static void run_triples_unchecked(const struct bench_data *data)
{
    verify(&triples_unchecked, bench_unchecked(), data);
}

static void run_subsets_disputed(const struct bench_data *data)
{
    verify(&subsets_disputed, data->kernels, data);
}

static void run_triples_disputed(const struct bench_data *data)
{
    verify(&triples_disputed, data->kernels, data);
}

static void close_verifier(struct bench_verifier *b)
{
    free(b->lie);
    b->lie = NULL;
    b->truth = NULL;
    verifier_close(b->verifier);
    b->verifier = NULL;
    b->kernels = NULL;
}

static void close_all(void)
{
    close_verifier(&subsets);
    close_verifier(&triples);
    close_verifier(&subsets_unchecked);
    close_verifier(&triples_unchecked);
    close_verifier(&subsets_disputed);
    close_verifier(&triples_disputed);
}

static bool unchecked_supported(void)
{
    return kernels_avx512.supported();
}

static const struct bench_work verify_subsets = {.name = "verify_subsets",
                                                 .outcome = BENCH_TASKS,
                                                 .run = run_subsets,
                                                 .close = close_all};
static const struct bench_work verify_triples = {.name = "verify_sts",
                                                 .outcome = BENCH_TASKS,
                                                 .run = run_triples,
                                                 .close = close_all};
static const struct bench_work dispute_subsets = {.name = "dispute_subsets",
                                                  .outcome = BENCH_TASKS,
                                                  .run = run_subsets_disputed,
                                                  .close = close_all};
static const struct bench_work dispute_triples = {.name = "dispute_sts",
                                                  .outcome = BENCH_TASKS,
                                                  .run = run_triples_disputed,
                                                  .close = close_all};
static const struct bench_work unchecked_subsets = {
    .name = "unchecked",
    .outcome = BENCH_TASKS,
    .run = run_subsets_unchecked,
    .supported = unchecked_supported};
static const struct bench_work unchecked_triples = {
    .name = "unchecked",
    .outcome = BENCH_TASKS,
    .run = run_triples_unchecked,
    .supported = unchecked_supported};

/* At most 1.7 times as long as it takes to read all replicas once, 1.5 times
 * with triples; and a tenth more than without comparing. Of chunks in each of
 * which one task is disputed nothing is required: their replicas are compared
 * one task after the other, and the values counted in a second pass. */
static const struct bench_family verifies_families[] = {
    {.row = {.id = "H3",
             .what = {.place = BENCH_L2, .alike = true},
             .work = &verify_subsets,
             .limits = {&bench_read_rows},
             .least = {1 / 1.7}},
     .voters = {WORKERS}},
    {.row = {.id = "H3",
             .what = {.place = BENCH_DRAM,
                      .row_words = CHUNK_WORDS,
                      .alike = true},
             .work = &verify_subsets,
             .limits = {&bench_read_rows},
             .least = {1 / 1.7}},
     .voters = {WORKERS}},
    {.row = {.id = "H3",
             .what = {.place = BENCH_L2, .alike = true},
             .work = &verify_triples,
             .limits = {&bench_read_rows},
             .least = {1 / 1.5}},
     .voters = {WORKERS}},
    {.row = {.id = "H3",
             .what = {.place = BENCH_DRAM,
                      .row_words = CHUNK_WORDS,
                      .alike = true},
             .work = &verify_triples,
             .limits = {&bench_read_rows},
             .least = {1 / 1.5}},
     .voters = {WORKERS}},
    {.row = {.id = "H3",
             .what = {.place = BENCH_L2, .alike = true},
             .work = &dispute_subsets,
             .limits = {&verify_subsets}},
     .voters = {WORKERS}},
    {.row = {.id = "H3",
             .what = {.place = BENCH_L2, .alike = true},
             .work = &dispute_triples,
             .limits = {&verify_triples}},
     .voters = {WORKERS}},
    {.row = {.id = "H4",
             .kernels = "avx512",
             .what = {.place = BENCH_L2, .alike = true},
             .work = &verify_subsets,
             .limits = {&unchecked_subsets},
             .least = {1 / 1.1}},
     .voters = {WORKERS}},
    {.row = {.id = "H4",
             .kernels = "avx512",
             .what = {.place = BENCH_DRAM,
                      .row_words = CHUNK_WORDS,
                      .alike = true},
             .work = &verify_subsets,
             .limits = {&unchecked_subsets},
             .least = {1 / 1.1}},
     .voters = {WORKERS}},
    {.row = {.id = "H4",
             .kernels = "avx512",
             .what = {.place = BENCH_L2, .alike = true},
             .work = &verify_triples,
             .limits = {&unchecked_triples},
             .least = {1 / 1.1}},
     .voters = {WORKERS}},
    {.row = {.id = "H4",
             .kernels = "avx512",
             .what = {.place = BENCH_DRAM,
                      .row_words = CHUNK_WORDS,
                      .alike = true},
             .work = &verify_triples,
             .limits = {&unchecked_triples},
             .least = {1 / 1.1}},
     .voters = {WORKERS}},
};

const struct bench_list bench_verifies = {
    .families = verifies_families,
    .count = sizeof(verifies_families) / sizeof(verifies_families[0]),
};
