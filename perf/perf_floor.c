/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_floor.c - what the memory of this host allows: read once, write once.
 */
#include "perf_floor.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum {
    REPETITIONS = 7,
    /* Small arrays are gone through often enough for the clock to see it. */
    PASS_BYTES = 1 << 20,
    LINE_WORDS = PERF_FLOOR_LINE_BYTES / 8,
    AHEAD = 4, /* independent sums, so that loads overlap */
};

typedef uint64_t line_words
    __attribute__((vector_size(PERF_FLOOR_LINE_BYTES), may_alias));
typedef uint64_t read_fn(const line_words *input, size_t lines);
typedef void write_fn(line_words *output, size_t lines);

/* Keeps the compiler from leaving out what was read or written. */
static inline void use(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

static inline __attribute__((always_inline)) uint64_t read_lines(
    const line_words *input, size_t lines)
{
    line_words sums[AHEAD] = {{0}};
    uint64_t all = 0;
    size_t i = 0;

    for (; i + AHEAD <= lines; i += AHEAD)
        for (int s = 0; s < AHEAD; s++)
            sums[s] += input[i + (size_t)s];
    for (; i < lines; i++)
        sums[0] += input[i];
    for (int s = 0; s < AHEAD; s++)
        for (int w = 0; w < LINE_WORDS; w++)
            all += sums[s][w];
    return all;
}

static uint64_t read_plain(const line_words *input, size_t lines)
{
    return read_lines(input, lines);
}

static void write_plain(line_words *output, size_t lines)
{
    memset(output, 0, lines * sizeof(*output));
}

#ifdef __SSE2__
__attribute__((target("avx2"))) static uint64_t read_avx2(
    const line_words *input, size_t lines)
{
    return read_lines(input, lines);
}

__attribute__((target("avx512f"))) static uint64_t read_avx512(
    const line_words *input, size_t lines)
{
    return read_lines(input, lines);
}

/* Past the caches, without reading first what is overwritten. */
static void write_past_caches(line_words *output, size_t lines)
{
    const __m128i zero = _mm_setzero_si128();
    __m128i *parts = (__m128i *)output;

    for (size_t i = 0; i < lines * sizeof(*output) / sizeof(zero); i++)
        _mm_stream_si128(&parts[i], zero);
    _mm_sfence();
}

static read_fn *pick_read(void)
{
    if (__builtin_cpu_supports("avx512f"))
        return read_avx512;
    return __builtin_cpu_supports("avx2") ? read_avx2 : read_plain;
}
#else
static void write_past_caches(line_words *output, size_t lines)
{
    write_plain(output, lines);
}

static read_fn *pick_read(void)
{
    return read_plain;
}
#endif

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t time_read(read_fn *read, const line_words *input, size_t lines,
                          size_t passes)
{
    uint64_t start = now_ns();

    for (size_t pass = 0; pass < passes; pass++)
        use(read(input, lines));
    return now_ns() - start;
}

static uint64_t time_write(write_fn *write, line_words *output, size_t lines,
                           size_t passes)
{
    uint64_t start = now_ns();

    for (size_t pass = 0; pass < passes; pass++) {
        write(output, lines);
        use(pass);
    }
    return now_ns() - start;
}

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static uint64_t median(uint64_t *times)
{
    qsort(times, REPETITIONS, sizeof(*times), compare_times);
    return times[REPETITIONS / 2];
}

uint64_t perf_floor_ns(const void *input, void *output, size_t bytes)
{
    const size_t lines =
        (bytes + PERF_FLOOR_LINE_BYTES - 1) / PERF_FLOOR_LINE_BYTES;
    const size_t passes = bytes < PASS_BYTES ? PASS_BYTES / bytes : 1;
    uint64_t reads[REPETITIONS], plain[REPETITIONS], past[REPETITIONS];
    uint64_t write;
    read_fn *read = pick_read();

    for (int i = 0; i < REPETITIONS; i++) {
        reads[i] = time_read(read, input, lines, passes);
        plain[i] = time_write(write_plain, output, lines, passes);
        past[i] = time_write(write_past_caches, output, lines, passes);
    }
    write = median(plain);
    if (median(past) < write)
        write = past[REPETITIONS / 2];
    return (median(reads) + write) / passes;
}
