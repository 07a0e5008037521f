/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx2.c - the kernels with 256-bit registers: two to a line.
 *
 * Built without AVX-512, so that this table runs where it says. Comparisons are
 * those of integers (signs.h has the reason), tails go one coordinate at a
 * time.
 */
#include "kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>

#include "avx2.h"

#include "agree.h"
#include "signs.h"

static void vote_avx2(const struct vote *vote)
{
    if (vote->dissent != NULL)
        dissent_avx2(vote);
    else
        vote_any(vote);
}

enum {
    REGISTER_BYTES = 32,
    HALF = 32, /* coordinates of half a word: what one movemask gives */
};

/* Coordinates in a register. */
ALWAYS uint32_t lanes_of(enum sign_type type)
{
    return type == TYPE_FLOAT32 ? 8 : type == TYPE_FLOAT64 ? 4 : 16;
}

/* One bit for each of 32 lanes of all ones or zeros. */
ALWAYS uint32_t half_word(enum sign_type type, const __m256i *lanes)
{
    uint32_t half = 0;
    __m256i bytes;

    switch (type) {
    case TYPE_FLOAT32:
        /* Packing interleaves the halves of the registers. */
        bytes = _mm256_permutevar8x32_epi32(
            _mm256_packs_epi16(_mm256_packs_epi32(lanes[0], lanes[1]),
                               _mm256_packs_epi32(lanes[2], lanes[3])),
            _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
        return (uint32_t)_mm256_movemask_epi8(bytes);
    case TYPE_FLOAT64:
        for (uint32_t i = 0; i < 8; i++)
            half |= (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(lanes[i]))
                    << 4 * i;
        return half;
    default:
        bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(lanes[0], lanes[1]),
                                         _MM_SHUFFLE(3, 1, 2, 0));
        return (uint32_t)_mm256_movemask_epi8(bytes);
    }
}

ALWAYS void pack(enum sign_type type, uint64_t *restrict signs,
                 uint64_t *restrict marks, const void *restrict values,
                 size_t count)
{
    const uint32_t registers = HALF / lanes_of(type);
    const size_t whole = count / WORD_COORDINATES;
    const char *at = values;

    for (size_t w = 0; w < whole; w++) {
        uint64_t minus = 0;
        uint64_t marked = 0;

        for (uint32_t bit = 0; bit < WORD_COORDINATES; bit += HALF) {
            __m256i below[8];
            __m256i zero[8];

            for (uint32_t i = 0; i < registers; i++, at += REGISTER_BYTES) {
                const __m256i bits = _mm256_loadu_si256((const __m256i_u *)at);

                below[i] = lanes_minus(type, bits);
                zero[i] = lanes_zero(type, bits);
            }
            minus |= (uint64_t)half_word(type, below) << bit;
            marked |= (uint64_t)~half_word(type, zero) << bit;
        }
        signs[w] = minus;
        if (marks != NULL)
            marks[w] = marked;
    }
    pack_from(type, whole * WORD_COORDINATES, signs, marks, values, count);
}

/* `pattern` in every lane. */
ALWAYS __m256i lanes_fill(enum sign_type type, uint64_t pattern)
{
    switch (type) {
    case TYPE_FLOAT32: return _mm256_set1_epi32((int)pattern);
    case TYPE_FLOAT64: return _mm256_set1_epi64x((long long)pattern);
    default: return _mm256_set1_epi16((short)pattern);
    }
}

/* Lanes are all ones where the low bits of `word` are 1. */
ALWAYS __m256i lanes_where(enum sign_type type, uint64_t word)
{
    const __m256i all = lanes_fill(type, word);
    __m256i own;

    switch (type) {
    case TYPE_FLOAT32:
        own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        return _mm256_cmpeq_epi32(all & own, own);
    case TYPE_FLOAT64:
        own = _mm256_setr_epi64x(1, 2, 4, 8);
        return _mm256_cmpeq_epi64(all & own, own);
    default:
        own = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024,
                                2048, 4096, 8192, 16384, INT16_MIN);
        return _mm256_cmpeq_epi16(all & own, own);
    }
}

