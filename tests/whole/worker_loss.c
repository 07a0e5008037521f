/* SPDX-License-Identifier: Apache-2.0 */
/* worker_loss.c - ranks that die, stop, disagree or call what they must not. */
#include "worker.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- One kind of call, again and again ---- */

struct streaming {
    const char *op;
    struct ballot_comm *comm;
    size_t count;
    float *send, *recv, *before, *momentum;
};

static int call_once(struct streaming *s, uint64_t call)
{
    struct ballot_signum step = {.rate = 0.5f, .momentum = 0.9f};
    int ranks = ballot_comm_size(s->comm);

    if (strcmp(s->op, "sum") == 0)
        return ballot_all_reduce(s->send, s->recv, s->count, BALLOT_FLOAT32,
                                 BALLOT_SUM, s->comm, NULL);
    if (strcmp(s->op, "broadcast") == 0)
        return ballot_broadcast(s->send, s->recv, s->count, BALLOT_FLOAT32,
                                (int)(call % (uint64_t)ranks), s->comm, NULL);
    if (strcmp(s->op, "barrier") == 0)
        return ballot_barrier(s->comm, NULL);
    if (strcmp(s->op, "signum") == 0) {
        memcpy(s->before, s->recv, s->count * sizeof(float));
        return ballot_signum_step(s->recv, s->momentum, s->send, s->count,
                                  &step, s->comm, NULL);
    }
    return ballot_all_reduce(s->send, s->recv, s->count, BALLOT_FLOAT32,
                             BALLOT_MAJORITY, s->comm, NULL);
}

static void open_stream(struct streaming *s)
{
    *s = (struct streaming){
        .op = option_text("op", "majority"),
        .comm = join(NULL),
        .count = option("count", 100000),
    };
    s->send = need_memory(s->count * sizeof(float));
    s->recv = need_memory(s->count * sizeof(float));
    s->before = need_memory(s->count * sizeof(float));
    s->momentum = need_memory(s->count * sizeof(float));
    for (size_t i = 0; i < s->count; i++)
        s->send[i] = (i + (size_t)ballot_comm_rank(s->comm)) % 3 ? 1.f : -1.f;
}

/* In a thread of its own, so that it meets the call wherever it is. */
static void *abort_soon(void *comm)
{
    sleep_ms(option("abort", 300));
    say("aborting at=%llu", (unsigned long long)now_ns());
    need(ballot_comm_abort(comm), comm, "abort");
    return NULL;
}

int stream(void)
{
    uint64_t begin, call = 0, calls = option("calls", UINT64_MAX);
    struct streaming s;
    pthread_t thread;
    int rc = 0;

    open_stream(&s);
    if (option("abort", 0) != 0)
        need(-pthread_create(&thread, NULL, abort_soon, s.comm), NULL,
             "thread");
    for (; call < calls && rc == 0; call++) {
        if (call == 5)
            say("running");
        rc = call_once(&s, call);
    }
    say("end rc=%d at=%llu calls=%llu text=%s", rc,
        (unsigned long long)now_ns(), (unsigned long long)call,
        ballot_last_error(s.comm));
    if (strcmp(s.op, "signum") == 0)
        say("untouched yes=%d",
            memcmp(s.before, s.recv, s.count * sizeof(float)) == 0);
    begin = now_ns();
    rc = call_once(&s, call);
    say("again rc=%d us=%llu text=%s", rc,
        (unsigned long long)(now_ns() - begin) / 1000,
        ballot_last_error(s.comm));
    if (option("abort", 0) != 0)
        pthread_join(thread, NULL);
    begin = now_ns();
    rc = ballot_comm_finalize(&s.comm);
    say("finalized rc=%d ms=%llu", rc,
        (unsigned long long)(now_ns() - begin) / 1000000);
    free(s.send);
    free(s.recv);
    free(s.before);
    free(s.momentum);
    return 0;
}

/* ---- Votes with a quorum ---- */

/* What `rank` votes in `round` at coordinate i. */
static bool votes_minus(uint64_t rank, uint64_t round, uint64_t i)
{
    return mix(mix(rank * 1000003 + round) + i) >> 63;
}

