/* SPDX-License-Identifier: Apache-2.0 */
/* redundant.c - watches what a server makes of calls with rows. */
#include <inttypes.h>
#include <string.h>

#include "collective/inquest.h"
#include "jury.h"
#include "liar.h"
#include "voters.h"

enum {
    WORKERS_MAX_HERE = 15,
    ROW_WORDS_MAX = 1536 / 64,
    LOAD_MAX = 15, /* of seven ranks, in subsets */
};

/* Private copies of all rows of a chunk. */
static struct replicas {
    uint64_t signs[WORKERS_MAX_HERE][LOAD_MAX * ROW_WORDS_MAX];
    const uint64_t *rows[WORKERS_MAX_HERE];
} replicas;

static void copy_replicas(const struct voters *voters,
                          const struct inquest_chunk *chunk, uint32_t ranks)
{
    const size_t words = lines_for(chunk->call->coordinates) * LINE_WORDS;
    const size_t rows = chunk->call->rows == ROWS_NONE ? 0 : chunk->call->rows;

    for (uint32_t r = 0; r < ranks; r++)
        replicas.rows[r] = NULL;
    for (uint32_t i = 0; i < voters->count; i++) {
        const uint32_t r = voters->rank[i];

        memcpy(replicas.signs[r], chunk->rows[r], rows * words * 8);
        replicas.rows[r] = replicas.signs[r];
    }
}

/* A rank that does not lie has said what it has of each of its tasks. */
static void check_replicas(const struct oracle *o, const struct voters *voters,
                           const struct counted *counted)
{
    const struct call *c = &counted->agreed->call;
    const size_t words = lines_for(c->coordinates) * LINE_WORDS;
    const uint32_t first = c->chunk * (counted->call.chunk_coordinates / 64);

    for (uint32_t i = 0; i < voters->count; i++) {
        const uint32_t rank = voters->rank[i];
        const uint16_t *tasks = jury_tasks(o->jury, rank, c->detail);

        if (o->plan->roles[rank] == ROLE_LIAR)
            continue;
        for (uint32_t row = 0; row < c->rows; row++)
            for (uint32_t w = 0; w < (c->coordinates + 63) / 64; w++)
                if (replicas.signs[rank][row * words + w] !=
                    plan_row(o->plan, rank, c->round, &counted->call,
                             tasks[row], first + w))
                    run_fail(o->run,
                             "round %" PRIu64 " chunk %u: word %u of row %u of "
                             "rank %u is not what that rank has",
                             c->round, c->chunk, w, row, rank);
    }
}

/* What the votes amount to, before ties are drawn. */
static void recount(struct oracle *o, const struct inquest_chunk *chunk,
                    uint64_t *signs, uint64_t *ties)
{
    const struct verifier_chunk again = {
        .rows = replicas.rows,
        .coordinates = chunk->call->coordinates,
        .result = signs,
        .ties = ties,
        .minus = chunk->minus,
    };

    memset(signs, 0, ROW_WORDS_MAX * 8);
    memset(ties, 0, ROW_WORDS_MAX * 8);
    switch (chunk->call->op) {
    case KIND_TASKS:
        jury_count(o->jury, o->run, chunk->call->detail, &again);
        break;
    case KIND_RELEASE:
        jury_asked(o->jury, o->run);
        jury_released(o->jury, o->run, chunk->call->detail);
        break;
    default:
        jury_asked(o->jury, o->run);
        /* Held against the jury as soon as it is there as a whole. */
        memcpy(signs, chunk->result,
               lines_for(chunk->call->coordinates) * LINE_BYTES);
        break;
    }
}

static void check_report(const struct oracle *o, const struct counted *counted)
{
    const struct call *c = &counted->agreed->call;
    const struct truth *truth = &o->rounds[c->round];
    uint64_t first = 0;

    for (uint32_t i = 0; first < c->count; i++) {
        if (!truth->chunks[i].counted)
            return;
        first += counted->call.chunk_coordinates;
    }
    jury_reported(o->jury, o->run, (const uint8_t *)truth->signs);
}

static void judge(struct oracle *o, const struct inquest_chunk *chunk,
                  const struct voters *voters)
{
    _Alignas(LINE_BYTES) uint64_t signs[ROW_WORDS_MAX], ties[ROW_WORDS_MAX];
    const struct plan *plan = o->plan;
    const size_t words = lines_for(chunk->call->coordinates) * LINE_WORDS;
    struct counted counted;
    struct truth *truth;
    uint32_t first;

    if (!voters_judge(voters, o, chunk->call->coordinates, &counted))
        return;
    if (counted.call.kind == KIND_TASKS)
        check_replicas(o, voters, &counted);
    recount(o, chunk, signs, ties);
    if (memcmp(chunk->result, signs, words * 8) != 0 ||
        (chunk->ties != NULL && memcmp(chunk->ties, ties, words * 8) != 0))
        run_fail(o->run,
                 "server %u: round %" PRIu64
                 " chunk %u over tasks is not what the recount gives",
                 o->server, chunk->call->round, chunk->call->chunk);
    truth = &o->rounds[counted.agreed->call.round];
    first = counted.agreed->call.chunk * (plan->coordinates_max / 64);
    for (uint32_t w = 0; w < (chunk->call->coordinates + 63) / 64; w++) {
        uint64_t drawn = 0;

        if (plan->rules.ties == TIES_RANDOM)
            drawn = ties[w] &
                    oracle_random_ties(plan, chunk->call->round, first + w);
        truth->signs[first + w] = signs[w] | drawn;
        truth->zeros[first + w] = plan->rules.ties == TIES_ZERO ? ties[w] : 0;
    }
    if (counted.call.kind == KIND_REPORT)
        check_report(o, &counted);
}

void __real_inquest_count(struct inquest *inquest,
                          const struct inquest_chunk *chunk);
void __wrap_inquest_count(struct inquest *inquest,
                          const struct inquest_chunk *chunk);

/* In the place of inquest_count(), by the linker. */
void __wrap_inquest_count(struct inquest *inquest,
                          const struct inquest_chunk *chunk)
{
    struct oracle *o = oracle_watching();
    static struct voters voters;
    const uint64_t *votes[PLAN_RANKS_MAX];
    struct vote vote = {.signs = votes};

    o->run->votes++;
    for (uint32_t r = 0; r < o->plan->ranks; r++)
        if (chunk->rows[r] != NULL)
            votes[vote.voters++] = chunk->rows[r];
    liar_disturbs(o, &vote, false);
    voters.count = 0;
    for (uint32_t i = 0; i < vote.voters; i++)
        if (!voters_add(&voters, o, votes[i]))
            return;
    copy_replicas(&voters, chunk, o->plan->ranks);
    __real_inquest_count(inquest, chunk);
    liar_disturbs(o, &vote, true);
    if (!o->run->failed)
        judge(o, chunk, &voters);
}
