/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - a communicator that ranks of another one make. */
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/bootstrap.h"
#include "../transport/variable.h"
#include "membership.h"

#define MS_NS UINT64_C(1000000)

_Static_assert(sizeof(struct sockaddr_in6) <= PLACE_ADDRESS_BYTES,
               "every address of a root fits");

/* ---- How it is configured ---- */

/* As the parent is, with those of its weights that are left. */
static void inherit(struct ballot_config *config, uint8_t *weights,
                    const struct child *child)
{
    static const char *const transports[] = {NULL,    "shm",  "tcp",
                                             "verbs", "^shm", "^verbs"};
    const struct settings *s = &child->parent->settings;

    for (uint32_t r = 0; r < child->ranks; r++)
        weights[r] = s->weights[child->from[r]];
    *config = (struct ballot_config){
        .servers = (enum ballot_servers)s->servers,
        .transport = transports[s->transport],
        .chunk = s->chunk,
        .window = s->window,
        .quorum = s->quorum,
        .liars = s->liars,
        .grace_ms = s->grace_ms,
        .timeout_ms = s->timeout_ms,
        .init_timeout_ms = s->init_timeout_ms,
        .tie = (enum ballot_tie)s->tie,
        .zero = (enum ballot_zero)s->zero,
        .seed = s->seed,
        .weights = s->weights_hash == 0 ? NULL : weights,
        .kept_rounds = s->kept_rounds,
        .count_max = s->count_max,
        .same_voters = s->same_voters != 0,
        .dissent = s->dissent,
        .auth = (enum ballot_auth)s->auth,
        .threads = s->threads,
        .design = (enum ballot_design)s->design,
        .replicas = s->replicas,
        .rule = (enum ballot_rule)s->rule,
        .evidence = (enum ballot_evidence)s->evidence,
        .flip_rate = s->flip_rate,
        .step_count = s->step_count,
    };
}

static int refuse_servers(char *why)
{
    snprintf(why, ERROR_BYTES,
             "a ballot-server counts for one communicator at a time, and goes "
             "on for the old one; give a configuration with servers = "
             "BALLOT_SERVERS_ROOT, or with BALLOT_SERVERS_RANKS where "
             "BALLOT_SERVERS names no server");
    return -EINVAL;
}

static int resolve(struct settings *settings, const struct child *child)
{
    uint8_t weights[BALLOT_RANKS_MAX];
    struct ballot_config inherited;
    const struct ballot_config *config = child->config;
    size_t used;
    int rc;

    if (config == NULL && child->parent->settings.dedicated > 0)
        return refuse_servers(child->why);
    if (config == NULL) {
        inherit(&inherited, weights, child);
        config = &inherited;
    }
    rc = settings_resolve(settings, config, (int)child->ranks, child->why);
    used = strlen(child->why);
    if (rc < 0 && child->config == NULL)
        snprintf(child->why + used, ERROR_BYTES - used,
                 " (as the old communicator is configured; give the new one a "
                 "configuration of its own)");
    if (rc < 0)
        return rc;
    if (settings->dedicated > 0)
        return refuse_servers(child->why);
    if (settings->auth == BALLOT_AUTH_GROUP &&
        child->parent->credentials.none) {
        snprintf(child->why, ERROR_BYTES,
                 "auth=group needs a secret, and the old communicator was made "
                 "without one; set BALLOT_KEY_FILE when that is made");
        return -EACCES;
    }
    return 0;
}

static int create(struct ballot_comm **made, const struct child *child)
{
    struct ballot_comm *comm;
    int rc = comm_create(&comm, child->rank, child->ranks, child->why);

    if (rc < 0)
        return rc;
    comm->child = true;
    rc = resolve(&comm->settings, child);
    if (rc == 0)
        rc = comm_settle(comm, child->why);
    if (rc < 0) {
        comm_destroy(comm);
        return rc;
    }
    *made = comm;
    return 0;
}

int child_check(const struct child *child)
{
    struct ballot_comm *comm;
    int rc = create(&comm, child);

    if (rc == 0)
        comm_destroy(comm);
    return rc;
}

