/* SPDX-License-Identifier: Apache-2.0 */
/* liar.h - a rank that writes what it wants into its own slots. */
#ifndef BALLOT_TESTS_SIM_LIAR_H
#define BALLOT_TESTS_SIM_LIAR_H

#include "oracle.h"

/* Changes what a liar puts into a server's vote slot, or writes beside it. */
void liar_twists(struct oracle *oracle, uint32_t liar, uint32_t server,
                 uint32_t slot, void *staged, uint32_t *bytes);

/* Liars write their rows again, before or after the kernel loads them. */
void liar_disturbs(struct oracle *oracle, const struct vote *vote, bool after);

#endif
