/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - rounds of redundant tasks with liars, played in one process.
 *
 * The parts are the library's: the assignment, the kernel that compares
 * replicas, the evidence, the verdicts, the choice of a value. Only the workers
 * are played: the true signs of a task are drawn from the seed, and liars say
 * what the cast and the attack make of them.
 */
#ifndef BALLOT_TOOLS_TRIAL_H
#define BALLOT_TOOLS_TRIAL_H

#include "../../include/ballot_attack.h"
#include "aspis/assignment.h"
#include "aspis/verdict.h"

enum trial_rule {
    TRIAL_PROOF,
    TRIAL_PAPER,
    TRIAL_PAPER_PLUS,
    TRIAL_VOTE, /* no verdict: a task is what most of its replicas say */
    TRIAL_RULES
};

enum {
    TRIAL_COORDINATES_MAX = 4096,
    TRIAL_WINDOW = 15, /* rounds of Aspis+'s window, as the paper has it */
};

struct trial_config {
    struct assignment_config assignment;
    enum ballot_attack attack;
    enum trial_rule rule;
    uint32_t promise;     /* at most so many liars, says the user */
    uint32_t coordinates; /* of a task, 1..TRIAL_COORDINATES_MAX */
    uint64_t tolerance;   /* coordinates */
    bool keep;            /* evidence lasts from round to round */
    bool rotates;         /* workers change places from round to round */
    uint64_t seed;        /* of the true signs and the noise */
};

struct trial_outcome {
    struct verdict verdict;
    uint32_t tasks;
    uint32_t disputed;      /* two replicas differ beyond the tolerance */
    uint32_t dropped;       /* without a value */
    uint32_t corrupted;     /* whose value is off beyond the tolerance */
    uint32_t caught;        /* liars that are accused */
    uint32_t wronged;       /* honest workers that are accused */
    uint32_t trusted_liars; /* that are proven, or trusted as, honest */
    uint32_t wrong_signs;   /* coordinates in which the vote over the tasks is
                               not the one over their true signs */
};

struct trial;

/* As assignment_open(); *why says what is wrong. */
int trial_open(struct trial **trial, const struct trial_config *config,
               char why[ASSIGNMENT_WHY_BYTES]);
void trial_close(struct trial *trial); /* NULL is allowed */

/* Forgets all evidence. */
void trial_forget(struct trial *trial);

/* Plays round number `round` with these liars, of as many workers. */
void trial_play(struct trial *trial, const struct ballot_cast *cast,
                uint64_t round, struct trial_outcome *outcome);

/* Of the round that was played last. */
const struct assignment *trial_assignment(const struct trial *trial);
const struct graph *trial_disputes(const struct trial *trial);

/* Who of the task's workers, [replication], says the truth: bit i the i-th. And
 * whether two of them differ beyond the tolerance. */
uint32_t trial_truthful(const struct trial *trial, uint32_t task);
bool trial_is_disputed(const struct trial *trial, uint32_t task);

/* "proof", "paper", "paper+", "vote"; NULL from TRIAL_RULES on. */
const char *trial_rule_name(enum trial_rule rule);

#endif
