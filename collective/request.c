/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - the votes that a user calls, and waiting for what was called. */
#include <errno.h>
#include <float.h>
#include <string.h>

#include "comm.h"

enum {
    /* Below this a call is one chunk: more messages cost more than they gain.
     */
    CHUNK_MIN_COORDINATES = 65536,
    /* Chunks for each server, so that packing and counting overlap. */
    CHUNKS_PER_SERVER = 2,
};

/* ---- Requests ---- */

struct ballot_request *request_take(struct ballot_comm *comm)
{
    struct ballot_request *found = NULL;

    pthread_mutex_lock(&comm->queue_lock);
    for (int i = 0; i < REQUESTS_MAX && found == NULL; i++)
        if (!comm->requests[i].taken)
            found = &comm->requests[i];
    if (found != NULL) {
        memset(found, 0, sizeof(*found));
        found->comm = comm;
        found->taken = true;
        found->call.context = found;
        found->flow.context = found;
    }
    pthread_mutex_unlock(&comm->queue_lock);
    if (found == NULL)
        report_error(comm, "%d requests are under way; wait for one first",
                     REQUESTS_MAX);
    return found;
}

void request_give(struct ballot_request *request)
{
    struct ballot_comm *comm = request->comm;
    bool express = express_has(request);

    /* From then on it may be another caller's. */
    pthread_mutex_lock(&comm->queue_lock);
    request->taken = false;
    pthread_mutex_unlock(&comm->queue_lock);
    if (express)
        atomic_store(&comm->express_taken, false);
}

int ballot_wait(struct ballot_request **request)
{
    enum { HOUR_S = 3600 };
    struct ballot_request *r;
    int result;

    if (request == NULL || *request == NULL)
        return -EINVAL;
    r = *request;
    if (r->grouped) {
        report_error(r->comm, "wait: this request begins when its group ends");
        return -EINVAL;
    }
    /* The request itself has deadlines; an hour is only a long sleep. */
    while (!atomic_load(&r->done))
        engine_drive_until(&r->done,
                           clock_now_ns() + HOUR_S * UINT64_C(1000000000));
    result = r->result;
    request_give(r);
    *request = NULL;
    return result;
}

int ballot_test(struct ballot_request **request, bool *done)
{
    if (request == NULL || *request == NULL || done == NULL)
        return -EINVAL;
    *done = atomic_load(&(*request)->done);
    return *done ? ballot_wait(request) : 0;
}

void request_queue(struct ballot_request *request)
{
    struct ballot_comm *comm = request->comm;

    pthread_mutex_lock(&comm->queue_lock);
    comm->line[comm->submitted++ % REQUESTS_MAX] = request;
    pthread_mutex_unlock(&comm->queue_lock);
    atomic_fetch_add(&comm->queued, 1);
}

int request_submit(struct ballot_request *request, struct ballot_request **out)
{
    if (out != NULL)
        *out = request;
    if (group_takes(request, out == NULL))
        return 0;
    request_queue(request);
    if (out == NULL)
        return ballot_wait(&request);
    engine_kick();
    return 0;
}

/* ---- Checks ---- */

int request_check(struct ballot_comm *comm, const char *name, const void *send,
                  const void *recv, size_t count, enum ballot_type type)
{
    if ((unsigned)type >= BALLOT_VOTE_TYPES) {
        report_error(comm, "%s: floats and signs vote, and not type %d (%s)",
                     name, (int)type, report_type(type));
        return -EINVAL;
    }
    if (count > 0 && (send == NULL || recv == NULL)) {
        report_error(comm, "%s: a buffer of %zu values is NULL", name, count);
        return -EINVAL;
    }
    if (count > SIZE_MAX / 8) {
        report_error(comm, "%s: a count of %zu is out of range", name, count);
        return -EINVAL;
    }
    return 0;
}

int request_check_reserve(struct ballot_comm *comm, const char *name,
                          size_t count)
{
    if (count <= comm->settings.count_max)
        return 0;
    report_error(comm,
                 "%s: a count of %zu is more than count_max, %llu; set it "
                 "higher (BALLOT_COUNT_MAX)",
                 name, count, (unsigned long long)comm->settings.count_max);
    return -EINVAL;
}

/* Coordinates of a chunk: all servers get some, none too little. They are whole
 * units, if one fits. */
static uint32_t chunk_for(const struct ballot_comm *comm, size_t count,
                          uint32_t unit)
{
    uint32_t largest = comm->settings.chunk;
    size_t share = (count + (size_t)comm->servers * CHUNKS_PER_SERVER - 1) /
                   ((size_t)comm->servers * CHUNKS_PER_SERVER);
    size_t chunk;

    if (share < CHUNK_MIN_COORDINATES)
        share = CHUNK_MIN_COORDINATES;
    if (largest >= unit)
        largest -= largest % unit;
    chunk = (share + unit - 1) / unit * unit;
    return chunk < largest ? (uint32_t)chunk : largest;
}

