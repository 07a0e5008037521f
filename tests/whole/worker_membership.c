/* SPDX-License-Identifier: Apache-2.0 */
/* worker_membership.c - communicators made of others. */
#include "worker_membership.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What rank r of the first one votes on coordinate k. */
static bool votes_minus(int32_t r, size_t k)
{
    return mix((uint64_t)r << 32 | k) % 2 != 0;
}

static uint64_t count_wrong_votes(const float *recv, const struct expected *e)
{
    uint64_t wrong = 0;

    for (size_t k = 0; k < COUNT; k++) {
        int minus = 0;

        for (int i = 0; i < e->count; i++)
            minus += votes_minus(e->ranks[i], k);
        wrong += recv[k] != (2 * minus > e->count ? -1.0f : 1.0f);
    }
    return wrong;
}

int prove(struct ballot_comm *comm, int32_t us, const struct expected *e,
          uint64_t *wrong)
{
    static _Thread_local float votes[COUNT];
    static _Thread_local int64_t sums[COUNT];
    int32_t order[RANKS_MOST] = {0};
    int64_t sum = 0;
    int rc;

    for (size_t k = 0; k < COUNT; k++) {
        votes[k] = votes_minus(us, k) ? -1.0f : 1.0f;
        sums[k] = us + (int64_t)k;
    }
    *wrong += ballot_comm_size(comm) != e->count;
    rc = ballot_all_reduce(sums, sums, COUNT, BALLOT_INT64, BALLOT_SUM, comm,
                           NULL);
    if (rc == 0)
        rc = ballot_all_gather(&us, order, 1, BALLOT_INT32, comm, NULL);
    if (rc == 0)
        rc = ballot_all_reduce(votes, votes, COUNT, BALLOT_FLOAT32,
                               BALLOT_MAJORITY, comm, NULL);
    if (rc < 0)
        return rc;
    for (int i = 0; i < e->count; i++) {
        sum += e->ranks[i];
        *wrong += order[i] != e->ranks[i];
    }
    for (size_t k = 0; k < COUNT; k++)
        *wrong += sums[k] != sum + e->count * (int64_t)k;
    *wrong += count_wrong_votes(votes, e);
    return 0;
}

static uint64_t prove_now(struct ballot_comm *comm, int32_t us,
                          const struct expected *e)
{
    uint64_t wrong = 0;

    need(prove(comm, us, e, &wrong), comm, "a call");
    return wrong;
}

struct expected all_of(const struct ballot_comm *comm)
{
    struct expected e = {.count = ballot_comm_size(comm)};

    for (int i = 0; i < e.count; i++)
        e.ranks[i] = i;
    return e;
}

/* Those of e at every `step`-th place from `first` on, last ones first. */
static struct expected backwards(const struct expected *e, int first, int step)
{
    struct expected part = {.count = 0};

    for (int i = e->count - 1; i >= 0; i--)
        if (i % step == first)
            part.ranks[part.count++] = e->ranks[i];
    return part;
}

static void finalize(struct ballot_comm **comm)
{
    need(ballot_comm_finalize(comm), NULL, "finalize");
}

/* ---- Splits ---- */

/* By thirds, backwards; then again by halves. */
static uint64_t nest(struct ballot_comm *comm)
{
    int rank = ballot_comm_rank(comm), mine;
    struct expected all = all_of(comm), third = backwards(&all, rank % 3, 3);
    struct ballot_comm *outer, *inner;
    struct expected half;
    uint64_t wrong;

    need(ballot_comm_split(comm, rank % 3, -rank, &outer, NULL), comm, "split");
    wrong = prove_now(outer, rank, &third);
    mine = ballot_comm_rank(outer);
    half = backwards(&third, mine % 2, 2);
    need(ballot_comm_split(outer, mine % 2, 7 - mine, &inner, NULL), outer,
         "split again");
    wrong += prove_now(inner, rank, &half) + prove_now(outer, rank, &third) +
             prove_now(comm, rank, &all);
    finalize(rank % 2 ? &inner : &outer);
    finalize(rank % 2 ? &outer : &inner);
    return wrong;
}

/* All but rank 1, who is alone if there are more than two; equal keys. */
static uint64_t leave_out(struct ballot_comm *comm)
{
    int rank = ballot_comm_rank(comm);
    struct expected all = all_of(comm), rest = {.count = 0};
    struct ballot_comm *made = comm;
    uint64_t wrong = 0;

    for (int i = 0; i < all.count; i++)
        if (i != 1)
            rest.ranks[rest.count++] = i;
    need(ballot_comm_split(comm, rank == 1 ? BALLOT_SPLIT_NONE : 5, 0, &made,
                           NULL),
         comm, "split");
    wrong += (made == NULL) != (rank == 1);
    if (made != NULL)
        wrong += prove_now(made, rank, &rest);
    finalize(&made);
    rest = (struct expected){.ranks = {rank}, .count = 1};
    need(ballot_comm_split(comm, rank, 0, &made, NULL), comm, "split");
    wrong += prove_now(made, rank, &rest);
    finalize(&made);
    need(ballot_comm_split(comm, BALLOT_SPLIT_NONE, 0, &made, NULL), comm,
         "split");
    return wrong + (made != NULL);
}

