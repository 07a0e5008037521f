/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - a round seen from a server: carries out what the tally says. */
#include "serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/memory.h"
#include "ahead.h"
#include "inquest.h"
#include "lanes.h"

struct serve {
    struct serve_config config;
    struct tally *tally;
    uint8_t *weights;                /* [ranks] or NULL */
    const uint8_t **slots;           /* [ranks][window]: where each put lies */
    const uint64_t **signs, **marks; /* [ranks]: rows of the vote under way */
    uint8_t *row_weights;            /* [ranks] of these rows */
    uint64_t *row_dissent;           /* [ranks] of these rows, or NULL */
    uint64_t *differing, *counted;   /* [ranks], or NULL: serve_dissent() */
    uint8_t *kept;                   /* [kept] results: signs, then ties */
    size_t kept_bytes;               /* of one result */
    struct ahead *ahead;             /* NULL: votes wait for each other */
    struct serve_counts counts;
};

static size_t plane_bytes(uint32_t coordinates)
{
    return lines_for(coordinates) * LINE_BYTES;
}

static int allocate_dissent(struct serve *s)
{
    uint32_t ranks = s->config.tally.shape.ranks;

    if (!s->config.dissent)
        return 0;
    s->row_dissent = calloc(ranks, sizeof(*s->row_dissent));
    s->differing = calloc(ranks, sizeof(*s->differing));
    s->counted = calloc(ranks, sizeof(*s->counted));
    if (s->row_dissent == NULL || s->differing == NULL || s->counted == NULL)
        return -ENOMEM;
    return 0;
}

/* Only for many ranks, and plain votes on rows that stay in the caches. */
static int open_ahead(struct serve *s)
{
    const struct serve_config *config = &s->config;
    const struct shape *shape = &config->tally.shape;
    const struct ahead_config ahead = {
        .kernels = config->kernels,
        .slots = s->slots,
        .ranks = shape->ranks,
        .window = config->tally.window,
        .group = config->ahead.group > 0 ? config->ahead.group : AHEAD_GROUP,
        .coordinates_max = shape->coordinates_max,
    };
    uint32_t least =
        config->ahead.ranks > 0 ? config->ahead.ranks : AHEAD_RANKS;

    if (shape->ranks < least || config->rules.zeros_abstain ||
        config->rules.weights != NULL || config->dissent ||
        shape->ranks * plane_bytes(shape->coordinates_max) >= FAR_BYTES)
        return 0;
    return ahead_open(&s->ahead, &ahead);
}

static int allocate(struct serve *s)
{
    const struct tally_config *t = &s->config.tally;
    uint32_t ranks = t->shape.ranks;
    void *kept;
    int rc;

    s->slots = calloc((size_t)ranks * t->window, sizeof(*s->slots));
    s->signs = calloc(ranks, sizeof(*s->signs));
    s->marks = calloc(ranks, sizeof(*s->marks));
    s->row_weights = calloc(ranks, 1);
    /* Random ties need the second plane only here. */
    s->kept_bytes = plane_bytes(t->shape.coordinates_max) *
                    (s->config.rules.ties == TIES_ZERO ||
                             s->config.rules.ties == TIES_RANDOM
                         ? 2
                         : 1);
    rc = memory_map(&kept, s->kept_bytes * t->kept);
    if (rc < 0)
        return rc;
    s->kept = kept;
    if (s->config.rules.weights != NULL) {
        s->weights = malloc(ranks);
        if (s->weights != NULL)
            memcpy(s->weights, s->config.rules.weights, ranks);
    }
    if (s->slots == NULL || s->signs == NULL || s->marks == NULL ||
        s->row_weights == NULL ||
        (s->config.rules.weights != NULL && s->weights == NULL))
        return -ENOMEM;
    rc = allocate_dissent(s);
    return rc < 0 ? rc : open_ahead(s);
}

