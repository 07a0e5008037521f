/* SPDX-License-Identifier: Apache-2.0 */
/* test_tally.c - losses and lies, as a server's state machine sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "aggregate/tally.h"

enum { RANKS = 5, WINDOW = 2, KEPT = 4, EPOCH = 9, CHUNK = 512 };

static struct tally *tally;
static struct tally_command command;

static void start(uint32_t quorum)
{
    const struct tally_config config = {
        .shape = {.ranks = RANKS,
                  .coordinates_max = CHUNK,
                  .planes_up = 1,
                  .planes_down = 1},
        .servers = 1,
        .window = WINDOW,
        .kept = KEPT,
        .quorum = quorum,
        .epoch = EPOCH,
        .timeout_ns = 1000,
        .grace_ns = 100,
    };

    assert_int_equal(tally_open(&tally, &config), 0);
}

static int stop(void **state)
{
    (void)state;
    tally_close(tally);
    tally = NULL;
    return 0;
}

/* The put of `sequence` where every round is one chunk. */
static struct header put_of(uint64_t sequence)
{
    return (struct header){
        .magic = HEADER_MAGIC,
        .epoch = EPOCH,
        .sequence = sequence,
        .call = {.round = sequence,
                 .count = CHUNK,
                 .coordinates = CHUNK,
                 .detail = CHUNK},
        .kind = HEADER_VOTE,
    };
}

static enum tally_verdict arrive(uint64_t now_ns, uint32_t voter,
                                 const struct header *header)
{
    return tally_arrived(tally, now_ns, voter,
                         (uint32_t)(header->sequence % WINDOW), header,
                         header->flags & FLAG_ABSTAIN ? 64 : 128);
}

static enum tally_verdict put(uint64_t now_ns, uint32_t voter,
                              uint64_t sequence)
{
    const struct header header = put_of(sequence);

    return arrive(now_ns, voter, &header);
}

/* The next command is to count `sequence` over exactly these voters. */
static void assert_counts(uint64_t now_ns, uint64_t sequence, uint64_t voters)
{
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.kind, TALLY_COUNT);
    assert_int_equal(command.header.sequence, sequence);
    assert_int_equal(command.slot, sequence % WINDOW);
    assert_int_equal(command.mask->words[0], voters);
    tally_counted(tally, now_ns);
}

/* The next commands answer these voters, in any order, with `status`. */
static void assert_answers(uint64_t sequence, enum status status,
                           uint64_t voters)
{
    uint64_t answered = 0;

    while (answered != voters) {
        assert_true(tally_next(tally, &command));
        assert_int_equal(command.kind, TALLY_RESULT);
        assert_int_equal(command.header.sequence, sequence);
        assert_int_equal(command.header.status, status);
        assert_int_equal(command.slot, sequence % WINDOW);
        assert_true(voters >> command.voter & 1);
        assert_false(answered >> command.voter & 1);
        answered |= UINT64_C(1) << command.voter;
    }
}

/* A whole round of all that are in `voters`. */
static void decide(uint64_t now_ns, uint64_t sequence, uint64_t voters)
{
    for (uint32_t v = 0; v < RANKS; v++)
        if (voters >> v & 1)
            assert_int_equal(put(now_ns, v, sequence), TALLY_TAKEN);
    tally_tick(tally, now_ns + 100);
    assert_counts(now_ns + 100, sequence, voters);
    assert_answers(sequence, STATUS_OK, voters);
}

/* ---- Counting ------------------------------------------------------------ */

static void all_votes_are_counted_once(void **state)
{
    (void)state;
    start(0);
    for (uint32_t v = 0; v < RANKS; v++) {
        assert_false(tally_next(tally, &command));
        assert_int_equal(put(10, v, 0), TALLY_TAKEN);
        assert_int_equal(put(10, v, 0), TALLY_DROPPED);
    }
    assert_counts(20, 0, 0x1f);
    assert_int_equal(tally_base(tally), 1);
    assert_answers(0, STATUS_OK, 0x1f);
    assert_false(tally_next(tally, &command));
}

static void who_abstains_is_answered_but_not_counted(void **state)
{
    struct header header = put_of(0);

    (void)state;
    start(0);
    header.flags = FLAG_ABSTAIN;
    assert_int_equal(arrive(10, 3, &header), TALLY_TAKEN);
    for (uint32_t v = 0; v < RANKS; v++)
        if (v != 3)
            put(10, v, 0);
    assert_counts(20, 0, 0x17);
    assert_answers(0, STATUS_OK, 0x1f);
}

