/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h - the counting network of the vote, for any width of register.
 *
 * A column is what all voters say about the coordinates of one register. Eight
 * rows enter the counters together through seven full adders (carry-save; the
 * adder of Harley and Seal's population count), what remains as a pair and as a
 * single row. Wherever the highest plane is a constant, the planes stay in
 * registers.
 *
 * The file that includes this defines before (avx2.h, avx512.h):
 *   ALWAYS                static, and inlined wherever it is called
 *   slice, SLICE_WORDS    a vector type with the operators & | ^ ~
 *   slice_load(words)     loads from memory that a peer may write, once: an
 *                         empty asm keeps the compiler from loading it again
 *   slice_sum(a, b, c)    a ^ b ^ c
 *   slice_carry(a, b, c)  the majority of the three bits
 */
#ifndef BALLOT_AGGREGATE_NETWORK_H
#define BALLOT_AGGREGATE_NETWORK_H

#include <string.h>

#include "counting.h"
#include "signs.h"

enum {
    /* Of a row, fetched in a burst for every eight lines that are counted: so
     * a tile of all rows is fetched while one is counted. */
    TILE_WORDS = 8 * LINE_WORDS,
    TILES_AHEAD_MAX = 4,
    /* Rows, whose tiles so far ahead the second-level cache holds. */
    TILES_HELD = 1024,
};

/* Ones for the first `count` coordinates. */
ALWAYS slice slice_below(size_t count)
{
    uint64_t words[SLICE_WORDS];
    slice below;

    for (size_t w = 0; w < SLICE_WORDS; w++) {
        const size_t first = w * WORD_COORDINATES;

        words[w] = count > first ? signs_below(count - first) : 0;
    }
    memcpy(&below, words, sizeof(below));
    return below;
}

ALWAYS void start_planes(slice *planes, const struct vote *vote, uint32_t top)
{
    const uint32_t start = counting_start(vote, top);
    const slice none = {0};

    for (uint32_t p = 0; p <= top; p++)
        planes[p] = (start >> p & 1) != 0 ? ~none : none;
}

/* Adds 2^from where the bit of `carry` is 1. */
ALWAYS void add_one(slice *planes, uint32_t from, uint32_t top, slice carry)
{
    for (uint32_t p = from; p < top; p++) {
        const slice both = planes[p] & carry;

        planes[p] ^= carry;
        carry = both;
    }
    planes[top] ^= carry;
}

/* Adds two slices to one plane and returns the carry into the next. */
ALWAYS slice add_full(slice *plane, slice a, slice b)
{
    const slice carry = slice_carry(*plane, a, b);

    *plane = slice_sum(*plane, a, b);
    return carry;
}

/* As add_one(); a carry beyond planes[top] cannot be, counting_top() says. */
ALWAYS void add_two(slice *planes, uint32_t from, uint32_t top, slice a,
                    slice b)
{
    const slice carry = add_full(&planes[from], a, b);

    if (from < top)
        add_one(planes, from + 1, top, carry);
}

/* Adds four rows to two planes and returns the carry into the next. */
ALWAYS slice add_full_four(slice *planes, const slice *rows)
{
    const slice low = add_full(&planes[0], rows[0], rows[1]);
    const slice high = add_full(&planes[0], rows[2], rows[3]);

    return add_full(&planes[1], low, high);
}

/* Four rows can only come where from + 2 <= top, eight where from + 3 is. */
ALWAYS void add_four(slice *planes, uint32_t from, uint32_t top,
                     const slice *rows)
{
    if (from + 2 <= top)
        add_one(planes, from + 2, top, add_full_four(&planes[from], rows));
}

ALWAYS void add_eight(slice *planes, uint32_t from, uint32_t top,
                      const slice *rows)
{
    slice low;
    slice high;

    if (from + 3 > top)
        return;
    low = add_full_four(&planes[from], rows);
    high = add_full_four(&planes[from], rows + 4);
    add_one(planes, from + 3, top, add_full(&planes[from + 2], low, high));
}

/* Voter v as a row, or with marks as two: "minus" and "not plus". */
ALWAYS void load_voter(slice *rows, const struct vote *vote, uint32_t v,
                       size_t at, bool marks)
{
    rows[0] = slice_load(&vote->signs[v][at]);
    if (marks) {
        const slice marked = slice_load(&vote->marks[v][at]);

        rows[0] &= marked;
        rows[1] = rows[0] | ~marked;
    }
}

/* Rows of voters v on; `count` is a constant. */
ALWAYS void load_rows(slice *rows, const struct vote *vote, uint32_t v,
                      uint32_t count, size_t at, bool marks)
{
    const uint32_t each = marks ? 2 : 1; /* rows of a voter */

    for (uint32_t i = 0; i < count / each; i++)
        load_voter(&rows[each * i], vote, v + i, at, marks);
}

/* Rows that are read from memory: signs, and behind them marks. */
static inline uint32_t rows_of(const struct vote *vote)
{
    return vote->marks != NULL ? 2 * vote->voters : vote->voters;
}

/* Where tiles of all rows are fetched from memory. */
struct fetch {
    size_t tile;    /* first word of the one that is counted */
    uint32_t ahead; /* tiles, at most */
    bool once;      /* each line */
    uint32_t row;   /* that is next */
    uint32_t rows;
};

/* `once` is a constant: where adders take longer than memory does. */
ALWAYS struct fetch fetch_begin(const struct vote *vote, size_t tile, bool once)
{
    const uint32_t rows = rows_of(vote);
    const uint32_t held = TILES_HELD / rows;

    return (struct fetch){
        .tile = tile,
        .ahead = held < 1                 ? 1
                 : held < TILES_AHEAD_MAX ? held
                                          : TILES_AHEAD_MAX,
        .once = once,
        .rows = rows,
    };
}

ALWAYS void fetch_tile(const uint64_t *row, size_t at, size_t words)
{
    for (size_t w = at; w < at + TILE_WORDS; w += LINE_WORDS)
        if (w < words)
            slice_fetch(&row[w]);
}

/*
 * Tiles of the next row, in bursts; NULL: nothing is fetched. A core drops
 * fetches while its queue for memory is full, and says nothing, so each line is
 * asked for three times: far ahead, half as far, and in the next tile. (Zen 4,
 * 31 rows: one time .73 of the speed of reading, two times .82, three times
 * .95, four times no more.)
 */
ALWAYS void fetch_row(struct fetch *fetch, const struct vote *vote)
{
    const uint64_t *row;
    uint32_t r;

    if (fetch == NULL || fetch->row == fetch->rows)
        return;
    r = fetch->row++;
    row = r < vote->voters ? vote->signs[r] : vote->marks[r - vote->voters];
    fetch_tile(row, fetch->tile + (size_t)(fetch->ahead + 1) / 2 * TILE_WORDS,
               vote->words);
    if (fetch->once)
        return;
    fetch_tile(row, fetch->tile + (size_t)fetch->ahead * TILE_WORDS,
               vote->words);
    fetch_tile(row, fetch->tile + TILE_WORDS, vote->words);
}

/* The counters of one column; every voter weighs 1. With `fetch` a row's tile
 * for every eight rows. */
ALWAYS void count_column(slice *planes, const struct vote *vote,
                         uint32_t voters, size_t at, uint32_t top, bool marks,
                         struct fetch *fetch)
{
    const uint32_t each = marks ? 2 : 1;
    uint32_t v = 0;
    slice rows[8];

    for (; v + 8 / each <= voters; v += 8 / each) {
        load_rows(rows, vote, v, 8, at, marks);
        add_eight(planes, 0, top, rows);
        fetch_row(fetch, vote);
    }
    if (v < voters)
        fetch_row(fetch, vote);
    if (v + 4 / each <= voters) {
        load_rows(rows, vote, v, 4, at, marks);
        add_four(planes, 0, top, rows);
        v += 4 / each;
    }
    if (v + 2 / each <= voters) {
        load_rows(rows, vote, v, 2, at, marks);
        add_two(planes, 0, top, rows[0], rows[1]);
        v += 2 / each;
    }
    if (!marks && v < voters) {
        load_rows(rows, vote, v, 1, at, marks);
        add_one(planes, 0, top, rows[0]);
    }
}

#endif
