/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - the transport of the simulation: endpoints of a simulated network. */
#include "sim_network.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static const uint8_t address_magic[8] = "ballsim";

/* ---- Control path -------------------------------------------------------- */

static void free_port(struct port *port)
{
    free(port->out);
    free(port->in);
    free(port->leaving);
    free(port->laps);
    free(port->notices);
}

static int sim_open_endpoint(struct endpoint **endpoint,
                             const struct endpoint_config *config)
{
    struct sim *sim = config->context;
    struct endpoint *made;

    if (config->rank >= config->ranks || config->slots == 0 ||
        config->slot_bytes == 0 || config->slot_bytes % 64 != 0 ||
        sim == NULL || config->ranks > sim->config.ranks)
        return -EINVAL;
    made = calloc(1, sizeof(*made));
    if (made == NULL)
        return -ENOMEM;
    made->sim = sim;
    made->config = *config;
    made->ports = calloc(config->ranks, sizeof(*made->ports));
    made->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->ports == NULL || made->descriptor < 0) {
        int rc = made->ports == NULL ? -ENOMEM : -errno;

        if (made->descriptor >= 0)
            close(made->descriptor);
        free(made->ports);
        free(made);
        return rc;
    }
    pthread_mutex_lock(&sim->lock);
    assert(sim->endpoints[config->rank] == NULL);
    sim->endpoints[config->rank] = made;
    pthread_mutex_unlock(&sim->lock);
    *endpoint = made;
    return 0;
}

static void sim_close_endpoint(struct endpoint *endpoint)
{
    struct sim *sim;

    if (endpoint == NULL)
        return;
    sim = endpoint->sim;
    pthread_mutex_lock(&sim->lock);
    sim->endpoints[endpoint->config.rank] = NULL;
    for (uint32_t p = 0; p < endpoint->config.ranks; p++) {
        if (endpoint->ports[p].state == PORT_UP)
            sim_end_port(sim, p, endpoint->config.rank, -ECONNRESET);
        free_port(&endpoint->ports[p]);
    }
    pthread_cond_broadcast(&sim->changed);
    pthread_mutex_unlock(&sim->lock);
    close(endpoint->descriptor);
    free(endpoint->ports);
    free(endpoint);
}

static int sim_address(struct endpoint *endpoint, struct address *address)
{
    *address = (struct address){0};
    memcpy(address->bytes, address_magic, sizeof(address_magic));
    memcpy(address->bytes + sizeof(address_magic), &endpoint->config.rank,
           sizeof(endpoint->config.rank));
    return 0;
}

static bool address_is(const struct address *address, uint32_t rank)
{
    return memcmp(address->bytes, address_magic, sizeof(address_magic)) == 0 &&
           memcmp(address->bytes + sizeof(address_magic), &rank,
                  sizeof(rank)) == 0;
}

/* Slots are zero at first, so that a run does not depend on what was there. */
static int fill_port(const struct endpoint *endpoint, struct port *port,
                     uint32_t serial)
{
    uint32_t slots = endpoint->config.slots;
    size_t bytes = (size_t)slots * endpoint->config.slot_bytes;

    port->out = aligned_alloc(64, bytes);
    port->in = aligned_alloc(64, bytes);
    port->leaving = calloc(slots, sizeof(*port->leaving));
    port->laps = calloc(slots, sizeof(*port->laps));
    port->notices =
        calloc((size_t)slots * NOTICES_PER_SLOT, sizeof(*port->notices));
    if (port->out == NULL || port->in == NULL || port->leaving == NULL ||
        port->laps == NULL || port->notices == NULL) {
        free_port(port);
        *port = (struct port){0};
        return -ENOMEM;
    }
    memset(port->out, 0, bytes);
    memset(port->in, 0, bytes);
    port->serial = serial;
    port->state = PORT_UP;
    return 0;
}

