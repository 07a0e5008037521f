/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_aspis.c - redundant rounds in which liars lie. Every rank knows all
 * that is cast, and holds each result and report against the jury's.
 */
#include "worker_jury.h"

#include <ballot_attack.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    VOTES_MAX = 4,     /* of a step */
    HONEST_SHOWN = 15, /* tasks that the liars look at */
    TERMS = 200,       /* of a distribution */
};

static const struct {
    size_t bits;
    uint64_t plus, minus; /* what +1 and -1 are */
} types[BALLOT_VOTE_TYPES] = {
    [BALLOT_FLOAT32] = {32, 0x3f800000, 0xbf800000},
    [BALLOT_FLOAT16] = {16, 0x3c00, 0xbc00},
    [BALLOT_BFLOAT16] = {16, 0x3f80, 0xbf80},
    [BALLOT_FLOAT64] = {64, 0x3ff0000000000000, 0xbff0000000000000},
    [BALLOT_SIGNS] = {1, 0, 1},
};

struct trial {
    struct ballot_comm *comm;
    struct ballot_config config;
    struct ballot_aspis_shape shape;
    struct ballot_cast cast;
    enum ballot_attack attack;
    struct jury jury;
    uint32_t steps, votes;
    size_t count, chunk;      /* of a step; of each vote's chunks */
    uint64_t dies, dies_at;   /* before which step these ranks end, */
    uint64_t stops, stops_at; /* or wait until they are continued */
    uint64_t flips;    /* signs of each replica that rounding turns around */
    uint64_t **truths; /* [tasks] */
    void *gradients[VOTES_MAX][64 * JURY_REPLICAS_MAX];
    void *recv[VOTES_MAX];
    uint64_t wrong, distorted, digest;
};

/* ---- What is cast ---- */

/* Tasks of a step agree in some coordinates, as gradients do. */
static void draw_truth(const struct trial *t, uint32_t step, uint32_t task)
{
    for (size_t w = 0; w < (t->count + 63) / 64; w++) {
        uint64_t own = mix(mix(mix(step + 1) + task) + w);
        uint64_t agreed = mix(mix(step + 77) + w);
        uint64_t where = mix(agreed);

        t->truths[task][w] = (own & ~where) | (agreed & where);
    }
    if (t->count % 64 != 0)
        t->truths[task][t->count / 64] &= (UINT64_C(1) << t->count % 64) - 1;
}

/* Each replica has its own, whoever holds it. */
static void flip(const struct trial *t, uint64_t *row, uint32_t step,
                 uint32_t task, uint32_t replica)
{
    uint64_t draw = mix(mix(step + 7) + 8 * task + replica);

    for (uint64_t f = 0; f < t->flips; f++, draw = mix(draw))
        row[draw % t->count / 64] ^= UINT64_C(1) << draw % t->count % 64;
}

static void draw_row(struct trial *t, uint32_t step, uint32_t task,
                     uint32_t replica)
{
    const struct jury_rules *rules = &t->jury.rules;
    const int *members = t->jury.members[task];
    uint64_t *row = t->jury.rows[task * rules->replicas + replica];
    enum ballot_part part = ballot_cast_part(&t->cast, members[replica], step,
                                             task, members, rules->replicas);
    const struct ballot_attack_scene scene = {
        .honest = (const void *const *)t->truths,
        .honest_count =
            rules->tasks < HONEST_SHOWN ? rules->tasks : HONEST_SHOWN,
        .seed = 3,
        .step = step,
        .task = task,
        .voice = ballot_cast_voice(&t->cast, members[replica]),
    };
    /* Not too far from honest replicas, nor from what is twice as far. */
    const uint64_t near =
        t->flips == 0 ? 1 : t->jury.rules.tolerance - t->flips;

    memcpy(row, t->truths[task], (t->count + 63) / 64 * 8);
    flip(t, row, step, task, replica);
    if (part == BALLOT_PART_TRUTH)
        return;
    if (ballot_attack_lie(t->attack, row, t->count, BALLOT_SIGNS, &scene) < 0)
        need(-EINVAL, NULL, "attack");
    if (part == BALLOT_PART_HALF)
        ballot_attack_limit(row, t->truths[task], t->count, near);
    else if (t->flips > 0 && t->cast.scheme == BALLOT_SCHEME_MATCHING)
        ballot_attack_limit(row, t->truths[task], t->count, 2 * near);
}

static void draw_step(struct trial *t, uint32_t step)
{
    for (uint32_t task = 0; task < t->shape.tasks; task++)
        draw_truth(t, step, task);
    for (uint32_t task = 0; task < t->shape.tasks; task++) {
        need(ballot_aspis_workers(t->comm, step, task, t->jury.members[task]),
             t->comm, "workers");
        for (uint32_t r = 0; r < t->shape.replicas; r++)
            draw_row(t, step, task, r);
    }
}

