/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_aspis.h - redundant rounds: a vote in which liars are found out.
 * Included by ballot.h.
 *
 * The batch of a training step is cut into tasks, and several ranks compute the
 * gradient of each one: a design (struct ballot_config) says which. Every rank
 * casts the signs of all its tasks; the server compares the replicas of each
 * task, finds its value, and counts the vote over the tasks. Whose replicas
 * differ has lied or has been contradicted by a liar; what follows from that,
 * given the promise of at most `liars` liars, is in the report, and nothing
 * else is. Who is proven a liar is quarantined: its replicas are not looked at
 * any more until it is released.
 *
 * Needs one server (servers = root), which is trusted to count. Honest ranks
 * must compute equal signs for a task: the same batch with the same arithmetic;
 * where they cannot, flip_rate says how often they differ.
 *
 * Source: Konstantinidis and Ramamoorthy, "Aspis: A Robust Detection System for
 * Distributed Learning" (ISIT 2022); what is concluded from disputes is not the
 * paper's: ARCHITECTURE.md, "Verdicts".
 */
#ifndef BALLOT_ASPIS_H
#define BALLOT_ASPIS_H

#ifndef BALLOT_H
#error "include ballot.h, which includes this"
#endif

enum {
    BALLOT_WORKERS_MAX = 256, /* ranks of a communicator with a design */
};

/* ---- The plan ----------------------------------------------------------- */

/* What the design makes of the communicator's ranks, which are the workers. */
struct ballot_aspis_shape {
    uint32_t workers;
    uint32_t tasks;    /* of a step, numbered from 0 */
    uint32_t load;     /* tasks that each worker computes */
    uint32_t replicas; /* workers that compute each task */
};

/* -EINVAL: the communicator has no design. As all calls below. */
BALLOT_API int ballot_aspis_shape(const struct ballot_comm *comm,
                                  struct ballot_aspis_shape *shape);

/*
 * tasks[load]: which tasks this rank computes in training step `step`,
 * ascending. The plan is drawn from the configuration's seed and `step` alone,
 * so that a rank that comes late knows it too; it is another in each step.
 */
BALLOT_API int ballot_aspis_plan(const struct ballot_comm *comm, uint32_t step,
                                 uint32_t *tasks);

/* workers[replicas]: which ranks compute `task` in that step, ascending. */
BALLOT_API int ballot_aspis_workers(const struct ballot_comm *comm,
                                    uint32_t step, uint32_t task, int *workers);

/* ---- Signs -------------------------------------------------------------- */

/*
 * signs[ceil(count / 64)]: the packed signs (BALLOT_SIGNS) of values[count], so
 * that a worker need not keep the gradient of a task until the last is there.
 * Bits behind the last coordinate are 0. No communicator is needed.
 */
BALLOT_API int ballot_pack(uint64_t *signs, const void *values, size_t count,
                           enum ballot_type type);

/* values[count]: +1 where the sign is 0, -1 where it is 1; BALLOT_SIGNS copies
 * the words. */
BALLOT_API int ballot_unpack(void *values, const uint64_t *signs, size_t count,
                             enum ballot_type type);

/* ---- The vote ----------------------------------------------------------- */

/*
 * gradients[load][count]: gradients[i] is the gradient, or the packed signs,
 * of the i-th task of ballot_aspis_plan(step). recv[count]: the sign that most
 * tasks have, as in ballot_all_reduce() with BALLOT_MAJORITY; ties of an even
 * number of tasks go as configured. The value of a task is found from its
 * replicas by what is proven (configuration, rule); a task without one does
 * not count.
 *
 * A step may have several votes, of a bucket each: all of the same step are
 * judged together, as if they were one vote, until a report. Every step that
 * has another batch needs another number. A rank that is missing where there
 * is a quorum is absent in the chunks that were counted without it, and not
 * suspected of anything.
 *
 * `gradients`, what it points to, and recv are used until the call, or its
 * request, has returned. recv may be one of the gradients. At most count_max
 * coordinates where there is a quorum. `request` as in the other collectives.
 */