/* `plus`, negated where the bit of `signs` is 1; 0 where that of `zeros` is. */
ALWAYS __m256i lanes_choose(enum sign_type type, uint64_t signs, uint64_t zeros,
                            bool any_zero, __m256i plus)
{
    const __m256i minus = lanes_fill(type, type_minus(type));
    const __m256i chosen = plus ^ (lanes_where(type, signs) & minus);

    if (!any_zero)
        return chosen;
    return _mm256_andnot_si256(lanes_where(type, zeros), chosen);
}

/* 64 values. */
ALWAYS void apply_word(enum sign_type type, char *at, uint64_t signs,
                       uint64_t zeros, bool any_zero, __m256i plus, bool far)
{
    const uint32_t lanes = lanes_of(type);

    for (uint32_t i = 0; i < WORD_COORDINATES;
         i += lanes, at += REGISTER_BYTES) {
        const __m256i chosen =
            lanes_choose(type, signs >> i, zeros >> i, any_zero, plus);

        if (far)
            _mm256_stream_si256((__m256i *)(void *)at, chosen);
        else
            _mm256_storeu_si256((__m256i_u *)at, chosen);
    }
}

ALWAYS void apply_near(enum sign_type type, char *restrict values,
                       const uint64_t *restrict signs,
                       const uint64_t *restrict zeros, float scale,
                       size_t count)
{
    const __m256i plus = lanes_fill(type, pattern_scale(type, scale));
    const size_t word_bytes = WORD_COORDINATES * type_bytes(type);
    const size_t words = count / WORD_COORDINATES;

    for (size_t w = 0; w < words; w++) {
        const uint64_t word = signs_load(&signs[w]);
        const uint64_t zero = zeros != NULL ? signs_load(&zeros[w]) : 0;

        apply_word(type, values + w * word_bytes, word, zero, zeros != NULL,
                   plus, false);
    }
    apply_from(type, words * WORD_COORDINATES, values, signs, zeros, scale,
               count);
}

/* As apply_near(), but around the caches: from the first whole line on, with
 * bits of two words in each step. */
ALWAYS void apply_far(enum sign_type type, char *restrict values,
                      const uint64_t *restrict signs,
                      const uint64_t *restrict zeros, float scale, size_t count)
{
    const uint64_t pattern = pattern_scale(type, scale);
    const __m256i plus = lanes_fill(type, pattern);
    size_t first = values_to_line(type, values);
    struct reader words = reader_open(signs, first);
    struct reader nones = reader_open(zeros, first);

    word_apply(type, values, 0, first, pattern, words.held, nones.held);
    for (; count - first >= WORD_COORDINATES; first += WORD_COORDINATES)
        apply_word(type, values + first * type_bytes(type),
                   reader_take(&words, WORD_COORDINATES),
                   reader_take(&nones, WORD_COORDINATES), zeros != NULL, plus,
                   true);
    /* Stores around the caches are weakly ordered. */
    _mm_sfence();
    word_apply(type, values, first, count - first, pattern,
               reader_take(&words, count - first),
               reader_take(&nones, count - first));
}

ALWAYS void apply(enum sign_type type, void *restrict values,
                  const uint64_t *restrict signs,
                  const uint64_t *restrict zeros, float scale, size_t count,
                  bool far)
{
    if (far && values_may_be_far(type, values, count))
        apply_far(type, values, signs, zeros, scale, count);
    else if (zeros != NULL)
        apply_near(type, values, signs, zeros, scale, count);
    else
        apply_near(type, values, signs, NULL, scale, count);
}

