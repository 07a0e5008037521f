/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier.h - a server's work in a round of redundant tasks: the replicas that
 * workers put, chunk by chunk, become evidence, verdicts and a vote.
 *
 * In each chunk every task's replicas are compared. What this finds is a hint
 * alone: where replicas differ they are copied, and only the copies are
 * compared, recorded as evidence and resolved, so that a worker that writes
 * meanwhile cannot make evidence and result see different signs. Then the
 * verdict is found over earlier rounds, if they are kept, and all chunks up to
 * this one; each task gets its value by it (resolve.h); and the result is what
 * most of these values have. It is a function of the signs that were read and
 * of the order of chunks, not of when they came.
 *
 * Memory is that of one chunk. Allocates nothing after verifier_open(), does no
 * input or output. For one thread.
 *
 * Source: Konstantinidis and Ramamoorthy, "Aspis: A Robust Detection System for
 * Distributed Learning" (IEEE/ACM ToN 2023), which judges whole tasks: that is
 * a round of one chunk.
 */
#ifndef BALLOT_ASPIS_VERIFIER_H
#define BALLOT_ASPIS_VERIFIER_H

#include "assignment.h"
#include "verdict.h"

enum verifier_rule {
    VERIFIER_PROOF,
    VERIFIER_PAPER,
    VERIFIER_PAPER_PLUS, /* its window is VERIFIER_WINDOW rounds */
};

enum {
    VERIFIER_WINDOW = 15,
    /* Of one pair of workers in a round. With a tolerance a recomputation may
     * convict nobody, and liars would buy any amount of work. */
    VERIFIER_ARBITRATIONS_MAX = 16,
};

/*
 * Recomputes `task` of a round of this step where somebody is trusted to do so:
 * signs[8 * lines_for(coordinates)], from coordinate `first` on. 0; or a
 * negative errno: not now, and nobody is convicted.
 */
typedef int verifier_arbiter_fn(void *context, uint32_t step, uint32_t task,
                                uint64_t first, uint32_t coordinates,
                                uint64_t *signs);

struct verifier_config {
    struct assignment_config assignment;
    uint32_t liars_max; /* the promise */
    enum verifier_rule rule;
    uint64_t tolerance;       /* coordinates of a task, over a round, in which
                                 honest replicas may differ; 0: none */
    bool keep;                /* disputes last from round to round */
    uint32_t coordinates_max; /* of a chunk, >= 1 */
    const struct kernels *kernels;
};

struct verifier;

/*
 *   -EINVAL  there is no such assignment, or it has one worker, fewer than two
 *            replicas a task, or fewer workers than 2 liars_max + 1; *why says
 *            which rule is broken and what to take instead
 *   -ENOMEM  *why says how much was wanted
 */
int verifier_open(struct verifier **verifier,
                  const struct verifier_config *config,
                  char why[ASSIGNMENT_WHY_BYTES]);
void verifier_close(struct verifier *verifier); /* NULL is allowed */

/* Bytes that verifier_open() takes for chunks, whatever a gradient's length. */
size_t verifier_bytes(const struct verifier *verifier);

/*
 * From now on tasks are recomputed if their replicas dispute and neither end is
 * known to lie: who differs from that in more than the tolerance is convicted,
 * and what was recomputed is the value. For VERIFIER_PROOF alone. NULL: none.
 */
void verifier_arbiter(struct verifier *verifier, verifier_arbiter_fn *arbiter,
                      void *context);

/* Rotated to the step of the round; until the next one begins. */
const struct assignment *verifier_assignment(const struct verifier *verifier);

/* A round begins, before its first chunk. */
void verifier_begin(struct verifier *verifier, uint32_t step);

/*
 * One chunk of all workers.
 *
 *   rows         [workers]: where the signs of a worker begin, or NULL if it is
 *                absent: those of its tasks, ascending, `load` rows of 8 *
 *                lines_for(coordinates) words, one behind the other. Peers may
 *                write them meanwhile. Bits behind the last coordinate may be
 *                anything
 *   first        the first coordinate, of the whole gradient
 *   coordinates  1..coordinates_max
 *   result       [8 * lines_for(coordinates)]: minus where more than half of
 *                the tasks that count have it; 0 behind the last coordinate
 *   ties         NULL, or as result: where exactly half of them have it
 *   minus        such ties are minus in `result`
 *   far          rows are in no cache near: they are fetched ahead
 */
struct verifier_chunk {
    const uint64_t *const *rows;
    uint64_t first;
    uint32_t coordinates;
    uint64_t *result;
    uint64_t *ties;
    bool minus;
    bool far;
};

/* Chunks come in the order of their coordinates, each once. */
void verifier_count(struct verifier *verifier,
                    const struct verifier_chunk *chunk);

/*
 * The round's last chunk was counted. Of VERIFIER_PROOF: who is proven a liar
 * is quarantined, that is absent in every later round, and one of the liars
 * that were promised at most. Where the promise is broken nothing is proven, in
 * this round or before: quarantines end, but for those of an arbiter.
 */
void verifier_end(struct verifier *verifier);

/* Ends the quarantine of a worker and forgets its disputes. */
void verifier_release(struct verifier *verifier, uint32_t worker);

/* Of the last round that began, up to now. */
struct verifier_report {
    uint32_t step;
    enum verdict_outcome outcome;
    struct worker_set byzantine; /* the verdict, quarantined ones included */
    struct worker_set honest;
    struct worker_set convicted;   /* of `byzantine`, by an arbiter */
    struct worker_set absent;      /* in some chunk, without quarantined ones */
    struct worker_set quarantined; /* who was in this round, and after
                                      verifier_end() who is from now on */
    uint64_t chunks;
    uint64_t counted; /* tasks, of each chunk */
    uint64_t dropped;
    uint64_t disputed;
    uint64_t arbitrations; /* that the arbiter answered */
    uint64_t nodes;        /* of the search for verdicts */
};

void verifier_report(const struct verifier *verifier,
                     struct verifier_report *report);

/* Two workers' replicas of a task differ in more than the tolerance. */
struct verifier_dispute {
    uint32_t a; /* < b */
    uint32_t b;
    uint32_t step; /* of the round */
    uint32_t task;
    uint64_t distance; /* coordinates, over the round */
};

/*
 * The evidence: every dispute of this round, by task, and behind them those
 * that are kept of earlier rounds, for each pair of workers that has none in
 * this one the first there was. Fills list[max] at most and returns how many
 * there are.
 */
size_t verifier_disputes(const struct verifier *verifier,
                         struct verifier_dispute *list, size_t max);

#endif