static int link_locked(struct sim *sim, uint32_t a, uint32_t b)
{
    struct endpoint *one = sim->endpoints[a], *other = sim->endpoints[b];
    uint32_t serial = ++sim->serial;
    int rc;

    if (one == NULL || other == NULL ||
        one->config.slots != other->config.slots ||
        one->config.slot_bytes != other->config.slot_bytes)
        return -EINVAL;
    if (one->ports[b].state != PORT_NONE || other->ports[a].state != PORT_NONE)
        return -EISCONN;
    rc = fill_port(one, &one->ports[b], serial);
    if (rc == 0 && a != b)
        rc = fill_port(other, &other->ports[a], serial);
    return rc;
}

int sim_link(struct sim *sim, uint32_t a, uint32_t b)
{
    int rc;

    pthread_mutex_lock(&sim->lock);
    rc = link_locked(sim, a, b);
    pthread_mutex_unlock(&sim->lock);
    return rc;
}

/* Links with all who are connecting too and want us; returns whom that leaves,
 * or a negative errno. */
static int link_wanted(struct endpoint *endpoint)
{
    struct sim *sim = endpoint->sim;
    uint32_t rank = endpoint->config.rank;
    int left = 0;

    for (uint32_t p = 0; p < endpoint->config.ranks; p++) {
        const struct endpoint *peer = sim->endpoints[p];
        int rc;

        if (!endpoint->wanted[p])
            continue;
        if (peer == NULL || peer->wanted == NULL || !peer->wanted[rank] ||
            peer->config.epoch != endpoint->config.epoch) {
            left++;
            continue;
        }
        rc = link_locked(sim, rank, p);
        if (rc < 0)
            return rc;
        peer->wanted[rank] = false;
        endpoint->wanted[p] = false;
        pthread_cond_broadcast(&sim->changed);
    }
    return left;
}

static int sim_connect(struct endpoint *endpoint, const struct address *table,
                       bool *wanted, uint32_t epoch, uint64_t deadline_ns)
{
    struct sim *sim = endpoint->sim;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    int rc, late = 0;

    for (uint32_t p = 0; p < endpoint->config.ranks; p++)
        if (wanted[p] && !address_is(&table[p], p))
            return -EINVAL;
    pthread_mutex_lock(&sim->lock);
    endpoint->config.epoch = epoch;
    endpoint->wanted = wanted;
    while ((rc = link_wanted(endpoint)) > 0 && late == 0)
        late = pthread_cond_timedwait(&sim->changed, &sim->lock, &deadline);
    endpoint->wanted = NULL;
    pthread_mutex_unlock(&sim->lock);
    return rc > 0 ? -late : rc;
}

/* ---- Data path ----------------------------------------------------------- */

/* A link that ended can be staged for until its loss was reported. */
static bool linked(const struct port *port)
{
    return port->state == PORT_UP || port->state == PORT_ENDED;
}

static void *sim_stage(struct endpoint *endpoint, uint32_t peer, uint32_t slot)
{
    const struct port *port = &endpoint->ports[peer];
    void *place = NULL;

    assert(slot < endpoint->config.slots);
    pthread_mutex_lock(&endpoint->sim->lock);
    if (linked(port) && !port->leaving[slot])
        place = sim_slot_in(endpoint, port->out, slot);
    pthread_mutex_unlock(&endpoint->sim->lock);
    return place;
}

static int sim_put(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                   uint32_t bytes)
{
    const struct port *port = &endpoint->ports[peer];
    int rc = 0;

    assert(slot < endpoint->config.slots && bytes >= 64 && bytes % 8 == 0 &&
           bytes <= endpoint->config.slot_bytes);
    pthread_mutex_lock(&endpoint->sim->lock);
    if (!linked(port))
        rc = -ENOTCONN;
    else if (port->leaving[slot])
        rc = -EBUSY;
    else
        sim_send(endpoint->sim, endpoint->config.rank, peer, slot, bytes);
    pthread_mutex_unlock(&endpoint->sim->lock);
    return rc;
}

