/* SPDX-License-Identifier: Apache-2.0 */
/* init.c - the calls that join a process to a communicator. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/ballot_bindings.h"
#include "../transport/bootstrap.h"
#include "comm.h"
#include "invitation.h"
#include "meeting.h"

enum { COUNT_MS = 60000 }; /* for a launcher to say how many ranks there are */

#define MS_NS UINT64_C(1000000)

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
                struct place *place, int bell, char *why)
{
    int rc = 0;

    comm->credentials = place->credentials;
    if (comm->settings.dedicated > 0)
        rc = bootstrap_parse(comm->settings.meeting, &place->address,
                             &place->address_bytes, why);
    if (rc == 0)
        rc = comm_begin(comm, (const struct sockaddr *)&place->address,
                        place->address_bytes, bell, why);
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

int ballot_comm_init_rank_until(struct ballot_comm **comm, int ranks,
                                const struct ballot_unique_id *id, int rank,
                                const struct ballot_config *config, int bell)
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
    if (rc == 0) {
        rc = roots_open_known(id, &place, made->settings.auth, rank,
                              rank == 0 && made->settings.dedicated == 0, why);
        if (rc == 0)
            rc = init(comm, made, &place, bell, why);
        else
            comm_destroy(made);
    }
    strangers = roots_leave(id);
    if (rc < 0)
        return fail(rc, "init", why);
    (*comm)->strangers = strangers;
    return 0;
}

int ballot_comm_init_rank(struct ballot_comm **comm, int ranks,
                          const struct ballot_unique_id *id, int rank,
                          const struct ballot_config *config)
{
    return ballot_comm_init_rank_until(comm, ranks, id, rank, config, -1);
}

/* A rank of a process that a launcher has started. */
static int init_launched(struct ballot_comm **comm,
                         const struct launcher *launcher,
                         const struct ballot_config *config, char *why)
{
    struct ballot_comm *made;
    struct meeting meeting;
    int rc = create(&made, launcher->ranks, launcher->rank, config, why);

    if (rc < 0)
        return rc;
    rc = meeting_open(
        &meeting, launcher,
        made->settings.dedicated > 0 ? made->settings.meeting : NULL,
        made->settings.auth,
        clock_now_ns() + made->settings.init_timeout_ms * MS_NS, why);
    if (rc < 0)
        comm_destroy(made);
    else
        rc = init(comm, made, &meeting.place, -1, why);
    if (rc == 0)
        (*comm)->strangers = meeting_close(&meeting);
    else
        meeting_close(&meeting);
    return rc;
}

int ballot_comm_init_env(struct ballot_comm **comm,
                         const struct ballot_config *config)
{
    char why[ERROR_BYTES] = "";
    struct launcher launcher;
    int rc;

    if (comm == NULL)
        return -EINVAL;
    rc = launcher_read(&launcher, why);
    if (rc == 0)
        rc = meeting_count(&launcher, clock_now_ns() + COUNT_MS * MS_NS, why);
    if (rc < 0)
        return fail(rc, "init", why);
    rc = check_size(launcher.ranks, launcher.rank);
    if (rc < 0)
        return rc;
    rc = init_launched(comm, &launcher, config, why);
    return rc < 0 ? fail(rc, "init", why) : 0;
}

/* ---- By an allgather of the caller's ---- */

/* What all said: -EPROTO where somebody cannot go on, or means another job. */
static int check_invitations(const struct invitation *table, int ranks,
                             int rank, char *why)
{
    for (int r = 0; r < ranks; r++) {
        if (table[r].status != 0)
            snprintf(why, ERROR_BYTES, "rank %d cannot take part: %.*s", r,
                     INVITATION_WHY_BYTES - 1, table[r].why);
        else if (table[r].ranks != ranks)
            snprintf(why, ERROR_BYTES,
                     "rank %d says that there are %d ranks, and rank %d that "
                     "there are %d; or the allgather mixes up who said what",
                     r, table[r].ranks, rank, ranks);
        else
            continue;
        return -EPROTO;
    }
    return 0;
}

/* Says whether we can go on, and hears whether all can; `ours` has rank 0's id
 * then. rc is the error that stops us, or 0. */
static int gather_invitations(struct invitation *ours, int ranks, int rank,
                              int (*allgather)(const void *, void *, size_t,
                                               void *),
                              void *context, int rc, char *why)
{
    struct invitation *table = calloc((size_t)ranks, sizeof(*table));
    int gathered;

    if (table == NULL)
        return -ENOMEM;
    ours->status = rc;
    ours->ranks = ranks;
    snprintf(ours->why, INVITATION_WHY_BYTES, "%.*s", INVITATION_WHY_BYTES - 1,
             why[0] != '\0' || rc == 0 ? why : strerror(-rc));
    gathered = allgather(ours, table, sizeof(*ours), context);
    if (gathered != 0 && rc == 0) {
        rc = gathered < 0 ? gathered : -EPROTO;
        snprintf(why, ERROR_BYTES, "the caller's allgather returned %d",
                 gathered);
    }
    if (rc == 0)
        rc = check_invitations(table, ranks, rank, why);
    if (rc == 0)
        ours->id = table[0].id;
    explicit_bzero(table, (size_t)ranks * sizeof(*table));
    free(table);
    return rc;
}

int ballot_comm_init_allgather(struct ballot_comm **comm, int ranks, int rank,
                               int (*allgather)(const void *send, void *recv,
                                                size_t bytes, void *context),
                               void *context,
                               const struct ballot_config *config)
{
    struct invitation ours = {.status = 0};
    struct ballot_unique_id listening = {{0}};
    char why[ERROR_BYTES] = "";
    struct ballot_comm *made = NULL;
    struct place place;
    uint64_t strangers;
    int rc;

    if (comm == NULL || allgather == NULL)
        return -EINVAL;
    rc = check_size(ranks, rank);
    if (rc < 0)
        return rc;
    rc = create(&made, ranks, rank, config, why);
    if (rc == 0 && rank == 0)
        rc = roots_listen(&listening, false, why);
    ours.id = listening;
    rc = gather_invitations(&ours, ranks, rank, allgather, context, rc, why);
    if (rc == 0)
        rc = roots_read_id(&ours.id, &place, why);
    if (rc == 0)
        rc = init(comm, made, &place, -1, why);
    else if (made != NULL)
        comm_destroy(made);
    strangers = roots_leave(&listening);
    explicit_bzero(&ours, sizeof(ours));
    if (rc < 0)
        return fail(rc, "init", why);
    (*comm)->strangers = strangers;
    return 0;
}
