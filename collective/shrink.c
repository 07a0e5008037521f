/* SPDX-License-Identifier: Apache-2.0 */
/* shrink.c - the call that makes a communicator of what is left of one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shrink.h"

/* ---- What is done about it; without the lock ---- */

/* What we have said leaves, for others wait for it. */
static void flush(void)
{
    atomic_bool never = false;

    engine_drive_until(&never, clock_now_ns());
}

static void list_left(struct shrinking *s)
{
    s->child.ranks = 0;
    for (uint32_t r = 0; r < s->comm->ranks; r++) {
        if (!shrink_has(s, r))
            continue;
        if (r == s->comm->rank)
            s->child.rank = s->child.ranks;
        s->from[s->child.ranks++] = r;
    }
}

static void drop_attempt(struct shrinking *s)
{
    child_discard(s->made);
    child_leave(s->root);
    s->made = NULL;
    s->root = NULL;
}

/* The rounds that those who are left have completed. */
static void sum_up(struct shrinking *s)
{
    struct statement *ours = &s->m->ours;

    ours->newest = ours->oldest = s->rounds;
    for (uint32_t r = 0; r < s->comm->ranks; r++) {
        uint64_t has = shrink_theirs(s, r)->newest;

        if (r == s->comm->rank || !shrink_has(s, r))
            continue;
        ours->newest = has > ours->newest ? has : ours->newest;
        ours->oldest = has < ours->oldest ? has : ours->oldest;
    }
}

static enum course invite(struct shrinking *s)
{
    struct statement *ours = &s->m->ours;
    int rc;

    drop_attempt(s);
    list_left(s);
    s->why[0] = '\0';
    rc = child_check(&s->child);
    if (rc == 0)
        rc = child_listen(&s->child, &s->root);
    if (rc < 0)
        return s->rc = rc, FAIL;
    engine_lock();
    sum_up(s);
    ours->phase = PHASE_INVITES;
    ours->leader = s->comm->rank;
    ours->attempt++;
    ours->place = s->child.place;
    s->invitation = *ours;
    membership_state(s->comm);
    engine_unlock();
    return WAIT;
}

/* Errors that may be somebody's death, of which we shall hear. */
static bool is_passing(int rc)
{
    return rc == -ECANCELED || rc == -ECONNRESET || rc == -ENOTCONN ||
           rc == -EPIPE || rc == -ECONNREFUSED;
}

static enum course join(struct shrinking *s)
{
    const struct statement *i = &s->invitation;
    struct statement *ours = &s->m->ours;
    bool leads = i->leader == s->comm->rank;
    int rc;

    engine_lock();
    if (atomic_load(&s->m->news)) { /* the bell may have rung for it */
        engine_unlock();
        return WAIT;
    }
    s->m->leader = i->leader;
    s->m->attempt = i->attempt;
    membership_calm(s->comm);
    engine_unlock();
    if (!leads)
        drop_attempt(s);
    list_left(s);
    s->why[0] = '\0';
    s->child.place = i->place;
    flush();
    rc = child_knows_place(&s->child) ? child_join(&s->made, &s->child)
                                      : -EPROTO;
    snprintf(s->join_why, sizeof(s->join_why), "%s",
             s->why[0] != '\0' ? s->why : strerror(-rc));
    if (rc < 0 && !is_passing(rc))
        return s->rc = rc, FAIL;
    engine_lock();
    if (rc == 0)
        s->made->shrunk = (struct ballot_shrunk){
            .ranks_before = s->comm->ranks,
            .newest = i->newest,
            .oldest = i->oldest,
        };
    if (!leads || rc < 0) {
        ours->phase = rc == 0 ? PHASE_JOINED : PHASE_HERE;
        ours->leader = i->leader;
        ours->attempt = i->attempt;
        membership_state(s->comm);
    }
    engine_unlock();
    return WAIT;
}

static enum course late(struct shrinking *s)
{
    struct rank_mask missing = {0};
    char names[256];

    engine_lock();
    for (uint32_t r = 0; r < s->comm->ranks; r++)
        if (r != s->comm->rank && shrink_has(s, r) &&
            shrink_theirs(s, r)->call != s->m->ours.call)
            mask_set(&missing, r);
    engine_unlock();
    report_members(names, sizeof(names), s->comm, &missing);
    if (mask_count(&missing) == 0)
        return shrink_fail(
            s, -ETIMEDOUT,
            "all are there, but the last attempt to join did not end "
            "in time%s%.300s; set init_timeout_ms higher",
            s->join_why[0] != '\0' ? ": " : "", s->join_why);
    return shrink_fail(
        s, -ETIMEDOUT,
        "not called in time by: %s; they stand still, or do something "
        "else: exclude them",
        names);
}

/* What is under way, and whatever is called from now on; the others hear of it.
 * With the lock. */
static void end_calls(struct ballot_comm *comm, const char *why)
{
    if (comm->failed != 0)
        return;
    report_error(comm, "%s", why);
    advance_fail(comm, -ECANCELED);
}

int ballot_comm_revoke(struct ballot_comm *comm)
{
    if (comm == NULL)
        return -EINVAL;
    engine_lock();
    end_calls(comm, "ballot_comm_revoke() was called on this rank");
    engine_unlock();
    flush();
    return 0;
}

