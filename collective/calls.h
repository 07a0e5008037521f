/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - what a call may be, as header lines say it. */
#ifndef BALLOT_COLLECTIVE_CALLS_H
#define BALLOT_COLLECTIVE_CALLS_H

#include "../include/ballot.h"

/* enum ballot_op, then what has no op of its own. */
enum call_op {
    CALL_MAJORITY = BALLOT_MAJORITY,
    CALL_SUM = BALLOT_SUM,
    CALL_AVG = BALLOT_AVG,
    CALL_BROADCAST,
    CALL_BARRIER,
    CALL_ASPIS_VOTE,    /* detail: the step; rows: the load */
    CALL_ASPIS_REPORT,  /* ROWS_NONE; count: 8 evidence_bytes() */
    CALL_ASPIS_RELEASE, /* ROWS_NONE; detail: the worker */
};

#endif
