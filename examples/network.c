/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.c - a small network for digits: 784 inputs, 64 hidden, 10 outputs.
 *
 * Inner loops run over hidden units, which are independent of each other, so a
 * compiler vectorises them without changing the order of any sum. Four of five
 * pixels are paper and are skipped.
 */
#include "network.h"

#include <math.h>
#include <string.h>

#include "random.h"

/* What one image makes of the network. */
struct activity {
    uint32_t inked[NETWORK_INPUTS]; /* inputs that are not zero */
    float inputs[NETWORK_INPUTS];   /* their values, in the same order */
    uint32_t inked_count;
    float hidden[NETWORK_HIDDEN];   /* after the ReLU */
    float chances[NETWORK_OUTPUTS]; /* after the softmax */
};

static void fill_uniform(float *weights, uint32_t count, float limit,
                         uint64_t seed, uint64_t stream)
{
    for (uint32_t i = 0; i < count; i++)
        weights[i] =
            limit * (2.0f * random_unit(random_bits(seed, stream, i)) - 1.0f);
}

void network_start(float *parameters, uint64_t seed)
{
    /* Above all streams of batches, which start at rank 0. */
    const uint64_t stream = (uint64_t)1 << 63;

    memset(parameters, 0, NETWORK_PARAMETERS * sizeof(*parameters));
    /* These limits give a variance of 1 / inputs. */
    fill_uniform(parameters, NETWORK_BIASES_1,
                 sqrtf(3.0f / (float)NETWORK_INPUTS), seed, stream);
    fill_uniform(&parameters[NETWORK_WEIGHTS_2],
                 NETWORK_HIDDEN * NETWORK_OUTPUTS,
                 sqrtf(3.0f / (float)NETWORK_HIDDEN), seed, stream + 1);
}

static void look(struct activity *restrict a, const uint8_t *pixels)
{
    a->inked_count = 0;
    for (uint32_t i = 0; i < NETWORK_INPUTS; i++) {
        if (pixels[i] == 0)
            continue;
        a->inked[a->inked_count] = i;
        a->inputs[a->inked_count] = (float)pixels[i] / 255.0f;
        a->inked_count++;
    }
}

static void excite_hidden(struct activity *restrict a,
                          const float *restrict parameters)
{
    memcpy(a->hidden, &parameters[NETWORK_BIASES_1], sizeof(a->hidden));
    for (uint32_t n = 0; n < a->inked_count; n++) {
        const float *weights = &parameters[a->inked[n] * NETWORK_HIDDEN];
        const float input = a->inputs[n];

        for (uint32_t h = 0; h < NETWORK_HIDDEN; h++)
            a->hidden[h] += input * weights[h];
    }
    for (uint32_t h = 0; h < NETWORK_HIDDEN; h++)
        a->hidden[h] = a->hidden[h] > 0.0f ? a->hidden[h] : 0.0f;
}

/* Leaves the outputs before the softmax in `chances`. */
static void excite_outputs(struct activity *restrict a,
                           const float *restrict parameters)
{
    const float *weights = &parameters[NETWORK_WEIGHTS_2];

    memcpy(a->chances, &parameters[NETWORK_BIASES_2], sizeof(a->chances));
    for (uint32_t h = 0; h < NETWORK_HIDDEN; h++)
        for (uint32_t o = 0; o < NETWORK_OUTPUTS; o++)
            a->chances[o] += a->hidden[h] * weights[h * NETWORK_OUTPUTS + o];
}

static void forward(struct activity *a, const float *parameters,
                    const uint8_t *pixels)
{
    look(a, pixels);
    excite_hidden(a, parameters);
    excite_outputs(a, parameters);
}

static uint32_t largest(const float *values)
{
    uint32_t best = 0;

    for (uint32_t o = 1; o < NETWORK_OUTPUTS; o++)
        if (values[o] > values[best])
            best = o;
    return best;
}

/* Turns outputs into chances; returns the loss, -log of the label's. */
static float softmax(float *chances, uint8_t label)
{
    const float top = chances[largest(chances)];
    const float right = chances[label] - top;
    float sum = 0.0f;

    for (uint32_t o = 0; o < NETWORK_OUTPUTS; o++) {
        chances[o] = expf(chances[o] - top);
        sum += chances[o];
    }
    for (uint32_t o = 0; o < NETWORK_OUTPUTS; o++)
        chances[o] /= sum;
    return logf(sum) - right;
}

/* Adds the second layer's gradient; slopes[h] = d loss / d hidden input. */
static void backward_outputs(float *restrict gradient, float *restrict slopes,
                             const struct activity *restrict a,
                             const float *restrict parameters,
                             const float *restrict errors)
{
    for (uint32_t h = 0; h < NETWORK_HIDDEN; h++) {
        const uint32_t row = NETWORK_WEIGHTS_2 + h * NETWORK_OUTPUTS;
        float slope = 0.0f;

        for (uint32_t o = 0; o < NETWORK_OUTPUTS; o++) {
            gradient[row + o] += a->hidden[h] * errors[o];
            slope += parameters[row + o] * errors[o];
        }
        slopes[h] = a->hidden[h] > 0.0f ? slope : 0.0f;
    }
    for (uint32_t o = 0; o < NETWORK_OUTPUTS; o++)
        gradient[NETWORK_BIASES_2 + o] += errors[o];
}

static void backward_hidden(float *restrict gradient,
                            const struct activity *restrict a,
                            const float *restrict slopes)
{
    for (uint32_t n = 0; n < a->inked_count; n++) {
        float *row = &gradient[a->inked[n] * NETWORK_HIDDEN];
        const float input = a->inputs[n];

        for (uint32_t h = 0; h < NETWORK_HIDDEN; h++)
            row[h] += input * slopes[h];
    }
    for (uint32_t h = 0; h < NETWORK_HIDDEN; h++)
        gradient[NETWORK_BIASES_1 + h] += slopes[h];
}

static float learn_image(float *gradient, const float *parameters,
                         const uint8_t *pixels, uint8_t label, float part)
{
    struct activity a;
    float errors[NETWORK_OUTPUTS];
    float slopes[NETWORK_HIDDEN];
    float loss;

    forward(&a, parameters, pixels);
    loss = softmax(a.chances, label);
    for (uint32_t o = 0; o < NETWORK_OUTPUTS; o++)
        errors[o] = part * (a.chances[o] - (o == label ? 1.0f : 0.0f));
    backward_outputs(gradient, slopes, &a, parameters, errors);
    backward_hidden(gradient, &a, slopes);
    return loss;
}

float network_gradient(float *gradient, const float *parameters,
                       const struct mnist *set, const uint32_t *picks,
                       uint32_t count)
{
    const float part = 1.0f / (float)count;
    float loss = 0.0f;

    memset(gradient, 0, NETWORK_PARAMETERS * sizeof(*gradient));
    for (uint32_t i = 0; i < count; i++) {
        const size_t image = picks[i];

        loss += learn_image(gradient, parameters,
                            &set->pixels[image * MNIST_PIXELS],
                            set->labels[image], part);
    }
    return loss * part;
}

double network_accuracy(const float *parameters, const struct mnist *set)
{
    uint32_t right = 0;

    for (size_t image = 0; image < set->count; image++) {
        struct activity a;

        forward(&a, parameters, &set->pixels[image * MNIST_PIXELS]);
        if (largest(a.chances) == set->labels[image])
            right++;
    }
    return (double)right / (double)set->count;
}