static void nothing_is_decided_out_of_order(void **state)
{
    (void)state;
    start(0);
    for (uint32_t v = 0; v < RANKS; v++)
        assert_int_equal(put(10, v, 1), TALLY_TAKEN);
    assert_false(tally_next(tally, &command));
    for (uint32_t v = 0; v < RANKS; v++)
        put(20, v, 0);
    assert_counts(20, 0, 0x1f);
    assert_answers(0, STATUS_OK, 0x1f);
    assert_counts(20, 1, 0x1f);
}

/* ---- Lies ---------------------------------------------------------------- */

static void each_lie_in_a_header_line_is_dropped(void **state)
{
    struct header lies[10];

    (void)state;
    start(0);
    for (int i = 0; i < 10; i++)
        lies[i] = put_of(0);
    lies[0].magic++;
    lies[1].epoch++;
    lies[2].kind = HEADER_RESULT;
    lies[3].flags = FLAG_LANDS | FLAG_ABSTAIN;
    lies[4].call.rows = 1;
    lies[5].call.coordinates = CHUNK + 1;
    lies[6].call.coordinates = CHUNK - 512;
    lies[7].sequence = WINDOW;
    lies[8].sequence = UINT64_MAX - 1;
    lies[9].flags = FLAG_ABSTAIN | 4;
    for (int i = 0; i < 10; i++)
        assert_int_equal(tally_arrived(tally, 10, 1, 0, &lies[i], 128),
                         TALLY_DROPPED);
    lies[0] = put_of(0);
    assert_int_equal(tally_arrived(tally, 10, 1, 1, &lies[0], 128),
                     TALLY_DROPPED);
    assert_int_equal(tally_arrived(tally, 10, 1, WINDOW, &lies[0], 128),
                     TALLY_DROPPED);
    assert_int_equal(tally_arrived(tally, 10, RANKS, 0, &lies[0], 128),
                     TALLY_DROPPED);
    for (uint32_t bytes = 0; bytes < 512; bytes += 64)
        if (bytes != 128)
            assert_int_equal(tally_arrived(tally, 10, 1, 0, &lies[0], bytes),
                             TALLY_DROPPED);
    assert_int_equal(put(10, 1, 0), TALLY_TAKEN);
}

static void a_differing_call_is_told_to_all_without_a_quorum(void **state)
{
    struct header other = put_of(0);

    (void)state;
    start(0);
    other.call.count++;
    put(10, 0, 0);
    arrive(10, 4, &other);
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.header.status, STATUS_DIFFERS);
    assert_int_equal(command.difference.rank[0], 0);
    assert_int_equal(command.difference.rank[1], 4);
    assert_int_equal(command.difference.call[0].count, CHUNK);
    assert_int_equal(command.difference.call[1].count, CHUNK + 1);
    assert_int_equal(command.difference.next_sequence, 0);
}

static void a_quorum_is_not_stopped_by_a_differing_call(void **state)
{
    struct header other = put_of(0);

    (void)state;
    start(3);
    other.call.type++;
    arrive(10, 0, &other);
    for (uint32_t v = 1; v < RANKS; v++)
        put(10, v, 0);
    assert_counts(20, 0, 0x1e);
    assert_answers(0, STATUS_OK, 0x1e);
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.voter, 0);
    assert_int_equal(command.header.status, STATUS_DIFFERS);
    assert_int_equal(command.difference.next_round, 1);
    assert_int_equal(command.difference.next_sequence, 1);
}

/* ---- Losses -------------------------------------------------------------- */

static void a_death_without_a_quorum_names_the_dead(void **state)
{
    (void)state;
    start(0);
    put(10, 0, 0);
    put(10, 2, 0);
    tally_lost(tally, 20, 3);
    assert_answers(0, STATUS_DEAD, 0x05);
    assert_int_equal(command.header.rank, 3);
    assert_int_equal(command.header.mask, 0x05);
    assert_int_equal(put(30, 3, 1), TALLY_DROPPED);
}

static void a_lost_vote_is_not_counted(void **state)
{
    (void)state;
    start(3);
    for (uint32_t v = 0; v < RANKS - 1; v++)
        put(10, v, 0);
    tally_lost(tally, 20, 1);
    tally_lost(tally, 20, 1);
    assert_false(tally_next(tally, &command));
    put(30, 4, 0);
    assert_counts(30, 0, 0x1d);
    assert_answers(0, STATUS_OK, 0x1d);
}

