/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byzantine_early.c - attacks on a job that starts. The program is linked so
 * that what the library calls to connect and to send comes through here.
 */
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../transport/bootstrap.h"
#include "../../transport/clock.h"
#include "../../transport/dialer.h"
#include "../../transport/mesh.h"
#include "../../transport/stream.h"
#include "byzantine.h"

enum {
    HUGE_BYTES = 64 << 20,
    VANISHINGS = 3, /* from each peer */
    /* As in verbs_offer.c: the memory, and the first queue pair. */
    AT_MEMORY = 24,
    AT_PAIR = 36,
};

static const uint8_t offer_magic[4] = {'b', 'l', 'v', '1'};
static const uint8_t confirmation[4] = {'u', 'p', '!', '\n'};

/* The linker leads the library's calls of the first to the second. */
int __real_stream_send(int descriptor, const void *bytes, size_t count,
                       size_t *done);
int __wrap_stream_send(int descriptor, const void *bytes, size_t count,
                       size_t *done);
int __real_mesh_connect(const struct mesh_config *config,
                        struct mesh_peer *peers, uint64_t *strangers);
int __wrap_mesh_connect(const struct mesh_config *config,
                        struct mesh_peer *peers, uint64_t *strangers);

static enum early early;
static uint32_t early_amount;
static const char *early_path;
static uint32_t early_done;

uint32_t early_count(void)
{
    return early_done;
}

/* ---- In place of an offer ---- */

static int send_all(int descriptor, const void *bytes, size_t count)
{
    uint64_t until_ns = deadline_ns(2);
    struct pollfd waited = {.fd = descriptor, .events = POLLOUT};
    size_t done = 0;
    int rc = 0;

    while (rc == 0 && !is_past(until_ns)) {
        rc = __real_stream_send(descriptor, bytes, count, &done);
        if (rc == 0)
            poll(&waited, 1, 100);
    }
    return rc;
}

/* A peer reads no more of it than an offer has. */
static void send_huge(int descriptor)
{
    uint8_t *bytes = malloc(HUGE_BYTES);

    if (bytes == NULL)
        fail("memory");
    memset(bytes, 'u', HUGE_BYTES);
    if (send_all(descriptor, bytes, HUGE_BYTES) == 1)
        fail("%d bytes after an offer were read", HUGE_BYTES);
    free(bytes);
}

static void send_garbage(int descriptor, size_t count)
{
    uint8_t *bytes = malloc(count);

    if (bytes == NULL)
        fail("memory");
    randombytes_buf(bytes, count);
    (void)send_all(descriptor, bytes, count);
    free(bytes);
}

/* Of the honest rank that writes it down as soon as it is there. */
static uint32_t read_pair(void)
{
    uint64_t until_ns = deadline_ns(5);
    uint32_t pair = 0;

    while (pair == 0) {
        FILE *file = fopen(early_path, "re");

        if (file != NULL && fscanf(file, "%" SCNu32, &pair) != 1)
            pair = 0;
        if (file != NULL)
            fclose(file);
        if (is_past(until_ns))
            fail("no queue pair is written in %s", early_path);
        usleep(1000);
    }
    return pair;
}

/* Rank 0, who is first, gets another's queue pair, the others nobody's. */
static void send_false(int descriptor, const uint8_t *offer, size_t count,
                       bool first)
{
    uint8_t *bytes = malloc(count);

    if (bytes == NULL)
        fail("memory");
    memcpy(bytes, offer, count);
    stream_store32(bytes + AT_PAIR,
                   first ? read_pair()
                         : stream_load32(bytes + AT_PAIR) + 0x4000);
    stream_store32(bytes + AT_MEMORY, 0x1000);
    (void)send_all(descriptor, bytes, count);
    free(bytes);
}

static void attack_offer(int descriptor, const uint8_t *offer, size_t count)
{
    uint32_t before = early_done++;

    switch (early) {
    case EARLY_HUGE:
        (void)send_all(descriptor, offer, count);
        send_huge(descriptor);
        return;
    case EARLY_TRUNCATED:
        (void)send_all(descriptor, offer, count / 2);
        if (before % 2 != 0)
            shutdown(descriptor, SHUT_WR);
        return;
    case EARLY_GARBAGE: send_garbage(descriptor, count); return;
    default: send_false(descriptor, offer, count, before == 0); return;
    }
}

