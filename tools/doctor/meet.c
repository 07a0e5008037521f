/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meet.c - how two doctors find each other.
 *
 * They meet twice through the listener's bootstrap root: first to learn by
 * which of its addresses the listener was reached, then, with endpoints open
 * there, to tell their addresses.
 */
#include "meet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../transport/clock.h"

enum { MAGIC = 0x72696170 /* "pair" */ };

/* What each tells when it meets the other for the first time. */
struct greeting {
    uint32_t magic, transports;
    char host[PAIR_HOST_BYTES];
    struct sockaddr_storage dialled; /* of the one that did */
};

static int fail(struct pair *pair, int error, const char *cure)
{
    pair->result->error = error;
    snprintf(pair->result->cure, sizeof(pair->result->cure), "%s", cure);
    return error;
}

/* What came from the other side may hold anything. */
void meet_copy_printable(char *text, size_t bytes, const char *from)
{
    size_t i = 0;

    for (; i + 1 < bytes && from[i] != '\0'; i++)
        text[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    text[i] = '\0';
}

/* ---- Where to meet ---- */

bool pair_where(char where[PAIR_WHERE_BYTES], const char *text)
{
    const char *colon = strchr(text, ':');
    bool has_two = colon != NULL && strchr(colon + 1, ':') != NULL;
    int written;

    if (text[0] == '[')
        written = snprintf(where, PAIR_WHERE_BYTES,
                           strstr(text, "]:") != NULL ? "%s" : "%s:%d", text,
                           PAIR_PORT);
    else if (has_two)
        written = snprintf(where, PAIR_WHERE_BYTES, "[%s]:%d", text, PAIR_PORT);
    else
        written = snprintf(where, PAIR_WHERE_BYTES,
                           colon != NULL ? "%s" : "%s:%d", text, PAIR_PORT);
    return written > 0 && written < PAIR_WHERE_BYTES;
}

static int read_key(struct pair *pair)
{
    const char *path = getenv("BALLOT_KEY_FILE");
    int rc;

    pair->credentials = (struct credentials){.none = true};
    if (path == NULL || *path == '\0')
        return 0;
    rc = credentials_read(path, &pair->credentials, pair->result->why);
    return rc == 0 ? 0 : fail(pair, rc, "or unset BALLOT_KEY_FILE on both");
}

/* On every address, so that whichever the other side knows is right; or on the
 * one that BALLOT_SOCKET_IFNAME asks for. */
static int open_root(struct pair *pair)
{
    static const char *const any[] = {"[::]", "0.0.0.0"};
    const char *interface = getenv("BALLOT_SOCKET_IFNAME");
    uint16_t port = pair->options->port;
    uint64_t deadline_ns = clock_later_ns(
        clock_now_ns(), pair->options->wait_ms + pair->options->stage_ms);
    char *why = pair->result->why;
    int rc = -EAFNOSUPPORT;

    for (int i = 0; i < 2 && rc == -EAFNOSUPPORT; i++) {
        char text[64];

        snprintf(text, sizeof(text), "%s:%u", any[i], port);
        rc = bootstrap_parse(text, &pair->address, &pair->address_bytes, why);
        if (rc == 0 && interface != NULL && *interface != '\0') {
            rc = bootstrap_local_address(interface, NULL, 0, &pair->address,
                                         &pair->address_bytes, why);
            /* The port is at the same place in both families. */
            ((struct sockaddr_in *)&pair->address)->sin_port = htons(port);
        }
        if (rc == 0)
            rc = bootstrap_root_open(
                &pair->root, (struct sockaddr *)&pair->address,
                pair->address_bytes, &pair->credentials, 0, deadline_ns, why);
    }
    if (rc != 0)
        return fail(pair, rc, "give another port: ballot-doctor --listen PORT");
    bootstrap_root_address(pair->root, &pair->address, &pair->address_bytes);
    fprintf(stderr,
            "ballot-doctor: waiting up to %llu s; on the other host run: "
            "ballot-doctor --peer THIS-HOST:%u\n",
            (unsigned long long)(pair->options->wait_ms / 1000),
            ntohs(((struct sockaddr_in *)&pair->address)->sin_port));
    return 0;
}

/* We reach our own root at the loopback address of what it listens on. */
static int dial_own_root(struct pair *pair)
{
    const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&pair->address;
    const struct sockaddr_in *v4 = (struct sockaddr_in *)&pair->address;
    bool is_any = pair->address.ss_family == AF_INET6
                      ? IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)
                      : v4->sin_addr.s_addr == INADDR_ANY;
    char text[32];

    if (!is_any)
        return 0;
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(v4->sin_port));
    return bootstrap_parse(text, &pair->address, &pair->address_bytes,
                           pair->result->why);
}

