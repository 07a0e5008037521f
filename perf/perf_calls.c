/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_calls.c - the collectives that can be measured: how they are called, on
 * what memory, and what they move.
 */
#include "perf_calls.h"

static const struct {
    const char *name;
    bool reduces;
    bool has_root;
    bool has_blocks; /* of each rank; else vectors */
} facts[PERF_COLLECTIVES] = {
    [PERF_ALL_REDUCE] = {"all_reduce", .reduces = true},
    [PERF_REDUCE] = {"reduce", .reduces = true, .has_root = true},
    [PERF_BROADCAST] = {"broadcast", .has_root = true},
    [PERF_ALL_GATHER] = {"all_gather", .has_blocks = true},
    [PERF_REDUCE_SCATTER] = {"reduce_scatter", .reduces = true,
                             .has_blocks = true},
    [PERF_ALL_TO_ALL] = {"all_to_all", .has_blocks = true},
    [PERF_GATHER] = {"gather", .has_root = true, .has_blocks = true},
    [PERF_SCATTER] = {"scatter", .has_root = true, .has_blocks = true},
    [PERF_SENDRECV] = {.name = "sendrecv"},
    [PERF_BARRIER] = {.name = "barrier"},
};

const char *perf_collective_name(enum perf_collective collective)
{
    return facts[collective].name;
}

bool perf_reduces(enum perf_collective collective)
{
    return facts[collective].reduces;
}

bool perf_has_root(enum perf_collective collective)
{
    return facts[collective].has_root;
}

/* ---- Sizes -------------------------------------------------------------- */

static size_t blocks_of(const struct perf_call *call)
{
    return facts[call->collective].has_blocks ? (size_t)call->ranks : 1;
}

size_t perf_call_count(const struct perf_call *call, size_t bytes)
{
    size_t block = bytes / blocks_of(call);

    /* A block of packed signs begins with a word. */
    if (call->type == BALLOT_SIGNS && facts[call->collective].has_blocks)
        block = block / sizeof(uint64_t) * sizeof(uint64_t);
    return perf_count(call->type, block);
}

size_t perf_call_bytes(const struct perf_call *call)
{
    return blocks_of(call) * perf_bytes(call->type, call->count);
}

size_t perf_call_sent(const struct perf_call *call)
{
    const bool is_root = call->rank == call->root;

    switch (call->collective) {
    case PERF_BROADCAST: return is_root ? call->count : 0;
    case PERF_SCATTER: return is_root ? call->count * (size_t)call->ranks : 0;
    case PERF_REDUCE_SCATTER:
    case PERF_ALL_TO_ALL: return call->count * (size_t)call->ranks;
    default: return call->count;
    }
}

size_t perf_call_received(const struct perf_call *call)
{
    const bool is_root = call->rank == call->root;

    switch (call->collective) {
    case PERF_REDUCE: return is_root ? call->count : 0;
    case PERF_GATHER: return is_root ? call->count * (size_t)call->ranks : 0;
    case PERF_ALL_GATHER:
    case PERF_ALL_TO_ALL: return call->count * (size_t)call->ranks;
    default: return call->count;
    }
}

size_t perf_call_wire(const struct perf_call *call)
{
    if (perf_reduces(call->collective) && call->op == BALLOT_MAJORITY)
        return (call->count + 7) / 8;
    return perf_call_bytes(call);
}

double perf_call_bus_factor(const struct perf_call *call)
{
    const double others = (double)(call->ranks - 1) / call->ranks;

    if (call->collective == PERF_ALL_REDUCE)
        return 2 * others;
    return facts[call->collective].has_blocks ? others : 1;
}

/* ---- Memory ------------------------------------------------------------- */

