/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tolerance.h - in how many coordinates honest replicas may differ.
 *
 * Where gradients are not computed bit for bit alike, signs of honest replicas
 * differ in a few coordinates, whose values are next to zero. A tolerance is
 * derived from the rate at which that happens, never guessed: one that is too
 * large turns detection off without a word.
 */
#ifndef BALLOT_ASPIS_TOLERANCE_H
#define BALLOT_ASPIS_TOLERANCE_H

#include "verifier.h"

/* Of one honest pair and task, to be taken for a dispute: once in 1e4 rounds of
 * 105 pairs and 1e6 tasks. */
#define TOLERANCE_FALSE_ALARM 1e-12

/*
 * The smallest number of coordinates in which two honest replicas of a task
 * differ in with a probability of less than TOLERANCE_FALSE_ALARM, where each
 * of the `coordinates` differs with a probability of `flip_rate`: the least k
 * with P(Poisson(coordinates * flip_rate) >= k) below it. 0 for a rate of 0. A
 * pair disputes that differs in more. -EINVAL  the rate is not within
 * 0..TOLERANCE_RATE_MAX
 */
#define TOLERANCE_RATE_MAX 0.1

int tolerance_for(uint64_t *tolerance, uint64_t coordinates, double flip_rate);

/*
 * Whether a verifier of this configuration convicts a liar, tried in process
 * before anybody relies on it: in a round of one task a worker turns around
 * half of the signs, as constant or random signs do, and all others are honest.
 * It must come to be proven a liar; where designs let no worker meet more than
 * liars_max others, in a task that an arbiter recomputes.
 *   -EINVAL  it is not convicted; *why says why and what to take instead
 *   -ENOMEM
 */
int tolerance_try(const struct verifier_config *config, uint64_t coordinates,
                  char why[ASSIGNMENT_WHY_BYTES]);

#endif