/* ---- Vectors ---- */

static bool bit(const uint64_t *row, size_t i)
{
    return row[i / 64] >> i % 64 & 1;
}

static size_t first_of(const struct trial *t, uint32_t vote)
{
    return t->count * vote / t->votes;
}

static size_t count_of(const struct trial *t, uint32_t vote)
{
    return first_of(t, vote + 1) - first_of(t, vote);
}

static enum ballot_type type_of(const struct trial *t, uint32_t step,
                                uint32_t vote)
{
    uint32_t type = (step + vote) % BALLOT_VOTE_TYPES;

    return type == BALLOT_SIGNS && t->config.tie == BALLOT_TIE_ZERO
               ? BALLOT_FLOAT32
               : (enum ballot_type)type;
}

static void put_value(void *vector, enum ballot_type type, size_t i,
                      uint64_t value)
{
    size_t bytes = types[type].bits / 8;

    if (type == BALLOT_SIGNS)
        ((uint64_t *)vector)[i / 64] |= value << i % 64;
    else
        memcpy((uint8_t *)vector + i * bytes, &value, bytes);
}

static uint64_t get_value(const void *vector, enum ballot_type type, size_t i)
{
    size_t bytes = types[type].bits / 8;
    uint64_t value = 0;

    if (type == BALLOT_SIGNS)
        return bit(vector, i);
    memcpy(&value, (const uint8_t *)vector + i * bytes, bytes);
    return value;
}

/* The rows of this rank, as one vote of its step takes them. */
static void fill(struct trial *t, uint32_t step, uint32_t vote,
                 const uint32_t *plan)
{
    const enum ballot_type type = type_of(t, step, vote);
    const uint32_t replicas = t->shape.replicas;

    for (uint32_t i = 0; i < t->shape.load; i++) {
        const int *members = t->jury.members[plan[i]];
        const uint64_t *row = NULL;
        void *vector = t->gradients[vote][i];

        for (uint32_t r = 0; r < replicas; r++)
            if (members[r] == ballot_comm_rank(t->comm))
                row = t->jury.rows[plan[i] * replicas + r];
        need(row == NULL ? -EINVAL : 0, NULL, "plan and workers differ");
        memset(vector, 0, count_of(t, vote) * 8 + 8);
        for (size_t c = 0; c < count_of(t, vote); c++)
            put_value(vector, type, c,
                      bit(row, first_of(t, vote) + c) ? types[type].minus
                                                      : types[type].plus);
    }
}

/* ---- Checks ---- */

/* As the comment of aggregate/ties.c defines it. */
static bool random_minus(uint64_t seed, uint64_t round, uint64_t i)
{
    uint64_t z[3] = {seed, 0, 0};

    for (int k = 0; k < 3; k++) {
        uint64_t x = z[k];

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        x ^= x >> 31;
        if (k == 2)
            return x >> i % 64 & 1;
        z[k + 1] = k == 0 ? x + round : x + (i / 64 + 1) * 0x9e3779b97f4a7c15;
    }
    return false;
}

static uint64_t expected(const struct trial *t, enum ballot_type type,
                         bool minus, bool tied, uint64_t round, uint64_t i)
{
    if (tied && t->config.tie == BALLOT_TIE_ZERO)
        return 0;
    if (tied)
        minus = t->config.tie == BALLOT_TIE_MINUS ||
                (t->config.tie == BALLOT_TIE_RANDOM &&
                 random_minus(t->config.seed, round, i));
    return minus ? types[type].minus : types[type].plus;
}

/* In how many coordinates the liars had their way. */
static void note_distortion(struct trial *t, size_t i, bool minus, bool tied)
{
    uint32_t sum = 0;

    for (uint32_t task = 0; task < t->shape.tasks; task++)
        sum += bit(t->truths[task], i);
    if (2 * sum != t->shape.tasks && !tied &&
        minus != (2 * sum > t->shape.tasks))
        t->distorted++;
}

static void check_vote(struct trial *t, uint32_t step, uint32_t vote,
                       uint32_t absent, uint64_t round)
{
    const enum ballot_type type = type_of(t, step, vote);
    bool *minus = need_memory(t->chunk), *tied = need_memory(t->chunk);

    for (size_t first = 0; first < count_of(t, vote); first += t->chunk) {
        size_t base = first_of(t, vote) + first;
        size_t left = count_of(t, vote) - first;
        size_t count = left < t->chunk ? left : t->chunk;

        jury_count(&t->jury, base, count, absent, minus, tied);
        for (size_t i = 0; i < count; i++) {
            uint64_t got = get_value(t->recv[vote], type, first + i);
            uint64_t want =
                expected(t, type, minus[i], tied[i], round, first + i);

            note_distortion(t, base + i, minus[i], tied[i]);
            if (got != want && t->wrong++ < 3)
                say("differs step=%u vote=%u i=%zu got=%llx want=%llx", step,
                    vote, first + i, (unsigned long long)got,
                    (unsigned long long)want);
        }
    }
    t->digest = digest(t->digest, t->recv[vote],
                       count_of(t, vote) * types[type].bits / 8);
    free(tied);
    free(minus);
}

