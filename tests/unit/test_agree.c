/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agree.c - tasks that are counted while their replicas are read, of every
 * table, against a count coordinate by coordinate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"
#include "guarded.h"

enum {
    REPLICAS = 3,
    TASKS_MAX = 70,
    WORDS_MAX = 3 * LINE_WORDS,
    COORDINATES_MAX = 64 * WORDS_MAX,
    AREA_PLANES = REPLICAS * TASKS_MAX,
    AREAS,
};

struct job {
    struct guarded pages; /* rows, planes */
    uint64_t *rows[REPLICAS * TASKS_MAX];
    uint32_t counts[COORDINATES_MAX];
    uint32_t tasks;
    uint32_t coordinates;
    size_t words;
    bool end; /* rows end, not start, at a forbidden page */
};

static uint64_t seed = 1;

static bool bit_of(const uint64_t *row, size_t at)
{
    return (row[at / 64] >> at % 64 & 1) != 0;
}

static void job_count(struct job *job)
{
    for (size_t c = 0; c < job->coordinates; c++) {
        job->counts[c] = 0;
        for (uint32_t t = 0; t < job->tasks; t++)
            job->counts[c] += bit_of(job->rows[3 * t], c) +
                                  bit_of(job->rows[3 * t + 1], c) +
                                  bit_of(job->rows[3 * t + 2], c) >=
                              2;
    }
}

/* Replicas are equal but for what is behind the last coordinate. */
static void job_make(struct job *job, uint32_t tasks, uint32_t coordinates)
{
    job->tasks = tasks;
    job->coordinates = coordinates;
    job->words = lines_for(coordinates) * LINE_WORDS;
    job->end = !job->end;
    for (uint32_t i = 0; i < REPLICAS * tasks; i++) {
        uint64_t *row = guarded_at(&job->pages, i, 8 * job->words, job->end);

        for (size_t w = 0; w < job->words; w++)
            row[w] = random_next(&seed) & (w % 2 ? random_next(&seed) : ~0ull);
        job->rows[i] = row;
        for (size_t c = 0; c < coordinates && i % REPLICAS > 0; c++)
            if (bit_of(row, c) != bit_of(job->rows[i - 1], c))
                row[c / 64] ^= UINT64_C(1) << c % 64;
    }
    job_count(job);
}

static void check_counts(const struct job *job, const struct kernels *k,
                         const struct agree *agree)
{
    for (size_t c = 0; c < job->coordinates; c++) {
        const uint64_t *planes =
            &agree->planes[count_place(agree->top, c / 64)];
        uint32_t counter = 0;

        for (uint32_t p = 0; p <= agree->top; p++)
            counter |= (uint32_t)(planes[8 * p] >> c % 64 & 1) << p;
        if (counter != job->counts[c])
            fail_msg("%s: %u tasks, top %u, coordinate %zu of %u: %u, not %u",
                     k->name, job->tasks, agree->top, c, job->coordinates,
                     counter, job->counts[c]);
    }
}

/* The first `split` tasks in a call of their own. */
static bool count_tasks(const struct job *job, const struct kernels *k,
                        uint32_t top, uint32_t split)
{
    struct agree agree = {
        .planes = guarded_at(&job->pages, AREA_PLANES,
                             8 * count_words(top, job->words), job->end),
        .top = top,
        .first = true,
        .rows = (const uint64_t *const *)job->rows,
        .tasks = split,
        .count = job->coordinates,
        .far = split % 2 == 1,
    };
    bool agreed;

    memset(agree.planes, 0x5a, 8 * count_words(top, job->words));
    agreed = k->agree(&agree);
    agree.first = false;
    agree.rows += 3 * split;
    agree.tasks = job->tasks - split;
    agreed = k->agree(&agree) && agreed;
    check_counts(job, k, &agree);
    return agreed;
}

static uint32_t top_for(uint32_t tasks)
{
    uint32_t top = 0;

    while (1u << (top + 1) <= tasks)
        top++;
    return top;
}

static void check_tables(const struct job *job, bool agreed)
{
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        if (kernels_all[i]->supported())
            for (uint32_t more = 0; more < 2; more++)
                for (uint32_t split = 0; split <= job->tasks;
                     split += 1 + job->tasks / 3)
                    assert_int_equal(count_tasks(job, kernels_all[i],
                                                 top_for(job->tasks) + more,
                                                 split),
                                     agreed);
}

static void test_every_number_of_tasks(void **state)
{
    struct job *job = *state;

    for (uint32_t tasks = 1; tasks <= TASKS_MAX; tasks++) {
        job_make(job, tasks, COORDINATES_MAX);
        check_tables(job, true);
    }
}

/* Bits behind the last coordinate differ, and that is nobody's business. */
static void test_every_length(void **state)
{
    struct job *job = *state;

    for (uint32_t coordinates = 1; coordinates <= COORDINATES_MAX;
         coordinates += 37) {
        job_make(job, 1 + coordinates % 19, coordinates);
        check_tables(job, true);
    }
}

/* One bit of one replica, anywhere. */
static void test_one_bit_is_seen(void **state)
{
    struct job *job = *state;

    for (uint32_t trial = 0; trial < 400; trial++) {
        const uint32_t tasks = 1 + (uint32_t)random_next(&seed) % 40;
        const uint32_t coordinates =
            1 + (uint32_t)(random_next(&seed) % COORDINATES_MAX);
        uint32_t at = (uint32_t)(random_next(&seed) % coordinates);

        if (trial % 4 == 0)
            at = trial % 8 == 0 ? 0 : coordinates - 1;
        job_make(job, tasks, coordinates);
        job->rows[random_next(&seed) % (REPLICAS * tasks)][at / 64] ^=
            UINT64_C(1) << at % 64;
        job_count(job);
        check_tables(job, false);
    }
}

/* The highest plane that there may be. */
static void test_top_planes(void **state)
{
    struct job *job = *state;

    job_make(job, 5, COORDINATES_MAX);
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (uint32_t top = 3; top <= COUNT_TOP_MAX; top++)
            if (kernels_all[i]->supported())
                assert_true(count_tasks(job, kernels_all[i], top, 2));
}

static int setup(void **state)
{
    static struct job job;

    job.pages = guarded_open(AREAS, 8 * count_words(COUNT_TOP_MAX, WORDS_MAX));
    *state = &job;
    return 0;
}

static int teardown(void **state)
{
    struct job *job = *state;

    guarded_close(&job->pages);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_of_tasks),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_one_bit_is_seen),
        cmocka_unit_test(test_top_planes),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
