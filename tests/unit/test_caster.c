/* SPDX-License-Identifier: Apache-2.0 */
/* test_caster.c - losses and lies, as a voter's state machine sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "aggregate/caster.h"

enum { WINDOW = 2, EPOCH = 9, CHUNK = 512 };

static struct caster *caster;
static struct caster_put put;
static struct caster_result result;
static struct caster_end end;

static void start(uint32_t servers)
{
    const struct caster_config config = {
        .shape = {.ranks = 5,
                  .coordinates_max = CHUNK,
                  .planes_up = 1,
                  .planes_down = 1},
        .rank = 1,
        .servers = servers,
        .window = WINDOW,
        .epoch = EPOCH,
        .timeout_ns = 1000,
        .margin_ns = 200,
    };

    assert_int_equal(caster_open(&caster, &config), 0);
}

static int stop(void **state)
{
    (void)state;
    caster_close(caster);
    caster = NULL;
    return 0;
}

static int begin(uint32_t chunks)
{
    const struct caster_round round = {.count = (uint64_t)chunks * CHUNK,
                                       .chunk_coordinates = CHUNK};
    uint64_t number;

    return caster_begin(caster, &round, &number);
}

/* The next put is this one; it is made. */
static void assert_puts(uint64_t now_ns, uint64_t sequence, uint64_t round,
                        uint32_t chunk, bool abstain)
{
    assert_true(caster_next(caster, &put));
    assert_int_equal(put.header.sequence, sequence);
    assert_int_equal(put.header.call.round, round);
    assert_int_equal(put.header.call.chunk, chunk);
    assert_int_equal(put.slot, sequence % WINDOW);
    assert_int_equal(put.header.flags, abstain ? FLAG_ABSTAIN : 0);
    assert_int_equal(put.bytes, abstain ? 64 : 128);
    caster_put_done(caster, now_ns, &put);
}

static struct header answer(uint64_t sequence, uint64_t round, uint32_t chunk,
                            uint32_t chunks, enum status status)
{
    return (struct header){
        .magic = HEADER_MAGIC,
        .epoch = EPOCH,
        .sequence = sequence,
        .call = {.round = round,
                 .count = (uint64_t)chunks * CHUNK,
                 .chunk = chunk,
                 .coordinates = CHUNK,
                 .detail = CHUNK},
        .kind = HEADER_RESULT,
        .status = (uint8_t)status,
    };
}

static int arrive(uint32_t server, const struct header *header)
{
    return caster_arrived(caster, server, (uint32_t)(header->sequence % WINDOW),
                          header, header->status == STATUS_OK ? 128 : 64,
                          &result);
}

static void consume(uint64_t now_ns, struct header header)
{
    assert_int_equal(arrive(0, &header), 0);
    caster_consumed(caster, now_ns, &result);
}

static void assert_ends(uint64_t round, enum status status)
{
    assert_true(caster_ended(caster, &end));
    assert_int_equal(end.round, round);
    assert_int_equal(end.status, status);
}

/* ---- Credit -------------------------------------------------------------- */

static void a_slot_is_put_again_only_after_its_result(void **state)
{
    (void)state;
    start(1);
    begin(3);
    assert_puts(10, 0, 0, 0, false);
    assert_puts(10, 1, 0, 1, false);
    assert_false(caster_next(caster, &put));
    consume(20, answer(1, 0, 1, 3, STATUS_OK));
    assert_false(caster_next(caster, &put));
    consume(20, answer(0, 0, 0, 3, STATUS_OK));
    assert_puts(20, 2, 0, 2, false);
    assert_false(caster_ended(caster, &end));
    consume(30, answer(2, 0, 2, 3, STATUS_OK));
    assert_ends(0, STATUS_OK);
    assert_false(caster_ended(caster, &end));
}

static void each_server_gets_its_chunks_first_ours(void **state)
{
    (void)state;
    start(3);
    begin(4);
    assert_puts(10, 0, 0, 1, false);
    assert_int_equal(put.server, 1);
    assert_puts(10, 0, 0, 2, false);
    assert_puts(10, 0, 0, 0, false);
    assert_puts(10, 1, 0, 3, false);
    assert_int_equal(put.server, 0);
}

