/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verifier.c - what the verifier makes of rounds under attack, against an
 * oracle that works it out coordinate by coordinate: results, verdicts, counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"
#include "verifier_oracle.h"

enum {
    CHUNK_MAX = 1200, /* coordinates */
    WORDS_MAX = 3 * LINE_WORDS,
    LOAD_MAX = 91,
    ROUNDS = 3,
    CHUNKS = 3,
};

enum attack {
    NOBODY,
    REVERSED,     /* all that liars say is turned around */
    CONSTANT,     /* all of it is minus */
    RANDOM,       /* each liar says what it likes */
    MAJORITIES,   /* the same lie where liars are the majority of a task */
    FIXED,        /* where the honest of a task are among as many victims */
    TAKE_OVER,    /* the same with one victim fewer */
    FRAMING,      /* with one */
    SCAPEGOAT,    /* so does one liar, the others lie always */
    SILENT,       /* where all of a task are liars */
    ONE_BIT,      /* the last coordinate alone, by the first liar */
    NOW_AND_THEN, /* a lie of its own in one of eight rows */
    ABSENT,       /* liars are away, or lie now and then */
    ATTACKS,
};

struct trial {
    struct verifier_config config;
    enum attack attack;
    uint32_t liars; /* bits */
    uint64_t seed;
    struct verifier *verifier;
    struct oracle oracle;
    uint32_t load;
    uint64_t *signs[ORACLE_WORKERS_MAX]; /* [LOAD_MAX] rows */
};

static uint64_t hash(uint64_t a, uint64_t b)
{
    uint64_t state = a * 0x9e3779b97f4a7c15 + b + 1;

    random_next(&state);
    return random_next(&state);
}

static uint32_t honest_of(const struct trial *t)
{
    return ((1u << t->config.assignment.workers) - 1) & ~t->liars;
}

/* The `count` honest workers with the lowest numbers. */
static uint32_t victims_of(const struct trial *t, uint32_t count)
{
    uint32_t victims = 0;
    uint32_t left = honest_of(t);

    for (; count > 0; count--) {
        victims |= left & -left;
        left &= left - 1;
    }
    return victims;
}

/* Whether liars lie in a task that `members` share. */
static bool lies_in(const struct trial *t, uint32_t worker, uint32_t members,
                    uint64_t draw)
{
    const uint32_t liars = (uint32_t)__builtin_popcount(t->liars);
    const uint32_t honest = members & ~t->liars;
    const bool first = (t->liars & -t->liars) == 1u << worker;

    switch (t->attack) {
    case REVERSED:
    case CONSTANT:
    case RANDOM: return true;
    case MAJORITIES: return __builtin_popcount(members & t->liars) >= 2;
    case FIXED: return (honest & ~victims_of(t, liars)) == 0;
    case TAKE_OVER: return (honest & ~victims_of(t, liars - 1)) == 0;
    case FRAMING: return (honest & ~victims_of(t, 1)) == 0;
    case SCAPEGOAT: return !first || (honest & ~victims_of(t, 1)) == 0;
    case SILENT: return honest == 0;
    case ONE_BIT: return first;
    case NOW_AND_THEN:
    case ABSENT: return draw % 8 == 0;
    default: return false;
    }
}

static void lie(const struct trial *t, uint64_t *row, uint32_t coordinates,
                uint64_t truth, uint64_t own)
{
    const uint32_t last = coordinates - 1;

    for (uint32_t w = 0; w < WORDS_MAX; w++)
        switch (t->attack) {
        case REVERSED: row[w] = ~row[w]; break;
        case CONSTANT: row[w] = ~UINT64_C(0); break;
        case RANDOM:
        case NOW_AND_THEN:
        case ABSENT: row[w] = hash(own, w); break;
        case ONE_BIT:
            row[w] ^= w == last / 64 ? UINT64_C(1) << last % 64 : 0;
            break;
        default: row[w] = hash(~truth, w); break;
        }
}

/* The rows of a worker for a chunk. What is behind the last coordinate is
 * garbage of its own. */
