/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_data.c - inputs that every rank can compute, and what must come out.
 *
 * The expectation knows nothing of the library: it draws the inputs of all
 * ranks again and counts coordinate by coordinate.
 */
#include "perf_data.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { DRAWS = 18 }; /* -8 .. 8 and -0 */

const char *const perf_op_names[BALLOT_PROD] = {
    [BALLOT_MAJORITY] = "majority",
    [BALLOT_SUM] = "sum",
    [BALLOT_AVG] = "avg",
};

const char *const perf_type_names[BALLOT_VOTE_TYPES] = {
    [BALLOT_FLOAT32] = "float",     [BALLOT_FLOAT16] = "half",
    [BALLOT_BFLOAT16] = "bfloat16", [BALLOT_FLOAT64] = "double",
    [BALLOT_SIGNS] = "signs",
};

static const size_t value_bytes[BALLOT_VOTE_TYPES] = {
    [BALLOT_FLOAT32] = 4,
    [BALLOT_FLOAT16] = 2,
    [BALLOT_BFLOAT16] = 2,
    [BALLOT_FLOAT64] = 8,
};

size_t perf_count(enum ballot_type type, size_t bytes)
{
    return type == BALLOT_SIGNS ? 8 * bytes : bytes / value_bytes[type];
}

size_t perf_bytes(enum ballot_type type, size_t count)
{
    return type == BALLOT_SIGNS ? (count + 7) / 8 : count * value_bytes[type];
}

/* ---- Drawing ------------------------------------------------------------ */

/* A stream of its own for each rank and draw (the finaliser of splitmix64). */
static uint64_t stream_of(int rank, uint64_t draw)
{
    uint64_t mixed = (draw << 16) + (uint64_t)rank + 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

static inline uint32_t draw_at(uint64_t stream, size_t coordinate)
{
    uint64_t mixed = (coordinate + stream) * 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    return (uint32_t)((mixed >> 32) * DRAWS >> 32);
}

static inline float drawn_value(uint32_t drawn)
{
    return drawn == DRAWS - 1 ? -0.0f : (float)drawn - 8;
}

/* The bits of `value` in `type`, for values that all types hold exactly. */
static uint64_t encode(enum ballot_type type, float value)
{
    double wide = (double)value;
    uint64_t bits64;
    uint32_t bits, sign, half;

    memcpy(&bits, &value, sizeof(bits));
    memcpy(&bits64, &wide, sizeof(bits64));
    sign = bits >> 31;
    /* Exponents count from 127 in a float and from 15 in a half. */
    half = value == 0.0f ? 0 : (bits << 1 >> 14) - ((127u - 15u) << 10);
    switch (type) {
    case BALLOT_FLOAT32: return bits;
    case BALLOT_FLOAT16: return sign << 15 | half;
    case BALLOT_BFLOAT16: return bits >> 16;
    case BALLOT_FLOAT64: return bits64;
    default: return value < 0.0f;
    }
}

static void store(void *values, size_t index, enum ballot_type type,
                  uint64_t bits)
{
    switch (type) {
    case BALLOT_FLOAT32: ((uint32_t *)values)[index] = (uint32_t)bits; break;
    case BALLOT_FLOAT16:
    case BALLOT_BFLOAT16: ((uint16_t *)values)[index] = (uint16_t)bits; break;
    case BALLOT_FLOAT64: ((uint64_t *)values)[index] = bits; break;
    default: ((uint64_t *)values)[index / 64] |= bits << index % 64;
    }
}

static uint64_t load(const void *values, size_t index, enum ballot_type type)
{
    switch (type) {
    case BALLOT_FLOAT32: return ((const uint32_t *)values)[index];
    case BALLOT_FLOAT16:
    case BALLOT_BFLOAT16: return ((const uint16_t *)values)[index];
    case BALLOT_FLOAT64: return ((const uint64_t *)values)[index];
    default: return ((const uint64_t *)values)[index / 64] >> index % 64 & 1;
    }
}

static void encode_draws(uint64_t *codes, enum ballot_type type)
{
    for (uint32_t drawn = 0; drawn < DRAWS; drawn++)
        codes[drawn] = encode(type, drawn_value(drawn));
}

void perf_fill(void *values, size_t count, enum ballot_type type, int rank,
               uint64_t draw)
{
    const uint64_t stream = stream_of(rank, draw);
    uint64_t codes[DRAWS];

    encode_draws(codes, type);
    if (type == BALLOT_SIGNS)
        memset(values, 0, (count + 63) / 64 * 8);
    for (size_t i = 0; i < count; i++)
        store(values, i, type, codes[draw_at(stream, i)]);
}

/* ---- Expecting ---------------------------------------------------------- */

struct counted {
    int minus;
    int voted;
    float sum;
};

static struct counted count_at(const uint64_t *streams, size_t coordinate,
                               int ranks, bool zeros_vote)
{
    struct counted all = {0};

    for (int rank = 0; rank < ranks; rank++) {
        float value = drawn_value(draw_at(streams[rank], coordinate));

        all.minus += value < 0.0f;
        all.voted += zeros_vote || value != 0.0f;
        all.sum += value;
    }
    return all;
}

static bool vote_is(struct counted all, enum ballot_tie tie, uint64_t got,
                    enum ballot_type type)
{
    const uint64_t plus = encode(type, 1.0f), minus = encode(type, -1.0f);

    if (2 * all.minus != all.voted)
        return got == (2 * all.minus > all.voted ? minus : plus);
    switch (tie) {
    case BALLOT_TIE_PLUS: return got == plus;
    case BALLOT_TIE_MINUS: return got == minus;
    case BALLOT_TIE_ZERO: return got == encode(type, 0.0f);
    default: return got == plus || got == minus;
    }
}

/* An average may be rounded twice: when 1 / ranks is, and when it is used. */
static bool sum_is(struct counted all, const struct perf_done *done,
                   uint64_t got)
{
    const uint32_t bits = (uint32_t)got;
    float value, wanted = all.sum;

    memcpy(&value, &bits, sizeof(value));
    if (done->what == PERF_DONE_SUM)
        return value == wanted;
    wanted /= (float)done->ranks;
    return fabsf(value - wanted) <= 2.5e-7f * fabsf(wanted);
}

static uint64_t count_wrong_copies(const void *got, size_t count,
                                   enum ballot_type type,
                                   const struct perf_done *done)
{
    const uint64_t stream = stream_of(done->root, done->draw);
    uint64_t codes[DRAWS], wrong = 0;

    encode_draws(codes, type);
    for (size_t i = 0; i < count; i++)
        wrong += load(got, i, type) != codes[draw_at(stream, i)];
    return wrong;
}

uint64_t perf_wrong(const void *got, size_t count, enum ballot_type type,
                    const struct perf_done *done)
{
    /* Packed signs have no zero that could abstain. */
    const bool zeros_vote =
        done->zero == BALLOT_ZERO_PLUS || type == BALLOT_SIGNS;
    uint64_t streams[BALLOT_RANKS_MAX], wrong = 0;

    assert(done->ranks <= BALLOT_RANKS_MAX);
    if (done->what == PERF_DONE_COPY)
        return count_wrong_copies(got, count, type, done);
    for (int rank = 0; rank < done->ranks; rank++)
        streams[rank] = stream_of(rank, done->draw);
    for (size_t i = 0; i < count; i++) {
        struct counted all = count_at(streams, i, done->ranks, zeros_vote);
        uint64_t bits = load(got, i, type);

        wrong += done->what == PERF_DONE_VOTE
                     ? !vote_is(all, done->tie, bits, type)
                     : !sum_is(all, done, bits);
    }
    return wrong;
}
