/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns.h - the vote over whole rows, column by column, for any width of
 * register: which loop, and where results go.
 *
 * There is one loop for every number of planes, and one for every small number
 * of voters, so that the planes stay in registers.
 *
 * The file that includes this defines slice_store(words, s) before, besides
 * what network.h asks for.
 */
#ifndef BALLOT_AGGREGATE_COLUMNS_H
#define BALLOT_AGGREGATE_COLUMNS_H

#include "network.h"

enum { FEW_MAX = 32 }; /* voters that have a loop of their own */

ALWAYS void store_column(const struct vote *vote, size_t at,
                         const slice *planes, uint32_t top, bool ties)
{
    slice tie = ~planes[top];

    slice_store(&vote->result[at], planes[top]);
    if (!ties)
        return;
    for (uint32_t p = 0; p < top; p++)
        tie &= planes[p];
    slice_store(&vote->ties[at], tie);
}

/* All columns; `schedule` NULL: every voter weighs 1. It and `top` are
 * constants; so is `marks` where there is no schedule. */
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
        if (schedule != NULL)
            weigh_column(planes, vote, schedule, at, top, marks);
        else
            count_column(planes, vote, vote->voters, at, top, marks);
        store_column(vote, at, planes, top, vote->ties != NULL);
    }
}

/* All columns of a constant number of voters: no branch, no loop, and nothing
 * for planes that only ties would look at. */
ALWAYS void vote_few(const struct vote *vote, uint32_t voters, uint32_t top)
{
    const uint64_t *rows[FEW_MAX];
    const struct vote few = {.result = vote->result, .signs = rows};
    const size_t words = vote->words;
    slice first[PLANES_MAX];

    for (uint32_t v = 0; v < voters; v++)
        rows[v] = vote->signs[v];
    start_planes(first, vote, top);
    for (size_t at = 0; at < words; at += SLICE_WORDS) {
        slice planes[PLANES_MAX];

        for (uint32_t p = 0; p <= top; p++)
            planes[p] = first[p];
        count_column(planes, &few, voters, at, top, false);
        store_column(&few, at, planes, top, false);
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

    switch (majority && vote->ties == NULL ? voters : 0) {
    case 1: vote_few(vote, 1, 0); break;
    case 2: vote_few(vote, 2, 1); break;
    case 3: vote_few(vote, 3, 1); break;
    case 4: vote_few(vote, 4, 2); break;
    case 5: vote_few(vote, 5, 2); break;
    case 6: vote_few(vote, 6, 2); break;
    case 7: vote_few(vote, 7, 2); break;
    case 8: vote_few(vote, 8, 3); break;
    case 9: vote_few(vote, 9, 3); break;
    case 10: vote_few(vote, 10, 3); break;
    case 11: vote_few(vote, 11, 3); break;
    case 12: vote_few(vote, 12, 3); break;
    case 13: vote_few(vote, 13, 3); break;
    case 14: vote_few(vote, 14, 3); break;
    case 15: vote_few(vote, 15, 3); break;
    case 16: vote_few(vote, 16, 4); break;
    case 17: vote_few(vote, 17, 4); break;
    case 18: vote_few(vote, 18, 4); break;
    case 19: vote_few(vote, 19, 4); break;
    case 20: vote_few(vote, 20, 4); break;
    case 21: vote_few(vote, 21, 4); break;
    case 22: vote_few(vote, 22, 4); break;
    case 23: vote_few(vote, 23, 4); break;
    case 24: vote_few(vote, 24, 4); break;
    case 25: vote_few(vote, 25, 4); break;
    case 26: vote_few(vote, 26, 4); break;
    case 27: vote_few(vote, 27, 4); break;
    case 28: vote_few(vote, 28, 4); break;
    case 29: vote_few(vote, 29, 4); break;
    case 30: vote_few(vote, 30, 4); break;
    case 31: vote_few(vote, 31, 4); break;
    case 32: vote_few(vote, 32, 5); break;
    default: vote_many(vote); break;
    }
}

/* The rarer votes have fewer loops: a plane too many costs a half adder. */
static void vote_marks(const struct vote *vote)
{
    const uint32_t top = counting_top(vote);

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

static void vote_weights(const struct vote *vote)
{
    const uint32_t top = counting_top(vote);
    const bool marks = vote->marks != NULL;
    struct schedule schedule;

    schedule_make(&schedule, vote);
    if (top <= 5)
        vote_columns(vote, &schedule, 5, marks);
    else if (top <= 8)
        vote_columns(vote, &schedule, 8, marks);
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
}

#endif
