/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - what a call may be, as header lines say it. */
#ifndef BALLOT_COLLECTIVE_CALLS_H
#define BALLOT_COLLECTIVE_CALLS_H

#include "../include/ballot.h"

/* struct call's op. */
enum call_op {
    CALL_MAJORITY,   /* of all; CALL_REDUCE and CALL_REDUCE_SCATTER vote, too */
    CALL_ASPIS_VOTE, /* detail: the step; rows: the load */
    CALL_ASPIS_REPORT,  /* ROWS_NONE; count: 8 evidence_bytes() */
    CALL_ASPIS_RELEASE, /* ROWS_NONE; detail: the worker */
    /* No votes; detail is call_detail(). */
    CALL_ALL_REDUCE,
    CALL_REDUCE,
    CALL_REDUCE_SCATTER,
    CALL_BROADCAST,
    CALL_ALL_GATHER,
    CALL_GATHER,
    CALL_SCATTER,
    CALL_ALL_TO_ALL,
    CALL_BARRIER,
    CALL_SPLIT, /* gathered by all, as CALL_ALL_GATHER is */
    CALL_DUPLICATE,
    CALL_SEND, /* numbered by pair; in words, what waits for one is CALL_RECV */
    CALL_RECV,
    CALL_OPS,
};

enum { DETAIL_RANKS = 1 << 16 };

/* What else ranks must agree on: the root, and the op of a reduction; in a vote
 * with DETAIL_OTHER. */
static inline uint32_t call_detail(uint32_t root, uint32_t op)
{
    return root + DETAIL_RANKS * op;
}

#endif
