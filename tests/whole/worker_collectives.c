/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_collectives.c - every collective with every type, op, root and count,
 * or a sample of them by a seed.
 */
#include <stdlib.h>
#include <string.h>

#include "worker_calls.h"

enum { TOGETHER_MAX = 12 };

struct trial {
    struct ballot_comm *comm;
    int ranks;
    uint64_t calls, wrong, digest;
};

static void finish(struct trial *t, struct call_made *made)
{
    uint64_t wrong = call_wrong(made);
    char text[96];

    t->digest = call_digest(made, t->digest);
    t->calls++;
    t->wrong += wrong;
    if (wrong != 0)
        say("differs elements=%llu call=%s", (unsigned long long)wrong,
            call_text(&made->plan, text));
    call_free(made);
}

static void call_once(void *trial, const struct call_plan *plan)
{
    struct trial *t = trial;
    struct call_made made;
    char text[96];

    need(call_begin(&made, plan, t->comm, plan->seed % 3 != 0), t->comm,
         call_text(plan, text));
    need(call_end(&made, t->comm), t->comm, call_text(plan, text));
    finish(t, &made);
}

/* Several calls at once: as requests, or in a group, which may be within
 * another one; waited for in any order. */
static void together(struct trial *t, uint64_t random)
{
    int count = 2 + (int)(mix(random) % (TOGETHER_MAX - 1));
    int groups = (int)(mix(random + 1) % 3);
    struct call_made made[TOGETHER_MAX];

    for (int g = 0; g < groups; g++)
        need(ballot_group_start(), t->comm, "group_start");
    for (int i = 0; i < count; i++) {
        struct call_plan plan =
            call_any(mix(random + 7 * (uint64_t)i + 2), t->ranks, 3000);

        need(call_begin(&made[i], &plan, t->comm, groups > 0 && i % 2 == 0),
             t->comm, "a call of several");
    }
    for (int g = 0; g < groups; g++)
        need(ballot_group_end(), t->comm, "group_end");
    for (int i = 0; i < count; i++) {
        struct call_made *one = &made[(i * 5 + 3) % count];

        if (count % 5 == 0)
            one = &made[i];
        need(call_end(one, t->comm), t->comm, "wait");
        finish(t, one);
    }
}

int collectives(void)
{
    struct trial t = {.comm = join(NULL)};
    uint64_t seed = option("seed", 1);

    t.ranks = ballot_comm_size(t.comm);
    calls_every(
        &(struct calls_matrix){
            .ranks = t.ranks,
            .count_max = option("count_max", SIZE_MAX),
            .one_of = option("one_of", 1),
            .rare_above = 100000,
            .seed = seed,
        },
        call_once, &t);
    for (uint64_t i = 0; i < option("together", 20); i++)
        together(&t, mix(seed * 1000003 + i));
    say("collectives calls=%llu wrong=%llu digest=%llx",
        (unsigned long long)t.calls, (unsigned long long)t.wrong,
        (unsigned long long)t.digest);
    need(ballot_comm_finalize(&t.comm), NULL, "finalize");
    return t.wrong != 0;
}

/* Rank 0 waits for what rank 2 does not send, while nobody calls anything. */
int unsent(void)
{
    struct ballot_comm *comm = join(NULL);
    float value;

    if (ballot_comm_rank(comm) == 0) {
        int rc = ballot_recv(&value, 1, BALLOT_FLOAT32, 2, comm, NULL);

        say("unsent rc=%d text=%s", rc, ballot_last_error(comm));
    } else {
        sleep_ms(option("sleep_ms", 1000));
    }
    ballot_comm_finalize(&comm);
    return 0;
}

/* Rank 2 leaves out an exchange, or calls a barrier before it. Its deadline is
 * the first, and everybody has called more by then. */
