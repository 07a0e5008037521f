/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verifier_races.c - workers that write their rows while they are counted:
 * the verifier and the vote see the same signs all the same. A table of kernels
 * writes between two readings, exactly where it hurts; and a thread writes all
 * the time.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aspis/verifier.h"
#include "guarded.h"

enum {
    WORKERS = 7,
    TASKS = 7,
    LOAD = 3,
    LIAR = 2,
    COORDINATES = 2048,
    WORDS = COORDINATES / 64,
};

/* Honest workers say plus and a liar minus or plus, a whole row at a time or
 * torn. Each task has two honest replicas: whatever the liar does, a task's
 * value is plus, or its replicas were found equal, which is plus too. */
static _Alignas(LINE_BYTES) uint64_t signs[WORKERS][LOAD * WORDS];

static void say(uint64_t word)
{
    for (size_t w = 0; w < LOAD * WORDS; w++)
        __atomic_store_n(&signs[LIAR][w], word, __ATOMIC_RELAXED);
}

static struct verifier *open_with(const struct kernels *kernels)
{
    const struct verifier_config config = {
        .assignment = {.design = DESIGN_STEINER,
                       .workers = WORKERS,
                       .replication = 3},
        .liars_max = 2,
        .coordinates_max = COORDINATES,
        .kernels = kernels,
    };
    char why[ASSIGNMENT_WHY_BYTES];
    struct verifier *v;

    assert_int_equal(verifier_open(&v, &config, why), 0);
    return v;
}

static struct verifier_report count_once(struct verifier *v, uint32_t step,
                                         uint64_t *result)
{
    const uint64_t *rows[WORKERS];
    const struct verifier_chunk chunk = {
        .rows = rows, .coordinates = COORDINATES, .result = result};
    struct verifier_report report;

    for (uint32_t w = 0; w < WORKERS; w++)
        rows[w] = signs[w];
    verifier_begin(v, step);
    verifier_count(v, &chunk);
    verifier_report(v, &report);
    return report;
}

/* Evidence and counts belong together, and to the one who wrote. */
static void check(const struct verifier *v,
                  const struct verifier_report *report, const uint64_t *result)
{
    struct verifier_dispute list[3 * TASKS];
    const size_t disputes = verifier_disputes(v, list, 3 * TASKS);

    for (size_t w = 0; w < WORDS; w++)
        assert_int_equal(result[w], 0);
    /* In each disputed task the liar was at odds with both others. */
    assert_int_equal(disputes, 2 * report->disputed);
    for (size_t i = 0; i < disputes; i++) {
        assert_true((list[i].a == LIAR) != (list[i].b == LIAR));
        assert_in_range(list[i].distance, 1, COORDINATES);
        /* What the copies say of one task, they say to both. */
        assert_int_equal(list[i].distance, list[i ^ 1].distance);
    }
    assert_int_equal(report->outcome, VERDICT_REACHED);
    assert_int_equal(report->byzantine.words[0] & ~(1u << LIAR), 0);
    assert_int_equal(workers_has(&report->byzantine, LIAR),
                     report->disputed >= 2);
    assert_int_equal(report->counted, TASKS);
}

/* ---- Between hint and copy ----------------------------------------------- */

static struct {
    const struct kernels *table;
    uint64_t words[4]; /* what the liar says after each reading */
    uint32_t next;
} rig;

static void rewrite(void)
{
    say(rig.words[rig.next++ % 4]);
}

static bool agree_then_rewrite(const struct agree *agree)
{
    const bool equal = rig.table->agree(agree);

    rewrite();
    return equal;
}

static void compare_then_rewrite(const struct compare *compare)
{
    rig.table->compare(compare);
    rewrite();
}

/* Copies are made by votes of one: the next copy sees something else. */
static void vote_then_rewrite(const struct vote *vote)
{
    rig.table->vote(vote);
    rewrite();
}

static void test_rewritten_between_hint_and_copy(void **state)
{
    static const uint64_t says[] = {0, ~UINT64_C(0), 0xff00};
    uint32_t disputed = 0, quiet = 0;

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        struct kernels table = *kernels_all[i];
        struct verifier *v;

        if (!table.supported())
            continue;
        rig.table = kernels_all[i];
        table.agree = agree_then_rewrite;
        table.compare = compare_then_rewrite;
        table.vote = vote_then_rewrite;
        v = open_with(&table);
        for (uint32_t pattern = 0; pattern < 243; pattern++) {
            _Alignas(LINE_BYTES) uint64_t result[WORDS];
            struct verifier_report report;
            uint32_t digits = pattern;

            for (uint32_t n = 0; n < 4; n++, digits /= 3)
                rig.words[n] = says[digits % 3];
            rig.next = 0;
            say(says[digits % 3]);
            report = count_once(v, pattern, result);
            check(v, &report, result);
            disputed += report.disputed > 0;
            quiet += report.disputed == 0;
        }
        verifier_close(v);
    }
    assert_true(disputed > 0 && quiet > 0);
}

/* ---- All the time -------------------------------------------------------- */

static atomic_bool over;

static void *write_all_the_time(void *context)
{
    uint64_t seed = 5;

    (void)context;
    while (!atomic_load(&over)) {
        const uint64_t draw = random_next(&seed);

        say(draw % 3 == 0 ? 0 : draw % 3 == 1 ? ~UINT64_C(0) : draw);
    }
    return NULL;
}

static void test_rewritten_all_the_time(void **state)
{
    struct verifier *v = open_with(kernels_pick(NULL));
    uint32_t disputed = 0;
    pthread_t thread;

    (void)state;
    if (THREADS_CHECKED) {
        verifier_close(v);
        skip(); /* it races on purpose */
    }
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, write_all_the_time, NULL),
                     0);
    for (uint32_t step = 0; step < 20000; step++) {
        _Alignas(LINE_BYTES) uint64_t result[WORDS];
        const struct verifier_report report = count_once(v, step, result);

        check(v, &report, result);
        disputed += report.disputed > 0;
    }
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    verifier_close(v);
    assert_true(disputed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewritten_between_hint_and_copy),
        cmocka_unit_test(test_rewritten_all_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
