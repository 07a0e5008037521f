/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self.c - a trial over each transport, of this process with itself.
 */
#include "self.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../transport/bootstrap.h"
#include "../../transport/clock.h"
#include "../../transport/handshake.h"

enum { SIDES = 2, EPOCH = 1 };

/* One side of a trial, in a thread of its own. */
struct side {
    struct tried_link link;
    char why[WHY_BYTES];         /* what the transport says of a failure */
    const struct address *table; /* [SIDES] */
    bool drives;
    struct trial_times times;
    pthread_t thread;
    bool is_running;
};

const char *verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_PASS: return "pass";
    case VERDICT_FAIL: return "fail";
    case VERDICT_ABSENT: break;
    }
    return "absent";
}

static void *take_part(void *context)
{
    struct side *side = context;
    struct tried_link *link = &side->link;
    bool wanted[SIDES] = {false};
    int rc;

    wanted[link->peer] = true;
    rc = link->transport->connect(link->endpoint, side->table, wanted, EPOCH,
                                  link->deadline_ns);
    if (rc != 0)
        tried_fail(link, rc, "the two ends cannot be linked%s%.400s",
                   side->why[0] != '\0' ? ": " : "", side->why);
    else
        trial_run(&side->times, link, side->drives);
    return NULL;
}

static int open_side(struct side *side, const struct transport *transport,
                     uint32_t rank, struct address *address)
{
    static const struct credentials none = {.none = true};
    struct endpoint_config config = {
        .rank = rank,
        .ranks = SIDES,
        .slots = TRIAL_SLOTS,
        .slot_bytes = TRIAL_SELF_SLOT_BYTES,
        .credentials = &none,
        .interface = transport == &transport_tcp ? "127.0.0.1" : NULL,
        .why = side->why,
    };
    int rc = transport->open(&side->link.endpoint, &config);

    if (rc == 0)
        rc = transport->address(side->link.endpoint, address);
    if (rc != 0)
        tried_fail(&side->link, rc, "an endpoint cannot be opened%s%.400s",
                   side->why[0] != '\0' ? ": " : "", side->why);
    return rc;
}

static void run_sides(struct side sides[SIDES])
{
    for (int s = 0; s < SIDES; s++) {
        int error =
            pthread_create(&sides[s].thread, NULL, take_part, &sides[s]);

        sides[s].is_running = error == 0;
        if (error != 0)
            tried_fail(&sides[s].link, -error, "no thread can be started");
    }
    for (int s = 0; s < SIDES; s++)
        if (sides[s].is_running)
            pthread_join(sides[s].thread, NULL);
}

/* The cause is with the side that did not only wait for the other. */
static const struct tried_link *blamed(const struct side sides[SIDES])
{
    for (int s = 0; s < SIDES; s++)
        if (sides[s].link.error != 0 && sides[s].link.error != -ETIMEDOUT &&
            sides[s].link.error != -ECONNRESET)
            return &sides[s].link;
    return sides[1].link.error != 0 ? &sides[1].link : &sides[0].link;
}

static void try_transport(struct self_result *result,
                          const struct transport *transport,
                          uint64_t timeout_ms)
{
    struct address table[SIDES] = {0};
    struct side sides[SIDES] = {0};
    const struct tried_link *worst;
    int rc = 0;

    for (uint32_t s = 0; s < SIDES && rc == 0; s++) {
        sides[s].link.transport = transport;
        sides[s].link.peer = SIDES - 1 - s;
        sides[s].link.slot_bytes = TRIAL_SELF_SLOT_BYTES;
        sides[s].link.deadline_ns = clock_later_ns(clock_now_ns(), timeout_ms);
        sides[s].table = table;
        sides[s].drives = s == 1;
        rc = open_side(&sides[s], transport, s, &table[s]);
    }
    if (rc == 0)
        run_sides(sides);
    for (int s = 0; s < SIDES; s++)
        transport->close(sides[s].link.endpoint);
    worst = blamed(sides);
    result->error = worst->error;
    memcpy(result->why, worst->why, sizeof(result->why));
    result->times = sides[1].times;
    result->verdict = result->error == 0 ? VERDICT_PASS : VERDICT_FAIL;
}

static struct self_result *add(struct self_test *self, const char *transport,
                               const char *engine)
{
    struct self_result *result = &self->results[self->count++];

    snprintf(result->name, sizeof(result->name), "%s%s%s", transport,
             engine != NULL ? "-" : "", engine != NULL ? engine : "");
    return result;
}

static void try_engines(struct self_test *self, const struct facts *facts,
                        const struct tried_transport *tried,
                        uint64_t timeout_ms)
{
    const char *asked = getenv("BALLOT_TCP_ENGINE");
    char *kept = asked != NULL ? strdup(asked) : NULL;

    for (int e = 0; tried->engines[e] != NULL; e++) {
        struct self_result *result =
            add(self, tried->transport->name, tried->engines[e]);

        setenv("BALLOT_TCP_ENGINE", tried->engines[e], 1);
        try_transport(result, tried->transport, timeout_ms);
        if (result->verdict == VERDICT_FAIL && facts->uring_error != 0 &&
            strcmp(tried->engines[e], "uring") == 0)
            result->verdict = VERDICT_ABSENT;
    }
    if (kept != NULL)
        setenv("BALLOT_TCP_ENGINE", kept, 1);
    else
        unsetenv("BALLOT_TCP_ENGINE");
    free(kept);
}

void self_run(struct self_test *self, const struct facts *facts,
              uint64_t timeout_ms)
{
    self->count = 0;
    for (uint32_t t = 0; t < tried_count; t++) {
        const struct tried_transport *tried = &tried_transports[t];
        struct self_result *result;

        if (tried->engines != NULL) {
            try_engines(self, facts, tried, timeout_ms);
            continue;
        }
        result = add(self, tried->transport->name, NULL);
        if (tried->is_rdma && !facts->chosen.is_there) {
            result->verdict = VERDICT_ABSENT;
            result->error = -ENODEV;
            snprintf(result->why, sizeof(result->why), "%.400s",
                     facts->chosen.why[0] != '\0' ? facts->chosen.why
                                                  : "there is no RDMA device");
            continue;
        }
        try_transport(result, tried->transport, timeout_ms);
    }
}

bool self_passed(const struct self_test *self)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (self->results[i].verdict == VERDICT_FAIL)
            return false;
    return true;
}