static struct caster_round vote_round(const struct ballot_comm *comm,
                                      size_t count, enum ballot_type type,
                                      uint32_t unit)
{
    struct caster_round round = {
        .count = count,
        .type = (uint8_t)type,
        .op = CALL_MAJORITY,
    };

    if (count > 0)
        round.chunk_coordinates = chunk_for(comm, count, unit);
    return round;
}

/* ---- Votes ---- */

int request_vote(struct ballot_comm *comm, const struct vote_asked *asked,
                 struct ballot_request **request)
{
    const size_t count = asked->count;
    struct ballot_request *r;

    if (request_check(comm, asked->name, asked->send,
                      asked->keep_count > 0 ? asked->recv : asked->send, count,
                      asked->type) < 0)
        return -EINVAL;
    if (asked->type == BALLOT_SIGNS && comm->settings.tie == BALLOT_TIE_ZERO) {
        report_error(comm,
                     "%s: packed signs have no zero for ties; choose another "
                     "type or tie",
                     asked->name);
        return -EINVAL;
    }
    if (comm->settings.quorum != 0 &&
        request_check_reserve(comm, asked->name, count) < 0)
        return -EINVAL;
    r = request_take(comm);
    if (r == NULL)
        return -EAGAIN;
    r->kind = count > 0 ? REQUEST_MAJORITY : REQUEST_ENTRY;
    r->name = asked->name;
    r->call.kind = count > 0 ? MAJORITY_REDUCE : MAJORITY_ENTRY;
    r->call.round = vote_round(comm, count, asked->type, LINE_COORDINATES);
    r->call.round.op = (uint8_t)asked->op;
    if (asked->detail != 0) {
        r->call.round.detail = asked->detail;
        if (count > 0)
            r->call.round.chunk_coordinates = comm->settings.chunk;
    }
    r->call.send = asked->send;
    r->call.recv = asked->recv;
    r->call.keep_first = asked->keep_first;
    r->call.keep_count = asked->keep_count;
    return request_submit(r, request);
}

/* ---- Fused steps ---- */

/* Completes and submits a call that has what sets its kind apart. */
static int fused_step(struct ballot_comm *comm, const char *name,
                      struct majority_call call, size_t count, uint32_t unit,
                      struct ballot_request **request)
{
    struct ballot_request *r;

    if (request_check(comm, name, call.send, call.recv, count, BALLOT_FLOAT32) <
            0 ||
        request_check(comm, name, call.state, call.state, count,
                      BALLOT_FLOAT32) < 0 ||
        request_check_reserve(comm, name, count) < 0)
        return -EINVAL;
    r = request_take(comm);
    if (r == NULL)
        return -EAGAIN;
    r->kind = count > 0 ? REQUEST_MAJORITY : REQUEST_ENTRY;
    r->name = name;
    if (count == 0)
        call.kind = MAJORITY_ENTRY;
    call.round = vote_round(comm, count, BALLOT_FLOAT32, unit);
    call.context = r;
    r->call = call;
    return request_submit(r, request);
}

int ballot_signum_step(float *parameters, float *momentum,
                       const float *gradient, size_t count,
                       const struct ballot_signum *signum,
                       struct ballot_comm *comm,
                       struct ballot_request **request)
{
    if (comm == NULL)
        return -EINVAL;
    if (signum == NULL || !(signum->rate > 0) || !(signum->momentum >= 0) ||
        !(signum->momentum < 1) || !(signum->weight_decay >= 0)) {
        report_error(comm, "signum_step: rate > 0, momentum in [0, 1) and "
                           "weight_decay >= 0 are needed");
        return -EINVAL;
    }
    return fused_step(comm, "signum_step",
                      (struct majority_call){
                          .kind = MAJORITY_SIGNUM,
                          .send = gradient,
                          .recv = parameters,
                          .state = momentum,
                          .beta = signum->momentum,
                          .rate = signum->rate,
                          .decay = signum->weight_decay,
                      },
                      count, LINE_COORDINATES, request);
}

int ballot_feedback_step(float *parameters, float *error, const float *gradient,
                         size_t count, const struct ballot_feedback *feedback,
                         struct ballot_comm *comm,
                         struct ballot_request **request)
{
    if (comm == NULL)
        return -EINVAL;
    if (feedback == NULL || !(feedback->rate > 0) || !(feedback->scale >= 0) ||
        !(feedback->scale <= FLT_MAX) || !(feedback->weight_decay >= 0)) {
        report_error(comm, "feedback_step: rate > 0, a finite scale >= 0 and "
                           "weight_decay >= 0 are needed");
        return -EINVAL;
    }
    return fused_step(comm, "feedback_step",
                      (struct majority_call){
                          .kind = MAJORITY_FEEDBACK,
                          .send = gradient,
                          .recv = parameters,
                          .state = error,
                          .scale = feedback->scale,
                          .rate = feedback->rate,
                          .decay = feedback->weight_decay,
                      },
                      count,
                      feedback->scale == 0 ? FEEDBACK_BLOCK : LINE_COORDINATES,
                      request);
}
