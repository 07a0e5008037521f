/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statements.c - the last word of each rank on a shrink, at all others.
 *
 * A statement is put again only when the last one was acknowledged, so no rank
 * reads one that is being written, and none is put more often than it is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "membership.h"

/* A bell that is rung again is still rung. */
static void ring(struct membership *m)
{
    if (m->bell >= 0 && !m->alarmed)
        eventfd_write(m->bell, 1);
    m->alarmed = true;
}

int membership_open(struct ballot_comm *comm)
{
    struct membership *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return -ENOMEM;
    m->bell = -1;
    m->members = calloc(comm->ranks, sizeof(*m->members));
    if (m->members == NULL) {
        free(m);
        return -ENOMEM;
    }
    comm->membership = m;
    return 0;
}

void membership_close(struct ballot_comm *comm)
{
    if (comm->membership == NULL)
        return;
    free(comm->membership->members);
    free(comm->membership);
    comm->membership = NULL;
}

/* ---- A call ---- */

static int refuse(struct ballot_comm *comm, const char *name, int bell)
{
    if (atomic_load(&comm->aborted)) {
        report_error(comm, "%s: ballot_comm_abort() was called on this rank",
                     name);
        return -ECANCELED;
    }
    if (comm->membership->busy) {
        report_error(comm,
                     "%s: another thread makes a communicator of this one; "
                     "wait until it has returned",
                     name);
        return -EBUSY;
    }
    if (bell < 0) {
        report_error(comm, "%s: %s; raise the limit of open files (ulimit -n)",
                     name, strerror(-bell));
        return bell;
    }
    return 0;
}

int membership_begin(struct ballot_comm *comm, const char *name, bool shrinks)
{
    struct membership *m = comm->membership;
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), rc;

    if (bell < 0)
        bell = -errno;
    engine_lock();
    rc = refuse(comm, name, bell);
    if (rc == 0) {
        m->busy = true;
        m->shrinks = shrinks;
        m->bell = bell;
        m->alarmed = false;
    }
    engine_unlock();
    if (rc < 0 && bell >= 0)
        close(bell);
    return rc;
}

void membership_end(struct ballot_comm *comm)
{
    struct membership *m = comm->membership;

    engine_lock();
    close(m->bell);
    m->bell = -1;
    m->busy = m->shrinks = false;
    engine_unlock();
}

void membership_calm(struct ballot_comm *comm)
{
    eventfd_t count;

    if (comm->membership->alarmed)
        eventfd_read(comm->membership->bell, &count);
    comm->membership->alarmed = false;
}

/* A communicator that has failed can be shrunk all the same. */
void membership_wake(struct ballot_comm *comm, bool lost)
{
    struct membership *m = comm->membership;

    if (m == NULL || !m->busy)
        return;
    if (lost || !m->shrinks)
        ring(m);
    atomic_store(&m->news, true);
    engine_announce();
}

/* ---- Speaking ---- */

static uint32_t slot_of(const struct ballot_comm *comm, enum control control)
{
    return lane_first(comm->settings.window, LANE_CONTROL) + control;
}

static bool put(struct ballot_comm *comm, uint32_t peer, enum control control,
                uint32_t version, const struct statement *statement)
{
    const struct link *link = &comm->links[peer];
    uint32_t slot = slot_of(comm, control), bytes = LINE_BYTES;
    uint8_t *place = link_stage(link, slot);
    struct header header = {
        .magic = HEADER_MAGIC,
        .epoch = comm->epoch,
        .sequence = version,
        .kind = HEADER_CONTROL,
    };

    if (place == NULL)
        return false;
    memcpy(place, &header, sizeof(header));
    if (statement != NULL) {
        memcpy(place + LINE_BYTES, statement, sizeof(*statement));
        bytes = STATEMENT_BYTES;
    }
    if (link_put(link, slot, bytes) < 0)
        return false;
    comm->control_puts++;
    comm->control_bytes += bytes;
    return true;
}

/* If that peer is to know ours, does not, and has read what it was told. */
static void tell(struct ballot_comm *comm, uint32_t peer)
{
    struct membership *m = comm->membership;
    struct member_state *member = &m->members[peer];

    if (peer == comm->rank || !mask_has(&m->audience, peer) ||
        comm->links[peer].lost || member->told == m->ours.version ||
        member->told != member->heard)
        return;
    if (put(comm, peer, CONTROL_STATEMENT, m->ours.version, &m->ours))
        member->told = m->ours.version;
    else
        m->unsaid = true;
}

