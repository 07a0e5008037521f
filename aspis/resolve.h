/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.h - which value a task gets, when its replicas need not be equal.
 *
 * Pure functions of a verdict and of the distances between the replicas that
 * are there; they look at no signs. Replicas that are absent never count.
 */
#ifndef BALLOT_ASPIS_RESOLVE_H
#define BALLOT_ASPIS_RESOLVE_H

#include "verdict.h"

/*
 * The replicas of one task. Two of them agree if their distance is at most
 * `tolerance`.
 *
 *   workers    [count] who holds them, each once
 *   count      1..REPLICAS_MAX, those that are absent included
 *   present    bit i: the replica of workers[i] is there
 *   distances  [count (count - 1) / 2], of the pairs (0, 1), (0, 2), ... (1,
 *              2), ... with a place for each; pairs with an absent one are not
 *              looked at
 */
struct replicas {
    const uint8_t *workers;
    uint32_t count;
    uint32_t present;
    const uint64_t *distances;
    uint64_t tolerance;
};

enum choice_kind {
    CHOICE_DROP,     /* the task has no value and does not count */
    CHOICE_REPLICA,  /* its value is one replica as it is */
    CHOICE_MAJORITY, /* or, coordinate by coordinate, what more than half of
                        some replicas have */
};

struct choice {
    enum choice_kind kind;
    uint32_t replica; /* REPLICA: which; else 0 */
    uint32_t voters;  /* MAJORITY: bit i: replica i is among them; else 0 */
};

/* Whether two workers dispute whom the verdict does not prove liars. The same
 * for all tasks that one verdict resolves. */
bool resolve_is_open(const struct verdict *verdict,
                     const struct graph *disputes);

/*
 * The rule of `proof`, for a verdict of verdict_proof(). Replicas of proven
 * liars never count; of the others
 *   1. one of a proven honest worker is the value;
 *   2. else, if the disputes are not open (resolve_is_open()), any is, for they
 *      all agree: wrong only if all of the task's are liars'. Where one of them
 *      is absent more than half of the task's replicas have to be left;
 *   3. else there must be more than half of the task's replicas that agree with
 *      each other.
 * With a tolerance honest replicas need not be equal, so that in place of one
 * of them (2, 3) the majority of all that count is taken, coordinate by
 * coordinate. It is what those that agree say wherever they say the same.
 */
struct choice resolve_proof(const struct verdict *verdict, bool open,
                            const struct replicas *replicas);

/*
 * The printed rule, for a verdict of verdict_paper() or verdict_degrees(). If
 * that was reached, the replica of any trusted worker is the value, and there
 * is none without one; else the majority of all replicas is. It is not safe:
 * who is trusted need not be honest.
 *
 * Source: Konstantinidis and Ramamoorthy, "Aspis: A Robust Detection System for
 * Distributed Learning" (IEEE/ACM ToN 2023), Algorithm 2, and section V-C for
 * Aspis+, where those that are not accused are trusted.
 */
struct choice resolve_paper(const struct verdict *verdict,
                            const struct replicas *replicas);

#endif
