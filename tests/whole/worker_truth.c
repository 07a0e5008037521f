/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_truth.c - redundant rounds of which only the truth is known: what a
 * liar says while it is read, and what an arbiter finds. And how much memory
 * the server's process takes for them.
 */
#include "worker_jury.h"

#include <ballot_attack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known {
    struct ballot_comm *comm;
    struct ballot_aspis_shape shape;
    struct ballot_cast cast;
    size_t count, words;
    uint32_t *plan;
    uint64_t **rows; /* [load] */
    uint64_t *recv;
    uint64_t asked, distorted;
};

static uint64_t truth(uint32_t step, uint32_t task, size_t word)
{
    return mix(mix(mix(step + 1) + task) + word);
}

/* The arbiter, where the server is. */
static int recompute(void *context, uint32_t step, uint32_t task,
                     uint64_t first, uint32_t count, uint64_t *signs)
{
    struct known *k = context;

    k->asked++;
    for (size_t w = 0; w < (count + 63) / 64; w++)
        signs[w] = truth(step, task, first / 64 + w);
    return 0;
}

/* As rounding does: a few signs are others, on each rank. */
static void spoil(struct known *k, uint32_t step, uint32_t row)
{
    for (uint64_t f = 0; f < option("flips", 0); f++) {
        uint64_t at =
            mix(mix(mix((uint64_t)ballot_comm_rank(k->comm) + 9) + step) +
                64 * row + f) %
            k->count;

        k->rows[row][at / 64] ^= UINT64_C(1) << at % 64;
    }
}

static void cast_step(struct known *k, uint32_t step)
{
    int members[JURY_REPLICAS_MAX];

    need(ballot_aspis_plan(k->comm, step, k->plan), k->comm, "plan");
    for (uint32_t i = 0; i < k->shape.load; i++) {
        enum ballot_part part;

        need(ballot_aspis_workers(k->comm, step, k->plan[i], members), k->comm,
             "workers");
        part = k->cast.workers == 0
                   ? BALLOT_PART_TRUTH
                   : ballot_cast_part(&k->cast, ballot_comm_rank(k->comm), step,
                                      k->plan[i], members, k->shape.replicas);
        for (size_t w = 0; w < k->words; w++)
            k->rows[i][w] = truth(step, k->plan[i], w) ^
                            (part == BALLOT_PART_TRUTH ? 0 : UINT64_MAX);
        spoil(k, step, i);
    }
    need(ballot_aspis_vote((const void *const *)k->rows, k->recv, k->count,
                           BALLOT_SIGNS, step, k->comm, NULL),
         k->comm, "vote");
}

/* Where the result is not what most tasks truly have. */
static void compare_truth(struct known *k, uint32_t step)
{
    for (size_t i = 0; i < k->count; i++) {
        uint32_t sum = 0;

        for (uint32_t task = 0; task < k->shape.tasks; task++)
            sum += (uint32_t)(truth(step, task, i / 64) >> i % 64 & 1);
        k->distorted +=
            (k->recv[i / 64] >> i % 64 & 1) != (2 * sum > k->shape.tasks);
    }
}

static void say_report(struct known *k, uint32_t step)
{
    static struct ballot_dispute disputes[4096];
    struct ballot_aspis_report report;
    uint32_t caught = 0, ends = UINT32_MAX;

    need(ballot_aspis_report(k->comm, &report, disputes, 4096), k->comm,
         "report");
    for (uint32_t w = 0; w < k->shape.workers; w++)
        if (report.verdict[w] == BALLOT_PROVEN_BYZANTINE)
            caught |= 1u << w;
    /* Who is an end of every dispute. */
    for (uint64_t d = 0; d < report.disputes && d < 4096; d++)
        ends &= 1u << disputes[d].a | 1u << disputes[d].b;
    say("truth step=%u distorted=%llu byzantine=%x convicted=%llx "
        "liars=%llx arbitrations=%llu dropped=%llu disputes=%llu ends=%x",
        step, (unsigned long long)k->distorted, caught,
        (unsigned long long)report.convicted[0],
        (unsigned long long)k->cast.liars[0],
        (unsigned long long)report.arbitrations,
        (unsigned long long)report.dropped, (unsigned long long)report.disputes,
        ends);
}

static void open_known(struct known *k)
{
    const struct ballot_config config = {
        .servers = BALLOT_SERVERS_ROOT,
        .design = (enum ballot_design)option("design", BALLOT_DESIGN_STS),
        .seed = 1,
        .chunk = (uint32_t)option("chunk", 0),
    };

    k->comm = join(&config);
    need(ballot_aspis_shape(k->comm, &k->shape), k->comm, "shape");
    if (option("liars", 0) != 0)
        need(ballot_cast_draw(&k->cast, (enum ballot_scheme)option("scheme", 0),
                              k->shape.workers, (uint32_t)option("liars", 0),
                              0),
             NULL, "cast");
    k->count = option("count", 8192);
    k->words = (k->count + 63) / 64;
    k->plan = need_memory(k->shape.load * sizeof(*k->plan));
    k->rows = need_memory(k->shape.load * sizeof(*k->rows));
    for (uint32_t i = 0; i < k->shape.load; i++)
        k->rows[i] = need_memory(k->words * 8);
    k->recv = need_memory(k->words * 8);
    if (option("arbiter", 0) != 0 && ballot_comm_rank(k->comm) == 0)
        need(ballot_aspis_arbiter(k->comm, recompute, k), k->comm, "arbiter");
}

static void close_known(struct known *k)
{
    free(k->recv);
    for (uint32_t i = 0; i < k->shape.load; i++)
        free(k->rows[i]);
    free(k->rows);
    free(k->plan);
    need(ballot_comm_finalize(&k->comm), NULL, "finalize");
}

int truths(void)
{
    struct known known = {0};

    open_known(&known);
    for (uint32_t step = 0; step < option("steps", 3); step++) {
        cast_step(&known, step);
        compare_truth(&known, step);
        say_report(&known, step);
        if (option("release", 0) != 0)
            need(ballot_aspis_release(known.comm, (int)option("release", 0)),
                 known.comm, "release");
    }
    say("asked times=%llu", (unsigned long long)known.asked);
    close_known(&known);
    return 0;
}

/* ---- Memory ---- */

/* All tasks share one gradient, so that this process has little of its own. */
int memory(void)
{
    const struct ballot_config config = {
        .servers = BALLOT_SERVERS_RANKS, /* the environment's */
        .design = BALLOT_DESIGN_STS,
    };
    struct ballot_comm *comm = join(&config);
    size_t count = option("count", 1000000);
    struct ballot_aspis_shape shape;
    const void *gradients[64];
    uint64_t *signs = need_memory((count + 63) / 64 * 8);
    uint64_t *recv = need_memory((count + 63) / 64 * 8);
    uint64_t wrong = 0;

    need(ballot_aspis_shape(comm, &shape), comm, "shape");
    for (uint32_t i = 0; i < shape.load; i++)
        gradients[i] = signs;
    for (size_t w = 0; w < count / 64; w++)
        signs[w] = mix(w);
    for (uint32_t step = 0; step < 2; step++) {
        need(ballot_aspis_vote(gradients, recv, count, BALLOT_SIGNS, step, comm,
                               NULL),
             comm, "vote");
        wrong += memcmp(signs, recv, (count + 63) / 64 * 8) != 0;
    }
    say("voted wrong=%llu", (unsigned long long)wrong);
    free(recv);
    free(signs);
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return 0;
}