int crossed(void)
{
    struct ballot_comm *comm = join(NULL);
    struct ballot_request *requests[8];
    bool differs = ballot_comm_rank(comm) == 2, extra = option("extra", 0) != 0;
    float sent = 1, got[3] = {0}, gathered[3];
    int count = 0, rc = 0;

    need(ballot_barrier(comm, NULL), comm, "barrier");
    if (!differs)
        sleep_ms(option("later_ms", 100));
    else if (extra)
        need(ballot_barrier(comm, &requests[count++]), comm, "extra");
    ballot_group_start();
    for (int r = 0; r < 3 && (!differs || extra); r++) {
        ballot_send(&sent, 1, BALLOT_FLOAT32, r, comm, &requests[count++]);
        ballot_recv(&got[r], 1, BALLOT_FLOAT32, r, comm, &requests[count++]);
    }
    need(ballot_group_end(), comm, "exchange");
    if (extra)
        need(ballot_barrier(comm, &requests[count++]), comm, "barrier");
    rc = ballot_gather(&sent, gathered, 1, BALLOT_FLOAT32, 1, comm, NULL);
    if (rc == 0)
        rc = ballot_all_gather(&sent, gathered, 1, BALLOT_FLOAT32, comm, NULL);
    say("crossed rc=%d text=%s", rc, ballot_last_error(comm));
    while (count > 0)
        ballot_wait(&requests[--count]);
    ballot_comm_finalize(&comm);
    return 0;
}

/* Rank 2 receives another type than rank 1 sends. With a quorum only votes go
 * on there. */
int stopped(void)
{
    struct ballot_comm *comm = join(NULL);
    int rank = ballot_comm_rank(comm);
    float value = 1;
    int rc = 0;

    if (rank == 1)
        rc = ballot_send(&value, 1, BALLOT_FLOAT32, 2, comm, NULL);
    if (rank == 2)
        rc = ballot_recv(&value, 1, BALLOT_INT32, 1, comm, NULL);
    say("exchange rc=%d text=%s", rc, ballot_last_error(comm));
    rc = ballot_broadcast(&value, &value, 1, BALLOT_FLOAT32, 0, comm, NULL);
    say("broadcast rc=%d text=%s", rc, ballot_last_error(comm));
    value = 5;
    rc = ballot_all_reduce(&value, &value, 1, BALLOT_FLOAT32, BALLOT_MAJORITY,
                           comm, NULL);
    say("vote rc=%d wrong=%d", rc, value != 1);
    ballot_comm_finalize(&comm);
    return 0;
}

/* A rank sends to itself until no more requests can be had: the message whose
 * call has failed is not sent, and goes without a request. */
int crowded(void)
{
    enum { ROOM = 128 };
    struct ballot_comm *comm = join(NULL);
    struct ballot_request *requests[ROOM];
    float sent[ROOM], got[ROOM] = {0};
    int rank = ballot_comm_rank(comm), count = 0, messages = 0, rc = 0, wrong;

    ballot_group_start();
    while (rc == 0) {
        int i = messages / 2;

        sent[i] = (float)i;
        rc = messages++ % 2 == 0 ? ballot_send(&sent[i], 1, BALLOT_FLOAT32,
                                               rank, comm, &requests[count])
                                 : ballot_recv(&got[i], 1, BALLOT_FLOAT32, rank,
                                               comm, &requests[count]);
        count += rc == 0;
    }
    say("crowded count=%d rc=%d", count, rc);
    if (messages % 2 == 0)
        need(ballot_recv(&got[messages / 2 - 1], 1, BALLOT_FLOAT32, rank, comm,
                         NULL),
             comm, "recv");
    need(ballot_group_end(), comm, "group_end");
    for (int i = 0; i < count; i++)
        need(ballot_wait(&requests[i]), comm, "wait");
    wrong = memcmp(sent, got, (size_t)(messages / 2) * sizeof(float)) != 0;
    say("crowded wrong=%d", wrong);
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return wrong;
}
