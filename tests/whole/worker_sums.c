/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_sums.c - sum, average, broadcast and optimiser steps against other
 * loops.
 */
#include "worker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tried {
    struct ballot_comm *comm;
    int ranks, rank;
    uint64_t round; /* of the next call */
    uint64_t calls, wrong, digest;
};

static void open_tried(struct tried *t, const struct ballot_config *config)
{
    *t = (struct tried){.comm = join(config)};
    t->ranks = ballot_comm_size(t->comm);
    t->rank = ballot_comm_rank(t->comm);
}

static void close_tried(struct tried *t, const char *name)
{
    say("%s calls=%llu wrong=%llu digest=%llx", name,
        (unsigned long long)t->calls, (unsigned long long)t->wrong,
        (unsigned long long)t->digest);
    need(ballot_comm_finalize(&t->comm), NULL, "finalize");
}

static size_t vector_bytes(enum ballot_type type, size_t count)
{
    static const size_t bytes[BALLOT_VOTE_TYPES] = {4, 2, 2, 8, 0};

    return type == BALLOT_SIGNS ? (count + 63) / 64 * 8 : count * bytes[type];
}

/* ---- Sums, averages, broadcasts ---- */

/* Small whole numbers, so that every order of adding gives the same. */
static float addend(int rank, uint64_t round, uint64_t i)
{
    return (float)(int)(mix(mix((uint64_t)rank ^ round << 8) + i) % 2001) -
           1000.0f;
}

static void sum_once(struct tried *t, size_t count, bool average)
{
    bool in_place = t->round % 2 != 0;
    uint64_t round = t->round++;
    float *send = need_memory(count * sizeof(float) + 1);
    float *recv = in_place ? send : need_memory(count * sizeof(float) + 1);

    for (size_t i = 0; i < count; i++)
        send[i] = addend(t->rank, round, i);
    need(ballot_all_reduce(send, recv, count, BALLOT_FLOAT32,
                           average ? BALLOT_AVG : BALLOT_SUM, t->comm, NULL),
         t->comm, "sum");
    for (size_t i = 0; i < count; i++) {
        float want = 0.0f, least;

        for (int r = 0; r < t->ranks; r++)
            want += addend(r, round, i);
        least = want / (float)t->ranks;
        if (average)
            t->wrong += recv[i] - least > 1e-3f || least - recv[i] > 1e-3f;
        else
            t->wrong += recv[i] != want;
    }
    t->digest = digest(t->digest, recv, count * sizeof(float));
    t->calls++;
    if (!in_place)
        free(recv);
    free(send);
}

static void broadcast_once(struct tried *t, enum ballot_type type, size_t count,
                           int root)
{
    size_t bytes = vector_bytes(type, count);
    uint64_t round = t->round++;
    uint8_t *send = need_memory(bytes + 1), *recv = need_memory(bytes + 1);
    bool is_root = root == t->rank, in_place = round % 2 != 0;

    for (size_t i = 0; i < bytes; i++)
        send[i] = (uint8_t)mix(round * 1000003 + i);
    if (in_place && is_root)
        memcpy(recv, send, bytes);
    need(ballot_broadcast(is_root ? (in_place ? recv : send) : NULL, recv,
                          count, type, root, t->comm, NULL),
         t->comm, "broadcast");
    t->wrong += memcmp(send, recv, bytes) != 0;
    t->digest = digest(t->digest, recv, bytes);
    t->calls++;
    free(send);
    free(recv);
}

int sums(void)
{
    static const size_t counts[] = {0, 1, 2, 3, 7, 64, 511, 4097, 100003};
    uint64_t wrong = 0;

    for (uint64_t number = 0; number < option("comms", 4); number++) {
        struct tried t;
        const struct ballot_config config = {
            .servers = (enum ballot_servers)(number % 2),
            .chunk = number < 2 ? 0 : 512,
            .window = 1 + (uint32_t)number % 3,
        };

        open_tried(&t, &config);
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            sum_once(&t, counts[c], false);
            sum_once(&t, counts[c], true);
            for (int type = 0; type < BALLOT_VOTE_TYPES; type++)
                broadcast_once(&t, (enum ballot_type)type, counts[c],
                               (int)(c + (size_t)type) % t.ranks);
        }
        close_tried(&t, "sums");
        wrong += t.wrong;
    }
    return wrong != 0;
}

/* ---- Signum ---- */

static float gradient_of(int rank, uint64_t step, uint64_t i)
{
    uint64_t x = mix(mix((uint64_t)rank * 77 + step) + i);

    return x % 11 == 0 ? 0.0f : (float)(int32_t)x * 1e-9f;
}

/* Steps of all ranks at once, as the comment of ballot_signum_step() says. */
static void step_expected(const struct tried *t,
                          const struct ballot_signum *step, uint64_t number,
                          size_t count, float *parameters, float *momenta)
{
    for (size_t i = 0; i < count; i++) {
        int minus = 0;
        float sign;

        for (int r = 0; r < t->ranks; r++) {
            float *momentum = &momenta[(size_t)r * count + i];

            *momentum = (1.0f - step->momentum) * gradient_of(r, number, i) +
                        step->momentum * *momentum;
            minus += *momentum < 0.0f;
        }
        sign = 2 * minus > t->ranks ? -1.0f : 1.0f;
        parameters[i] -=
            step->rate * (sign + step->weight_decay * parameters[i]);
    }
}

