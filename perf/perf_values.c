/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_values.c - numbers as the bits of a type, and which ones are drawn.
 */
#include "perf_values.h"

#include <limits.h>
#include <string.h>

enum {
    REACH = 8,       /* numbers are drawn from -REACH to REACH */
    WHOLE_16 = 256,  /* bfloat16 holds all whole numbers up to it */
    FACTORS = 4,     /* so many ranks bring more than a sign to a product */
    FACTOR_MOST = 3, /* 3^4 fits an int8 */
    MINUS_ZERO = PERF_DRAWS - 1,
};

/* nccl-tests' words; what NCCL does not have is called as in MPI. */
const char *const perf_op_names[PERF_OPS] = {
    [BALLOT_MAJORITY] = "majority", [BALLOT_SUM] = "sum",
    [BALLOT_AVG] = "avg",           [BALLOT_PROD] = "prod",
    [BALLOT_MIN] = "min",           [BALLOT_MAX] = "max",
    [BALLOT_BIT_AND] = "band",      [BALLOT_BIT_OR] = "bor",
    [BALLOT_BIT_XOR] = "bxor",      [PERF_MULSUM] = "mulsum",
};

const char *const perf_type_names[BALLOT_TYPES] = {
    [BALLOT_FLOAT32] = "float",     [BALLOT_FLOAT16] = "half",
    [BALLOT_BFLOAT16] = "bfloat16", [BALLOT_FLOAT64] = "double",
    [BALLOT_SIGNS] = "signs",       [BALLOT_INT8] = "int8",
    [BALLOT_UINT8] = "uint8",       [BALLOT_INT16] = "int16",
    [BALLOT_UINT16] = "uint16",     [BALLOT_INT32] = "int32",
    [BALLOT_UINT32] = "uint32",     [BALLOT_INT64] = "int64",
    [BALLOT_UINT64] = "uint64",
};

static const struct {
    uint8_t bytes; /* 0: packed signs */
    bool is_float;
    bool has_sign;
} facts[BALLOT_TYPES] = {
    [BALLOT_FLOAT32] = {4, true, true},  [BALLOT_FLOAT16] = {2, true, true},
    [BALLOT_BFLOAT16] = {2, true, true}, [BALLOT_FLOAT64] = {8, true, true},
    [BALLOT_SIGNS] = {0, false, true},   [BALLOT_INT8] = {1, false, true},
    [BALLOT_UINT8] = {1, false, false},  [BALLOT_INT16] = {2, false, true},
    [BALLOT_UINT16] = {2, false, false}, [BALLOT_INT32] = {4, false, true},
    [BALLOT_UINT32] = {4, false, false}, [BALLOT_INT64] = {8, false, true},
    [BALLOT_UINT64] = {8, false, false},
};

bool perf_is_float(enum ballot_type type)
{
    return facts[type].is_float;
}

bool perf_is_bits(int op)
{
    return op == BALLOT_BIT_AND || op == BALLOT_BIT_OR || op == BALLOT_BIT_XOR;
}

bool perf_has_op(enum ballot_type type, int op)
{
    if (op == BALLOT_MAJORITY)
        return type < BALLOT_VOTE_TYPES;
    if (perf_is_bits(op))
        return !perf_is_float(type);
    return op == PERF_MULSUM ? perf_is_float(type) : type != BALLOT_SIGNS;
}

int perf_factor(int rank)
{
    return 1 + rank % 2;
}

size_t perf_count(enum ballot_type type, size_t bytes)
{
    return type == BALLOT_SIGNS ? 8 * bytes : bytes / facts[type].bytes;
}

size_t perf_bytes(enum ballot_type type, size_t count)
{
    return type == BALLOT_SIGNS ? (count + 7) / 8 : count * facts[type].bytes;
}

/* ---- Bits --------------------------------------------------------------- */

/* The upper bits of a float, rounded to nearest, ties to even. */
static uint32_t round_off(uint32_t bits, int dropped)
{
    uint32_t half = (UINT32_C(1) << (dropped - 1)) - 1;

    return (bits + half + (bits >> dropped & 1)) >> dropped;
}

uint64_t perf_encode(enum ballot_type type, double value)
{
    const float narrow = (float)value;
    uint64_t bits64;
    uint32_t bits;

    memcpy(&bits64, &value, sizeof(bits64));
    memcpy(&bits, &narrow, sizeof(bits));
    switch (type) {
    case BALLOT_FLOAT64: return bits64;
    case BALLOT_FLOAT32: return bits;
    case BALLOT_BFLOAT16: return round_off(bits, 16);
    default: break;
    }
    /* Exponents count from 127 in a float and from 15 in a half; no number
     * that is drawn, nor an average, is outside of its normal ones. */
    if (value == 0)
        return bits >> 16;
    return (bits >> 31) << 15 |
           (round_off(bits & INT32_MAX, 13) - ((127u - 15u) << 10));
}

