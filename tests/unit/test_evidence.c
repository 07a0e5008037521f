/* SPDX-License-Identifier: Apache-2.0 */
/* test_evidence.c - reports as bytes: what a verifier knows comes through, and
 * what a server must not say is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aspis/verifier.h"
#include "collective/evidence.h"

enum { WORKERS = 7, TASKS = 35, LOAD = 15, LINES = 1, MAX = 8 };

static uint8_t *bytes;
static struct ballot_aspis_report report;
static struct ballot_dispute disputes[MAX];

/* Worker 5 inverts all, worker 2 is absent. */
static struct verifier *run_round(void)
{
    static _Alignas(64) uint64_t rows[WORKERS][LOAD * LINES * LINE_WORDS];
    static _Alignas(64) uint64_t result[LINE_WORDS];
    const struct verifier_config config = {
        .assignment = {.design = DESIGN_SUBSETS,
                       .workers = WORKERS,
                       .replication = 3,
                       .seed = 1},
        .liars_max = 1,
        .coordinates_max = 512,
        .kernels = kernels_pick(NULL),
    };
    const uint64_t *starts[WORKERS];
    char why[ASSIGNMENT_WHY_BYTES];
    struct verifier *verifier;

    assert_int_equal(verifier_open(&verifier, &config, why), 0);
    memset(rows[5], 0xff, sizeof(rows[5]));
    for (uint32_t w = 0; w < WORKERS; w++)
        starts[w] = w == 2 ? NULL : rows[w];
    verifier_begin(verifier, 77);
    verifier_count(verifier, &(struct verifier_chunk){
                                 .rows = starts,
                                 .coordinates = 500,
                                 .result = result,
                             });
    verifier_end(verifier);
    return verifier;
}

static int set_up(void **state)
{
    struct verifier_dispute *scratch =
        calloc(EVIDENCE_DISPUTES_MAX, sizeof(*scratch));
    struct verifier *verifier = run_round();

    (void)state;
    bytes = malloc(evidence_bytes(EVIDENCE_DISPUTES_MAX));
    evidence_write(bytes, verifier, scratch);
    verifier_close(verifier);
    free(scratch);
    memset(&report, 0, sizeof(report));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(bytes);
    return 0;
}

static int read_all(void)
{
    return evidence_read(bytes, WORKERS, TASKS, &report, disputes, MAX);
}

static void what_is_known_comes_through(void **state)
{
    (void)state;
    assert_int_equal(read_all(), 0);
    assert_int_equal(report.step, 77);
    assert_int_equal(report.outcome, BALLOT_OUTCOME_REACHED);
    for (uint32_t w = 0; w < BALLOT_WORKERS_MAX; w++)
        assert_int_equal(report.verdict[w], w == 5  ? BALLOT_PROVEN_BYZANTINE
                                            : w < 7 ? BALLOT_PROVEN_HONEST
                                                    : BALLOT_UNPROVEN);
    assert_int_equal(report.absent[0], 1 << 2);
    assert_int_equal(report.quarantined[0], 1 << 5);
    assert_int_equal(report.chunks, 1);
    assert_int_equal(report.counted + report.dropped, TASKS);
    /* 15 tasks of worker 5, all with one of the others that are there. */
    assert_int_equal(report.disputed, 15);
    /* 10 without worker 2 have two disputes, the others one. */
    assert_int_equal(report.disputes, 25);
    for (uint32_t i = 0; i < MAX; i++) {
        assert_true(disputes[i].a == 5 || disputes[i].b == 5);
        assert_int_equal(disputes[i].distance, 500);
        assert_int_equal(disputes[i].step, 77);
    }
}

/* One byte of the bytes is another, and nothing is written. */
static void refuse(size_t at, uint8_t value)
{
    const struct ballot_aspis_report before = report;
    uint8_t was = bytes[at];

    bytes[at] = value;
    assert_int_equal(read_all(), -EBADMSG);
    assert_memory_equal(&report, &before, sizeof(report));
    bytes[at] = was;
    assert_int_equal(read_all(), 0);
    memset(&report, 0, sizeof(report));
}

static void what_cannot_be_is_refused(void **state)
{
    enum { SETS = 8, SET_BYTES = 32 };
    const size_t dispute = evidence_bytes(3);

    (void)state;
    refuse(4, 4);    /* no such outcome */
    refuse(7, 0x80); /* nor this one */
    for (size_t set = 0; set < 5; set++) {
        refuse(SETS + set * SET_BYTES, 0x80); /* worker 7 of 7 */
        refuse(SETS + set * SET_BYTES + SET_BYTES - 1, 1);
    }
    refuse(SETS, 0x21); /* byzantine and honest */
    refuse(dispute, 6); /* a is not less than b */
    refuse(dispute + 2, WORKERS);
    refuse(dispute + 3, 1);
    refuse(dispute + 8, TASKS);
    refuse(dispute + 11, 1);
}

/* Beyond what was asked for nobody looks. */
static void no_more_is_read_than_was_asked_for(void **state)
{
    (void)state;
    memset(bytes + evidence_bytes(MAX), 0xff, evidence_bytes(1));
    assert_int_equal(read_all(), 0);
    assert_int_equal(evidence_read(bytes, WORKERS, TASKS, &report, NULL, 0), 0);
    assert_int_equal(report.disputes, 25);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_known_comes_through),
        TEST(what_cannot_be_is_refused),
        TEST(no_more_is_read_than_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
