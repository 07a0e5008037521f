/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - which requests wait, are under way, are done.
 *
 * Those under way are in a list of their own, so that the engine need not look
 * at requests that a caller is just filling in.
 */
#include <stdlib.h>
#include <string.h>

#include "comm.h"

struct ballot_request *queue_next(struct ballot_comm *comm)
{
    return comm->line[comm->begun % REQUESTS_MAX];
}

void queue_begin(struct ballot_request *request, uint64_t now_ns)
{
    struct ballot_comm *comm = request->comm;

    request->begun_ns = now_ns;
    comm->begun++;
    atomic_fetch_sub(&comm->queued, 1);
    comm->active[comm->active_count++] = request;
}

/* Whoever wanted to know of a message of an exchange. */
static void finish_parts(struct ballot_request *exchange, int result)
{
    struct ballot_comm *comm = exchange->comm;

    free(exchange->messages);
    exchange->messages = NULL;
    pthread_mutex_lock(&comm->queue_lock);
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct ballot_request *r = &comm->requests[i];

        if (r->whole != exchange)
            continue;
        r->whole = NULL;
        r->result = result;
        atomic_store(&r->done, true);
    }
    pthread_mutex_unlock(&comm->queue_lock);
}

void queue_finish(struct ballot_request *request, int result)
{
    struct ballot_comm *comm = request->comm;
    uint32_t at = 0;

    while (comm->active[at] != request)
        at++;
    comm->active_count--;
    memmove(&comm->active[at], &comm->active[at + 1],
            (comm->active_count - at) * sizeof(comm->active[0]));
    request->result = result;
    if (request->messages != NULL)
        finish_parts(request, result);
    if (request->unowned)
        request_give(request);
    else
        atomic_store(&request->done, true);
    engine_announce();
}

struct ballot_request *queue_oldest(const struct ballot_comm *comm)
{
    return comm->active_count > 0 ? comm->active[0] : NULL;
}

struct ballot_request *queue_oldest_flow(const struct ballot_comm *comm)
{
    for (uint32_t i = 0; i < comm->active_count; i++)
        if (comm->active[i]->kind == REQUEST_FLOW && !comm->active[i]->flowed)
            return comm->active[i];
    return NULL;
}

bool queue_holds(struct ballot_request *request)
{
    struct ballot_comm *comm = request->comm;
    bool holds;

    /* Never taken: it does not even know its communicator. */
    if (comm == NULL)
        return false;
    pthread_mutex_lock(&comm->queue_lock);
    holds = request->taken;
    pthread_mutex_unlock(&comm->queue_lock);
    return holds;
}
