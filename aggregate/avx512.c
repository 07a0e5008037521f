/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512.c - the kernels with 512-bit registers: a line is one register.
 *
 * Needs AVX-512 F, BW, DQ and VL; what counts bits is AVX2's where VPOPCNTDQ is
 * not there. Comparisons are those of integers (signs.h has the reason), tails
 * go one coordinate at a time.
 */
#include "kernels.h"

#if defined(__x86_64__)

#include "avx512.h"

#include "agree.h"
#include "signs.h"

/* VPOPCNTDQ came after the rest, so not every machine of this table has it. */
static bool counts_bits(void)
{
    return __builtin_cpu_supports("avx512vpopcntdq");
}

static void vote_avx512(const struct vote *vote)
{
    if (vote->dissent == NULL)
        vote_any(vote);
    else if (counts_bits())
        dissent_avx512(vote);
    else
        kernels_avx2.vote(vote);
}

static void compare_any(const struct compare *compare)
{
    if (counts_bits())
        compare_avx512(compare);
    else
        kernels_avx2.compare(compare);
}

enum { REGISTER_BYTES = 64 };

/* Coordinates in a register. */
ALWAYS uint32_t lanes_of(enum sign_type type)
{
    return type == TYPE_FLOAT32 ? 16 : type == TYPE_FLOAT64 ? 8 : 32;
}

ALWAYS void pack(enum sign_type type, uint64_t *restrict signs,
                 uint64_t *restrict marks, const void *restrict values,
                 size_t count)
{
    const uint32_t lanes = lanes_of(type);
    const size_t whole = count / WORD_COORDINATES;
    const char *at = values;

    for (size_t w = 0; w < whole; w++) {
        uint64_t minus = 0;
        uint64_t marked = 0;

        for (uint32_t i = 0; i < WORD_COORDINATES;
             i += lanes, at += REGISTER_BYTES) {
            const __m512i bits = _mm512_loadu_si512(at);

            minus |= lanes_minus(type, bits) << i;
            marked |= lanes_marked(type, bits) << i;
        }
        signs[w] = minus;
        if (marks != NULL)
            marks[w] = marked;
    }
    pack_from(type, whole * WORD_COORDINATES, signs, marks, values, count);
}

/* `pattern` in every lane. */
ALWAYS __m512i lanes_fill(enum sign_type type, uint64_t pattern)
{
    switch (type) {
    case TYPE_FLOAT32: return _mm512_set1_epi32((int)pattern);
    case TYPE_FLOAT64: return _mm512_set1_epi64((long long)pattern);
    default: return _mm512_set1_epi16((short)pattern);
    }
}

/* `minus` where the bit of `signs` is 1, else `plus`; 0 where `zeros` is 1. */
ALWAYS __m512i lanes_choose(enum sign_type type, uint64_t signs, uint64_t zeros,
                            bool any_zero, __m512i plus, __m512i minus)
{
    __m512i chosen;

    switch (type) {
    case TYPE_FLOAT32:
        chosen = _mm512_mask_mov_epi32(plus, (__mmask16)signs, minus);
        return any_zero ? _mm512_maskz_mov_epi32((__mmask16)~zeros, chosen)
                        : chosen;
    case TYPE_FLOAT64:
        chosen = _mm512_mask_mov_epi64(plus, (__mmask8)signs, minus);
        return any_zero ? _mm512_maskz_mov_epi64((__mmask8)~zeros, chosen)
                        : chosen;
    default:
        chosen = _mm512_mask_mov_epi16(plus, (__mmask32)signs, minus);
        return any_zero ? _mm512_maskz_mov_epi16((__mmask32)~zeros, chosen)
                        : chosen;
    }
}

/*
 * float32 without zeros, the common case, needs no masks, which come the long
 * way through general registers: the signs of 32 coordinates are loaded into
 * every lane, and each lane shifts its own bit to where a sign is.
 */
enum { HALF = 32 };

