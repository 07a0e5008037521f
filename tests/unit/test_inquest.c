/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_inquest.c - a server's calls become rounds of the verifier: which votes
 * belong together, where their chunks begin, what is told in pieces.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collective/calls.h"
#include "collective/evidence.h"
#include "collective/inquest.h"

enum {
    WORKERS = 7,
    TASKS = 7,
    LOAD = 3,
    LIAR = 2,
    WHOLE = 512, /* coordinates of a chunk */
    ASKED_MAX = 16,
    MAX = 8,
};

static _Alignas(LINE_BYTES) uint64_t rows[WORKERS][LOAD * LINE_WORDS];
static struct inquest *inquest;
static uint64_t asked[ASKED_MAX]; /* the first coordinates */
static uint32_t asked_count;
static struct ballot_aspis_report report;
static struct ballot_dispute disputes[MAX];

static int remember(void *context, uint32_t step, uint32_t task, uint64_t first,
                    uint32_t coordinates, uint64_t *signs)
{
    (void)context;
    (void)step;
    (void)task;
    (void)coordinates;
    (void)signs;
    assert_true(asked_count < ASKED_MAX);
    asked[asked_count++] = first;
    return -EAGAIN;
}

static int set_up(void **state)
{
    const struct verifier_config config = {
        .assignment = {.design = DESIGN_STEINER,
                       .workers = WORKERS,
                       .replication = 3,
                       .seed = 1},
        .liars_max = 3,
        .coordinates_max = WHOLE,
        .kernels = kernels_pick(NULL),
    };
    char why[ASSIGNMENT_WHY_BYTES];

    (void)state;
    asked_count = 0;
    memset(rows, 0, sizeof(rows));
    assert_int_equal(inquest_open(&inquest, &config, why), 0);
    inquest_arbiter(inquest, remember, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    inquest_close(inquest);
    return 0;
}

static void count(const struct call *call, uint64_t *result)
{
    const uint64_t *starts[WORKERS];
    _Alignas(LINE_BYTES) uint64_t ties[LINE_WORDS];

    for (uint32_t w = 0; w < WORKERS; w++)
        starts[w] = rows[w];
    memset(result, 0x5a, LINE_BYTES);
    memset(ties, 0x5a, sizeof(ties));
    inquest_count(inquest, &(struct inquest_chunk){.call = call,
                                                   .rows = starts,
                                                   .result = result,
                                                   .ties = ties});
    for (size_t w = 0; w < LINE_WORDS; w++)
        assert_int_equal(ties[w], 0);
}

/* One call, chunk by chunk; its result, or NULL: it is all plus. */
static void play(struct call call, uint8_t *results)
{
    _Alignas(LINE_BYTES) uint64_t result[LINE_WORDS];

    for (uint64_t first = 0; first < call.count; first += WHOLE) {
        const uint64_t left = call.count - first;

        call.chunk = (uint32_t)(first / WHOLE);
        call.coordinates = left < WHOLE ? (uint32_t)left : WHOLE;
        count(&call, result);
        if (results != NULL)
            memcpy(results + first / 8, result, call.coordinates / 8);
        else
            for (size_t w = 0; w < LINE_WORDS; w++)
                assert_int_equal(result[w], 0);
    }
}

static void vote(uint64_t round, uint32_t step, uint64_t coordinates)
{
    play(
        (struct call){
            .round = round, .count = coordinates, .detail = step, .rows = LOAD},
        NULL);
}

/* With a chunk more than is needed, which is zeros. */
static void ask(uint64_t round)
{
    const size_t bytes = evidence_bytes(EVIDENCE_DISPUTES_MAX);
    const size_t chunks = bytes / (WHOLE / 8) + 2;
    uint8_t *told = malloc(chunks * (WHOLE / 8));

    play((struct call){.round = round,
                       .count = chunks * WHOLE,
                       .op = CALL_ASPIS_REPORT,
                       .rows = ROWS_NONE},
         told);
    for (size_t i = bytes; i < chunks * (WHOLE / 8); i++)
        assert_int_equal(told[i], 0);
    memset(disputes, 0, sizeof(disputes));
    assert_int_equal(
        evidence_read(told, WORKERS, TASKS, &report, disputes, MAX), 0);
    free(told);
}

static void release(uint64_t round, uint32_t worker)
{
    play((struct call){.round = round,
                       .count = 8,
                       .detail = worker,
                       .op = CALL_ASPIS_RELEASE,
                       .rows = ROWS_NONE},
         NULL);
}

static void votes_of_a_step_are_one_round(void **state)
{
    static const uint64_t firsts[] = {0, 512, 900, 1412};

    (void)state;
    memset(rows[LIAR], 0xff, LINE_BYTES); /* in one task */
    vote(10, 5, 900);
    vote(11, 5, 600);
    assert_int_equal(asked_count, 4);
    assert_memory_equal(asked, firsts, sizeof(firsts));
    ask(12);
    assert_int_equal(report.step, 5);
    assert_int_equal(report.chunks, 4);
    assert_int_equal(report.disputed, 4);
    assert_int_equal(report.counted, 4 * TASKS);
    assert_int_equal(report.disputes, 2);
    for (int i = 0; i < 2; i++) {
        assert_true((disputes[i].a == LIAR) != (disputes[i].b == LIAR));
        assert_int_equal(disputes[i].distance, 1500);
        assert_int_equal(disputes[i].step, 5);
    }
}

static void another_step_is_another_round(void **state)
{
    (void)state;
    memset(rows[LIAR], 0xff, LINE_BYTES);
    vote(10, 5, 900);
    memset(rows[LIAR], 0, LINE_BYTES);
    vote(11, 6, 100);
    ask(12);
    assert_int_equal(report.step, 6);
    assert_int_equal(report.chunks, 1);
    assert_int_equal(report.disputes, 0);
    /* And that one is over: what is told anew is new. */
    memset(rows[LIAR], 0xff, LINE_BYTES);
    asked_count = 0;
    vote(13, 6, 100);
    assert_int_equal(asked[0], 100);
    ask(14);
    assert_int_equal(report.chunks, 1);
    assert_int_equal(report.disputes, 2);
    assert_int_equal(disputes[0].distance, 100);
}

static void who_is_released_is_counted_again(void **state)
{
    (void)state;
    memset(rows[LIAR], 0xff, sizeof(rows[LIAR]));
    vote(10, 5, 300);
    ask(11);
    assert_int_equal(report.verdict[LIAR], BALLOT_PROVEN_BYZANTINE);
    assert_int_equal(report.quarantined[0], 1 << LIAR);
    release(12, WORKERS); /* there is none */
    release(13, LIAR + 1);
    ask(14);
    assert_int_equal(report.quarantined[0], 1 << LIAR);
    release(15, LIAR);
    ask(16);
    assert_int_equal(report.quarantined[0], 0);
    memset(rows, 0, sizeof(rows));
    vote(17, 6, 300);
    ask(18);
    assert_int_equal(report.absent[0], 0);
    assert_int_equal(report.disputes, 0);
    assert_int_equal(report.quarantined[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(votes_of_a_step_are_one_round, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_step_is_another_round, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_is_released_is_counted_again,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