static bool spoils_offers(void)
{
    return early >= EARLY_HUGE && early <= EARLY_FALSE;
}

/* Whoever has spoilt an offer confirms nothing, unless it wants to be believed.
 */
int __wrap_stream_send(int descriptor, const void *bytes, size_t count,
                       size_t *done)
{
    bool offers = count > sizeof(offer_magic) &&
                  memcmp(bytes, offer_magic, sizeof(offer_magic)) == 0;
    bool confirms = count == sizeof(confirmation) &&
                    memcmp(bytes, confirmation, sizeof(confirmation)) == 0;

    if (spoils_offers() && offers && *done == 0)
        attack_offer(descriptor, bytes, count);
    else if (!spoils_offers() || !confirms || early == EARLY_FALSE)
        return __real_stream_send(descriptor, bytes, count, done);
    *done = count;
    return 1;
}

/* ---- Before the mesh ---- */

static void vanish_from(const struct mesh_config *config,
                        const struct mesh_peer *peer)
{
    uint64_t until_ns = deadline_ns(0.2);
    struct dialer dialer;

    dialer_start(&dialer, (const struct sockaddr *)&peer->address,
                 peer->address_bytes, &config->handshake);
    while (!is_past(until_ns)) {
        struct pollfd waited = {.fd = dialer.descriptor,
                                .events = dialer.events};

        if (dialer_move(&dialer, clock_now_ns())) {
            close(dialer_take(&dialer));
            early_done++;
            break;
        }
        poll(&waited, 1, 10);
    }
    dialer_stop(&dialer);
}

/* Whoever has let us in once waits for us, and lets nobody in as us again. */
static void vanish(const struct mesh_config *config,
                   const struct mesh_peer *peers)
{
    for (uint32_t i = 0; i < VANISHINGS; i++)
        for (uint32_t r = 0; r < config->handshake.rank; r++)
            vanish_from(config, &peers[r]);
    say("vanished times=%u", early_done);
    _exit(early_done >= config->handshake.rank ? 0 : 1);
}

static bool open_half(const struct sockaddr *address, socklen_t bytes)
{
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        return false;
    /* It stays open, and nothing is ever said. */
    if (connect(descriptor, address, bytes) == 0)
        return true;
    close(descriptor);
    return false;
}

static void open_halves(const struct mesh_config *config,
                        const struct mesh_peer *peers)
{
    for (uint32_t i = 0; early_done < early_amount && i < 2 * early_amount;
         i++) {
        const struct mesh_peer *peer = &peers[i % config->handshake.ranks];

        if (peer->wanted)
            early_done += open_half((const struct sockaddr *)&peer->address,
                                    peer->address_bytes);
    }
    if (early_done < early_amount)
        fail("%u half-open connections only", early_done);
}

int __wrap_mesh_connect(const struct mesh_config *config,
                        struct mesh_peer *peers, uint64_t *strangers)
{
    if (config->handshake.purpose == PURPOSE_VERBS && early == EARLY_VANISH)
        vanish(config, peers);
    if (config->handshake.purpose == PURPOSE_VERBS && early == EARLY_HALF_OPEN)
        open_halves(config, peers);
    return __real_mesh_connect(config, peers, strangers);
}

/* A fifth of them go to where all meet, which listens before we join. */
static void open_halves_at_root(uint32_t count)
{
    const char *text = getenv("BALLOT_ROOT");
    struct sockaddr_storage root;
    uint64_t until_ns = deadline_ns(10);
    socklen_t bytes;
    char why[WHY_BYTES];

    if (text == NULL || bootstrap_parse(text, &root, &bytes, why) != 0)
        fail("BALLOT_ROOT is no address");
    while (early_done < count && !is_past(until_ns)) {
        bool opened = open_half((const struct sockaddr *)&root, bytes);

        early_done += opened;
        if (!opened)
            usleep(10000);
    }
}

void early_begin(enum early what, const char *argument)
{
    struct rlimit limit;

    early = what;
    early_path = argument;
    if (what != EARLY_HALF_OPEN)
        return;
    early_amount = (uint32_t)strtoul(argument, NULL, 10);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    open_halves_at_root(early_amount / 5);
}
