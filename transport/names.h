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

#endif
