/* SPDX-License-Identifier: Apache-2.0 */
/* patience.c - how long a caller that waits spins, then yields, then sleeps. */
#include "patience.h"

enum {
    STEP_NS = 1000,
    PROBE_EVERY = 64, /* waits */
};

static const struct limits {
    uint64_t spin_most_ns;
    uint64_t probe_ns; /* once in PROBE_EVERY waits spin at least so long */
    uint64_t yield_ns; /* then sleep */
} limits[] = {
    /* To sleep and be woken takes longer than anything else here, most of all
     * in a virtual machine, and who wakes late lets others fall asleep. */
    [false] = {.spin_most_ns = 100000, .probe_ns = 100000, .yield_ns = 1000000},
    /* Somebody needs our core. */
    [true] = {.spin_most_ns = 20000, .probe_ns = 1000, .yield_ns = 50000},
};

enum patience_advice patience_ask(const struct patience *patience,
                                  uint64_t idle_ns)
{
    if (idle_ns > limits[patience->crowded].yield_ns)
        return PATIENCE_SLEEP;
    return idle_ns > patience->spin_ns ? PATIENCE_YIELD : PATIENCE_SPIN;
}

void patience_learn(struct patience *patience, uint64_t idle_ns)
{
    const struct limits *l = &limits[patience->crowded];
    uint64_t spin_ns = patience->spin_ns;

    spin_ns = idle_ns <= spin_ns ? 2 * spin_ns + STEP_NS : spin_ns / 2;
    if (++patience->waits % PROBE_EVERY == 0 && spin_ns < l->probe_ns)
        spin_ns = l->probe_ns;
    patience->spin_ns = spin_ns < l->spin_most_ns ? spin_ns : l->spin_most_ns;
}
