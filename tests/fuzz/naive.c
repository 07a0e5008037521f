/* SPDX-License-Identifier: Apache-2.0 */
/* naive.c - what the kernels should give, one coordinate after the other. */
#include "naive.h"

#include <math.h>
#include <string.h>

size_t naive_bytes(enum sign_type type)
{
    static const size_t bytes[TYPES] = {4, 2, 2, 8, 0};

    return bytes[type];
}

static bool bit_of(const uint64_t *row, size_t i)
{
    return (row[i / 64] >> i % 64) % 2 == 1;
}

static void set_bit(uint64_t *row, size_t i, bool bit)
{
    if (bit)
        row[i / 64] |= 1ull << i % 64;
    else
        row[i / 64] &= ~(1ull << i % 64);
}

/* A value as a double, which holds each type exactly. */
static double value_of(enum sign_type type, const void *values, size_t i)
{
    const char *at = (const char *)values + i * naive_bytes(type);
    uint16_t half;
    uint32_t wide;
    float single;
    double whole;

    if (type == TYPE_FLOAT64) {
        memcpy(&whole, at, 8);
        return whole;
    }
    if (type == TYPE_FLOAT32) {
        memcpy(&single, at, 4);
        return (double)single;
    }
    memcpy(&half, at, 2);
    if (type == TYPE_BFLOAT16) {
        wide = (uint32_t)half << 16;
        memcpy(&single, &wide, 4);
        return (double)single;
    }
    /* 1 sign, 5 exponent, 10 fraction. */
    whole = half % 1024;
    if (half / 1024 % 32 == 31)
        whole = half % 1024 != 0 ? (double)NAN : (double)INFINITY;
    else if (half / 1024 % 32 == 0)
        whole = ldexp(whole, -24);
    else
        whole = ldexp(whole + 1024, half / 1024 % 32 - 25);
    return half >> 15 != 0 ? -whole : whole;
}

void naive_pack(enum sign_type type, uint64_t *signs, uint64_t *marks,
                const void *values, size_t count)
{
    const size_t end = lines_for(count) * LINE_COORDINATES;

    for (size_t i = 0; i < end; i++) {
        const bool there = i < count;
        bool minus, marked;

        if (type == TYPE_SIGNS) {
            minus = there && bit_of(values, i);
            marked = there;
        } else {
            minus = there && value_of(type, values, i) < 0;
            marked = there && value_of(type, values, i) != 0;
        }
        set_bit(signs, i, minus);
        if (marks != NULL)
            set_bit(marks, i, marked);
    }
}

static void set_value(enum sign_type type, char *at, float value)
{
    const double whole = (double)value;
    int exponent;
    uint16_t half;
    uint32_t wide;

    memcpy(&wide, &value, 4);
    if (type == TYPE_FLOAT64) {
        memcpy(at, &whole, 8);
        return;
    }
    if (type == TYPE_FLOAT32) {
        memcpy(at, &value, 4);
        return;
    }
    half = (uint16_t)(wide >> 16);
    if (type == TYPE_FLOAT16) {
        frexpf(value, &exponent); /* a power of two: 0.5 times 2^exponent */
        half = (uint16_t)(value < 0 ? 1 << 15 : 0);
        if (value < 0 || value > 0)
            half = (uint16_t)(half | (exponent - 1 + 15) << 10);
    }
    memcpy(at, &half, 2);
}

void naive_apply(enum sign_type type, void *values, const uint64_t *signs,
                 const uint64_t *zeros, float scale, size_t count)
{
    if (type == TYPE_SIGNS) {
        for (size_t i = 0; i < (count + 63) / 64 * 64; i++)
            set_bit(values, i, i < count && bit_of(signs, i));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        float value = bit_of(signs, i) ? -scale : scale;

        if (zeros != NULL && bit_of(zeros, i))
            value = 0;
        set_value(type, (char *)values + i * naive_bytes(type), value);
    }
}

