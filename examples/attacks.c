/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacks.c - what ranks that lie give as their gradient.
 *
 * A liar goes through the same calls as everybody else: the protocol is kept,
 * only the numbers are wrong. That is what a vote can outweigh. What they
 * become is ballot_attack.h's; here is what a liar has to find out for it.
 */
#include "attacks.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "network.h"

static const struct {
    const char *name;
    enum ballot_attack attack;
    float factor;
} attacks[ATTACKS] = {
    [ATTACK_FLIP] = {"flip", BALLOT_ATTACK_REVERSED, 1.0f},
    [ATTACK_INVERT] = {"invert", BALLOT_ATTACK_REVERSED, 1.0f},
    [ATTACK_REVERSE] = {"reverse", BALLOT_ATTACK_REVERSED, 100.0f},
    [ATTACK_RANDOM] = {"random", BALLOT_ATTACK_RANDOM, 1.0f},
    /* More than any coordinate of a network that has learnt something. */
    [ATTACK_CONSTANT] = {"constant", BALLOT_ATTACK_CONSTANT, 1.0f},
    [ATTACK_ANTI] = {"anti", BALLOT_ATTACK_ANTI, 1.0f},
    [ATTACK_SELECTIVE] = {"selective", BALLOT_ATTACK_SELECTIVE, 1.0f},
    [ATTACK_ALIE] = {"alie", BALLOT_ATTACK_ALIE, 1.0f},
    [ATTACK_PRODUCT] = {"product", BALLOT_ATTACK_PRODUCT, 100.0f},
    [ATTACK_MIMIC] = {"mimic", BALLOT_ATTACK_MIMIC, 0.0f},
    [ATTACK_NAN] = {"nan", BALLOT_ATTACK_NAN, 0.0f},
};

struct liar {
    enum attack attack;
    uint32_t honest;
    /* Where the attack needs it: what the liar works out about the honest. */
    float *gradient;    /* [NETWORK_PARAMETERS], of one of them */
    float *momenta;     /* [honest][NETWORK_PARAMETERS] */
    const void **votes; /* [honest], where the momenta of each begin */
    uint32_t picks[BATCH_MAX];
};

static int refuse_memory(void)
{
    fputs("no memory for a liar; start fewer ranks\n", stderr);
    return -ENOMEM;
}

int liar_open(struct liar **liar, enum attack attack, uint32_t honest)
{
    struct liar *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return refuse_memory();
    l->attack = attack;
    l->honest = honest;
    if (attack_needs_honest(attack)) {
        l->gradient = calloc(NETWORK_PARAMETERS, sizeof(*l->gradient));
        l->votes = calloc(honest, sizeof(*l->votes));
        l->momenta =
            calloc((size_t)honest * NETWORK_PARAMETERS, sizeof(*l->momenta));
        if (l->gradient == NULL || l->votes == NULL || l->momenta == NULL) {
            liar_close(&l);
            return refuse_memory();
        }
        for (uint32_t rank = 0; rank < honest; rank++)
            l->votes[rank] = &l->momenta[(size_t)rank * NETWORK_PARAMETERS];
    }
    *liar = l;
    return 0;
}

void liar_close(struct liar **liar)
{
    if (*liar == NULL)
        return;
    free((*liar)->gradient);
    free((*liar)->momenta);
    free((*liar)->votes);
    free(*liar);
    *liar = NULL;
}

/* The vote of honest rank `rank`: the same arithmetic as on that rank. */
static void add_honest_vote(struct liar *liar, uint32_t rank,
                            const struct attack_scene *scene)
{
    float *momentum = &liar->momenta[(size_t)rank * NETWORK_PARAMETERS];
    const float beta = scene->beta;

    mnist_draw(liar->picks, scene->batch, scene->train->count, scene->seed,
               rank, scene->step);
    network_gradient(liar->gradient, scene->parameters, scene->train,
                     liar->picks, scene->batch);
    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++)
        momentum[i] = (1.0f - beta) * liar->gradient[i] + beta * momentum[i];
}

/* The vote is cast by the liar's momentum, so the gradient is chosen such that
 * the momentum becomes what is wanted, whatever it was. */
static void undo_momentum(float *gradient, const struct attack_scene *scene)
{
    const float beta = scene->beta;

    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++)
        gradient[i] = (gradient[i] - beta * scene->momentum[i]) / (1.0f - beta);
}

bool attack_needs_honest(enum attack attack)
{
    switch (attacks[attack].attack) {
    case BALLOT_ATTACK_ALIE:
    case BALLOT_ATTACK_PRODUCT:
    case BALLOT_ATTACK_ANTI:
    case BALLOT_ATTACK_SELECTIVE:
    case BALLOT_ATTACK_MIMIC: return true;
    default: return false;
    }
}

/* As signs, for as a number -0 would vote plus as 0 does. */
static int invert(float *gradient, const struct ballot_attack_scene *scene)
{
    uint64_t signs[(NETWORK_PARAMETERS + 63) / 64];
    int rc = ballot_pack(signs, gradient, NETWORK_PARAMETERS, BALLOT_FLOAT32);

    if (rc == 0)
        rc = ballot_attack_lie(BALLOT_ATTACK_REVERSED, signs,
                               NETWORK_PARAMETERS, BALLOT_SIGNS, scene);
    if (rc == 0)
        rc = ballot_unpack(gradient, signs, NETWORK_PARAMETERS, BALLOT_FLOAT32);
    return rc;
}

void attack_task(enum attack attack, float *gradient,
                 struct ballot_attack_scene scene)
{
    int rc;

    scene.factor = attacks[attack].factor;
    if (attack == ATTACK_INVERT)
        rc = invert(gradient, &scene);
    else
        rc = ballot_attack_lie(attacks[attack].attack, gradient,
                               NETWORK_PARAMETERS, BALLOT_FLOAT32, &scene);
    assert(rc == 0);
    (void)rc;
}

void liar_lie(struct liar *liar, float *gradient,
              const struct attack_scene *scene)
{
    const struct ballot_attack_scene known = {
        .honest = liar->votes,
        .honest_count = liar->honest,
        .seed = scene->seed,
        .step = scene->step,
        .voice = scene->rank + 1,
    };

    assert(scene->honest == liar->honest && scene->batch <= BATCH_MAX);
    /* All liars work out the same votes, and oppose them together. */
    for (uint32_t rank = 0; liar->votes != NULL && rank < liar->honest; rank++)
        add_honest_vote(liar, rank, scene);
    attack_task(liar->attack, gradient, known);
    if (liar->votes != NULL || liar->attack == ATTACK_INVERT)
        undo_momentum(gradient, scene);
}

const char *attack_name(enum attack attack)
{
    return attack < ATTACKS ? attacks[attack].name : NULL;
}
