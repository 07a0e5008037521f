/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.c - counts every vote again, and compares. */
#include "oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "liar.h"
#include "voters.h"

enum {
    CHUNK_WORDS_MAX = 1536 / 64,
    CHUNKS_MAX = 256, /* that are counted in groups at a time */
};

static struct oracle *watching;

/* Private copies of the rows of one vote. */
struct rows {
    struct voters voters;
    uint64_t signs[PLAN_RANKS_MAX][CHUNK_WORDS_MAX];
    uint64_t marks[PLAN_RANKS_MAX][CHUNK_WORDS_MAX];
};

/* What the planes of one chunk hold. */
struct held {
    const uint64_t *planes;
    struct rows rows;
};

/* Weights of one word of coordinates. */
struct weighed {
    uint32_t minus[64], plus[64];
};

/* ---- The count ----------------------------------------------------------- */

/* Adds the rows of `vote`. */
static void copy_rows(struct oracle *o, const struct vote *vote,
                      struct rows *rows)
{
    for (uint32_t i = 0; i < vote->voters; i++) {
        const uint32_t row = rows->voters.count;

        if (!voters_add(&rows->voters, o, vote->signs[i]))
            return;
        memcpy(rows->signs[row], vote->signs[i], vote->words * 8);
        if (vote->marks != NULL)
            memcpy(rows->marks[row], vote->marks[i], vote->words * 8);
        else
            memset(rows->marks[row], 0xff, vote->words * 8);
    }
}

static uint32_t weigh(const struct oracle *o, const struct rows *rows,
                      size_t word, struct weighed *sums)
{
    uint32_t total = 0;

    memset(sums, 0, sizeof(*sums));
    for (uint32_t i = 0; i < rows->voters.count; i++) {
        uint32_t weight = o->plan->weights[rows->voters.rank[i]];
        uint64_t minus = rows->signs[i][word] & rows->marks[i][word];
        uint64_t plus = ~rows->signs[i][word] & rows->marks[i][word];

        for (uint32_t b = 0; b < 64; b++) {
            sums->minus[b] += weight * (uint32_t)(minus >> b & 1);
            sums->plus[b] += weight * (uint32_t)(plus >> b & 1);
        }
        total += weight;
    }
    return total;
}

/* The words that the kernel gave, against their specification. */
static void check_kernel(const struct oracle *o, const struct vote *vote,
                         const struct weighed *sums, uint32_t total,
                         size_t word)
{
    uint64_t result = 0, ties = 0;

    for (uint32_t b = 0; b < 64; b++) {
        uint32_t counter = sums->minus[b];

        if (vote->marks != NULL)
            counter += total - sums->plus[b];
        result |= (uint64_t)(counter >= vote->threshold) << b;
        ties |= (uint64_t)(counter == vote->threshold - 1) << b;
    }
    if (vote->result[word] != result ||
        (vote->ties != NULL && vote->ties[word] != ties))
        run_fail(o->run,
                 "server %u: the kernel counts word %zu as %016" PRIx64
                 ", the recount gives %016" PRIx64,
                 o->server, word, vote->result[word], result);
}

uint64_t oracle_random_ties(const struct plan *plan, uint64_t round,
                            uint64_t word)
{
    uint64_t z[2] = {plan->rules.seed, 0};

    for (int i = 0; i < 2; i++) {
        uint64_t x = z[0] + (i == 0 ? 0 : round);

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        z[0] = x ^ x >> 31;
    }
    z[1] = z[0] + (word + 1) * 0x9e3779b97f4a7c15;
    z[1] = (z[1] ^ z[1] >> 30) * 0xbf58476d1ce4e5b9;
    z[1] = (z[1] ^ z[1] >> 27) * 0x94d049bb133111eb;
    return z[1] ^ z[1] >> 31;
}

/* Settles one word of the round: more minus than plus, or the rule of ties. */
static void settle(const struct oracle *o, const struct weighed *sums,
                   uint64_t round, const struct planned_call *call,
                   uint64_t word)
{
    struct truth *truth = &o->rounds[round];
    uint64_t minus = 0, tied = 0;

    for (uint32_t b = 0; b < 64 && 64 * word + b < call->count; b++) {
        minus |= (uint64_t)(sums->minus[b] > sums->plus[b]) << b;
        tied |= (uint64_t)(sums->minus[b] == sums->plus[b]) << b;
    }
    if (o->plan->rules.ties == TIES_MINUS)
        minus |= tied;
    if (o->plan->rules.ties == TIES_RANDOM)
        minus |= tied & oracle_random_ties(o->plan, round, word);
    truth->signs[word] = minus;
    truth->zeros[word] = o->plan->rules.ties == TIES_ZERO ? tied : 0;
}

