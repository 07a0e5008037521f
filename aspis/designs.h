/* SPDX-License-Identifier: Apache-2.0 */
/* designs.h - which designs there are, and who is in their tasks. */
#ifndef BALLOT_ASPIS_DESIGNS_H
#define BALLOT_ASPIS_DESIGNS_H

#include "assignment.h"

/* How many tasks the design has; -EINVAL: none, and *why says so. */
int design_tasks(const struct assignment_config *config,
                 char why[ASSIGNMENT_WHY_BYTES]);

/* places[tasks][replication], for a configuration that design_tasks() took: who
 * is in each task, in no order. */
void design_fill(uint8_t *places, const struct assignment_config *config);

#endif
