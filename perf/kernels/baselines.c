/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baselines.c - the same results by ways that others go, in plain C.
 */
#include "limits.h"
#include "works.h"

static uint32_t bit_of(const uint64_t *row, size_t word, uint32_t bit)
{
    return (uint32_t)(row[word] >> bit & 1);
}

/* The textbook: a counter for each coordinate, a bit at a time. */
static void run_bit_loop(const struct bench_data *data)
{
    const uint32_t threshold = bench_majority(data->voters);

    for (size_t w = 0; w < data->words; w++) {
        uint64_t result = 0;

        for (uint32_t bit = 0; bit < 64; bit++) {
            uint32_t count = 0;

            for (uint32_t v = 0; v < data->voters; v++)
                count += bit_of(data->rows[v], w, bit);
            result |= (uint64_t)(count >= threshold) << bit;
        }
        data->result[w] = result;
    }
}

/*
 * What a parameter server does to gradients of one bit, as BytePS: each
 * worker's bits become floats, floats are added, the sum becomes bits.
 */
static void decompress(float *restrict values, const uint64_t *restrict row,
                       size_t words)
{
    for (size_t w = 0; w < words; w++) {
        uint64_t word = row[w];

        for (uint32_t bit = 0; bit < 64; bit++, word >>= 1)
            values[64 * w + bit] = 1.0f - 2.0f * (float)(word & 1);
    }
}

static void add(float *restrict sums, const float *restrict values,
                size_t count)
{
    for (size_t i = 0; i < count; i++)
        sums[i] += values[i];
}

static void compress(uint64_t *restrict row, const float *restrict values,
                     size_t words)
{
    for (size_t w = 0; w < words; w++) {
        uint64_t word = 0;

        for (uint32_t bit = 0; bit < 64; bit++)
            word |= (uint64_t)(values[64 * w + bit] < 0) << bit;
        row[w] = word;
    }
}

static void run_decompress(const struct bench_data *data)
{
    decompress(data->vector, data->rows[0], data->words);
    for (uint32_t v = 1; v < data->voters; v++) {
        decompress(data->second, data->rows[v], data->words);
        add(data->vector, data->second, data->words * 64);
    }
    compress(data->result, data->vector, data->words);
}

/* Signum as two passes, each as fast as its width allows. */
static void run_two_passes(const struct bench_data *data)
{
    const size_t whole = data->count / LINE_COORDINATES * LINE_COORDINATES;

    data->limits->momentum(data->vector, data->second, 0.9f, whole);
    data->kernels->pack[TYPE_FLOAT32](data->signs, data->vector, data->count);
}

/* Error feedback as two passes: p, then its signs and what they leave. A piece
 * of p stays in L1 between the two halves of the second. */
static void run_feedback_passes(const struct bench_data *data)
{
    enum { PIECE = 4096 };
    const size_t whole = data->count / LINE_COORDINATES * LINE_COORDINATES;

    data->limits->add(data->vector, data->second, whole);
    for (size_t first = 0; first < data->count; first += PIECE) {
        const size_t left = data->count - first;
        const size_t count = left < PIECE ? left : PIECE;
        float *const p = data->vector + first;
        uint64_t *const signs = data->signs + first / 64;

        data->kernels->pack[TYPE_FLOAT32](signs, p, count);
        data->kernels->update(p, signs, NULL, 0.01f, 0, count);
    }
}

static void run_unpack_axpy(const struct bench_data *data)
{
    const size_t whole = data->count / LINE_COORDINATES * LINE_COORDINATES;

    data->kernels->apply[TYPE_FLOAT32](data->second, data->votes, NULL, 1.0f,
                                       data->count, data->far);
    data->limits->axpy(data->vector, data->second, 1e-3f, whole);
}

const struct bench_work bench_bit_loop = {
    .name = "bit_loop", .outcome = BENCH_MAJORITY, .run = run_bit_loop};
const struct bench_work bench_decompress = {.name = "unpack_add_pack",
                                            .outcome = BENCH_MAJORITY,
                                            .run = run_decompress};
const struct bench_work bench_two_passes = {.name = "two_passes",
                                            .run = run_two_passes};
const struct bench_work bench_feedback_passes = {.name = "feedback_passes",
                                                 .run = run_feedback_passes};
const struct bench_work bench_unpack_axpy = {.name = "unpack_axpy",
                                             .run = run_unpack_axpy};
