/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables_baselines.c - what liars distort without redundancy, in DETOX's groups
 * and in ByzShield's squares; and the sizes of all designs.
 */
#include "tables.h"

enum { REPLICATION = 3, ROWS_MAX = 64 };

static const double rounding = 0.00005;

/* ---- Sizes --------------------------------------------------------------- */

struct size {
    uint32_t workers, replication, tasks, load, overlap;
};

static void add_size(struct tables *tables, enum design design,
                     const char *name, const struct size *size)
{
    const struct assignment_config config = {.design = design,
                                             .workers = size->workers,
                                             .replication = size->replication};
    char why[ASSIGNMENT_WHY_BYTES];
    struct assignment_table table;
    struct assignment *assignment;
    int error = assignment_open(&assignment, &config, why);

    if (error < 0) {
        tables_fail(tables, error, why);
        return;
    }
    assignment_measure(assignment, &table);
    assignment_close(assignment);
    tables_add(tables, (struct table_number){size->tasks, table.tasks, 0},
               "%s, K=%u r=%u: tasks", name, size->workers, size->replication);
    tables_add(tables, (struct table_number){size->load, table.load.max, 0},
               "%s, K=%u r=%u: tasks a worker", name, size->workers,
               size->replication);
    tables_add(
        tables, (struct table_number){size->overlap, table.overlap.max, 0},
        "%s, K=%u r=%u: tasks a pair", name, size->workers, size->replication);
}

void tables_sizes(struct tables *tables)
{
    static const struct size subsets[] = {
        {7, 3, 35, 15, 5},        {9, 3, 84, 28, 7},
        {13, 3, 286, 66, 11},     {15, 3, 455, 91, 13},
        {15, 5, 3003, 1001, 286}, {21, 3, 1330, 190, 19},
        {24, 3, 2024, 253, 22},   {31, 3, 4495, 435, 29},
        {64, 3, 41664, 1953, 62},
    };
    static const struct size triples[] = {
        {7, 3, 7, 3, 1},     {9, 3, 12, 4, 1},    {13, 3, 26, 6, 1},
        {15, 3, 35, 7, 1},   {19, 3, 57, 9, 1},   {21, 3, 70, 10, 1},
        {25, 3, 100, 12, 1}, {27, 3, 117, 13, 1}, {31, 3, 155, 15, 1},
        {33, 3, 176, 16, 1}, {61, 3, 610, 30, 1}, {63, 3, 651, 31, 1},
    };
    static const struct size planes[] = {
        {7, 3, 7, 3, 1},   {13, 4, 13, 4, 1}, {21, 5, 21, 5, 1},
        {31, 6, 31, 6, 1}, {57, 8, 57, 8, 1}, {73, 9, 73, 9, 1},
    };

    tables_begin(tables, "Sizes of the designs");
    for (size_t i = 0; i < sizeof(subsets) / sizeof(subsets[0]); i++)
        add_size(tables, DESIGN_SUBSETS, "subsets", &subsets[i]);
    for (size_t i = 0; i < sizeof(triples) / sizeof(triples[0]); i++)
        add_size(tables, DESIGN_STEINER, "triples", &triples[i]);
    for (size_t i = 0; i < sizeof(planes) / sizeof(planes[0]); i++)
        add_size(tables, DESIGN_PLANE, "plane", &planes[i]);
}

/* ---- Liars that are placed by hand --------------------------------------- */

/* All lie in all their tasks, with one voice. */
static void place(struct ballot_cast *cast, uint32_t worker)
{
    cast->liars[worker / 64] |= UINT64_C(1) << worker % 64;
    cast->loud[worker / 64] |= UINT64_C(1) << worker % 64;
}

static struct ballot_cast nobody(uint32_t workers)
{
    return (struct ballot_cast){
        .scheme = BALLOT_SCHEME_SILENT_GROUP, .workers = workers, .rate = 1.0f};
}

