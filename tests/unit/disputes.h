/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disputes.h - graphs of disputes, for the tests of verdicts.
 */
#ifndef BALLOT_TESTS_UNIT_DISPUTES_H
#define BALLOT_TESTS_UNIT_DISPUTES_H

#include "aspis/workers.h"

void disputes_join(struct graph *graph, uint32_t a, uint32_t b);

/* Each pair disputes with a chance of `percent`; if `liars` is given, only the
 * pairs with one of them. */
void disputes_random(struct graph *graph, uint32_t workers, uint32_t percent,
                     const struct worker_set *liars, uint64_t *seed);

/* `count` of the workers below `workers`, drawn at random. */
struct worker_set disputes_draw(uint32_t workers, uint32_t count,
                                uint64_t *seed);

/* Each liar accuses `accused` honest workers, drawn at random; liars have the
 * lowest numbers. */
void disputes_accuse(struct graph *graph, uint32_t workers, uint32_t liars,
                     uint32_t accused, uint64_t *seed);

/* Cycles of `length` workers that share none, as many as fit. */
void disputes_cycles(struct graph *graph, uint32_t workers, uint32_t length);

/* Liar i disputes with honest worker i alone. */
void disputes_matching(struct graph *graph, uint32_t workers);

#endif
