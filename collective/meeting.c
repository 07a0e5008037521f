/* SPDX-License-Identifier: Apache-2.0 */
/* meeting.c - where processes that a launcher has started meet. */
#include "meeting.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/bootstrap.h"
#include "../transport/variable.h"
#include "comm.h"
#include "invitation.h"
#include "pmi.h"
#include "pmix.h"

_Static_assert(sizeof(struct invitation) <= PMI_SHARE_BYTES_MAX &&
                   sizeof(struct invitation) <= PMIX_SHARE_BYTES_MAX,
               "launchers carry an invitation");

/* ---- By the launcher's word ---- */

/* One thread at a time asks the launcher. Once it has carried rank 0's id,
 * every communicator of this process meets there. */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ballot_unique_id shared_id;
static bool shared;

int meeting_count(struct launcher *launcher, uint64_t deadline_ns, char *why)
{
    int rc = 0;

    if (launcher->ranks > 0)
        return 0;
    pthread_mutex_lock(&shared_lock);
    rc = pmix_size(&launcher->ranks, deadline_ns, why);
    pthread_mutex_unlock(&shared_lock);
    return rc;
}

/* Rank 0's invitation to all. */
static int carry(struct invitation *invitation, const struct launcher *l,
                 uint64_t deadline_ns, char *why)
{
    int rc = l->way == MEET_BY_PMI
                 ? pmi_share(invitation, sizeof(*invitation), (uint32_t)l->rank,
                             deadline_ns, why)
                 : pmix_share(invitation, sizeof(*invitation),
                              (uint32_t)l->rank, deadline_ns, why);

    if (rc < 0 || invitation->status == 0)
        return rc;
    invitation->why[INVITATION_WHY_BYTES - 1] = '\0';
    snprintf(why, ERROR_BYTES, "rank 0 cannot listen: %s", invitation->why);
    return invitation->status < 0 ? invitation->status : -EPROTO;
}

/* Asks the launcher; with the lock held. Rank 0 listens then. */
static int learn_id(const struct launcher *l, uint64_t deadline_ns, char *why)
{
    struct invitation invitation = {.ranks = l->ranks};
    char ours[ERROR_BYTES] = "";
    int rc;

    if (l->rank == 0) {
        invitation.status = roots_listen(&invitation.id, l->one_host, ours);
        snprintf(invitation.why, INVITATION_WHY_BYTES, "%.*s",
                 INVITATION_WHY_BYTES - 1, ours);
    }
    rc = carry(&invitation, l, deadline_ns, why);
    if (rc == 0) {
        shared_id = invitation.id;
        shared = true;
    } else if (l->rank == 0) {
        roots_leave(&invitation.id);
    }
    explicit_bzero(&invitation, sizeof(invitation));
    return rc;
}

static int meet_by_id(struct meeting *m, const struct launcher *l,
                      uint64_t deadline_ns, char *why)
{
    int rc = 0;

    pthread_mutex_lock(&shared_lock);
    if (!shared)
        rc = learn_id(l, deadline_ns, why);
    else if (l->rank == 0)
        rc = roots_listen_again(&shared_id, why);
    m->id = shared_id;
    pthread_mutex_unlock(&shared_lock);
    if (rc < 0)
        return rc;
    m->by_id = true;
    rc = roots_read_id(&m->id, &m->place, why);
    if (rc < 0)
        meeting_close(m);
    return rc;
}

/* A job of one has a key all the same: nobody else can join. */
static int meet_alone(struct meeting *m, char *why)
{
    int rc = roots_listen(&m->id, true, why);

    if (rc < 0)
        return rc;
    m->by_id = true;
    return roots_read_id(&m->id, &m->place, why);
}

/* ---- At a place that all know ---- */

static bool is_loopback(const struct place *place)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&place->address;
    const struct sockaddr_in6 *v6 =
        (const struct sockaddr_in6 *)&place->address;

    if (place->address.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* Words that mean nothing but this host. */
static bool says_loopback(const char *root)
{
    return strncmp(root, "127.", 4) == 0 || strncmp(root, "[::1]:", 6) == 0 ||
           strncmp(root, "localhost:", 10) == 0;
}

/*
 * A launcher names hosts, and a host's own name often means its loopback to
 * itself, where no other host finds rank 0. All ranks of that host take the
 * address of its route to others instead, which its name means elsewhere.
 */
static int leave_loopback(struct place *place, char *why)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&place->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&place->address;
    in_port_t port =
        place->address.ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port;
    int rc =
        bootstrap_local_address(variable("BALLOT_SOCKET_IFNAME"), NULL, 0,
                                &place->address, &place->address_bytes, why);

    if (rc == 0 && place->address.ss_family == AF_INET6)
        v6->sin6_port = port;
    else if (rc == 0)
        v4->sin_port = port;
    return rc;
}

static int meet_at_root(struct meeting *m, const struct launcher *l,
                        unsigned auth, uint64_t deadline_ns, char *why)
{
    const char *given = getenv("BALLOT_ROOT");
    bool named = given != NULL && *given != '\0';
    int rc = roots_read_place(&m->place, l->root, auth, l->rank, why);

    if (rc == 0 && !named && !l->one_host && !says_loopback(l->root) &&
        is_loopback(&m->place))
        rc = leave_loopback(&m->place, why);
    if (rc < 0 || l->rank != 0)
        return rc;
    rc = bootstrap_root_open(&m->root, (struct sockaddr *)&m->place.address,
                             m->place.address_bytes, &m->place.credentials, 0,
                             deadline_ns, why);
    /* A job of one may leave the port to the system. */
    if (rc == 0 && l->ranks == 1)
        bootstrap_root_address(m->root, &m->place.address,
                               &m->place.address_bytes);
    return rc;
}

int meeting_open(struct meeting *meeting, const struct launcher *launcher,
                 const char *servers, unsigned auth, uint64_t deadline_ns,
                 char *why)
{
    static const char *const carried[] = {
        [MEET_BY_PMIX] = "an address that its PMIx carries",
        [MEET_BY_PMI] = "an address that its PMI carries",
        [MEET_ALONE] = "an address of this host",
    };
    const char *where = servers != NULL ? servers : launcher->root;
    int rc;

    *meeting = (struct meeting){.by_id = false};
    if (servers == NULL && launcher->way != MEET_AT_ROOT)
        where = carried[launcher->way];
    report_debug(DEBUG_INFO, "rank %d of %d, started by %s; ranks meet at %s",
                 launcher->rank, launcher->ranks, launcher->name, where);
    if (servers != NULL)
        return roots_read_place(&meeting->place, servers, auth, launcher->rank,
                                why);
    if (launcher->way == MEET_AT_ROOT)
        return meet_at_root(meeting, launcher, auth, deadline_ns, why);
    if (launcher->way == MEET_ALONE)
        return meet_alone(meeting, why);
    rc = meet_by_id(meeting, launcher, deadline_ns, why);
    if (rc == -ENOSYS && launcher->root[0] != '\0') {
        report_debug(DEBUG_INFO, "rank %d: %s; ranks meet at %s",
                     launcher->rank, why, launcher->root);
        rc = meet_at_root(meeting, launcher, auth, deadline_ns, why);
    }
    return rc;
}

uint64_t meeting_close(struct meeting *meeting)
{
    uint64_t strangers = 0;

    if (meeting->by_id)
        strangers = roots_leave(&meeting->id);
    if (meeting->root != NULL)
        strangers = bootstrap_root_strangers(meeting->root);
    bootstrap_root_close(meeting->root);
    explicit_bzero(meeting, sizeof(*meeting));
    return strangers;
}
