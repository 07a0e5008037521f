/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - a program for NCCL, of many ranks: each a process or a thread.
 *
 * It includes nccl.h and nothing of ballot, as a user's program does.
 */
#ifndef BALLOT_TESTS_NCCL_PROGRAM_H
#define BALLOT_TESTS_NCCL_PROGRAM_H

#include <nccl.h>
#include <nccl_ballot.h>
#include <stdbool.h>
#include <stdint.h>

enum { RANKS_MAX = 8, IDS_MAX = 64 };

/* What ranks tell each other beside NCCL, in memory that they share. */
struct board {
    ncclUniqueId ids[IDS_MAX];
    _Atomic uint32_t made[IDS_MAX];
    _Atomic uint32_t arrived;
};

struct rank {
    struct board *board;
    int ranks, rank;
    uint32_t ids; /* how many have been used */
    bool process; /* and no thread */
    ncclComm_t comm;
};

/* Ends the program with a line that says where, unless it holds. */
#define CHECK(holds) check(holds, #holds, __FILE__, __LINE__)
void check(bool holds, const char *what, const char *file, int line);
/* Unless the call returned this; prints the last error. */
#define WANT(result, call) want(result, call, #call, __FILE__, __LINE__)
void want(ncclResult_t result, ncclResult_t got, const char *call,
          const char *file, int line);
#define OK(call) WANT(ncclSuccess, call)

/* The next id, which rank 0 makes and the others find on the board. */
ncclUniqueId next_id(struct rank *r);
/* A communicator of all ranks. */
ncclComm_t join(struct rank *r, ncclConfig_t *config);
/* Until it is in progress no more; what it is then. */
ncclResult_t settle(ncclComm_t comm);
/* Waits for all ranks, without NCCL. */
void meet(struct rank *r);

/* The cases, each for all ranks at once. */
void case_moves(struct rank *r);
void case_folds(struct rank *r);
void case_made_ops(struct rank *r);
void case_groups(struct rank *r);
void case_large_groups(struct rank *r);
void case_refused(struct rank *r);
void case_non_blocking(struct rank *r);
void case_mismatch(struct rank *r);
void case_abort(struct rank *r);
void case_revoke(struct rank *r);
void case_grow(struct rank *r);
void case_split(struct rank *r);
void case_shrink(struct rank *r);

/* One thread alone. */
void alone_init_all(void);
void alone_parameters(void);
void alone_memory(void);
void alone_words(void);
/* With BALLOT_NCCL_MAJORITY=64. */
void alone_majority(void);

#endif
