/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.c - who is there, what they were configured with, and over which
 * transport each is reached.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../transport/bootstrap.h"
#include "../transport/shm.h"
#include "../transport/tcp.h"
#include "comm.h"

enum { PLACE_SHM, PLACE_TCP };          /* endpoints while joining */
enum { WANT_AUTO, WANT_SHM, WANT_TCP }; /* settings.transport */

/* Only what is compared travels: the rest of settings is ours. */
enum { COMPARED_BYTES = offsetof(struct settings, init_timeout_ms) };

/* What each rank tells all others. */
struct wire_record {
    uint8_t settings[COMPARED_BYTES];
    char host[HOST_BYTES];
    struct address address[ENDPOINTS_MAX];
};

_Static_assert(sizeof(struct wire_record) <= RECORD_BYTES_MAX,
               "a record fits the bootstrap");

/* ---- Endpoints ---- */

static int open_endpoint(struct ballot_comm *comm, int place,
                         const struct transport *transport,
                         const struct endpoint_config *config,
                         struct wire_record *record, char *why)
{
    int rc = transport->open(&comm->endpoints[place], config);

    if (rc == 0) {
        comm->transports[place] = transport;
        rc =
            transport->address(comm->endpoints[place], &record->address[place]);
    }
    if (rc < 0)
        snprintf(why, ERROR_BYTES, "transport %s cannot be opened: %s",
                 transport->name, strerror(-rc));
    return rc;
}

/* The IP that tcp listens on: BALLOT_SOCKET_IFNAME, else the local address of
 * the route to the root. */