/* Takes one event of the peer, if it has one. */
static bool take(struct endpoint *endpoint, uint32_t peer, struct event *event)
{
    struct port *port = &endpoint->ports[peer];
    struct notice *notice;

    if (port->count == 0) {
        if (port->state != PORT_ENDED)
            return false;
        port->state = PORT_GONE;
        endpoint->waiting--;
        *event = (struct event){
            .kind = EVENT_LOST, .peer = peer, .reason = port->reason};
        return true;
    }
    notice = &port->notices[port->head];
    port->head = (port->head + 1) % (endpoint->config.slots * NOTICES_PER_SLOT);
    port->count--;
    endpoint->waiting--;
    *event = (struct event){
        .kind = EVENT_ARRIVED,
        .peer = peer,
        .slot = notice->slot,
        .bytes = notice->bytes,
        .memory = sim_slot_in(endpoint, port->in, notice->slot),
    };
    return true;
}

static int sim_poll(struct endpoint *endpoint, struct event *events, int max)
{
    uint32_t ranks = endpoint->config.ranks;
    eventfd_t ignored;
    int count = 0;

    pthread_mutex_lock(&endpoint->sim->lock);
    if (endpoint->rung)
        (void)eventfd_read(endpoint->descriptor, &ignored);
    endpoint->armed = false;
    endpoint->rung = false;
    /* One event of each peer in turn. */
    while (count < max && endpoint->waiting > 0) {
        uint32_t peer = endpoint->next_peer;

        endpoint->next_peer = (peer + 1) % ranks;
        if (take(endpoint, peer, &events[count]))
            count++;
    }
    pthread_mutex_unlock(&endpoint->sim->lock);
    return count;
}

static int sim_arm(struct endpoint *endpoint)
{
    int rc = endpoint->descriptor;

    pthread_mutex_lock(&endpoint->sim->lock);
    if (sim_has_event(endpoint->sim, endpoint->config.rank))
        rc = -EAGAIN;
    else
        endpoint->armed = true;
    pthread_mutex_unlock(&endpoint->sim->lock);
    return rc;
}

static bool sim_busy(struct endpoint *endpoint)
{
    bool busy = false;

    pthread_mutex_lock(&endpoint->sim->lock);
    for (uint32_t p = 0; p < endpoint->config.ranks; p++) {
        const struct port *port = &endpoint->ports[p];

        for (uint32_t s = 0;
             port->state == PORT_UP && s < endpoint->config.slots; s++)
            busy |= port->leaving[s];
    }
    pthread_mutex_unlock(&endpoint->sim->lock);
    return busy;
}

static void sim_drop(struct endpoint *endpoint, uint32_t peer)
{
    struct port *port = &endpoint->ports[peer];

    pthread_mutex_lock(&endpoint->sim->lock);
    if (port->state == PORT_UP)
        sim_end_port(endpoint->sim, peer, endpoint->config.rank, -ECONNRESET);
    if (linked(port)) {
        endpoint->waiting -= port->count + (port->state == PORT_ENDED);
        port->state = PORT_GONE;
        port->count = 0;
    }
    pthread_mutex_unlock(&endpoint->sim->lock);
}

static void sim_counts(struct endpoint *endpoint,
                       struct endpoint_counts *counts)
{
    pthread_mutex_lock(&endpoint->sim->lock);
    *counts = endpoint->counts;
    pthread_mutex_unlock(&endpoint->sim->lock);
}

const struct transport transport_sim = {
    .name = "sim",
    .open = sim_open_endpoint,
    .address = sim_address,
    .connect = sim_connect,
    .close = sim_close_endpoint,
    .stage = sim_stage,
    .put = sim_put,
    .poll = sim_poll,
    .arm = sim_arm,
    .busy = sim_busy,
    .drop = sim_drop,
    .counts = sim_counts,
};
