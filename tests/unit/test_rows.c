/* SPDX-License-Identifier: Apache-2.0 */
/* test_rows.c - redundant rounds, as both state machines see them: puts of many
 * rows, and puts of none that ask what the server knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/caster.h"
#include "aggregate/tally.h"

enum {
    RANKS = 5,
    WINDOW = 2,
    EPOCH = 9,
    CHUNK = 1024, /* two lines */
    ROWS = 7,
    STEP = 12345,
    PUT_BYTES = 64 * (1 + 2 * ROWS),
};

static const struct shape shape = {
    .ranks = RANKS,
    .coordinates_max = CHUNK,
    .planes_up = 1,
    .planes_down = 1,
    .rows = ROWS,
};

static struct caster *caster;
static struct tally *tally;
static struct caster_put put;
static struct tally_command command;

static void start(uint32_t quorum)
{
    const struct caster_config voter = {
        .shape = shape,
        .rank = 1,
        .servers = 1,
        .window = WINDOW,
        .epoch = EPOCH,
        .timeout_ns = 1000,
        .margin_ns = 200,
    };
    const struct tally_config server = {
        .shape = shape,
        .servers = 1,
        .window = WINDOW,
        .kept = WINDOW,
        .quorum = quorum,
        .epoch = EPOCH,
        .timeout_ns = 1000,
        .grace_ns = 100,
    };

    assert_int_equal(caster_open(&caster, &voter), 0);
    assert_int_equal(tally_open(&tally, &server), 0);
}

static int stop(void **state)
{
    (void)state;
    caster_close(caster);
    tally_close(tally);
    caster = NULL;
    tally = NULL;
    return 0;
}

static void begin(uint16_t rows, uint64_t count)
{
    const struct caster_round round = {
        .count = count,
        .chunk_coordinates = CHUNK,
        .detail = STEP,
        .rows = rows,
    };
    uint64_t number;

    assert_true(caster_begin(caster, &round, &number) >= 0);
}

/* The last put, as it arrives from `voter`. */
static enum tally_verdict arrive(uint64_t now_ns, uint32_t voter)
{
    return tally_arrived(tally, now_ns, voter, put.slot, &put.header,
                         put.bytes);
}

static void next_put(void)
{
    assert_true(caster_next(caster, &put));
    caster_put_done(caster, 0, &put);
}

static void slots_hold_all_rows(void **state)
{
    (void)state;
    assert_int_equal(slot_bytes_for(&shape), PUT_BYTES);
}

static void a_put_carries_all_rows(void **state)
{
    (void)state;
    start(0);
    begin(ROWS, CHUNK + 100);
    next_put();
    assert_int_equal(put.bytes, PUT_BYTES);
    assert_int_equal(put.header.call.rows, ROWS);
    assert_int_equal(put.header.call.detail, STEP);
    assert_int_equal(put.header.call.coordinates, CHUNK);
    next_put();
    /* Two words of the last row hold its 100 coordinates. */
    assert_int_equal(put.bytes, 64 * ROWS + 16);
    assert_int_equal(put.first, CHUNK);
    assert_int_equal(put.header.call.detail, STEP);
    assert_int_equal(put.header.call.coordinates, 100);
}

/* A plain vote beside it is what it always was. */
static void plain_votes_go_on(void **state)
{
    (void)state;
    start(0);
    begin(0, CHUNK);
    next_put();
    assert_int_equal(put.bytes, 64 * 3);
    assert_int_equal(put.header.call.detail, CHUNK);
    assert_int_equal(arrive(0, 0), TALLY_TAKEN);
}

static void what_the_server_knows_is_asked_by_header_lines(void **state)
{
    struct header header;
    struct caster_result result;

    (void)state;
    start(0);
    begin(ROWS_NONE, 2 * CHUNK);
    next_put();
    assert_int_equal(put.bytes, 64);
    for (uint32_t v = 0; v < RANKS; v++)
        assert_int_equal(arrive(0, v), TALLY_TAKEN);
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.kind, TALLY_COUNT);
    assert_int_equal(command.mask->words[0], 31);
    tally_counted(tally, 0);
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.kind, TALLY_RESULT);
    header = command.header;
    assert_int_equal(result_bytes(&shape, &header), 64 * 3);
    assert_int_equal(caster_arrived(caster, 0, 0, &header, 64 * 3, &result), 0);
    assert_int_equal(result.header.call.rows, ROWS_NONE);
}

