/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.c - which transport for which peer.
 */
#include "places.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/bootstrap.h"
#include "../transport/shm.h"
#include "../transport/tcp.h"
#include "../transport/variable.h"
#include "../transport/verbs_transport.h"

_Static_assert((int)ERROR_BYTES >= (int)WHY_BYTES,
               "comm->transport_why has room for what a transport says");

/* ---- Endpoints ---- */

static int open_endpoint(struct ballot_comm *comm, enum place place,
                         const struct transport *transport,
                         struct endpoint_config *config, struct places *ours,
                         char *why)
{
    int rc;

    config->slot_bytes = comm_slot_bytes(comm, transport);
    config->why[0] = '\0';
    rc = transport->open(&comm->endpoints[place], config);
    if (rc == 0) {
        comm->transports[place] = transport;
        rc = transport->address(comm->endpoints[place], &ours->address[place]);
    }
    if (rc < 0)
        snprintf(why, ERROR_BYTES, "transport %s cannot be opened: %s",
                 transport->name,
                 config->why[0] != '\0' ? config->why : strerror(-rc));
    return rc;
}

/* Where nobody asked for it, no device is no error, and the others go on. */
static int open_verbs(struct ballot_comm *comm, struct endpoint_config *config,
                      struct places *ours, char *why)
{
    int rc =
        open_endpoint(comm, PLACE_VERBS, &transport_verbs, config, ours, why);

    if (rc == 0 || comm->settings.transport == WANT_VERBS)
        return rc;
    report_debug(DEBUG_INFO, "rank %u: no verbs: %s", comm->rank, why);
    why[0] = '\0';
    memset(&ours->address[PLACE_VERBS], 0, sizeof(ours->address[PLACE_VERBS]));
    return 0;
}

/* The IP that tcp listens on: BALLOT_SOCKET_IFNAME, else the local address of
 * the route to the root. */
static int listen_address(const struct sockaddr *root, uint32_t root_bytes,
                          char text[HOST_BYTES * 2], char *why)
{
    const char *name = variable("BALLOT_SOCKET_IFNAME");
    char complete[ADDRESS_TEXT_BYTES];
    struct sockaddr_storage address;
    socklen_t address_bytes;
    char *start = complete, *end;
    int rc = bootstrap_local_address(name, root, root_bytes, &address,
                                     &address_bytes, why);

    if (rc < 0)
        return rc;
    bootstrap_format((struct sockaddr *)&address, address_bytes, complete);
    end = strrchr(complete, ':');
    if (end != NULL)
        *end = '\0';
    if (complete[0] == '[' && end != NULL && end[-1] == ']') {
        start++;
        end[-1] = '\0';
    }
    snprintf(text, HOST_BYTES * 2, "%s", start);
    return 0;
}

/* Those of the first CORE_WORDS * 64 that this process may run on. */
static void list_cores(uint64_t cores[CORE_WORDS])
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return;
    for (uint32_t c = 0; c < CORE_WORDS * 64; c++)
        if (CPU_ISSET(c, &set))
            cores[c / 64] |= UINT64_C(1) << c % 64;
}

int places_open(struct ballot_comm *comm, const struct sockaddr *root,
                uint32_t root_bytes, const int *bell, struct places *ours,
                char *why)
{
    char interface[HOST_BYTES * 2];
    struct endpoint_config config = {
        .rank = comm->rank,
        .ranks = comm->members,
        .slots = lanes_slots(comm->settings.window),
        .sealed_slots = lane_first(comm->settings.window, LANE_STREAM),
        .credentials = &comm->credentials,
        .interface = interface,
        .bell = bell,
        .why = comm->transport_why,
        .place = advance_place,
        .place_context = comm,
    };
    uint32_t want = comm->settings.transport;
    int rc = listen_address(root, root_bytes, interface, why);

    list_cores(ours->cores);
    if (rc == 0)
        rc = open_endpoint(comm, PLACE_SHM, &transport_shm, &config, ours, why);
    if (rc == 0 &&
        (want == WANT_AUTO || want == WANT_VERBS || want == WANT_NO_SHM))
        rc = open_verbs(comm, &config, ours, why);
    if (rc == 0 && want != WANT_SHM && want != WANT_VERBS)
        rc = open_endpoint(comm, PLACE_TCP, &transport_tcp, &config, ours, why);
    return rc;
}

/* ---- Links ---- */

/* The best place that both have; only what was asked for, if something was. A
 * rank reaches itself over shm. */
static enum place choose_place(const struct ballot_comm *comm, bool itself,
                               bool local, bool devices)
{
    const uint32_t want = comm->settings.transport;

    if (itself || want == WANT_SHM ||
        (local && (want == WANT_AUTO || want == WANT_NO_VERBS)))
        return PLACE_SHM;
    if (want == WANT_VERBS)
        return PLACE_VERBS;
    return devices && (want == WANT_AUTO || want == WANT_NO_SHM) ? PLACE_VERBS
                                                                 : PLACE_TCP;
}

