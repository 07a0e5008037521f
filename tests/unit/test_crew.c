/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_crew.c - threads that share a kernel call: every line once, the same
 * bits as one thread, no matter who sleeps when the call comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "collective/crew.h"
#include "guarded.h"

enum {
    LINES_MAX = 5000,
    VOTERS = 9,
    COUNT = 3 * 1024 * 1024 + 77, /* coordinates; the last line is short */
    WORDS = (COUNT / LINE_COORDINATES + 1) * LINE_WORDS,
};

/* ---- Every line once ---- */

struct tally_call {
    atomic_uint done[LINES_MAX];
    atomic_uint runs;
};

static void note_lines(void *call, size_t first, size_t lines)
{
    struct tally_call *tally = call;

    atomic_fetch_add(&tally->runs, 1);
    for (size_t i = first; i < first + lines; i++)
        atomic_fetch_add(&tally->done[i], 1);
}

static void check_lines(struct crew *crew, size_t lines, size_t line_bytes,
                        uint32_t *runs)
{
    static struct tally_call tally;

    memset(&tally, 0, sizeof(tally));
    crew_run(crew, note_lines, &tally, lines, line_bytes);
    *runs = atomic_load(&tally.runs);
    for (size_t i = 0; i < LINES_MAX; i++)
        if (atomic_load(&tally.done[i]) != (i < lines ? 1 : 0))
            fail_msg("line %zu of %zu was done %u times", i, lines,
                     atomic_load(&tally.done[i]));
}

static void test_every_line_once(void **state)
{
    uint32_t runs;

    (void)state;
    for (uint32_t threads = 1; threads <= 8; threads++) {
        struct crew *crew = NULL;

        assert_int_equal(crew_open(&crew, threads), 0);
        for (size_t lines = 0; lines < LINES_MAX; lines += 97)
            for (size_t bytes = 64; bytes <= 65536; bytes *= 8)
                check_lines(crew, lines, bytes, &runs);
        /* What is worth it is cut, with helpers. */
        check_lines(crew, LINES_MAX, 65536, &runs);
        assert_true(threads == 1 ? runs == 1 : runs > 100);
        crew_close(crew);
    }
}

/* Helpers sleep, doze or look out when the next call comes. */
static void test_calls_at_any_moment(void **state)
{
    struct crew *crew = NULL;
    uint64_t seed = 7;
    uint32_t runs;

    (void)state;
    assert_int_equal(crew_open(&crew, 4), 0);
    for (int i = 0; i < 300; i++) {
        struct timespec pause = {.tv_nsec =
                                     (long)(random_next(&seed) % 200000)};

        check_lines(crew, 1 + random_next(&seed) % LINES_MAX, 16384, &runs);
        if (i % 2 == 0)
            nanosleep(&pause, NULL);
    }
    crew_close(crew);
}

static void test_no_crew_is_one_thread(void **state)
{
    struct crew *crew = NULL;
    uint32_t runs;

    (void)state;
    check_lines(NULL, LINES_MAX, 65536, &runs);
    assert_int_equal(runs, 1);
    crew_close(NULL);
    assert_int_equal(crew_open(&crew, 0), -EINVAL);
    assert_int_equal(crew_open(&crew, CREW_MAX + 1), -EINVAL);
    assert_null(crew);
}

/* ---- The same bits as one thread ---- */

struct rows {
    struct crew *crew;
    const struct kernels *kernels;
    uint64_t seed;
    float *values, *momentum[2], *output[2];
    uint64_t *signs[2], *marks[2];
    uint64_t *voters[VOTERS];
};

static void *need(size_t bytes)
{
    void *memory = aligned_alloc(LINE_BYTES, (bytes + 63) / 64 * 64);

    assert_non_null(memory);
    memset(memory, 0x77, (bytes + 63) / 64 * 64);
    return memory;
}

static int open_rows(void **state)
{
    static struct rows rows;

    rows = (struct rows){.kernels = kernels_pick(NULL), .seed = 11};
    assert_int_equal(crew_open(&rows.crew, 3), 0);
    rows.values = need(COUNT * sizeof(float));
    for (size_t i = 0; i < COUNT; i++)
        rows.values[i] = (float)(int64_t)random_next(&rows.seed);
    for (size_t i = 0; i < COUNT; i += 3)
        rows.values[i] = 0;
    for (int i = 0; i < 2; i++) {
        rows.momentum[i] = need(COUNT * sizeof(float));
        rows.output[i] = need(COUNT * sizeof(float));
        rows.signs[i] = need(WORDS * sizeof(uint64_t));
        rows.marks[i] = need(WORDS * sizeof(uint64_t));
    }
    for (int v = 0; v < VOTERS; v++) {
        rows.voters[v] = need(WORDS * sizeof(uint64_t));
        for (size_t w = 0; w < WORDS; w++)
            rows.voters[v][w] = random_next(&rows.seed);
    }
    *state = &rows;
    return 0;
}

