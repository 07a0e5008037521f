/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_elements.c - arithmetic of every type, one element at a time.
 *
 * An element is its bits. Whole numbers are folded as 64 bits and cut; floats
 * as the float or double that holds them, then rounded by the rule of IEEE 754
 * for numbers that are neither tiny nor infinite, as those here are.
 */
#include "worker_elements.h"

#include <math.h>
#include <string.h>

size_t element_bytes(enum ballot_type type)
{
    static const uint8_t bytes[BALLOT_TYPES] = {
        [BALLOT_FLOAT32] = 4, [BALLOT_FLOAT16] = 2, [BALLOT_BFLOAT16] = 2,
        [BALLOT_FLOAT64] = 8, [BALLOT_SIGNS] = 8,   [BALLOT_INT8] = 1,
        [BALLOT_UINT8] = 1,   [BALLOT_INT16] = 2,   [BALLOT_UINT16] = 2,
        [BALLOT_INT32] = 4,   [BALLOT_UINT32] = 4,  [BALLOT_INT64] = 8,
        [BALLOT_UINT64] = 8,
    };

    return bytes[type];
}

size_t element_count(enum ballot_type type, size_t count)
{
    return type == BALLOT_SIGNS ? (count + 63) / 64 : count;
}

static bool is_float(enum ballot_type type)
{
    return type <= BALLOT_FLOAT64;
}

static bool is_signed(enum ballot_type type)
{
    return type == BALLOT_INT8 || type == BALLOT_INT16 ||
           type == BALLOT_INT32 || type == BALLOT_INT64;
}

static uint64_t cut(enum ballot_type type, uint64_t bits)
{
    size_t unused = 64 - 8 * element_bytes(type);

    return bits << unused >> unused;
}

static int64_t extend(enum ballot_type type, uint64_t bits)
{
    size_t unused = 64 - 8 * element_bytes(type);

    return (int64_t)(bits << unused) >> unused;
}

/* ---- Floats ---- */

/* To so many bits of mantissa, the first one included; ties to even. */
static double round_to(double value, int bits)
{
    int exponent;
    double part = frexp(value, &exponent);

    return ldexp(nearbyint(ldexp(part, bits)), exponent - bits);
}

static uint64_t bits_of_float(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint64_t half_encode(double value)
{
    double size = fabs(value);
    uint64_t sign = signbit(value) ? 0x8000 : 0;
    int exponent;

    if (size == 0)
        return sign;
    size = frexp(round_to(size, 11), &exponent);
    return sign | (uint64_t)(exponent + 14) << 10 |
           (uint64_t)(ldexp(size, 11) - 1024);
}

static double half_decode(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double size = exponent == 0
                      ? ldexp((double)(bits & 1023), -24)
                      : ldexp((double)(bits & 1023) + 1024, exponent - 25);

    return bits >> 15 != 0 ? -size : size;
}

static uint64_t encode(enum ballot_type type, double value)
{
    uint64_t bits;

    switch (type) {
    case BALLOT_FLOAT32: return bits_of_float((float)value);
    case BALLOT_BFLOAT16: return bits_of_float((float)round_to(value, 8)) >> 16;
    case BALLOT_FLOAT16: return half_encode(value);
    default: memcpy(&bits, &value, sizeof(bits)); return bits;
    }
}

static double decode(enum ballot_type type, uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float narrow;
    double value;

    switch (type) {
    case BALLOT_BFLOAT16:
        low <<= 16; /* it is the upper half */
        /* fall through */
    case BALLOT_FLOAT32: memcpy(&narrow, &low, sizeof(narrow)); return narrow;
    case BALLOT_FLOAT16: return half_decode(bits);
    default: memcpy(&value, &bits, sizeof(value)); return value;
    }
}

/* A sum or product of two floats is exact enough in double to be rounded again;
 * of doubles it is the result. */
static uint64_t fold_floats(enum ballot_type type, enum ballot_op op,
                            uint64_t a_bits, uint64_t b_bits)
{
    double a = decode(type, a_bits), b = decode(type, b_bits);

    switch (op) {
    case BALLOT_PROD: return encode(type, a * b);
    case BALLOT_MIN: return a < b ? a_bits : b_bits;
    case BALLOT_MAX: return a > b ? a_bits : b_bits;
    default: return encode(type, a + b);
    }
}

/* ---- Ops ---- */

static bool less(enum ballot_type type, uint64_t a, uint64_t b)
{
    return is_signed(type) ? extend(type, a) < extend(type, b) : a < b;
}

uint64_t element_fold(enum ballot_type type, enum ballot_op op, uint64_t a,
                      uint64_t b)
{
    if (is_float(type))
        return fold_floats(type, op, a, b);
    switch (op) {
    case BALLOT_PROD: return cut(type, a * b);
    case BALLOT_MIN: return less(type, a, b) ? a : b;
    case BALLOT_MAX: return less(type, a, b) ? b : a;
    case BALLOT_BIT_AND: return a & b;
    case BALLOT_BIT_OR: return a | b;
    case BALLOT_BIT_XOR: return a ^ b;
    default: return cut(type, a + b);
    }
}

uint64_t element_divide(enum ballot_type type, uint64_t a, int by)
{
    if (is_float(type))
        return encode(type, decode(type, a) / by);
    if (is_signed(type))
        return cut(type, (uint64_t)(extend(type, a) / by));
    return a / (uint64_t)by;
}

uint64_t element_factor(enum ballot_type type, int rank)
{
    int factor = rank % 3 + 1;

    return is_float(type) ? encode(type, factor) : (uint64_t)factor;
}

/* Rough numbers where float or double must be rounded; halves get small whole
 * ones. A product stays in range. */
uint64_t element_given(enum ballot_type type, enum ballot_op op, uint64_t seed,
                       int rank, size_t i)
{
    uint64_t x = mix(mix(seed ^ (uint64_t)rank << 40) + i);
    double sign = x & 1 ? -1 : 1;

    if (!is_float(type))
        return cut(type, x >> 3);
    if (op == BALLOT_PROD)
        return encode(type, sign * (x & 2 && rank < 4 ? 1.5 : 1));
    if (type == BALLOT_FLOAT16 || type == BALLOT_BFLOAT16)
        return encode(type, sign * (double)(1 + (x >> 8) % 3));
    return encode(
        type, ldexp(sign * (double)(1 + (x >> 12)), (int)(x >> 4 & 7) - 50));
}
