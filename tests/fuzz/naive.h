/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naive.h - what the kernels should give, one coordinate after the other.
 *
 * The contracts of aggregate/kernels.h once more, in other words and with no
 * code in common: values are compared as C compares them, counters are numbers.
 */
#ifndef BALLOT_TESTS_FUZZ_NAIVE_H
#define BALLOT_TESTS_FUZZ_NAIVE_H

#include "aggregate/kernels.h"

size_t naive_bytes(enum sign_type type); /* of a value; 0 for TYPE_SIGNS */

/* marks may be NULL. */
void naive_pack(enum sign_type type, uint64_t *signs, uint64_t *marks,
                const void *values, size_t count);
/* `scale` must be 2^-4 .. 2^4. */
void naive_apply(enum sign_type type, void *values, const uint64_t *signs,
                 const uint64_t *zeros, float scale, size_t count);
void naive_vote(const struct vote *vote);
void naive_compare(const struct compare *compare);
void naive_signum(uint64_t *signs, uint64_t *marks, float *momentum,
                  const float *gradient, float beta, size_t count);
void naive_feedback(uint64_t *signs, uint64_t *marks, float *error,
                    const float *gradient, float scale, size_t count);
float naive_feedback_scale(const float *error, const float *gradient,
                           size_t count);
void naive_update(float *parameters, const uint64_t *signs,
                  const uint64_t *zeros, float rate, float decay, size_t count);

#endif
