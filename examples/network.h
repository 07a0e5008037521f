/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h - a small network for digits: 784 inputs, 64 hidden, 10 outputs.
 *
 * ReLU and softmax cross entropy. All parameters stand in one array, so that
 * one call of ballot carries them:
 *   first layer    weights [784][64], input by input; then 64 biases
 *   second layer   weights [64][10], hidden by hidden; then 10 biases
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "mnist.h"

enum {
    NETWORK_INPUTS = MNIST_PIXELS,
    NETWORK_HIDDEN = 64,
    NETWORK_OUTPUTS = MNIST_DIGITS,
    NETWORK_BIASES_1 = NETWORK_INPUTS * NETWORK_HIDDEN,
    NETWORK_WEIGHTS_2 = NETWORK_BIASES_1 + NETWORK_HIDDEN,
    NETWORK_BIASES_2 = NETWORK_WEIGHTS_2 + NETWORK_HIDDEN * NETWORK_OUTPUTS,
    NETWORK_PARAMETERS = NETWORK_BIASES_2 + NETWORK_OUTPUTS,
};

/* Uniform weights, zero biases: the same for the same seed. */
void network_start(float *parameters, uint64_t seed);

/*
 * gradient[NETWORK_PARAMETERS] = mean gradient of the loss over the images
 * picks[count] of `set`; returns their mean loss. The order of all additions is
 * fixed: the same arguments give the same bits.
 */
float network_gradient(float *gradient, const float *parameters,
                       const struct mnist *set, const uint32_t *picks,
                       uint32_t count);

/* The part of `set` that is recognised, from 0 to 1. */
double network_accuracy(const float *parameters, const struct mnist *set);

#endif
