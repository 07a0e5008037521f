/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - a process that counts and does not vote: one job after the other.
 *
 * For each job it joins the ranks as a member beyond them, with the same
 * communicator that ranks have but no voter in it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../include/ballot_server.h"
#include "../transport/bootstrap.h"
#include "../transport/variable.h"
#include "comm.h"
#include "roots.h"

struct ballot_server {
    uint32_t ranks, index;
    struct settings settings;    /* before it knows the ranks' */
    struct place place;          /* where all meet */
    struct bootstrap_root *root; /* index 0 */
    int bell;                    /* readable once it is to stop */
    atomic_bool stopping;

    pthread_mutex_t lock;               /* what follows */
    struct ballot_comm *comm;           /* the job under way */
    struct ballot_server_status status; /* of the last one */
    uint64_t strangers;                 /* of the jobs before */
};

/* ---- A job, with the engine's lock ---- */

void server_watch(struct ballot_comm *comm, uint64_t now_ns)
{
    uint32_t needed =
        comm->settings.quorum == 0 ? comm->ranks : comm->settings.quorum;
    struct rank_mask there = {0};
    char names[256];

    if (atomic_load(&comm->over))
        return;
    for (uint32_t r = 0; r < comm->ranks; r++)
        if (!mask_has(&comm->departed, r) && !mask_has(&comm->dead, r))
            mask_set(&there, r);
    if (comm->failed != 0 || mask_count(&there) == 0) {
        atomic_store(&comm->over, true);
        engine_announce();
        return;
    }
    if (mask_count(&there) >= needed)
        return;
    /* No round can be decided any more: the others end, or have stopped. */
    if (comm->few_ns == 0)
        comm->few_ns = now_ns;
    if (now_ns < server_deadline(comm))
        return;
    report_members(names, sizeof(names), comm, &there);
    report_error(comm, "no goodbye in %u ms after others have left from: %s",
                 comm->settings.timeout_ms, names);
    comm->missing = there;
    comm->farewell = STATUS_LOST;
    advance_fail(comm, -ETIMEDOUT);
}

uint64_t server_deadline(const struct ballot_comm *comm)
{
    if (comm->few_ns == 0)
        return UINT64_MAX;
    return comm->few_ns + (uint64_t)comm->settings.timeout_ms * 1000000;
}

/* ---- Opening ---- */

static int fail(int rc, const char *why)
{
    report_thread("server: %s", why[0] != '\0' ? why : strerror(-rc));
    return rc;
}

static int read_settings(struct ballot_server *server,
                         const struct ballot_server_config *config, char *why)
{
    const struct ballot_config own = {
        .servers = BALLOT_SERVERS_DEDICATED,
        .servers_at = config->servers_at,
        .threads = config->threads,
        .init_timeout_ms = config->init_timeout_ms,
        .auth = config->auth,
    };
    int rc;

    if (config->ranks < 1 || config->ranks > BALLOT_RANKS_MAX) {
        snprintf(why, ERROR_BYTES, "%u ranks: there must be 1 to %d",
                 config->ranks, BALLOT_RANKS_MAX);
        return -EINVAL;
    }
    rc = settings_resolve(&server->settings, &own, (int)config->ranks, why);
    if (rc == 0 && config->index >= server->settings.dedicated) {
        snprintf(why, ERROR_BYTES,
                 "index %u: there are %u servers, counted from 0",
                 config->index, server->settings.dedicated);
        rc = -EINVAL;
    }
    server->settings.trust_host = config->trust_host;
    server->ranks = config->ranks;
    server->index = config->index;
    return rc;
}

/* Without a key only if that was said. */
static int read_key(struct ballot_server *server, const char *key_file,
                    char *why)
{
    const char *file =
        key_file != NULL ? key_file : variable("BALLOT_KEY_FILE");

    if (server->settings.auth == BALLOT_AUTH_NONE) {
        server->place.credentials.none = true;
        return 0;
    }
    if (file == NULL || *file == '\0') {
        snprintf(why, ERROR_BYTES,
                 "there is no key: name the file of the job's key (--key, "
                 "BALLOT_KEY_FILE), or say that everybody may join (--auth "
                 "none)");
        return -EACCES;
    }
    return credentials_read(file, &server->place.credentials, why);
}

static int listen_for_ranks(struct ballot_server *server, char *why)
{
    struct place *place = &server->place;
    int rc = bootstrap_parse(server->settings.meeting, &place->address,
                             &place->address_bytes, why);

    if (rc < 0 || server->index > 0)
        return rc;
    rc = bootstrap_root_open(&server->root,
                             (const struct sockaddr *)&place->address,
                             place->address_bytes, &place->credentials,
                             server->settings.dedicated, UINT64_MAX, why);
    if (rc == 0)
        bootstrap_root_address(server->root, &place->address,
                               &place->address_bytes);
    return rc;
}

int ballot_server_open(struct ballot_server **server,
                       const struct ballot_server_config *config)
{
    char why[ERROR_BYTES] = "";
    struct ballot_server *made;
    int rc;

    if (server == NULL || config == NULL)
        return -EINVAL;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return fail(-ENOMEM, why);
    pthread_mutex_init(&made->lock, NULL);
    made->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = made->bell < 0 ? -errno : read_settings(made, config, why);
    if (rc == 0)
        rc = read_key(made, config->key_file, why);
    if (rc == 0)
        rc = listen_for_ranks(made, why);
    if (rc < 0) {
        ballot_server_close(&made);
        return fail(rc, why);
    }
    bootstrap_format((const struct sockaddr *)&made->place.address,
                     made->place.address_bytes, made->status.address);
    *server = made;
    return 0;
}

