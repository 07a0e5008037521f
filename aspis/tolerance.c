/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tolerance.c - a tolerance from a rate, and a liar to try it on.
 */
#include "tolerance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Terms below this part of the largest add nothing that matters to a tail. */
static const double negligible = 1e-40;

/*
 * The terms of the distribution are summed from the largest one on, which is
 * taken for 1, so that neither logarithms nor factorials are needed; there are
 * some 30 square roots of the mean of them.
 */
static uint64_t poisson_quantile(double mean, double tail_max)
{
    const uint64_t mode = (uint64_t)mean;
    uint64_t k = mode;
    double total = 1;
    double term = 1;
    double tail = 0;

    for (uint64_t i = mode; i > 0 && term > negligible; i--) {
        term *= (double)i / mean;
        total += term;
    }
    for (term = 1; term > negligible; k++) {
        term *= mean / (double)(k + 1);
        total += term;
    }
    /* `term` is that of k; down again. */
    for (; k > 0; k--) {
        tail += term;
        if (tail >= tail_max * total)
            return k + 1;
        term *= (double)k / mean;
    }
    return 1;
}

int tolerance_for(uint64_t *tolerance, uint64_t coordinates, double flip_rate)
{
    const double mean = (double)coordinates * flip_rate;

    if (!(flip_rate >= 0 && flip_rate <= TOLERANCE_RATE_MAX))
        return -EINVAL;
    *tolerance = mean > 0 ? poisson_quantile(mean, TOLERANCE_FALSE_ALARM) : 0;
    return 0;
}

/* ---- A planted liar ------------------------------------------------------ */

enum { LIAR = 0 }; /* the number of the worker */

struct trap {
    struct verifier *verifier;
    uint32_t coordinates; /* of a chunk */
    size_t put_words;     /* of a worker */
    uint64_t *honest;     /* all plus */
    uint64_t *liar;       /* every other coordinate minus */
    uint64_t *result;
};

/* What an honest worker says. */
static int recompute(void *context, uint32_t step, uint32_t task,
                     uint64_t first, uint32_t coordinates, uint64_t *signs)
{
    (void)context;
    (void)step;
    (void)task;
    (void)first;
    memset(signs, 0, lines_for(coordinates) * LINE_BYTES);
    return 0;
}

/* With how many others the liar shares a task. */
static uint32_t partners_of(const struct assignment *assignment)
{
    uint32_t partners = 0;

    for (uint32_t w = 0; w < assignment_shape(assignment)->workers; w++)
        partners += w != LIAR && assignment_overlap(assignment, w, LIAR) > 0;
    return partners;
}

static int trap_open(struct trap *trap, const struct verifier_config *config,
                     char why[ASSIGNMENT_WHY_BYTES])
{
    const size_t row = lines_for(config->coordinates_max) * LINE_BYTES;
    const struct assignment *assignment;
    int rc = verifier_open(&trap->verifier, config, why);
    size_t put;

    if (rc < 0)
        return rc;
    assignment = verifier_assignment(trap->verifier);
    put = assignment_shape(assignment)->load * row;
    trap->coordinates = config->coordinates_max;
    trap->put_words = put / sizeof(uint64_t);
    trap->honest = aligned_alloc(LINE_BYTES, put);
    trap->liar = aligned_alloc(LINE_BYTES, put);
    trap->result = aligned_alloc(LINE_BYTES, row);
    if (trap->honest == NULL || trap->liar == NULL || trap->result == NULL) {
        snprintf(why, ASSIGNMENT_WHY_BYTES,
                 "no memory for %zu bytes to try the tolerance with; take "
                 "shorter chunks",
                 2 * put + row);
        return -ENOMEM;
    }
    memset(trap->honest, 0, put);
    memset(trap->liar, 0xaa, put);
    if (partners_of(assignment) <= config->liars_max)
        verifier_arbiter(trap->verifier, recompute, NULL);
    return 0;
}

static void trap_close(struct trap *trap)
{
    verifier_close(trap->verifier);
    free(trap->honest);
    free(trap->liar);
    free(trap->result);
}

/* Plays the round, and ends as soon as the liar is convicted. */
static bool convicts(const struct trap *trap, uint64_t coordinates)
{
    const uint64_t *rows[ASSIGNMENT_WORKERS_MAX];
    struct verifier_chunk chunk = {.rows = rows, .result = trap->result};
    struct verifier_report report = {0};

    for (uint32_t w = 0; w < ASSIGNMENT_WORKERS_MAX; w++)
        rows[w] = w == LIAR ? trap->liar : trap->honest;
    verifier_begin(trap->verifier, 0);
    while (chunk.first < coordinates) {
        const uint64_t left = coordinates - chunk.first;

        chunk.coordinates =
            left < trap->coordinates ? (uint32_t)left : trap->coordinates;
        verifier_count(trap->verifier, &chunk);
        verifier_report(trap->verifier, &report);
        if (workers_has(&report.byzantine, LIAR))
            return true;
        chunk.first += chunk.coordinates;
    }
    return false;
}

int tolerance_try(const struct verifier_config *config, uint64_t coordinates,
                  char why[ASSIGNMENT_WHY_BYTES])
{
    struct verifier_config tried = *config;
    struct trap trap = {0};
    int rc = 0;

    tried.rule = VERIFIER_PROOF;
    tried.keep = false;
    if (tried.liars_max == 0)
        tried.liars_max = 1; /* with none there is nobody to convict */
    /* No round is played that cannot end otherwise. */
    if (config->tolerance < coordinates / 2) {
        rc = trap_open(&trap, &tried, why);
        if (rc == 0 && convicts(&trap, coordinates)) {
            trap_close(&trap);
            return 0;
        }
        trap_close(&trap);
        if (rc < 0)
            return rc;
    }
    snprintf(why, ASSIGNMENT_WHY_BYTES,
             "with a tolerance of %llu coordinates a worker that lies in half "
             "of %llu is not proven a liar; take a lower flip rate: less than "
             "half of them",
             (unsigned long long)config->tolerance,
             (unsigned long long)coordinates);
    return -EINVAL;
}
