/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_collectives.h - the other collectives, sends and receives. Included by
 * ballot.h.
 *
 * Where a collective has a root, or blocks of each rank, they are laid out as
 * NCCL lays them out, and in place means what it means there: the addresses
 * named below are equal. Packed signs (BALLOT_SIGNS) of a block take
 * ceil(count / 64) words, and the next block begins with a word of its own.
 *
 * All of these but majorities, which are votes as in ballot_all_reduce(), need
 * every rank: where a quorum lets votes go on after a death, these fail with
 * -ENOTCONN.
 */
#ifndef BALLOT_COLLECTIVES_H
#define BALLOT_COLLECTIVES_H

#include "ballot.h"

#ifdef __cplusplus
extern "C" {
#endif

/* recv[count] = op over all ranks' send[count], at rank `root` alone; the
 * others' recv may be NULL. send == recv is allowed. */
BALLOT_API int ballot_reduce(const void *send, void *recv, size_t count,
                             enum ballot_type type, enum ballot_op op, int root,
                             struct ballot_comm *comm,
                             struct ballot_request **request);

/* recv[recv_count] = block `rank` of op over all ranks'
 * send[ranks * recv_count]. recv == send + rank * recv_count is allowed. */
BALLOT_API int ballot_reduce_scatter(const void *send, void *recv,
                                     size_t recv_count, enum ballot_type type,
                                     enum ballot_op op,
                                     struct ballot_comm *comm,
                                     struct ballot_request **request);

/* Block r of recv[ranks * send_count] = rank r's send[send_count].
 * send == recv + rank * send_count is allowed. */
BALLOT_API int ballot_all_gather(const void *send, void *recv,
                                 size_t send_count, enum ballot_type type,
                                 struct ballot_comm *comm,
                                 struct ballot_request **request);

/* The same at rank `root` alone; the others' recv may be NULL.
 * send == recv + root * send_count is allowed there. */
BALLOT_API int ballot_gather(const void *send, void *recv, size_t send_count,
                             enum ballot_type type, int root,
                             struct ballot_comm *comm,
                             struct ballot_request **request);

/* recv[recv_count] = block `rank` of rank root's send[ranks * recv_count]; the
 * others' send may be NULL. recv == send + root * recv_count is allowed there.
 */
BALLOT_API int ballot_scatter(const void *send, void *recv, size_t recv_count,
                              enum ballot_type type, int root,
                              struct ballot_comm *comm,
                              struct ballot_request **request);

/* Block r of recv[ranks * count] = block `rank` of rank r's
 * send[ranks * count]. send == recv is allowed. */
BALLOT_API int ballot_all_to_all(const void *send, void *recv, size_t count,
                                 enum ballot_type type,
                                 struct ballot_comm *comm,
                                 struct ballot_request **request);

/*
 * Sends send[count] to `peer`, receives recv[count] from it. The n-th send to a
 * rank meets its n-th receive from us; count and type must be equal. A send may
 * return before its receive was called. Sends and receives that wait for each
 * other belong into a group; so do those of a rank with itself.
 */
BALLOT_API int ballot_send(const void *send, size_t count,
                           enum ballot_type type, int peer,
                           struct ballot_comm *comm,
                           struct ballot_request **request);
BALLOT_API int ballot_recv(void *recv, size_t count, enum ballot_type type,
                           int peer, struct ballot_comm *comm,
                           struct ballot_request **request);

/*
 * Calls of this thread between start and end begin at the outermost end; those
 * that were given no request are complete when it returns. All sends and
 * receives of a group on a communicator are one exchange, which comes after its
 * other calls. A call whose arguments are wrong says so at once and is not in
 * the group. Groups may be nested, and may have calls on several communicators.
 *   -EINVAL  end without start; a send of a rank to itself has no receive
 *   -E2BIG   more than 6 * ranks + 64 sends and receives
 *   else     the first error of a call that was given no request
 */
BALLOT_API int ballot_group_start(void);
BALLOT_API int ballot_group_end(void);

/*
 * Makes an op of `comm` that sums values, each rank's multiplied by its own
 * *scalar of `type` first; for reductions of that type until
 * ballot_op_destroy(). Local; ranks must make their ops in the same order.
 *   -EINVAL  values of this type are not summed
 *   -ENOSPC  there are 64
 */
BALLOT_API int ballot_op_create_premul_sum(enum ballot_op *op,
                                           const void *scalar,
                                           enum ballot_type type,
                                           struct ballot_comm *comm);
BALLOT_API int ballot_op_destroy(enum ballot_op op, struct ballot_comm *comm);

#ifdef __cplusplus
}
#endif
#endif
