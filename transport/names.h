/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - sentences about ranks: "missing: 2, 5-7 of 8 ranks".
 */
#ifndef BALLOT_TRANSPORT_NAMES_H
#define BALLOT_TRANSPORT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds to the string text[bytes] as much as fits. */
__attribute__((format(printf, 3, 4))) void names_append(char *text,
                                                        size_t bytes,
                                                        const char *format,
                                                        ...);

/*
 * Adds the ranks i < ranks with named[i], runs as "5-7", and " of 8 ranks". The
 * list is cut short with "..." where it would leave fewer than `spare` bytes.
 */
void names_append_ranks(char *text, size_t bytes, size_t spare,
                        const bool *named, uint32_t ranks);

/*
 * Adds who did not come to a bootstrap, missing[ranks], and what to do about
 * it. The last `servers` ranks, if there are others, are servers; `strangers`
 * connections did not prove the key.
 */
void names_append_missing(char *text, size_t bytes, const bool *missing,
                          uint32_t ranks, uint32_t servers, uint64_t strangers);

#endif
