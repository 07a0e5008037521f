/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redundancy.h - the step of a training in which several ranks compute each
 * part of the batch, so that liars are found out.
 *
 * The batch of a step is cut into the tasks of the communicator's design, of as
 * many images each. A rank computes the gradients of its tasks and keeps their
 * signs; there is no momentum, for replicas of a task must be equal whoever
 * computes them.
 */
#ifndef REDUNDANCY_H
#define REDUNDANCY_H

#include <ballot.h>
#include <stdint.h>

#include "mnist.h"
#include "options.h"

struct redundancy;

/* Fills in the configuration what the options say of a design. */
void redundancy_configure(struct ballot_config *config,
                          const struct options *options);

/*
 * For a communicator of that configuration. `options` and `train` must stay;
 * the caller closes it. Failures are a negative errno and a line on stderr.
 */
int redundancy_open(struct redundancy **redundancy,
                    const struct options *options, const struct mnist *train,
                    struct ballot_comm *comm);

/*
 * vote[NETWORK_PARAMETERS]: the sign that most tasks of the step have; *loss:
 * the mean of this rank's images. Without the rule `none` the server is then
 * asked who is proven a liar, and rank 0 says who is so anew. Returns what
 * ballot returned.
 */
int redundancy_vote(struct redundancy *redundancy, const float *parameters,
                    uint32_t step, float *vote, float *loss);

/* How many coordinates a rank puts in a step. */
double redundancy_coordinates(const struct redundancy *redundancy);

/* Rank 0 tells what became of tasks and liars. */
void redundancy_print(const struct redundancy *redundancy);

void redundancy_close(struct redundancy **redundancy); /* may be NULL */

#endif
