/* SPDX-License-Identifier: Apache-2.0 */
/* values.h - what types of ballot.h are in memory, and how they are folded. */
#ifndef BALLOT_COLLECTIVE_VALUES_H
#define BALLOT_COLLECTIVE_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include "../aggregate/kernels.h"
#include "../include/ballot.h"

/* Bytes of an element; packed signs come in words. */
uint32_t values_unit(enum ballot_type type);
/* Bytes of count elements. */
size_t values_bytes(enum ballot_type type, size_t count);
/* NULL: there is no such op of this type. An average folds as a sum. */
const struct reduction *values_reduction(const struct kernels *kernels,
                                         enum ballot_type type,
                                         enum ballot_op op);

#endif
