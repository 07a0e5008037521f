/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p2p_pair.c - two ranks that are linked by one transport.
 */
#include "p2p_pair.h"

#include "collective/meeting.h"
#include "transport/shm.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    JOIN_MS = 60000,
    SILENCE_MS = 10000,
    SPINS = 16,       /* empty polls, then look at the clock */
    SPIN_NS = 100000, /* of silence, then sleep */
    SLEEP_MS = 100,
};

const char *const p2p_over_names[P2P_OVERS] = {
    [P2P_SHM] = "shm", [P2P_TCP] = "tcp", [P2P_VERBS] = "verbs"};

static const struct transport *const transports[P2P_OVERS] = {
    [P2P_SHM] = &transport_shm,
    [P2P_TCP] = &transport_tcp,
    [P2P_VERBS] = &transport_verbs,
};

/* What each rank tells the other one. */
struct record {
    uint32_t depth, iterations, least_bytes, most_bytes;
    uint32_t factor, checked, tests, asked;
    uint8_t there[P2P_OVERS];
    struct address address[P2P_OVERS];
};

_Static_assert(sizeof(struct record) <= RECORD_BYTES_MAX,
               "a record fits the bootstrap");

uint64_t p2p_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int complain(const char *what, int error, const char *why)
{
    fprintf(stderr, "ballot-perf: p2p: %s: %s\n", what,
            why != NULL && why[0] != '\0' ? why : strerror(-error));
    return error;
}

/* ---- Opening ---- */

/* The IP that peers reach us by, as the library chooses it. */
static int local_ip(const struct place *root, char text[NI_MAXHOST], char *why)
{
    struct sockaddr_storage address;
    socklen_t bytes;
    int rc = bootstrap_local_address(
        getenv("BALLOT_SOCKET_IFNAME"), (const struct sockaddr *)&root->address,
        root->address_bytes, &address, &bytes, why);

    if (rc == 0 && getnameinfo((struct sockaddr *)&address, bytes, text,
                               NI_MAXHOST, NULL, 0, NI_NUMERICHOST) != 0)
        rc = -EAFNOSUPPORT;
    return rc;
}

static int open_endpoint(struct p2p_pair *pair, enum p2p_over over,
                         const struct endpoint_config *config,
                         struct record *record)
{
    int rc = transports[over]->open(&pair->endpoints[over], config);

    if (rc == 0)
        rc = transports[over]->address(pair->endpoints[over],
                                       &record->address[over]);
    record->there[over] = rc == 0;
    return rc;
}

static int open_endpoints(struct p2p_pair *pair,
                          const struct p2p_options *options,
                          const char *interface, struct record *record)
{
    const struct endpoint_config config = {
        .rank = pair->rank,
        .ranks = 2,
        .slots = 2 * pair->depth + 2,
        .slot_bytes = (uint32_t)options->most_bytes,
        .credentials = &pair->credentials,
        .interface = interface,
        .why = pair->why,
    };

    for (int o = 0; o < P2P_OVERS; o++) {
        int rc;

        if ((options->overs >> o & 1) == 0)
            continue;
        pair->why[0] = '\0';
        rc = open_endpoint(pair, (enum p2p_over)o, &config, record);
        if (rc == 0)
            continue;
        if (options->asked || pair->rank == 0)
            complain(p2p_over_names[o], rc, pair->why);
        if (options->asked)
            return rc;
    }
    return 0;
}

/* Both measure the same, and know what works between them. */
static int compare(struct p2p_pair *pair, const struct record *table)
{
    if (memcmp(&table[0], &table[1], offsetof(struct record, there)) != 0)
        return complain("the ranks", -EPROTO,
                        "their options differ; give both the same");
    for (int o = 0; o < P2P_OVERS; o++) {
        pair->table[o][0] = table[0].address[o];
        pair->table[o][1] = table[1].address[o];
        pair->works[o] = table[0].there[o] != 0 && table[1].there[o] != 0;
        if (o != P2P_SHM || !pair->works[o] ||
            shm_same_host(&pair->table[o][0], &pair->table[o][1]))
            continue;
        pair->works[o] = false;
        if (table[0].asked)
            return complain("shm", -EHOSTUNREACH,
                            "the ranks are on different hosts, network "
                            "namespaces or users; choose another --transport");
    }
    return 0;
}

