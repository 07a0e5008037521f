/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_calls.h - the collectives that can be measured: how they are called, on
 * what memory, and what they move.
 */
#ifndef BALLOT_PERF_CALLS_H
#define BALLOT_PERF_CALLS_H

#include "perf_data.h"

enum perf_collective {
    PERF_ALL_REDUCE,
    PERF_REDUCE,
    PERF_BROADCAST,
    PERF_ALL_GATHER,
    PERF_REDUCE_SCATTER,
    PERF_ALL_TO_ALL,
    PERF_GATHER,
    PERF_SCATTER,
    PERF_SENDRECV, /* to the next rank, from the one before */
    PERF_BARRIER,
    PERF_COLLECTIVES,
};

/* "all_reduce", ... */
const char *perf_collective_name(enum perf_collective collective);
bool perf_reduces(enum perf_collective collective);
bool perf_has_root(enum perf_collective collective);

enum { PERF_OUT_OF_PLACE, PERF_IN_PLACE, PERF_HALVES };

struct perf_call {
    enum perf_collective collective;
    enum ballot_type type;
    int op;              /* of perf_op_names; BALLOT_MAJORITY without one */
    enum ballot_op made; /* the same as the library knows it */
    int root;            /* 0 where there is none */
    int rank;
    int ranks;
    size_t count; /* as the library is given it */
    const void *send;
    void *recv;
};

/* So many elements does a rank give where vectors, or the blocks of all ranks
 * together, have `bytes`; 0 when not even one. */
size_t perf_call_count(const struct perf_call *call, size_t bytes);
/* The bytes of the vector, or of all blocks together, as nccl-tests counts. */
size_t perf_call_bytes(const struct perf_call *call);

/*
 * Points the call at memory: in place, both of its addresses lie in `recv`, as
 * ballot.h says for the collective. Each has room for perf_call_bytes(), in
 * whole words. False where the collective cannot be in place.
 */
bool perf_call_place(struct perf_call *call, void *send, void *recv, int half);

/* Elements that this rank gives at `send` and gets at `recv`. */
size_t perf_call_sent(const struct perf_call *call);
size_t perf_call_received(const struct perf_call *call);
/* What those it gets are. */
struct perf_source perf_call_source(const struct perf_call *call);

/* Makes the call `times` times as one group; 1: without one. Blocks. */
int perf_call_make(const struct perf_call *call, int times,
                   struct ballot_comm *comm);

/* Bytes on the wire, of a majority packed. */
size_t perf_call_wire(const struct perf_call *call);
/* What a link carries each way to what algbw counts, by nccl-tests. */
double perf_call_bus_factor(const struct perf_call *call);

#endif
