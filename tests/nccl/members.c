/* SPDX-License-Identifier: Apache-2.0 */
/* members.c - communicators that are made of others. */
#include "program.h"

#include <stdlib.h>

static void sum_is(ncclComm_t comm, int32_t mine, int32_t all)
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