int part(void)
{
    struct ballot_comm *comm = join(NULL), *copy, *second;
    int rank = ballot_comm_rank(comm);
    struct expected all = all_of(comm);
    uint64_t wrong = nest(comm) + leave_out(comm);

    need(ballot_comm_duplicate(comm, &copy), comm, "duplicate");
    need(ballot_comm_shrink(copy, NULL, 0, 0, &second, NULL), copy, "shrink");
    wrong += prove_now(copy, rank, &all) + prove_now(second, rank, &all) +
             prove_now(comm, rank, &all);
    /* The oldest first: nobody needs it any more. */
    finalize(&comm);
    wrong += prove_now(second, rank, &all);
    finalize(&second);
    wrong += prove_now(copy, rank, &all);
    finalize(&copy);
    say("part wrong=%llu", (unsigned long long)wrong);
    return wrong != 0;
}

/* ---- Side by side ---- */

struct user {
    pthread_t thread;
    struct ballot_comm *comm;
    struct expected expected;
    int rank;
    uint64_t wrong;
};

/* Calls, and communicators made and ended meanwhile. */
static void *use_often(void *context)
{
    struct user *u = context;
    struct ballot_comm *made;

    for (uint64_t i = 0; i < option("calls", 60); i++) {
        u->wrong += prove_now(u->comm, u->rank, &u->expected);
        if (i % 10 != 0)
            continue;
        need(ballot_comm_duplicate(u->comm, &made), u->comm, "duplicate");
        u->wrong += prove_now(made, u->rank, &u->expected);
        finalize(&made);
    }
    return NULL;
}

int side(void)
{
    struct user users[3] = {{.comm = join(NULL)}};
    struct user *first = &users[0];
    uint64_t wrong = 0;

    first->rank = ballot_comm_rank(first->comm);
    first->expected = all_of(first->comm);
    for (int i = 1; i < 3; i++)
        users[i] = *first;
    need(ballot_comm_duplicate(first->comm, &users[1].comm), first->comm,
         "duplicate");
    users[2].expected = backwards(&first->expected, first->rank % 2, 2);
    need(ballot_comm_split(first->comm, first->rank % 2, -first->rank,
                           &users[2].comm, NULL),
         first->comm, "split");
    for (int i = 0; i < 3; i++)
        need(-pthread_create(&users[i].thread, NULL, use_often, &users[i]),
             NULL, "thread");
    for (int i = 0; i < 3; i++) {
        pthread_join(users[i].thread, NULL);
        wrong += users[i].wrong;
    }
    for (int i = 0; i < 3; i++)
        finalize(&users[i].comm);
    say("side wrong=%llu", (unsigned long long)wrong);
    return wrong != 0;
}

/* ---- What is refused ---- */

/* `made` is what the call has set. */
static void say_refused(const char *what, const struct ballot_comm *comm,
                        int rc, struct ballot_comm *const *made)
{
    say("refused what=%s rc=%d null=%d text=%s", what, rc, *made == NULL,
        ballot_last_error(comm));
}

int mistake(void)
{
    struct ballot_config config = {.window = 4};
    struct ballot_comm *comm = join(NULL), *made = comm;
    int rank = ballot_comm_rank(comm), none[] = {rank}, far[] = {-1};
    uint64_t wrong = 0;

    say_refused("color", comm,
                ballot_comm_split(comm, rank == 1 ? -2 : 0, 0, &made, NULL),
                &made);
    config.chunk = rank == 1 ? 100 : 0;
    say_refused("config", comm, ballot_comm_split(comm, 0, 0, &made, &config),
                &made);
    config = (struct ballot_config){.window = rank == 1 ? 2 : 4};
    say_refused("differs", comm, ballot_comm_split(comm, 0, 0, &made, &config),
                &made);
    say_refused("excluded", comm,
                ballot_comm_shrink(comm, far, 1, 0, &made, NULL), &made);
    say_refused("self", comm, ballot_comm_shrink(comm, none, 1, 0, &made, NULL),
                &made);
    say_refused("flags", comm,
                ballot_comm_shrink(comm, NULL, 0, 8, &made, NULL), &made);
    need(ballot_group_start(), NULL, "group");
    say_refused("group", comm, ballot_comm_duplicate(comm, &made), &made);
    need(ballot_group_end(), NULL, "group");
    wrong += ballot_comm_split(NULL, 0, 0, &made, NULL) != -EINVAL;
    wrong += ballot_comm_shrunk(comm, &(struct ballot_shrunk){0}) != -EINVAL;
    wrong += ballot_comm_async_error(comm) != 0;
    wrong += ballot_comm_async_error(NULL) != -EINVAL;
    /* It has survived all that. The next call differs, and ends also what
     * another rank has not completed. */
    wrong += prove_now(comm, rank, &(struct expected){{0, 1, 2}, 3});
    sleep_ms(100);
    say_refused("order", comm,
                rank == 1 ? ballot_barrier(comm, NULL)
                          : ballot_comm_split(comm, 0, 0, &made, NULL),
                &made);
    wrong += ballot_comm_async_error(comm) != -EPROTO;
    say("mistake wrong=%llu", (unsigned long long)wrong);
    finalize(&comm);
    return wrong != 0;
}

