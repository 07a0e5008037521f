/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - the algorithms: each writes the moves of this rank. The ranks at
 * both ends of a stream write the same moves for it, in the same order. A call
 * of no elements has messages of no bytes, by which the ranks learn whether all
 * have called the same.
 */
#ifndef BALLOT_COLLECTIVE_PLAN_H
#define BALLOT_COLLECTIVE_PLAN_H

#include "flow_inside.h"

/* The rank that many places before us, behind us. */
static inline uint32_t plan_before(const struct flow *f, uint32_t places)
{
    return (f->config.rank + f->config.ranks - places) % f->config.ranks;
}

static inline uint32_t plan_behind(const struct flow *f, uint32_t places)
{
    return (f->config.rank + places) % f->config.ranks;
}

/* Of a binomial tree, how many places from `place` on are its subtree, if there
 * were that many; its parent is place - span. */
static inline uint32_t plan_span(uint32_t place, uint32_t ranks)
{
    uint32_t span = 1;

    if (place > 0)
        return place & -place;
    while (span < ranks)
        span *= 2;
    return span;
}

/* Elements of every block but the last, where a vector is cut in one for each
 * rank. */
static inline uint64_t plan_share(uint64_t count, uint32_t ranks)
{
    return (count + ranks - 1) / ranks;
}

/* plan_gather.c */
void plan_broadcast(struct flow *f, const struct flow_call *call,
                    enum flow_algorithm algorithm);
void plan_all_gather(struct flow *f, const struct flow_call *call,
                     enum flow_algorithm algorithm);
void plan_gather(struct flow *f, const struct flow_call *call);
void plan_scatter(struct flow *f, const struct flow_call *call);
void plan_all_to_all(struct flow *f, const struct flow_call *call);
void plan_barrier(struct flow *f, const struct flow_call *call,
                  enum flow_algorithm algorithm);

/* plan_hub.c: of more than one rank */
void plan_all_reduce_hub(struct flow *f, const struct flow_call *call);
void plan_reduce_scatter_hub(struct flow *f, const struct flow_call *call);
void plan_all_gather_hub(struct flow *f, const struct flow_call *call);
/* Whether a reduce_scatter of such blocks can be had so. */
bool plan_fits_hub(const struct flow *f, uint64_t bytes);

/* plan_reduce.c */
void plan_all_reduce(struct flow *f, const struct flow_call *call,
                     enum flow_algorithm algorithm);
void plan_reduce(struct flow *f, const struct flow_call *call,
                 enum flow_algorithm algorithm);
void plan_reduce_scatter(struct flow *f, const struct flow_call *call,
                         enum flow_algorithm algorithm);

#endif
