/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_ballot.h - ballot's own ops, as ops of NCCL that are made.
 *
 * A program that is not to be changed gets the vote by BALLOT_NCCL_MAJORITY
 * (nccl.h).
 */
#ifndef NCCL_BALLOT_H
#define NCCL_BALLOT_H

#include "nccl.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    /* The sign that most ranks had, as +1 or -1 of a float type. Integers are
     * packed signs, a bit each, 1 means minus: of ncclUint64 or ncclInt64, or
     * multiples of 8 of ncclUint8 or ncclInt8. */
    ncclBallotMajority,
    ncclBallotBitAnd, /* of integers, as the next two */
    ncclBallotBitOr,
    ncclBallotBitXor,
    ncclBallotOps
} ncclBallotOp_t;

/* *op is one of `comm` until ncclRedOpDestroy(); local. */
ncclResult_t ncclRedOpCreateBallot(ncclRedOp_t *op, ncclBallotOp_t which,
                                   ncclComm_t comm);
ncclResult_t pncclRedOpCreateBallot(ncclRedOp_t *op, ncclBallotOp_t which,
                                    ncclComm_t comm);

#ifdef __cplusplus
}
#endif
#endif
