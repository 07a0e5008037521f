/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience.h - how long a caller that waits spins, then yields, then sleeps.
 *
 * It spins as long as spinning has paid lately. What came while it span came
 * from another core; what came only when it yielded may have needed its own
 * core: then it was in the way.
 */
#ifndef BALLOT_COLLECTIVE_PATIENCE_H
#define BALLOT_COLLECTIVE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

struct patience {
    bool crowded;     /* more ranks on this host than cores for them */
    uint64_t spin_ns; /* learnt */
    uint64_t waits;   /* so far */
};

enum patience_advice { PATIENCE_SPIN, PATIENCE_YIELD, PATIENCE_SLEEP };

/* Nothing has moved for `idle_ns`. */
enum patience_advice patience_ask(const struct patience *patience,
                                  uint64_t idle_ns);

/* A wait is over that lasted `idle_ns`. */
void patience_learn(struct patience *patience, uint64_t idle_ns);

#endif
