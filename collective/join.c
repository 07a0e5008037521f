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
enum {
    COMPARED_BYTES = offsetof(struct settings, init_timeout_ms),
    REFUSAL_BYTES = 256,
};

/*
 * What each member tells all others. With dedicated servers there are two
 * exchanges: for addresses a server must know the size of slots, and that it
 * learns from the ranks.
 */
enum stage { STAGE_ALL, STAGE_SETTINGS, STAGE_PLACES };
struct wire_record {
    uint32_t stage; /* enum stage */
    uint32_t epoch; /* STAGE_PLACES: of the exchange before */
    uint32_t ranks, servers;
    uint8_t settings[COMPARED_BYTES]; /* ranks */
    uint8_t weight;                   /* ranks: its own; the server gets no
                                         other, and compares weights_hash */
    char refusal[REFUSAL_BYTES];      /* why we cannot go on, or "" */
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
    FIELD(servers),   FIELD(chunk),     FIELD(window),       FIELD(quorum),
    FIELD(liars),     FIELD(grace_ms),  FIELD(timeout_ms),   FIELD(kept_rounds),
    FIELD(tie),       FIELD(zero),      FIELD(same_voters),  FIELD(transport),
    FIELD(seed),      FIELD(count_max), FIELD(weights_hash), FIELD(design),
    FIELD(replicas),  FIELD(rule),      FIELD(evidence),     FIELD(tolerance),
    FIELD(dedicated),
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

/* Who took part in the exchange is what this process expects. */
static int check_table(const struct ballot_comm *comm,
                       const struct wire_record *ours,
                       const struct wire_record *table, char *why)
{
    for (uint32_t m = 0; m < comm->members; m++) {
        const struct wire_record *r = &table[m];

        if (r->ranks != comm->ranks ||
            r->servers != comm->members - comm->ranks) {
            snprintf(why, ERROR_BYTES,
                     "there are %u ranks and %u dedicated servers for one and "
                     "%u and %u for another of them; give all the same "
                     "BALLOT_RANKS and BALLOT_SERVERS, and ballot-server the "
                     "same --ranks",
                     comm->ranks, comm->members - comm->ranks, r->ranks,
                     r->servers);
            return -EPROTO;
        }
        if (r->stage != ours->stage || r->epoch != ours->epoch) {
            snprintf(why, ERROR_BYTES,
                     "two jobs came to the same server at the same time; start "
                     "one after the other, or give each a ballot-server");
            return -EPROTO;
        }
    }
    return 0;
}

/* The first refusal is everybody's error. */
static int check_refusals(const struct ballot_comm *comm,
                          const struct wire_record *table, char *why)
{
    char member[MEMBER_BYTES];

    for (uint32_t m = 0; m < comm->members; m++)
        if (table[m].refusal[0] != '\0' && m != comm->rank) {
            snprintf(why, ERROR_BYTES, "%s cannot take part: %.*s",
                     report_member(comm, m, member), REFUSAL_BYTES - 1,
                     table[m].refusal);
            return -EPROTO;
        }
    return 0;
}

/* ---- The whole ---- */

static void describe_choice(const struct ballot_comm *comm)
{
    static const char *const servers[] = {"ranks", "root", "dedicated"};
    const struct settings *settings = &comm->settings;

    report_debug(DEBUG_INFO,
                 "rank %u: servers=%s, kernels=%s, auth=%s, chunk %u "
                 "coordinates, window %u, quorum %u, timeout %u ms",
                 comm->rank, servers[settings->servers], comm->kernels->name,
                 comm->credentials.none ? "none" : "group", settings->chunk,
                 settings->window, settings->quorum, settings->timeout_ms);
}

static int join_table(struct ballot_comm *comm, const struct wire_record *table,
                      uint64_t deadline_ns, char *why)
{
    struct places *places = calloc(comm->members, sizeof(*places));
    int rc;

    if (places == NULL)
        return -ENOMEM;
    for (uint32_t m = 0; m < comm->members; m++) {
        places[m] = table[m].places;
        places[m].host[HOST_BYTES - 1] = '\0';
        memcpy(comm->hosts[m], places[m].host, HOST_BYTES);
    }
    rc = check_refusals(comm, table, why);
    if (rc == 0)
        rc = places_connect(comm, places, deadline_ns, why);
    free(places);
    return rc;
}

/* A meeting under way. */
struct meeting {
    const struct sockaddr *root;
    uint32_t root_bytes;
    int bell;
    struct wire_record record; /* ours */
    struct wire_record *table; /* [members] */
};

/*
 * Hands in our record and gets everybody's. A process that makes another
 * communicator at the same address may be faster than rank 0 and still find the
 * root of the one before, which then goes away: it comes back to the next.
 */
static int meet(struct ballot_comm *comm, struct meeting *meeting,
                uint64_t deadline_ns, char *why)
{
    static atomic_bool met_before;
    bool again = comm->rank != 0 && comm->settings.dedicated == 0 &&
                 !comm->child && atomic_load(&met_before);
    size_t used;
    int rc;

    do
        rc = bootstrap_join(
            meeting->root, meeting->root_bytes, &comm->credentials, comm->rank,
            comm->members, &meeting->record, sizeof(meeting->record),
            meeting->table, &comm->epoch, deadline_ns, meeting->bell, why);
    while (rc == -ECONNRESET && again && clock_now_ns() < deadline_ns);
    if (rc == 0) {
        atomic_store(&met_before, true);
        return check_table(comm, &meeting->record, meeting->table, why);
    }
    used = strlen(why);
    if (comm->settings.dedicated > 0 && rc != -ECANCELED)
        snprintf(why + used, ERROR_BYTES - used,
                 " (ranks meet at the first ballot-server, not at rank 0)");
    return rc;
}

/* The first exchange: a dedicated server learns what the ranks agree on. */
static int agree(struct ballot_comm *comm, struct meeting *meeting,
                 uint64_t deadline_ns, char *why)
{
    bool votes = comm->rank < comm->ranks;
    uint8_t weights[BALLOT_RANKS_MAX];
    int rc;

    meeting->record.stage = STAGE_SETTINGS;
    rc = meet(comm, meeting, votes ? deadline_ns : UINT64_MAX, why);
    if (rc == 0)
        rc = check_agreement(comm, meeting->table, why);
    meeting->record.stage = STAGE_PLACES;
    meeting->record.epoch = comm->epoch;
    if (rc < 0 || votes)
        return rc;
    for (uint32_t r = 0; r < comm->ranks; r++)
        weights[r] = meeting->table[r].weight;
    rc = settings_adopt(&comm->settings, meeting->table[0].settings, weights,
                        comm->ranks, why);
    if (rc == 0)
        rc = comm_settle(comm, why);
    if (rc < 0)
        snprintf(meeting->record.refusal, REFUSAL_BYTES, "%s", why);
    return 0;
}

/* Both exchanges, or the one where all servers are ranks. Who cannot go on
 * after the first says so in the second, so that nobody waits for it. */
static int gather(struct ballot_comm *comm, struct meeting *meeting,
                  uint64_t deadline_ns, char *why)
{
    struct wire_record *record = &meeting->record;
    bool dedicated = comm->settings.dedicated > 0;
    char ours[ERROR_BYTES] = "";
    int rc = dedicated ? agree(comm, meeting, deadline_ns, why) : 0, met;

    if (rc < 0)
        return rc;
    if (comm->rank >= comm->ranks)
        deadline_ns =
            clock_now_ns() + (uint64_t)comm->settings.init_timeout_ms * 1000000;
    if (record->refusal[0] != '\0')
        rc = -EPROTO;
    else
        rc = places_open(comm, meeting->root, meeting->root_bytes,
                         meeting->bell < 0 ? NULL : &meeting->bell,
                         &record->places, why);
    if (rc < 0 && !dedicated)
        return rc;
    if (rc < 0) {
        snprintf(ours, sizeof(ours), "%s", why);
        snprintf(record->refusal, REFUSAL_BYTES, "%.*s", REFUSAL_BYTES - 1,
                 why);
    }
    met = meet(comm, meeting, deadline_ns, why);
    if (rc < 0) {
        snprintf(why, ERROR_BYTES, "%s", ours);
        return rc;
    }
    if (met == 0 && !dedicated)
        met = check_agreement(comm, meeting->table, why);
    return met < 0 ? met : join_table(comm, meeting->table, deadline_ns, why);
}

int join_communicator(struct ballot_comm *comm, const struct sockaddr *root,
                      uint32_t root_bytes, int bell, char *why)
{
    uint64_t deadline_ns =
        clock_now_ns() + (uint64_t)comm->settings.init_timeout_ms * 1000000;
    struct meeting meeting = {
        .root = root,
        .root_bytes = root_bytes,
        .bell = bell,
        .record =
            {
                .ranks = comm->ranks,
                .servers = comm->members - comm->ranks,
                .weight = 1,
                .places = {.trusts_host = comm->settings.trust_host},
            },
        .table = calloc(comm->members, sizeof(*meeting.table)),
    };
    struct wire_record *record = &meeting.record;
    int rc = -ENOMEM;

    comm->links = calloc(comm->members, sizeof(*comm->links));
    comm->hosts = calloc(comm->members, sizeof(*comm->hosts));
    comm->said = calloc(comm->ranks, sizeof(*comm->said));
    if (meeting.table != NULL && comm->links != NULL && comm->hosts != NULL &&
        comm->said != NULL) {
        memcpy(record->settings, &comm->settings, COMPARED_BYTES);
        if (comm->rank < comm->ranks && comm->settings.weights_hash != 0)
            record->weight = comm->settings.weights[comm->rank];
        gethostname(record->places.host, sizeof(record->places.host) - 1);
        rc = gather(comm, &meeting, deadline_ns, why);
    }
    if (rc == 0)
        describe_choice(comm);
    free(meeting.table);
    return rc;
}

void join_undo(struct ballot_comm *comm)
{
    for (int e = 0; e < ENDPOINTS_MAX; e++)
        if (comm->endpoints[e] != NULL)
            comm->transports[e]->close(comm->endpoints[e]);
    free(comm->said);
    free(comm->hosts);
    free(comm->links);
}
