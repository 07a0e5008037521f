/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns.h - the vote over whole rows, column by column, for any width of
 * register: which loop, and where results go.
 *
 * There is one loop for every number of planes, and one for every small number
 * of voters, so that the planes stay in registers.
 *
 * The file that includes this defines before, besides what network.h asks for:
 *   slice_store(words, s)
 *   slice_stream(words, s)  the same around the caches, until slice_fence()
 *   slice_fetch(words)      fetches a line from memory into a cache
 */
#ifndef BALLOT_AGGREGATE_COLUMNS_H
#define BALLOT_AGGREGATE_COLUMNS_H

#include "weights.h"

enum {
    FEW_MAX = 32, /* voters that have a loop of their own */
    /* Rows that the hardware reads ahead by itself. Behind a cliff between 16
     * and 20 it has to be told (Zen 4). */
    STREAMS_MAX = 16,
    PAIRS_MAX = 8, /* voters whose weighted votes are counted by twos */
};

ALWAYS void store_slice(const struct vote *vote, uint64_t *words, slice stored)
{
    if (vote->far)
        slice_stream(words, stored);
    else
        slice_store(words, stored);
}

ALWAYS void store_column(const struct vote *vote, size_t at,
                         const slice *planes, uint32_t top, bool ties)
{
    slice tie = ~planes[top];

    store_slice(vote, &vote->result[at], planes[top]);
    if (!ties)
        return;
    for (uint32_t p = 0; p < top; p++)
        tie &= planes[p];
    store_slice(vote, &vote->ties[at], tie);
}

/* The counters of one column; `schedule` NULL: every voter weighs 1. */
ALWAYS void fill_column(slice *planes, const struct vote *vote,
                        const struct schedule *schedule, size_t at,
                        uint32_t top, bool marks, struct fetch *fetch)
{
    if (schedule != NULL)
        weigh_columns(planes, vote, schedule, at, top, marks, 1, fetch);
    else
        count_column(planes, vote, vote->voters, at, top, marks, fetch);
}

/* All columns. Whether there is a schedule and `top` are constants; so is
 * `marks` where there is no schedule. */
ALWAYS void vote_columns(const struct vote *vote,
                         const struct schedule *schedule, uint32_t top,
                         bool marks)
{
    slice first[PLANES_MAX];

    start_planes(first, vote, top);
    for (size_t at = 0; at < vote->words; at += SLICE_WORDS) {
        slice planes[PLANES_MAX];

        for (uint32_t p = 0; p <= top; p++)
            planes[p] = first[p];
        fill_column(planes, vote, schedule, at, top, marks, NULL);
        store_column(vote, at, planes, top, vote->ties != NULL);
    }
}

/*
 * All columns of rows that come from memory, more of them than the hardware
 * can follow: while a tile is counted, later ones are fetched row by row.
 */
ALWAYS void vote_tiles(const struct vote *vote, const struct schedule *schedule,
                       uint32_t top, bool marks)
{
    slice first[PLANES_MAX];

    start_planes(first, vote, top);
    for (size_t tile = 0; tile < vote->words; tile += TILE_WORDS) {
        struct fetch fetch = fetch_begin(vote, tile, schedule != NULL);

        for (size_t at = tile; at < tile + TILE_WORDS && at < vote->words;
             at += SLICE_WORDS) {
            slice planes[PLANES_MAX];

            for (uint32_t p = 0; p <= top; p++)
                planes[p] = first[p];
            fill_column(planes, vote, schedule, at, top, marks,
                        at % LINE_WORDS == 0 ? &fetch : NULL);
            store_column(vote, at, planes, top, vote->ties != NULL);
        }
    }
}

/* All columns of a constant number of voters: no branch, no loop, and nothing
 * for planes that only ties would look at. `far` is a constant. */
ALWAYS void vote_few(const struct vote *vote, uint32_t voters, uint32_t top,
                     bool far)
{
    const uint64_t *rows[FEW_MAX];
    const struct vote few = {.result = vote->result, .signs = rows, .far = far};
    const size_t words = vote->words;
    slice first[PLANES_MAX];

    for (uint32_t v = 0; v < voters; v++)
        rows[v] = vote->signs[v];
    start_planes(first, vote, top);
    for (size_t at = 0; at < words; at += SLICE_WORDS) {
        slice planes[PLANES_MAX];

        for (uint32_t p = 0; p <= top; p++)
            planes[p] = first[p];
        count_column(planes, &few, voters, at, top, false, NULL);
        store_column(&few, at, planes, top, false);
    }
}

