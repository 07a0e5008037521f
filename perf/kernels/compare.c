/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare.c - what is required of the comparison of replicas: that of one
 * task, and a round in which 15 workers compute each task three times.
 */
#include "rows.h"
#include "works.h"

enum {
    REPLICAS = 3,
    PAIRS = REPLICAS * (REPLICAS - 1) / 2,
    TASKS = 455, /* of 15 workers, each triple has one */
    ROW_WORDS = 32000,
    TOP = 8, /* 2^8 is more than half of them: planes 0 to 8 */
    /* Majorities of a group and the planes outgrow the L2 cache, but longer
     * reads win more than that costs: .75 of rd1 against .61 with 8 tasks of 32
     * KiB (Zen 4). */
    GROUP_TASKS = 16,
    TILE_WORDS = 16384, /* of each row: 128 KiB */
    /* Five lines more, lest they share the sets of a cache. */
    MAJORITY_WORDS = TILE_WORDS + 5 * LINE_WORDS,
    SCRATCH = 15, /* float arrays as large as 455 rows of bits */
};

/* Distances must be used, or a compiler that sees all leaves them out. */
static void use_distances(const uint64_t *distances)
{
    uint64_t sum = 0;

    for (int pair = 0; pair < PAIRS; pair++)
        sum += distances[pair];
    bench_use(sum);
}

/* ---- One task ----------------------------------------------------------- */

static void compare_rows(const struct kernels *kernels, uint64_t *majority,
                         const uint64_t *const *rows, size_t words, bool far)
{
    uint64_t distances[PAIRS] = {0};

    kernels->compare(&(struct compare){
        .majority = majority,
        .distances = distances,
        .rows = rows,
        .replicas = REPLICAS,
        .count = words * 64,
        .far = far,
    });
    use_distances(distances);
}

static void vote_rows(const struct kernels *kernels, uint64_t *majority,
                      const uint64_t *const *rows, uint32_t voters,
                      size_t words)
{
    kernels->vote(&(struct vote){
        .result = majority,
        .signs = rows,
        .voters = voters,
        .threshold = bench_majority(voters),
        .words = words,
    });
}

/* A pass for each pair. */
static void measure_pairs(const struct kernels *kernels,
                          const uint64_t *const *rows, size_t words)
{
    uint64_t distances[PAIRS] = {0};
    int pair = 0;

    for (int a = 0; a < REPLICAS; a++)
        for (int b = a + 1; b < REPLICAS; b++, pair++)
            kernels->compare(&(struct compare){
                .distances = &distances[pair],
                .rows = (const uint64_t *const[]){rows[a], rows[b]},
                .replicas = 2,
                .count = words * 64,
            });
    use_distances(distances);
}

static void run_compare(const struct bench_data *data)
{
    compare_rows(data->kernels, data->result, data->rows, data->words,
                 data->far);
}

static void run_separate(const struct bench_data *data)
{
    vote_rows(data->kernels, data->result, data->rows, REPLICAS, data->words);
    measure_pairs(data->kernels, data->rows, data->words);
}

static const struct bench_work compare = {
    .name = "compare", .outcome = BENCH_MAJORITY, .run = run_compare};
static const struct bench_work separate = {
    .name = "vote_pairs", .outcome = BENCH_MAJORITY, .run = run_separate};

/* ---- All tasks ---------------------------------------------------------- */

/* The same tile of each task of a group, MAJORITY_WORDS from one majority to
 * the next. */
static void compare_group(const struct bench_data *data, uint64_t *majorities,
                          uint32_t first, uint32_t tasks, size_t at,
                          size_t words)
{
    for (uint32_t task = first; task < first + tasks; task++) {
        const uint64_t *tile[REPLICAS];

        for (int r = 0; r < REPLICAS; r++)
            tile[r] = data->rows[REPLICAS * task + (uint32_t)r] + at;
        compare_rows(data->kernels, majorities, tile, words, false);
        majorities += MAJORITY_WORDS;
    }
}

/* Adds a group of majorities to the planes; the last group decides. */
static void count_group(const struct bench_data *data, uint64_t *planes,
                        const uint64_t *majorities, uint32_t first,
                        uint32_t tasks, size_t at, size_t words)
{
    const uint64_t *signs[GROUP_TASKS];

    for (uint32_t task = 0; task < tasks; task++)
        signs[task] = majorities + task * MAJORITY_WORDS;
    data->kernels->count(&(struct count){
        .planes = planes,
        .top = TOP,
        .first = first == 0,
        .signs = signs,
        .voters = tasks,
        .words = words,
        .result = first + tasks == TASKS ? data->result + at : NULL,
        .threshold = bench_majority(TASKS),
    });
}