ALWAYS __m512i half_load(const uint64_t *signs, size_t half)
{
    const char *const at = (const char *)signs + 4 * half;
    __m512i lanes = _mm512_broadcastd_epi32(_mm_loadu_si32(at));

    __asm__("" : "+v"(lanes));
    return lanes;
}

/* 16 of the half's coordinates from `first` on: +-`plus`. */
ALWAYS __m512i half_signs(__m512i half, uint32_t first, __m512i plus)
{
    const __m512i own =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i to_sign =
        _mm512_sub_epi32(_mm512_set1_epi32(31 - (int)first), own);

    /* (shifted & sign) ^ plus */
    return _mm512_ternarylogic_epi32(_mm512_sllv_epi32(half, to_sign),
                                     _mm512_set1_epi32(INT32_MIN), plus, 0x6a);
}

ALWAYS void apply_halves(float *restrict values, const uint64_t *restrict signs,
                         __m512i plus, size_t halves)
{
    for (size_t h = 0; h < halves; h++, values += HALF) {
        const __m512i half = half_load(signs, h);

        _mm512_storeu_si512(values, half_signs(half, 0, plus));
        _mm512_storeu_si512(values + 16, half_signs(half, 16, plus));
    }
}

/* 64 values. */
ALWAYS void apply_word(enum sign_type type, char *at, uint64_t signs,
                       uint64_t zeros, bool any_zero, __m512i plus,
                       __m512i minus, bool far)
{
    const uint32_t lanes = lanes_of(type);

    for (uint32_t i = 0; i < WORD_COORDINATES;
         i += lanes, at += REGISTER_BYTES) {
        const __m512i chosen =
            lanes_choose(type, signs >> i, zeros >> i, any_zero, plus, minus);

        if (far)
            _mm512_stream_si512((void *)at, chosen);
        else
            _mm512_storeu_si512(at, chosen);
    }
}