/* Majorities among few voters whose rows come from memory. */
static void vote_far(const struct vote *vote)
{
    switch (vote->voters) {
    case 1: vote_few(vote, 1, 0, true); break;
    case 2: vote_few(vote, 2, 1, true); break;
    case 3: vote_few(vote, 3, 1, true); break;
    case 4: vote_few(vote, 4, 2, true); break;
    case 5: vote_few(vote, 5, 2, true); break;
    case 6: vote_few(vote, 6, 2, true); break;
    case 7: vote_few(vote, 7, 2, true); break;
    case 8: vote_few(vote, 8, 3, true); break;
    case 9: vote_few(vote, 9, 3, true); break;
    case 10: vote_few(vote, 10, 3, true); break;
    case 11: vote_few(vote, 11, 3, true); break;
    case 12: vote_few(vote, 12, 3, true); break;
    case 13: vote_few(vote, 13, 3, true); break;
    case 14: vote_few(vote, 14, 3, true); break;
    case 15: vote_few(vote, 15, 3, true); break;
    default: vote_few(vote, 16, 4, true); break;
    }
}

static void vote_streams(const struct vote *vote)
{
    switch (counting_top(vote)) {
    case 4: vote_tiles(vote, NULL, 4, false); break;
    case 5: vote_tiles(vote, NULL, 5, false); break;
    case 6: vote_tiles(vote, NULL, 6, false); break;
    case 7: vote_tiles(vote, NULL, 7, false); break;
    case 8: vote_tiles(vote, NULL, 8, false); break;
    case 9: vote_tiles(vote, NULL, 9, false); break;
    default: vote_tiles(vote, NULL, 10, false); break;
    }
}

static void vote_many(const struct vote *vote)
{
    switch (counting_top(vote)) {
    case 0: vote_columns(vote, NULL, 0, false); break;
    case 1: vote_columns(vote, NULL, 1, false); break;
    case 2: vote_columns(vote, NULL, 2, false); break;
    case 3: vote_columns(vote, NULL, 3, false); break;
    case 4: vote_columns(vote, NULL, 4, false); break;
    case 5: vote_columns(vote, NULL, 5, false); break;
    case 6: vote_columns(vote, NULL, 6, false); break;
    case 7: vote_columns(vote, NULL, 7, false); break;
    case 8: vote_columns(vote, NULL, 8, false); break;
    case 9: vote_columns(vote, NULL, 9, false); break;
    default: vote_columns(vote, NULL, 10, false); break;
    }
}

/* A majority has the fewest planes; with any other threshold, the general loop
 * is quick enough. */
static void vote_plain(const struct vote *vote)
{
    const uint32_t voters = vote->voters;
    const uint32_t others = voters - vote->threshold;
    const bool majority =
        vote->threshold <= voters / 2 + 1 && others <= voters / 2;

    if (vote->far && voters > STREAMS_MAX) {
        vote_streams(vote);
        return;
    }
    if (vote->far && majority && vote->ties == NULL) {
        vote_far(vote);
        return;
    }
    switch (majority && vote->ties == NULL ? voters : 0) {
    case 1: vote_few(vote, 1, 0, false); break;
    case 2: vote_few(vote, 2, 1, false); break;
    case 3: vote_few(vote, 3, 1, false); break;
    case 4: vote_few(vote, 4, 2, false); break;
    case 5: vote_few(vote, 5, 2, false); break;
    case 6: vote_few(vote, 6, 2, false); break;
    case 7: vote_few(vote, 7, 2, false); break;
    case 8: vote_few(vote, 8, 3, false); break;
    case 9: vote_few(vote, 9, 3, false); break;
    case 10: vote_few(vote, 10, 3, false); break;
    case 11: vote_few(vote, 11, 3, false); break;
    case 12: vote_few(vote, 12, 3, false); break;
    case 13: vote_few(vote, 13, 3, false); break;
    case 14: vote_few(vote, 14, 3, false); break;
    case 15: vote_few(vote, 15, 3, false); break;
    case 16: vote_few(vote, 16, 4, false); break;
    case 17: vote_few(vote, 17, 4, false); break;
    case 18: vote_few(vote, 18, 4, false); break;
    case 19: vote_few(vote, 19, 4, false); break;
    case 20: vote_few(vote, 20, 4, false); break;
    case 21: vote_few(vote, 21, 4, false); break;
    case 22: vote_few(vote, 22, 4, false); break;
    case 23: vote_few(vote, 23, 4, false); break;
    case 24: vote_few(vote, 24, 4, false); break;
    case 25: vote_few(vote, 25, 4, false); break;
    case 26: vote_few(vote, 26, 4, false); break;
    case 27: vote_few(vote, 27, 4, false); break;
    case 28: vote_few(vote, 28, 4, false); break;
    case 29: vote_few(vote, 29, 4, false); break;
    case 30: vote_few(vote, 30, 4, false); break;
    case 31: vote_few(vote, 31, 4, false); break;
    case 32: vote_few(vote, 32, 5, false); break;
    default: vote_many(vote); break;
    }
}