static void a_loss_while_the_count_is_due_leaves_its_mask(void **state)
{
    (void)state;
    start(3);
    for (uint32_t v = 0; v < RANKS; v++)
        put(10, v, 0);
    tally_lost(tally, 20, 2);
    assert_counts(20, 0, 0x1b);
    assert_answers(0, STATUS_OK, 0x1b);
}

static void the_deadline_names_who_was_in(void **state)
{
    (void)state;
    start(0);
    assert_true(tally_deadline(tally) == UINT64_MAX);
    put(10, 0, 0);
    put(500, 4, 0);
    assert_int_equal(tally_deadline(tally), 1010);
    tally_tick(tally, 1009);
    assert_false(tally_next(tally, &command));
    tally_tick(tally, 1010);
    assert_answers(0, STATUS_LOST, 0x11);
    assert_int_equal(command.header.mask, 0x11);
}

static void a_quorum_waits_for_the_grace(void **state)
{
    (void)state;
    start(3);
    put(10, 0, 0);
    put(20, 1, 0);
    assert_int_equal(tally_deadline(tally), 1010);
    put(30, 2, 0);
    assert_int_equal(tally_deadline(tally), 130);
    tally_tick(tally, 129);
    assert_false(tally_next(tally, &command));
    tally_tick(tally, 130);
    assert_counts(130, 0, 0x07);
}

static void puts_that_a_stopped_server_finds_are_in_time(void **state)
{
    (void)state;
    start(0);
    put(10, 0, 0);
    for (uint32_t v = 1; v < RANKS; v++) {
        assert_false(tally_next(tally, &command));
        put(5000, v, 0);
    }
    assert_counts(5000, 0, 0x1f);
    assert_answers(0, STATUS_OK, 0x1f);
}

static void a_round_behind_a_slow_one_keeps_its_time(void **state)
{
    (void)state;
    start(4);
    for (uint32_t v = 0; v < 3; v++) {
        put(10, v, 0);
        put(10, v, 1);
    }
    tally_tick(tally, 1010);
    assert_answers(0, STATUS_LOST, 0x07);
    assert_false(tally_next(tally, &command));
    assert_int_equal(tally_deadline(tally), 2010);
}

/* ---- Late ranks ---------------------------------------------------------- */

static void a_late_vote_gets_the_kept_result(void **state)
{
    (void)state;
    start(3);
    decide(10, 0, 0x0f);
    decide(1000, 1, 0x0f);
    assert_int_equal(put(2000, 4, 0), TALLY_LATE);
    assert_answers(0, STATUS_OK, 0x10);
    assert_int_equal(command.header.mask, 0x0f);
    assert_int_equal(put(2000, 4, 0), TALLY_DROPPED);
    assert_int_equal(put(2000, 4, 1), TALLY_LATE);
    assert_answers(1, STATUS_OK, 0x10);
}

static void a_vote_during_the_count_is_late(void **state)
{
    (void)state;
    start(3);
    for (uint32_t v = 0; v < 3; v++)
        put(10, v, 0);
    tally_tick(tally, 200);
    assert_int_equal(put(210, 3, 0), TALLY_LATE);
    assert_counts(220, 0, 0x07);
    assert_answers(0, STATUS_OK, 0x0f);
}

static void what_is_not_kept_is_gone_and_says_where_to_go_on(void **state)
{
    (void)state;
    start(3);
    for (uint64_t s = 0; s <= KEPT; s++)
        decide(1000 * s + 10, s, 0x0f);
    assert_int_equal(put(9000, 4, 0), TALLY_LATE);
    assert_answers(0, STATUS_GONE, 0x10);
    assert_int_equal(command.header.call.round, KEPT + 1);
    assert_int_equal(command.header.mask, KEPT + 1);
    assert_int_equal(put(9000, 4, KEPT + 1), TALLY_TAKEN);
}

/* Who was sent on may put a sequence far above one that is still on its way in
 * another slot, whose answer it waits for all the same. */
static void a_put_that_a_jump_overtook_is_answered(void **state)
{
    (void)state;
    start(3);
    for (uint64_t s = 0; s <= KEPT; s++)
        decide(1000 * s + 10, s, 0x0f);
    assert_int_equal(put(9000, 4, 0), TALLY_LATE);
    assert_answers(0, STATUS_GONE, 0x10);
    assert_int_equal(put(9000, 4, KEPT + 2), TALLY_TAKEN);
    assert_int_equal(put(9100, 4, 1), TALLY_LATE);
    assert_answers(1, STATUS_OK, 0x10);
    assert_int_equal(put(9200, 4, 1), TALLY_DROPPED);
    assert_int_equal(put(9200, 4, 0), TALLY_DROPPED);
}