int serve_open(struct serve **serve, const struct serve_config *config)
{
    struct serve *s = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL)
        return -ENOMEM;
    s->config = *config;
    rc = tally_open(&s->tally, &config->tally);
    if (rc == 0)
        rc = allocate(s);
    if (rc < 0) {
        serve_close(s);
        return rc;
    }
    *serve = s;
    return 0;
}

void serve_close(struct serve *serve)
{
    if (serve == NULL)
        return;
    if (serve->kept != NULL)
        memory_unmap(serve->kept, serve->kept_bytes * serve->config.tally.kept);
    ahead_close(serve->ahead);
    free(serve->counted);
    free(serve->differing);
    free(serve->row_dissent);
    free(serve->weights);
    free(serve->row_weights);
    free(serve->marks);
    free(serve->signs);
    free(serve->slots);
    tally_close(serve->tally);
    free(serve);
}

void serve_arrived(struct serve *serve, uint64_t now_ns,
                   const struct event *event, uint32_t slot)
{
    const struct tally_config *t = &serve->config.tally;
    struct header header;
    enum tally_verdict verdict;

    /* The only look at the header line: the voter may write it again. */
    memcpy(&header, event->memory, sizeof(header));
    serve->slots[(size_t)event->peer * t->window + slot] = event->memory;
    verdict = tally_arrived(serve->tally, now_ns, event->peer, slot, &header,
                            event->bytes);
    if (verdict == TALLY_TAKEN && serve->ahead != NULL && header.call.rows == 0)
        ahead_taken(serve->ahead, event->peer, slot, &header);
    if (verdict == TALLY_LATE)
        serve->counts.votes_late++;
    if (verdict == TALLY_DROPPED)
        serve->counts.dropped++;
    else
        serve->counts.bytes_in += event->bytes;
}

void serve_lost(struct serve *serve, uint64_t now_ns, uint32_t rank)
{
    if (serve->ahead != NULL)
        ahead_lost(serve->ahead, rank);
    tally_lost(serve->tally, now_ns, rank);
}

void serve_tick(struct serve *serve, uint64_t now_ns)
{
    if (now_ns >= tally_deadline(serve->tally))
        tally_tick(serve->tally, now_ns);
}

uint64_t serve_deadline(const struct serve *serve)
{
    return tally_deadline(serve->tally);
}

void serve_count(const struct serve *serve, struct serve_counts *counts)
{
    *counts = serve->counts;
}

void serve_dissent(const struct serve *serve, uint64_t *differing,
                   uint64_t *counted)
{
    size_t bytes = serve->config.tally.shape.ranks * sizeof(*differing);

    if (!serve->config.dissent) {
        memset(differing, 0, bytes);
        memset(counted, 0, bytes);
        return;
    }
    memcpy(differing, serve->differing, bytes);
    memcpy(counted, serve->counted, bytes);
}

/* Collects the rows that `mask` names; returns the sum of their weights. */
static uint32_t collect_rows(struct serve *s,
                             const struct tally_command *command,
                             uint32_t *rows)
{
    const struct tally_config *t = &s->config.tally;
    size_t plane = plane_bytes(command->header.call.coordinates);
    uint32_t count = 0, weight = 0;

    for (uint32_t v = 0; v < t->shape.ranks; v++) {
        const uint8_t *slot;

        if (!mask_has(command->mask, v))
            continue;
        slot = s->slots[(size_t)v * t->window + command->slot];
        s->signs[count] = (const uint64_t *)(const void *)(slot + LINE_BYTES);
        s->marks[count] =
            (const uint64_t *)(const void *)(slot + LINE_BYTES + plane);
        s->row_weights[count] = s->weights == NULL ? 1 : s->weights[v];
        weight += s->row_weights[count];
        count++;
    }
    *rows = count;
    return weight;
}

/* The dissent of the rows that collect_rows() found, to their ranks. */
static void book_dissent(struct serve *s, const struct tally_command *command)
{
    uint32_t row = 0;

    for (uint32_t v = 0; v < s->config.tally.shape.ranks; v++) {
        if (!mask_has(command->mask, v))
            continue;
        s->differing[v] += s->row_dissent[row];
        s->counted[v] += command->header.call.coordinates;
        s->row_dissent[row++] = 0;
    }
}

