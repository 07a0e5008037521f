/* SPDX-License-Identifier: Apache-2.0 */
/* comm.c - life and death of a communicator. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/variable.h"
#include "comm.h"

enum { FLUSH_MS = 1000 }; /* for what a failed communicator has to say */

int ballot_version(int *version)
{
    if (version == NULL)
        return -EINVAL;
    *version = 10000 * BALLOT_VERSION_MAJOR + 100 * BALLOT_VERSION_MINOR +
               BALLOT_VERSION_PATCH;
    return 0;
}

/* ---- Making ---- */

void comm_destroy(struct ballot_comm *comm)
{
    parts_close(comm);
    membership_close(comm);
    redundancy_close(comm->redundancy);
    join_undo(comm);
    pthread_mutex_destroy(&comm->error_lock);
    pthread_mutex_destroy(&comm->queue_lock);
    explicit_bzero(&comm->credentials, sizeof(comm->credentials));
    free(comm);
}

static int pick_kernels(struct ballot_comm *comm, char *why)
{
    const char *name = variable("BALLOT_KERNELS");

    comm->kernels = kernels_pick(name);
    if (comm->kernels != NULL)
        return 0;
    snprintf(why, ERROR_BYTES,
             "BALLOT_KERNELS=%s: no such kernels, or this machine cannot run "
             "them; avx512, avx2 and portable are there",
             name);
    return -EINVAL;
}

int comm_create(struct ballot_comm **made, uint32_t rank, uint32_t ranks,
                char *why)
{
    struct ballot_comm *comm = calloc(1, sizeof(*comm));
    int rc;

    if (comm == NULL)
        return -ENOMEM;
    pthread_mutex_init(&comm->queue_lock, NULL);
    pthread_mutex_init(&comm->error_lock, NULL);
    comm->rank = rank;
    comm->ranks = ranks;
    rc = pick_kernels(comm, why);
    if (rc < 0) {
        comm_destroy(comm);
        return rc;
    }
    *made = comm;
    return 0;
}

int comm_settle(struct ballot_comm *comm, char *why)
{
    const struct settings *s = &comm->settings;
    struct shape shape;
    int rc = redundancy_open(&comm->redundancy, &comm->settings, comm->ranks,
                             comm->kernels, why);

    if (rc < 0)
        return rc;
    comm->members = comm->ranks + s->dedicated;
    comm->server_first = 0;
    comm->servers = s->servers == BALLOT_SERVERS_ROOT ? 1 : comm->ranks;
    if (s->servers == BALLOT_SERVERS_DEDICATED) {
        comm->server_first = comm->ranks;
        comm->servers = s->dedicated;
    }
    shape = parts_shape(comm);
    comm->slot_bytes = slot_bytes_for(&shape);
    if (comm->slot_bytes < STATEMENT_BYTES)
        comm->slot_bytes = STATEMENT_BYTES;
    return 0;
}

uint32_t comm_slot_bytes(const struct ballot_comm *comm,
                         const struct transport *transport)
{
    uint32_t bytes =
        LINE_BYTES + flow_widest(transport->stream_bytes, comm->ranks);

    return comm->ranks > FEW_RANKS || bytes < comm->slot_bytes
               ? comm->slot_bytes
               : bytes;
}

int comm_begin(struct ballot_comm *comm, const struct sockaddr *root,
               uint32_t root_bytes, int bell, char *why)
{
    int rc = comm->rank < comm->ranks ? membership_open(comm) : 0;

    if (rc == 0)
        rc = join_communicator(comm, root, root_bytes, bell, why);
    if (rc == 0)
        rc = parts_open(comm, why);
    if (rc < 0)
        return rc;
    memcpy(&comm->root, root, root_bytes);
    comm->root_bytes = root_bytes;
    rc = engine_attach(comm);
    if (rc < 0)
        snprintf(why, ERROR_BYTES, "the engine's thread: %s", strerror(-rc));
    else
        report_memory(comm);
    return rc;
}

/* ---- Ending ---- */

static int say_goodbye(struct ballot_comm *comm)
{
    uint64_t wait_ms = comm->settings.timeout_ms;
    struct rank_mask silent = {0};
    char names[256];
    int rc;

    engine_lock();
    if (comm->failed != 0)
        wait_ms = FLUSH_MS;
    comm->leaving = true;
    control_tell_all(comm, CONTROL_GOODBYE);
    engine_unlock();
    rc = engine_drive_until(&comm->left, clock_now_ns() + wait_ms * 1000000);
    if (rc == 0 || comm->failed != 0)
        return 0;
    engine_lock();
    /* Servers wait for the ranks: they are named if no rank is missing. */
    for (uint32_t m = 0; m < comm->members; m++)
        if (m != comm->rank && !mask_has(&comm->departed, m) &&
            !mask_has(&comm->dead, m) &&
            (m < comm->ranks || mask_count(&silent) == 0))
            mask_set(&silent, m);
    engine_unlock();
    report_members(names, sizeof(names), comm, &silent);
    report_thread("finalize: no goodbye in %u ms from: %s",
                  comm->settings.timeout_ms, names);
    return rc;
}

