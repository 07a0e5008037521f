/* SPDX-License-Identifier: Apache-2.0 */
/* oracle.c - counts every vote again, and compares. */
#include "oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "liar.h"

enum {
    CHUNK_WORDS_MAX = 1536 / 64,
    CHUNKS_MAX = 256, /* that are counted in groups at a time */
};

static struct oracle *watching;

/* Private copies of the rows of one vote. */
struct rows {
    uint32_t count;
    uint32_t voter[PLAN_RANKS_MAX], slot[PLAN_RANKS_MAX];
    struct header header[PLAN_RANKS_MAX];
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
        const uint8_t *memory = (const uint8_t *)vote->signs[i];
        const uint32_t row = rows->count++;

        if (!sim_find_slot(o->sim, o->server, memory, &rows->voter[row],
                           &rows->slot[row])) {
            run_fail(o->run, "row %u is in no slot of server %u", i, o->server);
            return;
        }
        memcpy(&rows->header[row], memory - 64, 64);
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
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t weight = o->plan->weights[rows->voter[i]];
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

/* The documented hash of random ties. */
static uint64_t random_ties(const struct plan *plan, uint64_t round,
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
        minus |= tied & random_ties(o->plan, round, word);
    truth->signs[word] = minus;
    truth->zeros[word] = o->plan->rules.ties == TIES_ZERO ? tied : 0;
}

/* ---- Who was counted ----------------------------------------------------- */

static bool calls_as_agreed(const struct header *h,
                            const struct planned_call *call)
{
    uint64_t first = (uint64_t)h->call.chunk * call->chunk_coordinates;

    return first < call->count && h->call.count == call->count &&
           h->call.detail == call->chunk_coordinates &&
           h->call.type == call->type && h->call.op == call->kind &&
           h->call.coordinates == (call->count - first < call->chunk_coordinates
                                       ? call->count - first
                                       : call->chunk_coordinates);
}

/* A sound voter's row is its own, of this round and chunk and no other. */
static void check_row(const struct oracle *o, const struct rows *rows,
                      uint32_t i, const struct header *agreed,
                      const struct planned_call *call, size_t words)
{
    const struct header *h = &rows->header[i];
    uint32_t voter = rows->voter[i];
    uint32_t first = h->call.chunk * (call->chunk_coordinates / 64);

    if (memcmp(&h->call, &agreed->call, sizeof(h->call)) != 0 ||
        h->sequence != agreed->sequence || h->flags != 0 ||
        h->epoch != PLAN_EPOCH ||
        h->sequence % o->plan->window != rows->slot[i]) {
        run_fail(o->run,
                 "server %u counts a put of rank %u for round %" PRIu64
                 " chunk %u, sequence %" PRIu64 " as round %" PRIu64
                 " chunk %u, sequence %" PRIu64,
                 o->server, voter, h->call.round, h->call.chunk, h->sequence,
                 agreed->call.round, agreed->call.chunk, agreed->sequence);
        return;
    }
    for (uint32_t w = 0; w < words; w++) {
        uint64_t signs =
            plan_signs(o->plan, voter, h->call.round, call, first + w);
        uint64_t marks =
            plan_marks(o->plan, voter, h->call.round, call, first + w);

        if (rows->signs[i][w] != signs ||
            (o->plan->rules.zeros_abstain && rows->marks[i][w] != marks))
            run_fail(o->run,
                     "server %u: round %" PRIu64 " chunk %u, word %u of rank "
                     "%u is not what that rank has",
                     o->server, h->call.round, h->call.chunk, w, voter);
    }
}

/* The header line of some rank that does not lie; NULL if there is none. */
static const struct header *honest_header(const struct oracle *o,
                                          const struct rows *rows)
{
    for (uint32_t i = 0; i < rows->count; i++)
        if (o->plan->roles[rows->voter[i]] != ROLE_LIAR)
            return &rows->header[i];
    return NULL;
}

/* Whether enough voters were counted, and none that must not be. */
static void check_voters(const struct oracle *o, const struct rows *rows,
                         const struct header *agreed, struct verdict *verdict)
{
    const struct plan *plan = o->plan;
    uint32_t wanted = plan->quorum, live = 0;
    bool agree = true; /* no put that is in can be left out of the count */

    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t voter = rows->voter[i];

        if (mask_has(&verdict->voters, voter))
            run_fail(o->run, "rank %u is counted twice", voter);
        if (o->links[voter].lost)
            run_fail(o->run, "rank %u is counted after its loss", voter);
        mask_set(&verdict->voters, voter);
    }
    verdict->voters_count = rows->count;
    for (uint32_t v = 0; v < plan->ranks; v++) {
        struct planned_call call;

        live += !o->links[v].lost;
        agree = agree && plan->roles[v] != ROLE_LIAR &&
                plan->roles[v] != ROLE_DIFFERS;
        if (plan->quorum != 0)
            continue;
        plan_call(plan, v, agreed->call.round, &call);
        wanted += !call.abstain || plan->roles[v] == ROLE_LIAR;
    }
    if (plan->quorum == 0 ? rows->count != wanted && plan->faulty == 0
                          : rows->count < wanted)
        run_fail(o->run, "%u voters are counted, %u are wanted", rows->count,
                 wanted);
    if (plan->quorum == 0 || rows->count == live)
        return;
    o->run->fates[FATE_MINORITY_MISSING]++;
    if (agree && !o->disturbed &&
        sim_now(o->sim) <
            o->rounds[agreed->call.round].first_ns + plan->grace_ns)
        run_fail(o->run, "%u of %u voters are counted before the grace is over",
                 rows->count, live);
}

