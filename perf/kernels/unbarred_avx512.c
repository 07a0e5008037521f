/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unbarred_avx512.c - the vote of aggregate/avx512.c without the barrier
 * that keeps a compiler from loading a word of a slot twice: what that costs.
 */
#include "works.h"

#if defined(__x86_64__)

/* The one with the barrier, under another name. */
#define slice_load slice_load_barred
#include "aggregate/avx512.h"
#undef slice_load

ALWAYS slice slice_load(const uint64_t *words)
{
    return _mm512_loadu_si512(words);
}

#include "aggregate/columns.h"

static void run_vote_unbarred(const struct bench_data *data)
{
    vote_any(&(struct vote){
        .result = data->result,
        .signs = data->rows,
        .voters = data->voters,
        .threshold = bench_majority(data->voters),
        .words = data->words,
    });
}

static bool supported(void)
{
    return kernels_avx512.supported();
}

#else

static void run_vote_unbarred(const struct bench_data *data)
{
    (void)data;
}

static bool supported(void)
{
    return false;
}

#endif

const struct bench_work bench_vote_unbarred = {.name = "vote_unbarred",
                                               .outcome = BENCH_MAJORITY,
                                               .run = run_vote_unbarred,
                                               .supported = supported};
