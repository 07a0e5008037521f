/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compare.h - in how many coordinates rows differ, for any width of register.
 *
 * Three replicas are compared in one pass, their sums in registers. More of
 * them have more pairs than there are registers: a tile of each row is copied,
 * and the pairs and the vote look at the copies.
 *
 * The file that includes this defines before, besides what columns.h asks for:
 *   slice_bits(s)   in each of the 64-bit lanes, how many bits of it are 1
 */
#ifndef BALLOT_AGGREGATE_COMPARE_H
#define BALLOT_AGGREGATE_COMPARE_H

#include "signs.h"

enum {
    /* Sixteen rows of a tile fill half of a first-level cache. An odd number
     * of lines lets no two rows of it fall on the same sets. */
    REPLICA_WORDS = 15 * LINE_WORDS,
};

ALWAYS uint64_t slice_total(slice lanes)
{
    uint64_t words[SLICE_WORDS];
    uint64_t total = 0;

    memcpy(words, &lanes, sizeof(words));
    for (size_t w = 0; w < SLICE_WORDS; w++)
        total += words[w];
    return total;
}

/* The private copy of words that a peer may write, each loaded once. */
ALWAYS void hold(uint64_t *held, const uint64_t *row, size_t words)
{
    for (size_t at = 0; at < words; at += SLICE_WORDS)
        slice_store(&held[at], slice_load(&row[at]));
}

/* Bits that differ, of those that are 1 in each of the masks that is given. */
ALWAYS uint64_t differing(const uint64_t *a, const uint64_t *b,
                          const uint64_t *mask, const uint64_t *other_mask,
                          size_t words)
{
    slice sum = {0};

    for (size_t at = 0; at < words; at += SLICE_WORDS) {
        slice bits = slice_load(&a[at]) ^ slice_load(&b[at]);

        if (mask != NULL)
            bits &= slice_load(&mask[at]);
        if (other_mask != NULL)
            bits &= slice_load(&other_mask[at]);
        sum += slice_bits(bits);
    }
    return slice_total(sum);
}

ALWAYS void compare_slices(const uint64_t *const *rows, uint64_t *majority,
                           size_t at, slice below, slice *sums, bool far)
{
    const slice a = slice_load(&rows[0][at]) & below;
    const slice b = slice_load(&rows[1][at]) & below;
    const slice c = slice_load(&rows[2][at]) & below;

    if (majority != NULL && far)
        slice_stream(&majority[at], slice_carry(a, b, c));
    else if (majority != NULL)
        slice_store(&majority[at], slice_carry(a, b, c));
    sums[0] += slice_bits(a ^ b);
    sums[1] += slice_bits(a ^ c);
    sums[2] += slice_bits(b ^ c);
}

/* `far` is a constant, and so is whether there is a majority. */
ALWAYS void compare_three(const struct compare *compare, uint64_t *majority,
                          bool far)
{
    const uint64_t *const rows[3] = {compare->rows[0], compare->rows[1],
                                     compare->rows[2]};
    const size_t words = lines_for(compare->count) * LINE_WORDS;
    const slice none = {0};
    slice sums[3] = {none, none, none};
    size_t at = 0;

    for (; at + SLICE_WORDS <= compare->count / WORD_COORDINATES;
         at += SLICE_WORDS)
        compare_slices(rows, majority, at, ~none, sums, far);
    for (; at < words; at += SLICE_WORDS) {
        const size_t first = at * WORD_COORDINATES;

        compare_slices(
            rows, majority, at,
            slice_below(compare->count > first ? compare->count - first : 0),
            sums, far);
    }
    if (far)
        slice_fence();
    for (uint32_t pair = 0; pair < 3; pair++)
        compare->distances[pair] += slice_total(sums[pair]);
}

/* Zero bits behind the first `count` coordinates of a row. */
ALWAYS void clear_behind(uint64_t *row, size_t words, size_t count)
{
    for (size_t w = count / WORD_COORDINATES; w < words; w++) {
        const size_t first = w * WORD_COORDINATES;

        row[w] &= count > first ? signs_below(count - first) : 0;
    }
}

/* One tile of each row into rows[]. */
ALWAYS void hold_replicas(uint64_t rows[][REPLICA_WORDS],
                          const struct compare *compare, size_t at,
                          size_t words)
{
    const size_t left = compare->count - at * WORD_COORDINATES;

    for (uint32_t r = 0; r < compare->replicas; r++) {
        hold(rows[r], &compare->rows[r][at], words);
        clear_behind(rows[r], words, left);
    }
}

ALWAYS void compare_tile(uint64_t rows[][REPLICA_WORDS],
                         const struct compare *compare, size_t words)
{
    uint64_t *distance = compare->distances;

    for (uint32_t a = 0; a < compare->replicas; a++)
        for (uint32_t b = a + 1; b < compare->replicas; b++)
            *distance++ += differing(rows[a], rows[b], NULL, NULL, words);
}

/* `plain` is the table's own vote. */
static inline void compare_many(const struct compare *compare, vote_fn *plain)
{
    const size_t words = lines_for(compare->count) * LINE_WORDS;
    _Alignas(LINE_BYTES) uint64_t rows[REPLICAS_MAX][REPLICA_WORDS];
    const uint64_t *signs[REPLICAS_MAX];
    struct vote vote = {
        .signs = signs,
        .voters = compare->replicas,
        .threshold = compare->replicas / 2 + 1,
    };

    for (uint32_t r = 0; r < compare->replicas; r++)
        signs[r] = rows[r];
    for (size_t at = 0; at < words; at += vote.words) {
        const size_t left = words - at;

        vote.words = left < REPLICA_WORDS ? left : REPLICA_WORDS;
        hold_replicas(rows, compare, at, vote.words);
        compare_tile(rows, compare, vote.words);
        if (compare->majority == NULL)
            continue;
        vote.result = &compare->majority[at];
        plain(&vote);
    }
}

static inline void compare_rows(const struct compare *compare, vote_fn *plain)
{
    if (compare->replicas != 3)
        compare_many(compare, plain);
    else if (compare->majority == NULL)
        compare_three(compare, NULL, false);
    else if (compare->far)
        compare_three(compare, compare->majority, true);
    else
        compare_three(compare, compare->majority, false);
}

#endif
