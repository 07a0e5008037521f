/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_beside.c - calls of any kind on several communicators at once: each in
 * a thread of its own, and all in one thread.
 *
 * Only the calls of one communicator have an order that its ranks share. Which
 * of two communicators is called first, and what is waited for first, is
 * another matter at every rank here.
 */
#include <pthread.h>
#include <stdlib.h>

#include "worker_calls.h"

enum { COMMS = 4, CALLS_MAX = 24, UNDER_WAY = 4 };

struct user {
    pthread_t thread;
    struct ballot_comm *comm;
    uint64_t seed;
    uint64_t called; /* of its calls, as all its ranks count them */
    uint64_t wrong, digest;
};

static struct call_plan next_plan(struct user *u)
{
    uint64_t random = mix(u->seed + u->called++);

    return call_any(random, ballot_comm_size(u->comm),
                    mix(random + 20) % 24 == 0 ? 150000 : 2000);
}

static void end(struct user *u, struct call_made *made)
{
    uint64_t wrong;
    char text[96];

    need(call_end(made, u->comm), u->comm, call_text(&made->plan, text));
    wrong = call_wrong(made);
    u->wrong += wrong;
    u->digest = call_digest(made, u->digest);
    if (wrong != 0)
        say("differs seed=%llu elements=%llu call=%s",
            (unsigned long long)u->seed, (unsigned long long)wrong,
            call_text(&made->plan, text));
    call_free(made);
}

/* What has only blocking calls for it becomes what has others. */
static void begin(struct user *u, struct call_made *made, bool waits)
{
    struct call_plan plan = next_plan(u);
    char text[96];

    if (plan.kind == CALLS_SENT_ALL && !waits)
        plan.kind = CALLS_ALL_TO_ALL;
    need(call_begin(made, &plan, u->comm, waits), u->comm,
         call_text(&plan, text));
}

/* ---- A thread for each ---- */

/* Some calls block, and of the others some are under way together. */
static void *call_often(void *context)
{
    struct user *u = context;
    struct call_made made[UNDER_WAY];

    for (uint64_t i = 0; i < option("calls", 100); i += UNDER_WAY) {
        bool together = mix(u->seed ^ i) % 2 != 0;

        for (int k = 0; k < UNDER_WAY; k++) {
            begin(u, &made[k], !together);
            if (!together)
                end(u, &made[k]);
        }
        for (int k = 0; k < UNDER_WAY && together; k++)
            end(u, &made[k]);
    }
    return NULL;
}

static void in_threads(struct user *users)
{
    for (int c = 0; c < COMMS; c++)
        need(-pthread_create(&users[c].thread, NULL, call_often, &users[c]),
             NULL, "thread");
    for (int c = 0; c < COMMS; c++)
        pthread_join(users[c].thread, NULL);
}

/* ---- All in one thread ---- */

/*
 * `each` calls of each communicator, of which those of one go in order: every
 * rank draws whose turn it is by a seed of its own. In a group, or with
 * requests.
 */
static void interleave(struct user *users, int each, bool grouped, uint64_t own)
{
    struct call_made made[COMMS][CALLS_MAX];
    int begun[COMMS] = {0}, ended[COMMS] = {0};

    if (grouped)
        ballot_group_start();
    for (int left = COMMS * each; left > 0; left--) {
        int c = (int)(mix(own + (uint64_t)left) % COMMS);

        while (begun[c] == each)
            c = (c + 1) % COMMS;
        begin(&users[c], &made[c][begun[c]], grouped);
        begun[c]++;
    }
    if (grouped)
        need(ballot_group_end(), NULL, "group_end");
    for (int left = COMMS * each; left > 0; left--) {
        int c = (int)(mix(own + 1000 + (uint64_t)left) % COMMS);

        while (ended[c] == each)
            c = (c + 1) % COMMS;
        end(&users[c], &made[c][ended[c]]);
        ended[c]++;
    }
}

/* All ranks, twice again, and the odd and the even ones, backwards. */
static void open_all(struct user *users, int *rank)
{
    struct ballot_comm *first = join(NULL);

    *rank = ballot_comm_rank(first);
    users[0].comm = first;
    need(ballot_comm_duplicate(first, &users[1].comm), first, "duplicate");
    need(ballot_comm_split(first, *rank % 2, -*rank, &users[2].comm, NULL),
         first, "split");
    users[3].comm = join(NULL);
    for (int c = 0; c < COMMS; c++)
        users[c].seed = mix(option("seed", 1) * 16 + (uint64_t)c);
}

int beside(void)
{
    struct user users[COMMS] = {{.comm = NULL}};
    uint64_t wrong = 0, calls = 0, all = 0;
    int rank;

    open_all(users, &rank);
    in_threads(users);
    for (uint64_t i = 0; i < option("interleaved", 12); i++)
        interleave(users, 1 + (int)(mix(i) % (CALLS_MAX - 1)) / 2, i % 2 != 0,
                   mix((uint64_t)rank * 100 + i));
    in_threads(users);
    for (int c = 0; c < COMMS; c++) {
        wrong += users[c].wrong;
        calls += users[c].called;
        all = digest(all, &users[c].digest, sizeof(users[c].digest));
    }
    say("beside calls=%llu wrong=%llu digest=%llx", (unsigned long long)calls,
        (unsigned long long)wrong, (unsigned long long)all);
    for (int c = COMMS; c-- > 0;)
        need(ballot_comm_finalize(&users[c].comm), NULL, "finalize");
    return wrong != 0;
}