static int popcount(uint32_t set)
{
    return __builtin_popcount(set);
}

static void check_report(struct trial *t, uint32_t step)
{
    const size_t max = option("disputes", 4096);
    struct ballot_dispute *disputes = need_memory(max * sizeof(*disputes) + 1);
    struct ballot_aspis_report report;
    int unlike;

    need(ballot_aspis_report(t->comm, &report, disputes, max), t->comm,
         "report");
    jury_end(&t->jury);
    unlike = jury_compare(&t->jury, &report, disputes, max);
    say("step number=%u wrong=%llu unlike=%d framed=%d caught=%d absent=%llx "
        "outcome=%d disputes=%llu dropped=%llu distorted=%llu digest=%llx",
        step, (unsigned long long)t->wrong, unlike,
        popcount(t->jury.byzantine & ~(uint32_t)t->cast.liars[0]),
        popcount(t->jury.byzantine & (uint32_t)t->cast.liars[0]),
        (unsigned long long)report.absent[0], (int)report.outcome,
        (unsigned long long)report.disputes, (unsigned long long)report.dropped,
        (unsigned long long)t->distorted, (unsigned long long)t->digest);
    free(disputes);
}

/* ---- A step ---- */

static void vote_all(struct trial *t, uint32_t step)
{
    struct ballot_request *requests[VOTES_MAX];

    for (uint32_t v = 0; v < t->votes; v++)
        need(ballot_aspis_vote((const void *const *)t->gradients[v], t->recv[v],
                               count_of(t, v), type_of(t, step, v), step,
                               t->comm, &requests[v]),
             t->comm, "aspis_vote");
    for (uint32_t v = 0; v < t->votes; v++)
        need(ballot_wait(&requests[v]), t->comm, "wait");
}

static void take_step(struct trial *t, uint32_t step)
{
    const uint32_t all = (1u << t->shape.workers) - 1;
    struct ballot_round round;
    uint32_t *plan = need_memory(t->shape.load * sizeof(*plan));

    if (step == t->dies_at && t->dies >> ballot_comm_rank(t->comm) & 1)
        _exit(0);
    if (step == t->stops_at && t->stops >> ballot_comm_rank(t->comm) & 1) {
        say("stops step=%u", step);
        raise(SIGSTOP);
    }
    draw_step(t, step);
    need(ballot_aspis_plan(t->comm, step, plan), t->comm, "plan");
    for (uint32_t v = 0; v < t->votes; v++)
        fill(t, step, v, plan);
    vote_all(t, step);
    need(ballot_comm_round(t->comm, &round), t->comm, "round");
    if (round.every[0] != round.some[0]) {
        say("mixed step=%u", step);
        exit(4);
    }
    jury_begin(&t->jury, step);
    for (uint32_t v = 0; v < t->votes; v++)
        check_vote(t, step, v, all & ~(uint32_t)round.every[0],
                   round.round - (t->votes - 1 - v));
    check_report(t, step);
    free(plan);
}

/* ---- The scenario ---- */

/* The least k so that k or more flips, of which `mean` are expected, are seen
 * less than once in 1e12. */
static uint64_t tolerance_of(double mean)
{
    double terms[TERMS] = {1}, all = 1, tail = 0;
    uint64_t k = TERMS;

    for (int i = 1; i < TERMS; i++) {
        terms[i] = terms[i - 1] * mean / i;
        all += terms[i];
    }
    while (k > 0 && (tail + terms[k - 1]) / all < 1e-12)
        tail += terms[--k];
    return k;
}

