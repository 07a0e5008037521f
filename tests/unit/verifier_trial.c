/* SPDX-License-Identifier: Apache-2.0 */
/* verifier_trial.c - rounds under attack, held against the oracle. */
#include "verifier_trial.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"
#include "verifier_writers.h"

enum {
    CHUNK_MAX = 1200, /* coordinates */
    WORDS_MAX = 3 * LINE_WORDS,
    LOAD_MAX = 91,
    DISPUTES_MAX = 3 * ORACLE_TASKS_MAX + 105,
    CHUNKS = 3,
};

struct play {
    struct trial trial;
    struct verifier *verifier;
    struct oracle oracle;
    uint32_t load;
    uint32_t step, chunk;                /* that is counted, */
    size_t words;                        /* a row of it, */
    uint64_t rewritten;                  /* and rows that were written anew */
    uint64_t *signs[ORACLE_WORKERS_MAX]; /* [LOAD_MAX] rows */
};

static uint64_t hash(uint64_t a, uint64_t b)
{
    uint64_t state = a * 0x9e3779b97f4a7c15 + b + 1;

    random_next(&state);
    return random_next(&state);
}

static uint32_t honest_of(const struct play *t)
{
    return ((1u << t->trial.config.assignment.workers) - 1) & ~t->trial.liars;
}