/* ---- What is ended by abort ---- */

static void *abort_soon(void *comm)
{
    sleep_ms(200);
    need(ballot_comm_abort(comm), comm, "abort");
    return NULL;
}

/* Ranks 0 and 1 wait for rank 2, which does not call; rank 0 gives up. */
int cancel(void)
{
    struct ballot_comm *comm = join(NULL), *made = comm;
    int rank = ballot_comm_rank(comm);
    uint64_t begin = now_ns();
    pthread_t thread;

    if (rank == 0)
        need(-pthread_create(&thread, NULL, abort_soon, comm), NULL, "thread");
    if (rank == 2)
        sleep_ms(600);
    else if (strcmp(option_text("call", "shrink"), "split") == 0)
        say_refused("call", comm, ballot_comm_split(comm, 0, 0, &made, NULL),
                    &made);
    else
        say_refused("call", comm,
                    ballot_comm_shrink(comm, NULL, 0, 0, &made, NULL), &made);
    say("cancelled ms=%llu", (unsigned long long)(now_ns() - begin) / 1000000);
    if (rank == 0)
        pthread_join(thread, NULL);
    sleep_ms(300); /* who has aborted ends without a goodbye */
    finalize(&comm);
    return 0;
}

/* ---- What is left behind ---- */

static void remake_once(struct ballot_comm *comm, uint64_t cycle)
{
    int rank = ballot_comm_rank(comm);
    struct expected all = all_of(comm);
    struct ballot_comm *made;

    if (cycle % 3 == 0)
        need(ballot_comm_duplicate(comm, &made), comm, "duplicate");
    else if (cycle % 3 == 1)
        need(ballot_comm_split(comm, 0, rank, &made, NULL), comm, "split");
    else
        need(ballot_comm_shrink(comm, NULL, 0, 0, &made, NULL), comm, "shrink");
    need(prove_now(made, rank, &all) == 0 ? 0 : -EIO, made, "values");
    finalize(&made);
}

int remake(void)
{
    uint64_t begin = now_ns(), count = option("cycles", 100);
    struct ballot_comm *comm = join(NULL);

    for (uint64_t i = 1; i <= count; i++) {
        remake_once(comm, i);
        if (i == 1 || i == option("first", 30) || i == count)
            say_usage(i, begin);
    }
    finalize(&comm);
    return 0;
}

/* ---- What is inherited ---- */

static void say_made(const char *what, struct ballot_comm *comm, int rc,
                     struct ballot_comm **made)
{
    const char *text = rc < 0 ? ballot_last_error(comm) : "";
    uint64_t differing[RANKS_MOST], counted[RANKS_MOST];

    say("made what=%s rc=%d dissent=%d text=%s", what, rc,
        rc < 0 ? 0 : ballot_comm_dissent(*made, differing, counted), text);
    if (rc == 0)
        finalize(made);
}

/* With a quorum of 3 of 4, weights, and a count of dissent. */
int inherit(void)
{
    static const uint8_t weights[] = {1, 2, 3, 9};
    struct ballot_config config = {
        .servers = BALLOT_SERVERS_ROOT,
        .quorum = 3,
        .weights = weights,
        .dissent = 1,
    };
    struct ballot_config other = {.servers = BALLOT_SERVERS_ROOT, .quorum = 2};
    struct ballot_comm *comm = join(&config), *made;
    int rank = ballot_comm_rank(comm);
    float votes[64];
    int rc = ballot_comm_split(comm, rank == 2, 0, &made, NULL);

    say_made("one", comm, rc, &made);
    rc = ballot_comm_split(comm, rank % 2, 0, &made, NULL);
    say_made("half", comm, rc, &made);
    rc = ballot_comm_split(comm, rank % 2, 0, &made, &other);
    say_made("given", comm, rc, &made);
    /* Ranks 1, 2 and 3, whose weights are 2, 3 and 9. */
    need(ballot_comm_split(comm, rank == 0 ? BALLOT_SPLIT_NONE : 0, 0, &made,
                           NULL),
         comm, "split");
    for (int k = 0; k < 64; k++)
        votes[k] = rank == 3 ? -1.0f : 1.0f;
    if (made != NULL)
        need(ballot_all_reduce(votes, votes, 64, BALLOT_FLOAT32,
                               BALLOT_MAJORITY, made, NULL),
             made, "all_reduce");
    if (made != NULL)
        say("weighed vote=%d", (int)votes[63]);
    finalize(&made);
    finalize(&comm);
    return 0;
}
