/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jury.h - redundant rounds of one life once more: the results and the report
 * that follow from the votes, and from nothing else.
 */
#ifndef BALLOT_TESTS_SIM_JURY_H
#define BALLOT_TESTS_SIM_JURY_H

#include "plan.h"
#include "run.h"

struct jury;

int jury_open(struct jury **jury, const struct plan *plan);
void jury_close(struct jury *jury); /* NULL is allowed */

/* The tasks of a rank in a step, ascending, until the next call. */
const uint16_t *jury_tasks(struct jury *jury, uint32_t rank, uint32_t step);

/* A chunk of a vote over tasks is counted: as struct verifier_chunk. */
void jury_count(struct jury *jury, struct run *run, uint32_t step,
                const struct verifier_chunk *chunk);

/* A question is answered: it ends the round. */
void jury_asked(struct jury *jury, struct run *run);
/* What a report with room for PLAN_LISTED disputes says. */
void jury_reported(const struct jury *jury, struct run *run,
                   const uint8_t *bytes);
void jury_released(struct jury *jury, struct run *run, uint32_t worker);

#endif
