/* SPDX-License-Identifier: Apache-2.0 */
/* flow_data.c - what the ranks of a net give, and what must come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "flow_net.h"

static size_t send_blocks(uint8_t op)
{
    return op == CALL_REDUCE_SCATTER || op == CALL_SCATTER ||
                   op == CALL_ALL_TO_ALL
               ? net.ranks
               : 1;
}

static size_t recv_blocks(uint8_t op)
{
    return op == CALL_ALL_GATHER || op == CALL_GATHER || op == CALL_ALL_TO_ALL
               ? net.ranks
               : 1;
}

float data_given(uint32_t rank, size_t i)
{
    return (float)((rank * 7919 + i * 104729) % 10007) * 0.37f - 1000.0f;
}

struct data data_new(const struct shape_of_call *shape, uint32_t rank)
{
    size_t out = send_blocks(shape->op) * shape->count;
    size_t in = recv_blocks(shape->op) * shape->count;
    size_t own = rank * shape->count;
    struct data d;

    /* One more: the buffer of a count of 0 is a buffer too. */
    if (!shape->in_place) {
        d.send = calloc(out + 1, sizeof(float));
        d.recv = calloc(in + 1, sizeof(float));
    } else if (out > in) {
        d.send = calloc(out + 1, sizeof(float));
        d.recv = d.send + own;
    } else {
        d.recv = calloc(in + 1, sizeof(float));
        d.send = d.recv + (in > out ? own : 0);
    }
    for (size_t i = 0; i < out; i++)
        d.send[i] = data_given(rank, i);
    return d;
}

void data_free(const struct shape_of_call *shape, struct data *data)
{
    bool sends_more = send_blocks(shape->op) > recv_blocks(shape->op);

    if (!shape->in_place || sends_more)
        free(data->send);
    if (!shape->in_place || !sends_more)
        free(data->recv);
}

static float folded(uint32_t first, size_t i)
{
    float sum = data_given(first % net.ranks, i);

    for (uint32_t r = 1; r < net.ranks; r++)
        sum += data_given((first + r) % net.ranks, i);
    return sum;
}

/* Element i of what a rank receives, by the order that flows promise. */
static float expected(const struct flow_call *call, uint32_t rank, size_t i)
{
    size_t count = call->count, own = rank * count;
    size_t share = (count + net.ranks - 1) / net.ranks;

    switch (call->call.op) {
    case CALL_ALL_REDUCE: return folded((uint32_t)(i / share), i);
    case CALL_REDUCE: return folded(call->root + 1, i);
    case CALL_REDUCE_SCATTER: return folded(rank + 1, own + i);
    case CALL_BROADCAST: return data_given(call->root, i);
    case CALL_SCATTER: return data_given(call->root, own + i);
    case CALL_ALL_TO_ALL:
        return data_given((uint32_t)(i / count), own + i % count);
    default: return data_given((uint32_t)(i / count), i % count);
    }
}

static bool receives(const struct flow_call *call, uint32_t rank)
{
    return rank == call->root ||
           (call->call.op != CALL_REDUCE && call->call.op != CALL_GATHER);
}

void data_check(const struct flow_call *call, uint32_t rank)
{
    const float *recv = call->recv;
    size_t elements = recv_blocks(call->call.op) * call->count;

    if (call->call.op == CALL_BARRIER || !receives(call, rank))
        return;
    for (size_t i = 0; i < elements; i++)
        if (recv[i] != expected(call, rank, i))
            fail_msg("op %d algorithm %d ranks %u rank %u count %zu element "
                     "%zu: %.9g, expected %.9g",
                     call->call.op, (int)call->algorithm, net.ranks, rank,
                     (size_t)call->count, i, (double)recv[i],
                     (double)expected(call, rank, i));
}

struct flow_call data_call(const struct shape_of_call *shape,
                           const struct data *data)
{
    bool folds = shape->op <= CALL_REDUCE_SCATTER;

    return (struct flow_call){
        .call = {.count = shape->count,
                 .detail = call_detail(shape->root, BALLOT_SUM),
                 .op = shape->op},
        .send = data->send,
        .recv = data->recv,
        .count = shape->count,
        .unit = sizeof(float),
        .root = shape->root,
        .reduction =
            folds ? &reductions_portable[REDUCE_FLOAT32][REDUCE_SUM] : NULL,
        .algorithm = shape->algorithm,
    };
}