/* The rarer votes have fewer loops: a plane too many costs a half adder. */
static void vote_marks(const struct vote *vote)
{
    const uint32_t top = counting_top(vote);

    if (vote->far && rows_of(vote) > STREAMS_MAX) {
        if (top <= 5)
            vote_tiles(vote, NULL, 5, true);
        else if (top <= 8)
            vote_tiles(vote, NULL, 8, true);
        else
            vote_tiles(vote, NULL, 11, true);
        return;
    }
    if (top <= 2)
        vote_columns(vote, NULL, 2, true);
    else if (top <= 3)
        vote_columns(vote, NULL, 3, true);
    else if (top <= 5)
        vote_columns(vote, NULL, 5, true);
    else if (top <= 8)
        vote_columns(vote, NULL, 8, true);
    else
        vote_columns(vote, NULL, 11, true);
}

/* `columns` of them, 1 or 2, from `at` on. */
ALWAYS void weigh_few(const struct vote *vote, const struct schedule *schedule,
                      const slice *first, size_t at, uint32_t top,
                      uint32_t columns)
{
    slice planes[COLUMNS_MAX * PLANES_MAX];

    for (uint32_t c = 0; c < columns; c++)
        for (uint32_t p = 0; p <= top; p++)
            planes[c * PLANES_MAX + p] = first[p];
    weigh_columns(planes, vote, schedule, at, top, false, columns, NULL);
    for (uint32_t c = 0; c < columns; c++)
        store_column(vote, at + c * SLICE_WORDS, &planes[c * PLANES_MAX], top,
                     vote->ties != NULL);
}

/* All columns of few voters, by twos. */
ALWAYS void weigh_pairs(const struct vote *vote,
                        const struct schedule *schedule, uint32_t top)
{
    size_t at = 0;
    slice first[PLANES_MAX];

    start_planes(first, vote, top);
    for (; at + 2 * SLICE_WORDS <= vote->words; at += 2 * SLICE_WORDS)
        weigh_few(vote, schedule, first, at, top, 2);
    if (at < vote->words)
        weigh_few(vote, schedule, first, at, top, 1);
}

static void weigh_streams(const struct vote *vote,
                          const struct schedule *schedule)
{
    const uint32_t top = counting_top(vote);
    const bool marks = vote->marks != NULL;

    if (top <= 6)
        vote_tiles(vote, schedule, 6, marks);
    else if (top <= 8)
        vote_tiles(vote, schedule, 8, marks);
    else if (top <= 10)
        vote_tiles(vote, schedule, 10, marks);
    else
        vote_tiles(vote, schedule, TOP_MAX, marks);
}

static void vote_weights(const struct vote *vote)
{
    const uint32_t top = counting_top(vote);
    const bool marks = vote->marks != NULL;
    struct schedule schedule;

    schedule_make(&schedule, vote);
    if (vote->far && rows_of(vote) > STREAMS_MAX) {
        weigh_streams(vote, &schedule);
        return;
    }
    if (vote->voters <= PAIRS_MAX && !marks) {
        if (top <= 5)
            weigh_pairs(vote, &schedule, 5);
        else if (top <= 6)
            weigh_pairs(vote, &schedule, 6);
        else
            weigh_pairs(vote, &schedule, 7);
        return;
    }
    if (top <= 5)
        vote_columns(vote, &schedule, 5, marks);
    else if (top <= 6)
        vote_columns(vote, &schedule, 6, marks);
    else if (top <= 7)
        vote_columns(vote, &schedule, 7, marks);
    else if (top <= 8)
        vote_columns(vote, &schedule, 8, marks);
    else if (top <= 10)
        vote_columns(vote, &schedule, 10, marks);
    else if (top <= 12)
        vote_columns(vote, &schedule, 12, marks);
    else
        vote_columns(vote, &schedule, TOP_MAX, marks);
}

static inline void vote_any(const struct vote *vote)
{
    if (vote->weights != NULL)
        vote_weights(vote);
    else if (vote->marks != NULL)
        vote_marks(vote);
    else
        vote_plain(vote);
    if (vote->far)
        slice_fence();
}

#endif