static uint32_t corrupted(struct tables *tables, enum design design,
                          uint32_t replication, const struct ballot_cast *cast,
                          uint32_t *tasks)
{
    const struct trial_outcome o =
        tables_game(tables, &(struct table_game){
                                .design = design,
                                .workers = cast->workers,
                                .replication = replication,
                                .rule = TRIAL_VOTE,
                                .cast = cast,
                            });

    *tasks = o.tasks;
    return o.corrupted;
}

static double share(struct tables *tables, enum design design,
                    uint32_t replication, const struct ballot_cast *cast)
{
    uint32_t tasks;
    const double count = corrupted(tables, design, replication, cast, &tasks);

    return count / tasks;
}

/* Two liars in each group as far as they go, or one in each group in turn. */
static struct ballot_cast in_groups(uint32_t workers, uint32_t q, bool pairs)
{
    const uint32_t groups = workers / REPLICATION;
    struct ballot_cast cast = nobody(workers);

    for (uint32_t i = 0; i < q; i++)
        place(&cast, pairs ? i / 2 * REPLICATION + i % 2
                           : i % groups * REPLICATION + i / groups);
    return cast;
}

/* ---- ByzShield: the worst set of liars ----------------------------------- */

/* Tries all sets; counts in how many tasks each has the majority. */
struct search {
    const struct assignment *assignment;
    uint8_t lying[ROWS_MAX]; /* liars by task */
    uint8_t chosen[ASSIGNMENT_WORKERS_MAX];
    uint8_t best[ASSIGNMENT_WORKERS_MAX];
    uint32_t liars, worst;
};

static void look(struct search *s, uint32_t reached, uint32_t from,
                 uint32_t depth)
{
    const struct assignment_shape *shape = assignment_shape(s->assignment);
    const uint32_t majority = shape->replication / 2 + 1;

    if (depth == s->liars) {
        if (reached <= s->worst)
            return;
        s->worst = reached;
        for (uint32_t i = 0; i < depth; i++)
            s->best[i] = s->chosen[i];
        return;
    }
    for (uint32_t w = from; w + s->liars - depth <= shape->workers; w++) {
        const uint16_t *tasks = assignment_tasks(s->assignment, w);
        uint32_t more = 0;

        for (uint32_t i = 0; i < shape->load; i++)
            more += ++s->lying[tasks[i]] == majority;
        s->chosen[depth] = (uint8_t)w;
        look(s, reached + more, w + 1, depth + 1);
        for (uint32_t i = 0; i < shape->load; i++)
            s->lying[tasks[i]]--;
    }
}

/* The worst liars of all, who are then played. */
static struct ballot_cast worst_liars(struct tables *tables, uint32_t workers,
                                      uint32_t replication, uint32_t q)
{
    const struct assignment_config config = {
        .design = DESIGN_MOLS, .workers = workers, .replication = replication};
    struct ballot_cast cast = nobody(workers);
    struct search search = {.liars = q};
    char why[ASSIGNMENT_WHY_BYTES];
    struct assignment *assignment;
    int error = assignment_open(&assignment, &config, why);

    if (error < 0) {
        tables_fail(tables, error, why);
        return cast;
    }
    search.assignment = assignment;
    look(&search, 0, 0, 0);
    assignment_close(assignment);
    for (uint32_t i = 0; i < q; i++)
        place(&cast, search.best[i]);
    return cast;
}

/* ---- The tables ---------------------------------------------------------- */

/* From 2 liars on. */
struct baseline {
    const char *name;
    uint32_t workers, liars_max;
    double plain[10], pairs[10], spread[10], squares[10], squares_share[10];
};