ALWAYS void apply_near(enum sign_type type, char *restrict values,
                       const uint64_t *restrict signs,
                       const uint64_t *restrict zeros, float scale,
                       size_t count)
{
    const uint64_t pattern = pattern_scale(type, scale);
    const __m512i plus = lanes_fill(type, pattern);
    const __m512i minus = lanes_fill(type, pattern ^ type_minus(type));
    const size_t word_bytes = WORD_COORDINATES * type_bytes(type);
    const size_t words = count / WORD_COORDINATES;
    const bool halves = type == TYPE_FLOAT32 && zeros == NULL;

    if (halves)
        apply_halves((float *)(void *)values, signs, plus, 2 * words);
    for (size_t w = 0; w < words && !halves; w++) {
        const uint64_t word = signs_load(&signs[w]);
        const uint64_t zero = zeros != NULL ? signs_load(&zeros[w]) : 0;

        apply_word(type, values + w * word_bytes, word, zero, zeros != NULL,
                   plus, minus, false);
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
    const __m512i plus = lanes_fill(type, pattern);
    const __m512i minus = lanes_fill(type, pattern ^ type_minus(type));
    size_t first = values_to_line(type, values);
    struct reader words = reader_open(signs, first);
    struct reader nones = reader_open(zeros, first);

    word_apply(type, values, 0, first, pattern, words.held, nones.held);
    for (; count - first >= WORD_COORDINATES; first += WORD_COORDINATES)
        apply_word(type, values + first * type_bytes(type),
                   reader_take(&words, WORD_COORDINATES),
                   reader_take(&nones, WORD_COORDINATES), zeros != NULL, plus,
                   minus, true);
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
    const bool around = far && values_may_be_far(type, values, count);

    if (around && zeros != NULL)
        apply_far(type, values, signs, zeros, scale, count);
    else if (around)
        apply_far(type, values, signs, NULL, scale, count);
    else if (zeros != NULL)
        apply_near(type, values, signs, zeros, scale, count);
    else
        apply_near(type, values, signs, NULL, scale, count);
}

static void signum_avx512(uint64_t *restrict signs, uint64_t *restrict marks,
                          float *restrict momentum,
                          const float *restrict gradient, float beta,
                          size_t count)
{
    const __m512 keep = _mm512_set1_ps(beta);
    const __m512 take = _mm512_set1_ps(1.0f - beta);
    const size_t whole = count / WORD_COORDINATES;
    const size_t first = whole * WORD_COORDINATES;

    for (size_t w = 0; w < whole; w++) {
        uint64_t minus = 0;
        uint64_t marked = 0;

        for (uint32_t i = 0; i < WORD_COORDINATES; i += 16) {
            float *const at = &momentum[w * WORD_COORDINATES + i];
            const __m512 fresh = _mm512_mul_ps(
                take, _mm512_loadu_ps(&gradient[w * WORD_COORDINATES + i]));
            const __m512 next =
                _mm512_add_ps(fresh, _mm512_mul_ps(keep, _mm512_loadu_ps(at)));
            const __m512i bits = _mm512_castps_si512(next);

            _mm512_storeu_ps(at, next);
            minus |= lanes_minus(TYPE_FLOAT32, bits) << i;
            marked |= lanes_marked(TYPE_FLOAT32, bits) << i;
        }
        signs[w] = minus;
        if (marks != NULL)
            marks[w] = marked;
    }
    momentum_from(first, momentum, gradient, beta, count);
    pack_from(TYPE_FLOAT32, first, signs, marks, momentum, count);
}

/* Sixteen parameters. */
ALWAYS void update_lanes(float *parameters, __m512i signs, __m512 rates,
                         __m512 decays)
{
    const __m512 x = _mm512_loadu_ps(parameters);
    const __m512 step =
        _mm512_add_ps(_mm512_castsi512_ps(signs), _mm512_mul_ps(decays, x));

    _mm512_storeu_ps(parameters, _mm512_sub_ps(x, _mm512_mul_ps(rates, step)));
}

ALWAYS void update_halves(float *restrict parameters,
                          const uint64_t *restrict signs, float rate,
                          float decay, size_t halves)
{
    const __m512 rates = _mm512_set1_ps(rate);
    const __m512 decays = _mm512_set1_ps(decay);
    const __m512i plus = _mm512_castps_si512(_mm512_set1_ps(1.0f));

    for (size_t h = 0; h < halves; h++, parameters += HALF) {
        const __m512i half = half_load(signs, h);

        update_lanes(parameters, half_signs(half, 0, plus), rates, decays);
        update_lanes(parameters + 16, half_signs(half, 16, plus), rates,
                     decays);
    }
}

ALWAYS void update_words(float *restrict parameters,
                         const uint64_t *restrict signs,
                         const uint64_t *restrict zeros, float rate,
                         float decay, size_t words)
{
    const __m512 rates = _mm512_set1_ps(rate);
    const __m512 decays = _mm512_set1_ps(decay);
    const __m512i plus = _mm512_castps_si512(_mm512_set1_ps(1.0f));
    const __m512i minus = _mm512_castps_si512(_mm512_set1_ps(-1.0f));

    for (size_t w = 0; w < words; w++) {
        const uint64_t word = signs_load(&signs[w]);
        const uint64_t zero = signs_load(&zeros[w]);

        for (uint32_t i = 0; i < WORD_COORDINATES; i += 16)
            update_lanes(&parameters[w * WORD_COORDINATES + i],
                         lanes_choose(TYPE_FLOAT32, word >> i, zero >> i, true,
                                      plus, minus),
                         rates, decays);
    }
}

static void update_avx512(float *restrict parameters,
                          const uint64_t *restrict signs,
                          const uint64_t *restrict zeros, float rate,
                          float decay, size_t count)
{
    const size_t whole = count / WORD_COORDINATES;

    if (zeros != NULL)
        update_words(parameters, signs, zeros, rate, decay, whole);
    else
        update_halves(parameters, signs, rate, decay, 2 * whole);
    update_from(whole * WORD_COORDINATES, parameters, signs, zeros, rate, decay,
                count);
}

static void pack_float32_avx512(uint64_t *restrict signs,
                                const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT32, signs, NULL, values, count);
}

