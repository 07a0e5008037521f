/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot_bindings.h - for libraries that offer ballot by other names, as
 * libballot_nccl.so offers NCCL's. ballot.h does not include it.
 */
#ifndef BALLOT_BINDINGS_H
#define BALLOT_BINDINGS_H

#include "ballot.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What stands in for a variable of the README's table ("BALLOT_IB_TC") where
 * the environment does not set it, not even to nothing. It counts for all
 * communicators of the process that are made from now on, and BALLOT_DEBUG and
 * BALLOT_DEBUG_FILE until ballot has had something to say. NULL: nothing does
 * any more. Who this process is, and where it meets others (BALLOT_RANK,
 * BALLOT_RANKS, BALLOT_ROOT, launchers' variables), is asked of the environment
 * alone. Any thread may call it; texts
 * are copied.
 *   -EINVAL  the name is NULL or does not begin with BALLOT_
 *   -ENOMEM
 */
BALLOT_API int ballot_set_variable(const char *name, const char *value);

/* What the environment says of it, or stands in; else NULL. */
BALLOT_API const char *ballot_variable(const char *name);

/*
 * ballot_comm_init_rank() that can be given up: it returns -ECANCELED soon
 * after the descriptor `bell` (an eventfd, say; -1: none) can be read. It is
 * not read, and stays the caller's.
 */
BALLOT_API int ballot_comm_init_rank_until(struct ballot_comm **comm, int ranks,
                                           const struct ballot_unique_id *id,
                                           int rank,
                                           const struct ballot_config *config,
                                           int bell);

enum ballot_note_level { BALLOT_NOTE_WARN, BALLOT_NOTE_INFO };

/* A line among those that BALLOT_DEBUG asks for, if it asks for this level. */
BALLOT_API void ballot_note(enum ballot_note_level level, const char *text);

#ifdef __cplusplus
}
#endif
#endif
