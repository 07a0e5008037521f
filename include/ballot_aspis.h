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
 * must compute equal signs for a task: the same batch with the same arithmetic.
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

#endif
