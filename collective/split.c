/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split.c - parts of a communicator, and copies of it.
 *
 * Two gathers on the old one: who goes with whom; then who cannot go on, and
 * where each part meets. The parts are joined side by side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "membership.h"

/* What each rank tells all others, in this order. */
struct wish {
    int32_t color, key;
};

struct readiness {
    int32_t status;               /* 0, or why it cannot take part */
    struct gathering_place place; /* of a part's first rank */
    char why[200];                /* status in words */
};

struct splitting {
    struct ballot_comm *comm;
    enum call_op kind;
    struct wish wish;
    struct wish *wishes;           /* [comm->ranks] */
    struct readiness *readinesses; /* the same */
    uint32_t *from;                /* [child.ranks] */
    struct child child;
    struct bootstrap_root *root; /* of our part, if we are its first rank */
    char why[ERROR_BYTES];
};

static const char *name_of(const struct splitting *s)
{
    return s->kind == CALL_SPLIT ? "split" : "duplicate";
}

/* ---- Who goes with whom ---- */

/* Whether rank a comes before rank b. */
static bool precedes(const struct splitting *s, uint32_t a, uint32_t b)
{
    const struct wish *x = &s->wishes[a], *y = &s->wishes[b];

    return x->key < y->key || (x->key == y->key && a < b);
}

/* Our part of the old ranks, in the new order. */
static void list_part(struct splitting *s)
{
    struct child *c = &s->child;

    c->ranks = 0;
    for (uint32_t r = 0; r < s->comm->ranks; r++) {
        uint32_t at = c->ranks;

        if (s->wishes[r].color != s->wish.color)
            continue;
        for (; at > 0 && precedes(s, r, s->from[at - 1]); at--)
            s->from[at] = s->from[at - 1];
        s->from[at] = r;
        c->ranks++;
    }
    for (uint32_t i = 0; i < c->ranks; i++)
        if (s->from[i] == s->comm->rank)
            c->rank = i;
}

/* What we tell about ourselves; the first rank of a part listens. */
static int get_ready(struct splitting *s)
{
    int rc;

    if (s->wish.color < 0)
        return 0;
    list_part(s);
    rc = child_check(&s->child);
    if (rc == 0 && s->child.rank == 0)
        rc = child_listen(&s->child, &s->root);
    return rc;
}

/* ---- Who cannot go on ---- */

static int explain(struct splitting *s, int rc)
{
    report_error(s->comm, "%s: %s", name_of(s),
                 s->why[0] != '\0' ? s->why : strerror(-rc));
    return rc;
}

static int check_others(struct splitting *s)
{
    char member[MEMBER_BYTES];

    for (uint32_t r = 0; r < s->comm->ranks; r++) {
        struct readiness *other = &s->readinesses[r];

        if (other->status == 0)
            continue;
        other->why[sizeof(other->why) - 1] = '\0';
        snprintf(s->why, sizeof(s->why), "%s cannot take part: %.200s",
                 report_member(s->comm, r, member), other->why);
        return explain(s, -EPROTO);
    }
    if (s->wish.color < 0)
        return 0;
    s->child.place = s->readinesses[s->from[0]].place;
    if (child_knows_place(&s->child))
        return 0;
    snprintf(s->why, sizeof(s->why), "%s names no place to meet",
             report_member(s->comm, s->from[0], member));
    return explain(s, -EPROTO);
}

/* The bell ended the wait, or a peer that saw it before we did. */
static int explain_end(struct splitting *s, int rc)
{
    bool aborted = atomic_load(&s->comm->aborted);
    char names[256];
    struct rank_mask dead;

    engine_lock();
    dead = s->comm->dead;
    engine_unlock();
    if (aborted) {
        snprintf(s->why, sizeof(s->why),
                 "ballot_comm_abort() was called on this rank");
        return explain(s, -ECANCELED);
    }
    if (mask_count(&dead) == 0)
        return explain(s, rc);
    report_members(names, sizeof(names), s->comm, &dead);
    snprintf(s->why, sizeof(s->why), "died: %s", names);
    return explain(s, -ENOTCONN);
}

