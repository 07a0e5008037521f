/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h - what libFuzzer, or replay.c in its place, calls. */
#ifndef BALLOT_TESTS_FUZZ_FUZZ_H
#define BALLOT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Ends the program where something is wrong; always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

#endif
