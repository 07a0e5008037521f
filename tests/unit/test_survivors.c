/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_survivors.c - what a rank does next in a shrink, from what it and all
 * others have said last: the moments that no test of processes can meet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collective/shrink.h"

enum { RANKS = 5, CALL = 3 };

static struct ballot_comm comm;
static struct shrinking s;
static struct ballot_comm *const joined = &comm; /* any that is not NULL */

/* At rank `us`, of whose links none works, so nothing is sent. */
static void open_at(uint32_t us)
{
    comm = (struct ballot_comm){.rank = us, .ranks = RANKS, .members = RANKS};
    comm.links = calloc(RANKS, sizeof(*comm.links));
    assert_non_null(comm.links);
    for (uint32_t r = 0; r < RANKS; r++)
        comm.links[r].lost = true;
    assert_int_equal(membership_open(&comm), 0);
    s = (struct shrinking){.comm = &comm, .m = comm.membership};
    s.m->busy = s.m->shrinks = true;
    s.m->ours = (struct statement){.call = CALL, .phase = PHASE_HERE};
}

static void close_it(void)
{
    membership_close(&comm);
    free(comm.links);
}

static struct statement *says(uint32_t rank, enum phase phase, uint32_t leader,
                              uint32_t attempt)
{
    struct statement *t = shrink_theirs(&s, rank);

    t->call = CALL;
    t->phase = (uint32_t)phase;
    t->leader = leader;
    t->attempt = attempt;
    t->gone = s.m->ours.gone;
    return t;
}

static void ours(enum phase phase, uint32_t leader, uint32_t attempt)
{
    s.m->ours.phase = (uint32_t)phase;
    s.m->ours.leader = leader;
    s.m->ours.attempt = attempt;
    s.made = phase == PHASE_JOINED ? joined : NULL;
}

static void dies(uint32_t rank)
{
    mask_set(&comm.dead, rank);
}

static void the_lowest_waits_for_all_who_are_left(void **state)
{
    (void)state;
    open_at(1);
    dies(0);
    dies(3);
    assert_int_equal(shrink_decide(&s), WAIT);
    says(2, PHASE_HERE, 0, 0);
    assert_int_equal(shrink_decide(&s), WAIT);
    says(4, PHASE_HERE, 0, 0);
    assert_int_equal(shrink_decide(&s), INVITE);
    /* The dead one had said something, too. */
    says(3, PHASE_FAILED, 0, 0)->result = -EIO;
    assert_int_equal(shrink_decide(&s), INVITE);
    close_it();
}

static void who_misses_others_is_waited_for(void **state)
{
    (void)state;
    open_at(0);
    for (uint32_t r = 1; r < RANKS; r++)
        says(r, PHASE_HERE, 0, 0);
    /* Rank 2 knows of a death of which nobody else knows yet. */
    mask_set(&shrink_theirs(&s, 2)->gone, 4);
    assert_int_equal(shrink_decide(&s), WAIT);
    assert_true(mask_has(&s.m->ours.gone, 4));
    for (uint32_t r = 1; r < RANKS; r++)
        says(r, PHASE_HERE, 0, 0);
    assert_int_equal(shrink_decide(&s), INVITE);
    close_it();
}

static void an_invitation_is_for_an_equal_view(void **state)
{
    (void)state;
    open_at(2);
    says(0, PHASE_INVITES, 0, 1);
    dies(3);
    assert_int_equal(shrink_decide(&s), WAIT);
    says(0, PHASE_INVITES, 0, 2);
    assert_int_equal(shrink_decide(&s), JOIN);
    assert_int_equal(s.invitation.attempt, 2);
    /* Not twice, whether we could join it or not. */
    ours(PHASE_JOINED, 0, 2);
    assert_int_equal(shrink_decide(&s), WAIT);
    ours(PHASE_HERE, 0, 2);
    assert_int_equal(shrink_decide(&s), WAIT);
    /* Nor one of a rank that does not lead. */
    says(1, PHASE_INVITES, 1, 1);
    assert_int_equal(shrink_decide(&s), WAIT);
    close_it();
}