static void sixteen_rounds_later_a_stream_is_not_astray(void **state)
{
    (void)state;
    start(1);
    for (uint64_t r = 0; r < 3; r++) {
        begin(1);
        assert_puts(10, r, r, 0, false);
        consume(20, answer(r, r, 0, 1, STATUS_OK));
        assert_ends(r, STATUS_OK);
    }
    /* Round 18 takes the place of round 2, where the stream still stands. */
    assert_false(caster_ended(caster, &end));
    for (uint64_t r = 3; r < 3 + ROUNDS_MAX; r++)
        assert_true(begin(2) >= 0);
    assert_int_equal(begin(2), -EAGAIN);
    assert_puts(30, 3, 3, 0, false);
}

/* ---- Lies and repetitions ------------------------------------------------ */

static void a_result_that_is_not_awaited_does_nothing(void **state)
{
    struct header lies[9];

    (void)state;
    start(1);
    begin(2);
    assert_puts(10, 0, 0, 0, false);
    for (int i = 0; i < 9; i++)
        lies[i] = answer(0, 0, 0, 2, STATUS_OK);
    lies[0].magic++;
    lies[1].epoch++;
    lies[2].sequence += WINDOW;
    lies[3].kind = HEADER_VOTE;
    lies[4].status = STATUSES;
    lies[5].call.round++;
    lies[6].call.chunk++;
    lies[7].call.count++;
    lies[8].sequence = 1; /* its slot is not outstanding */
    for (int i = 0; i < 9; i++)
        assert_int_equal(arrive(0, &lies[i]), -EBADMSG);
    assert_int_equal(arrive(1, &lies[2]), -EBADMSG);
    lies[0].magic--;
    assert_int_equal(caster_arrived(caster, 0, 0, &lies[0], 64, &result),
                     -EBADMSG);
    assert_int_equal(caster_arrived(caster, 0, WINDOW, &lies[0], 128, &result),
                     -EBADMSG);
    assert_int_equal(arrive(0, &lies[0]), 0);
    assert_int_equal(arrive(0, &lies[0]), -EBADMSG);
    caster_consumed(caster, 20, &result);
    assert_int_equal(arrive(0, &lies[0]), -EBADMSG);
}

/* ---- Failed rounds ------------------------------------------------------- */

static void a_failed_round_is_drained_without_votes(void **state)
{
    (void)state;
    start(1);
    begin(3);
    begin(1);
    assert_puts(10, 0, 0, 0, false);
    consume(20, answer(0, 0, 0, 3, STATUS_LOST));
    assert_ends(0, STATUS_LOST);
    assert_puts(20, 1, 0, 1, true);
    assert_puts(20, 2, 0, 2, true);
    consume(30, answer(1, 0, 1, 3, STATUS_LOST));
    consume(30, answer(2, 0, 2, 3, STATUS_LOST));
    assert_puts(30, 3, 1, 0, false);
    consume(40, answer(3, 1, 0, 1, STATUS_OK));
    assert_ends(1, STATUS_OK);
}

static void what_was_missed_is_left_out(void **state)
{
    struct header gone = answer(0, 7, 0, 1, STATUS_GONE);

    (void)state;
    start(1);
    begin(2);
    begin(1);
    assert_puts(10, 0, 0, 0, false);
    assert_puts(10, 1, 0, 1, false);
    gone.mask = 41;
    consume(20, gone);
    assert_ends(0, STATUS_GONE);
    assert_ends(1, STATUS_GONE);
    assert_int_equal(caster_round(caster), 7);
    begin(1);
    /* Slot 1 is not free before its old put is answered. */
    assert_false(caster_next(caster, &put));
    gone = answer(1, 9, 0, 1, STATUS_GONE);
    gone.mask = 50;
    assert_int_equal(arrive(0, &gone), 0);
    assert_false(caster_wants(caster, &result));
    caster_consumed(caster, 30, &result);
    assert_puts(30, 41, 7, 0, false);
}

