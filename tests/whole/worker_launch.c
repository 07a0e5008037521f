/* SPDX-License-Identifier: Apache-2.0 */
/* worker_launch.c - ranks that find each other by a launcher or a callback. */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1000, RANKS_MOST = 16 };

/* Rank r votes minus where i mod ranks < r, and adds r + i: 0 or an exit
 * code. */
static int vote_and_sum(struct ballot_comm *comm)
{
    int rank = ballot_comm_rank(comm), ranks = ballot_comm_size(comm);
    float *in = need_memory(COUNT * sizeof(*in));
    float *out = need_memory(COUNT * sizeof(*out));
    int wrong = 0;

    for (int i = 0; i < COUNT; i++)
        in[i] = i % ranks < rank ? -1.5f : 0.5f;
    need(ballot_all_reduce(in, out, COUNT, BALLOT_FLOAT32, BALLOT_MAJORITY,
                           comm, NULL),
         comm, "vote");
    for (int i = 0; i < COUNT; i++) {
        int minus = ranks - 1 - i % ranks;

        wrong += out[i] != (2 * minus > ranks ? -1.0f : 1.0f);
    }
    for (int i = 0; i < COUNT; i++)
        in[i] = (float)(rank + i);
    need(ballot_all_reduce(in, out, COUNT, BALLOT_FLOAT32, BALLOT_SUM, comm,
                           NULL),
         comm, "sum");
    for (int i = 0; i < COUNT; i++)
        wrong += out[i] != (float)(ranks * (ranks - 1) / 2 + i * ranks);
    free(out);
    free(in);
    return wrong;
}

/* Several communicators, one after the other, of a process that was started by
 * whomever. */
int launched(void)
{
    uint64_t times = option("times", 1);

    for (uint64_t t = 0; t < times; t++) {
        struct ballot_comm *comm = join(NULL);
        int rank = ballot_comm_rank(comm), ranks = ballot_comm_size(comm);
        int wrong = vote_and_sum(comm);

        need(ballot_comm_finalize(&comm), NULL, "finalize");
        say("launched rank=%d ranks=%d time=%llu wrong=%d", rank, ranks,
            (unsigned long long)t, wrong);
        if (wrong != 0)
            return 1;
    }
    return 0;
}

/* ---- Threads that are ranks, and gather through memory ---- */

struct gathering {
    pthread_barrier_t all_there;
    unsigned char *table;
    int ranks;
};

struct member {
    struct gathering *gathering;
    pthread_t thread;
    int rank, ranks;
    int returns; /* of the callback */
    struct ballot_config config;
    int rc;
    char text[512];
};

static int gather(const void *send, void *recv, size_t bytes, void *context)
{
    const struct member *m = context;
    struct gathering *g = m->gathering;

    pthread_barrier_wait(&g->all_there);
    if (m->rank == 0)
        g->table = need_memory((size_t)g->ranks * bytes);
    pthread_barrier_wait(&g->all_there);
    memcpy(g->table + (size_t)m->rank * bytes, send, bytes);
    pthread_barrier_wait(&g->all_there);
    memcpy(recv, g->table, (size_t)m->ranks * bytes);
    pthread_barrier_wait(&g->all_there);
    if (m->rank == 0)
        free(g->table);
    return m->returns;
}

static void *be_rank(void *context)
{
    struct member *m = context;
    struct ballot_comm *comm = NULL;

    m->rc = ballot_comm_init_allgather(&comm, m->ranks, m->rank, gather, m,
                                       &m->config);
    strncpy(m->text, ballot_last_error(NULL), sizeof(m->text) - 1);
    if (m->rc != 0)
        return NULL;
    if (vote_and_sum(comm) != 0)
        m->rc = 1;
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return NULL;
}

static void gather_all(struct member *members, int ranks)
{
    struct gathering g = {.ranks = ranks};

    pthread_barrier_init(&g.all_there, NULL, (unsigned)ranks);
    for (int r = 0; r < ranks; r++) {
        members[r].gathering = &g;
        if (pthread_create(&members[r].thread, NULL, be_rank, &members[r]) != 0)
            need(-EAGAIN, NULL, "thread");
    }
    for (int r = 0; r < ranks; r++)
        pthread_join(members[r].thread, NULL);
    pthread_barrier_destroy(&g.all_there);
}

/* One line a rank; the scenario's options say who is odd, and how. */
int allgather(void)
{
    int ranks = (int)option("ranks", 4);
    int odd = (int)option("odd", RANKS_MOST);
    const char *how = option_text("how", "");
    struct member members[RANKS_MOST];

    memset(members, 0, sizeof(members));
    for (int r = 0; r < ranks; r++) {
        members[r].rank = r;
        members[r].ranks = ranks;
        members[r].config.init_timeout_ms = (uint32_t)option("timeout", 3000);
        if (r == odd && strcmp(how, "config") == 0)
            members[r].config.window = 1000;
        if (r == odd && strcmp(how, "ranks") == 0)
            members[r].ranks = ranks - 1;
        if (r == odd && strcmp(how, "callback") == 0)
            members[r].returns = -EIO;
    }
    gather_all(members, ranks);
    for (int r = 0; r < ranks; r++)
        say("allgather rank=%d rc=%d text=%s", r, members[r].rc,
            members[r].text);
    return 0;
}