/* liar=RANK votes as it likes: where its vote decides, both are right. */
static uint64_t count_wrong(const float *got, size_t count, int ranks,
                            const struct ballot_round *round, uint64_t seen)
{
    uint64_t liar = option("liar", 64);
    uint64_t lies = liar < 64 ? round->every[0] >> liar & 1 : 0;
    uint64_t known = round->every[0] & ~(lies << liar % 64);
    uint64_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t minus = 0;

        for (int r = 0; r < ranks; r++)
            if (known >> r & 1)
                minus += votes_minus((uint64_t)r, seen, i);
        wrong +=
            got[i] != (2 * minus > round->voters_every ? -1.0f : 1.0f) &&
            got[i] != (2 * (minus + lies) > round->voters_every ? -1.0f : 1.0f);
    }
    return wrong;
}

/* What needs every rank fails when one has died; votes go on. */
static void try_sum(struct ballot_comm *comm, float *buffer)
{
    uint64_t begin = now_ns();
    int rc = ballot_all_reduce(buffer, buffer, 100, BALLOT_FLOAT32, BALLOT_SUM,
                               comm, NULL);

    say("sum rc=%d ms=%llu text=%s", rc,
        (unsigned long long)(now_ns() - begin) / 1000000,
        rc < 0 ? ballot_last_error(comm) : "");
    rc = ballot_barrier(comm, NULL);
    say("barrier rc=%d", rc);
    rc = ballot_all_reduce(buffer, buffer, 100, BALLOT_FLOAT32, BALLOT_MAJORITY,
                           comm, NULL);
    say("after rc=%d", rc);
}

/* votes=fixed: the same in every round, for ranks that lose the number. */
int train(void)
{
    struct ballot_config config = {.count_max = option("count", 4096)};
    bool fixed = strcmp(option_text("votes", "round"), "fixed") == 0;
    uint64_t rounds = option("rounds", 100), pace_ms = option("pace", 2);
    uint64_t begin, took_ms;
    struct ballot_comm *comm = join(&config);
    size_t count = config.count_max;
    float *send = need_memory(count * sizeof(float));
    float *recv = need_memory(count * sizeof(float));
    struct ballot_round round = {0};
    int ranks = ballot_comm_size(comm), rank = ballot_comm_rank(comm);
    int rc = 0;

    for (uint64_t next = 0; next < rounds; next = round.round + 1) {
        uint64_t seed = fixed ? 0 : next;

        for (size_t i = 0; i < count; i++)
            send[i] = votes_minus((uint64_t)rank, seed, i) ? -0.25f : 2.0f;
        begin = now_ns();
        rc = ballot_all_reduce(send, recv, count, BALLOT_FLOAT32,
                               BALLOT_MAJORITY, comm, NULL);
        took_ms = (now_ns() - begin) / 1000000;
        if (rc == -ESTALE) {
            say("stale text=%s", ballot_last_error(comm));
            continue;
        }
        if (rc < 0)
            break;
        need(ballot_comm_round(comm, &round), comm, "round");
        say("round number=%llu digest=%llx every=%llx some=%llx wrong=%llu "
            "lost=%u dead=%llx ms=%llu",
            (unsigned long long)round.round,
            (unsigned long long)digest(0, recv, count * sizeof(float)),
            (unsigned long long)round.every[0],
            (unsigned long long)round.some[0],
            (unsigned long long)count_wrong(recv, count, ranks, &round, seed),
            round.lost, (unsigned long long)round.dead[0],
            (unsigned long long)took_ms);
        sleep_ms(pace_ms);
    }
    say("end rc=%d at=%llu text=%s", rc, (unsigned long long)now_ns(),
        ballot_last_error(comm));
    if (option("sum", 0) != 0)
        try_sum(comm, send);
    rc = ballot_comm_finalize(&comm);
    say("finalized rc=%d", rc);
    free(send);
    free(recv);
    return 0;
}

/* ---- Calls that differ ---- */

static int call_good(struct ballot_comm *comm, float *buffer, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer[i] = i % 5 ? -1.0f : 1.0f;
    return ballot_all_reduce(buffer, buffer, count, BALLOT_FLOAT32,
                             BALLOT_MAJORITY, comm, NULL);
}

/* A majority of 1,000 float32, of which a rank keeps its block or the root all.
 */