uint64_t perf_wrap(enum ballot_type type, int64_t value)
{
    const int bits = 8 * facts[type].bytes;

    return bits == 64 ? (uint64_t)value
                      : (uint64_t)value & ((UINT64_C(1) << bits) - 1);
}

int64_t perf_wrapped(enum ballot_type type, int64_t value)
{
    const int bits = 8 * facts[type].bytes;
    const uint64_t kept = perf_wrap(type, value);

    /* A number with its sign bit set is negative. */
    if (facts[type].has_sign && bits < 64 && kept >> (bits - 1) != 0)
        return (int64_t)kept - (INT64_C(1) << bits);
    return (int64_t)kept;
}

void perf_store(void *values, size_t index, enum ballot_type type,
                uint64_t bits)
{
    switch (facts[type].bytes) {
    case 1: ((uint8_t *)values)[index] = (uint8_t)bits; break;
    case 2: ((uint16_t *)values)[index] = (uint16_t)bits; break;
    case 4: ((uint32_t *)values)[index] = (uint32_t)bits; break;
    case 8: ((uint64_t *)values)[index] = bits; break;
    default: ((uint64_t *)values)[index / 64] |= bits << index % 64;
    }
}

uint64_t perf_load(const void *values, size_t index, enum ballot_type type)
{
    switch (facts[type].bytes) {
    case 1: return ((const uint8_t *)values)[index];
    case 2: return ((const uint16_t *)values)[index];
    case 4: return ((const uint32_t *)values)[index];
    case 8: return ((const uint64_t *)values)[index];
    default: return ((const uint64_t *)values)[index / 64] >> index % 64 & 1;
    }
}

size_t perf_store_one(void *value, enum ballot_type type, int number)
{
    perf_store(value, 0, type,
               perf_is_float(type) ? perf_encode(type, number)
                                   : perf_wrap(type, number));
    return facts[type].bytes;
}

/* ---- Numbers ------------------------------------------------------------ */

/* The finaliser of splitmix64. */
static uint64_t mix(uint64_t mixed)
{
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

uint64_t perf_stream(int rank, uint64_t number)
{
    return mix((number << 16) + (uint64_t)rank + 0x9e3779b97f4a7c15u);
}

/* How far numbers may go from zero, so that a sum of all is exact. */
static int reach_of(const struct perf_draw *draw)
{
    const bool adds = draw->op == BALLOT_SUM || draw->op == BALLOT_AVG ||
                      draw->op == PERF_MULSUM;
    int most;

    if (!adds || !facts[draw->type].is_float || facts[draw->type].bytes > 2)
        return REACH;
    most = WHOLE_16 / draw->ranks / perf_factor(1);
    if (most > REACH)
        return REACH;
    return most > 0 ? most : 1;
}

/* The number of one draw. */
static int number_of(const struct perf_draw *draw, int drawn, bool leads)
{
    const int reach = reach_of(draw);
    int value;

    if (draw->op == BALLOT_PROD)
        value = (leads ? 1 + drawn / 2 % FACTOR_MOST : 1) *
                (drawn % 2 == 0 ? 1 : -1);
    else if (drawn == MINUS_ZERO || !leads)
        value = 0;
    else
        value = (drawn - REACH) % (reach + 1);
    return value < 0 && !facts[draw->type].has_sign ? -value : value;
}

static uint64_t code_of(const struct perf_draw *draw, int drawn, int key)
{
    if (perf_is_bits(draw->op)) {
        uint64_t bits = mix((uint64_t)drawn + 1);

        return draw->type == BALLOT_SIGNS
                   ? bits & 1
                   : perf_wrap(draw->type, (int64_t)bits);
    }
    if (draw->type == BALLOT_SIGNS)
        return key < -1;
    if (!facts[draw->type].is_float)
        return perf_wrap(draw->type, key / 2);
    return perf_encode(draw->type, key == -1 ? -0.0 : key / 2);
}

void perf_numbers(struct perf_numbers *numbers, const struct perf_draw *draw)
{
    const bool has_minus_zero =
        draw->type == BALLOT_SIGNS || facts[draw->type].is_float;

    numbers->leading = INT_MAX;
    if (draw->op == BALLOT_PROD)
        numbers->leading = FACTORS;
    else if (reach_of(draw) < REACH)
        numbers->leading = WHOLE_16 / perf_factor(1);
    for (int others = 0; others < 2; others++)
        for (int drawn = 0; drawn < PERF_DRAWS; drawn++) {
            int key = 2 * number_of(draw, drawn, others == 0);

            if (key == 0 && drawn == MINUS_ZERO && has_minus_zero)
                key = -1;
            numbers->keys[others][drawn] = key;
            numbers->codes[others][drawn] = code_of(draw, drawn, key);
        }
}