static int find_place(struct pair *pair)
{
    int rc = read_key(pair);

    if (rc != 0)
        return rc;
    if (pair->options->listens) {
        rc = open_root(pair);
        if (rc == 0 && dial_own_root(pair) != 0)
            rc = fail(pair, -EINVAL, "ip link set lo up");
        return rc;
    }
    rc = bootstrap_parse(pair->options->where, &pair->address,
                         &pair->address_bytes, pair->result->why);
    return rc == 0 ? 0 : fail(pair, rc, "ballot-doctor --peer HOST:PORT");
}

/* ---- Meeting ---- */

static int meet(struct pair *pair, const void *ours, void *both, size_t bytes,
                uint64_t wait_ms)
{
    int rc = bootstrap_join(
        (struct sockaddr *)&pair->address, pair->address_bytes,
        &pair->credentials, pair->rank, SIDES, ours, bytes, both, &pair->epoch,
        clock_later_ns(clock_now_ns(), wait_ms), -1, pair->result->why);

    if (rc == 0)
        return 0;
    if (rc == -EACCES)
        return fail(pair, rc,
                    "give both sides the same BALLOT_KEY_FILE, or neither");
    if (rc == -ETIMEDOUT) /* what follows is advice to ranks */
        pair->result->why[strcspn(pair->result->why, ";")] = '\0';
    if (pair->options->listens)
        return fail(pair, rc,
                    "on the other host run ballot-doctor --peer THIS-HOST; if "
                    "it did, a firewall between drops TCP to this port: nft "
                    "list ruleset");
    return fail(pair, rc,
                "run ballot-doctor --listen on that host; if it runs, a "
                "firewall drops TCP to its port: nft list ruleset");
}

static int greet(struct pair *pair, struct sockaddr_storage *dialled)
{
    struct greeting ours = {.magic = MAGIC, .transports = tried_count};
    struct greeting both[SIDES];
    const struct greeting *theirs = &both[1 - pair->rank];
    int rc;

    gethostname(ours.host, sizeof(ours.host) - 1);
    if (!pair->options->listens)
        ours.dialled = pair->address;
    rc = meet(pair, &ours, both, sizeof(ours), pair->options->wait_ms);
    if (rc != 0)
        return rc;
    if (theirs->magic != MAGIC || theirs->transports != tried_count) {
        snprintf(pair->result->why, sizeof(pair->result->why),
                 "the other side is another version of ballot-doctor");
        return fail(pair, -EPROTO, "ballot-doctor --version on both hosts");
    }
    meet_copy_printable(pair->result->host, sizeof(pair->result->host),
                        theirs->host);
    *dialled = theirs->dialled;
    return 0;
}

/*
 * The IP to listen on: of the route to the listener, and at the listener the
 * one at which it was reached. Where that is none of its own (a NAT between),
 * and where it was asked for another, that one or any.
 */