/*
 * Processes of one user can read each other's memory. So a dedicated server
 * shares none with its voters, unless whoever started it trusts this host.
 */
static bool is_trusted(const struct ballot_comm *comm,
                       const struct places *table, uint32_t rank)
{
    uint32_t server = comm->rank < comm->ranks ? rank : comm->rank;

    return server < comm->ranks || table[server].trusts_host != 0;
}

static int refuse_shm(const struct ballot_comm *comm, uint32_t rank, bool same,
                      char *why)
{
    char member[MEMBER_BYTES];

    snprintf(why, ERROR_BYTES,
             "transport shm cannot reach %s: %s; choose another or leave "
             "BALLOT_TRANSPORT unset",
             report_member(comm, rank, member),
             same ? "a server shares no memory with its own user's processes "
                    "(ballot-server --trust-host allows it)"
                  : "it is another host, network namespace or user");
    return -EHOSTUNREACH;
}

/* The members on one member's host, and how many cores they have together:
 * members that are bound each to its own core have as many as they are. */
static void count_host(const struct ballot_comm *comm,
                       const struct places *table, uint32_t member,
                       uint32_t *members, uint32_t *cores)
{
    const struct address *host = &table[member].address[PLACE_SHM];
    uint64_t set[CORE_WORDS] = {0};

    *members = *cores = 0;
    for (uint32_t m = 0; m < comm->members; m++) {
        if (!shm_same_host(host, &table[m].address[PLACE_SHM]))
            continue;
        ++*members;
        for (uint32_t w = 0; w < CORE_WORDS; w++)
            set[w] |= table[m].cores[w];
    }
    for (uint32_t w = 0; w < CORE_WORDS; w++)
        *cores += (uint32_t)__builtin_popcountll(set[w]);
}

/* How members r and s reach each other. */
static enum place place_between(const struct ballot_comm *comm,
                                const struct places *table, uint32_t r,
                                uint32_t s)
{
    const struct address *ours = table[r].address, *theirs = table[s].address;
    bool same = shm_same_host(&ours[PLACE_SHM], &theirs[PLACE_SHM]);
    bool devices = verbs_address_is_there(&ours[PLACE_VERBS]) &&
                   verbs_address_is_there(&theirs[PLACE_VERBS]);

    return choose_place(comm, false, same, devices);
}

static const struct transport *const transports[ENDPOINTS_MAX] = {
    [PLACE_SHM] = &transport_shm,
    [PLACE_VERBS] = &transport_verbs,
    [PLACE_TCP] = &transport_tcp,
};

/* What all ranks must see alike, so it is asked of all, if they are not many:
 * where they are, nobody uses it. */
static void look_at_all(struct ballot_comm *comm, const struct places *table)
{
    bool shared = false, apart = false;

    comm->brief_bytes = comm->ranks > FEW_RANKS ? 0 : UINT32_MAX;
    for (uint32_t r = 0; r < comm->ranks && comm->ranks <= FEW_RANKS; r++) {
        uint32_t members, cores;

        count_host(comm, table, r, &members, &cores);
        shared |= members > cores;
        for (uint32_t s = 0; s < r; s++) {
            enum place place = place_between(comm, table, r, s);
            uint32_t bytes = transports[place]->brief_bytes;
            uint32_t stream_bytes = transports[place]->stream_bytes;

            apart |= place != PLACE_SHM;
            if (r + s == 1)
                comm->stream_bytes = stream_bytes;
            if (stream_bytes != comm->stream_bytes)
                comm->stream_bytes = 0;
            /* Long ones of several peers take turns in our cache. */
            if (place == PLACE_SHM && comm->ranks > 2 && bytes > BRIEF_BYTES)
                bytes = BRIEF_BYTES;
            if (bytes < comm->brief_bytes)
                comm->brief_bytes = bytes;
        }
    }
    comm->crowded = shared && apart;
}

static int choose_places(struct ballot_comm *comm, const struct places *table,
                         bool *wanted[ENDPOINTS_MAX], char *why)
{
    const struct address *ours = table[comm->rank].address;

    for (uint32_t r = 0; r < comm->members; r++) {
        const struct address *theirs = table[r].address;
        bool same = shm_same_host(&ours[PLACE_SHM], &theirs[PLACE_SHM]);
        bool local = same && is_trusted(comm, table, r);
        bool devices = verbs_address_is_there(&ours[PLACE_VERBS]) &&
                       verbs_address_is_there(&theirs[PLACE_VERBS]);

        if (!comm_links(comm, comm->rank, r))
            continue;
        if (!local && r != comm->rank && comm->settings.transport == WANT_SHM)
            return refuse_shm(comm, r, same, why);
        wanted[choose_place(comm, r == comm->rank, local, devices)][r] = true;
    }
    return 0;
}