BALLOT_API int ballot_aspis_vote(const void *const *gradients, void *recv,
                                 size_t count, enum ballot_type type,
                                 uint32_t step, struct ballot_comm *comm,
                                 struct ballot_request **request);

/* ---- The report --------------------------------------------------------- */

/* What is proven of a worker. */
enum ballot_verdict {
    BALLOT_UNPROVEN,
    BALLOT_PROVEN_HONEST,
    BALLOT_PROVEN_BYZANTINE, /* paper, paper+: accused, which proves nothing */
};

enum ballot_outcome {
    BALLOT_OUTCOME_REACHED,
    BALLOT_OUTCOME_AMBIGUOUS, /* paper: several maximum cliques, no verdict */
    BALLOT_OUTCOME_BROKEN,    /* proof: more than `liars` have lied: nothing is
                                 proven, and nobody is quarantined by it */
    BALLOT_OUTCOME_UNDECIDED, /* proof: the search was cut short; what is said
                                 is right, but there may be more */
};

/*
 * Of the last step that was voted on. Sets of workers have bit r mod 64 of word
 * r / 64 for rank r. Tasks are counted once in each chunk.
 */
struct ballot_aspis_report {
    uint32_t step;
    enum ballot_outcome outcome;
    uint8_t verdict[BALLOT_WORKERS_MAX];           /* enum ballot_verdict */
    uint64_t convicted[BALLOT_WORKERS_MAX / 64];   /* by the arbiter */
    uint64_t absent[BALLOT_WORKERS_MAX / 64];      /* in some chunk */
    uint64_t quarantined[BALLOT_WORKERS_MAX / 64]; /* from now on */
    uint64_t chunks;
    uint64_t counted;      /* tasks that had a value */
    uint64_t dropped;      /* tasks that had none */
    uint64_t disputed;     /* tasks whose replicas differed */
    uint64_t arbitrations; /* that the arbiter answered */
    uint64_t disputes;     /* how many there are: the list may hold less */
};

/* The evidence: two workers contradict each other, so one of them has lied. */
struct ballot_dispute {
    int a, b; /* ranks, a < b */
    uint32_t step;
    uint32_t task;
    uint64_t distance; /* coordinates in which they differ */
};

/*
 * A collective call, which asks the server what is known after the votes so
 * far, and ends their step: who is proven Byzantine by now is quarantined, that
 * is, absent until it is released. disputes[disputes_max], at most 4096, the
 * same number on all ranks: report->disputes of them at most are written, by
 * step and task. Anyone can check with them what is said to be proven.
 *
 *   -EBADMSG  the server says what cannot be
 */
BALLOT_API int ballot_aspis_report(struct ballot_comm *comm,
                                   struct ballot_aspis_report *report,
                                   struct ballot_dispute *disputes,
                                   size_t disputes_max);

/* A collective call: ends the quarantine of `worker`, whose disputes and
 * convictions are forgotten. It ends the step too. */
BALLOT_API int ballot_aspis_release(struct ballot_comm *comm, int worker);

/*
 * Recomputes `task` of step `step`: signs[ceil(count / 64)], packed, of the
 * coordinates from `first` on; `first` goes on over the votes of a step. 0, or
 * a negative errno: not now, and nobody is convicted. It is called in the midst
 * of a vote, which waits for it and keeps its deadline; it must not call ballot
 * with a communicator.
 */
typedef int ballot_arbiter_fn(void *context, uint32_t step, uint32_t task,
                              uint64_t first, uint32_t count, uint64_t *signs);

/*
 * From now on this process, which must be the one that counts, recomputes tasks
 * that are disputed where it cannot be known who lies: whose replica differs is
 * convicted. NULL: no more. For the rule `proof`.
 *   -EINVAL  this rank does not count, or the rule is another
 */
BALLOT_API int ballot_aspis_arbiter(struct ballot_comm *comm,
                                    ballot_arbiter_fn *arbiter, void *context);

#endif