static int join(struct p2p_pair *pair, const struct place *place,
                const struct record *record, uint64_t deadline_ns)
{
    struct record table[2];
    int rc = bootstrap_join((const struct sockaddr *)&place->address,
                            place->address_bytes, &pair->credentials,
                            pair->rank, 2, record, sizeof(*record), table,
                            &pair->epoch, deadline_ns, -1, pair->why);

    if (rc != 0)
        return complain("joining the job", rc, pair->why);
    return compare(pair, table);
}

/* Finds out which of the two we are, and where they meet. */
static int find_other(struct p2p_pair *pair, struct meeting *meeting,
                      uint64_t deadline_ns)
{
    struct launcher launcher;
    int rc = launcher_read(&launcher, pair->why);

    if (rc == 0)
        rc = meeting_count(&launcher, deadline_ns, pair->why);
    if (rc == 0 && (launcher.ranks != 2 || launcher.rank > 1))
        return complain("the job", -EINVAL,
                        "it takes 2 ranks: ballot-run -n 2 ballot-perf p2p");
    if (rc == 0)
        rc = meeting_open(meeting, &launcher, NULL, BALLOT_AUTH_DEFAULT,
                          deadline_ns, pair->why);
    if (rc != 0)
        return complain("the environment", rc, pair->why);
    pair->rank = (uint32_t)launcher.rank;
    pair->credentials = meeting->place.credentials;
    return 0;
}

int p2p_pair_open(struct p2p_pair *pair, const struct p2p_options *options)
{
    struct record record = {
        .depth = (uint32_t)options->depth,
        .iterations = (uint32_t)options->iterations,
        .least_bytes = (uint32_t)options->least_bytes,
        .most_bytes = (uint32_t)options->most_bytes,
        .factor = (uint32_t)options->factor,
        .checked = (uint32_t)options->checked,
        .tests = options->tests,
        .asked = options->asked,
    };
    uint64_t deadline_ns = p2p_now() + JOIN_MS * UINT64_C(1000000);
    char interface[NI_MAXHOST];
    struct meeting meeting;
    int rc;

    *pair = (struct p2p_pair){.depth = (uint32_t)options->depth};
    rc = find_other(pair, &meeting, deadline_ns);
    if (rc != 0)
        return rc;
    rc = local_ip(&meeting.place, interface, pair->why);
    if (rc != 0)
        rc = complain("a local address", rc, pair->why);
    else
        rc = open_endpoints(pair, options, interface, &record);
    if (rc == 0)
        rc = join(pair, &meeting.place, &record, deadline_ns);
    meeting_close(&meeting);
    return rc;
}

void p2p_pair_close(struct p2p_pair *pair)
{
    for (int o = 0; o < P2P_OVERS; o++)
        if (pair->endpoints[o] != NULL)
            transports[o]->close(pair->endpoints[o]);
}

int p2p_pair_link(struct p2p_pair *pair, enum p2p_over over)
{
    bool wanted[2] = {pair->rank != 0, pair->rank != 1};
    int rc;

    pair->over = over;
    pair->first = pair->last = 0;
    pair->meets = pair->idle = 0;
    pair->why[0] = '\0';
    rc = transports[over]->connect(pair->endpoints[over], pair->table[over],
                                   wanted, pair->epoch,
                                   p2p_now() + JOIN_MS * UINT64_C(1000000));
    return rc == 0 ? 0 : complain(p2p_over_names[over], rc, pair->why);
}

/* ---- Slots ---- */

static const struct transport *transport_of(const struct p2p_pair *pair)
{
    return transports[pair->over];
}

static struct endpoint *endpoint_of(const struct p2p_pair *pair)
{
    return pair->endpoints[pair->over];
}

static uint32_t peer_of(const struct p2p_pair *pair)
{
    return 1 - pair->rank;
}