static void say(struct trial *t, uint32_t worker, uint32_t step, uint32_t chunk,
                uint32_t coordinates)
{
    const struct assignment *a = verifier_assignment(t->verifier);
    const size_t words = lines_for(coordinates) * LINE_WORDS;

    for (uint32_t r = 0; r < t->load; r++) {
        const uint32_t task = assignment_tasks(a, worker)[r];
        const uint64_t truth = hash(t->seed + step, 1000 * task + chunk);
        const uint64_t own = hash(truth, worker);
        uint64_t row[WORDS_MAX];
        uint32_t members = 0;

        for (uint32_t i = 0; i < ORACLE_REPLICAS_MAX; i++)
            members |= 1u << assignment_workers(a, task)[i];
        for (uint32_t w = 0; w < WORDS_MAX; w++)
            row[w] = hash(truth, w) & hash(truth, w + 100 * (task % 2));
        if ((t->liars >> worker & 1) != 0 && lies_in(t, worker, members, own))
            lie(t, row, coordinates, truth, own);
        for (uint32_t c = coordinates; c < 64 * words; c++)
            if ((hash(own, c) & 1) != 0)
                row[c / 64] ^= UINT64_C(1) << c % 64;
        memcpy(&t->signs[worker][r * words], row, words * sizeof(row[0]));
    }
}

static void check_report(const struct trial *t)
{
    const struct oracle *o = &t->oracle;
    struct verifier_report report;
    struct verifier_dispute list[4];
    size_t disputes = 0;

    verifier_report(t->verifier, &report);
    assert_int_equal(report.outcome, o->outcome);
    assert_int_equal(report.byzantine.words[0], o->byzantine);
    assert_int_equal(report.honest.words[0], o->honest);
    assert_int_equal(report.absent.words[0], o->absent);
    assert_int_equal(report.disputed, o->disputed);
    assert_int_equal(report.counted, o->counted);
    assert_int_equal(report.dropped, o->dropped);
    for (uint32_t task = 0; task < assignment_shape(o->assignment)->tasks;
         task++)
        for (int i = 0; i < ORACLE_REPLICAS_MAX; i++)
            for (int j = 0; j < i; j++)
                disputes += o->sums[task][i][j] > o->tolerance;
    if (!t->config.keep && disputes > 0)
        assert_true(verifier_disputes(t->verifier, list, 4) >= disputes);
    /* What holds while the promise does. */
    if (o->rule == VERIFIER_PROOF &&
        (uint32_t)__builtin_popcount(t->liars) <= o->liars_max) {
        assert_int_equal(o->outcome, VERDICT_REACHED);
        assert_int_equal(report.byzantine.words[0] & ~t->liars, 0);
        assert_int_equal(report.honest.words[0] & t->liars, 0);
    }
}

static void play_chunk(struct trial *t, uint32_t step, uint32_t index)
{
    static const uint32_t lengths[CHUNKS] = {512, 1000, 70};
    const uint32_t coordinates = lengths[index];
    const size_t bytes = lines_for(coordinates) * LINE_BYTES;
    _Alignas(64) uint64_t is[2][WORDS_MAX];
    _Alignas(64) uint64_t should[2][WORDS_MAX];
    const uint64_t *rows[ORACLE_WORKERS_MAX];
    struct verifier_chunk chunk = {
        .rows = rows,
        .first = 512 * index,
        .coordinates = coordinates,
        .result = is[0],
        .ties = (step + index) % 2 == 0 ? is[1] : NULL,
        .minus = hash(step, index) % 2 == 0,
    };

    memset(is, 0x5a, sizeof(is));
    for (uint32_t w = 0; w < t->config.assignment.workers; w++) {
        const uint64_t draw = hash(t->seed + 7 * step + index, w);

        say(t, w, step, index, coordinates);
        rows[w] = t->attack == ABSENT && draw % 5 == 0 ? NULL : t->signs[w];
    }
    verifier_count(t->verifier, &chunk);
    chunk.result = should[0];
    chunk.ties = chunk.ties != NULL ? should[1] : NULL;
    oracle_count(&t->oracle, &chunk);
    assert_memory_equal(is[0], should[0], bytes);
    if (chunk.ties != NULL)
        assert_memory_equal(is[1], should[1], bytes);
    check_report(t);
}

static void play(const struct trial *trial)
{
    static struct trial played;
    struct trial *t = &played;
    char why[ASSIGNMENT_WHY_BYTES];

    *t = *trial;
    assert_int_equal(verifier_open(&t->verifier, &t->config, why), 0);
    t->oracle = (struct oracle){
        .assignment = verifier_assignment(t->verifier),
        .liars_max = t->config.liars_max,
        .rule = t->config.rule,
        .tolerance = t->config.tolerance,
        .keep = t->config.keep,
    };
    t->load = assignment_shape(t->oracle.assignment)->load;
    for (uint32_t w = 0; w < t->config.assignment.workers; w++)
        t->signs[w] = aligned_alloc(LINE_BYTES, LOAD_MAX * WORDS_MAX *
                                                    sizeof(t->signs[w][0]));
    for (uint32_t step = 5; step < 5 + ROUNDS; step++) {
        verifier_begin(t->verifier, step);
        oracle_begin(&t->oracle);
        for (uint32_t index = 0; index < CHUNKS; index++)
            play_chunk(t, step, index);
        verifier_end(t->verifier);
        oracle_end(&t->oracle);
    }
    for (uint32_t w = 0; w < t->config.assignment.workers; w++)
        free(t->signs[w]);
    verifier_close(t->verifier);
}