static int call_kept(struct ballot_comm *comm, float *buffer, int root)
{
    size_t block = 1000 / (size_t)ballot_comm_size(comm);

    if (root >= 0)
        return ballot_reduce(buffer, buffer, 1000, BALLOT_FLOAT32,
                             BALLOT_MAJORITY, root, comm, NULL);
    return ballot_reduce_scatter(buffer, buffer + 1000, block, BALLOT_FLOAT32,
                                 BALLOT_MAJORITY, comm, NULL);
}

/* What the rank that deviates calls; the others call a majority of 1,000
 * float32, or what `others` says. */
static int call_other(const char *how, struct ballot_comm *comm, float *buffer)
{
    if (strcmp(how, "count") == 0)
        return ballot_all_reduce(buffer, buffer, 1001, BALLOT_FLOAT32,
                                 BALLOT_MAJORITY, comm, NULL);
    if (strcmp(how, "chunks") == 0)
        return ballot_all_reduce(buffer, buffer, 100000, BALLOT_FLOAT32,
                                 BALLOT_MAJORITY, comm, NULL);
    if (strcmp(how, "type") == 0)
        return ballot_all_reduce(buffer, buffer, 1000, BALLOT_BFLOAT16,
                                 BALLOT_MAJORITY, comm, NULL);
    if (strcmp(how, "op") == 0)
        return ballot_all_reduce(buffer, buffer, 1000, BALLOT_FLOAT32,
                                 BALLOT_SUM, comm, NULL);
    if (strcmp(how, "barrier") == 0)
        return ballot_barrier(comm, NULL);
    if (strcmp(how, "block") == 0)
        return call_kept(comm, buffer, -1);
    if (strncmp(how, "reduce", 6) == 0)
        return call_kept(comm, buffer, how[6] - '0');
    if (strcmp(how, "root") == 0)
        return ballot_broadcast(buffer, buffer, 1000, BALLOT_FLOAT32, 1, comm,
                                NULL);
    return ballot_broadcast(buffer, buffer, 1000, BALLOT_FLOAT32, 0, comm,
                            NULL);
}

int disagree(void)
{
    const char *others = option_text("others", NULL);
    struct ballot_comm *comm = join(NULL);
    float *buffer = need_memory(100000 * sizeof(float));
    int rank = ballot_comm_rank(comm), rc;
    uint64_t begin, after = option("after", 3);

    for (int i = 0; i < 3; i++)
        need(call_good(comm, buffer, 1000), comm, "good call");
    /* Else who is slow hears of the difference in its last good call. */
    sleep_ms(100);
    begin = now_ns();
    if ((uint64_t)rank == option("deviates", 1))
        rc = call_other(option_text("how", "count"), comm, buffer);
    else if (others != NULL)
        rc = call_other(others, comm, buffer);
    else
        rc = call_good(comm, buffer, 1000);
    say("call rc=%d ms=%llu text=%s", rc,
        (unsigned long long)(now_ns() - begin) / 1000000,
        rc < 0 ? ballot_last_error(comm) : "");
    for (uint64_t i = 0; i < after; i++) {
        struct ballot_round round;

        rc = call_good(comm, buffer, 1000);
        need(ballot_comm_round(comm, &round), comm, "round");
        say("after rc=%d number=%llu every=%llx wrong=%d text=%s", rc,
            (unsigned long long)round.round, (unsigned long long)round.every[0],
            buffer[0] != 1.0f || buffer[1] != -1.0f,
            rc < 0 ? ballot_last_error(comm) : "");
    }
    rc = ballot_comm_finalize(&comm);
    say("finalized rc=%d", rc);
    free(buffer);
    return 0;
}

/* ---- What is out of range ---- */

static int bad;

static void expect_refused(const char *what, int rc,
                           const struct ballot_comm *comm)
{
    const char *text = comm == NULL ? "-" : ballot_last_error(comm);

    if (rc != -EINVAL || text[0] == '\0') {
        say("accepted what=%s rc=%d text=%s", what, rc, text);
        bad++;
    }
}

