/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feedback.h - what signs leave of a gradient, one coordinate at a time.
 *
 * The specification that portable.c applies to whole rows, and the others to
 * the tails that fill no register and to what is not finite.
 */
#ifndef BALLOT_AGGREGATE_FEEDBACK_H
#define BALLOT_AGGREGATE_FEEDBACK_H

#include "signs.h"

enum { FEEDBACK_LANES = 64 }; /* sums that go side by side */

static inline bool float_is_finite(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return (bits & 0x7fffffffu) < 0x7f800000u;
}

static inline float float_size(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    bits &= 0x7fffffffu;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* What is left of p. */
static inline float feedback_rest(float p, bool minus, bool marked, float scale)
{
    const float sent = minus ? -scale : scale;
    const float rest = p - (marked ? sent : 0.0f);

    return float_is_finite(rest) ? rest : 0.0f;
}

/* The rest of a feedback_fn from coordinate `first`, a multiple of 64, on. */
static inline void feedback_from(size_t first, uint64_t *restrict signs,
                                 uint64_t *restrict marks,
                                 float *restrict error,
                                 const float *restrict gradient, float scale,
                                 size_t count)
{
    for (; first < count; first += WORD_COORDINATES) {
        const size_t rest = count - first;
        const size_t some = rest < WORD_COORDINATES ? rest : WORD_COORDINATES;
        const size_t w = first / WORD_COORDINATES;
        uint64_t minus, marked = ~0ull;

        for (size_t i = first; i < first + some; i++)
            error[i] = gradient[i] + error[i];
        minus = word_signs(TYPE_FLOAT32, error, first, some);
        signs[w] = minus;
        if (marks != NULL) {
            marked = word_marks(TYPE_FLOAT32, error, first, some);
            marks[w] = marked;
        }
        for (size_t i = 0; i < some; i++)
            error[first + i] = feedback_rest(error[first + i], minus >> i & 1,
                                             marked >> i & 1, scale);
    }
    signs_pad(signs, count);
    if (marks != NULL)
        signs_pad(marks, count);
}

/* The lanes' sum; they hold nothing any more. */
static inline double lanes_total(const float *lanes)
{
    double sums[FEEDBACK_LANES];

    for (uint32_t l = 0; l < FEEDBACK_LANES; l++)
        sums[l] = lanes[l];
    for (uint32_t half = FEEDBACK_LANES / 2; half > 0; half /= 2)
        for (uint32_t l = 0; l < half; l++)
            sums[l] += sums[l + half];
    return sums[0];
}

/* A feedback_scale_fn: the specification. */
static inline float feedback_mean_finite(const float *error,
                                         const float *gradient, size_t count)
{
    float lanes[FEEDBACK_LANES] = {0};
    size_t finite = 0;

    for (size_t i = 0; i < count; i++) {
        const float size = float_size(gradient[i] + error[i]);

        if (!float_is_finite(size))
            continue;
        lanes[i % FEEDBACK_LANES] += size;
        finite++;
    }
    return finite == 0 ? 0.0f : (float)(lanes_total(lanes) / (double)finite);
}

/* The rest of a feedback_scale_fn, where the lanes have summed the first `done`
 * coordinates, a multiple of 64, finite or not. */
static inline float feedback_mean(float *lanes, size_t done, const float *error,
                                  const float *gradient, size_t count)
{
    float mean;

    for (size_t i = done; i < count; i++)
        lanes[i % FEEDBACK_LANES] += float_size(gradient[i] + error[i]);
    mean = count == 0 ? 0.0f : (float)(lanes_total(lanes) / (double)count);
    /* Sizes do not cancel out: a finite sum had finite addends only. */
    return float_is_finite(mean) ? mean
                                 : feedback_mean_finite(error, gradient, count);
}

#endif
