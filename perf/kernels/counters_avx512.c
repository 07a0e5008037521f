/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters_avx512.c - votes by a counter for each coordinate: the bits of
 * a row are the masks under which AVX-512 adds to bytes or 16-bit words.
 */
#include "works.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define ALWAYS static inline __attribute__((always_inline))

enum { BYTES_OF = 8, SHORTS_OF = 16, SHORTS = 32 };

/*
 * A line of coordinates in 8 registers of bytes. A counter starts at 128 -
 * threshold, so that its highest bit is the result; 255 voters fit.
 */
ALWAYS void count_bytes(const struct bench_data *data, size_t at, __m512i start)
{
    const __m512i one = _mm512_set1_epi8(1);
    uint64_t *const result = &data->result[at];
    __m512i counters[BYTES_OF];

#pragma GCC unroll 8
    for (int i = 0; i < BYTES_OF; i++)
        counters[i] = start;
    for (uint32_t v = 0; v < data->voters; v++) {
        const uint64_t *const row = &data->rows[v][at];

#pragma GCC unroll 8
        for (int i = 0; i < BYTES_OF; i++)
            counters[i] = _mm512_mask_add_epi8(counters[i], (__mmask64)row[i],
                                               counters[i], one);
    }
#pragma GCC unroll 8
    for (int i = 0; i < BYTES_OF; i++)
        result[i] = _mm512_movepi8_mask(counters[i]);
}

static void run_counters8(const struct bench_data *data)
{
    const __m512i start =
        _mm512_set1_epi8((char)(128 - bench_majority(data->voters)));

    for (size_t at = 0; at < data->words; at += LINE_WORDS)
        count_bytes(data, at, start);
}

/* The same with weights, in 16 registers of 16 bits: up to 15 x 1,024. */
ALWAYS void count_shorts(const struct bench_data *data, size_t at,
                         __m512i start)
{
    uint64_t *const result = &data->result[at];
    __m512i counters[SHORTS_OF];

#pragma GCC unroll 16
    for (int i = 0; i < SHORTS_OF; i++)
        counters[i] = start;
    for (uint32_t v = 0; v < data->voters; v++) {
        const uint64_t *const row = &data->rows[v][at];
        const __m512i weight = _mm512_set1_epi16(data->weights[v]);

#pragma GCC unroll 16
        for (int i = 0; i < SHORTS_OF; i++)
            counters[i] = _mm512_mask_add_epi16(
                counters[i], (__mmask32)(row[i / 2] >> i % 2 * SHORTS),
                counters[i], weight);
    }
#pragma GCC unroll 8
    for (int i = 0; i < SHORTS_OF; i += 2)
        result[i / 2] = _mm512_movepi16_mask(counters[i]) |
                        (uint64_t)_mm512_movepi16_mask(counters[i + 1])
                            << SHORTS;
}

static void run_counters16(const struct bench_data *data)
{
    const uint32_t threshold = bench_majority(bench_weights(data));
    const __m512i start = _mm512_set1_epi16((short)(0x8000 - threshold));

    for (size_t at = 0; at < data->words; at += LINE_WORDS)
        count_shorts(data, at, start);
}

static bool supported(void)
{
    return __builtin_cpu_supports("avx512bw");
}

#else

static void run_counters8(const struct bench_data *data)
{
    (void)data;
}

static void run_counters16(const struct bench_data *data)
{
    (void)data;
}

static bool supported(void)
{
    return false;
}

#endif

const struct bench_work bench_counters8 = {.name = "int8_counters",
                                           .outcome = BENCH_MAJORITY,
                                           .run = run_counters8,
                                           .supported = supported};
const struct bench_work bench_counters16 = {.name = "int16_counters",
                                            .outcome = BENCH_WEIGHTED_MAJORITY,
                                            .run = run_counters16,
                                            .supported = supported};
