/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the command line of 2_sign_sgd.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <ballot.h>
#include <ballot_attack.h>
#include <stdbool.h>
#include <stdint.h>

#include "attacks.h"

enum { STEPS_MAX = 10000000, EPOCHS_MAX = 10000 };

/* What a redundant round concludes from disputes. */
enum rule {
    RULE_PROOF,
    RULE_PAPER,
    RULE_NONE, /* nothing: the majority of each task's replicas */
};

struct options {
    const char *data; /* folder of the MNIST files */
    const char *csv;  /* file of the progress; NULL: none */
    const char *plot; /* picture of the progress; NULL: none */
    const char *dump; /* folder of the first rounds; NULL: none */
    uint32_t steps;
    uint32_t epochs; /* instead of steps; 0: steps count */
    uint32_t batch;  /* images a rank and step, or a task, <= BATCH_MAX */
    uint32_t liars;  /* the last ranks */
    enum attack attack;
    uint32_t replicas;         /* of a task; 0: each rank has its own batch */
    enum ballot_design design; /* with replicas */
    enum rule rule;
    enum ballot_scheme scheme; /* in which of its tasks a liar lies */
    bool mean;                 /* average gradients instead of voting */
    float rate;
    float rate_end;
    float mean_rate;
    float momentum;
    float weight_decay;
    uint64_t seed;
};

/*
 * Fills `options` from the command line and the defaults. Returns 1 when the
 * help was asked for and printed, -EINVAL after a line on stderr that says
 * which option is wrong and what it takes.
 */
int options_read(struct options *options, int argc, char **argv);

#endif