int ballot_server_close(struct ballot_server **server)
{
    struct ballot_server *s;

    if (server == NULL)
        return -EINVAL;
    s = *server;
    if (s == NULL)
        return 0;
    if (s->comm != NULL) {
        ballot_server_stop(s);
        ballot_server_serve(s);
    }
    bootstrap_root_close(s->root);
    if (s->bell >= 0)
        close(s->bell);
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(&s->place, sizeof(s->place));
    free(s);
    *server = NULL;
    return 0;
}

/* ---- A job ---- */

static int join_job(struct ballot_server *server, struct ballot_comm **made,
                    char *why)
{
    int rc =
        comm_create(made, server->ranks + server->index, server->ranks, why);

    if (rc < 0)
        return rc;
    (*made)->settings = server->settings;
    (*made)->credentials = server->place.credentials;
    (*made)->members = server->ranks + server->settings.dedicated;
    rc = comm_begin(*made, (const struct sockaddr *)&server->place.address,
                    server->place.address_bytes, server->bell, why);
    if (rc < 0)
        comm_destroy(*made);
    return rc;
}

int ballot_server_await(struct ballot_server *server)
{
    char why[ERROR_BYTES] = "";
    struct ballot_comm *comm;
    int rc;

    if (server == NULL || server->comm != NULL)
        return -EINVAL;
    rc = atomic_load(&server->stopping) ? -ECANCELED
                                        : join_job(server, &comm, why);
    if (rc < 0)
        return fail(rc, why);
    pthread_mutex_lock(&server->lock);
    server->comm = comm;
    server->status.jobs++;
    if (atomic_load(&server->stopping))
        atomic_store(&comm->aborted, true);
    pthread_mutex_unlock(&server->lock);
    return 0;
}

/* With server->lock, and a job. */
static void take_status(struct ballot_server *server)
{
    struct ballot_server_status *status = &server->status;
    const struct ballot_comm *comm = server->comm;
    struct serve_counts counts;

    engine_lock();
    serve_count(comm->serve, &counts);
    status->ranks = status->departed = status->lost = 0;
    for (uint32_t r = 0; r < comm->ranks; r++)
        if (mask_has(&comm->departed, r))
            status->departed++;
        else if (mask_has(&comm->dead, r))
            status->lost++;
        else
            status->ranks++;
    status->strangers = server->strangers;
    for (int e = 0; e < comm->endpoints_count; e++) {
        struct endpoint_counts ours;

        comm->transports[e]->counts(comm->endpoints[e], &ours);
        status->strangers += ours.strangers;
    }
    engine_unlock();
    status->serving = true;
    status->round = counts.round;
    status->voters = counts.voters;
    status->votes_counted = counts.votes_counted;
    status->votes_late = counts.votes_late;
    status->dropped = counts.dropped;
    status->bytes_in = counts.bytes_in;
    status->bytes_out = counts.bytes_put;
}

int ballot_server_serve(struct ballot_server *server)
{
    enum { HOUR_S = 3600 };
    char why[ERROR_BYTES];
    struct ballot_comm *comm;
    int rc;

    if (server == NULL || server->comm == NULL)
        return -EINVAL;
    comm = server->comm;
    while (!atomic_load(&comm->over))
        engine_drive_until(&comm->over,
                           clock_now_ns() + HOUR_S * UINT64_C(1000000000));
    pthread_mutex_lock(&server->lock);
    take_status(server);
    server->status.serving = false;
    server->strangers = server->status.strangers;
    server->comm = NULL;
    pthread_mutex_unlock(&server->lock);
    engine_lock();
    rc = comm->failed;
    snprintf(why, sizeof(why), "%s", comm->error);
    engine_unlock();
    comm_end(comm);
    return rc < 0 ? fail(rc, why) : 0;
}

int ballot_server_stop(struct ballot_server *server)
{
    if (server == NULL)
        return -EINVAL;
    atomic_store(&server->stopping, true);
    eventfd_write(server->bell, 1);
    pthread_mutex_lock(&server->lock);
    if (server->comm != NULL) {
        atomic_store(&server->comm->aborted, true);
        engine_kick();
    }
    pthread_mutex_unlock(&server->lock);
    return 0;
}

int ballot_server_status(struct ballot_server *server,
                         struct ballot_server_status *status)
{
    if (server == NULL || status == NULL)
        return -EINVAL;
    pthread_mutex_lock(&server->lock);
    if (server->comm != NULL)
        take_status(server);
    *status = server->status;
    if (server->root != NULL)
        status->strangers += bootstrap_root_strangers(server->root);
    pthread_mutex_unlock(&server->lock);
    return 0;
}

int ballot_server_host(struct ballot_server *server, uint32_t rank, char *host,
                       size_t host_bytes)
{
    if (server == NULL || host == NULL || host_bytes == 0 ||
        rank >= server->ranks)
        return -EINVAL;
    pthread_mutex_lock(&server->lock);
    snprintf(host, host_bytes, "%s",
             server->comm == NULL ? "" : server->comm->hosts[rank]);
    pthread_mutex_unlock(&server->lock);
    return 0;
}