/* Eight steps of momentum. */
ALWAYS __m256i momentum_eight(float *momentum, const float *gradient,
                              __m256 keep, __m256 take)
{
    const __m256 fresh = _mm256_mul_ps(take, _mm256_loadu_ps(gradient));
    const __m256 kept = _mm256_mul_ps(keep, _mm256_loadu_ps(momentum));
    const __m256 next = _mm256_add_ps(fresh, kept);

    _mm256_storeu_ps(momentum, next);
    return _mm256_castps_si256(next);
}

static void signum_avx2(uint64_t *restrict signs, uint64_t *restrict marks,
                        float *restrict momentum,
                        const float *restrict gradient, float beta,
                        size_t count)
{
    const __m256 keep = _mm256_set1_ps(beta);
    const __m256 take = _mm256_set1_ps(1.0f - beta);
    const size_t whole = count / WORD_COORDINATES * WORD_COORDINATES;

    for (size_t at = 0; at < whole; at += HALF) {
        const uint32_t bit = at % WORD_COORDINATES;
        const size_t w = at / WORD_COORDINATES;
        __m256i below[4];
        __m256i zero[4];

        for (uint32_t i = 0; i < 4; i++) {
            const __m256i bits = momentum_eight(
                &momentum[at + 8 * i], &gradient[at + 8 * i], keep, take);

            below[i] = lanes_minus(TYPE_FLOAT32, bits);
            zero[i] = lanes_zero(TYPE_FLOAT32, bits);
        }
        if (bit == 0)
            signs[w] = half_word(TYPE_FLOAT32, below);
        else
            signs[w] |= (uint64_t)half_word(TYPE_FLOAT32, below) << HALF;
        if (marks != NULL && bit == 0)
            marks[w] = ~half_word(TYPE_FLOAT32, zero);
        else if (marks != NULL)
            marks[w] |= (uint64_t)~half_word(TYPE_FLOAT32, zero) << HALF;
    }
    momentum_from(whole, momentum, gradient, beta, count);
    pack_from(TYPE_FLOAT32, whole, signs, marks, momentum, count);
}

ALWAYS void update_words(float *restrict parameters,
                         const uint64_t *restrict signs,
                         const uint64_t *restrict zeros, float rate,
                         float decay, size_t words)
{
    const __m256 rates = _mm256_set1_ps(rate);
    const __m256 decays = _mm256_set1_ps(decay);
    const __m256i plus = _mm256_castps_si256(_mm256_set1_ps(1.0f));

    for (size_t w = 0; w < words; w++) {
        const uint64_t word = signs_load(&signs[w]);
        const uint64_t zero = zeros != NULL ? signs_load(&zeros[w]) : 0;

        for (uint32_t i = 0; i < WORD_COORDINATES; i += 8) {
            float *const at = &parameters[w * WORD_COORDINATES + i];
            const __m256 x = _mm256_loadu_ps(at);
            const __m256 sign = _mm256_castsi256_ps(lanes_choose(
                TYPE_FLOAT32, word >> i, zero >> i, zeros != NULL, plus));
            const __m256 step = _mm256_add_ps(sign, _mm256_mul_ps(decays, x));

            _mm256_storeu_ps(at, _mm256_sub_ps(x, _mm256_mul_ps(rates, step)));
        }
    }
}

static void update_avx2(float *restrict parameters,
                        const uint64_t *restrict signs,
                        const uint64_t *restrict zeros, float rate, float decay,
                        size_t count)
{
    const size_t whole = count / WORD_COORDINATES;

    if (zeros != NULL)
        update_words(parameters, signs, zeros, rate, decay, whole);
    else
        update_words(parameters, signs, NULL, rate, decay, whole);
    update_from(whole * WORD_COORDINATES, parameters, signs, zeros, rate, decay,
                count);
}

static void pack_float32_avx2(uint64_t *restrict signs,
                              const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT32, signs, NULL, values, count);
}

static void pack_float16_avx2(uint64_t *restrict signs,
                              const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT16, signs, NULL, values, count);
}

