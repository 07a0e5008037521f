/* SPDX-License-Identifier: Apache-2.0 */
/* bootstrap.c - a rank's side of the bootstrap. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.h"
#include "clock.h"
#include "dialer.h"
#include "exchange.h"
#include "stream.h"

enum {
    /* So many connections closed without a word, over so long, are no
     * accident. */
    REJECTIONS_MIN = 4,
    REJECTED_MS = 1000,
};

struct join {
    uint32_t ranks;
    const void *record;
    uint32_t record_bytes;
    uint64_t deadline_ns;
    int bell; /* -1: none */
    char where[ADDRESS_TEXT_BYTES];
    char *why;
};

/* Until the descriptor is ready, or the time has come. */
static int wait_for(const struct join *join, int descriptor, short events,
                    uint64_t now_ns, uint64_t until_ns)
{
    struct pollfd polled[2] = {
        {.fd = descriptor, .events = events},
        {.fd = join->bell, .events = POLLIN},
    };

    if (poll(polled, 2, stream_wait_ms(now_ns, until_ns)) < 0)
        return errno == EINTR ? 0 : -errno;
    return polled[1].revents != 0 ? -ECANCELED : 0;
}

/* ---- Reaching the root ---- */

static int explain_rejection(const struct join *join)
{
    snprintf(join->why, WHY_BYTES,
             "who listens at %s hangs up on us: it knows another key, or is no"
             " ballot root; give all ranks the same BALLOT_KEY_FILE and check"
             " BALLOT_ROOT",
             join->where);
    return -EACCES;
}

/* The deadline passed with dialer->error as the last thing that happened. */
static int explain_unreached(const struct join *join,
                             const struct dialer *dialer)
{
    switch (-dialer->error) {
    case ECONNREFUSED:
    case ENOENT:
        snprintf(join->why, WHY_BYTES,
                 "nothing listens at %s; is rank 0 running, is BALLOT_ROOT"
                 " right?",
                 join->where);
        return -ETIMEDOUT;
    case EMFILE:
    case ENFILE:
        snprintf(join->why, WHY_BYTES,
                 "no file descriptor is left to connect with %s; raise the"
                 " limit of open files (ulimit -n)",
                 join->where);
        return -EMFILE;
    case ECONNRESET:
    case EACCES:
        if (dialer->rejections >= REJECTIONS_MIN)
            return explain_rejection(join);
        break;
    default: break;
    }
    snprintf(join->why, WHY_BYTES,
             "no answer from %s (%s); is rank 0 running there, is BALLOT_ROOT"
             " right, does a firewall drop packets?",
             join->where,
             strerrordesc_np(dialer->error != 0 ? -dialer->error : ETIMEDOUT));
    return -ETIMEDOUT;
}

/* What ends the tries, or 0. */
static int check_dialer(const struct join *join, const struct dialer *dialer,
                        uint64_t now_ns)
{
    if (dialer->rejections >= REJECTIONS_MIN &&
        now_ns >= clock_later_ns(dialer->rejected_ns, REJECTED_MS))
        return explain_rejection(join);
    if (dialer->error == -EPROTO) {
        snprintf(join->why, WHY_BYTES,
                 "who listens at %s knows the key, but is no root of this"
                 " version of ballot; check BALLOT_ROOT, and run the same"
                 " version everywhere",
                 join->where);
        return -EPROTO;
    }
    if (now_ns >= join->deadline_ns)
        return explain_unreached(join, dialer);
    return 0;
}

/* A proven connection to the root, or why there is none. */
static int reach_root(const struct join *join, struct dialer *dialer)
{
    int result = 0;

    while (result == 0) {
        uint64_t now_ns = clock_now_ns();
        uint64_t until_ns;

        if (dialer_move(dialer, now_ns))
            return dialer_take(dialer);
        result = check_dialer(join, dialer, now_ns);
        if (result < 0)
            break;
        until_ns = dialer->due_ns < join->deadline_ns ? dialer->due_ns
                                                      : join->deadline_ns;
        result = wait_for(join, dialer->descriptor, dialer->events, now_ns,
                          until_ns);
        if (result < 0)
            snprintf(join->why, WHY_BYTES, "cannot wait for %s: %s",
                     join->where, strerrordesc_np(-result));
    }
    dialer_stop(dialer);
    return result;
}

/* ---- The exchange ---- */

typedef int stream_fn(int descriptor, void *bytes, size_t count, size_t *done);

static int send_bytes(int descriptor, void *bytes, size_t count, size_t *done)
{
    return stream_send(descriptor, bytes, count, done);
}

/* Sends or receives all of bytes[count], until the deadline. */
static int transfer(const struct join *join, int descriptor, stream_fn *stream,
                    void *bytes, size_t count)
{
    short events = stream == send_bytes ? POLLOUT : POLLIN;
    size_t done = 0;
    int result;

    while ((result = stream(descriptor, bytes, count, &done)) == 0) {
        uint64_t now_ns = clock_now_ns();

        if (now_ns >= join->deadline_ns)
            result = -ETIMEDOUT;
        else
            result =
                wait_for(join, descriptor, events, now_ns, join->deadline_ns);
        if (result < 0)
            break;
    }
    if (result > 0)
        return 0;
    if (result == -ETIMEDOUT)
        snprintf(join->why, WHY_BYTES,
                 "rank 0's root at %s did not answer in time; is rank 0"
                 " stopped, or BALLOT_INIT_TIMEOUT_MS too short?",
                 join->where);
    else if (result == -ECANCELED)
        snprintf(join->why, WHY_BYTES, "waiting for all ranks was ended");
    else
        snprintf(join->why, WHY_BYTES,
                 "rank 0's root at %s went away before all ranks were there"
                 " (%s); see rank 0's error",
                 join->where, strerrordesc_np(-result));
    return result;
}