int comm_end(struct ballot_comm *comm)
{
    bool silent = comm->majority != NULL && atomic_load(&comm->aborted);
    int rc = silent ? 0 : say_goodbye(comm);

    engine_detach(comm);
    comm_destroy(comm);
    return rc;
}

int ballot_comm_finalize(struct ballot_comm **comm)
{
    struct ballot_comm *c;
    int rc;

    if (comm == NULL)
        return -EINVAL;
    c = *comm;
    if (c == NULL)
        return 0;
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct ballot_request *r = &c->requests[i];

        if (queue_holds(r))
            ballot_wait(&r);
    }
    rc = comm_end(c);
    *comm = NULL;
    return rc;
}

int ballot_comm_abort(struct ballot_comm *comm)
{
    if (comm == NULL)
        return -EINVAL;
    atomic_store(&comm->aborted, true);
    engine_kick();
    return 0;
}

/* ---- Asking ---- */

int ballot_comm_rank(const struct ballot_comm *comm)
{
    return comm == NULL ? -EINVAL : (int)comm->rank;
}

int ballot_comm_size(const struct ballot_comm *comm)
{
    return comm == NULL ? -EINVAL : (int)comm->ranks;
}

int ballot_comm_async_error(const struct ballot_comm *comm)
{
    int rc;

    if (comm == NULL)
        return -EINVAL;
    engine_lock();
    rc = comm->failed;
    engine_unlock();
    return rc == 0 && atomic_load(&comm->aborted) ? -ECANCELED : rc;
}

int ballot_comm_round(const struct ballot_comm *comm,
                      struct ballot_round *round)
{
    if (comm == NULL || round == NULL)
        return -EINVAL;
    engine_lock();
    *round = comm->round;
    engine_unlock();
    return 0;
}

int ballot_comm_stats(const struct ballot_comm *comm,
                      struct ballot_stats *stats)
{
    struct serve_counts served = {0};
    struct majority_counts voted;
    struct flow_counts flowed;

    if (comm == NULL || stats == NULL)
        return -EINVAL;
    engine_lock();
    if (comm->serve != NULL)
        serve_count(comm->serve, &served);
    majority_count(comm->majority, &voted);
    flow_count(comm->flow, &flowed);
    *stats = (struct ballot_stats){
        .rounds = comm->rounds,
        .puts = served.puts + voted.puts + flowed.puts + comm->control_puts,
        .bytes_put = served.bytes_put + voted.bytes_put + flowed.bytes_put +
                     comm->control_bytes,
        .votes_counted = served.votes_counted,
        .votes_late = served.votes_late,
        .dropped = served.dropped + voted.dropped + flowed.dropped +
                   comm->control_dropped,
        .strangers = comm->strangers,
        .direct_bytes = voted.direct_bytes,
    };
    for (int e = 0; e < comm->endpoints_count; e++) {
        struct endpoint_counts counts;

        comm->transports[e]->counts(comm->endpoints[e], &counts);
        stats->strangers += counts.strangers;
        stats->dropped += counts.violations;
        stats->copied_bytes += counts.copied_bytes;
    }
    engine_unlock();
    return 0;
}

int ballot_comm_dissent(const struct ballot_comm *comm, uint64_t *differing,
                        uint64_t *counted)
{
    if (comm == NULL)
        return -EINVAL;
    /* Of the communicator, only the text of its last error changes here. */
    if (comm->settings.dissent == 0) {
        report_error((struct ballot_comm *)(uintptr_t)comm,
                     "dissent: nothing was counted; set dissent = 1 in the "
                     "configuration, or BALLOT_DISSENT=1");
        return -EINVAL;
    }
    if (differing == NULL || counted == NULL) {
        report_error((struct ballot_comm *)(uintptr_t)comm,
                     "dissent: an array for %u ranks is NULL", comm->ranks);
        return -EINVAL;
    }
    memset(differing, 0, comm->ranks * sizeof(*differing));
    memset(counted, 0, comm->ranks * sizeof(*counted));
    engine_lock();
    if (comm->serve != NULL)
        serve_dissent(comm->serve, differing, counted);
    engine_unlock();
    return 0;
}
