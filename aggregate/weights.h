/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights.h - the counting network where voters weigh 1 to 15, for any width
 * of register.
 *
 * The rows that have a bit of their weights in common are a level, and enter
 * the counters at the plane of that bit.
 */
#ifndef BALLOT_AGGREGATE_WEIGHTS_H
#define BALLOT_AGGREGATE_WEIGHTS_H

#include "network.h"

enum {
    GROUP_VOTERS = 32, /* whose slices a weighted vote holds at a time */
    GROUPS_MAX = VOTERS_MAX / GROUP_VOTERS,
};

/* Which rows of a group count at which bit of the weights: how many bytes
 * behind its first one they lie, so that a load need not multiply. */
struct level {
    uint32_t rows;
    uint16_t offset_bytes[2 * GROUP_VOTERS];
};

struct schedule {
    struct level levels[GROUPS_MAX][WEIGHT_BITS];
};

static inline void schedule_make(struct schedule *schedule,
                                 const struct vote *vote)
{
    const uint32_t each = vote->marks != NULL ? 2 : 1;

    for (uint32_t v = 0; v < vote->voters; v++) {
        struct level *levels = schedule->levels[v / GROUP_VOTERS];

        for (uint32_t bit = 0; bit < WEIGHT_BITS; bit++) {
            struct level *level = &levels[bit];

            if (v % GROUP_VOTERS == 0)
                level->rows = 0;
            if ((vote->weights[v] >> bit & 1) == 0)
                continue;
            for (uint32_t i = 0; i < each; i++) {
                const size_t row = each * (v % GROUP_VOTERS) + i;

                level->offset_bytes[level->rows++] =
                    (uint16_t)(row * sizeof(slice));
            }
        }
    }
}

/*
 * Where the counters of one column wait for each other, those of two do better:
 * what says which rows to add is read once for both. `columns`, 1 or 2, is a
 * constant. Column c has planes[c * PLANES_MAX ...], rows [row][column].
 */
enum { COLUMNS_MAX = 2 };

/* Adds rows to plane p; leaves the carries, and returns how many. */
ALWAYS uint32_t add_plane(slice *planes, uint32_t p, slice *rows,
                          uint32_t count, uint32_t columns)
{
    for (uint32_t c = 0; c < columns; c++) {
        slice *const plane = &planes[c * PLANES_MAX + p];
        uint32_t carries = c;

        for (uint32_t i = 0; i + 1 < count; i += 2, carries += columns)
            rows[carries] = add_full(plane, rows[i * columns + c],
                                     rows[(i + 1) * columns + c]);
        if (count % 2 != 0) {
            const slice last = rows[(count - 1) * columns + c];

            rows[carries] = *plane & last;
            *plane ^= last;
        }
    }
    return (count + 1) / 2;
}

/*
 * Adds 2^from for each of 1 to 8 rows; `count` is a constant. Plane by plane,
 * so that a single carry goes on through the higher ones, and not one each of
 * four, of two and of one row.
 */
ALWAYS void add_rows(slice *planes, uint32_t from, uint32_t top,
                     const slice *held, const uint16_t *offset_bytes,
                     uint32_t count, uint32_t columns)
{
    slice rows[8 * COLUMNS_MAX];

    for (uint32_t i = 0; i < count; i++) {
        const char *const at = (const char *)held + columns * offset_bytes[i];

        for (uint32_t c = 0; c < columns; c++)
            rows[i * columns + c] = ((const slice *)(const void *)at)[c];
    }
    count = add_plane(planes, from, rows, count, columns);
    if (from + 1 <= top)
        count = add_plane(planes, from + 1, rows, count, columns);
    if (from + 2 <= top)
        add_plane(planes, from + 2, rows, count, columns);
    if (from + 3 <= top)
        for (uint32_t c = 0; c < columns; c++)
            add_one(&planes[c * PLANES_MAX], from + 3, top, rows[c]);
}

/* Adds 2^from for every row of `level`. */
ALWAYS void count_level(slice *planes, uint32_t from, uint32_t top,
                        const slice *held, const struct level *level,
                        uint32_t columns)
{
    const uint16_t *row = level->offset_bytes;
    uint32_t left = level->rows;

    for (; left >= 8; left -= 8, row += 8)
        add_rows(planes, from, top, held, row, 8, columns);
    switch (left) {
    case 7: add_rows(planes, from, top, held, row, 7, columns); break;
    case 6: add_rows(planes, from, top, held, row, 6, columns); break;
    case 5: add_rows(planes, from, top, held, row, 5, columns); break;
    case 4: add_rows(planes, from, top, held, row, 4, columns); break;
    case 3: add_rows(planes, from, top, held, row, 3, columns); break;
    case 2: add_rows(planes, from, top, held, row, 2, columns); break;
    case 1: add_rows(planes, from, top, held, row, 1, columns); break;
    default: break;
    }
}

/*
 * The counters of one column by weight, or of two without marks. A row counts
 * once for every bit of its weight, but its slot may only be read once: a
 * private copy of the group's slices is what the levels look at. With `fetch`
 * as count_column().
 */
ALWAYS void weigh_columns(slice *planes, const struct vote *vote,
                          const struct schedule *schedule, size_t at,
                          uint32_t top, bool marks, uint32_t columns,
                          struct fetch *fetch)
{
    const uint32_t each = marks ? 2 : columns;
    slice held[2 * GROUP_VOTERS];

    for (uint32_t v = 0; v < vote->voters; v += GROUP_VOTERS) {
        const struct level *levels = schedule->levels[v / GROUP_VOTERS];

        for (uint32_t i = 0; i < GROUP_VOTERS && v + i < vote->voters; i++) {
            if (i % (8 / each) == 0)
                fetch_row(fetch, vote);
            for (uint32_t c = 0; c < columns; c++)
                load_voter(&held[each * i + c], vote, v + i,
                           at + c * SLICE_WORDS, marks);
        }
        count_level(planes, 0, top, held, &levels[0], columns);
        count_level(planes, 1, top, held, &levels[1], columns);
        count_level(planes, 2, top, held, &levels[2], columns);
        count_level(planes, 3, top, held, &levels[3], columns);
    }
}

#endif
