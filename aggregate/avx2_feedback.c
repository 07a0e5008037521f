/* SPDX-License-Identifier: Apache-2.0 */
/* avx2_feedback.c - error feedback with 256-bit registers. */
#include "kernels.h"

#if defined(__x86_64__)

#include "avx2.h"
#include "feedback.h"

enum {
    FLOATS = 8, /* in a register */
    REGISTERS = FEEDBACK_LANES / FLOATS,
};

/* p of eight coordinates. */
ALWAYS __m256 sums_load(const float *error, const float *gradient)
{
    return _mm256_add_ps(_mm256_loadu_ps(gradient), _mm256_loadu_ps(error));
}

/* |x|, as an integer. */
ALWAYS __m256i sizes_of(__m256 x)
{
    return _mm256_castps_si256(x) & _mm256_set1_epi32(INT32_MAX);
}

/* p - sent, or 0 where that is a NaN or an infinity. */
ALWAYS __m256 rest_of(__m256 p, __m256 sent)
{
    const __m256 rest = _mm256_sub_ps(p, sent);
    const __m256i finite =
        _mm256_cmpgt_epi32(_mm256_set1_epi32(0x7f800000), sizes_of(rest));

    return _mm256_and_ps(rest, _mm256_castsi256_ps(finite));
}

/* A bit for each of eight lanes of all ones or zeros. */
ALWAYS uint64_t eight_bits(__m256i lanes)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(lanes));
}

ALWAYS void feedback(uint64_t *restrict signs, uint64_t *restrict marks,
                     float *restrict error, const float *restrict gradient,
                     float scale, size_t count)
{
    const __m256 plus = _mm256_set1_ps(scale);
    const __m256 minus = _mm256_set1_ps(-scale);
    const size_t whole = count / WORD_COORDINATES;

    for (size_t w = 0; w < whole; w++) {
        uint64_t below = 0;
        uint64_t marked = 0;

        for (uint32_t i = 0; i < WORD_COORDINATES; i += FLOATS) {
            float *const at = &error[w * WORD_COORDINATES + i];
            const __m256 p = sums_load(at, &gradient[w * WORD_COORDINATES + i]);
            const __m256i bits = _mm256_castps_si256(p);
            const __m256i eight = lanes_minus(TYPE_FLOAT32, bits);
            __m256 sent =
                _mm256_blendv_ps(plus, minus, _mm256_castsi256_ps(eight));

            if (marks != NULL) {
                const __m256i zero = lanes_zero(TYPE_FLOAT32, bits);

                sent = _mm256_andnot_ps(_mm256_castsi256_ps(zero), sent);
                marked |= (eight_bits(zero) ^ 0xff) << i;
            }
            below |= eight_bits(eight) << i;
            _mm256_storeu_ps(at, rest_of(p, sent));
        }
        signs[w] = below;
        if (marks != NULL)
            marks[w] = marked;
    }
    feedback_from(whole * WORD_COORDINATES, signs, marks, error, gradient,
                  scale, count);
}

void feedback_avx2(uint64_t *restrict signs, uint64_t *restrict marks,
                   float *restrict error, const float *restrict gradient,
                   float scale, size_t count)
{
    if (marks != NULL)
        feedback(signs, marks, error, gradient, scale, count);
    else
        feedback(signs, NULL, error, gradient, scale, count);
}

float feedback_scale_avx2(const float *error, const float *gradient,
                          size_t count)
{
    const size_t whole = count / FEEDBACK_LANES * FEEDBACK_LANES;
    __m256 sums[REGISTERS];
    float lanes[FEEDBACK_LANES];

    for (uint32_t r = 0; r < REGISTERS; r++)
        sums[r] = _mm256_setzero_ps();
    for (size_t i = 0; i < whole; i += FEEDBACK_LANES)
        for (uint32_t r = 0; r < REGISTERS; r++) {
            const size_t at = i + r * FLOATS;
            const __m256 p = sums_load(&error[at], &gradient[at]);

            sums[r] = _mm256_add_ps(sums[r], _mm256_castsi256_ps(sizes_of(p)));
        }
    for (uint32_t r = 0; r < REGISTERS; r++)
        _mm256_storeu_ps(&lanes[r * FLOATS], sums[r]);
    return feedback_mean(lanes, whole, error, gradient, count);
}

#endif