static void rounds_begun_beyond_the_jump_keep_the_numbers(void **state)
{
    struct header gone = answer(0, 1, 0, 1, STATUS_GONE);

    (void)state;
    start(1);
    begin(1);
    begin(3);
    assert_puts(10, 0, 0, 0, false);
    gone.mask = 12;
    consume(20, gone);
    assert_ends(0, STATUS_GONE);
    assert_ends(1, STATUS_GONE);
    assert_int_equal(caster_round(caster), 2);
    begin(1);
    assert_puts(30, 12, 1, 0, true);
    assert_puts(30, 13, 1, 1, true);
    consume(40, answer(12, 1, 0, 3, STATUS_OK));
    consume(40, answer(13, 1, 1, 3, STATUS_OK));
    assert_puts(40, 14, 1, 2, true);
    assert_puts(40, 15, 2, 0, false);
}

static void puts_of_a_differing_call_cost_the_next_rounds(void **state)
{
    struct header gone = answer(0, 1, 0, 1, STATUS_GONE);

    (void)state;
    start(1);
    begin(4); /* the others called one chunk */
    assert_puts(10, 0, 0, 0, false);
    assert_puts(10, 1, 0, 1, false);
    gone.mask = 1;
    consume(20, gone);
    assert_ends(0, STATUS_GONE);
    assert_int_equal(caster_round(caster), 1);
    begin(2);
    assert_ends(1, STATUS_GONE);
    assert_puts(20, 2, 1, 1, true);
    consume(30, answer(1, 0, 1, 4, STATUS_LOST));
    begin(1);
    assert_puts(30, 3, 2, 0, false);
}

/* ---- Silent servers ------------------------------------------------------ */

static void a_silent_server_is_given_up_and_named(void **state)
{
    (void)state;
    start(2);
    begin(2);
    assert_true(caster_deadline(caster) == UINT64_MAX);
    assert_puts(10, 0, 0, 1, false);
    assert_puts(10, 0, 0, 0, false);
    consume(500, answer(0, 0, 0, 2, STATUS_OK));
    assert_int_equal(caster_deadline(caster), 1010);
    caster_tick(caster, 1010);
    assert_false(caster_ended(caster, &end));
    assert_int_equal(caster_deadline(caster), 1210);
    caster_tick(caster, 1209);
    assert_false(caster_ended(caster, &end));
    caster_tick(caster, 1210);
    assert_ends(0, STATUS_LOST);
    assert_true(end.timed_out);
    assert_int_equal(end.missing.words[0], 1u << 1);
    assert_int_equal(begin(1), -ENOTCONN);
}

static void who_was_stopped_looks_before_it_blames(void **state)
{
    (void)state;
    start(1);
    begin(1);
    assert_puts(10, 0, 0, 0, false);
    caster_tick(caster, 900000);
    assert_false(caster_ended(caster, &end));
    consume(900010, answer(0, 0, 0, 1, STATUS_OK));
    caster_tick(caster, 999999);
    assert_ends(0, STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_slot_is_put_again_only_after_its_result,
                                  stop),
        cmocka_unit_test_teardown(each_server_gets_its_chunks_first_ours, stop),
        cmocka_unit_test_teardown(sixteen_rounds_later_a_stream_is_not_astray,
                                  stop),
        cmocka_unit_test_teardown(a_result_that_is_not_awaited_does_nothing,
                                  stop),
        cmocka_unit_test_teardown(a_failed_round_is_drained_without_votes,
                                  stop),
        cmocka_unit_test_teardown(what_was_missed_is_left_out, stop),
        cmocka_unit_test_teardown(rounds_begun_beyond_the_jump_keep_the_numbers,
                                  stop),
        cmocka_unit_test_teardown(puts_of_a_differing_call_cost_the_next_rounds,
                                  stop),
        cmocka_unit_test_teardown(a_silent_server_is_given_up_and_named, stop),
        cmocka_unit_test_teardown(who_was_stopped_looks_before_it_blames, stop),
    };

    return cmocka_run_group_tests_name("caster", tests, NULL, NULL);
}
