/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packing.h - what a rank's vote is made of: a chunk of the caller's vectors
 * becomes the rows of a put.
 */
#ifndef BALLOT_COLLECTIVE_PACKING_H
#define BALLOT_COLLECTIVE_PACKING_H

#include "majority.h"

/* Bits of an element of each type. */
extern const uint8_t packing_bits[TYPES];

/* Address of coordinate `first` in a caller's vector; first is a multiple of
 * 512, so it is whole bytes for packed signs too. */
void *packing_element(const void *vector, uint8_t type, uint64_t first);

/* Whether the call updates parameters when all its results are in. */
bool packing_fused(const struct majority_call *call);

/* Packs the chunk of `put`, which is no abstention, into `signs`: whole lines
 * of all that the put carries, in the memory that it goes from. */
void packing_pack(const struct majority_config *config,
                  const struct majority_call *call,
                  const struct caster_put *put, uint64_t *signs);

#endif
