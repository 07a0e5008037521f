/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump.h - the first rounds of a training, bit for bit, for a second opinion.
 *
 * A dump is a folder. Floats are raw little-endian float32 without a header:
 *   run.txt            lines "name value": ranks, count (parameters), rounds,
 *                      momentum (beta) and weight_decay (lambda), the last two
 *                      as hexadecimal floats, which are exact
 *   initial.f32        [count] parameters before round 0
 *   rates.f32          [rounds] learning rates
 *   gradient-R.f32     [rounds][count] what rank R gave, a lie included
 *   momentum-R.f32     [rounds][count] its momentum after each round
 *   parameters-R.f32   [rounds][count] its parameters after each round
 * Rank 0 writes the first three. tests/numpy/check_training.py reads a dump.
 */
#ifndef DUMP_H
#define DUMP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "options.h"

enum { DUMP_ROUNDS = 50 };

struct dump {
    uint32_t rounds; /* to write; 0: there is no dump */
    size_t count;
    FILE *rates; /* rank 0 only */
    FILE *gradient;
    FILE *momentum;
    FILE *parameters;
};

/*
 * Makes the folder options->dump where it is missing and starts the dump. With
 * dump NULL nothing is ever written. Failures say on stderr which file, and
 * return a negative errno. The caller closes it.
 */
int dump_open(struct dump *dump, const struct options *options, uint32_t rank,
              uint32_t ranks, const float *initial, size_t count);

/* Adds what stands before a round's vote, then what stands after it; rounds
 * must come in order, those from DUMP_ROUNDS on are ignored. */
int dump_before(struct dump *dump, uint32_t round, float rate,
                const float *gradient);
int dump_after(struct dump *dump, uint32_t round, const float *momentum,
               const float *parameters);

/* -EIO when not all could be written, at last. */
int dump_close(struct dump *dump);

#endif