static void who_is_sent_on_waits_for_the_end_of_the_round(void **state)
{
    struct header other = put_of(0), header = put_of(0);

    (void)state;
    start(3);
    header.call.count = other.call.count = 2 * CHUNK;
    other.call.op = 1;
    arrive(10, 0, &other);
    for (uint32_t v = 1; v < RANKS; v++)
        arrive(10, v, &header);
    assert_counts(10, 0, 0x1e);
    assert_answers(0, STATUS_OK, 0x1e);
    assert_false(tally_next(tally, &command));
    header.sequence = header.call.chunk = 1;
    for (uint32_t v = 1; v < RANKS; v++)
        arrive(20, v, &header);
    tally_tick(tally, 200);
    assert_counts(200, 1, 0x1e);
    assert_true(tally_next(tally, &command));
    assert_int_equal(command.voter, 0);
    assert_int_equal(command.header.status, STATUS_DIFFERS);
    assert_int_equal(command.difference.next_round, 1);
    assert_int_equal(command.difference.next_sequence, 2);
}

static void a_liar_cannot_make_the_next_round_expire(void **state)
{
    struct header lie = put_of(0);

    (void)state;
    start(3);
    lie.call.count = UINT64_MAX;
    arrive(10, 4, &lie);
    tally_tick(tally, 1010);
    assert_answers(0, STATUS_LOST, 0x10);
    for (uint32_t v = 0; v < 3; v++) {
        put(5000, v, 1);
        tally_tick(tally, 5000);
        assert_false(tally_next(tally, &command));
    }
    tally_tick(tally, 5100);
    assert_counts(5100, 1, 0x07);
}

static void a_bad_configuration_is_refused(void **state)
{
    const struct tally_config good = {
        .shape = {.ranks = 4, .planes_up = 1, .planes_down = 1},
        .servers = 1,
        .window = 1,
        .kept = 1,
    };
    struct tally_config bad[6] = {good, good, good, good, good, good};

    (void)state;
    bad[0].quorum = 2;
    bad[1].quorum = 5;
    bad[2].window = WINDOW_MAX + 1;
    bad[3].window = 2;
    bad[4].server = 1;
    bad[5].shape.ranks = RANKS_MAX + 1;
    for (int i = 0; i < 6; i++)
        assert_int_equal(tally_open(&tally, &bad[i]), -EINVAL);
    assert_int_equal(tally_open(&tally, &good), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_votes_are_counted_once, stop),
        cmocka_unit_test_teardown(who_abstains_is_answered_but_not_counted,
                                  stop),
        cmocka_unit_test_teardown(nothing_is_decided_out_of_order, stop),
        cmocka_unit_test_teardown(each_lie_in_a_header_line_is_dropped, stop),
        cmocka_unit_test_teardown(
            a_differing_call_is_told_to_all_without_a_quorum, stop),
        cmocka_unit_test_teardown(a_quorum_is_not_stopped_by_a_differing_call,
                                  stop),
        cmocka_unit_test_teardown(a_death_without_a_quorum_names_the_dead,
                                  stop),
        cmocka_unit_test_teardown(a_lost_vote_is_not_counted, stop),
        cmocka_unit_test_teardown(a_loss_while_the_count_is_due_leaves_its_mask,
                                  stop),
        cmocka_unit_test_teardown(the_deadline_names_who_was_in, stop),
        cmocka_unit_test_teardown(a_quorum_waits_for_the_grace, stop),
        cmocka_unit_test_teardown(puts_that_a_stopped_server_finds_are_in_time,
                                  stop),
        cmocka_unit_test_teardown(a_round_behind_a_slow_one_keeps_its_time,
                                  stop),
        cmocka_unit_test_teardown(a_late_vote_gets_the_kept_result, stop),
        cmocka_unit_test_teardown(a_vote_during_the_count_is_late, stop),
        cmocka_unit_test_teardown(
            what_is_not_kept_is_gone_and_says_where_to_go_on, stop),
        cmocka_unit_test_teardown(a_put_that_a_jump_overtook_is_answered, stop),
        cmocka_unit_test_teardown(who_is_sent_on_waits_for_the_end_of_the_round,
                                  stop),
        cmocka_unit_test_teardown(a_liar_cannot_make_the_next_round_expire,
                                  stop),
        cmocka_unit_test_teardown(a_bad_configuration_is_refused, stop),
    };

    return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
