/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_membership.h - communicators made of others: parts of one, a copy, and
 * what is left of one after deaths. Included by ballot.h.
 *
 * The ranks of the old one find each other through it: no unique id and no
 * launcher is needed. The new one has transports, memory and deadlines of its
 * own; both may be used at once, also from different threads, and be finalized
 * in any order. Who may join it is drawn from the old one's secret.
 *
 * Without a `config` the new one is configured as the old one is: a rank keeps
 * its weight, and quorum, liars and design stay what they are, which is -EINVAL
 * where they cannot be had with the new number of ranks. With one it is as in
 * ballot_comm_init_rank(), and has to be the same on all ranks of the new one.
 * ballot-servers stay with the old one: who has them needs a `config` that says
 * who counts, with servers = BALLOT_SERVERS_ROOT or, where BALLOT_SERVERS names
 * none, BALLOT_SERVERS_RANKS.
 *
 * All of these block, at most init_timeout_ms of the new communicator (and the
 * timeout of the old one, for the calls that they make on it), and are refused
 * within a group (-EINVAL). ballot_comm_abort() of the old one ends them with
 * -ECANCELED. After an error *made is NULL and ballot_last_error() of the old
 * one says why.
 *
 *   -EINVAL     an argument or the configuration is out of range
 *   -EBUSY      another thread makes one of this communicator
 *   -EPROTO     ranks disagree on the configuration, or one cannot take part
 *   -ENOTCONN   a rank that is needed has died
 *   -ETIMEDOUT  ranks are missing; the error names them
 *   -ECANCELED  ballot_comm_abort()
 */
#ifndef BALLOT_MEMBERSHIP_H
#define BALLOT_MEMBERSHIP_H

#include "ballot.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BALLOT_SPLIT_NONE = -1 };

/*
 * Ranks that give the same `color`, 0 or more, become one communicator, in
 * which they are ordered by key and, where keys are equal, as they were. Who
 * gives BALLOT_SPLIT_NONE takes part and gets NULL. A collective call of all
 * ranks of `comm`, in the order of its other calls. An argument that is out of
 * range at one rank is an error of all.
 */
BALLOT_API int ballot_comm_split(struct ballot_comm *comm, int color, int key,
                                 struct ballot_comm **made,
                                 const struct ballot_config *config);

/* The same ranks again, configured as they are; a collective call. */
BALLOT_API int ballot_comm_duplicate(struct ballot_comm *comm,
                                     struct ballot_comm **made);

enum {
    BALLOT_SHRINK_DEFAULT = 0,
    /* Calls under way on the old one end with -ECANCELED first, here, and with
     * an error on all other ranks; it can then only be shrunk again, or
     * finalized. */
    BALLOT_SHRINK_ABORT = 1,
};

/*
 * Makes a communicator of the ranks that are left, in the order that they had.
 * Called by all of these and nobody else; `comm` may have failed, as it has,
 * without a quorum, when a rank died. Left out are the ranks of
 * excluded[excluded_count], which is the same everywhere, and whoever any of
 * the callers knows to be dead: they agree on it. Where nobody is left out this
 * is a copy.
 *
 * A rank that dies meanwhile is left out, too. If it dies when all have joined
 * already, all get a communicator whose first call fails with -ENOTCONN, to be
 * shrunk in turn. A rank that stands still or that makes no such call is no
 * dead one: it is waited for, and named by -ETIMEDOUT; exclude it then. A rank
 * that was left out and calls this gets -ENOTCONN, but one whose connections to
 * all others were cut is left alone with itself: look at ballot_comm_size().
 *
 * With a quorum, calls may end differently: who is in a vote that others no
 * longer make comes when that has ended, at its deadline, and is waited for.
 *
 * Every caller's word on who is dead is believed: a rank that lies can have
 * others left out.
 *
 * Votes that were under way when a rank died may have been completed by some of
 * the survivors and not by others: ballot_comm_shrunk() says so.
 *
 *   -ENOTCONN  also: others have left this rank out
 */
BALLOT_API int ballot_comm_shrink(struct ballot_comm *comm, const int *excluded,
                                  int excluded_count, unsigned flags,
                                  struct ballot_comm **made,
                                  const struct ballot_config *config);

/*
 * Ends what is under way on `comm` with -ECANCELED, here, and with an error on
 * all other ranks; it can then only be shrunk, or finalized. When it returns no
 * buffer of a call is read or written any more. Does nothing to one that has
 * failed before. Waits for no rank, and may be called from any thread, also
 * while others are within calls on `comm`; unlike ballot_comm_abort() it leaves
 * what shrinking needs.
 */
BALLOT_API int ballot_comm_revoke(struct ballot_comm *comm);

/*
 * What the ranks of a communicator that ballot_comm_shrink() made had completed
 * on the old one: 1 more than the number of its last vote (ballot_comm_round()
 * of the old one), or 0. Where newest and oldest differ, who is behind lacks
 * whole votes, and takes its parameters from one who is not.
 */
struct ballot_shrunk {
    uint32_t ranks_before;
    uint64_t newest, oldest;
};

/* -EINVAL: `comm` was not made so. */
BALLOT_API int ballot_comm_shrunk(const struct ballot_comm *comm,
                                  struct ballot_shrunk *shrunk);

/*
 * 0, or the error that has ended the communicator, which every further call
 * returns; ballot_last_error() says it in words. Never waits for a peer. What
 * has happened is learnt when calls are under way, or else from the library's
 * own thread.
 */
BALLOT_API int ballot_comm_async_error(const struct ballot_comm *comm);

#ifdef __cplusplus
}
#endif
#endif
