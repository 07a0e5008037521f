/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_trial.h - rounds under attack, in which everything that a verifier
 * says is held against the oracle: results, verdicts, evidence, counts.
 */
#ifndef BALLOT_TESTS_UNIT_VERIFIER_TRIAL_H
#define BALLOT_TESTS_UNIT_VERIFIER_TRIAL_H

#include "verifier_oracle.h"

enum trial_attack {
    NOBODY,
    REVERSED,     /* all that liars say is turned around */
    CONSTANT,     /* all of it is minus */
    RANDOM,       /* each liar says what it likes */
    MAJORITIES,   /* the same lie where liars are the majority of a task */
    FIXED,        /* where the honest of a task are among as many victims */
    TAKE_OVER,    /* the same with one victim fewer */
    FRAMING,      /* with one */
    SCAPEGOAT,    /* so does one liar, the others lie always */
    SILENT,       /* where all of a task are liars */
    ONE_BIT,      /* the last coordinate alone, by the first liar */
    NOW_AND_THEN, /* a lie of its own in one of eight rows */
    ABSENT,       /* liars are away, or lie now and then */
    ATTACKS,
};

struct trial {
    struct verifier_config config;
    enum trial_attack attack;
    uint32_t liars; /* bits */
    uint64_t seed;
    uint32_t rounds;
    uint32_t released; /* bits: after each round */
    uint32_t flips;    /* signs of each row that are others, by chance */
    bool arbiter;      /* there is one, which does not always answer */
    uint32_t writers;  /* bits: liars that write a row anew whenever it has been
                          read (verifier_writers.h) */
};

/* Of workers that promise as few liars as can be, with three replicas. */
struct trial trial_of(enum design design, uint32_t workers);

/* Plays all rounds; returns what the oracle says at the end. */
struct oracle verifier_trial_play(const struct trial *trial);

#endif
