/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cover.h - small vertex covers: workers that explain every dispute.
 *
 * A set of workers covers a graph if each edge has an end in it. Whoever the
 * liars are, they are such a set.
 *
 * Bounded search tree (Buss and Goldsmith, "Nondeterminism within P", SIAM J.
 * Comput. 22, 1993): a worker with more disputes than the cover has room is in
 * it; of a worker with one dispute the other end may be taken; else the worker
 * with the most disputes is in the cover, or all its neighbours are. A branch
 * ends where cliques that share no worker, each of which needs all its workers
 * but one, need more than there is room for. Its time is bounded by a number
 * of nodes, for liars choose the graph.
 */
#ifndef BALLOT_ASPIS_COVER_H
#define BALLOT_ASPIS_COVER_H

#include "workers.h"

struct cover_question {
    const struct graph *graph;
    struct worker_set within; /* only the edges among these count */
    uint32_t size_max;        /* of a cover */
    bool least;               /* the smallest is wanted, else any */
};

struct cover {
    bool found;                /* `workers` is a cover of allowed size */
    bool exact;                /* the question is answered; else nodes ran out,
                                  and a smaller cover may have been missed */
    uint32_t least;            /* no cover has fewer workers */
    uint32_t size;             /* of `workers` */
    struct worker_set workers; /* empty if none was found */
};

/*
 * Answers the question, and takes the nodes that this needed from *nodes_left:
 * places at which the search branches or ends, at least one.
 */
struct cover cover_find(const struct cover_question *question,
                        uint64_t *nodes_left);

#endif
