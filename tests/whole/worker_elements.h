/* SPDX-License-Identifier: Apache-2.0 */
/* worker_elements.h - one element of any type: what a rank gives, and ops. */
#ifndef TESTS_WHOLE_WORKER_ELEMENTS_H
#define TESTS_WHOLE_WORKER_ELEMENTS_H

#include "worker.h"

/* Bytes; signs come as words. */
size_t element_bytes(enum ballot_type type);
/* How many there are of a count. */
size_t element_count(enum ballot_type type, size_t count);
/* What `rank` gives for an op as element i of a call with that seed. */
uint64_t element_given(enum ballot_type type, enum ballot_op op, uint64_t seed,
                       int rank, size_t i);
/* What a rank multiplies its values by, in a sum of multiplied ones. */
uint64_t element_factor(enum ballot_type type, int rank);
/* a op b, rounded to the type. BALLOT_PROD also multiplies by factors. */
uint64_t element_fold(enum ballot_type type, enum ballot_op op, uint64_t a,
                      uint64_t b);
uint64_t element_divide(enum ballot_type type, uint64_t a, int by);

#endif