uint64_t child_deadline_ns(const struct ballot_comm *parent,
                           const struct ballot_config *config)
{
    uint64_t ms = config != NULL && config->init_timeout_ms != 0
                      ? config->init_timeout_ms
                      : parent->settings.init_timeout_ms;

    return clock_now_ns() + ms * MS_NS;
}

/* ---- Where its ranks meet ---- */

/* Whoever has the parent's secret, and nobody who hears the salt. */
static void derive(struct credentials *credentials, const struct child *child)
{
    static const char purpose[] = "ballot: a communicator made of another";
    const struct credentials *parent = &child->parent->credentials;
    crypto_generichash_state state;

    *credentials = (struct credentials){.none = parent->none};
    if (parent->none)
        return;
    crypto_generichash_init(&state, parent->key, KEY_BYTES, KEY_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)purpose,
                              sizeof(purpose));
    crypto_generichash_update(&state, child->place.salt, SALT_BYTES);
    crypto_generichash_final(&state, credentials->key, KEY_BYTES);
    explicit_bzero(&state, sizeof(state));
}

int child_listen(struct child *child, struct bootstrap_root **root)
{
    const struct ballot_comm *parent = child->parent;
    struct credentials credentials;
    struct sockaddr_storage address;
    socklen_t bytes;
    int rc;

    if (sodium_init() < 0)
        return -EIO;
    randombytes_buf(child->place.salt, SALT_BYTES);
    derive(&credentials, child);
    /* That of the route to where the parent's ranks have met. */
    rc = bootstrap_local_address(variable("BALLOT_SOCKET_IFNAME"),
                                 (const struct sockaddr *)&parent->root,
                                 parent->root_bytes, &address, &bytes,
                                 child->why);
    if (rc == 0)
        rc = bootstrap_root_open(root, (const struct sockaddr *)&address, bytes,
                                 &credentials, 0, child->deadline_ns,
                                 child->why);
    explicit_bzero(&credentials, sizeof(credentials));
    if (rc < 0)
        return rc;
    bootstrap_root_address(*root, &address, &bytes);
    child->place.address_bytes = bytes;
    memcpy(child->place.address, &address, bytes);
    return 0;
}

bool child_knows_place(const struct child *child)
{
    const struct gathering_place *place = &child->place;
    struct sockaddr_storage address = {0};

    if (place->address_bytes > PLACE_ADDRESS_BYTES)
        return false;
    memcpy(&address, place->address, place->address_bytes);
    return (address.ss_family == AF_INET &&
            place->address_bytes == sizeof(struct sockaddr_in)) ||
           (address.ss_family == AF_INET6 &&
            place->address_bytes == sizeof(struct sockaddr_in6));
}

uint64_t child_leave(struct bootstrap_root *root)
{
    uint64_t strangers = root == NULL ? 0 : bootstrap_root_strangers(root);

    bootstrap_root_close(root);
    return strangers;
}

/* ---- Joining ---- */

static int join(struct ballot_comm *comm, const struct child *child)
{
    uint32_t configured_ms = comm->settings.init_timeout_ms;
    struct sockaddr_storage root = {0};
    uint64_t now_ns = clock_now_ns();
    int rc;

    if (now_ns >= child->deadline_ns)
        return -ETIMEDOUT;
    memcpy(&root, child->place.address, child->place.address_bytes);
    derive(&comm->credentials, child);
    comm->settings.init_timeout_ms =
        (uint32_t)((child->deadline_ns - now_ns) / MS_NS) + 1;
    rc = comm_begin(comm, (const struct sockaddr *)&root,
                    child->place.address_bytes, child->parent->membership->bell,
                    child->why);
    comm->settings.init_timeout_ms = configured_ms;
    return rc;
}

int child_join(struct ballot_comm **made, const struct child *child)
{
    struct ballot_comm *comm;
    int rc = create(&comm, child);

    if (rc < 0)
        return rc;
    rc = join(comm, child);
    if (rc < 0)
        comm_destroy(comm);
    else
        *made = comm;
    return rc;
}

void child_discard(struct ballot_comm *made)
{
    if (made == NULL)
        return;
    atomic_store(&made->aborted, true); /* nobody is told goodbye */
    comm_end(made);
}