static int connect_place(struct ballot_comm *comm, int place,
                         const struct address *addresses, bool *wanted,
                         uint64_t deadline_ns, char *why)
{
    const struct transport *transport = comm->transports[place];
    struct rank_mask missing = {0};
    char names[256];
    int rc;

    for (uint32_t r = 0; r < comm->members; r++)
        if (wanted[r])
            comm->links[r] = (struct link){
                .transport = transport,
                .endpoint = comm->endpoints[place],
                .peer = r,
            };
    comm->transport_why[0] = '\0';
    rc = transport->connect(comm->endpoints[place], addresses, wanted,
                            comm->epoch, deadline_ns);
    if (rc == 0)
        return 0;
    for (uint32_t r = 0; r < comm->members; r++)
        if (wanted[r])
            mask_set(&missing, r);
    report_members(names, sizeof(names), comm, &missing);
    if (comm->transport_why[0] == '\0')
        snprintf(comm->transport_why, ERROR_BYTES, "%s", strerror(-rc));
    snprintf(why, ERROR_BYTES, "no %s connection with: %.128s: %.300s",
             transport->name, names, comm->transport_why);
    return rc;
}

static int connect_places(struct ballot_comm *comm, const struct places *table,
                          bool *wanted[ENDPOINTS_MAX], uint64_t deadline_ns,
                          char *why)
{
    struct address *addresses = calloc(comm->members, sizeof(*addresses));
    int rc = addresses == NULL ? -ENOMEM : 0;

    for (int place = 0; place < ENDPOINTS_MAX && rc == 0; place++) {
        bool any = false;

        for (uint32_t r = 0; r < comm->members; r++) {
            addresses[r] = table[r].address[place];
            any |= wanted[place][r];
        }
        if (any)
            rc = connect_place(comm, place, addresses, wanted[place],
                               deadline_ns, why);
    }
    free(addresses);
    return rc;
}

/* Closes the endpoint that nobody is reached through, and packs the list. */
static void tidy_endpoints(struct ballot_comm *comm)
{
    int kept = 0;

    for (int place = 0; place < ENDPOINTS_MAX; place++) {
        bool used = false;

        for (uint32_t r = 0; r < comm->members; r++)
            used |= comm->endpoints[place] != NULL &&
                    comm->links[r].endpoint == comm->endpoints[place];
        if (!used) {
            if (comm->endpoints[place] != NULL)
                comm->transports[place]->close(comm->endpoints[place]);
            continue;
        }
        comm->endpoints[kept] = comm->endpoints[place];
        comm->transports[kept++] = comm->transports[place];
    }
    for (int place = 0; place < ENDPOINTS_MAX; place++) {
        comm->descriptors[place] = -1;
        if (place >= kept)
            comm->endpoints[place] = NULL;
    }
    comm->endpoints_count = kept;
}

/* ---- The whole ---- */

/* The ranks that are reached over `transport`. */
static void describe_place(const struct ballot_comm *comm, int e)
{
    struct rank_mask ranks = {0};
    char names[256], how[256] = "";

    for (uint32_t r = 0; r < comm->members; r++)
        if (comm->links[r].transport == comm->transports[e])
            mask_set(&ranks, r);
    report_members(names, sizeof(names), comm, &ranks);
    if (comm->transports[e] == &transport_shm)
        snprintf(how, sizeof(how), "same host, namespace and user");
    else if (comm->transports[e] == &transport_tcp)
        snprintf(how, sizeof(how), "tcp moves bytes with %s",
                 tcp_engine_name(comm->endpoints[e]));
    else
        verbs_describe(comm->endpoints[e], how, sizeof(how));
    report_debug(DEBUG_INFO, "rank %u of %u: %s with %s (%s)", comm->rank,
                 comm->ranks, comm->transports[e]->name, names, how);
}

int places_connect(struct ballot_comm *comm, const struct places *table,
                   uint64_t deadline_ns, char *why)
{
    bool *wanted[ENDPOINTS_MAX] = {NULL};
    int rc = 0;

    for (int place = 0; place < ENDPOINTS_MAX; place++) {
        wanted[place] = calloc(comm->members, sizeof(bool));
        if (wanted[place] == NULL)
            rc = -ENOMEM;
    }
    count_host(comm, table, comm->rank, &comm->local_ranks, &comm->local_cores);
    look_at_all(comm, table);
    if (rc == 0)
        rc = choose_places(comm, table, wanted, why);
    if (rc == 0)
        rc = connect_places(comm, table, wanted, deadline_ns, why);
    for (int place = 0; place < ENDPOINTS_MAX; place++)
        free(wanted[place]);
    if (rc != 0)
        return rc;
    tidy_endpoints(comm);
    for (int e = 0; e < comm->endpoints_count; e++)
        describe_place(comm, e);
    return 0;
}