static void pack_float16_avx512(uint64_t *restrict signs,
                                const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT16, signs, NULL, values, count);
}

static void pack_bfloat16_avx512(uint64_t *restrict signs,
                                 const void *restrict values, size_t count)
{
    pack(TYPE_BFLOAT16, signs, NULL, values, count);
}

static void pack_float64_avx512(uint64_t *restrict signs,
                                const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT64, signs, NULL, values, count);
}

static void pack_marks_float32_avx512(uint64_t *restrict signs,
                                      uint64_t *restrict marks,
                                      const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT32, signs, marks, values, count);
}

static void pack_marks_float16_avx512(uint64_t *restrict signs,
                                      uint64_t *restrict marks,
                                      const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT16, signs, marks, values, count);
}

static void pack_marks_bfloat16_avx512(uint64_t *restrict signs,
                                       uint64_t *restrict marks,
                                       const void *restrict values,
                                       size_t count)
{
    pack(TYPE_BFLOAT16, signs, marks, values, count);
}

static void pack_marks_float64_avx512(uint64_t *restrict signs,
                                      uint64_t *restrict marks,
                                      const void *restrict values, size_t count)
{
    pack(TYPE_FLOAT64, signs, marks, values, count);
}

static void apply_float32_avx512(void *restrict values,
                                 const uint64_t *restrict signs,
                                 const uint64_t *restrict zeros, float scale,
                                 size_t count, bool far)
{
    apply(TYPE_FLOAT32, values, signs, zeros, scale, count, far);
}

static void apply_float16_avx512(void *restrict values,
                                 const uint64_t *restrict signs,
                                 const uint64_t *restrict zeros, float scale,
                                 size_t count, bool far)
{
    apply(TYPE_FLOAT16, values, signs, zeros, scale, count, far);
}

static void apply_bfloat16_avx512(void *restrict values,
                                  const uint64_t *restrict signs,
                                  const uint64_t *restrict zeros, float scale,
                                  size_t count, bool far)
{
    apply(TYPE_BFLOAT16, values, signs, zeros, scale, count, far);
}

static void apply_float64_avx512(void *restrict values,
                                 const uint64_t *restrict signs,
                                 const uint64_t *restrict zeros, float scale,
                                 size_t count, bool far)
{
    apply(TYPE_FLOAT64, values, signs, zeros, scale, count, far);
}

/* Unlike raw CPUID, this also asks whether the OS saves the registers. */
static bool supported(void)
{
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .supported = supported,
    .pack = {[TYPE_FLOAT32] = pack_float32_avx512,
             [TYPE_FLOAT16] = pack_float16_avx512,
             [TYPE_BFLOAT16] = pack_bfloat16_avx512,
             [TYPE_FLOAT64] = pack_float64_avx512,
             [TYPE_SIGNS] = signs_pack},
    .pack_marks = {[TYPE_FLOAT32] = pack_marks_float32_avx512,
                   [TYPE_FLOAT16] = pack_marks_float16_avx512,
                   [TYPE_BFLOAT16] = pack_marks_bfloat16_avx512,
                   [TYPE_FLOAT64] = pack_marks_float64_avx512,
                   [TYPE_SIGNS] = signs_pack_marks},
    .vote = vote_avx512,
    .count = count_any,
    .compare = compare_any,
    .agree = agree_any,
    .apply = {[TYPE_FLOAT32] = apply_float32_avx512,
              [TYPE_FLOAT16] = apply_float16_avx512,
              [TYPE_BFLOAT16] = apply_bfloat16_avx512,
              [TYPE_FLOAT64] = apply_float64_avx512,
              [TYPE_SIGNS] = signs_apply},
    .signum = signum_avx512,
    .feedback = feedback_avx512,
    .feedback_scale = feedback_scale_avx512,
    .update = update_avx512,
    .reductions = &reductions_avx512,
};

#else

static bool supported(void)
{
    return false;
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .supported = supported,
};

#endif