bool perf_call_place(struct perf_call *call, void *send, void *recv, int half)
{
    const size_t own = (size_t)call->rank * perf_bytes(call->type, call->count);
    const bool is_root = call->rank == call->root;

    call->send = send;
    call->recv = recv;
    if (half == PERF_OUT_OF_PLACE)
        return true;
    call->send = recv;
    switch (call->collective) {
    case PERF_SENDRECV: return false;
    case PERF_ALL_GATHER: call->send = (char *)recv + own; break;
    case PERF_REDUCE_SCATTER: call->recv = (char *)recv + own; break;
    case PERF_GATHER:
        if (is_root)
            call->send = (char *)recv + own;
        break;
    case PERF_SCATTER:
        if (is_root)
            call->recv = (char *)recv + own;
        break;
    default: break;
    }
    return true;
}

struct perf_source perf_call_source(const struct perf_call *call)
{
    struct perf_source source = {.block = call->count};
    const size_t own = (size_t)call->rank * call->count;

    switch (call->collective) {
    case PERF_ALL_REDUCE:
    case PERF_REDUCE: source.folded = true; break;
    case PERF_REDUCE_SCATTER:
        source.folded = true;
        source.first = own;
        break;
    case PERF_SCATTER:
        source.rank = call->root;
        source.first = own;
        break;
    case PERF_ALL_TO_ALL: source.first = own; break;
    case PERF_SENDRECV:
        source.rank = (call->rank + call->ranks - 1) % call->ranks;
        break;
    case PERF_BROADCAST: source.rank = call->root; break;
    default: break;
    }
    return source;
}

/* ---- Calls -------------------------------------------------------------- */

/* Both belong into a group, or each would wait for the other. */
static int send_and_receive(const struct perf_call *call,
                            struct ballot_comm *comm)
{
    const int next = (call->rank + 1) % call->ranks;
    const int before = (call->rank + call->ranks - 1) % call->ranks;
    int error = ballot_group_start(), end;

    if (error != 0)
        return error;
    error = ballot_send(call->send, call->count, call->type, next, comm, NULL);
    if (error == 0)
        error = ballot_recv(call->recv, call->count, call->type, before, comm,
                            NULL);
    end = ballot_group_end();
    return error != 0 ? error : end;
}

static int make_once(const struct perf_call *c, struct ballot_comm *comm)
{
    switch (c->collective) {
    case PERF_ALL_REDUCE:
        return ballot_all_reduce(c->send, c->recv, c->count, c->type, c->made,
                                 comm, NULL);
    case PERF_REDUCE:
        return ballot_reduce(c->send, c->recv, c->count, c->type, c->made,
                             c->root, comm, NULL);
    case PERF_BROADCAST:
        return ballot_broadcast(c->send, c->recv, c->count, c->type, c->root,
                                comm, NULL);
    case PERF_ALL_GATHER:
        return ballot_all_gather(c->send, c->recv, c->count, c->type, comm,
                                 NULL);
    case PERF_REDUCE_SCATTER:
        return ballot_reduce_scatter(c->send, c->recv, c->count, c->type,
                                     c->made, comm, NULL);
    case PERF_ALL_TO_ALL:
        return ballot_all_to_all(c->send, c->recv, c->count, c->type, comm,
                                 NULL);
    case PERF_GATHER:
        return ballot_gather(c->send, c->recv, c->count, c->type, c->root, comm,
                             NULL);
    case PERF_SCATTER:
        return ballot_scatter(c->send, c->recv, c->count, c->type, c->root,
                              comm, NULL);
    case PERF_SENDRECV: return send_and_receive(c, comm);
    default: return ballot_barrier(comm, NULL);
    }
}

int perf_call_make(const struct perf_call *call, int times,
                   struct ballot_comm *comm)
{
    int error, end;

    if (times == 1)
        return make_once(call, comm);
    error = ballot_group_start();
    if (error != 0)
        return error;
    for (int i = 0; i < times && error == 0; i++)
        error = make_once(call, comm);
    end = ballot_group_end();
    return error != 0 ? error : end;
}