/* ---- The whole ---- */

/* Our last word, of which also those hear who ask later. */
static int conclude(struct shrinking *s, enum phase phase, int rc)
{
    struct statement *ours = &s->m->ours;

    engine_lock();
    ours->phase = phase;
    ours->result = rc;
    for (uint32_t r = 0; phase == PHASE_FAILED && r < s->comm->ranks; r++)
        mask_set(&s->m->audience, r);
    membership_state(s->comm);
    engine_unlock();
    flush();
    if (rc < 0)
        report_error(s->comm, "shrink: %s",
                     s->why[0] != '\0' ? s->why : strerror(-rc));
    return rc;
}

static int negotiate(struct shrinking *s)
{
    enum course course = WAIT;

    while (course != COMPLETE && course != FAIL) {
        engine_lock();
        atomic_store(&s->m->news, false);
        course = shrink_decide(s);
        engine_unlock();
        if (course == INVITE)
            course = invite(s);
        else if (course == JOIN)
            course = join(s);
        else if (course == WAIT &&
                 engine_drive_until(&s->m->news, s->child.deadline_ns) < 0)
            course = late(s);
    }
    return course == COMPLETE ? conclude(s, PHASE_DONE, 0)
                              : conclude(s, PHASE_FAILED, s->rc);
}

static void begin(struct shrinking *s, const int *excluded, int excluded_count,
                  unsigned flags)
{
    struct ballot_comm *comm = s->comm;
    struct statement *ours = &s->m->ours;

    engine_lock();
    if ((flags & BALLOT_SHRINK_ABORT) != 0)
        end_calls(comm, "shrink: what was under way was to be ended first "
                        "(BALLOT_SHRINK_ABORT)");
    s->rounds = comm->rounds == 0 ? 0 : comm->round.round + 1;
    *ours = (struct statement){
        .newest = s->rounds,
        .oldest = s->rounds,
        .version = ours->version,
        .call = ours->call + 1,
        .phase = PHASE_HERE,
    };
    for (int i = 0; i < excluded_count; i++)
        mask_set(&ours->gone, (uint32_t)excluded[i]);
    s->m->leader = s->m->attempt = 0;
    membership_calm(comm);
    ours->version++; /* decide() says who is to hear of it */
    s->m->audience = (struct rank_mask){0};
    engine_unlock();
}

static int check(struct ballot_comm *comm, const int *excluded,
                 int excluded_count, unsigned flags)
{
    const char *what = NULL;

    if (group_open())
        what = "it blocks, and cannot be called within a group";
    else if ((flags & ~(unsigned)BALLOT_SHRINK_ABORT) != 0)
        what = "flags are BALLOT_SHRINK_DEFAULT or BALLOT_SHRINK_ABORT";
    else if (excluded_count < 0 || (excluded_count > 0 && excluded == NULL))
        what = "excluded is an array of excluded_count ranks";
    for (int i = 0; what == NULL && i < excluded_count; i++)
        if (excluded[i] < 0 || (uint32_t)excluded[i] >= comm->ranks)
            what = "an excluded rank is not one of this communicator";
        else if ((uint32_t)excluded[i] == comm->rank)
            what = "a rank that is excluded does not call it";
    if (what == NULL)
        return 0;
    report_error(comm, "shrink: %s", what);
    return -EINVAL;
}

static int shrink(struct shrinking *s, const int *excluded, int excluded_count,
                  unsigned flags, struct ballot_comm **made)
{
    int rc = membership_begin(s->comm, "shrink", true);

    if (rc < 0)
        return rc;
    begin(s, excluded, excluded_count, flags);
    rc = negotiate(s);
    if (rc == 0) {
        *made = s->made;
        s->made = NULL;
        (*made)->strangers =
            s->root == NULL ? 0 : bootstrap_root_strangers(s->root);
    }
    drop_attempt(s);
    membership_end(s->comm);
    return rc;
}

int ballot_comm_shrink(struct ballot_comm *comm, const int *excluded,
                       int excluded_count, unsigned flags,
                       struct ballot_comm **made,
                       const struct ballot_config *config)
{
    struct shrinking s = {
        .comm = comm,
        .child = {.parent = comm, .config = config},
    };
    int rc;

    if (comm == NULL || made == NULL)
        return -EINVAL;
    *made = NULL;
    rc = check(comm, excluded, excluded_count, flags);
    if (rc < 0)
        return rc;
    s.m = comm->membership;
    s.child.why = s.why;
    s.child.deadline_ns = child_deadline_ns(comm, config);
    s.child.from = s.from = calloc(comm->ranks, sizeof(*s.from));
    if (s.from == NULL) {
        report_error(comm, "shrink: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    rc = shrink(&s, excluded, excluded_count, flags, made);
    free(s.from);
    return rc;
}

int ballot_comm_shrunk(const struct ballot_comm *comm,
                       struct ballot_shrunk *shrunk)
{
    if (comm == NULL || shrunk == NULL || comm->shrunk.ranks_before == 0)
        return -EINVAL;
    *shrunk = comm->shrunk;
    return 0;
}
