/* SPDX-License-Identifier: Apache-2.0 */
/* test_tally_room.c - answers for which there is no room yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/tally.h"

enum { RANKS = 3, WINDOW = 2, KEPT = 2, EPOCH = 4, CHUNK = 512 };

static struct tally *tally;
static struct tally_command command;

static int start(void **state)
{
    const struct tally_config config = {
        .shape = {.ranks = RANKS,
                  .coordinates_max = CHUNK,
                  .planes_up = 1,
                  .planes_down = 1},
        .servers = 1,
        .window = WINDOW,
        .kept = KEPT,
        .quorum = 2,
        .epoch = EPOCH,
        .timeout_ns = 1000,
        .grace_ns = 100,
    };

    (void)state;
    return tally_open(&tally, &config);
}

static int stop(void **state)
{
    (void)state;
    tally_close(tally);
    return 0;
}

/* The rounds are of one chunk each. */
static enum tally_verdict put(uint32_t voter, uint64_t sequence)
{
    const struct header header = {
        .magic = HEADER_MAGIC,
        .epoch = EPOCH,
        .sequence = sequence,
        .call = {.round = sequence,
                 .count = CHUNK,
                 .coordinates = CHUNK,
                 .detail = CHUNK},
        .kind = HEADER_VOTE,
    };

    return tally_arrived(tally, 0, voter, (uint32_t)(sequence % WINDOW),
                         &header, 128);
}

static void count(uint64_t sequence)
{
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.kind, TALLY_COUNT);
    assert_int_equal(command.header.sequence, sequence);
    tally_counted(tally, 0);
}

static void assert_answer(uint32_t voter, uint64_t sequence, enum status status)
{
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.kind, TALLY_RESULT);
    assert_int_equal(command.voter, voter);
    assert_int_equal(command.header.sequence, sequence);
    assert_int_equal(command.header.status, status);
}

static void put_all(uint64_t sequence)
{
    for (uint32_t voter = 0; voter < RANKS; voter++)
        assert_int_equal(put(voter, sequence), TALLY_TAKEN);
}

static void what_is_put_off_comes_again_and_holds_up_nobody(void **state)
{
    (void)state;
    put_all(0);
    count(0);
    assert_answer(1, 0, STATUS_OK);
    tally_put_off(tally, &command);
    assert_answer(2, 0, STATUS_OK);
    assert_answer(0, 0, STATUS_OK);
    assert_false(tally_next(tally, &command));
    /* The others go on; what is to be counted is counted. */
    put_all(1);
    count(1);
    assert_answer(1, 1, STATUS_OK);
    assert_answer(2, 1, STATUS_OK);
    assert_answer(0, 1, STATUS_OK);
    tally_resume(tally);
    assert_answer(1, 0, STATUS_OK);
    assert_false(tally_next(tally, &command));
    tally_resume(tally);
    assert_false(tally_next(tally, &command));
}

static void one_that_is_put_off_too_long_is_gone(void **state)
{
    (void)state;
    put_all(0);
    count(0);
    assert_answer(1, 0, STATUS_OK);
    tally_put_off(tally, &command);
    assert_answer(2, 0, STATUS_OK);
    assert_answer(0, 0, STATUS_OK);
    for (uint64_t sequence = 1; sequence <= KEPT; sequence++) {
        put(2, sequence);
        put(0, sequence);
        tally_tick(tally, 0);
        tally_tick(tally, 100);
        count(sequence);
        assert_answer(2, sequence, STATUS_OK);
        assert_answer(0, sequence, STATUS_OK);
    }
    tally_resume(tally);
    assert_answer(1, 0, STATUS_GONE);
    assert_false(tally_next(tally, &command));
}

static void who_is_lost_gets_no_answer_that_was_put_off(void **state)
{
    (void)state;
    put_all(0);
    count(0);
    assert_answer(1, 0, STATUS_OK);
    tally_put_off(tally, &command);
    tally_lost(tally, 0, 1);
    tally_resume(tally);
    assert_answer(2, 0, STATUS_OK);
    assert_answer(0, 0, STATUS_OK);
    assert_false(tally_next(tally, &command));
}

/* A voter that does not wait for its answer is answered once, for its newest
 * put. */
static void a_put_over_one_that_is_put_off_is_answered_alone(void **state)
{
    (void)state;
    put_all(0);
    count(0);
    assert_answer(1, 0, STATUS_OK);
    tally_put_off(tally, &command);
    assert_answer(2, 0, STATUS_OK);
    assert_answer(0, 0, STATUS_OK);
    put_all(1);
    count(1);
    for (uint32_t voter = 1; voter <= RANKS; voter++)
        assert_answer(voter % RANKS, 1, STATUS_OK);
    put_all(2);
    tally_resume(tally);
    count(2);
    for (uint32_t answers = 0; answers < RANKS; answers++) {
        assert_true(tally_next(tally, &command));
        assert_int_equal(command.header.sequence, 2);
    }
    assert_false(tally_next(tally, &command));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_is_put_off_comes_again_and_holds_up_nobody, start, stop),
        cmocka_unit_test_setup_teardown(one_that_is_put_off_too_long_is_gone,
                                        start, stop),
        cmocka_unit_test_setup_teardown(
            who_is_lost_gets_no_answer_that_was_put_off, start, stop),
        cmocka_unit_test_setup_teardown(
            a_put_over_one_that_is_put_off_is_answered_alone, start, stop),
    };

    return cmocka_run_group_tests_name("tally_room", tests, NULL, NULL);
}
