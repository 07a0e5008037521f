/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.c - sends and receives, and calls that begin together.
 *
 * A group is its thread's: a list of requests that are queued when it ends, the
 * exchanges last. An exchange is one request for all messages of a group on a
 * communicator; whoever wants a request for one message of it gets one that
 * ends with the whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "comm.h"
#include "values.h"

struct member {
    struct ballot_request *request;
    bool awaited; /* nobody else waits for it */
};

static _Thread_local struct {
    uint32_t depth;
    struct member *members;
    size_t count, room;
} group;

bool group_open(void)
{
    return group.depth > 0;
}

static int add(struct ballot_request *request, bool awaited)
{
    if (group.count == group.room) {
        size_t room = group.room == 0 ? 16 : 2 * group.room;
        struct member *grown =
            realloc(group.members, room * sizeof(group.members[0]));

        if (grown == NULL)
            return -ENOMEM;
        group.members = grown;
        group.room = room;
    }
    request->grouped = true;
    group.members[group.count++] = (struct member){request, awaited};
    return 0;
}

bool group_takes(struct ballot_request *request, bool awaited)
{
    return group.depth > 0 && add(request, awaited) == 0;
}

static bool is_exchange(const struct ballot_request *request)
{
    return request->kind == REQUEST_FLOW && request->flow.call.op == CALL_SEND;
}

static struct ballot_request *find_exchange(const struct ballot_comm *comm)
{
    for (size_t i = 0; i < group.count; i++) {
        struct ballot_request *r = group.members[i].request;

        if (r->comm == comm && r->whole == NULL && is_exchange(r))
            return r;
    }
    return NULL;
}

/* ---- Messages ---- */

static int add_message(struct ballot_request *exchange,
                       const struct flow_message *message)
{
    struct flow_call *flow = &exchange->flow;

    if (flow->messages_count == exchange->messages_room) {
        uint32_t room =
            exchange->messages_room == 0 ? 1 : 2 * exchange->messages_room;
        struct flow_message *grown =
            realloc(exchange->messages, room * sizeof(*grown));

        if (grown == NULL)
            return -ENOMEM;
        exchange->messages = grown;
        exchange->messages_room = room;
        flow->messages = grown;
    }
    exchange->messages[flow->messages_count++] = *message;
    return 0;
}

static struct ballot_request *new_exchange(struct ballot_comm *comm)
{
    struct ballot_request *r = request_take(comm);

    if (r == NULL)
        return NULL;
    r->kind = REQUEST_FLOW;
    r->name = "send and recv";
    r->flow.call.op = CALL_SEND;
    return r;
}

/* A request that ends when the exchange does. */
static int add_part(struct ballot_request *exchange,
                    struct ballot_request **out)
{
    struct ballot_request *r = request_take(exchange->comm);

    if (r == NULL)
        return -EAGAIN;
    pthread_mutex_lock(&r->comm->queue_lock);
    r->whole = exchange;
    r->grouped = true;
    pthread_mutex_unlock(&r->comm->queue_lock);
    *out = r;
    return 0;
}

/* The group itself waits for it. */
static void own_exchange(const struct ballot_request *exchange)
{
    for (size_t i = 0; i < group.count; i++)
        if (group.members[i].request == exchange) {
            group.members[i].request->unowned = false;
            group.members[i].awaited = true;
        }
}

/* In a group, one more message of its exchange. */
static int group_message(struct ballot_comm *comm,
                         const struct flow_message *message,
                         struct ballot_request **out)
{
    struct ballot_request *exchange = find_exchange(comm);
    int rc = 0;

    if (exchange == NULL) {
        exchange = new_exchange(comm);
        if (exchange == NULL)
            return -EAGAIN;
        exchange->unowned = true;
        rc = add(exchange, false);
        if (rc < 0) {
            request_give(exchange);
            return rc;
        }
    }
    rc = add_message(exchange, message);
    if (rc < 0)
        return rc;
    if (out == NULL) {
        own_exchange(exchange);
        return 0;
    }
    rc = add_part(exchange, out);
    /* A call that has failed does nothing when the group ends. */
    if (rc < 0)
        exchange->flow.messages_count--;
    return rc;
}

