/* SPDX-License-Identifier: Apache-2.0 */
/* init.c - the calls that join a process to a communicator. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/bootstrap.h"
#include "comm.h"
#include "roots.h"

/* A rank's, as it is configured. */
static int create(struct ballot_comm **out, int ranks, int rank,
                  const struct ballot_config *config, char *why)
{
    struct ballot_comm *comm;
    int rc = comm_create(&comm, (uint32_t)rank, (uint32_t)ranks, why);

    if (rc < 0)
        return rc;
    rc = settings_resolve(&comm->settings, config, ranks, why);
    if (rc == 0)
        rc = comm_settle(comm, why);
    if (rc < 0) {
        comm_destroy(comm);
        return rc;
    }
    *out = comm;
    return 0;
}

/* Where ranks meet: at the first dedicated server, if there is one. */
static int init(struct ballot_comm **out, struct ballot_comm *comm,
                struct place *place, char *why)
{
    int rc = 0;

    comm->credentials = place->credentials;
    if (comm->settings.dedicated > 0)
        rc = bootstrap_parse(comm->settings.meeting, &place->address,
                             &place->address_bytes, why);
    if (rc == 0)
        rc = comm_begin(comm, (const struct sockaddr *)&place->address,
                        place->address_bytes, -1, why);
    if (rc < 0) {
        comm_destroy(comm);
        return rc;
    }
    *out = comm;
    return 0;
}

static int check_size(int ranks, int rank)
{
    if (ranks >= 1 && ranks <= BALLOT_RANKS_MAX && rank >= 0 && rank < ranks)
        return 0;
    report_thread("rank %d of %d: there must be 1 to %d ranks, counted from 0",
                  rank, ranks, BALLOT_RANKS_MAX);
    return -EINVAL;
}

static int fail(int rc, const char *what, const char *why)
{
    report_thread("%s: %s", what, why[0] != '\0' ? why : strerror(-rc));
    return rc;
}

int ballot_comm_init_rank(struct ballot_comm **comm, int ranks,
                          const struct ballot_unique_id *id, int rank,
                          const struct ballot_config *config)
{
    char why[ERROR_BYTES] = "";
    struct ballot_comm *made;
    struct place place;
    uint64_t strangers;
    int rc;

    if (comm == NULL || id == NULL)
        return -EINVAL;
    rc = check_size(ranks, rank);
    if (rc < 0)
        return rc;
    rc = roots_read_id(id, &place, why);
    if (rc == 0)
        rc = create(&made, ranks, rank, config, why);
    if (rc == 0)
        rc = init(comm, made, &place, why);
    strangers = roots_leave(id);
    if (rc < 0)
        return fail(rc, "init", why);
    (*comm)->strangers = strangers;
    return 0;
}

int ballot_comm_init_env(struct ballot_comm **comm,
                         const struct ballot_config *config)
{
    char why[ERROR_BYTES] = "";
    struct bootstrap_root *root = NULL;
    struct ballot_comm *made = NULL;
    struct place place;
    int ranks, rank, rc;

    if (comm == NULL)
        return -EINVAL;
    rc = roots_read_launch(&ranks, &rank, why);
    if (rc < 0)
        return fail(rc, "init", why);
    rc = check_size(ranks, rank);
    if (rc < 0)
        return rc;
    rc = create(&made, ranks, rank, config, why);
    if (rc == 0) {
        rc = roots_read_place(&place,
                              made->settings.dedicated > 0
                                  ? made->settings.meeting
                                  : getenv("BALLOT_ROOT"),
                              made->settings.auth, rank, why);
        if (rc == 0 && rank == 0 && made->settings.dedicated == 0)
            rc = bootstrap_root_open(
                &root, (struct sockaddr *)&place.address, place.address_bytes,
                &place.credentials, 0,
                engine_now() +
                    (uint64_t)made->settings.init_timeout_ms * 1000000,
                why);
        if (rc < 0)
            comm_destroy(made);
        else
            rc = init(comm, made, &place, why);
    }
    if (rc == 0 && root != NULL)
        (*comm)->strangers = bootstrap_root_strangers(root);
    bootstrap_root_close(root);
    return rc < 0 ? fail(rc, "init", why) : 0;
}
