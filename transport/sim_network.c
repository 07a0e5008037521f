/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_network.c - the simulated network: its clock, its chances, what happens.
 *
 * What is staged stays with the sender; a put becomes happenings in a heap by
 * time: pieces that are copied into the receiver's slot, and a notice. A slot
 * cannot be staged again before the last piece of it has landed.
 */
#include "sim_network.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum { PIECES_MAX = 4, LAP_ANY = 0 }; /* real laps start at 1 */

/* ---- Chance and time ----------------------------------------------------- */

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* xoshiro256** by Blackman and Vigna, seeded by SplitMix64. */
uint64_t sim_random(struct sim *sim)
{
    uint64_t *s = sim->random;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

static void seed_random(struct sim *sim, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        sim->random[i] = z ^ z >> 31;
    }
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return sim_random(sim) % bound;
}

static bool happens(struct sim *sim, const struct port *port,
                    enum sim_fault fault)
{
    uint32_t chance = port->rates.chance[fault];

    if (chance == 0 || sim_random(sim) % 65536 >= chance)
        return false;
    sim->counts[fault]++;
    return true;
}

uint64_t sim_now(const struct sim *sim)
{
    return sim->now_ns;
}

uint64_t sim_next(const struct sim *sim)
{
    return sim->heap_count == 0 ? UINT64_MAX : sim->heap[0].at_ns;
}

uint64_t sim_count(const struct sim *sim, enum sim_fault fault)
{
    return sim->counts[fault];
}