static void open_trial(struct trial *t)
{
    struct jury_rules rules;

    t->config = (struct ballot_config){
        .servers = (enum ballot_servers)option("servers", BALLOT_SERVERS_ROOT),
        .design = (enum ballot_design)option("design", BALLOT_DESIGN_STS),
        .rule = (enum ballot_rule)option("rule", BALLOT_RULE_PROOF),
        .evidence = (enum ballot_evidence)option("evidence", 0),
        .tie = (enum ballot_tie)option("tie", 0),
        .chunk = (uint32_t)option("chunk", 1024),
        .liars = (uint32_t)option("promise", 0),
        .seed = option("seed", 1),
    };
    t->comm = join(&t->config);
    need(ballot_aspis_shape(t->comm, &t->shape), t->comm, "shape");
    t->steps = (uint32_t)option("steps", 3);
    t->votes = (uint32_t)option("votes", 1);
    t->count = option("count", 2500);
    t->chunk = t->config.chunk;
    t->dies_at = option("dies_at", 0);
    t->dies = option("dies", 0);
    t->stops_at = option("stops_at", 0);
    t->stops = option("stops", 0);
    t->flips = option("flips", 0);
    rules = (struct jury_rules){
        .workers = t->shape.workers,
        .tasks = t->shape.tasks,
        .replicas = t->shape.replicas,
        .liars_max =
            t->config.liars != 0 ? t->config.liars : (t->shape.workers - 1) / 2,
        .paper = t->config.rule != BALLOT_RULE_PROOF,
        .plus = t->config.rule == BALLOT_RULE_PAPER_PLUS,
        .keep = t->config.evidence == BALLOT_EVIDENCE_KEEP,
        .tolerance = t->flips == 0 ? 0 : tolerance_of(2 * (double)t->flips),
    };
    jury_open(&t->jury, &rules, t->count);
}

static void open_cast(struct trial *t)
{
    const uint32_t scheme =
        (uint32_t)option("scheme", BALLOT_SCHEME_INDEPENDENT);

    t->attack = (enum ballot_attack)option("attack", BALLOT_ATTACK_REVERSED);
    need(ballot_cast_draw(&t->cast, (enum ballot_scheme)scheme,
                          t->shape.workers, (uint32_t)option("liars", 0),
                          option("seed", 1)),
         NULL, "cast");
    if (t->attack == BALLOT_ATTACK_SILENT)
        t->dies = t->cast.liars[0];
    if (t->config.servers == BALLOT_SERVERS_ROOT)
        t->dies &= ~UINT64_C(1); /* it counts */
    t->truths = need_memory(t->shape.tasks * sizeof(*t->truths));
    for (uint32_t task = 0; task < t->shape.tasks; task++)
        t->truths[task] = need_memory(t->count / 8 + 16);
    for (uint32_t v = 0; v < t->votes; v++) {
        t->recv[v] = need_memory(t->count * 8 + 8);
        for (uint32_t i = 0; i < t->shape.load; i++)
            t->gradients[v][i] = need_memory(count_of(t, v) * 8 + 8);
    }
}

static void close_trial(struct trial *t)
{
    for (uint32_t v = 0; v < t->votes; v++) {
        free(t->recv[v]);
        for (uint32_t i = 0; i < t->shape.load; i++)
            free(t->gradients[v][i]);
    }
    for (uint32_t task = 0; task < t->shape.tasks; task++)
        free(t->truths[task]);
    free(t->truths);
    jury_close(&t->jury);
    need(ballot_comm_finalize(&t->comm), NULL, "finalize");
}

int aspis(void)
{
    static struct trial trial;
    struct trial *t = &trial;
    int released = (int)option("release", 1000);

    open_trial(t);
    open_cast(t);
    for (uint32_t step = 0; step < t->steps; step++) {
        take_step(t, step);
        if (released < (int)t->shape.workers) {
            need(ballot_aspis_release(t->comm, released), t->comm, "release");
            jury_release(&t->jury, (uint32_t)released);
        }
    }
    close_trial(t);
    return 0;
}

/* ---- What is refused ---- */

static void refused(struct ballot_comm *comm, const char *what, int rc)
{
    say("refused what=%s rc=%d text=%s", what, rc, ballot_last_error(comm));
}

int designs(void)
{
    struct ballot_config config = {
        .servers = BALLOT_SERVERS_ROOT,
        .design = (enum ballot_design)option("design", 0),
        .tie = BALLOT_TIE_ZERO,
    };
    struct ballot_aspis_report report;
    struct ballot_comm *comm;
    const void *gradients[64] = {NULL};
    uint32_t tasks[64];
    uint64_t word;
    int rc = ballot_comm_init_env(&comm, &config);

    if (rc < 0) {
        refused(NULL, "init", rc);
        return 0;
    }
    refused(comm, "plan", ballot_aspis_plan(comm, 0, tasks));
    refused(
        comm, "null",
        ballot_aspis_vote(gradients, &word, 64, BALLOT_FLOAT32, 0, comm, NULL));
    for (int i = 0; i < 64; i++)
        gradients[i] = &word;
    refused(
        comm, "zero",
        ballot_aspis_vote(gradients, &word, 64, BALLOT_SIGNS, 0, comm, NULL));
    refused(
        comm, "type",
        ballot_aspis_vote(gradients, &word, 64, BALLOT_INT32, 0, comm, NULL));
    refused(comm, "list", ballot_aspis_report(comm, &report, NULL, 1));
    refused(comm, "worker", ballot_aspis_release(comm, 99));
    refused(comm, "arbiter", ballot_aspis_arbiter(comm, NULL, NULL));
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return 0;
}