/* ---- The whole ---- */

static int join_part(struct splitting *s, struct ballot_comm **made)
{
    int rc = child_join(made, &s->child);

    if (rc == 0 && s->root != NULL)
        (*made)->strangers = bootstrap_root_strangers(s->root);
    return rc < 0 ? explain_end(s, rc) : 0;
}

/* Our color, if it is one. */
static int check_color(struct splitting *s)
{
    if (s->wish.color >= BALLOT_SPLIT_NONE)
        return 0;
    snprintf(s->why, sizeof(s->why),
             "a color is 0 or more, or BALLOT_SPLIT_NONE, and not %d",
             s->wish.color);
    s->wish.color = BALLOT_SPLIT_NONE;
    return -EINVAL;
}

static int carry_out(struct splitting *s, struct ballot_comm **made)
{
    struct readiness ours = {0};
    int status = check_color(s);
    int rc = collective_tell_all(s->comm, s->kind, &s->wish, s->wishes,
                                 sizeof(s->wish));

    if (rc < 0)
        return rc;
    if (status == 0)
        status = get_ready(s);
    if (status < 0 && s->why[0] == '\0')
        snprintf(s->why, sizeof(s->why), "%s", strerror(-status));
    ours.status = status;
    ours.place = s->child.place;
    snprintf(ours.why, sizeof(ours.why), "%.*s", (int)sizeof(ours.why) - 1,
             s->why);
    rc = collective_tell_all(s->comm, s->kind, &ours, s->readinesses,
                             sizeof(ours));
    if (rc < 0)
        return rc;
    if (status < 0)
        return explain(s, status);
    rc = check_others(s);
    return rc < 0 || s->wish.color < 0 ? rc : join_part(s, made);
}

static int split(struct splitting *s, struct ballot_comm **made)
{
    int rc = membership_begin(s->comm, name_of(s), false);

    if (rc < 0)
        return rc;
    s->wishes = calloc(s->comm->ranks, sizeof(*s->wishes));
    s->readinesses = calloc(s->comm->ranks, sizeof(*s->readinesses));
    s->from = calloc(s->comm->ranks, sizeof(*s->from));
    s->child.from = s->from;
    s->child.why = s->why;
    if (s->wishes == NULL || s->readinesses == NULL || s->from == NULL)
        rc = explain(s, -ENOMEM);
    else
        rc = carry_out(s, made);
    child_leave(s->root);
    free(s->from);
    free(s->readinesses);
    free(s->wishes);
    membership_end(s->comm);
    return rc;
}

static int check_call(struct ballot_comm *comm, struct ballot_comm **made,
                      const char *name)
{
    if (comm == NULL || made == NULL)
        return -EINVAL;
    *made = NULL;
    if (!group_open())
        return 0;
    report_error(comm, "%s: it blocks, and cannot be called within a group",
                 name);
    return -EINVAL;
}

int ballot_comm_split(struct ballot_comm *comm, int color, int key,
                      struct ballot_comm **made,
                      const struct ballot_config *config)
{
    struct splitting splitting = {
        .comm = comm,
        .kind = CALL_SPLIT,
        .wish = {.color = color, .key = key},
        .child = {.parent = comm, .config = config},
    };
    int rc = check_call(comm, made, "split");

    if (rc < 0)
        return rc;
    splitting.child.deadline_ns = child_deadline_ns(comm, config);
    return split(&splitting, made);
}

int ballot_comm_duplicate(struct ballot_comm *comm, struct ballot_comm **made)
{
    struct splitting splitting = {
        .comm = comm,
        .kind = CALL_DUPLICATE,
        .child = {.parent = comm},
    };
    int rc = check_call(comm, made, "duplicate");

    if (rc < 0)
        return rc;
    splitting.child.deadline_ns = child_deadline_ns(comm, NULL);
    return split(&splitting, made);
}
