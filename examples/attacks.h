/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacks.h - what ranks that lie give as their gradient.
 */
#ifndef ATTACKS_H
#define ATTACKS_H

#include <ballot_attack.h>
#include <stdbool.h>
#include <stdint.h>

#include "mnist.h"

enum attack {
    ATTACK_FLIP,      /* -1 times the true gradient; zeros stay plus */
    ATTACK_INVERT,    /* the other sign everywhere, of zeros too */
    ATTACK_REVERSE,   /* -100 times */
    ATTACK_RANDOM,    /* normal noise */
    ATTACK_CONSTANT,  /* the same value everywhere */
    ATTACK_ANTI,      /* against the majority of the honest */
    ATTACK_SELECTIVE, /* that where it is smallest, else with it */
    ATTACK_ALIE,      /* a little away from the mean of the honest */
    ATTACK_PRODUCT,   /* -100 times that mean */
    ATTACK_MIMIC,     /* what the first of the honest says */
    ATTACK_NAN,       /* not a number */
    ATTACKS,
};

/* What a liar knows of a step: all that an honest rank knows, and who lies. */
struct attack_scene {
    const struct mnist *train;
    const float *parameters; /* the same on every rank */
    const float *momentum;   /* the liar's own, before the step */
    float beta;              /* of the momentum before the vote; 0: none */
    uint64_t seed;           /* of all batches */
    uint32_t step;
    uint32_t batch;  /* <= BATCH_MAX */
    uint32_t rank;   /* the liar's */
    uint32_t honest; /* ranks 0 to honest - 1 do not lie */
};

struct liar;

/* A liar for `honest` honest ranks; -ENOMEM after a line on stderr. The caller
 * closes it. */
int liar_open(struct liar **liar, enum attack attack, uint32_t honest);

void liar_close(struct liar **liar); /* *liar may be NULL */

/* Replaces gradient[NETWORK_PARAMETERS], the liar's true one, by the lie. */
void liar_lie(struct liar *liar, float *gradient,
              const struct attack_scene *scene);

/* Whether the liar must know what honest ranks say: scene.honest of
 * ballot_attack.h, which liar_lie() finds out by itself. */
bool attack_needs_honest(enum attack attack);

/* The same for the gradient of a redundant task, which no momentum follows; of
 * `scene` all but the factor is given. */
void attack_task(enum attack attack, float *gradient,
                 struct ballot_attack_scene scene);

/* The name as --attack takes it; NULL from ATTACKS on. */
const char *attack_name(enum attack attack);

#endif
