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
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { RANKS_MAX = 8, IDS_MAX = 64 };

/* What ranks tell each other beside NCCL, in memory that they share. */
struct board {
    ncclUniqueId ids[IDS_MAX];
    _Atomic uint32_t made[IDS_MAX];
    _Atomic uint32_t arrived;
    _Atomic uint32_t shrink_us; /* the longest */
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
/* Whether a sum over the ranks of `comm` is `all`, of `mine` here. */
void sum_is(ncclComm_t comm, int32_t mine, int32_t all);
/* Whether the communicator's last error has these words. */
void says(ncclComm_t comm, const char *words);

/* A thread that waits for a message of rank 0, which never comes. */
struct waiter {
    pthread_t thread;
    ncclComm_t comm;
    ncclResult_t result;
};
void begin_waiting(struct waiter *w, ncclComm_t comm);

/* The cases, each for all ranks at once. */
void case_moves(struct rank *r);
void case_folds(struct rank *r);
void case_made_ops(struct rank *r);
void case_groups(struct rank *r);
void case_large_groups(struct rank *r);
void case_many_comms(struct rank *r);
void case_behind_fails(struct rank *r);
void case_refused(struct rank *r);
void case_non_blocking(struct rank *r);
void case_mismatch(struct rank *r);
void case_abort(struct rank *r);
void case_revoke(struct rank *r);
void case_revoke_behind(struct rank *r);
void case_grow(struct rank *r);
void case_split(struct rank *r);
void case_shrink(struct rank *r);

/* All ranks but one, which is killed, in processes; each by itself. */
struct death {
    const char *name;
    void (*run)(struct rank *r, int victim);
};
extern const struct death deaths[];
extern const int deaths_count;

/* Processes that carry no id: with NCCL_COMM_ID. */
void own_ids(struct rank *r);
/* Prints where ids of this process are listened for, and what these keys of
 * ncclParam are. */
int environment_show(char **keys);

/* One thread alone. */
void alone_init_all(void);
void alone_parameters(void);
void alone_memory(void);
void alone_words(void);
void alone_abort_init(void);
/* With BALLOT_NCCL_MAJORITY=64. */
void alone_majority(void);

#endif
