/* SPDX-License-Identifier: Apache-2.0 */
/* members.c - communicators that are made of others. */
#include "program.h"

#include <stdlib.h>

void sum_is(ncclComm_t comm, int32_t mine, int32_t all)
{
    OK(ncclAllReduce(&mine, &mine, 1, ncclInt32, ncclSum, comm, NULL));
    CHECK(mine == all);
}

/* All ranks but the last, and then the last one, too. */
void case_grow(struct rank *r)
{
    const int old = r->ranks - 1;
    ncclUniqueId id = next_id(r), *mine = NULL;
    ncclComm_t parent = NULL, grown = NULL;
    int rank = -1;

    if (r->rank < old)
        OK(ncclCommInitRank(&parent, old, id, r->rank));
    if (r->rank == old - 1) {
        OK(ncclCommGetUniqueId(parent, &id));
        r->board->ids[0] = id;
        mine = &id;
    }
    meet(r);
    if (r->rank == old) {
        id = r->board->ids[0];
        mine = &id;
    }
    WANT(ncclInvalidArgument,
         ncclCommGrow(parent, r->ranks, mine, r->rank == old ? -1 : r->rank,
                      &grown, NULL));
    OK(ncclCommGrow(parent, r->ranks, mine, r->rank == old ? old : -1, &grown,
                    NULL));
    OK(ncclCommUserRank(grown, &rank));
    CHECK(rank == r->rank);
    sum_is(grown, r->rank, r->ranks * (r->ranks - 1) / 2);
    if (parent != NULL)
        OK(ncclCommDestroy(parent));
    OK(ncclCommDestroy(grown));
}

/* Colors are odd and even; ranks are turned round by the key. */
void case_split(struct rank *r)
{
    const int color = r->rank % 2;
    const int members = (r->ranks + 1 - color) / 2;
    const bool out = r->rank == r->ranks - 1;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclComm_t half, most, first, second;
    int ranks = 0, rank = -1;
    int32_t sum = 0;

    for (int p = color; p < r->ranks; p += 2)
        sum += p;
    OK(ncclCommSplit(r->comm, color, -r->rank, &half, NULL));
    OK(ncclCommCount(half, &ranks));
    OK(ncclCommUserRank(half, &rank));
    CHECK(ranks == members && rank == members - 1 - r->rank / 2);
    sum_is(half, r->rank, sum);
    OK(ncclCommSplit(r->comm, out ? NCCL_SPLIT_NOCOLOR : 0, 0, &most, NULL));
    CHECK((most == NULL) == out);
    if (most != NULL)
        sum_is(most, 1, r->ranks - 1);
    OK(ncclCommDestroy(most));
    /* Two of one in a group, and then one behind the caller. */
    OK(ncclGroupStart());
    OK(ncclCommSplit(r->comm, 0, 0, &first, NULL));
    OK(ncclCommSplit(r->comm, color, 0, &second, NULL));
    OK(ncclGroupEnd());
    sum_is(first, 1, r->ranks);
    sum_is(second, 1, members);
    OK(ncclCommDestroy(first));
    OK(ncclCommDestroy(second));
    config.blocking = 0;
    WANT(ncclInProgress, ncclCommSplit(r->comm, 0, 0, &first, &config));
    WANT(ncclSuccess, settle(first));
    WANT(ncclSuccess, settle(r->comm));
    OK(ncclCommUserRank(first, &rank));
    CHECK(rank == r->rank);
    OK(ncclCommDestroy(first));
    sum_is(half, 1, members);
    OK(ncclCommDestroy(half));
    sum_is(r->comm, 1, r->ranks);
}

/* Without the last rank: it is left out, and then it has gone. */
void case_shrink(struct rank *r)
{
    int last = r->ranks - 1;
    ncclComm_t fewer = NULL;
    float x = 1.0f;
    int ranks = 0;

    if (r->rank == last) {
        meet(r);
        OK(ncclCommAbort(r->comm));
        r->comm = NULL;
        return;
    }
    OK(ncclCommShrink(r->comm, &last, 1, &fewer, NULL, NCCL_SHRINK_DEFAULT));
    OK(ncclCommCount(fewer, &ranks));
    CHECK(ranks == last);
    sum_is(fewer, 1, last);
    OK(ncclCommDestroy(fewer));
    meet(r);
    CHECK(ncclAllReduce(&x, &x, 1, ncclFloat, ncclSum, r->comm, NULL) !=
          ncclSuccess);
    OK(ncclCommShrink(r->comm, NULL, 0, &fewer, NULL, NCCL_SHRINK_ABORT));
    sum_is(fewer, 1, last);
    OK(ncclCommDestroy(fewer));
    OK(ncclCommAbort(r->comm));
    r->comm = NULL;
}