static int send_request(const struct join *join, int descriptor)
{
    uint8_t request[REQUEST_HEAD_BYTES + RECORD_BYTES_MAX];
    uint64_t now_ns = clock_now_ns();
    uint64_t remaining_ms = 0;

    if (join->deadline_ns > now_ns)
        remaining_ms = (join->deadline_ns - now_ns) / NS_PER_MS;
    if (remaining_ms > UINT32_MAX)
        remaining_ms = UINT32_MAX;
    stream_store32(request, join->record_bytes);
    stream_store32(request + 4, (uint32_t)remaining_ms);
    memcpy(request + REQUEST_HEAD_BYTES, join->record, join->record_bytes);
    return transfer(join, descriptor, send_bytes, request,
                    REQUEST_HEAD_BYTES + (size_t)join->record_bytes);
}

static int misunderstood(const struct join *join)
{
    snprintf(join->why, WHY_BYTES,
             "rank 0's root at %s answers what this version of ballot does not"
             " understand; run the same version everywhere",
             join->where);
    return -EPROTO;
}

/* The root's reason: its error, in its words. */
static int receive_reason(const struct join *join, int descriptor, int status,
                          uint32_t bytes)
{
    char why[WHY_BYTES];
    int result;

    if (bytes >= WHY_BYTES || status < -4095)
        return misunderstood(join);
    result = transfer(join, descriptor, stream_receive, why, bytes);
    if (result < 0)
        return result;
    memcpy(join->why, why, bytes);
    join->why[bytes] = '\0';
    return status;
}

static int receive_answer(const struct join *join, int descriptor,
                          uint8_t *table, uint32_t *epoch)
{
    size_t table_bytes = (size_t)join->ranks * join->record_bytes;
    uint8_t head[ANSWER_HEAD_BYTES];
    uint32_t bytes, drawn;
    int status;
    int result = transfer(join, descriptor, stream_receive, head, sizeof(head));

    if (result < 0)
        return result;
    status = (int32_t)stream_load32(head);
    drawn = stream_load32(head + 4);
    bytes = stream_load32(head + 8);
    if (status < 0)
        return receive_reason(join, descriptor, status, bytes);
    if (status > 0 || bytes != table_bytes || drawn == 0)
        return misunderstood(join);
    result = transfer(join, descriptor, stream_receive, table, table_bytes);
    if (result == 0)
        *epoch = drawn;
    return result;
}

/* The caller's table is written only when all of it is there. */
static int exchange_records(const struct join *join, int descriptor,
                            void *table, uint32_t *epoch)
{
    size_t table_bytes = (size_t)join->ranks * join->record_bytes;
    uint8_t *received = malloc(table_bytes);
    int result;

    if (received == NULL) {
        snprintf(join->why, WHY_BYTES, "out of memory for %u records",
                 join->ranks);
        return -ENOMEM;
    }
    result = send_request(join, descriptor);
    if (result == 0)
        result = receive_answer(join, descriptor, received, epoch);
    if (result == 0)
        memcpy(table, received, table_bytes);
    free(received);
    return result;
}

static int check_arguments(uint32_t rank, uint32_t ranks, size_t record_bytes,
                           char why[WHY_BYTES])
{
    if (ranks == 0 || ranks > BOOTSTRAP_RANKS_MAX || rank >= ranks) {
        snprintf(why, WHY_BYTES,
                 "rank %u of %u ranks is out of range: 1 to %d ranks are"
                 " numbered from 0; check BALLOT_RANK and BALLOT_RANKS",
                 rank, ranks, BOOTSTRAP_RANKS_MAX);
        return -EINVAL;
    }
    if (record_bytes == 0 || record_bytes > RECORD_BYTES_MAX) {
        snprintf(why, WHY_BYTES,
                 "a record has 1 to %d bytes, not %zu: pass fewer",
                 RECORD_BYTES_MAX, record_bytes);
        return -EINVAL;
    }
    return 0;
}

int bootstrap_join(const struct sockaddr *root, socklen_t root_bytes,
                   const struct credentials *credentials, uint32_t rank,
                   uint32_t ranks, const void *record, size_t record_bytes,
                   void *table, uint32_t *epoch, uint64_t deadline_ns, int bell,
                   char why[WHY_BYTES])
{
    struct handshake_config config = {
        .credentials = credentials,
        .purpose = PURPOSE_BOOTSTRAP,
        .rank = rank,
        .ranks = ranks,
    };
    struct join join = {
        .ranks = ranks,
        .record = record,
        .record_bytes = (uint32_t)record_bytes,
        .deadline_ns = deadline_ns,
        .bell = bell,
        .why = why,
    };
    struct dialer dialer;
    int descriptor;
    int result = check_arguments(rank, ranks, record_bytes, why);

    if (result < 0)
        return result;
    bootstrap_format(root, root_bytes, join.where);
    dialer_start(&dialer, root, root_bytes, &config);
    descriptor = reach_root(&join, &dialer);
    if (descriptor < 0)
        return descriptor;
    result = exchange_records(&join, descriptor, table, epoch);
    close(descriptor);
    return result;
}