static int close_rows(void **state)
{
    struct rows *rows = *state;

    for (int v = 0; v < VOTERS; v++)
        free(rows->voters[v]);
    for (int i = 0; i < 2; i++) {
        free(rows->marks[i]);
        free(rows->signs[i]);
        free(rows->output[i]);
        free(rows->momentum[i]);
    }
    free(rows->values);
    crew_close(rows->crew);
    return 0;
}

/* What the crew made against what one thread made. */
static void assert_same_signs(const struct rows *rows)
{
    assert_memory_equal(rows->signs[0], rows->signs[1],
                        WORDS * sizeof(uint64_t));
    assert_memory_equal(rows->marks[0], rows->marks[1],
                        WORDS * sizeof(uint64_t));
}

static void assert_same_output(const struct rows *rows)
{
    assert_memory_equal(rows->output[0], rows->output[1],
                        COUNT * sizeof(float));
}

static void test_pack_and_signum(void **state)
{
    struct rows *rows = *state;
    struct crew *crews[] = {rows->crew, NULL};

    for (int i = 0; i < 2; i++)
        crew_pack(crews[i], rows->kernels, TYPE_FLOAT32, rows->signs[i],
                  rows->marks[i], rows->values, COUNT);
    assert_same_signs(rows);
    for (int i = 0; i < 2; i++)
        crew_pack(crews[i], rows->kernels, TYPE_FLOAT16, rows->signs[i], NULL,
                  rows->values, COUNT);
    assert_same_signs(rows);
    for (int i = 0; i < 2; i++)
        crew_signum(crews[i], rows->kernels, rows->signs[i], rows->marks[i],
                    rows->momentum[i], rows->values, 0.9f, COUNT);
    assert_same_signs(rows);
    assert_memory_equal(rows->momentum[0], rows->momentum[1],
                        COUNT * sizeof(float));
}

static void test_feedback(void **state)
{
    static const float scales[] = {0.5f, 0};
    struct rows *rows = *state;
    struct crew *crews[] = {rows->crew, NULL};

    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < 2; i++) {
            memset(rows->momentum[i], 0, COUNT * sizeof(float));
            crew_feedback(crews[i], rows->kernels, rows->signs[i],
                          rows->marks[i], rows->momentum[i], rows->values,
                          scales[s], COUNT);
        }
        assert_same_signs(rows);
        assert_memory_equal(rows->momentum[0], rows->momentum[1],
                            COUNT * sizeof(float));
    }
}

static void test_apply_and_update(void **state)
{
    struct rows *rows = *state;
    struct crew *crews[] = {rows->crew, NULL};

    for (int far = 0; far < 2; far++) {
        for (int i = 0; i < 2; i++)
            crew_apply(crews[i], rows->kernels, TYPE_FLOAT32, rows->output[i],
                       rows->voters[0], rows->voters[1], 2.0f, COUNT, far);
        assert_same_output(rows);
    }
    for (int i = 0; i < 2; i++)
        crew_apply(crews[i], rows->kernels, TYPE_SIGNS, rows->output[i],
                   rows->voters[2], NULL, 1.0f, COUNT, false);
    assert_same_output(rows);
    for (int i = 0; i < 2; i++) {
        memcpy(rows->output[i], rows->values, COUNT * sizeof(float));
        crew_update(crews[i], rows->kernels, rows->output[i], rows->voters[0],
                    rows->voters[1], 0.1f, 0.01f, COUNT);
    }
    assert_same_output(rows);
}

static void test_vote(void **state)
{
    static const uint8_t weights[VOTERS] = {1, 2, 3, 4, 5, 6, 7, 8, 15};
    struct rows *rows = *state;
    struct crew *crews[] = {rows->crew, NULL};

    for (int weighted = 0; weighted < 2; weighted++) {
        for (int i = 0; i < 2; i++) {
            struct vote vote = {
                .result = rows->signs[i],
                .ties = rows->marks[i],
                .signs = (const uint64_t *const *)rows->voters,
                .marks = (const uint64_t *const *)rows->voters,
                .weights = weighted ? weights : NULL,
                .voters = VOTERS,
                .threshold = weighted ? 52 : 10,
                .words = WORDS,
            };

            crew_vote(crews[i], rows->kernels, &vote);
        }
        assert_same_signs(rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_line_once),
        cmocka_unit_test(test_calls_at_any_moment),
        cmocka_unit_test(test_no_crew_is_one_thread),
        cmocka_unit_test_setup_teardown(test_pack_and_signum, open_rows,
                                        close_rows),
        cmocka_unit_test_setup_teardown(test_feedback, open_rows, close_rows),
        cmocka_unit_test_setup_teardown(test_apply_and_update, open_rows,
                                        close_rows),
        cmocka_unit_test_setup_teardown(test_vote, open_rows, close_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
