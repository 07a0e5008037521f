/* SPDX-License-Identifier: Apache-2.0 */
/* ahead.c - votes that are counted while others are on the way. */
#include "ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/memory.h"

/* What is known of the chunk whose votes land in one slot. */
struct chunk {
    uint64_t sequence;
    struct call call;
    struct rank_mask in;      /* voters that were taken */
    struct rank_mask counted; /* those that the planes hold */
    uint32_t in_count, counted_count;
    bool open;   /* the rest is set */
    bool spoilt; /* has to be counted in one piece */
};

struct ahead {
    struct ahead_config config;
    struct chunk *chunks;  /* [window] */
    const uint64_t **rows; /* [ranks]: those of a group */
    uint64_t *planes;      /* [window][words] */
    size_t words;
    uint32_t top;
};

/* Enough for a majority of any number of ranks, ties to either side. */
static uint32_t top_for(uint32_t ranks)
{
    uint32_t top = 0;

    while ((1u << top) < ranks / 2 + 1)
        top++;
    return top;
}

int ahead_open(struct ahead **ahead, const struct ahead_config *config)
{
    struct ahead *a = calloc(1, sizeof(*a));
    void *planes;
    int rc;

    if (a == NULL)
        return -ENOMEM;
    a->config = *config;
    a->top = top_for(config->ranks);
    a->words =
        count_words(a->top, lines_for(config->coordinates_max) * LINE_WORDS);
    a->chunks = calloc(config->window, sizeof(*a->chunks));
    a->rows = calloc(config->ranks, sizeof(*a->rows));
    rc = memory_map(&planes, config->window * a->words * sizeof(*a->planes));
    if (rc == 0)
        a->planes = planes;
    if (rc == 0 && (a->chunks == NULL || a->rows == NULL))
        rc = -ENOMEM;
    if (rc < 0) {
        ahead_close(a);
        return rc;
    }
    *ahead = a;
    return 0;
}

void ahead_close(struct ahead *ahead)
{
    if (ahead == NULL)
        return;
    memory_unmap(ahead->planes,
                 ahead->config.window * ahead->words * sizeof(*ahead->planes));
    free(ahead->rows);
    free(ahead->chunks);
    free(ahead);
}

void ahead_taken(struct ahead *ahead, uint32_t voter, uint32_t slot,
                 const struct header *header)
{
    struct chunk *c = &ahead->chunks[slot];

    if (!c->open || c->sequence != header->sequence)
        *c = (struct chunk){
            .sequence = header->sequence, .call = header->call, .open = true};
    if (!call_equal(&c->call, &header->call))
        c->spoilt = true;
    if ((header->flags & FLAG_ABSTAIN) != 0 || mask_has(&c->in, voter))
        return;
    mask_set(&c->in, voter);
    c->in_count++;
}

void ahead_lost(struct ahead *ahead, uint32_t voter)
{
    for (uint32_t slot = 0; slot < ahead->config.window; slot++) {
        struct chunk *c = &ahead->chunks[slot];

        if (!mask_has(&c->in, voter))
            continue;
        mask_clear(&c->in, voter);
        c->in_count--;
        if (mask_has(&c->counted, voter))
            c->spoilt = true;
    }
}

/* Rows of up to `max` voters of `in` that are not counted, which they are then;
 * returns how many. */
static uint32_t take_rows(struct ahead *a, struct chunk *c, uint32_t slot,
                          const struct rank_mask *in, uint32_t max)
{
    const size_t window = a->config.window;
    uint32_t count = 0;

    for (uint32_t w = 0; w < MASK_WORDS; w++) {
        uint64_t left = in->words[w] & ~c->counted.words[w];

        for (; left != 0 && count < max; left &= left - 1) {
            const uint32_t v = 64 * w + (uint32_t)__builtin_ctzll(left);
            const uint8_t *put = a->config.slots[v * window + slot];

            a->rows[count++] =
                (const uint64_t *)(const void *)(put + LINE_BYTES);
            mask_set(&c->counted, v);
        }
    }
    return count;
}

static struct count count_of(const struct ahead *a, const struct chunk *c,
                             uint32_t slot)
{
    return (struct count){
        .planes = a->planes + slot * a->words,
        .top = a->top,
        .first = c->counted_count == 0,
        .signs = a->rows,
        .words = lines_for(c->call.coordinates) * LINE_WORDS,
    };
}

size_t ahead_step(struct ahead *ahead, uint64_t base)
{
    for (uint32_t slot = 0; slot < ahead->config.window; slot++) {
        struct chunk *c = &ahead->chunks[slot];
        struct count count;

        if (!c->open || c->spoilt || c->sequence < base ||
            c->in_count < c->counted_count + ahead->config.group)
            continue;
        count = count_of(ahead, c, slot);
        count.voters = take_rows(ahead, c, slot, &c->in, ahead->config.group);
        ahead->config.kernels->count(&count);
        c->counted_count += count.voters;
        return LINE_BYTES + count.voters * count.words * sizeof(uint64_t);
    }
    return 0;
}

static bool mask_within(const struct rank_mask *inner,
                        const struct rank_mask *outer)
{
    for (int w = 0; w < MASK_WORDS; w++)
        if ((inner->words[w] & ~outer->words[w]) != 0)
            return false;
    return true;
}

bool ahead_finish(struct ahead *ahead, const struct tally_command *command,
                  const struct vote *vote)
{
    struct chunk *c = &ahead->chunks[command->slot];
    struct count count;

    if (!c->open || c->sequence != command->header.sequence)
        return false;
    c->open = false;
    if (c->spoilt || c->counted_count == 0 ||
        !call_equal(&c->call, &command->header.call) ||
        !mask_within(&c->counted, command->mask))
        return false;
    count = count_of(ahead, c, command->slot);
    count.voters =
        take_rows(ahead, c, command->slot, command->mask, ahead->config.ranks);
    count.result = vote->result;
    count.ties = vote->ties;
    count.threshold = vote->threshold;
    ahead->config.kernels->count(&count);
    return true;
}