/* The `count` honest workers with the lowest numbers. */
static uint32_t victims_of(const struct play *t, uint32_t count)
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
static bool lies_in(const struct play *t, uint32_t worker, uint32_t members,
                    uint64_t draw)
{
    const uint32_t liars = (uint32_t)__builtin_popcount(t->trial.liars);
    const uint32_t honest = members & ~t->trial.liars;
    const bool first = (t->trial.liars & -t->trial.liars) == 1u << worker;

    switch (t->trial.attack) {
    case REVERSED:
    case CONSTANT:
    case RANDOM: return true;
    case MAJORITIES:
        return 2 * __builtin_popcount(members & t->trial.liars) >
               __builtin_popcount(members);
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

static void lie(const struct play *t, uint64_t *row, uint32_t coordinates,
                uint64_t truth, uint64_t own)
{
    const uint32_t last = coordinates - 1;

    for (uint32_t w = 0; w < WORDS_MAX; w++)
        switch (t->trial.attack) {
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

static uint64_t key_of(const struct play *t, uint32_t step, uint32_t task,
                       uint32_t chunk)
{
    return hash(t->trial.seed + step, 1000 * task + chunk);
}

static void tell(uint64_t *row, uint64_t key, uint32_t task, size_t words)
{
    for (size_t w = 0; w < words; w++)
        row[w] = hash(key, w) & hash(key, w + 100 * (task % 2));
}

/* Now and then it has other things to do. */
static int recompute(void *context, uint32_t step, uint32_t task,
                     uint64_t first, uint32_t coordinates, uint64_t *signs)
{
    const struct play *t = context;
    const uint64_t key =
        key_of(t, step, task, (uint32_t)first / LINE_COORDINATES);

    if (key % 4 == 0)
        return -EAGAIN;
    tell(signs, key, task, lines_for(coordinates) * LINE_WORDS);
    return 0;
}

/* The rows of a worker for a chunk. What is behind the last coordinate is
 * garbage of its own. */
static void say(struct play *t, uint32_t worker, uint32_t step, uint32_t chunk,
                uint32_t coordinates)
{
    const struct assignment *a = verifier_assignment(t->verifier);
    const size_t words = lines_for(coordinates) * LINE_WORDS;

    for (uint32_t r = 0; r < t->load; r++) {
        const uint32_t task = assignment_tasks(a, worker)[r];
        const uint64_t truth = key_of(t, step, task, chunk);
        const uint64_t own = hash(truth, worker);
        uint64_t row[WORDS_MAX];
        uint32_t members = 0;

        for (uint32_t i = 0; i < t->trial.config.assignment.replication; i++)
            members |= 1u << assignment_workers(a, task)[i];
        tell(row, truth, task, WORDS_MAX);
        if ((t->trial.liars >> worker & 1) != 0 &&
            lies_in(t, worker, members, own))
            lie(t, row, coordinates, truth, own);
        for (uint32_t f = 0; f < t->trial.flips; f++) {
            const uint64_t at = hash(own, 500 + f) % coordinates;

            row[at / 64] ^= UINT64_C(1) << at % 64;
        }
        for (uint32_t c = coordinates; c < 64 * words; c++)
            if ((hash(own, c) & 1) != 0)
                row[c / 64] ^= UINT64_C(1) << c % 64;
        memcpy(&t->signs[worker][r * words], row, words * sizeof(row[0]));
    }
}

/* What a writer says next: the truth, its contrary, a lie that colluders share,
 * or nearly what it said before. */
static void say_again(void *context, uint32_t worker, uint32_t row,
                      uint64_t *words)
{
    struct play *t = context;
    const struct assignment *a = verifier_assignment(t->verifier);
    const uint32_t task = assignment_tasks(a, worker)[row];
    const uint64_t truth = key_of(t, t->step, task, t->chunk);
    const uint64_t draw = hash(t->trial.seed, t->rewritten++);

    if (draw % 4 == 3) {
        words[0] ^= 1u << draw % 61 % 32;
        return;
    }
    tell(words, truth, task, t->words);
    for (size_t w = 0; w < t->words && draw % 4 != 0; w++)
        words[w] = draw % 4 == 1 ? ~words[w] : hash(~truth, w);
}

/* What was read of each worker, if `rows` are what it says. */
static void see_rows(const struct play *t, const uint64_t **rows)
{
    for (uint32_t w = 0; w < t->trial.config.assignment.workers; w++)
        if ((t->trial.writers >> w & 1) != 0 && rows[w] != NULL)
            rows[w] = writers_seen(w);
}

static void check_disputes(const struct play *t)
{
    static struct verifier_dispute is[DISPUTES_MAX + 1], should[DISPUTES_MAX];
    const size_t count = oracle_disputes(&t->oracle, should);
    const size_t some = count / 2;

    assert_true(count <= DISPUTES_MAX);
    assert_int_equal(verifier_disputes(t->verifier, is, DISPUTES_MAX), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(is[i].a, should[i].a);
        assert_int_equal(is[i].b, should[i].b);
        assert_int_equal(is[i].step, should[i].step);
        assert_int_equal(is[i].task, should[i].task);
        assert_int_equal(is[i].distance, should[i].distance);
    }
    /* No more are written than there is room for. */
    memset(is, 0x77, sizeof(is));
    assert_int_equal(verifier_disputes(t->verifier, is, some), count);
    assert_int_equal(is[some].task, 0x77777777);
}

static void check_report(const struct play *t)
{
    const struct oracle *o = &t->oracle;
    struct verifier_report report;

    verifier_report(t->verifier, &report);
    assert_int_equal(report.step, o->step);
    assert_int_equal(report.outcome, o->outcome);
    assert_int_equal(report.byzantine.words[0], o->byzantine);
    assert_int_equal(report.honest.words[0], o->honest);
    assert_int_equal(report.convicted.words[0], o->convicted);
    assert_int_equal(report.quarantined.words[0], o->quarantined);
    assert_int_equal(report.absent.words[0], o->absent);
    assert_int_equal(report.disputed, o->disputed);
    assert_int_equal(report.counted, o->counted);
    assert_int_equal(report.dropped, o->dropped);
    assert_int_equal(report.arbitrations, o->arbitrations);
    check_disputes(t);
    /* What holds while the promise does. */
    if (o->rule == VERIFIER_PROOF &&
        (uint32_t)__builtin_popcount(t->trial.liars) <= o->liars_max &&
        o->tolerance >= 2 * t->trial.flips * CHUNKS) {
        assert_int_equal(o->outcome, VERDICT_REACHED);
        assert_int_equal(report.byzantine.words[0] & ~t->trial.liars, 0);
        assert_int_equal(report.honest.words[0] & t->trial.liars, 0);
    }
}

static void play_chunk(struct play *t, uint32_t step, uint32_t index)
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
    for (uint32_t w = 0; w < t->trial.config.assignment.workers; w++) {
        const uint64_t draw = hash(t->trial.seed + 7 * step + index, w);

        say(t, w, step, index, coordinates);
        rows[w] =
            t->trial.attack == ABSENT && draw % 5 == 0 ? NULL : t->signs[w];
    }
    t->step = step;
    t->chunk = index;
    t->words = bytes / sizeof(uint64_t);
    writers_begin(t->trial.writers, t->signs, t->load, t->words);
    verifier_count(t->verifier, &chunk);
    see_rows(t, rows);
    chunk.result = should[0];
    chunk.ties = chunk.ties != NULL ? should[1] : NULL;
    oracle_count(&t->oracle, &chunk);
    assert_memory_equal(is[0], should[0], bytes);
    if (chunk.ties != NULL)
        assert_memory_equal(is[1], should[1], bytes);
    check_report(t);
}

static void open_play(struct play *t)
{
    struct verifier_config *config = &t->trial.config;
    char why[ASSIGNMENT_WHY_BYTES];

    if (t->trial.writers != 0)
        config->kernels = writers_open(config->kernels, say_again, t);
    assert_int_equal(verifier_open(&t->verifier, config, why), 0);
    t->oracle = (struct oracle){
        .assignment = verifier_assignment(t->verifier),
        .liars_max = config->liars_max,
        .rule = config->rule,
        .tolerance = config->tolerance,
        .keep = config->keep,
        .arbiter = t->trial.arbiter ? recompute : NULL,
        .context = t,
    };
    if (t->trial.arbiter)
        verifier_arbiter(t->verifier, recompute, t);
    t->load = assignment_shape(t->oracle.assignment)->load;
    for (uint32_t w = 0; w < config->assignment.workers; w++)
        t->signs[w] = aligned_alloc(LINE_BYTES, LOAD_MAX * WORDS_MAX *
                                                    sizeof(t->signs[w][0]));
}

static void play_round(struct play *t, uint32_t step)
{
    verifier_begin(t->verifier, step);
    oracle_begin(&t->oracle, step);
    for (uint32_t index = 0; index < CHUNKS; index++)
        play_chunk(t, step, index);
    verifier_end(t->verifier);
    oracle_end(&t->oracle);
    check_report(t);
    for (uint32_t w = 0; w < t->trial.config.assignment.workers; w++)
        if ((t->trial.released >> w & 1) != 0) {
            verifier_release(t->verifier, w);
            oracle_release(&t->oracle, w);
        }
}

struct oracle verifier_trial_play(const struct trial *trial)
{
    static struct play played;
    struct play *t = &played;

    *t = (struct play){.trial = *trial};
    open_play(t);
    for (uint32_t step = 5; step < 5 + trial->rounds; step++)
        play_round(t, step);
    for (uint32_t w = 0; w < trial->config.assignment.workers; w++)
        free(t->signs[w]);
    verifier_close(t->verifier);
    return t->oracle;
}

struct trial trial_of(enum design design, uint32_t workers)
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
        .rounds = 3,
    };
}
