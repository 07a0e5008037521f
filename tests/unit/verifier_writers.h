/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_writers.h - workers that write their rows anew as soon as they have
 * been read: no two readings see the same, so whoever reads twice shows it.
 *
 * A table of kernels does it, for it is told of every row that is read. It
 * remembers what each row was in the reading that counts: when it was copied,
 * or, if it was not, when it was compared. One thread only.
 */
#ifndef BALLOT_TESTS_UNIT_VERIFIER_WRITERS_H
#define BALLOT_TESTS_UNIT_VERIFIER_WRITERS_H

#include "verifier_oracle.h"

/* Row `row` of a worker was read; `words` is its new content, to be written. */
typedef void writers_rewrite_fn(void *context, uint32_t worker, uint32_t row,
                                uint64_t *words);

/* The table for the verifier; `table` does the work. */
const struct kernels *writers_open(const struct kernels *table,
                                   writers_rewrite_fn *rewrite, void *context);

/* A chunk begins: of the writers (bits) rows[w] are `load` rows of `words`
 * words. All others are left alone. */
void writers_begin(uint32_t writers, uint64_t *const *rows, uint32_t load,
                   size_t words);

/* What the reading that counts saw of the rows of a writer. */
const uint64_t *writers_seen(uint32_t worker);

struct writers_counts {
    uint64_t copied, compared, agreed; /* rows of writers */
};
struct writers_counts writers_counts(void);

#endif