static const struct baseline baselines[] = {
    {"Other schemes, 15 workers, 3 replicas",
     15,
     7,
     {.1333, .2, .2667, .3333, .4, .4667},
     {.2, .2, .4, .4, .6, .6},
     {0, 0, 0, 0, .2, .4},
     {1, 3, 5, 8, 12, 14},
     {.04, .12, .20, .32, .48, .56}},
    {"Other schemes, 21 workers, 3 replicas",
     21,
     10,
     {.0952, .1429, .1905, .2381, .2857, .3333, .3810, .4286, .4762},
     {.1429, .1429, .2857, .2857, .4286, .4286, .5714, .5714, .7143},
     {0, 0, 0, 0, 0, 0, .1429, .2857, .4286},
     {1, 3, 5, 8, 12, 16, 21, 25, 29},
     {.0204, .0612, .1020, .1633, .2449, .3265, .4286, .5102, .5918}},
    {"Other schemes, 24 workers, 3 replicas",
     24,
     11,
     {.0833, .1250, .1667, .2083, .25, .2917, .3333, .375, .4167, .4583},
     {.125, .125, .25, .25, .375, .375, .5, .5, .625, .625},
     {0, 0, 0, 0, 0, 0, 0, .125, .25, .375},
     {1, 3, 5, 8, 12, 16, 21, 27, 33, 40},
     {.0156, .0469, .0781, .1250, .1875, .25, .3281, .4219, .5156, .6250}},
};

static void add_baseline(struct tables *tables, const struct baseline *b,
                         uint32_t q)
{
    const uint32_t at = q - 2;
    struct ballot_cast cast = nobody(b->workers);
    uint32_t tasks, count;

    for (uint32_t w = 0; w < q; w++)
        place(&cast, w);
    tables_add(tables,
               (struct table_number){b->plain[at],
                                     share(tables, DESIGN_REPETITION, 1, &cast),
                                     rounding},
               "q=%u no redundancy: share", q);
    cast = in_groups(b->workers, q, true);
    tables_add(tables,
               (struct table_number){
                   b->pairs[at],
                   share(tables, DESIGN_REPETITION, REPLICATION, &cast),
                   rounding},
               "q=%u DETOX, liars in pairs: share", q);
    cast = in_groups(b->workers, q, false);
    tables_add(tables,
               (struct table_number){
                   b->spread[at],
                   share(tables, DESIGN_REPETITION, REPLICATION, &cast),
                   rounding},
               "q=%u DETOX, liars spread out: share", q);
    cast = worst_liars(tables, b->workers, REPLICATION, q);
    count = corrupted(tables, DESIGN_MOLS, REPLICATION, &cast, &tasks);
    tables_add(tables, (struct table_number){b->squares[at], count, 0},
               "q=%u ByzShield, worst of all liars: corrupted", q);
    tables_add(tables,
               (struct table_number){b->squares_share[at],
                                     (double)count / tasks, rounding},
               "q=%u ByzShield, worst of all liars: share", q);
}

/* ByzShield with 7 squares' symbols and 5 replicas. From 8 liars on it takes
 * long to try all. */
static void squares_of_seven(struct tables *tables)
{
    static const double printed[] = {1, 1, 2, 4, 5, 8, 10, 11, 14};
    const uint32_t most = tables->slow ? 11 : 7;

    tables_begin(tables, "ByzShield, 35 workers, 5 replicas");
    for (uint32_t q = 3; q <= most; q++) {
        const struct ballot_cast cast = worst_liars(tables, 35, 5, q);
        uint32_t tasks;

        tables_add(tables,
                   (struct table_number){
                       printed[q - 3],
                       corrupted(tables, DESIGN_MOLS, 5, &cast, &tasks), 0},
                   "q=%u worst of all liars: corrupted", q);
    }
}

void tables_baselines(struct tables *tables)
{
    const size_t count = sizeof(baselines) / sizeof(baselines[0]);

    for (size_t i = 0; i < (tables->quick ? 1 : count); i++) {
        tables_begin(tables, baselines[i].name);
        for (uint32_t q = 2; q <= baselines[i].liars_max; q++)
            add_baseline(tables, &baselines[i], q);
    }
    if (!tables->quick)
        squares_of_seven(tables);
}
