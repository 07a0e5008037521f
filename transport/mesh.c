/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.c - connects with all wanted peers at once, from one poll() loop. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "clock.h"
#include "dialer.h"
#include "lobby.h"
#include "mesh.h"
#include "stream.h"

struct mesh {
    const struct mesh_config *config;
    struct mesh_peer *peers;
    uint32_t missing;       /* wanted peers without a connection */
    uint32_t dialers_count; /* [i] dials rank i; only wanted ones are used */
    struct dialer *dialers;
    struct lobby lobby;
    struct pollfd *polls; /* the lobby's, one for each dialer, the bell's */
};

static uint32_t count_wanted(const struct mesh_config *config,
                             struct mesh_peer *peers)
{
    uint32_t wanted = 0;

    assert(!peers[config->handshake.rank].wanted);
    for (uint32_t i = 0; i < config->handshake.ranks; i++) {
        if (!peers[i].wanted)
            continue;
        peers[i].descriptor = -1;
        wanted++;
    }
    return wanted;
}

static int open_mesh(struct mesh *mesh)
{
    const struct handshake_config *handshake = &mesh->config->handshake;
    uint32_t places = LOBBY_STRANGERS_MAX + mesh->missing;

    mesh->dialers_count = handshake->rank;
    mesh->dialers = calloc(handshake->rank + 1u, sizeof(*mesh->dialers));
    mesh->polls = calloc(places + 2u + handshake->rank, sizeof(*mesh->polls));
    if (mesh->dialers == NULL || mesh->polls == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < mesh->dialers_count; i++)
        dialer_start(&mesh->dialers[i],
                     (const struct sockaddr *)&mesh->peers[i].address,
                     mesh->peers[i].address_bytes, handshake);
    return lobby_open(&mesh->lobby, mesh->config->listener, places, handshake);
}

static void close_mesh(struct mesh *mesh)
{
    if (mesh->lobby.guests != NULL)
        lobby_close(&mesh->lobby);
    if (mesh->dialers != NULL)
        for (uint32_t i = 0; i < mesh->dialers_count; i++)
            dialer_stop(&mesh->dialers[i]);
    free(mesh->polls);
    free(mesh->dialers);
}

static void keep(struct mesh *mesh, uint32_t rank, int descriptor)
{
    mesh->peers[rank].descriptor = descriptor;
    mesh->peers[rank].wanted = false;
    mesh->missing--;
}

static bool admit(void *context, struct handshake *handshake)
{
    struct mesh *mesh = context;
    uint32_t rank = handshake->peer;
    short events;

    if (rank <= handshake->config.rank || !mesh->peers[rank].wanted)
        return false;
    /* READY fits the empty send buffer, so there is nothing to wait for. */
    if (handshake_step(handshake, &events) != HANDSHAKE_DONE)
        return false;
    keep(mesh, rank, handshake->descriptor);
    return true;
}

/* Whether a dialer has a descriptor to wait for. Only these are given to
 * poll(), which refuses more entries than the process may have descriptors. */
static bool waits(const struct mesh *mesh, uint32_t rank)
{
    return mesh->peers[rank].wanted && mesh->dialers[rank].descriptor >= 0;
}

static void move_dialers(struct mesh *mesh, const struct pollfd *polls,
                         uint64_t now_ns)
{
    for (uint32_t i = 0; i < mesh->dialers_count; i++) {
        struct dialer *dialer = &mesh->dialers[i];
        bool ready = waits(mesh, i) && (polls++)->revents != 0;

        if (!mesh->peers[i].wanted || (!ready && now_ns < dialer->due_ns))
            continue;
        if (!dialer_move(dialer, now_ns))
            continue;
        if (dialer->handshake.peer == i)
            keep(mesh, i, dialer_take(dialer));
        else /* the address is another rank's */
            dialer_stop(dialer);
    }
}

/* Until when nothing has to be done unless a descriptor says so. */
static uint64_t next_due_ns(const struct mesh *mesh, uint64_t now_ns)
{
    uint64_t due_ns = lobby_due_ns(&mesh->lobby, now_ns);

    if (mesh->config->deadline_ns < due_ns)
        due_ns = mesh->config->deadline_ns;
    for (uint32_t i = 0; i < mesh->dialers_count; i++)
        if (mesh->peers[i].wanted && mesh->dialers[i].due_ns < due_ns)
            due_ns = mesh->dialers[i].due_ns;
    return due_ns;
}

/* Waits until something can move, and at most until the deadline. *guests is
 * how many of mesh->polls are the lobby's. */
static int wait_all(struct mesh *mesh, uint64_t now_ns, uint32_t *guests)
{
    uint32_t count = lobby_watch(&mesh->lobby, mesh->polls, now_ns);

    *guests = count;
    for (uint32_t i = 0; i < mesh->dialers_count; i++)
        if (waits(mesh, i))
            mesh->polls[count++] = (struct pollfd){
                .fd = mesh->dialers[i].descriptor,
                .events = mesh->dialers[i].events,
            };
    if (mesh->config->bell != NULL)
        mesh->polls[count++] = (struct pollfd){
            .fd = *mesh->config->bell,
            .events = POLLIN,
        };
    if (poll(mesh->polls, count,
             stream_wait_ms(now_ns, next_due_ns(mesh, now_ns))) >= 0)
        return mesh->config->bell != NULL && mesh->polls[count - 1].revents != 0
                   ? -ECANCELED
                   : 0;
    if (errno != EINTR)
        return -errno;
    for (uint32_t i = 0; i < count; i++)
        mesh->polls[i].revents = 0;
    return 0;
}

/* Without descriptors nobody can be reached, which has a cure of its own. */
static int late(const struct mesh *mesh, uint64_t now_ns)
{
    for (uint32_t i = 0; i < mesh->dialers_count; i++)
        if (mesh->peers[i].wanted && (mesh->dialers[i].error == -EMFILE ||
                                      mesh->dialers[i].error == -ENFILE))
            return -EMFILE;
    return now_ns < mesh->lobby.resume_ns ? -EMFILE : -ETIMEDOUT;
}

/* One look at everything, also if the deadline has passed already. */
static int turn(struct mesh *mesh)
{
    uint64_t now_ns = clock_now_ns();
    bool last = now_ns >= mesh->config->deadline_ns;
    uint32_t guests;
    int result = wait_all(mesh, now_ns, &guests);

    if (result < 0)
        return result;
    now_ns = clock_now_ns();
    result = lobby_move(&mesh->lobby, mesh->polls, now_ns, admit, mesh);
    if (result < 0)
        return result;
    move_dialers(mesh, mesh->polls + guests, now_ns);
    return last && mesh->missing > 0 ? late(mesh, now_ns) : 0;
}

int mesh_connect(const struct mesh_config *config, struct mesh_peer *peers,
                 uint64_t *strangers)
{
    struct mesh mesh = {
        .config = config,
        .peers = peers,
        .missing = count_wanted(config, peers),
    };
    int result = open_mesh(&mesh);

    while (result == 0 && mesh.missing > 0)
        result = turn(&mesh);
    close_mesh(&mesh);
    *strangers += mesh.lobby.strangers;
    return result;
}
