/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packing.h - what a rank's vote is made of: a chunk of the caller's vectors
 * becomes the rows of a put; and what becomes of a result.
 */
#ifndef BALLOT_COLLECTIVE_PACKING_H
#define BALLOT_COLLECTIVE_PACKING_H

#include "majority.h"

/* Bits of an element of each type. */
extern const uint8_t packing_bits[TYPES];

/* Address of coordinate `first` in a caller's vector; of packed signs it is a
 * multiple of 8. */
void *packing_element(const void *vector, uint8_t type, uint64_t first);

/* Whether the call updates parameters when all its results are in. */
bool packing_fused(const struct majority_call *call);

/* Packs the chunk of `put`, which is no abstention, into `signs`: whole lines
 * of all that the put carries, in the memory that it goes from. */
void packing_pack(const struct majority_config *config,
                  const struct majority_call *call,
                  const struct caster_put *put, uint64_t *signs);

/* Whether a rank keeps the whole result. */
bool packing_keeps_all(const struct majority_call *call);

/* Writes what the call keeps of the result of `count` coordinates from `first`,
 * a multiple of 512, on; signs and zeros (or NULL): whole lines of it. */
void packing_apply(const struct majority_config *config,
                   const struct majority_call *call, uint64_t first,
                   uint32_t count, const uint64_t *signs, const uint64_t *zeros,
                   bool far);

#endif