/* A voter's bits behind the last coordinate may be anything; ours are zero. */
static void clear_tail(uint64_t *plane, uint32_t coordinates)
{
    size_t words = lines_for(coordinates) * LINE_WORDS;
    size_t word = coordinates / 64;

    if (word < words)
        plane[word++] &= (UINT64_C(1) << (coordinates % 64)) - 1;
    for (; word < words; word++)
        plane[word] = 0;
}

/*
 * Minus wins with more than half of the weight; with abstaining zeros the plain
 * vote over two rows a voter says the same at the whole weight plus one. A tie
 * is exactly one less, if the sum can be halved.
 */
static void count_chunk(struct serve *s, const struct tally_command *command)
{
    const struct rules *rules = &s->config.rules;
    const struct call *call = &command->header.call;
    bool abstain = rules->zeros_abstain;
    uint8_t *kept = s->kept + s->kept_bytes * command->kept;
    size_t plane = plane_bytes(call->coordinates);
    struct vote vote = {
        .result = (uint64_t *)(void *)kept,
        .signs = s->signs,
        .marks = abstain ? s->marks : NULL,
        .weights = s->weights == NULL ? NULL : s->row_weights,
        .dissent = s->row_dissent,
        .coordinates = call->coordinates,
        .words = plane / sizeof(uint64_t),
    };
    uint64_t *ties = (uint64_t *)(void *)(kept + plane);
    uint32_t weight = collect_rows(s, command, &vote.voters);
    bool minus = rules->ties == TIES_MINUS;
    bool can_tie = weight > 0 && (abstain || weight % 2 == 0);

    if (rules->ties == TIES_ZERO)
        memset(ties, 0, plane);
    if (vote.voters == 0) {
        memset(kept, 0, plane);
        return;
    }
    vote.far = vote.voters * plane * (abstain ? 2 : 1) >= FAR_BYTES;
    vote.threshold = abstain ? weight + !minus : (weight + 2 - minus) / 2;
    if (can_tie && (rules->ties == TIES_ZERO || rules->ties == TIES_RANDOM))
        vote.ties = ties;
    if (s->ahead == NULL || !ahead_finish(s->ahead, command, &vote))
        crew_vote(s->config.crew, s->config.kernels, &vote);
    if (vote.dissent != NULL)
        book_dissent(s, command);
    if (vote.ties != NULL && rules->ties == TIES_RANDOM)
        ties_random(vote.result, ties, rules->seed, call->round,
                    (uint64_t)call->chunk *
                        whole_chunk(&s->config.tally.shape, call),
                    vote.words);
    clear_tail(vote.result, call->coordinates);
    if (rules->ties == TIES_ZERO)
        clear_tail(ties, call->coordinates);
    s->counts.votes_counted += vote.voters;
    s->counts.voters = vote.voters;
}

/*
 * One chunk of a call with rows: tasks vote, or there is a question. Each row
 * of a voter that is counted was checked to be there by its length.
 */
static void count_tasks(struct serve *s, const struct tally_command *command)
{
    const struct tally_config *t = &s->config.tally;
    const struct rules *rules = &s->config.rules;
    const struct call *call = &command->header.call;
    uint8_t *kept = s->kept + s->kept_bytes * command->kept;
    size_t plane = plane_bytes(call->coordinates);
    struct inquest_chunk chunk = {
        .call = call,
        .rows = s->signs,
        .result = (uint64_t *)(void *)kept,
        .minus = rules->ties == TIES_MINUS,
    };

    if (rules->ties == TIES_ZERO || rules->ties == TIES_RANDOM)
        chunk.ties = (uint64_t *)(void *)(kept + plane);
    for (uint32_t v = 0; v < t->shape.ranks; v++) {
        const uint8_t *slot = s->slots[(size_t)v * t->window + command->slot];

        s->signs[v] = NULL;
        if (!mask_has(command->mask, v))
            continue;
        s->signs[v] = (const uint64_t *)(const void *)(slot + LINE_BYTES);
        s->counts.votes_counted++;
    }
    inquest_count(s->config.inquest, &chunk);
    if (rules->ties == TIES_RANDOM)
        ties_random(chunk.result, chunk.ties, rules->seed, call->round,
                    (uint64_t)call->chunk * t->shape.coordinates_max,
                    plane / sizeof(uint64_t));
}