static void judge(struct oracle *o, const struct vote *vote,
                  const struct rows *rows)
{
    const struct header *agreed = honest_header(o, rows);
    struct planned_call call;
    struct verdict *verdict;
    uint32_t first;

    if (agreed == NULL || agreed->call.round >= o->plan->rounds) {
        run_fail(o->run, "server %u counts nothing that was called", o->server);
        return;
    }
    plan_agreed_call(o->plan, agreed->call.round, &call);
    if (!calls_as_agreed(agreed, &call) ||
        vote->words != (agreed->call.coordinates + 511) / 512 * 8) {
        run_fail(o->run, "server %u counts a call that was not agreed on",
                 o->server);
        return;
    }
    verdict = &o->rounds[agreed->call.round].chunks[agreed->call.chunk];
    if (verdict->counted)
        run_fail(o->run, "round %" PRIu64 " chunk %u is counted twice",
                 agreed->call.round, agreed->call.chunk);
    verdict->counted = true;
    for (uint32_t i = 0; i < rows->count; i++)
        if (o->plan->roles[rows->voter[i]] != ROLE_LIAR)
            check_row(o, rows, i, agreed, &call,
                      (agreed->call.coordinates + 63) / 64);
    check_voters(o, rows, agreed, verdict);
    first = agreed->call.chunk * (call.chunk_coordinates / 64);
    for (uint32_t w = 0; w < vote->words; w++) {
        struct weighed sums;
        uint32_t total = weigh(o, rows, w, &sums);

        check_kernel(o, vote, &sums, total, w);
        if ((uint64_t)(first + w) * 64 < call.count)
            settle(o, &sums, agreed->call.round, &call, first + w);
    }
    run_trace(o->run, "counted", o->server, agreed->call.round,
              agreed->call.chunk, rows->count);
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
    rows.count = 0;
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
        held[i].rows.count = 0;
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

    if (!has_room(o, &vote, rows->count))
        return;
    liar_disturbs(o, &vote, false);
    copy_rows(o, &vote, rows);
    o->real->count(count);
    liar_disturbs(o, &vote, true);
    if (count->result == NULL)
        return;
    o->run->votes++;
    o->run->fates[FATE_COUNTED_AHEAD]++;
    vote.voters = rows->count;
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
    return 0;
}

void oracle_close(struct oracle *oracle)
{
    free(oracle->rounds);
    watching = NULL;
}

void oracle_watch(struct oracle *oracle, uint32_t server,
                  const struct link *links)
{
    watching = oracle;
    oracle->server = server;
    oracle->links = links;
}