static void pack_bfloat16_avx2(uint64_t *restrict signs,
                               const void *restrict values, size_t count)
{
    pack(TYPE_BFLOAT16, signs, NULL, values, count);
}

static void pack_float64_avx2(uint64_t *restrict signs,
                              const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT64, signs, NULL, values, count);
}

static void pack_marks_float32_avx2(uint64_t *restrict signs,
                                    uint64_t *restrict marks,
                                    const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT32, signs, marks, values, count);
}

static void pack_marks_float16_avx2(uint64_t *restrict signs,
                                    uint64_t *restrict marks,
                                    const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT16, signs, marks, values, count);
}

static void pack_marks_bfloat16_avx2(uint64_t *restrict signs,
                                     uint64_t *restrict marks,
                                     const void *restrict values, size_t count)
{
    pack(TYPE_BFLOAT16, signs, marks, values, count);
}

static void pack_marks_float64_avx2(uint64_t *restrict signs,
                                    uint64_t *restrict marks,
                                    const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT64, signs, marks, values, count);
}

static void apply_float32_avx2(void *restrict values,
                               const uint64_t *restrict signs,
                               const uint64_t *restrict zeros, float scale,
                               size_t count, bool far)
{
    apply(TYPE_FLOAT32, values, signs, zeros, scale, count, far);
}

static void apply_float16_avx2(void *restrict values,
                               const uint64_t *restrict signs,
                               const uint64_t *restrict zeros, float scale,
                               size_t count, bool far)
{
    apply(TYPE_FLOAT16, values, signs, zeros, scale, count, far);
}

static void apply_bfloat16_avx2(void *restrict values,
                                const uint64_t *restrict signs,
                                const uint64_t *restrict zeros, float scale,
                                size_t count, bool far)
{
    apply(TYPE_BFLOAT16, values, signs, zeros, scale, count, far);
}

static void apply_float64_avx2(void *restrict values,
                               const uint64_t *restrict signs,
                               const uint64_t *restrict zeros, float scale,
                               size_t count, bool far)
{
    apply(TYPE_FLOAT64, values, signs, zeros, scale, count, far);
}

/* What converts float16; clang's builtin knows no name for it. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

/* Unlike raw CPUID, this also asks whether the OS saves the registers. */
static bool supported(void)
{
    return __builtin_cpu_supports("avx2") && has_f16c();
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .supported = supported,
    .pack = {[TYPE_FLOAT32] = pack_float32_avx2,
             [TYPE_FLOAT16] = pack_float16_avx2,
             [TYPE_BFLOAT16] = pack_bfloat16_avx2,
             [TYPE_FLOAT64] = pack_float64_avx2,
             [TYPE_SIGNS] = signs_pack},
    .pack_marks = {[TYPE_FLOAT32] = pack_marks_float32_avx2,
                   [TYPE_FLOAT16] = pack_marks_float16_avx2,
                   [TYPE_BFLOAT16] = pack_marks_bfloat16_avx2,
                   [TYPE_FLOAT64] = pack_marks_float64_avx2,
                   [TYPE_SIGNS] = signs_pack_marks},
    .vote = vote_avx2,
    .count = count_any,
    .compare = compare_avx2,
    .agree = agree_any,
    .apply = {[TYPE_FLOAT32] = apply_float32_avx2,
              [TYPE_FLOAT16] = apply_float16_avx2,
              [TYPE_BFLOAT16] = apply_bfloat16_avx2,
              [TYPE_FLOAT64] = apply_float64_avx2,
              [TYPE_SIGNS] = signs_apply},
    .signum = signum_avx2,
    .feedback = feedback_avx2,
    .feedback_scale = feedback_scale_avx2,
    .update = update_avx2,
    .reductions = &reductions_avx2,
};

#else

static bool supported(void)
{
    return false;
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .supported = supported,
};

#endif