static bool sooner(const struct happening *a, const struct happening *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

/* The heap grows to what is under way at once, and is kept. */
static void schedule(struct sim *sim, struct happening what)
{
    size_t at = sim->heap_count++;

    if (at == sim->heap_size) {
        sim->heap_size = at == 0 ? 256 : 2 * at;
        sim->heap = realloc(sim->heap, sim->heap_size * sizeof(*sim->heap));
        assert(sim->heap != NULL);
    }
    what.order = sim->order++;
    for (size_t up; at > 0 && sooner(&what, &sim->heap[up = (at - 1) / 2]);
         at = up)
        sim->heap[at] = sim->heap[up];
    sim->heap[at] = what;
}

static struct happening take_first(struct sim *sim)
{
    struct happening first = sim->heap[0];
    struct happening last = sim->heap[--sim->heap_count];
    size_t at = 0;

    for (size_t down = 1; down < sim->heap_count; down = 2 * at + 1) {
        if (down + 1 < sim->heap_count &&
            sooner(&sim->heap[down + 1], &sim->heap[down]))
            down++;
        if (!sooner(&sim->heap[down], &last))
            break;
        sim->heap[at] = sim->heap[down];
        at = down;
    }
    sim->heap[at] = last;
    return first;
}

/* ---- What happens -------------------------------------------------------- */

static struct port *port_of(const struct sim *sim, uint32_t rank, uint32_t peer)
{
    const struct endpoint *endpoint = sim->endpoints[rank];

    return endpoint == NULL ? NULL : &endpoint->ports[peer];
}

static void wake(struct endpoint *endpoint)
{
    if (!endpoint->armed)
        return;
    endpoint->armed = false;
    endpoint->rung = true;
    endpoint->counts.wakeups++;
    (void)eventfd_write(endpoint->descriptor, 1);
}

void sim_end_port(struct sim *sim, uint32_t rank, uint32_t peer, int reason)
{
    struct port *port = port_of(sim, rank, peer);

    if (port == NULL || port->state != PORT_UP)
        return;
    port->state = PORT_ENDED;
    port->reason = reason;
    sim->endpoints[rank]->waiting++;
    wake(sim->endpoints[rank]);
}

static void add_notice(struct sim *sim, struct port *port, uint32_t to,
                       const struct happening *what)
{
    struct endpoint *endpoint = sim->endpoints[to];
    uint32_t size = endpoint->config.slots * NOTICES_PER_SLOT;

    if (port->count == size) {
        endpoint->counts.violations++;
        sim_end_port(sim, to, what->from, -EPROTO);
        sim_end_port(sim, what->from, to, -ECONNRESET);
        return;
    }
    port->notices[(port->head + port->count++) % size] =
        (struct notice){.slot = what->slot, .bytes = what->bytes};
    endpoint->waiting++;
    wake(endpoint);
}

static void land(struct port *port, const struct port *source,
                 const struct happening *what, uint32_t slot_bytes)
{
    size_t at = (size_t)what->slot * slot_bytes + what->first;

    if (what->begins)
        port->laps[what->slot]++;
    memcpy(port->in + at, source->out + at, what->bytes);
}

static void happen(struct sim *sim, const struct happening *what)
{
    struct port *source = port_of(sim, what->from, what->to);
    struct port *port = port_of(sim, what->to, what->from);
    bool here = port != NULL && port->serial == what->serial;
    bool there = source != NULL && source->serial == what->serial;

    if (what->kind == BREAK) {
        if (here)
            sim_end_port(sim, what->to, what->from, -ECONNRESET);
        return;
    }
    if (what->kind == PIECE && there && what->leaves)
        source->leaving[what->slot] = false;
    if (!here || port->state != PORT_UP) {
        sim->counts[SIM_LOST_IN_FLIGHT]++;
        return;
    }
    if (what->kind == PIECE && there)
        land(port, source, what, sim->endpoints[what->to]->config.slot_bytes);
    else if (what->kind == NOTICE &&
             (what->lap == LAP_ANY || what->lap == port->laps[what->slot]))
        add_notice(sim, port, what->to, what);
}

static void advance(struct sim *sim, uint64_t at_ns)
{
    while (sim_next(sim) <= at_ns) {
        struct happening what = take_first(sim);

        if (what.at_ns > sim->now_ns)
            sim->now_ns = what.at_ns;
        happen(sim, &what);
    }
    if (at_ns > sim->now_ns)
        sim->now_ns = at_ns;
}

void sim_advance(struct sim *sim, uint64_t at_ns)
{
    advance(sim, at_ns);
}

/* ---- Puts ---------------------------------------------------------------- */

static uint64_t draw_delay(struct sim *sim)
{
    const struct sim_config *c = &sim->config;

    if (c->delay_max_ns == 0)
        return 0;
    return c->delay_min_ns +
           sim_below(sim, c->delay_max_ns - c->delay_min_ns + 1);
}

/* When a put is announced. In order, but for those that are reordered. */
static uint64_t plan_notice(struct sim *sim, struct port *port)
{
    uint64_t at = sim->now_ns + draw_delay(sim);

    if (happens(sim, port, SIM_DELAYED))
        at += sim_below(sim, sim->config.stray_ns + 1);
    if (happens(sim, port, SIM_REORDERED))
        return at;
    if (at < port->last_ns)
        at = port->last_ns;
    port->last_ns = at;
    return at;
}

/* Cuts [0, what.bytes) into pieces of lines that land in any order
 * between now and `until_ns`, the last one exactly then. */
static void schedule_pieces(struct sim *sim, struct happening what,
                            uint32_t pieces, uint64_t until_ns)
{
    uint32_t bytes = what.bytes;
    uint32_t lines = (bytes + 63) / 64, first = 0;
    uint64_t at[PIECES_MAX];
    uint32_t lines_in[PIECES_MAX] = {0};
    uint32_t earliest = 0, last = (uint32_t)sim_below(sim, pieces);

    for (uint32_t i = 0; i < pieces; i++) {
        at[i] = sim->now_ns + sim_below(sim, until_ns - sim->now_ns + 1);
        if (i == last)
            at[i] = until_ns;
        lines_in[i] = i + 1 == pieces
                          ? lines - first
                          : (uint32_t)sim_below(sim, lines - first + 1);
        first += lines_in[i];
        if (at[i] < at[earliest])
            earliest = i;
    }
    for (uint32_t i = 0, start = 0; i < pieces; i++) {
        what.kind = PIECE;
        what.at_ns = at[i];
        what.first = 64 * start;
        what.bytes = 64 * lines_in[i];
        if (lines_in[i] > 0 && what.first + what.bytes > bytes)
            what.bytes = bytes - what.first;
        /* Of two at the same time the heap takes the earlier scheduled. */
        what.begins = i == earliest;
        what.leaves = i == last;
        start += lines_in[i];
        schedule(sim, what);
    }
}

static void break_link(struct sim *sim, uint32_t rank, uint32_t peer)
{
    const struct port *port = port_of(sim, rank, peer);

    if (port == NULL || port->state != PORT_UP)
        return;
    schedule(sim, (struct happening){
                      .at_ns = sim->now_ns +
                               sim_below(sim, sim->config.break_ns + 1),
                      .kind = BREAK,
                      .from = peer,
                      .to = rank,
                      .serial = port->serial,
                  });
}

/* Whether the put vanishes. */
static bool vanish(struct sim *sim, struct port *port, uint32_t from,
                   uint32_t to)
{
    if (happens(sim, port, SIM_SEVERED)) {
        break_link(sim, from, to);
        break_link(sim, to, from);
        return true;
    }
    return happens(sim, port, SIM_DROPPED);
}

static void send_put(struct sim *sim, struct port *port, uint32_t from,
                     uint32_t to, uint32_t slot, uint32_t bytes)
{
    const struct port *peer = port_of(sim, to, from);
    struct happening what = {.from = from,
                             .to = to,
                             .serial = port->serial,
                             .slot = slot,
                             .bytes = bytes};
    uint64_t notice_ns = plan_notice(sim, port);
    uint64_t landed_ns = notice_ns;
    uint32_t pieces = 1;
    bool early = false;

    if (bytes > 64 && happens(sim, port, SIM_TORN))
        pieces = 2 + (uint32_t)sim_below(sim, PIECES_MAX - 1);
    if (pieces > 1 && happens(sim, port, SIM_EARLY)) {
        landed_ns += sim_below(sim, sim->config.stray_ns + 1);
        early = true;
    }
    port->leaving[slot] = true;
    schedule_pieces(sim, what, pieces, landed_ns);
    what.kind = NOTICE;
    what.at_ns = notice_ns;
    what.lap = early || peer == NULL ? LAP_ANY : peer->laps[slot] + 1;
    schedule(sim, what);
    if (happens(sim, port, SIM_DUPLICATED)) {
        what.at_ns += 1 + sim_below(sim, sim->config.stray_ns + 1);
        schedule(sim, what);
    }
}

void sim_send(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot,
              uint32_t bytes)
{
    struct endpoint *endpoint = sim->endpoints[from];
    struct port *port = &endpoint->ports[to];

    if (sim->twist != NULL)
        sim->twist(sim->twist_context, from, to, slot,
                   sim_slot_in(endpoint, port->out, slot), &bytes);
    if (port->state != PORT_UP || vanish(sim, port, from, to))
        return;
    send_put(sim, port, from, to, slot, bytes);
    advance(sim, sim->now_ns);
}

/* ---- On command ---------------------------------------------------------- */

int sim_open(struct sim **sim, const struct sim_config *config)
{
    struct sim *made = calloc(1, sizeof(*made));
    pthread_condattr_t attributes;

    if (made == NULL)
        return -ENOMEM;
    made->config = *config;
    made->endpoints = calloc(config->ranks, sizeof(struct endpoint *));
    if (made->endpoints == NULL) {
        free(made);
        return -ENOMEM;
    }
    seed_random(made, config->seed);
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&made->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    *sim = made;
    return 0;
}

void sim_close(struct sim *sim)
{
    if (sim == NULL)
        return;
    pthread_cond_destroy(&sim->changed);
    pthread_mutex_destroy(&sim->lock);
    free(sim->heap);
    free(sim->endpoints);
    free(sim);
}

void sim_set_twist(struct sim *sim, sim_twist_fn *twist, void *context)
{
    sim->twist = twist;
    sim->twist_context = context;
}

void sim_set_rates(struct sim *sim, uint32_t from, uint32_t to,
                   const struct sim_rates *rates)
{
    port_of(sim, from, to)->rates = *rates;
}

bool sim_has_event(const struct sim *sim, uint32_t rank)
{
    return sim->endpoints[rank]->waiting > 0;
}

void sim_kill(struct sim *sim, uint32_t rank)
{
    sim->counts[SIM_KILLED]++;
    for (uint32_t p = 0; p < sim->config.ranks; p++)
        if (p != rank)
            break_link(sim, p, rank);
}

void sim_cut(struct sim *sim, uint32_t a, uint32_t b)
{
    sim->counts[SIM_CUT]++;
    break_link(sim, a, b);
    break_link(sim, b, a);
}

void sim_write(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot,
               uint32_t offset, const void *source, uint32_t bytes)
{
    const struct endpoint *endpoint = sim->endpoints[to];
    const struct port *port = &endpoint->ports[from];

    assert(slot < endpoint->config.slots &&
           offset + bytes <= endpoint->config.slot_bytes);
    if (port->state != PORT_UP)
        return;
    sim->counts[SIM_WRITTEN]++;
    memcpy((uint8_t *)sim_slot_in(endpoint, port->in, slot) + offset, source,
           bytes);
}

void sim_announce(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot,
                  uint32_t bytes, uint64_t delay_ns)
{
    const struct port *port = port_of(sim, to, from);

    schedule(sim, (struct happening){.at_ns = sim->now_ns + delay_ns,
                                     .kind = NOTICE,
                                     .from = from,
                                     .to = to,
                                     .serial = port->serial,
                                     .slot = slot,
                                     .bytes = bytes,
                                     .lap = LAP_ANY});
}

bool sim_find_slot(const struct sim *sim, uint32_t to, const void *memory,
                   uint32_t *from, uint32_t *slot)
{
    const struct endpoint *endpoint = sim->endpoints[to];
    size_t size = (size_t)endpoint->config.slots * endpoint->config.slot_bytes;

    for (uint32_t p = 0; p < endpoint->config.ranks; p++) {
        uintptr_t first = (uintptr_t)endpoint->ports[p].in;
        uintptr_t at = (uintptr_t)memory;

        if (first == 0 || at < first || at >= first + size)
            continue;
        *from = p;
        *slot = (uint32_t)((at - first) / endpoint->config.slot_bytes);
        return true;
    }
    return false;
}

const void *sim_slot(const struct sim *sim, uint32_t to, uint32_t from,
                     uint32_t slot)
{
    const struct endpoint *endpoint = sim->endpoints[to];

    return sim_slot_in(endpoint, endpoint->ports[from].in, slot);
}