int signum(void)
{
    const struct ballot_signum step = {
        .rate = 0.01f, .momentum = 0.9f, .weight_decay = 0.125f};
    size_t count = option("count", 70001);
    struct tried t;
    float *parameters, *momentum, *gradient, *want, *momenta;

    open_tried(&t, NULL);
    parameters = need_memory(count * sizeof(float));
    momentum = need_memory(count * sizeof(float));
    gradient = need_memory(count * sizeof(float));
    want = need_memory(count * sizeof(float));
    momenta = need_memory((size_t)t.ranks * count * sizeof(float));
    for (uint64_t s = 0; s < option("steps", 20); s++) {
        for (size_t i = 0; i < count; i++)
            gradient[i] = gradient_of(t.rank, s, i);
        need(ballot_signum_step(parameters, momentum, gradient, count, &step,
                                t.comm, NULL),
             t.comm, "signum_step");
        step_expected(&t, &step, s, count, want, momenta);
        t.wrong += memcmp(parameters, want, count * sizeof(float)) != 0;
        t.wrong += memcmp(momentum, momenta + (size_t)t.rank * count,
                          count * sizeof(float)) != 0;
        t.calls++;
    }
    t.digest = digest(0, parameters, count * sizeof(float));
    close_tried(&t, "signum");
    free(parameters);
    free(momentum);
    free(gradient);
    free(want);
    free(momenta);
    return t.wrong != 0;
}

/* ---- Error feedback ---- */

/* As gradient_of(), and now and then no number. */
static float rough_gradient(int rank, uint64_t step, uint64_t i)
{
    switch (mix(i + step * 31 + (uint64_t)rank) % 5003) {
    case 0: return NAN;
    case 1: return INFINITY;
    case 2: return -0.0f;
    default: return gradient_of(rank, step, i);
    }
}

/* The mean of |p| of those that are finite, in the order that is promised. */
static float mean_size(const float *p, size_t count)
{
    enum { LANES = 64 };
    float lanes[LANES] = {0};
    double sums[LANES];
    int finite = 0;

    for (size_t i = 0; i < count; i++)
        if (isfinite(p[i])) {
            lanes[i % LANES] += fabsf(p[i]);
            finite++;
        }
    for (int l = 0; l < LANES; l++)
        sums[l] = (double)lanes[l];
    for (int left = LANES / 2; left > 0; left /= 2)
        for (int l = 0; l < left; l++)
            sums[l] += sums[l + left];
    return finite > 0 ? (float)(sums[0] / finite) : 0.0f;
}

/* One rank casts its votes; p becomes what they leave of it. */
static void cast(int *votes, float *p, size_t count, float scale)
{
    const size_t block = option("block", 16384);
    const bool abstains = option("abstain", 0) != 0;
    float size = scale;

    for (size_t i = 0; i < count; i++) {
        const bool minus = p[i] < 0, none = abstains && p[i] == 0;

        if (scale == 0 && i % block == 0)
            size = mean_size(p + i, count - i < block ? count - i : block);
        votes[i] += none ? 0 : minus ? 1 : -1;
        if (!none)
            p[i] += minus ? size : -size;
        if (!isfinite(p[i]))
            p[i] = 0;
    }
}

/* Steps of all ranks at once, as the comment of ballot_feedback_step() says. */
static void feedback_expected(const struct tried *t,
                              const struct ballot_feedback *step,
                              uint64_t number, size_t count, float *parameters,
                              float *errors, int *votes)
{
    memset(votes, 0, count * sizeof(*votes));
    for (int r = 0; r < t->ranks; r++) {
        float *error = errors + (size_t)r * count;

        for (size_t i = 0; i < count; i++)
            error[i] = rough_gradient(r, number, i) + error[i];
        cast(votes, error, count, step->scale);
    }
    for (size_t i = 0; i < count; i++)
        parameters[i] -= step->rate * ((votes[i] > 0 ? -1.0f : 1.0f) +
                                       step->weight_decay * parameters[i]);
}

int feedback(void)
{
    const struct ballot_feedback step = {
        .rate = 0.01f,
        .scale = (float)option("scale", 0) / 1024,
        .weight_decay = 0.125f,
    };
    size_t count = option("count", 70001);
    struct tried t;
    float *parameters, *error, *gradient, *want, *errors;
    int *votes;

    open_tried(&t, NULL);
    parameters = need_memory(count * sizeof(float));
    error = need_memory(count * sizeof(float));
    gradient = need_memory(count * sizeof(float));
    want = need_memory(count * sizeof(float));
    errors = need_memory((size_t)t.ranks * count * sizeof(float));
    votes = need_memory(count * sizeof(int));
    for (uint64_t s = 0; s < option("steps", 20); s++) {
        for (size_t i = 0; i < count; i++)
            gradient[i] = rough_gradient(t.rank, s, i);
        need(ballot_feedback_step(parameters, error, gradient, count, &step,
                                  t.comm, NULL),
             t.comm, "feedback_step");
        feedback_expected(&t, &step, s, count, want, errors, votes);
        t.wrong += memcmp(parameters, want, count * sizeof(float)) != 0;
        t.wrong += memcmp(error, errors + (size_t)t.rank * count,
                          count * sizeof(float)) != 0;
        t.calls++;
    }
    t.digest = digest(0, parameters, count * sizeof(float));
    close_tried(&t, "feedback");
    free(parameters);
    free(error);
    free(gradient);
    free(want);
    free(errors);
    free(votes);
    return t.wrong != 0;
}