static int listen_address(const struct sockaddr *root, uint32_t root_bytes,
                          char text[HOST_BYTES * 2], char *why)
{
    const char *name = getenv("BALLOT_SOCKET_IFNAME");
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

static int open_endpoints(struct ballot_comm *comm, const struct sockaddr *root,
                          uint32_t root_bytes, struct wire_record *record,
                          char *why)
{
    char interface[HOST_BYTES * 2];
    struct endpoint_config config = {
        .rank = comm->rank,
        .ranks = comm->ranks,
        .slots = lanes_slots(comm->settings.window),
        .slot_bytes = comm->slot_bytes,
        .credentials = &comm->credentials,
        .interface = interface,
    };
    int rc = listen_address(root, root_bytes, interface, why);

    if (rc == 0)
        rc = open_endpoint(comm, PLACE_SHM, &transport_shm, &config, record,
                           why);
    if (rc == 0 && comm->settings.transport != WANT_SHM)
        rc = open_endpoint(comm, PLACE_TCP, &transport_tcp, &config, record,
                           why);
    return rc;
}

/* ---- Agreement ---- */

#define FIELD(name)                                                            \
    {                                                                          \
#name, offsetof(struct settings, name),                                \
            sizeof(((struct settings *)NULL)->name)                            \
    }

static const struct {
    const char *name;
    size_t offset, bytes;
} compared[] = {
    FIELD(servers), FIELD(chunk),     FIELD(window),       FIELD(quorum),
    FIELD(liars),   FIELD(grace_ms),  FIELD(timeout_ms),   FIELD(kept_rounds),
    FIELD(tie),     FIELD(zero),      FIELD(same_voters),  FIELD(transport),
    FIELD(seed),    FIELD(count_max), FIELD(weights_hash),
};

static uint64_t field_value(const uint8_t *settings, size_t offset,
                            size_t bytes)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;

    if (bytes == sizeof(wide)) {
        memcpy(&wide, settings + offset, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, settings + offset, sizeof(narrow));
    return narrow;
}

/* All ranks were configured alike. */
static int check_agreement(const struct ballot_comm *comm,
                           const struct wire_record *table, char *why)
{
    const uint8_t *first = table[0].settings;

    for (uint32_t r = 1; r < comm->ranks; r++)
        for (size_t f = 0; f < sizeof(compared) / sizeof(compared[0]); f++) {
            uint64_t a =
                field_value(first, compared[f].offset, compared[f].bytes);
            uint64_t b = field_value(table[r].settings, compared[f].offset,
                                     compared[f].bytes);

            if (a == b)
                continue;
            snprintf(why, ERROR_BYTES,
                     "ranks are configured differently: %s is %llu on rank 0 "
                     "and %llu on rank %u; give all the same configuration "
                     "and BALLOT_ variables",
                     compared[f].name, (unsigned long long)a,
                     (unsigned long long)b, r);
            return -EPROTO;
        }
    return 0;
}

/* ---- Links ---- */

static int choose_places(struct ballot_comm *comm,
                         const struct wire_record *table,
                         bool *wanted[ENDPOINTS_MAX], char *why)
{
    const struct address *ours = &table[comm->rank].address[PLACE_SHM];

    for (uint32_t r = 0; r < comm->ranks; r++) {
        bool local = shm_same_host(ours, &table[r].address[PLACE_SHM]);
        bool shm = local && comm->settings.transport != WANT_TCP;

        if (local)
            comm->local_ranks++;
        if (!shm && r != comm->rank && comm->settings.transport == WANT_SHM) {
            snprintf(why, ERROR_BYTES,
                     "transport shm cannot reach rank %u on %s: it is another "
                     "host, network namespace or user; choose tcp or leave "
                     "BALLOT_TRANSPORT unset",
                     r, table[r].host);
            return -EHOSTUNREACH;
        }
        wanted[PLACE_SHM][r] = shm || r == comm->rank;
        wanted[PLACE_TCP][r] = !wanted[PLACE_SHM][r];
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

    for (uint32_t r = 0; r < comm->ranks; r++)
        if (wanted[r])
            comm->links[r] = (struct link){
                .transport = transport,
                .endpoint = comm->endpoints[place],
                .peer = r,
            };
    rc = transport->connect(comm->endpoints[place], addresses, wanted,
                            comm->epoch, deadline_ns);
    if (rc == 0)
        return 0;
    for (uint32_t r = 0; r < comm->ranks; r++)
        if (wanted[r])
            mask_set(&missing, r);
    report_ranks(names, sizeof(names), &missing, comm->ranks, true);
    snprintf(why, ERROR_BYTES, "no %s connection with: %s: %s", transport->name,
             names, strerror(-rc));
    return rc;
}

static int connect_places(struct ballot_comm *comm,
                          const struct wire_record *table,
                          bool *wanted[ENDPOINTS_MAX], uint64_t deadline_ns,
                          char *why)
{
    struct address *addresses = calloc(comm->ranks, sizeof(*addresses));
    int rc = addresses == NULL ? -ENOMEM : 0;

    for (int place = 0; place < ENDPOINTS_MAX && rc == 0; place++) {
        bool any = false;

        for (uint32_t r = 0; r < comm->ranks; r++) {
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

        for (uint32_t r = 0; r < comm->ranks; r++)
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

static void describe_choice(const struct ballot_comm *comm)
{
    struct rank_mask shm = {0};
    char names[256];

    for (uint32_t r = 0; r < comm->ranks; r++)
        if (comm->links[r].transport == &transport_shm)
            mask_set(&shm, r);
    report_ranks(names, sizeof(names), &shm, comm->ranks, true);
    report_debug(DEBUG_INFO,
                 "rank %u of %u: shm with %s (same host, namespace and user), "
                 "tcp with the others",
                 comm->rank, comm->ranks, names);
    for (int e = 0; e < comm->endpoints_count; e++)
        if (comm->transports[e] == &transport_tcp)
            report_debug(DEBUG_INFO, "rank %u: tcp moves bytes with %s",
                         comm->rank, tcp_engine_name(comm->endpoints[e]));
    report_debug(DEBUG_INFO,
                 "rank %u: servers=%s, kernels=%s, auth=%s, chunk %u "
                 "coordinates, window %u, quorum %u, timeout %u ms",
                 comm->rank,
                 comm->settings.servers == BALLOT_SERVERS_ROOT ? "root"
                                                               : "ranks",
                 comm->kernels->name, comm->credentials.none ? "none" : "group",
                 comm->settings.chunk, comm->settings.window,
                 comm->settings.quorum, comm->settings.timeout_ms);
}

static int join_table(struct ballot_comm *comm, struct wire_record *table,
                      uint64_t deadline_ns, char *why)
{
    bool *wanted[ENDPOINTS_MAX] = {NULL};
    int rc;

    for (uint32_t r = 0; r < comm->ranks; r++) {
        memcpy(comm->hosts[r], table[r].host, HOST_BYTES);
        comm->hosts[r][HOST_BYTES - 1] = '\0';
    }
    rc = check_agreement(comm, table, why);
    if (rc < 0)
        return rc;
    for (int place = 0; place < ENDPOINTS_MAX; place++) {
        wanted[place] = calloc(comm->ranks, sizeof(bool));
        if (wanted[place] == NULL)
            rc = -ENOMEM;
    }
    if (rc == 0)
        rc = choose_places(comm, table, wanted, why);
    if (rc == 0)
        rc = connect_places(comm, table, wanted, deadline_ns, why);
    for (int place = 0; place < ENDPOINTS_MAX; place++)
        free(wanted[place]);
    if (rc == 0)
        tidy_endpoints(comm);
    return rc;
}

/*
 * Hands in our record and gets everybody's. A process that makes another
 * communicator at the same address may be faster than rank 0 and still find the
 * root of the one before, which then goes away: it comes back to the next.
 */
static int meet(struct ballot_comm *comm, const struct sockaddr *root,
                uint32_t root_bytes, const struct wire_record *record,
                struct wire_record *table, uint64_t deadline_ns, char *why)
{
    static atomic_bool met_before;
    bool again = comm->rank != 0 && atomic_load(&met_before);
    int rc;

    do
        rc = bootstrap_join(root, root_bytes, &comm->credentials, comm->rank,
                            comm->ranks, record, sizeof(*record), table,
                            &comm->epoch, deadline_ns, why);
    while (rc == -ECONNRESET && again && engine_now() < deadline_ns);
    if (rc == 0)
        atomic_store(&met_before, true);
    return rc;
}

int join_communicator(struct ballot_comm *comm, const struct sockaddr *root,
                      uint32_t root_bytes, char *why)
{
    uint64_t deadline_ns =
        engine_now() + (uint64_t)comm->settings.init_timeout_ms * 1000000;
    struct wire_record record = {0};
    struct wire_record *table;
    int rc;

    table = calloc(comm->ranks, sizeof(*table));
    comm->links = calloc(comm->ranks, sizeof(*comm->links));
    comm->hosts = calloc(comm->ranks, sizeof(*comm->hosts));
    if (table == NULL || comm->links == NULL || comm->hosts == NULL) {
        rc = -ENOMEM;
        goto free_table;
    }
    memcpy(record.settings, &comm->settings, COMPARED_BYTES);
    gethostname(record.host, sizeof(record.host) - 1);
    rc = open_endpoints(comm, root, root_bytes, &record, why);
    if (rc == 0)
        rc = meet(comm, root, root_bytes, &record, table, deadline_ns, why);
    if (rc == 0)
        rc = join_table(comm, table, deadline_ns, why);
    if (rc == 0)
        describe_choice(comm);
free_table:
    free(table);
    return rc;
}

void join_undo(struct ballot_comm *comm)
{
    for (int e = 0; e < ENDPOINTS_MAX; e++)
        if (comm->endpoints[e] != NULL)
            comm->transports[e]->close(comm->endpoints[e]);
    free(comm->hosts);
    free(comm->links);
}