/* A sound voter's row is its own. */
static void check_row(const struct oracle *o, const struct rows *rows,
                      uint32_t i, const struct counted *counted, size_t words)
{
    const struct call *h = &counted->agreed->call;
    uint32_t voter = rows->voters.rank[i];
    uint32_t first = h->chunk * (counted->call.chunk_coordinates / 64);

    for (uint32_t w = 0; w < words; w++) {
        uint64_t signs =
            plan_signs(o->plan, voter, h->round, &counted->call, first + w);
        uint64_t marks =
            plan_marks(o->plan, voter, h->round, &counted->call, first + w);

        if (rows->signs[i][w] != signs ||
            (o->plan->rules.zeros_abstain && rows->marks[i][w] != marks))
            run_fail(o->run,
                     "server %u: round %" PRIu64 " chunk %u, word %u of rank "
                     "%u is not what that rank has",
                     o->server, h->round, h->chunk, w, voter);
    }
}

static void judge(struct oracle *o, const struct vote *vote,
                  const struct rows *rows)
{
    struct counted counted;
    const struct call *agreed;
    uint32_t first;

    if (!voters_judge(&rows->voters, o, (uint32_t)vote->words * 64, &counted))
        return;
    agreed = &counted.agreed->call;
    for (uint32_t i = 0; i < rows->voters.count; i++)
        if (o->plan->roles[rows->voters.rank[i]] != ROLE_LIAR)
            check_row(o, rows, i, &counted, (agreed->coordinates + 63) / 64);
    first = agreed->chunk * (counted.call.chunk_coordinates / 64);
    for (uint32_t w = 0; w < vote->words; w++) {
        struct weighed sums;
        uint32_t total = weigh(o, rows, w, &sums);

        check_kernel(o, vote, &sums, total, w);
        if ((uint64_t)(first + w) * 64 < counted.call.count)
            settle(o, &sums, agreed->round, &counted.call, first + w);
    }
}

/* Whether rows of `vote` can be added to `before` others. */
static bool has_room(struct oracle *o, const struct vote *vote, uint32_t before)
{
    if (vote->words <= CHUNK_WORDS_MAX &&
        before + vote->voters <= o->plan->ranks)
        return true;
    run_fail(o->run, "server %u counts %u voters of %zu words", o->server,
             before + vote->voters, vote->words);
    if (vote->result != NULL)
        memset(vote->result, 0, CHUNK_WORDS_MAX * 8);
    return false;
}

/* In the place of the kernel's vote. */
static void vote_watched(const struct vote *vote)
{
    static struct rows rows;
    struct oracle *o = watching;

    o->run->votes++;
    if (!has_room(o, vote, 0))
        return;
    liar_disturbs(o, vote, false);
    rows.voters.count = 0;
    copy_rows(o, vote, &rows);
    o->real->vote(vote);
    liar_disturbs(o, vote, true);
    if (!o->run->failed)
        judge(o, vote, &rows);
}

static struct held held[CHUNKS_MAX];

/* What was counted into these planes, nothing with the first group. */
static struct rows *rows_held(const struct count *count)
{
    uint32_t i = 0;

    while (i + 1 < CHUNKS_MAX && held[i].planes != NULL &&
           held[i].planes != count->planes)
        i++;
    held[i].planes = count->planes;
    if (count->first)
        held[i].rows.voters.count = 0;
    return &held[i].rows;
}

/* In the place of the kernel's count: the last group is the vote. */
static void count_watched(const struct count *count)
{
    struct oracle *o = watching;
    struct rows *rows = rows_held(count);
    struct vote vote = {
        .result = count->result,
        .ties = count->ties,
        .signs = count->signs,
        .voters = count->voters,
        .threshold = count->threshold,
        .words = count->words,
    };

    if (!has_room(o, &vote, rows->voters.count))
        return;
    liar_disturbs(o, &vote, false);
    copy_rows(o, &vote, rows);
    o->real->count(count);
    liar_disturbs(o, &vote, true);
    if (count->result == NULL)
        return;
    o->run->votes++;
    o->run->fates[FATE_COUNTED_AHEAD]++;
    vote.voters = rows->voters.count;
    if (!o->run->failed)
        judge(o, &vote, rows);
}

int oracle_open(struct oracle *oracle, const struct plan *plan, struct sim *sim,
                struct run *run)
{
    *oracle = (struct oracle){.plan = plan, .sim = sim, .run = run};
    oracle->rounds = calloc(plan->rounds, sizeof(*oracle->rounds));
    oracle->real = kernels_pick(plan->kernels);
    if (oracle->rounds == NULL || oracle->real == NULL)
        return -1;
    oracle->kernels = *oracle->real;
    oracle->kernels.vote = vote_watched;
    oracle->kernels.count = count_watched;
    memset(held, 0, sizeof(held));
    return plan->load > 0 ? jury_open(&oracle->jury, plan) : 0;
}

void oracle_close(struct oracle *oracle)
{
    free(oracle->rounds);
    jury_close(oracle->jury);
    watching = NULL;
}

struct oracle *oracle_watching(void)
{
    return watching;
}

void oracle_watch(struct oracle *oracle, uint32_t server,
                  const struct link *links)
{
    watching = oracle;
    oracle->server = server;
    oracle->links = links;
}
