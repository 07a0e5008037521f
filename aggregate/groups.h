/* SPDX-License-Identifier: Apache-2.0 */
/*
 * groups.h - a vote that is counted group by group, for any width of register.
 *
 * Between groups the counters lie in memory, line by line: the planes of one
 * line of coordinates are neighbours, so they are one stream for any number of
 * them, and no two fall on the same set of a cache.
 *
 * The file that includes this includes columns.h before.
 */
#ifndef BALLOT_AGGREGATE_GROUPS_H
#define BALLOT_AGGREGATE_GROUPS_H

#include "network.h"

ALWAYS void load_planes(slice *planes, const uint64_t *stored, uint32_t top)
{
    for (uint32_t p = 0; p <= top; p++)
        planes[p] = slice_load(&stored[p * LINE_WORDS]);
}

ALWAYS void store_planes(uint64_t *stored, const slice *planes, uint32_t top)
{
    for (uint32_t p = 0; p <= top; p++)
        slice_store(&stored[p * LINE_WORDS], planes[p]);
}

/* Adds `start` (a slice for each of its bits) to the counters. A vote starts
 * with it; here the threshold is known only at the end. */
ALWAYS void decide_column(slice *planes, const slice *start, uint32_t top)
{
    slice carry = {0};

    for (uint32_t p = 0; p <= top; p++) {
        const slice next = slice_carry(planes[p], start[p], carry);

        planes[p] = slice_sum(planes[p], start[p], carry);
        carry = next;
    }
}

/* `top` is a constant. */
ALWAYS void count_columns(const struct count *count, uint32_t top)
{
    const struct vote vote = {
        .result = count->result,
        .ties = count->ties,
        .signs = count->signs,
        .threshold = count->threshold,
    };
    slice start[PLANES_MAX];

    start_planes(start, &vote, top);
    for (size_t at = 0; at < count->words; at += SLICE_WORDS) {
        uint64_t *const stored = &count->planes[count_place(top, at)];
        slice planes[PLANES_MAX] = {0};

        if (!count->first)
            load_planes(planes, stored, top);
        count_column(planes, &vote, count->voters, at, top, false, NULL);
        if (count->result == NULL) {
            store_planes(stored, planes, top);
            continue;
        }
        decide_column(planes, start, top);
        store_column(&vote, at, planes, top, vote.ties != NULL);
    }
}

static void count_any(const struct count *count)
{
    switch (count->top) {
    case 0: count_columns(count, 0); break;
    case 1: count_columns(count, 1); break;
    case 2: count_columns(count, 2); break;
    case 3: count_columns(count, 3); break;
    case 4: count_columns(count, 4); break;
    case 5: count_columns(count, 5); break;
    case 6: count_columns(count, 6); break;
    case 7: count_columns(count, 7); break;
    case 8: count_columns(count, 8); break;
    case 9: count_columns(count, 9); break;
    case 10: count_columns(count, 10); break;
    case 11: count_columns(count, 11); break;
    case 12: count_columns(count, 12); break;
    case 13: count_columns(count, 13); break;
    case 14: count_columns(count, 14); break;
    case 15: count_columns(count, 15); break;
    default: count_columns(count, COUNT_TOP_MAX); break;
    }
}

#endif
