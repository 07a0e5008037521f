/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_floor.c - what the memory of this host allows: read once, write once.
 */
#include "perf_floor.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum {
    ROUNDS = 5,
    /* So much is read in a round at least: a few time slices where ranks share
     * a core, and enough for the clock to see small arrays. */
    ROUND_BYTES = 128 << 20,
    PASSES_MAX = 1 << 16,
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

/* What is written differs from line to line, as the results of a vote do:
 * memory takes a repeated value up to twice as fast (Zen 4). */
static const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);

static void write_plain(line_words *output, size_t lines)
{
    line_words value = {0};

    for (size_t i = 0; i < lines; i++) {
        value += step;
        output[i] = value;
    }
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
    const __m128i steps = _mm_set1_epi64x((long long)step);
    __m128i value = _mm_setzero_si128();
    __m128i *parts = (__m128i *)output;

    for (size_t i = 0; i < lines * sizeof(*output) / sizeof(value); i++) {
        value = _mm_add_epi64(value, steps);
        _mm_stream_si128(&parts[i], value);
    }
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

static size_t lines_of(size_t bytes)
{
    return (bytes + PERF_FLOOR_LINE_BYTES - 1) / PERF_FLOOR_LINE_BYTES;
}

/* Nanoseconds of `passes` passes over both arrays. */
static uint64_t time_passes(write_fn *write, const struct perf_floor *floor,
                            size_t passes)
{
    const size_t input_lines = lines_of(floor->input_bytes);
    const size_t output_lines = lines_of(floor->output_bytes);
    read_fn *read = pick_read();
    uint64_t start = now_ns();

    for (size_t pass = 0; pass < passes; pass++) {
        use(read(floor->input, input_lines));
        write(floor->output, output_lines);
        use(pass);
        /* Who shares a core with others finds nothing of its own in the caches
         * after their turns: so it is in the collective. */
        sched_yield();
    }
    return now_ns() - start;
}

/* One round of all ranks, which make as many passes; *us: of a pass. */
static int time_round(struct perf_ranks *job, write_fn *write,
                      const struct perf_floor *floor, size_t passes, double *us)
{
    double sum = 0, most = 0;
    int error = perf_ranks_meet(job);

    if (error == 0)
        error = perf_ranks_gather(job, time_passes(write, floor, passes));
    for (int rank = 0; rank < job->ranks && error == 0; rank++) {
        double own = (double)job->gathered[rank];

        sum += own;
        most = own > most ? own : most;
    }
    *us = (floor->uneven ? most : sum / job->ranks) / (double)passes / 1e3;
    return error;
}

/* By the rank that has most to do, so that all make as many; 0: an error. */
static int count_passes(struct perf_ranks *job, const struct perf_floor *floor,
                        size_t *passes)
{
    const size_t own = floor->input_bytes > floor->output_bytes
                           ? floor->input_bytes
                           : floor->output_bytes;
    uint64_t most = 1;
    int error = perf_ranks_gather(job, own);

    for (int rank = 0; rank < job->ranks && error == 0; rank++)
        most = job->gathered[rank] > most ? job->gathered[rank] : most;
    *passes = (size_t)(ROUND_BYTES / most) + 1;
    if (*passes > PASSES_MAX)
        *passes = PASSES_MAX;
    return error;
}

static int compare_times(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

int perf_floor_measure(struct perf_ranks *job, const struct perf_floor *floor,
                       double *us)
{
    write_fn *const ways[] = {write_plain, write_past_caches};
    double times[2][ROUNDS];
    size_t passes = 1;
    int error = count_passes(job, floor, &passes);

    for (int round = 0; round < ROUNDS; round++)
        for (int way = 0; way < 2 && error == 0; way++)
            error =
                time_round(job, ways[way], floor, passes, &times[way][round]);
    if (error != 0)
        return error;
    for (int way = 0; way < 2; way++)
        qsort(times[way], ROUNDS, sizeof(times[way][0]), compare_times);
    *us = times[0][ROUNDS / 2];
    if (times[1][ROUNDS / 2] < *us)
        *us = times[1][ROUNDS / 2];
    return 0;
}