static void other_rows_are_dropped(void **state)
{
    static const uint16_t rows[] = {1, ROWS - 1, ROWS + 1, ROWS_NONE - 1};

    (void)state;
    start(0);
    begin(ROWS, CHUNK);
    next_put();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put.header.call.rows = rows[i];
        put.bytes = 64 * (1 + 2 * (uint32_t)rows[i]);
        assert_int_equal(arrive(0, 0), TALLY_DROPPED);
        put.bytes = PUT_BYTES;
        assert_int_equal(arrive(0, 0), TALLY_DROPPED);
    }
    put.header.call.rows = ROWS;
    assert_int_equal(arrive(0, 0), TALLY_TAKEN);
}

static void rows_and_bytes_belong_together(void **state)
{
    static const uint32_t bytes[] = {
        0,         64, 64 * 3, PUT_BYTES - 64, PUT_BYTES - 1, PUT_BYTES + 64,
        UINT32_MAX};

    (void)state;
    start(0);
    begin(ROWS, CHUNK);
    next_put();
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        put.bytes = bytes[i];
        assert_int_equal(arrive(0, 0), TALLY_DROPPED);
    }
    put.header.call.rows = ROWS_NONE;
    put.bytes = PUT_BYTES;
    assert_int_equal(arrive(0, 0), TALLY_DROPPED);
    put.header.call.rows = 0;
    assert_int_equal(arrive(0, 0), TALLY_DROPPED);
}

/* Where there is no design nobody can ask for its rounds. */
static void without_a_design_there_are_none(void **state)
{
    struct shape plain = shape;

    (void)state;
    plain.rows = 0;
    assert_true(rows_valid(&plain, 0));
    assert_false(rows_valid(&plain, ROWS));
    assert_false(rows_valid(&plain, ROWS_NONE));
}

static void another_step_is_another_call(void **state)
{
    (void)state;
    start(0);
    begin(ROWS, CHUNK);
    next_put();
    for (uint32_t v = 0; v <= 3; v++) {
        put.header.call.detail = STEP + (v == 3);
        assert_int_equal(arrive(0, v), TALLY_TAKEN);
    }
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.kind, TALLY_RESULT);
    assert_int_equal(command.header.status, STATUS_DIFFERS);
    assert_int_equal(command.difference.rank[1], 3);
}

/* How many chunks a round has does not follow from its step: who is too late is
 * sent behind the round that is under way, of three chunks. */
static void the_late_go_on_behind_all_chunks(void **state)
{
    struct header late;

    (void)state;
    start(3);
    begin(ROWS, 3 * CHUNK);
    next_put();
    late = put.header;
    for (uint64_t chunk = 0; chunk < 3; chunk++) {
        put.header.sequence = chunk;
        put.header.call.chunk = (uint32_t)chunk;
        put.slot = (uint32_t)chunk % WINDOW;
        for (uint32_t v = 0; v < 3; v++)
            assert_int_equal(arrive(10 * chunk, v), TALLY_TAKEN);
        tally_tick(tally, 10 * chunk + 100);
        assert_true(tally_next(tally, &command));
        assert_int_equal(command.kind, TALLY_COUNT);
        tally_counted(tally, 10 * chunk + 100);
        while (tally_next(tally, &command))
            assert_int_equal(command.kind, TALLY_RESULT);
        if (chunk != 1)
            continue;
        /* Its call is of another step. It waits for the end of the round. */
        late.call.detail++;
        assert_int_equal(tally_arrived(tally, 20, 4, 0, &late, put.bytes),
                         TALLY_LATE);
        assert_false(tally_next(tally, &command));
    }
    assert_int_equal(tally_base(tally), 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, stop)
    const struct CMUnitTest tests[] = {
        TEST(slots_hold_all_rows),
        TEST(a_put_carries_all_rows),
        TEST(plain_votes_go_on),
        TEST(what_the_server_knows_is_asked_by_header_lines),
        TEST(other_rows_are_dropped),
        TEST(rows_and_bytes_belong_together),
        TEST(without_a_design_there_are_none),
        TEST(another_step_is_another_call),
        TEST(the_late_go_on_behind_all_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
