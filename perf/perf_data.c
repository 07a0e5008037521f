/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_data.c - inputs that every rank can compute, and what must come out.
 *
 * The expectation knows nothing of the library: it draws the inputs of all
 * ranks again and counts coordinate by coordinate.
 */
#include "perf_data.h"

#include "perf_values.h"

#include <assert.h>
#include <string.h>

void perf_fill(void *values, size_t count, const struct perf_draw *draw,
               int rank)
{
    const uint64_t stream = perf_stream(rank, draw->number);
    struct perf_numbers numbers;
    const uint64_t *codes;

    perf_numbers(&numbers, draw);
    codes = numbers.codes[rank >= numbers.leading];
    if (draw->type == BALLOT_SIGNS)
        memset(values, 0, (count + 63) / 64 * 8);
    for (size_t i = 0; i < count; i++)
        perf_store(values, i, draw->type, codes[perf_drawn(stream, i)]);
}

/* ---- Copies ------------------------------------------------------------- */

static uint64_t count_wrong_copies(const void *got, size_t count,
                                   const struct perf_draw *draw,
                                   const struct perf_source *source)
{
    struct perf_numbers numbers;
    uint64_t wrong = 0;

    perf_numbers(&numbers, draw);
    for (size_t done = 0; done < count; done += source->block) {
        int rank = source->rank + (int)(done / source->block);
        uint64_t stream = perf_stream(rank, draw->number);
        const uint64_t *codes = numbers.codes[rank >= numbers.leading];

        for (size_t i = 0; i < source->block; i++)
            wrong += perf_load(got, done + i, draw->type) !=
                     codes[perf_drawn(stream, source->first + i)];
    }
    return wrong;
}

/* ---- Folds -------------------------------------------------------------- */

/* All ranks' numbers of one coordinate, in every way that they are folded. */
struct folded {
    int minus;
    int voted;
    int least;
    int most;
    int64_t sum;
    int64_t product;
    uint64_t all; /* bits */
    uint64_t any;
    uint64_t odd;
};

struct folding {
    const struct perf_draw *draw;
    struct perf_numbers numbers;
    bool zeros_vote;
    uint64_t streams[BALLOT_RANKS_MAX];
};

static struct folded fold_at(const struct folding *folding, size_t coordinate)
{
    const struct perf_draw *draw = folding->draw;
    struct folded folded = {
        .least = INT32_MAX,
        .most = INT32_MIN,
        .product = 1,
        .all = UINT64_MAX,
    };

    for (int rank = 0; rank < draw->ranks; rank++) {
        uint32_t drawn = perf_drawn(folding->streams[rank], coordinate);
        int table = rank >= folding->numbers.leading;
        int key = folding->numbers.keys[table][drawn];
        uint64_t code = folding->numbers.codes[table][drawn];
        int value = key / 2;

        folded.minus += value < 0;
        folded.voted += folding->zeros_vote || value != 0;
        folded.least = key < folded.least ? key : folded.least;
        folded.most = key > folded.most ? key : folded.most;
        folded.sum += value * (draw->op == PERF_MULSUM ? perf_factor(rank) : 1);
        folded.product *= value;
        folded.all &= code;
        folded.any |= code;
        folded.odd ^= code;
    }
    return folded;
}

static bool vote_is(const struct folded *folded, const struct perf_draw *draw,
                    uint64_t got)
{
    const bool packed = draw->type == BALLOT_SIGNS;
    const uint64_t plus = packed ? 0 : perf_encode(draw->type, 1);
    const uint64_t minus = packed ? 1 : perf_encode(draw->type, -1);

    if (2 * folded->minus != folded->voted)
        return got == (2 * folded->minus > folded->voted ? minus : plus);
    switch (draw->tie) {
    case BALLOT_TIE_PLUS: return got == plus;
    case BALLOT_TIE_MINUS: return got == minus;
    case BALLOT_TIE_ZERO: return got == 0;
    default: return got == plus || got == minus;
    }
}

/* A number of the type; where it is a float, either zero will do. */
static bool number_is(enum ballot_type type, int64_t number, int divisor,
                      uint64_t got)
{
    if (!perf_is_float(type))
        return got == perf_wrap(type, perf_wrapped(type, number) / divisor);
    if (number == 0)
        return got == perf_encode(type, 0.0) || got == perf_encode(type, -0.0);
    return got == perf_encode(type, (double)number / divisor);
}

/* A number that was drawn, as it is: of zeros the one that it is. */
static bool key_is(enum ballot_type type, int key, uint64_t got)
{
    if (!perf_is_float(type))
        return got == perf_wrap(type, key / 2);
    return got == perf_encode(type, key == -1 ? -0.0 : key / 2);
}

static bool is_right(const struct folded *folded, const struct perf_draw *draw,
                     uint64_t got)
{
    switch (draw->op) {
    case BALLOT_MAJORITY: return vote_is(folded, draw, got);
    case BALLOT_AVG:
        return number_is(draw->type, folded->sum, draw->ranks, got);
    case BALLOT_PROD: return number_is(draw->type, folded->product, 1, got);
    case BALLOT_MIN: return key_is(draw->type, folded->least, got);
    case BALLOT_MAX: return key_is(draw->type, folded->most, got);
    case BALLOT_BIT_AND: return got == folded->all;
    case BALLOT_BIT_OR: return got == folded->any;
    case BALLOT_BIT_XOR: return got == folded->odd;
    default: return number_is(draw->type, folded->sum, 1, got);
    }
}

uint64_t perf_wrong(const void *got, size_t count, const struct perf_draw *draw,
                    const struct perf_source *source)
{
    struct folding folding = {
        .draw = draw,
        /* Packed signs have no zero that could abstain. */
        .zeros_vote =
            draw->zero == BALLOT_ZERO_PLUS || draw->type == BALLOT_SIGNS,
    };
    uint64_t wrong = 0;

    assert(draw->ranks <= BALLOT_RANKS_MAX);
    if (!source->folded)
        return count_wrong_copies(got, count, draw, source);
    perf_numbers(&folding.numbers, draw);
    for (int rank = 0; rank < draw->ranks; rank++)
        folding.streams[rank] = perf_stream(rank, draw->number);
    for (size_t i = 0; i < count; i++) {
        struct folded folded = fold_at(&folding, source->first + i);

        wrong += !is_right(&folded, draw, perf_load(got, i, draw->type));
    }
    return wrong;
}
