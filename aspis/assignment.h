/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assignment.h - which worker computes which tasks.
 *
 * A round's batch is cut into tasks. Several workers compute each one, so that
 * their replicas can be compared; the design says which. All of it is a
 * function of the configuration and the number of the round, so every rank
 * and machine finds the same. Every worker has equally many tasks.
 *
 * Nothing here does input or output, and nothing allocates after
 * assignment_open().
 */
#ifndef BALLOT_ASPIS_ASSIGNMENT_H
#define BALLOT_ASPIS_ASSIGNMENT_H

#include <stdint.h>

#include "../aggregate/kernels.h"

enum {
    ASSIGNMENT_WORKERS_MAX = 256,
    ASSIGNMENT_TASKS_MAX = 65535,
    /* A task's replicas are compared in one call. */
    ASSIGNMENT_REPLICATION_MAX = REPLICAS_MAX,
    ASSIGNMENT_WHY_BYTES = 200, /* room for an error in words */
};

enum design {
    /* A task for every `replication` of the workers, in lexicographic order:
     * 0 1 2, 0 1 3, ... Aspis (Konstantinidis, Ramamoorthy, ISIT 2022,
     * arXiv:2108.02416). The load grows like workers^(replication - 1). */
    DESIGN_SUBSETS,
    /* A Steiner triple system: 3 workers a task, and each pair shares one task.
     * For 1 or 3 mod 6 workers, from 3 on. With 2^m - 1 of them worker w is
     * the point w + 1 of a projective space, whose lines, the tasks, are
     * {a, b, a xor b}. Aspis+ (arXiv:2208.08085). */
    DESIGN_STEINER,
    /* Points and lines of a projective plane: order^2 + order + 1 workers and
     * as many tasks, with order + 1 workers each; each pair shares one task and
     * each two tasks one worker. The order is a prime power. Of an odd order,
     * replication is even: the vote of a task can tie. */
    DESIGN_PLANE,
    /* Fractional repetition: groups of `replication` neighbours do the same one
     * task. DRACO (Chen et al., ICML 2018), DETOX (Rajput et al., NeurIPS
     * 2019). */
    DESIGN_REPETITION,
    /* Mutually orthogonal Latin squares of a prime power n: n^2 tasks, one a
     * cell, and `replication` squares with a worker for each symbol, which has
     * the cells that hold it. ByzShield (Konstantinidis, Ramamoorthy, MLSys
     * 2021). */
    DESIGN_MOLS,
};

struct assignment_config {
    enum design design;
    uint32_t workers;     /* 1..ASSIGNMENT_WORKERS_MAX */
    uint32_t replication; /* workers a task; odd, except in planes */
    uint64_t seed;        /* of the rotation. Who knows it knows who will work
                             with whom in every round to come. */
};

struct assignment_shape {
    uint32_t workers;
    uint32_t replication; /* workers a task */
    uint32_t tasks;       /* 1..ASSIGNMENT_TASKS_MAX */
    uint32_t load;        /* tasks a worker */
};

struct assignment;

/*
 * Labels are those of the design until assignment_rotate() is called.
 *   -EINVAL  there is no such design, or it has more tasks than
 *            ASSIGNMENT_TASKS_MAX; *why says which rule is broken and what to
 *            take instead
 *   -ENOMEM  *why says how much was wanted
 */
int assignment_open(struct assignment **assignment,
                    const struct assignment_config *config,
                    char why[ASSIGNMENT_WHY_BYTES]);
void assignment_close(struct assignment *assignment); /* NULL is allowed */

/*
 * Gives the workers the places that they have in `round`: a permutation drawn
 * from seed and round alone, so rounds may come in any order. Where places are
 * fixed, liars that distort only tasks in which they are the majority disagree
 * with the same few in every round, and are not told from them. Costs one pass
 * over all tasks, and voids what assignment_workers() and assignment_tasks()
 * returned before.
 */
void assignment_rotate(struct assignment *assignment, uint64_t round);

const struct assignment_shape *assignment_shape(
    const struct assignment *assignment);

/* [replication] workers of `task`, ascending. */
const uint8_t *assignment_workers(const struct assignment *assignment,
                                  uint32_t task);

/* [load] tasks of `worker`, ascending. */
const uint16_t *assignment_tasks(const struct assignment *assignment,
                                 uint32_t worker);

/* In how many tasks two workers meet; the load where they are the same. */
uint32_t assignment_overlap(const struct assignment *assignment, uint32_t one,
                            uint32_t other);

struct assignment_spread {
    uint32_t min;
    uint32_t max;
    double mean;
};

/* Counted in the tasks as they are, not derived from the design. */
struct assignment_table {
    uint32_t tasks;
    struct assignment_spread load;    /* over the workers */
    struct assignment_spread overlap; /* over pairs of two workers; 0 if there
                                         is but one worker */
};

void assignment_measure(const struct assignment *assignment,
                        struct assignment_table *table);

#endif