static void refuse_calls(struct ballot_comm *comm)
{
    struct ballot_request *none = NULL;
    struct ballot_signum step = {.rate = 1.0f};
    struct ballot_feedback feedback = {.rate = 1.0f};
    float x[4] = {0};
    bool done;

#define REFUSED(call) expect_refused(#call, call, comm)
    REFUSED(ballot_all_reduce(x, x, 4, (enum ballot_type)BALLOT_TYPES, 0, comm,
                              NULL));
    REFUSED(ballot_all_reduce(x, x, 4, (enum ballot_type) - 1, 0, comm, NULL));
    REFUSED(
        ballot_all_reduce(x, x, 4, 0, (enum ballot_op)BALLOT_OPS, comm, NULL));
    REFUSED(
        ballot_all_reduce(x, x, 4, BALLOT_FLOAT16, BALLOT_BIT_OR, comm, NULL));
    REFUSED(ballot_all_reduce(x, x, 4, BALLOT_SIGNS, BALLOT_AVG, comm, NULL));
    REFUSED(ballot_all_reduce(NULL, x, 4, 0, BALLOT_MAJORITY, comm, NULL));
    REFUSED(ballot_all_reduce(x, NULL, 4, 0, BALLOT_SUM, comm, NULL));
    REFUSED(ballot_all_reduce(x, x, SIZE_MAX, 0, BALLOT_MAJORITY, comm, NULL));
    REFUSED(ballot_broadcast(x, x, 4, 0, -1, comm, NULL));
    REFUSED(ballot_broadcast(x, x, 4, 0, ballot_comm_size(comm), comm, NULL));
    REFUSED(ballot_broadcast(x, NULL, 4, 0, 0, comm, NULL));
    REFUSED(ballot_broadcast(x, x, 4, (enum ballot_type)77, 0, comm, NULL));
    REFUSED(ballot_signum_step(x, x, x, 4, NULL, comm, NULL));
    step.rate = 0;
    REFUSED(ballot_signum_step(x, x, x, 4, &step, comm, NULL));
    step.rate = NAN;
    REFUSED(ballot_signum_step(x, x, x, 4, &step, comm, NULL));
    step = (struct ballot_signum){.rate = 1, .momentum = 1};
    REFUSED(ballot_signum_step(x, x, x, 4, &step, comm, NULL));
    step.momentum = 0;
    REFUSED(ballot_signum_step(x, NULL, x, 4, &step, comm, NULL));
    REFUSED(ballot_signum_step(x, x, x, (size_t)1 << 40, &step, comm, NULL));
    REFUSED(ballot_feedback_step(x, x, x, 4, NULL, comm, NULL));
    REFUSED(ballot_feedback_step(x, NULL, x, 4, &feedback, comm, NULL));
    feedback.scale = -1;
    REFUSED(ballot_feedback_step(x, x, x, 4, &feedback, comm, NULL));
    feedback.scale = INFINITY;
    REFUSED(ballot_feedback_step(x, x, x, 4, &feedback, comm, NULL));
    feedback = (struct ballot_feedback){.scale = 1};
    REFUSED(ballot_feedback_step(x, x, x, 4, &feedback, comm, NULL));
    feedback = (struct ballot_feedback){.rate = 1, .weight_decay = NAN};
    REFUSED(ballot_feedback_step(x, x, x, 4, &feedback, comm, NULL));
#undef REFUSED
    expect_refused("all_reduce", ballot_all_reduce(x, x, 4, 0, 0, NULL, NULL),
                   NULL);
    expect_refused("barrier", ballot_barrier(NULL, NULL), NULL);
    expect_refused("wait", ballot_wait(&none), NULL);
    expect_refused("wait of NULL", ballot_wait(NULL), NULL);
    expect_refused("test", ballot_test(&none, &done), NULL);
    expect_refused("round", ballot_comm_round(comm, NULL), NULL);
    expect_refused("stats", ballot_comm_stats(NULL, NULL), NULL);
    expect_refused("dissent", ballot_comm_dissent(NULL, NULL, NULL), NULL);
    expect_refused("abort", ballot_comm_abort(NULL), NULL);
    expect_refused("finalize", ballot_comm_finalize(NULL), NULL);
}

static void refuse_config(const char *what, struct ballot_config config)
{
    struct ballot_comm *comm = NULL;
    struct ballot_unique_id id;
    int rc;

    need(ballot_get_unique_id(&id), NULL, "id");
    rc = ballot_comm_init_rank(&comm, 2, &id, 0, &config);
    expect_refused(what, rc, NULL);
    if (ballot_last_error(NULL)[0] == '\0' || comm != NULL) {
        say("silent what=%s", what);
        bad++;
    }
}