/*
 * Tile by tile: three long reads at a time, which the hardware follows by
 * itself, into the majorities of a group; both they and the planes to which
 * they are added stay in the caches.
 */
static void run_tiles(const struct bench_data *data)
{
    uint64_t *const majorities = (void *)data->vector;
    uint64_t *const planes = majorities + GROUP_TASKS * MAJORITY_WORDS;

    for (size_t at = 0; at < data->words; at += TILE_WORDS) {
        const size_t left = data->words - at;
        const size_t words = left < TILE_WORDS ? left : TILE_WORDS;

        for (uint32_t first = 0; first < TASKS; first += GROUP_TASKS) {
            const uint32_t behind = TASKS - first;
            const uint32_t tasks = behind < GROUP_TASKS ? behind : GROUP_TASKS;

            compare_group(data, majorities, first, tasks, at, words);
            count_group(data, planes, majorities, first, tasks, at, words);
        }
    }
}

/* Phase by phase: all majorities, all distances, the vote. */
static void run_phases(const struct bench_data *data)
{
    uint64_t *const majorities = (void *)data->vector;
    const uint64_t *signs[TASKS];

    for (int task = 0; task < TASKS; task++) {
        signs[task] = majorities + (size_t)task * data->words;
        vote_rows(data->kernels, majorities + (size_t)task * data->words,
                  &data->rows[REPLICAS * task], REPLICAS, data->words);
    }
    for (int task = 0; task < TASKS; task++)
        measure_pairs(data->kernels, &data->rows[REPLICAS * task], data->words);
    vote_rows(data->kernels, data->result, signs, TASKS, data->words);
}

static const struct bench_work tasks_tiles = {
    .name = "tasks_tiles", .outcome = BENCH_MAJORITY, .run = run_tiles};
static const struct bench_work tasks_phases = {
    .name = "tasks_phases", .outcome = BENCH_MAJORITY, .run = run_phases};

/* ---- Requirements ------------------------------------------------------- */

static const struct bench_family compares_families[] = {
    {.row = {.id = "H1",
             .what = {.place = BENCH_L2},
             .work = &compare,
             .limits = {&bench_or},
             .least = {0.9}},
     .voters = {REPLICAS}},
    {.row = {.id = "H1",
             .what = {.place = BENCH_L3},
             .work = &compare,
             .limits = {&bench_or},
             .least = {0.9}},
     .voters = {REPLICAS}},
    {.row = {.id = "H1",
             .what = {.place = BENCH_DRAM},
             .work = &compare,
             .limits = {&bench_or},
             .least = {0.9}},
     .voters = {REPLICAS}},
    {.row = {.id = "H1",
             .kernels = "avx2",
             .what = {.place = BENCH_DRAM},
             .work = &compare,
             .limits = {&bench_or},
             .least = {0.75}},
     .voters = {REPLICAS}},
    {.row = {.id = "H1",
             .what = {.place = BENCH_L2},
             .work = &compare,
             .limits = {&separate},
             .least = {1.6}},
     .voters = {REPLICAS}},
    {.row = {.id = "H1",
             .what = {.place = BENCH_L3},
             .work = &compare,
             .limits = {&separate},
             .least = {1.6}},
     .voters = {REPLICAS}},
    {.row = {.id = "H1",
             .what = {.place = BENCH_DRAM},
             .work = &compare,
             .limits = {&separate},
             .least = {1.6}},
     .voters = {REPLICAS}},
    {.row = {.id = "H2",
             .what = {.place = BENCH_DRAM,
                      .row_words = ROW_WORDS,
                      .scratch = SCRATCH},
             .work = &tasks_tiles,
             .limits = {&bench_read_rows},
             .least = {0.6}},
     .voters = {REPLICAS * TASKS}},
    {.row = {.id = "H2",
             .what = {.place = BENCH_DRAM,
                      .row_words = ROW_WORDS,
                      .scratch = SCRATCH},
             .work = &tasks_tiles,
             .limits = {&tasks_phases},
             .least = {1.5}},
     .voters = {REPLICAS * TASKS}},
};

const struct bench_list bench_compares = {
    .families = compares_families,
    .count = sizeof(compares_families) / sizeof(compares_families[0]),
};
