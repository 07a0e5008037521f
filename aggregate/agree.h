/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agree.h - tasks whose replicas agree, counted while they are read, for any
 * width of register.
 *
 * Where replicas are honest they are equal, so that nothing of a task need be
 * kept but whether they were: their majority goes from the registers into the
 * counters. What the others cost is in compare.h.
 *
 * The file that includes this defines before, besides what columns.h asks for:
 *   slice_unlike(a, b, c)   the bits where a, b and c are not all the same
 */
#ifndef BALLOT_AGGREGATE_AGREE_H
#define BALLOT_AGGREGATE_AGREE_H

#include "columns.h"
#include "groups.h"

/* Tasks whose majorities are added to the planes at one go: fewer load and
 * store the planes more often, more read from more places at once. */
#ifndef AGREE_TOGETHER
#define AGREE_TOGETHER 16
#endif
#ifndef AGREE_TILE_WORDS
#define AGREE_TILE_WORDS (8 * LINE_WORDS)
#endif

/* What most replicas of a task say; `unlike` collects where they differ. */
ALWAYS slice load_task(const uint64_t *const *rows, size_t at, slice *unlike)
{
    const slice a = slice_load(&rows[0][at]);
    const slice b = slice_load(&rows[1][at]);
    const slice c = slice_load(&rows[2][at]);

    *unlike |= slice_unlike(a, b, c);
    return slice_carry(a, b, c);
}

ALWAYS void load_tasks(slice *majorities, const uint64_t *const *rows,
                       uint32_t count, size_t at, slice *unlike)
{
    for (uint32_t t = 0; t < count; t++)
        majorities[t] = load_task(&rows[3 * t], at, unlike);
}

/* Adds one column of some tasks. */
ALWAYS void agree_column(slice *planes, uint32_t top,
                         const uint64_t *const *rows, uint32_t tasks, size_t at,
                         slice *unlike)
{
    slice majorities[8];
    uint32_t t = 0;

    for (; t + 8 <= tasks; t += 8) {
        load_tasks(majorities, &rows[3 * t], 8, at, unlike);
        add_eight(planes, 0, top, majorities);
    }
    if (t + 4 <= tasks) {
        load_tasks(majorities, &rows[3 * t], 4, at, unlike);
        add_four(planes, 0, top, majorities);
        t += 4;
    }
    if (t + 2 <= tasks) {
        load_tasks(majorities, &rows[3 * t], 2, at, unlike);
        add_two(planes, 0, top, majorities[0], majorities[1]);
        t += 2;
    }
    if (t < tasks)
        add_one(planes, 0, top, load_task(&rows[3 * t], at, unlike));
}

/* A tile of the rows of some tasks, fetched while the one before is counted. */
struct tile {
    const uint64_t *const *rows;
    uint32_t count; /* of rows */
    uint32_t next;
    uint32_t each; /* rows at a time */
    size_t at;     /* its first word */
    size_t words;
};

/* The tile behind the one at word `at` of a group: of the same tasks, or the
 * first one of the next. */
ALWAYS struct tile tile_behind(const struct agree *agree, uint32_t task,
                               uint32_t tasks, size_t at, size_t words)
{
    struct tile tile = {.at = at + AGREE_TILE_WORDS};

    if (tile.at >= words) {
        task += tasks;
        tasks = agree->tasks - task < AGREE_TOGETHER ? agree->tasks - task
                                                     : AGREE_TOGETHER;
        tile.at = 0;
    }
    tile.rows = &agree->rows[3 * task];
    tile.count = 3 * tasks;
    tile.words =
        words - tile.at < AGREE_TILE_WORDS ? words - tile.at : AGREE_TILE_WORDS;
    /* A row at a time for each column of the tile that is counted. */
    at = words - at < AGREE_TILE_WORDS ? words - at : AGREE_TILE_WORDS;
    tile.each = (uint32_t)((tile.count * SLICE_WORDS + at - 1) / at);
    return tile;
}

ALWAYS void tile_fetch(struct tile *tile)
{
    for (uint32_t i = 0; i < tile->each && tile->next < tile->count; i++) {
        const uint64_t *row = tile->rows[tile->next++] + tile->at;

        for (size_t w = 0; w < tile->words; w += LINE_WORDS)
            slice_fetch(&row[w]);
    }
}

/* All columns of at most AGREE_TOGETHER tasks; where they differ. */
ALWAYS slice agree_group(const struct agree *agree, uint32_t task,
                         uint32_t tasks, uint32_t top)
{
    const uint64_t *const *rows = &agree->rows[3 * task];
    const size_t words = lines_for(agree->count) * LINE_WORDS;
    const bool first = agree->first && task == 0;
    const slice none = {0};
    struct tile tile = {0};
    slice all = none;

    for (size_t at = 0; at < words; at += SLICE_WORDS) {
        const size_t before = at * WORD_COORDINATES;
        uint64_t *const stored = &agree->planes[count_place(top, at)];
        slice planes[PLANES_MAX] = {0};
        slice unlike = none;

        if (agree->far && at % AGREE_TILE_WORDS == 0)
            tile = tile_behind(agree, task, tasks, at, words);
        tile_fetch(&tile);
        if (!first)
            load_planes(planes, stored, top);
        agree_column(planes, top, rows, tasks, at, &unlike);
        store_planes(stored, planes, top);
        if (agree->count < before + SLICE_WORDS * WORD_COORDINATES)
            unlike &=
                slice_below(agree->count > before ? agree->count - before : 0);
        all |= unlike;
    }
    return all;
}

/* `top` is a constant, and so is the size of all groups but the last. */
ALWAYS bool agree_tasks(const struct agree *agree, uint32_t top)
{
    slice all = {0};
    uint64_t words[SLICE_WORDS];
    uint64_t any = 0;
    uint32_t task = 0;

    for (; task + AGREE_TOGETHER <= agree->tasks; task += AGREE_TOGETHER)
        all |= agree_group(agree, task, AGREE_TOGETHER, top);
    if (task < agree->tasks || (agree->tasks == 0 && agree->first))
        all |= agree_group(agree, task, agree->tasks - task, top);
    memcpy(words, &all, sizeof(words));
    for (size_t w = 0; w < SLICE_WORDS; w++)
        any |= words[w];
    return any == 0;
}

static bool agree_any(const struct agree *agree)
{
    switch (agree->top) {
    case 0: return agree_tasks(agree, 0);
    case 1: return agree_tasks(agree, 1);
    case 2: return agree_tasks(agree, 2);
    case 3: return agree_tasks(agree, 3);
    case 4: return agree_tasks(agree, 4);
    case 5: return agree_tasks(agree, 5);
    case 6: return agree_tasks(agree, 6);
    case 7: return agree_tasks(agree, 7);
    case 8: return agree_tasks(agree, 8);
    case 9: return agree_tasks(agree, 9);
    case 10: return agree_tasks(agree, 10);
    case 11: return agree_tasks(agree, 11);
    case 12: return agree_tasks(agree, 12);
    case 13: return agree_tasks(agree, 13);
    case 14: return agree_tasks(agree, 14);
    case 15: return agree_tasks(agree, 15);
    default: return agree_tasks(agree, COUNT_TOP_MAX);
    }
}

#endif
