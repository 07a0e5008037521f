/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacks.c - what ranks that lie give as their gradient.
 *
 * A liar goes through the same calls as everybody else: the protocol is kept,
 * only the numbers are wrong. That is what a vote can outweigh.
 */
#include "attacks.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "network.h"
#include "random.h"

/* More than any gradient coordinate of a network that has learnt something. */
static const float constant_lie = 1.0f;
static const float reverse_factor = -100.0f;

struct liar {
    enum attack attack;
    uint32_t honest;
    /* ATTACK_ANTI only: what the liar works out about the honest ranks. */
    float *gradient;   /* [NETWORK_PARAMETERS], of one of them */
    float *momenta;    /* [honest][NETWORK_PARAMETERS] */
    uint32_t *minuses; /* [NETWORK_PARAMETERS], votes for minus */
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
    if (attack == ATTACK_ANTI) {
        l->gradient = calloc(NETWORK_PARAMETERS, sizeof(*l->gradient));
        l->minuses = calloc(NETWORK_PARAMETERS, sizeof(*l->minuses));
        l->momenta =
            calloc((size_t)honest * NETWORK_PARAMETERS, sizeof(*l->momenta));
        if (l->gradient == NULL || l->minuses == NULL || l->momenta == NULL) {
            liar_close(&l);
            return refuse_memory();
        }
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
    free((*liar)->minuses);
    free(*liar);
    *liar = NULL;
}

static void scale(float *gradient, float factor)
{
    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++)
        gradient[i] *= factor;
}

static void fill_constant(float *gradient)
{
    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++)
        gradient[i] = constant_lie;
}

/* Box and Muller's normal numbers, of another stream than the batches. */
static void fill_noise(float *gradient, const struct attack_scene *scene)
{
    const uint64_t stream = (uint64_t)scene->rank << 32 | scene->step;
    const float turn = 6.2831853f;

    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++) {
        uint64_t bits = random_bits(~scene->seed, stream, i);
        float radius = sqrtf(-2.0f * logf(1.0f - random_unit(bits)));

        gradient[i] = radius * cosf(turn * random_unit(bits << 24));
    }
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
    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++) {
        momentum[i] = (1.0f - beta) * liar->gradient[i] + beta * momentum[i];
        liar->minuses[i] += momentum[i] < 0.0f;
    }
}

/*
 * All liars work out the same honest majority and vote against it together.
 * The vote is cast by the liar's momentum, so the gradient is chosen such that
 * the momentum becomes +1 or -1 whatever it was.
 */
static void oppose(struct liar *liar, float *gradient,
                   const struct attack_scene *scene)
{
    const uint32_t majority = liar->honest / 2 + 1;
    const float beta = scene->beta;

    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++)
        liar->minuses[i] = 0;
    for (uint32_t rank = 0; rank < liar->honest; rank++)
        add_honest_vote(liar, rank, scene);
    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++) {
        float wanted = liar->minuses[i] >= majority ? 1.0f : -1.0f;

        gradient[i] = (wanted - beta * scene->momentum[i]) / (1.0f - beta);
    }
}

void liar_lie(struct liar *liar, float *gradient,
              const struct attack_scene *scene)
{
    assert(scene->honest == liar->honest && scene->batch <= BATCH_MAX);
    switch (liar->attack) {
    case ATTACK_FLIP: scale(gradient, -1.0f); break;
    case ATTACK_REVERSE: scale(gradient, reverse_factor); break;
    case ATTACK_RANDOM: fill_noise(gradient, scene); break;
    case ATTACK_CONSTANT: fill_constant(gradient); break;
    case ATTACK_ANTI: oppose(liar, gradient, scene); break;
    case ATTACKS: assert(false); break;
    }
}

const char *attack_name(enum attack attack)
{
    static const char *const names[ATTACKS] = {
        [ATTACK_FLIP] = "flip",     [ATTACK_REVERSE] = "reverse",
        [ATTACK_RANDOM] = "random", [ATTACK_CONSTANT] = "constant",
        [ATTACK_ANTI] = "anti",
    };

    return attack < ATTACKS ? names[attack] : NULL;
}