/* Puts what is staged; signs that come last go where the voter wants them. */
static int put_result(const struct link *link, uint32_t slot, uint32_t bytes,
                      const struct tally_command *command, uint32_t apart_bytes)
{
    const struct landing_place place = {.address = command->landing_address,
                                        .key = command->landing_key};

    if (apart_bytes == 0)
        return link_put(link, slot, bytes);
    return link->transport->put_to(link->endpoint, link->peer, slot, bytes,
                                   apart_bytes, &place);
}

/* Whether signs go straight into the voter's own memory. */
static bool lands(const struct link *link, const struct tally_command *command)
{
    return command->lands && command->header.status == STATUS_OK &&
           command->header.call.coordinates > 0 &&
           link->transport->put_to != NULL;
}

/*
 * False if the voter's result slot cannot be written yet: that it has taken the
 * result before from there may reach us sooner than the network's word that it
 * was delivered, or the voter takes nothing.
 */
static bool write_result(struct serve *s, const struct tally_command *command)
{
    const struct tally_config *t = &s->config.tally;
    const struct link *link = &s->config.links[command->voter];
    uint32_t slot = lane_first(t->window, LANE_RESULT) + command->slot;
    struct header header = command->header;
    uint32_t all_bytes = result_bytes(&t->shape, &header), bytes;
    uint32_t masks = mask_lines(t->shape.ranks) * LINE_BYTES;
    uint8_t *place = link_stage(link, slot);
    const void *payload = NULL;

    if (place == NULL)
        return link->lost;
    link_release(link, lane_first(t->window, LANE_VOTE) + command->slot);
    if (lands(link, command))
        header.flags = FLAG_LANDS;
    bytes = result_bytes(&t->shape, &header);
    memcpy(place, &header, LINE_BYTES);
    place += LINE_BYTES;
    if (masks > 0 && command->mask != NULL)
        memcpy(place, command->mask->words,
               masks < sizeof(command->mask->words)
                   ? masks
                   : sizeof(command->mask->words));
    place += masks;
    if (command->header.status == STATUS_OK)
        payload = s->kept + s->kept_bytes * command->kept;
    else if (command->header.status == STATUS_DIFFERS)
        payload = &command->difference;
    if (payload != NULL)
        memcpy(place, payload, all_bytes - LINE_BYTES - masks);
    if (put_result(link, slot, bytes, command, all_bytes - bytes) == 0) {
        s->counts.puts++;
        if (header.status == STATUS_OK && header.call.round > s->counts.round)
            s->counts.round = header.call.round;
        s->counts.bytes_put += all_bytes;
    }
    return true;
}

size_t serve_step(struct serve *serve, uint64_t now_ns)
{
    struct tally_command command;
    size_t plane;

    tally_resume(serve->tally);
    while (tally_next(serve->tally, &command)) {
        plane = plane_bytes(command.header.call.coordinates);
        if (command.kind == TALLY_COUNT) {
            uint32_t rows = command.header.call.rows;

            if (rows != 0)
                count_tasks(serve, &command);
            else
                count_chunk(serve, &command);
            tally_counted(serve->tally, now_ns);
            if (rows != 0 && rows != ROWS_NONE)
                plane *= rows;
            return plane * serve->config.tally.shape.ranks;
        }
        if (write_result(serve, &command))
            return LINE_BYTES + plane;
        tally_put_off(serve->tally, &command);
    }
    return serve->ahead == NULL
               ? 0
               : ahead_step(serve->ahead, tally_base(serve->tally));
}
