/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survivors.c - who is left, and what is to be done next; with the engine's
 * lock held.
 *
 * The lowest rank that nobody knows to be gone leads. It waits for the
 * statement of every rank that is left, with the same set of those who are not;
 * then it invites, all join, and when all have, it says so: only then does
 * anybody return. Whoever learns of another death tells the leader, and the
 * attempt is void. When the leader dies the next one asks all again: if one of
 * them knows that all have joined they return what they have joined, else it
 * invites anew.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shrink.h"

enum { ATTEMPTS_MAX = 16 }; /* that a leader makes with the same ranks */

static uint32_t find_leader(const struct shrinking *s)
{
    uint32_t rank = 0;

    while (!shrink_has(s, rank))
        rank++;
    return rank;
}

static bool same_gone(const struct statement *a, const struct statement *b)
{
    return memcmp(&a->gone, &b->gone, sizeof(a->gone)) == 0;
}

enum course shrink_fail(struct shrinking *s, int rc, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(s->why, sizeof(s->why), format, arguments);
    va_end(arguments);
    s->rc = rc;
    return FAIL;
}

/* ---- What all say; with the engine's lock ---- */

/* Takes in who has died and whom others miss; whether somebody was new. */
static bool widen(struct shrinking *s)
{
    struct rank_mask gone = s->m->ours.gone;

    for (uint32_t r = 0; r < s->comm->ranks; r++) {
        bool said = r != s->comm->rank && shrink_has(s, r) &&
                    shrink_theirs(s, r)->call == s->m->ours.call;

        if (mask_has(&s->comm->dead, r))
            mask_set(&gone, r);
        for (uint32_t o = 0; said && o < s->comm->ranks; o++)
            if (mask_has(&shrink_theirs(s, r)->gone, o))
                mask_set(&gone, o);
    }
    if (memcmp(&gone, &s->m->ours.gone, sizeof(gone)) == 0)
        return false;
    s->m->ours.gone = gone;
    return true;
}

/* Whether rank r says that the attempt is complete that ours has joined. */
static bool completes(const struct shrinking *s, uint32_t r)
{
    const struct statement *ours = &s->m->ours, *t = shrink_theirs(s, r);

    return s->made != NULL && t->call == ours->call && t->phase == PHASE_DONE &&
           t->leader == ours->leader && t->attempt == ours->attempt;
}

/* The end, if one of the others says it. */
static enum course hear_end(struct shrinking *s)
{
    char member[MEMBER_BYTES];

    for (uint32_t r = 0; r < s->comm->ranks; r++)
        if (r != s->comm->rank && completes(s, r))
            return COMPLETE;
    for (uint32_t r = 0; r < s->comm->ranks; r++) {
        const struct statement *t = shrink_theirs(s, r);

        if (r == s->comm->rank || !shrink_has(s, r))
            continue;
        report_member(s->comm, r, member);
        if (t->call == s->m->ours.call && t->phase == PHASE_FAILED)
            return shrink_fail(s,
                               t->result == -ETIMEDOUT ? -ETIMEDOUT : -EPROTO,
                               "%s cannot go on: %s; see its last error",
                               member, strerror(-t->result));
        if (t->call == s->m->ours.call && t->phase == PHASE_DONE)
            return shrink_fail(s, -ENOTCONN,
                               "%s and others have gone on without us", member);
        if (t->call > s->m->ours.call)
            return shrink_fail(
                s, -EPROTO,
                "%s has given this shrink up and is at its next one; "
                "call it again",
                member);
    }
    return WAIT;
}

/* What a leader waits for before it invites. */
static bool is_ready(const struct shrinking *s, uint32_t r)
{
    const struct statement *t = shrink_theirs(s, r), *ours = &s->m->ours;

    return t->call == ours->call && same_gone(t, ours) &&
           (t->phase == PHASE_HERE || t->phase == PHASE_JOINED);
}

static bool is_attempt(const struct shrinking *s, uint32_t r, enum phase phase)
{
    const struct statement *t = shrink_theirs(s, r), *ours = &s->m->ours;

    return t->call == ours->call && t->phase == (uint32_t)phase &&
           t->leader == ours->leader && t->attempt == ours->attempt;
}

/* Our invitation is out: whether it has to be renewed. */
static bool is_void(struct shrinking *s, bool *all)
{
    bool back = false;

    *all = s->made != NULL;
    for (uint32_t r = 0; r < s->comm->ranks; r++) {
        if (r == s->comm->rank || !shrink_has(s, r))
            continue;
        *all &= is_attempt(s, r, PHASE_JOINED);
        back |= is_attempt(s, r, PHASE_HERE);
    }
    return back;
}

static enum course lead(struct shrinking *s)
{
    bool all;

    if (s->m->ours.phase == PHASE_INVITES) {
        if (!is_void(s, &all))
            return all ? COMPLETE : s->made == NULL ? JOIN : WAIT;
        s->m->ours.phase = PHASE_HERE;
        membership_state(s->comm);
    }
    for (uint32_t r = 0; r < s->comm->ranks; r++)
        if (r != s->comm->rank && shrink_has(s, r) && !is_ready(s, r))
            return WAIT;
    if (++s->attempts > ATTEMPTS_MAX)
        return shrink_fail(s, -EPROTO,
                           "%d attempts were in vain, the last one: %.300s",
                           ATTEMPTS_MAX, s->join_why);
    return INVITE;
}

static enum course follow(struct shrinking *s, uint32_t leader)
{
    const struct statement *t = shrink_theirs(s, leader), *ours = &s->m->ours;
    bool known = t->leader == ours->leader && t->attempt == ours->attempt;

    if (t->call != ours->call || t->phase != PHASE_INVITES ||
        t->leader != leader || known || !same_gone(t, ours))
        return WAIT;
    s->invitation = *t;
    return JOIN;
}

enum course shrink_decide(struct shrinking *s)
{
    struct statement *ours = &s->m->ours;
    enum course course;
    uint32_t leader;
    bool wider;

    if (atomic_load(&s->comm->aborted))
        return shrink_fail(s, -ECANCELED,
                           "ballot_comm_abort() was called on this rank");
    course = hear_end(s);
    if (course != WAIT)
        return course;
    wider = widen(s);
    if (mask_has(&ours->gone, s->comm->rank))
        return shrink_fail(s, -ENOTCONN,
                           "other ranks have excluded this one, or take "
                           "it for dead, and go on without it");
    leader = find_leader(s);
    if (wider && ours->phase == PHASE_INVITES)
        ours->phase = s->made != NULL ? PHASE_JOINED : PHASE_HERE;
    s->m->audience = (struct rank_mask){0};
    for (uint32_t r = 0; r < s->comm->ranks; r++)
        if (leader == s->comm->rank || r == leader)
            mask_set(&s->m->audience, r);
    if (wider) {
        s->attempts = 0;
        membership_state(s->comm);
    } else {
        membership_tell(s->comm);
    }
    return leader == s->comm->rank ? lead(s) : follow(s, leader);
}
