/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_launch.h - joining without a unique id: what a launcher says, or an
 * allgather of the caller's. Included by ballot.h.
 *
 * Both are collective calls as ballot_comm_init_rank() is, with its errors and
 * those named here.
 */
#ifndef BALLOT_JOB_LAUNCH_H
#define BALLOT_JOB_LAUNCH_H

#include "ballot.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * As ballot_comm_init_rank(), for launched processes. BALLOT_RANK and
 * BALLOT_RANKS say who this one is and BALLOT_ROOT=host:port where rank 0
 * listens; or a launcher does: torchrun, Open MPI, MPICH and others with PMI,
 * Slurm's srun, PMIx (the README shows how to use each). BALLOT_KEY_FILE names
 * a file with the job's key; without one, the key is carried by the launcher's
 * PMIx or PMI, or else auth=none with one warning. Through PMIx or PMI all
 * ranks meet on the first call of a process, whatever communicator it makes.
 *   -ENOENT  no launcher is visible, or where to meet is not known; the error
 *            says what to set
 *   -EINVAL  also where a launcher's variables are incomplete or contradict
 *            each other, or say that this is the only rank while another
 *            launcher says that there are more
 *   -EPROTO  also where the launcher's PMIx or PMI refuses
 */
BALLOT_API int ballot_comm_init_env(struct ballot_comm **comm,
                                    const struct ballot_config *config);

/*
 * The id of a place that all ranks know, "host:port": every rank can make it
 * for itself, and none has to be carried. Rank 0 listens there when it calls
 * ballot_comm_init_rank(), for that communicator alone: the next one that is to
 * meet there begins when rank 0 has returned. Who may join is whoever has the
 * key of BALLOT_KEY_FILE; without one everybody who reaches the port, with one
 * warning (BALLOT_AUTH).
 *   -EINVAL  an argument is NULL, or it is no place; ballot_last_error(NULL)
 */
BALLOT_API int ballot_unique_id_at(struct ballot_unique_id *id,
                                   const char *place);

/*
 * As ballot_comm_init_env(), for hosts that have a store or collectives of
 * their own. The callback gathers send[bytes] of all ranks into recv[ranks *
 * bytes], in the order of ranks, and returns 0 or a negative errno; it is
 * called once, on every rank that passes a valid rank and count, in the thread
 * that calls this, and gets `context`. Ranks that cannot go on take part all
 * the same, so that the others fail with their reason instead of waiting. What
 * is gathered holds the job's secret: whoever can read it may join. The context
 * is not kept. -EINVAL  also without a callback -EPROTO  also where another
 * rank could not go on; the error says which one and why what the callback
 * returns, if that is no success
 */
BALLOT_API int ballot_comm_init_allgather(
    struct ballot_comm **comm, int ranks, int rank,
    int (*allgather)(const void *send, void *recv, size_t bytes, void *context),
    void *context, const struct ballot_config *config);

#ifdef __cplusplus
}
#endif
#endif
