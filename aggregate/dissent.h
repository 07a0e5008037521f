/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dissent.h - a vote that also counts who was outvoted, for any width of
 * register.
 *
 * What a voter says is needed twice, before the result is known and after, but
 * may be read only once: the slices of a column are held until its counters
 * are complete, and then compared with the result. Beside the loops of
 * columns.h, which need not hold anything.
 */
#ifndef BALLOT_AGGREGATE_DISSENT_H
#define BALLOT_AGGREGATE_DISSENT_H

#include "columns.h"
#include "compare.h"

/* One for all loops: 192 KiB with 512-bit registers, of which few voters touch
 * little. */
struct held {
    slice rows[2 * VOTERS_MAX]; /* as load_voter() gives them */
    slice sums[VOTERS_MAX];     /* dissent until now, by 64-bit lane */
};

/* The counters of one column from what is held of it; every row weighs 1. */
ALWAYS void count_held(slice *planes, uint32_t top, const slice *rows,
                       uint32_t count)
{
    uint32_t row = 0;

    for (; row + 8 <= count; row += 8)
        add_eight(planes, 0, top, &rows[row]);
    if (row + 4 <= count) {
        add_four(planes, 0, top, &rows[row]);
        row += 4;
    }
    if (row + 2 <= count) {
        add_two(planes, 0, top, rows[row], rows[row + 1]);
        row += 2;
    }
    if (row < count)
        add_one(planes, 0, top, rows[row]);
}

/* The same by weight, group by group. */
ALWAYS void weigh_held(slice *planes, uint32_t top, const slice *rows,
                       const struct schedule *schedule, uint32_t voters,
                       uint32_t each)
{
    for (uint32_t v = 0; v < voters; v += GROUP_VOTERS) {
        const struct level *levels = schedule->levels[v / GROUP_VOTERS];

        for (uint32_t bit = 0; bit < WEIGHT_BITS; bit++)
            count_level(planes, bit, top, &rows[each * v], &levels[bit], 1);
    }
}

/* The coordinates of a column that count for everybody. */
ALWAYS slice counted_of(const struct vote *vote, size_t at, const slice *planes,
                        uint32_t top)
{
    const size_t first = at * WORD_COORDINATES;
    const slice none = {0};
    slice counted = ~none;
    slice tie = ~planes[top];

    if (vote->coordinates < first + SLICE_WORDS * WORD_COORDINATES)
        counted = slice_below(
            vote->coordinates > first ? vote->coordinates - first : 0);
    if (vote->ties == NULL)
        return counted;
    for (uint32_t p = 0; p < top; p++)
        tie &= planes[p];
    return counted & ~tie;
}

/* Who differs from the result where it counts. */
ALWAYS void count_dissent(struct held *held, uint32_t voters, slice result,
                          slice counted, bool marks)
{
    for (uint32_t v = 0; v < voters; v++) {
        const slice *row = &held->rows[marks ? 2 * v : v];
        slice differ = (row[0] ^ result) & counted;

        if (marks) /* it is where "minus" or not "not plus" is */
            differ &= row[0] | ~row[1];
        held->sums[v] += slice_bits(differ);
    }
}

/* As vote_columns(). */
ALWAYS void dissent_columns(const struct vote *vote,
                            const struct schedule *schedule, struct held *held,
                            uint32_t top, bool marks)
{
    const uint32_t each = marks ? 2 : 1; /* rows of a voter */
    const uint32_t voters = vote->voters;
    slice first[PLANES_MAX];

    start_planes(first, vote, top);
    for (size_t at = 0; at < vote->words; at += SLICE_WORDS) {
        slice planes[PLANES_MAX];

        for (uint32_t p = 0; p <= top; p++)
            planes[p] = first[p];
        for (uint32_t v = 0; v < voters; v++)
            load_voter(&held->rows[each * v], vote, v, at, marks);
        if (schedule != NULL)
            weigh_held(planes, top, held->rows, schedule, voters, each);
        else
            count_held(planes, top, held->rows, each * voters);
        store_column(vote, at, planes, top, vote->ties != NULL);
        count_dissent(held, voters, planes[top],
                      counted_of(vote, at, planes, top), marks);
    }
}

/* As for the rarer votes, a plane too many costs a half adder. */
ALWAYS void dissent_top(const struct vote *vote,
                        const struct schedule *schedule, struct held *held,
                        bool marks)
{
    const uint32_t top = counting_top(vote);

    if (top <= 3)
        dissent_columns(vote, schedule, held, 3, marks);
    else if (top <= 5)
        dissent_columns(vote, schedule, held, 5, marks);
    else if (top <= 8)
        dissent_columns(vote, schedule, held, 8, marks);
    else
        dissent_columns(vote, schedule, held, TOP_MAX, marks);
}

static inline void dissent_any(const struct vote *vote)
{
    struct schedule schedule;
    struct held held;

    memset(held.sums, 0, vote->voters * sizeof(held.sums[0]));
    if (vote->weights != NULL)
        schedule_make(&schedule, vote);
    if (vote->weights != NULL && vote->marks != NULL)
        dissent_top(vote, &schedule, &held, true);
    else if (vote->weights != NULL)
        dissent_top(vote, &schedule, &held, false);
    else if (vote->marks != NULL)
        dissent_top(vote, NULL, &held, true);
    else
        dissent_top(vote, NULL, &held, false);
    for (uint32_t v = 0; v < vote->voters; v++)
        vote->dissent[v] += slice_total(held.sums[v]);
}

#endif