bool p2p_is_direct(const struct p2p_pair *pair)
{
    return pair->over == P2P_SHM;
}

/* Moves the transport; what arrives is kept behind what waits already. */
static void move(struct p2p_pair *pair)
{
    int waiting = pair->last - pair->first;

    memmove(pair->events, &pair->events[pair->first],
            (size_t)waiting * sizeof(pair->events[0]));
    pair->first = 0;
    pair->last = waiting + transport_of(pair)->poll(endpoint_of(pair),
                                                    &pair->events[waiting],
                                                    P2P_EVENTS - waiting);
}

/* Until something arrives: others may need our core, of all a device that the
 * kernel plays. */
static void sleep_armed(const struct p2p_pair *pair)
{
    struct pollfd waits = {.events = POLLIN};

    waits.fd = transport_of(pair)->arm(endpoint_of(pair));
    if (waits.fd >= 0)
        poll(&waits, 1, SLEEP_MS);
}

/* Nothing came once more. */
static int wait_a_little(struct p2p_pair *pair)
{
    uint64_t now;

    if (++pair->idle % SPINS != 0)
        return 0;
    now = p2p_now();
    if (pair->idle == SPINS)
        pair->idle_ns = now;
    if (now - pair->idle_ns > SILENCE_MS * UINT64_C(1000000))
        return -ETIMEDOUT;
    if (now - pair->idle_ns > SPIN_NS)
        sleep_armed(pair);
    return 0;
}

void p2p_pair_unlink(struct p2p_pair *pair)
{
    pair->idle = 0;
    while (transport_of(pair)->busy(endpoint_of(pair)) &&
           wait_a_little(pair) == 0) {
        pair->first = pair->last;
        move(pair);
    }
    transport_of(pair)->close(endpoint_of(pair));
    pair->endpoints[pair->over] = NULL;
}

void *p2p_try_stage(struct p2p_pair *pair, uint32_t slot)
{
    return transport_of(pair)->stage(endpoint_of(pair), peer_of(pair), slot);
}

int p2p_stage(struct p2p_pair *pair, uint32_t slot, void **memory)
{
    int rc = 0;

    while ((*memory = p2p_try_stage(pair, slot)) == NULL && rc == 0) {
        move(pair);
        rc = wait_a_little(pair);
    }
    return rc;
}

int p2p_put(struct p2p_pair *pair, uint32_t slot, size_t bytes)
{
    return transport_of(pair)->put(endpoint_of(pair), peer_of(pair), slot,
                                   (uint32_t)bytes);
}

int p2p_poll(struct p2p_pair *pair, struct event *event)
{
    if (pair->first == pair->last)
        move(pair);
    if (pair->first == pair->last)
        return wait_a_little(pair);
    pair->idle = 0;
    *event = pair->events[pair->first++];
    return event->kind == EVENT_LOST ? event->reason : 1;
}

int p2p_await(struct p2p_pair *pair, uint32_t slot, size_t bytes,
              const void **memory)
{
    struct event event = {0};
    int rc;

    do
        rc = p2p_poll(pair, &event);
    while (rc == 0);
    if (rc < 0)
        return rc;
    *memory = event.memory;
    return event.slot == slot && event.bytes == bytes ? 0 : -EPROTO;
}

/* Two slots take turns: who puts into one again has heard since that what it
 * put there before was read. */
int p2p_meet(struct p2p_pair *pair, uint64_t ours, uint64_t *theirs)
{
    uint32_t slot = 2 * pair->depth + (uint32_t)(pair->meets++ % 2);
    const void *heard;
    void *memory;
    int rc = p2p_stage(pair, slot, &memory);

    if (rc != 0)
        return rc;
    memset(memory, 0, P2P_LINE_BYTES);
    memcpy(memory, &ours, sizeof(ours));
    rc = p2p_put(pair, slot, P2P_LINE_BYTES);
    if (rc == 0)
        rc = p2p_await(pair, slot, P2P_LINE_BYTES, &heard);
    if (rc == 0)
        memcpy(theirs, heard, sizeof(*theirs));
    return rc;
}
