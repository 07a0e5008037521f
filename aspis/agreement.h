/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agreement.h - which workers contradict each other: the evidence of a verdict.
 *
 * An edge joins two workers whose signs for one task differ in more coordinates
 * than honest replicas may. So at least one end of every edge is a liar, as
 * long as the tolerance holds; no more than that is ever concluded from it. A
 * worker that did not answer makes no edge: absence is not a lie.
 *
 * Allocates nothing after agreement_open() and does no input or output.
 *
 * Source: Konstantinidis and Ramamoorthy, "Aspis: A Robust Detection System for
 * Distributed Learning" (ISIT 2022), whose agreement graph is the complement.
 */
#ifndef BALLOT_ASPIS_AGREEMENT_H
#define BALLOT_ASPIS_AGREEMENT_H

#include "../aggregate/kernels.h"
#include "workers.h"

struct agreement;

struct agreement_config {
    uint32_t workers;   /* 2..WORKERS_MAX */
    uint32_t tasks;     /* of a round, >= 1 */
    uint32_t replicas;  /* of a task, 2..REPLICAS_MAX */
    uint64_t tolerance; /* coordinates of a task, over the whole round, in which
                           honest replicas may differ */
};

/* -EINVAL if the configuration breaks a rule above, -ENOMEM. */
int agreement_open(struct agreement **agreement,
                   const struct agreement_config *config);
void agreement_close(struct agreement *agreement); /* NULL is allowed */

/*
 * Begins a round: everybody is present and no distance is known yet. Edges of
 * earlier rounds stay iff `keep`; they stay true while the liars are the same.
 */
void agreement_begin(struct agreement *agreement, bool keep);

/* `worker` gives no more signs in this round. What it gave before still counts
 * as evidence. */
void agreement_absent(struct agreement *agreement, uint32_t worker);

/*
 * Replicas of one task were compared in one more piece of its coordinates.
 *
 *   task        < config.tasks
 *   workers     [config.replicas] who holds them, the same in the whole round,
 *               each once
 *   compared    bit i: the replica of workers[i] was among them
 *   distances   of the compared pairs alone, ordered as `struct compare` does:
 *               (0, 1), (0, 2), ... (1, 2), ...
 *
 * A pair with an absent worker is left out. Returns whether there is a new
 * edge.
 */
bool agreement_add(struct agreement *agreement, uint32_t task,
                   const uint8_t *workers, uint32_t compared,
                   const uint64_t *distances);

/* An edge that was found elsewhere, as at another server. */
void agreement_dispute(struct agreement *agreement, uint32_t a, uint32_t b);

/* `worker` disputes with nobody any more, until a distance of it grows again:
 * for who was repaired. */
void agreement_forget(struct agreement *agreement, uint32_t worker);

/* The graph of disputes; valid until agreement_close(). */
const struct graph *agreement_graph(const struct agreement *agreement);

/* Who is present in this round. */
const struct worker_set *agreement_present(const struct agreement *agreement);

/* Distances of the task so far in this round, [replicas * (replicas - 1) / 2],
 * with a place for each pair whether it was compared or not. */
const uint64_t *agreement_distances(const struct agreement *agreement,
                                    uint32_t task);

/* Workers that `worker` disputes with. */
uint32_t graph_degree(const struct graph *graph, uint32_t worker);

/* The workers within `within` that disputes among them connect to `worker`,
 * itself included. */
struct worker_set graph_component(const struct graph *graph,
                                  const struct worker_set *within,
                                  uint32_t worker);

#endif