/* What voter v adds to the counter of coordinate i. */
static uint32_t added(const struct vote *vote, uint32_t v, size_t i)
{
    const uint32_t weight = vote->weights != NULL ? vote->weights[v] : 1;
    const bool minus = bit_of(vote->signs[v], i);

    if (vote->marks == NULL)
        return minus ? weight : 0;
    if (!bit_of(vote->marks[v], i))
        return weight;
    return minus ? 2 * weight : 0;
}

void naive_vote(const struct vote *vote)
{
    for (size_t i = 0; i < 64 * vote->words; i++) {
        uint32_t counter = 0;
        bool minus, tied;

        for (uint32_t v = 0; v < vote->voters; v++)
            counter += added(vote, v, i);
        minus = counter >= vote->threshold;
        tied = counter == vote->threshold - 1;
        set_bit(vote->result, i, minus);
        if (vote->ties != NULL)
            set_bit(vote->ties, i, tied);
        if (vote->dissent == NULL || i >= vote->coordinates ||
            (vote->ties != NULL && tied))
            continue;
        for (uint32_t v = 0; v < vote->voters; v++)
            if ((vote->marks == NULL || bit_of(vote->marks[v], i)) &&
                bit_of(vote->signs[v], i) != minus)
                vote->dissent[v]++;
    }
}

void naive_compare(const struct compare *compare)
{
    const size_t end = lines_for(compare->count) * LINE_COORDINATES;

    for (size_t i = 0; i < end; i++) {
        const bool there = i < compare->count;
        uint64_t *distance = compare->distances;
        uint32_t minus = 0;

        for (uint32_t a = 0; there && a < compare->replicas; a++) {
            minus += bit_of(compare->rows[a], i);
            for (uint32_t b = a + 1; b < compare->replicas; b++)
                *distance++ +=
                    bit_of(compare->rows[a], i) != bit_of(compare->rows[b], i);
        }
        if (compare->majority != NULL)
            set_bit(compare->majority, i, 2 * minus > compare->replicas);
    }
}

void naive_signum(uint64_t *signs, uint64_t *marks, float *momentum,
                  const float *gradient, float beta, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float fresh = (1.0f - beta) * gradient[i];
        const float kept = beta * momentum[i];

        momentum[i] = fresh + kept;
    }
    naive_pack(TYPE_FLOAT32, signs, marks, momentum, count);
}

void naive_feedback(uint64_t *signs, uint64_t *marks, float *error,
                    const float *gradient, float scale, size_t count)
{
    for (size_t i = 0; i < count; i++)
        error[i] = gradient[i] + error[i];
    naive_pack(TYPE_FLOAT32, signs, marks, error, count);
    for (size_t i = 0; i < count; i++) {
        if (marks == NULL || bit_of(marks, i))
            error[i] += bit_of(signs, i) ? scale : -scale;
        if (!isfinite(error[i]))
            error[i] = 0;
    }
}

float naive_feedback_scale(const float *error, const float *gradient,
                           size_t count)
{
    enum { LANES = 64 };
    float lanes[LANES] = {0};
    double sums[2 * LANES];
    double finite = 0;

    for (size_t i = 0; i < count; i++) {
        const float p = gradient[i] + error[i];

        lanes[i % LANES] += isfinite(p) ? fabsf(p) : 0;
        finite += isfinite(p);
    }
    /* A tree: the sum of nodes n and n + 1 is node n / 2; leaf l is where the
     * bits of l stand in the reverse order. */
    for (int l = 0; l < LANES; l++) {
        int leaf = 1;

        for (int bit = 1; bit < LANES; bit *= 2)
            leaf = 2 * leaf + ((l & bit) != 0);
        sums[leaf] = (double)lanes[l];
    }
    for (int node = LANES - 1; node > 0; node--)
        sums[node] = sums[2 * node] + sums[2 * node + 1];
    return finite > 0 ? (float)(sums[1] / finite) : 0;
}

void naive_update(float *parameters, const uint64_t *signs,
                  const uint64_t *zeros, float rate, float decay, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float x = parameters[i];
        float sign = bit_of(signs, i) ? -1.0f : 1.0f;

        if (zeros != NULL && bit_of(zeros, i))
            sign = 0;
        parameters[i] = x - rate * (sign + decay * x);
    }
}