static int exchange(struct ballot_comm *comm,
                    const struct flow_message *message,
                    struct ballot_request **out)
{
    struct ballot_request *r;
    int rc;

    if (group.depth > 0)
        return group_message(comm, message, out);
    r = new_exchange(comm);
    if (r == NULL)
        return -EAGAIN;
    rc = add_message(r, message);
    if (rc < 0) {
        request_give(r);
        return rc;
    }
    r->name = message->receives ? "recv" : "send";
    return request_submit(r, out);
}

static int check(struct ballot_comm *comm, const char *name, const void *memory,
                 size_t count, enum ballot_type type, int peer)
{
    const char *what = NULL;

    if ((unsigned)type >= BALLOT_TYPES)
        what = "there is no such type";
    else if (peer < 0 || (uint32_t)peer >= comm->ranks)
        what = "there is no such rank";
    else if (count > SIZE_MAX / 8)
        what = "the count is out of range";
    else if (count > 0 && memory == NULL)
        what = "the buffer is NULL";
    if (what == NULL)
        return 0;
    report_error(comm, "%s (%zu values, rank %d): %s", name, count, peer, what);
    return -EINVAL;
}

int ballot_send(const void *send, size_t count, enum ballot_type type, int peer,
                struct ballot_comm *comm, struct ballot_request **request)
{
    if (comm == NULL || check(comm, "send", send, count, type, peer) < 0)
        return -EINVAL;
    return exchange(comm,
                    &(struct flow_message){
                        .peer = (uint32_t)peer,
                        .from = send,
                        .bytes = values_bytes(type, count),
                        .count = count,
                        .type = (uint8_t)type,
                    },
                    request);
}

int ballot_recv(void *recv, size_t count, enum ballot_type type, int peer,
                struct ballot_comm *comm, struct ballot_request **request)
{
    if (comm == NULL || check(comm, "recv", recv, count, type, peer) < 0)
        return -EINVAL;
    return exchange(comm,
                    &(struct flow_message){
                        .peer = (uint32_t)peer,
                        .receives = true,
                        .to = recv,
                        .bytes = values_bytes(type, count),
                        .count = count,
                        .type = (uint8_t)type,
                    },
                    request);
}

/* ---- Groups ---- */

int ballot_group_start(void)
{
    group.depth++;
    return 0;
}

/* They may be waited for now. */
static void release_parts(struct ballot_request *whole)
{
    struct ballot_comm *comm = whole->comm;

    if (!is_exchange(whole))
        return;
    pthread_mutex_lock(&comm->queue_lock);
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (comm->requests[i].whole == whole)
            comm->requests[i].grouped = false;
    pthread_mutex_unlock(&comm->queue_lock);
}

/* In the order of the calls, and exchanges behind all others. */
static void queue_all(void)
{
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < group.count; i++) {
            struct ballot_request *r = group.members[i].request;

            if (is_exchange(r) != (last == 1))
                continue;
            r->grouped = false;
            release_parts(r);
            request_queue(r);
        }
    engine_kick();
}

static int await_all(void)
{
    int first = 0;

    for (size_t i = 0; i < group.count; i++) {
        struct ballot_request *r = group.members[i].request;
        int rc = group.members[i].awaited ? ballot_wait(&r) : 0;

        if (first == 0)
            first = rc;
    }
    return first;
}

int ballot_group_end(void)
{
    int rc;

    if (group.depth == 0) {
        report_thread("group_end: no group was started by this thread");
        return -EINVAL;
    }
    if (--group.depth > 0)
        return 0;
    queue_all();
    rc = await_all();
    free(group.members);
    group.members = NULL;
    group.count = group.room = 0;
    return rc;
}
