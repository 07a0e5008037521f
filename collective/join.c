/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.c - who is there, and whether all were configured alike.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../transport/bootstrap.h"
#include "places.h"

/* Only what is compared travels: the rest of settings is ours. */
enum { COMPARED_BYTES = offsetof(struct settings, init_timeout_ms) };

/* What each rank tells all others. */
struct wire_record {
    uint8_t settings[COMPARED_BYTES];
    struct places places;
};

_Static_assert(sizeof(struct wire_record) <= RECORD_BYTES_MAX,
               "a record fits the bootstrap");

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
    FIELD(servers),  FIELD(chunk),     FIELD(window),       FIELD(quorum),
    FIELD(liars),    FIELD(grace_ms),  FIELD(timeout_ms),   FIELD(kept_rounds),
    FIELD(tie),      FIELD(zero),      FIELD(same_voters),  FIELD(transport),
    FIELD(seed),     FIELD(count_max), FIELD(weights_hash), FIELD(design),
    FIELD(replicas), FIELD(rule),      FIELD(evidence),
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

/* ---- The whole ---- */

static void describe_choice(const struct ballot_comm *comm)
{
    const struct settings *settings = &comm->settings;

    report_debug(DEBUG_INFO,
                 "rank %u: servers=%s, kernels=%s, auth=%s, chunk %u "
                 "coordinates, window %u, quorum %u, timeout %u ms",
                 comm->rank,
                 settings->servers == BALLOT_SERVERS_ROOT ? "root" : "ranks",
                 comm->kernels->name, comm->credentials.none ? "none" : "group",
                 settings->chunk, settings->window, settings->quorum,
                 settings->timeout_ms);
}

static int join_table(struct ballot_comm *comm, const struct wire_record *table,
                      uint64_t deadline_ns, char *why)
{
    struct places *places = calloc(comm->ranks, sizeof(*places));
    int rc;

    if (places == NULL)
        return -ENOMEM;
    for (uint32_t r = 0; r < comm->ranks; r++) {
        places[r] = table[r].places;
        places[r].host[HOST_BYTES - 1] = '\0';
        memcpy(comm->hosts[r], places[r].host, HOST_BYTES);
    }
    rc = check_agreement(comm, table, why);
    if (rc == 0)
        rc = places_connect(comm, places, deadline_ns, why);
    free(places);
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
                            &comm->epoch, deadline_ns, -1, why);
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
    gethostname(record.places.host, sizeof(record.places.host) - 1);
    rc = places_open(comm, root, root_bytes, &record.places, why);
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
