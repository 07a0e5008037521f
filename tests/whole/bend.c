/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bend.c - makes of ballot-perf one whose results are wrong: the linker leads
 * the collectives past this file, and the rank BALLOT_TEST_BENDS finds one bit
 * of what it received turned. Small results are left alone, for ballot-perf
 * tells its ranks what it found by calls of the same kind.
 */
#include <ballot.h>
#include <stdlib.h>

enum { COUNT_LEAST = 1000 };

static void bend(struct ballot_comm *comm, void *recv, size_t count)
{
    const char *rank = getenv("BALLOT_TEST_BENDS");

    if (rank != NULL && atoi(rank) == ballot_comm_rank(comm) &&
        count >= COUNT_LEAST)
        *(unsigned char *)recv ^= 1;
}

/* Declares the real call and defines the one that bends its result. */
#define WRAP(name, parameters, arguments, received)                            \
    int __real_##name parameters;                                              \
    int __wrap_##name parameters;                                              \
    int __wrap_##name parameters                                               \
    {                                                                          \
        int error = __real_##name arguments;                                   \
                                                                               \
        if (error == 0 && (received))                                          \
            bend(comm, recv, count);                                           \
        return error;                                                          \
    }

#define SOME  const void *send, void *recv, size_t count, enum ballot_type type
#define OP    enum ballot_op op
#define ROOT  int root
#define WHERE struct ballot_comm *comm, struct ballot_request **request

WRAP(ballot_all_reduce, (SOME, OP, WHERE),
     (send, recv, count, type, op, comm, request), true)
WRAP(ballot_reduce, (SOME, OP, ROOT, WHERE),
     (send, recv, count, type, op, root, comm, request),
     ballot_comm_rank(comm) == root)
WRAP(ballot_broadcast, (SOME, ROOT, WHERE),
     (send, recv, count, type, root, comm, request), true)
WRAP(ballot_all_gather, (SOME, WHERE), (send, recv, count, type, comm, request),
     true)
WRAP(ballot_reduce_scatter, (SOME, OP, WHERE),
     (send, recv, count, type, op, comm, request), true)
WRAP(ballot_all_to_all, (SOME, WHERE), (send, recv, count, type, comm, request),
     true)
WRAP(ballot_gather, (SOME, ROOT, WHERE),
     (send, recv, count, type, root, comm, request),
     ballot_comm_rank(comm) == root)
WRAP(ballot_scatter, (SOME, ROOT, WHERE),
     (send, recv, count, type, root, comm, request), true)

/* What is received in a group is there at its end. */
static struct {
    struct ballot_comm *comm;
    void *recv;
    size_t count;
} awaited;

int __real_ballot_recv(void *recv, size_t count, enum ballot_type type,
                       int peer, WHERE);
int __wrap_ballot_recv(void *recv, size_t count, enum ballot_type type,
                       int peer, WHERE);
int __wrap_ballot_recv(void *recv, size_t count, enum ballot_type type,
                       int peer, WHERE)
{
    awaited.comm = comm;
    awaited.recv = recv;
    awaited.count = count;
    return __real_ballot_recv(recv, count, type, peer, comm, request);
}

int __real_ballot_group_end(void);
int __wrap_ballot_group_end(void);
int __wrap_ballot_group_end(void)
{
    int error = __real_ballot_group_end();

    if (error == 0 && awaited.comm != NULL)
        bend(awaited.comm, awaited.recv, awaited.count);
    return error;
}
