/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revoke.c - ncclCommRevoke(): what is under way ends, nothing else begins, and
 * the communicator can be split, shrunk and destroyed.
 */
#include "program.h"

#include <stdlib.h>

/* By what is made of it. */
static void still_serves(struct rank *r)
{
    const int color = r->rank % 2;
    const bool out = r->rank == 0;
    ncclComm_t made;
    int rank = -1;

    OK(ncclCommSplit(r->comm, 0, -r->rank, &made, NULL));
    OK(ncclCommUserRank(made, &rank));
    CHECK(rank == r->ranks - 1 - r->rank);
    sum_is(made, 1, r->ranks);
    OK(ncclCommDestroy(made));
    OK(ncclCommShrink(r->comm, NULL, 0, &made, NULL, NCCL_SHRINK_DEFAULT));
    OK(ncclCommUserRank(made, &rank));
    CHECK(rank == r->rank);
    sum_is(made, r->rank, r->ranks * (r->ranks - 1) / 2);
    OK(ncclCommDestroy(made));
    /* Who takes part and gets nothing. */
    OK(ncclCommSplit(r->comm, out ? NCCL_SPLIT_NOCOLOR : color, 0, &made,
                     NULL));
    CHECK((made == NULL) == out);
    if (made != NULL)
        sum_is(made, 1, (r->ranks + 1 - color) / 2 - (color == 0 ? 1 : 0));
    OK(ncclCommDestroy(made));
}

static void is_revoked(struct rank *r)
{
    float x = 3;

    WANT(ncclSuccess, settle(r->comm));
    WANT(ncclInvalidUsage,
         ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, r->comm, NULL));
    says(r->comm, "revoked");
    CHECK(x == 3);
    WANT(ncclInvalidUsage, ncclCommFinalize(r->comm));
    WANT(ncclInvalidArgument, ncclCommRevoke(r->comm, NCCL_REVOKE_DEFAULT));
}

/* The last rank waits in a call, and the others are at rest. */
void case_revoke(struct rank *r)
{
    const bool waits = r->rank == r->ranks - 1;
    struct waiter w;

    OK(ncclCommRevoke(NULL, NCCL_REVOKE_DEFAULT));
    WANT(ncclInvalidArgument, ncclCommRevoke(r->comm, 1));
    if (waits)
        begin_waiting(&w, r->comm);
    meet(r);
    OK(ncclCommRevoke(r->comm, NCCL_REVOKE_DEFAULT));
    if (waits) {
        pthread_join(w.thread, NULL);
        CHECK(w.result != ncclSuccess);
    }
    is_revoked(r);
    still_serves(r);
}

/* A large sum goes on, and stands still, since rank 0 does not call it. */
void case_revoke_behind(struct rank *r)
{
    enum { COUNT = 1 << 20 };
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    float *x = calloc(COUNT, sizeof(*x));
    ncclComm_t made, blocking = r->comm;
    ncclResult_t state;

    CHECK(x != NULL);
    config.blocking = 0;
    r->comm = join(r, &config);
    if (r->rank != 0) {
        WANT(ncclInProgress,
             ncclAllReduce(x, x, COUNT, ncclFloat, ncclSum, r->comm, NULL));
        OK(ncclCommGetAsyncError(r->comm, &state));
        WANT(ncclInProgress, state);
    }
    meet(r);
    OK(ncclCommRevoke(r->comm, NCCL_REVOKE_DEFAULT));
    free(x); /* nobody reads or writes it any more */
    is_revoked(r);
    config.blocking = 1;
    OK(ncclCommShrink(r->comm, NULL, 0, &made, &config, NCCL_SHRINK_DEFAULT));
    sum_is(made, 1, r->ranks);
    OK(ncclCommDestroy(made));
    /* Behind its caller, as its parent is. */
    WANT(ncclInProgress, ncclCommSplit(r->comm, 0, 0, &made, NULL));
    WANT(ncclSuccess, settle(made));
    WANT(ncclSuccess, settle(r->comm));
    OK(ncclCommDestroy(made));
    OK(ncclCommDestroy(r->comm));
    r->comm = blocking;
}