static void acknowledge(struct ballot_comm *comm, uint32_t peer)
{
    struct member_state *member = &comm->membership->members[peer];

    if (member->owed == 0)
        return;
    if (put(comm, peer, CONTROL_HEARD, member->owed, NULL))
        member->owed = 0;
    else
        comm->membership->unsaid = true;
}

/* A slot may be leaving still when its answer has come. */
void membership_retry(struct ballot_comm *comm)
{
    struct membership *m = comm->membership;

    if (m == NULL || !m->unsaid)
        return;
    m->unsaid = false;
    for (uint32_t r = 0; r < comm->ranks; r++) {
        if (comm->links[r].lost)
            m->members[r].owed = 0;
        acknowledge(comm, r);
        tell(comm, r);
    }
}

void membership_tell(struct ballot_comm *comm)
{
    for (uint32_t r = 0; r < comm->ranks; r++)
        tell(comm, r);
}

void membership_state(struct ballot_comm *comm)
{
    comm->membership->ours.version++;
    membership_tell(comm);
}

/* ---- Hearing ---- */

static bool is_valid(const struct ballot_comm *comm, const struct statement *s)
{
    return s->phase < PHASES && s->leader < comm->ranks &&
           s->place.address_bytes <= PLACE_ADDRESS_BYTES && s->result <= 0;
}

/* Whether they know of somebody who is gone and we do not. */
static bool widens(const struct membership *m, const struct statement *s)
{
    for (size_t w = 0; w < RANKS_MAX / 64; w++)
        if ((s->gone.words[w] & ~m->ours.gone.words[w]) != 0)
            return true;
    return false;
}

/* Whether it makes the attempt void that we join, or lead. */
static bool disturbs(const struct membership *m, uint32_t peer,
                     const struct statement *s)
{
    bool same = s->leader == m->leader && s->attempt == m->attempt;

    if (s->call != m->ours.call || mask_has(&m->ours.gone, peer))
        return false;
    if (s->phase == PHASE_FAILED || widens(m, s))
        return true;
    if (peer == m->leader)
        return s->phase != PHASE_INVITES || !same;
    return m->ours.phase == PHASE_INVITES && s->phase == PHASE_HERE && same;
}

static void hear(struct ballot_comm *comm, uint32_t peer,
                 const struct event *event, const struct header *header)
{
    struct membership *m = comm->membership;
    struct statement s;

    memcpy(&s, (const uint8_t *)event->memory + LINE_BYTES, sizeof(s));
    if (!is_valid(comm, &s)) {
        comm->control_dropped++;
        return;
    }
    m->members[peer].theirs = s;
    m->members[peer].owed = (uint32_t)header->sequence;
    acknowledge(comm, peer);
    if (m->shrinks) {
        if (disturbs(m, peer, &s))
            ring(m);
        atomic_store(&m->news, true);
        engine_announce();
    } else if (s.call == m->ours.call && s.phase != PHASE_DONE &&
               s.phase != PHASE_FAILED) {
        /* It asks how that ended, whose leader has died since. */
        mask_set(&m->audience, peer);
        tell(comm, peer);
    }
}

void membership_arrived(struct ballot_comm *comm, const struct event *event,
                        enum control control)
{
    struct membership *m = comm->membership;
    uint32_t expected =
        control == CONTROL_STATEMENT ? STATEMENT_BYTES : LINE_BYTES;
    struct header header;

    memcpy(&header, event->memory, sizeof(header));
    if (m == NULL || event->peer >= comm->ranks || event->bytes != expected ||
        header.magic != HEADER_MAGIC || header.kind != HEADER_CONTROL ||
        header.epoch != comm->epoch) {
        comm->control_dropped++;
        return;
    }
    if (control == CONTROL_STATEMENT) {
        hear(comm, event->peer, event, &header);
        return;
    }
    if (header.sequence == m->members[event->peer].told)
        m->members[event->peer].heard = (uint32_t)header.sequence;
    tell(comm, event->peer);
}