static void choose_local(struct pair *pair,
                         const struct sockaddr_storage *dialled)
{
    const struct sockaddr *towards = (struct sockaddr *)&pair->address;
    const char *asked = getenv("BALLOT_SOCKET_IFNAME");
    struct sockaddr_storage local;
    socklen_t local_bytes;
    char why[WHY_BYTES], *ours = pair->result->ours;
    char host[NI_MAXHOST];
    int rc = -ENODEV;

    if (asked != NULL && *asked == '\0')
        asked = NULL;
    if (!pair->options->listens || asked != NULL)
        rc = bootstrap_local_address(asked, towards, pair->address_bytes,
                                     &local, &local_bytes, why);
    else if ((dialled->ss_family == AF_INET ||
              dialled->ss_family == AF_INET6) &&
             getnameinfo((const struct sockaddr *)dialled,
                         dialled->ss_family == AF_INET
                             ? sizeof(struct sockaddr_in)
                             : sizeof(struct sockaddr_in6),
                         host, sizeof(host), NULL, 0, NI_NUMERICHOST) == 0)
        rc = bootstrap_local_address(host, NULL, 0, &local, &local_bytes, why);
    if (rc != 0 || getnameinfo((struct sockaddr *)&local, local_bytes, ours,
                               NI_MAXHOST, NULL, 0, NI_NUMERICHOST) != 0)
        ours[0] = '\0';
    else
        pair->local = local;
}

static void open_endpoints(struct pair *pair, struct offer *offer)
{
    const char *ours = pair->result->ours;
    struct endpoint_config config = {
        .rank = pair->rank,
        .ranks = SIDES,
        .slots = TRIAL_SLOTS,
        .slot_bytes = TRIAL_SLOT_BYTES,
        .credentials = &pair->credentials,
        .interface = ours[0] != '\0' ? ours : NULL,
    };

    for (uint32_t t = 0; t < tried_count; t++) {
        const struct transport *transport = tried_transports[t].transport;
        int rc;

        config.why = pair->whys[t];
        rc = transport->open(&pair->endpoints[t], &config);
        if (rc == 0)
            rc = transport->address(pair->endpoints[t], &offer->addresses[t]);
        offer->errors[t] = rc;
    }
}

/* Only the GID's bytes are taken; what they mean is found out here. */
static void read_side(struct rdma_side *side, const struct offer *offer)
{
    *side = (struct rdma_side){.port = offer->port,
                               .mtu = offer->mtu,
                               .gid = {.index = offer->gid_index}};
    meet_copy_printable(side->device, sizeof(side->device), offer->device);
    side->has_device = side->device[0] != '\0';
    memcpy(side->gid.bytes, offer->gid, GID_BYTES);
    if (offer->gid_type <= GID_ROCE_V2)
        side->gid.type = (enum gid_type)offer->gid_type;
    gid_explain(&side->gid);
}

static void write_side(struct offer *offer, const struct rdma_side *side)
{
    offer->port = side->port;
    offer->mtu = side->mtu;
    offer->gid_index = side->gid.index;
    offer->gid_type = side->gid.type;
    memcpy(offer->gid, side->gid.bytes, GID_BYTES);
    memcpy(offer->device, side->device, sizeof(offer->device));
}

static int exchange_offers(struct pair *pair, const struct facts *facts)
{
    struct chosen chosen = {0};
    struct offer ours = {0};
    int rc;

    open_endpoints(pair, &ours);
    if (facts->devices_count > 0)
        choose_device(&chosen, pair->local.ss_family != AF_UNSPEC
                                   ? (struct sockaddr *)&pair->local
                                   : NULL);
    rdma_side_of(&pair->result->rdma, facts, &chosen);
    write_side(&ours, &pair->result->rdma);
    rc = meet(pair, &ours, pair->offers, sizeof(ours), pair->options->stage_ms);
    if (rc == 0)
        read_side(&pair->result->rdma_theirs, &pair->offers[1 - pair->rank]);
    return rc;
}

int meet_other(struct pair *pair, const struct facts *facts)
{
    struct sockaddr_storage dialled;
    int rc = find_place(pair);

    if (rc == 0)
        rc = greet(pair, &dialled);
    if (rc != 0)
        return rc;
    choose_local(pair, &dialled);
    return exchange_offers(pair, facts);
}