static void nobody_returns_before_all_have_joined(void **state)
{
    (void)state;
    open_at(0);
    ours(PHASE_INVITES, 0, 1);
    assert_int_equal(shrink_decide(&s), JOIN);
    s.made = joined;
    for (uint32_t r = 1; r < RANKS; r++) {
        assert_int_equal(shrink_decide(&s), WAIT);
        says(r, PHASE_JOINED, 0, 1);
    }
    assert_int_equal(shrink_decide(&s), COMPLETE);
    /* One could not, or has died: all begin anew. */
    says(3, PHASE_HERE, 0, 1);
    assert_int_equal(shrink_decide(&s), INVITE);
    ours(PHASE_INVITES, 0, 2);
    s.made = joined;
    dies(4);
    assert_int_equal(shrink_decide(&s), WAIT);
    assert_int_equal(s.m->ours.phase, PHASE_JOINED);
    close_it();
}

/* The leader has died after some have heard that all had joined. */
static void what_one_has_completed_counts_for_all(void **state)
{
    (void)state;
    open_at(1);
    ours(PHASE_JOINED, 0, 1);
    dies(0);
    assert_int_equal(shrink_decide(&s), WAIT);
    says(2, PHASE_JOINED, 0, 1);
    says(3, PHASE_JOINED, 0, 1);
    assert_int_equal(shrink_decide(&s), WAIT);
    says(4, PHASE_DONE, 0, 1);
    assert_int_equal(shrink_decide(&s), COMPLETE);
    /* Nobody has: the next one leads anew. */
    says(4, PHASE_JOINED, 0, 1);
    assert_int_equal(shrink_decide(&s), INVITE);
    /* What we have not joined we cannot return. */
    ours(PHASE_HERE, 0, 1);
    says(4, PHASE_DONE, 0, 1);
    assert_int_equal(shrink_decide(&s), FAIL);
    assert_int_equal(s.rc, -ENOTCONN);
    close_it();
}

static void ends_of_others_are_ours(void **state)
{
    (void)state;
    open_at(2);
    says(1, PHASE_FAILED, 0, 0)->result = -ETIMEDOUT;
    assert_int_equal(shrink_decide(&s), FAIL);
    assert_int_equal(s.rc, -ETIMEDOUT);
    says(1, PHASE_FAILED, 0, 0)->result = -ENOMEM;
    assert_int_equal(shrink_decide(&s), FAIL);
    assert_int_equal(s.rc, -EPROTO);
    assert_non_null(strstr(s.why, "rank 1"));
    /* Of an earlier shrink, it says nothing. */
    shrink_theirs(&s, 1)->call = CALL - 1;
    assert_int_equal(shrink_decide(&s), WAIT);
    shrink_theirs(&s, 1)->call = CALL + 1;
    assert_int_equal(shrink_decide(&s), FAIL);
    /* Who was left out is told so. */
    shrink_theirs(&s, 1)->call = 0;
    mask_set(&says(0, PHASE_INVITES, 0, 1)->gone, 2);
    assert_int_equal(shrink_decide(&s), FAIL);
    assert_int_equal(s.rc, -ENOTCONN);
    atomic_store(&comm.aborted, true);
    assert_int_equal(shrink_decide(&s), FAIL);
    assert_int_equal(s.rc, -ECANCELED);
    close_it();
}

static void attempts_end(void **state)
{
    uint32_t invitations = 0;

    (void)state;
    open_at(0);
    for (uint32_t r = 1; r < RANKS; r++)
        says(r, PHASE_HERE, 0, 0);
    while (shrink_decide(&s) == INVITE && invitations < 1000)
        invitations++;
    assert_in_range(invitations, 1, 100);
    assert_int_equal(s.rc, -EPROTO);
    close_it();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_waits_for_all_who_are_left),
        cmocka_unit_test(who_misses_others_is_waited_for),
        cmocka_unit_test(an_invitation_is_for_an_equal_view),
        cmocka_unit_test(nobody_returns_before_all_have_joined),
        cmocka_unit_test(what_one_has_completed_counts_for_all),
        cmocka_unit_test(ends_of_others_are_ours),
        cmocka_unit_test(attempts_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