static struct trial trial_of(enum design design, uint32_t workers)
{
    return (struct trial){
        .config = {.assignment = {.design = design,
                                  .workers = workers,
                                  .replication = 3,
                                  .seed = 3},
                   .liars_max = (workers - 1) / 2,
                   .coordinates_max = CHUNK_MAX,
                   .kernels = kernels_pick(NULL)},
        .seed = 99,
    };
}

/* Every set of liars, each attack. */
static void play_seven(enum design design)
{
    for (uint32_t liars = 1; liars < 1u << 7; liars++)
        for (int attack = NOBODY; attack < ATTACKS; attack++) {
            struct trial t = trial_of(design, 7);

            if (__builtin_popcount(liars) > 3)
                continue;
            t.liars = liars;
            t.attack = (enum attack)attack;
            t.config.keep = liars % 3 == 0;
            t.seed = liars;
            play(&t);
        }
}

static void test_seven_in_subsets(void **state)
{
    (void)state;
    play_seven(DESIGN_SUBSETS);
}

static void test_seven_in_triples(void **state)
{
    (void)state;
    play_seven(DESIGN_STEINER);
}

static void play_fifteen(enum design design, uint32_t seeds)
{
    for (uint32_t seed = 1; seed <= seeds; seed++)
        for (int attack = REVERSED; attack < ATTACKS; attack++) {
            struct trial t = trial_of(design, 15);
            const uint32_t wanted = 1 + seed % 7;

            for (uint64_t draw = seed;
                 (uint32_t)__builtin_popcount(t.liars) < wanted;)
                t.liars |= 1u << random_next(&draw) % 15;
            t.attack = (enum attack)attack;
            t.seed = seed;
            t.config.keep = seed % 2 == 0;
            play(&t);
        }
}

static void test_fifteen_in_subsets(void **state)
{
    (void)state;
    play_fifteen(DESIGN_SUBSETS, 1);
}

static void test_fifteen_in_triples(void **state)
{
    (void)state;
    play_fifteen(DESIGN_STEINER, ADDRESSES_CHECKED || THREADS_CHECKED ? 3 : 8);
}

/* More liars than were promised: nobody is expelled, and if somebody was, in
 * an earlier round, that is over. */
static void test_promise_broken(void **state)
{
    (void)state;
    for (int attack = REVERSED; attack < ATTACKS; attack++)
        for (uint32_t promised = 0; promised < 3; promised++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.liars_max = promised;
            t.config.keep = attack % 2 == 0;
            t.attack = (enum attack)attack;
            t.liars = 0x51;
            play(&t);
        }
}

static void test_printed_rule(void **state)
{
    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (uint32_t seed = 1; seed <= 10; seed++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.rule = VERIFIER_PAPER;
            t.attack = (enum attack)attack;
            t.liars = seed % 2 == 0 ? 0x23 : 0x58;
            t.seed = seed;
            play(&t);
        }
}

/* Honest replicas are equal here; liars may differ in little, or in much. */
static void test_tolerance(void **state)
{
    static const uint64_t tolerances[] = {1, 2, 400, 1000};

    (void)state;
    for (int attack = NOBODY; attack < ATTACKS; attack++)
        for (size_t i = 0; i < 4; i++) {
            struct trial t = trial_of(DESIGN_SUBSETS, 7);

            t.config.tolerance = tolerances[i];
            t.config.keep = i % 2 == 0;
            t.attack = (enum attack)attack;
            t.liars = 0x34;
            play(&t);
        }
}

static void test_every_table(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (int attack = NOBODY; attack < ATTACKS; attack++) {
            struct trial t = trial_of(DESIGN_STEINER, 15);

            if (!kernels_all[i]->supported())
                continue;
            t.config.kernels = kernels_all[i];
            t.attack = (enum attack)attack;
            t.liars = 0x1a41;
            play(&t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seven_in_subsets),
        cmocka_unit_test(test_seven_in_triples),
        cmocka_unit_test(test_fifteen_in_subsets),
        cmocka_unit_test(test_fifteen_in_triples),
        cmocka_unit_test(test_promise_broken),
        cmocka_unit_test(test_printed_rule),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_every_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