static void refuse_configs(void)
{
    const uint8_t weights[2] = {1, 16};
    struct ballot_comm *comm = NULL;
    struct ballot_unique_id id = {{0}};

#define REFUSED(...)                                                           \
    refuse_config(#__VA_ARGS__, (struct ballot_config){__VA_ARGS__})
    REFUSED(.chunk = 100);
    REFUSED(.window = 33);
    REFUSED(.quorum = 2);
    REFUSED(.servers = BALLOT_SERVERS_ROOT, .quorum = 3);
    REFUSED(.servers = BALLOT_SERVERS_ROOT, .quorum = 1);
    REFUSED(.servers = BALLOT_SERVERS_ROOT, .quorum = 2, .liars = 1);
    REFUSED(.servers = (enum ballot_servers)7);
    REFUSED(.tie = (enum ballot_tie)7);
    REFUSED(.transport = "pigeon");
    REFUSED(.weights = weights);
    REFUSED(.dissent = 2);
#undef REFUSED
    expect_refused("id", ballot_comm_init_rank(&comm, 1, &id, 0, NULL), NULL);
    need(ballot_get_unique_id(&id), NULL, "id");
    expect_refused("rank", ballot_comm_init_rank(&comm, 2, &id, 2, NULL), NULL);
    expect_refused("ranks", ballot_comm_init_rank(&comm, 1025, &id, 2, NULL),
                   NULL);
    expect_refused("no rank", ballot_comm_init_rank(&comm, 0, &id, 0, NULL),
                   NULL);
    expect_refused("no id", ballot_comm_init_rank(&comm, 1, NULL, 0, NULL),
                   NULL);
    expect_refused("no comm", ballot_comm_init_rank(NULL, 1, &id, 0, NULL),
                   NULL);
}

int arguments(void)
{
    struct ballot_comm *comm = join(NULL);
    float buffer[100];

    refuse_calls(comm);
    need(call_good(comm, buffer, 100), comm, "a good call after bad ones");
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    need(ballot_comm_finalize(&comm), NULL, "finalize of NULL");
    refuse_configs();
    say("refused bad=%d", bad);
    return bad != 0;
}

/* ---- Ends from within ---- */

/* Rank 0 waits for the others, who call only when it has aborted. */
int abort_call(void)
{
    struct ballot_comm *comm = join(NULL);
    float *buffer = need_memory(100000 * sizeof(float));
    pthread_t thread;
    int rc;

    need(call_good(comm, buffer, 100000), comm, "good call");
    if (ballot_comm_rank(comm) == 0)
        need(-pthread_create(&thread, NULL, abort_soon, comm), NULL, "thread");
    else
        sleep_ms(600);
    rc = call_good(comm, buffer, 100000);
    say("end rc=%d at=%llu text=%s", rc, (unsigned long long)now_ns(),
        ballot_last_error(comm));
    if (ballot_comm_rank(comm) == 0)
        pthread_join(thread, NULL);
    rc = ballot_comm_finalize(&comm);
    say("finalized rc=%d at=%llu", rc, (unsigned long long)now_ns());
    free(buffer);
    return 0;
}

int init_only(void)
{
    struct ballot_comm *comm = NULL;
    uint64_t begin = now_ns();
    struct ballot_stats stats = {0};
    float buffer[100];
    int rc = ballot_comm_init_env(&comm, NULL);

    say("init rc=%d ms=%llu text=%s", rc,
        (unsigned long long)(now_ns() - begin) / 1000000,
        rc < 0 ? ballot_last_error(NULL) : "");
    if (rc < 0)
        return 0;
    begin = now_ns();
    for (uint64_t i = 0; i < option("calls", 100); i++)
        need(call_good(comm, buffer, 100), comm, "call");
    need(ballot_comm_stats(comm, &stats), comm, "stats");
    say("called ms=%llu strangers=%llu",
        (unsigned long long)(now_ns() - begin) / 1000000,
        (unsigned long long)stats.strangers);
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    say("finalized rc=0");
    return 0;
}
