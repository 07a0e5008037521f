/* SPDX-License-Identifier: Apache-2.0 */
/* test_tcp.c - the tcp transport with each engine, and peers that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "transport/mesh.h"
#include "transport/tcp.h"
#include "transport/transport.h"

enum { RANKS_MAX = 3, EVENTS = 16, EPOCH = 77, PATIENCE_MS = 5000 };

static const struct credentials credentials = {.key = {3, 1, 4, 1, 5}};

struct cluster {
    uint32_t ranks, slots, slot_bytes;
    struct endpoint *endpoints[RANKS_MAX]; /* NULL: not one of ours */
    struct address table[RANKS_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t in_ms(uint64_t ms)
{
    return now_ns() + ms * 1000000u;
}

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000};

    nanosleep(&pause, NULL);
}

/* ---- Clusters ---- */

static struct endpoint_config config_of(const struct cluster *cluster,
                                        uint32_t rank)
{
    return (struct endpoint_config){
        .rank = rank,
        .ranks = cluster->ranks,
        .slots = cluster->slots,
        .slot_bytes = cluster->slot_bytes,
        .credentials = &credentials,
        .interface = "127.0.0.1",
    };
}

static void open_rank(struct cluster *cluster, uint32_t rank)
{
    struct endpoint_config config = config_of(cluster, rank);

    assert_int_equal(transport_tcp.open(&cluster->endpoints[rank], &config), 0);
    assert_int_equal(
        transport_tcp.address(cluster->endpoints[rank], &cluster->table[rank]),
        0);
}

struct joiner {
    const struct cluster *cluster;
    uint32_t rank;
    int result;
    pthread_t thread;
};

static void *join(void *argument)
{
    struct joiner *joiner = argument;
    bool wanted[RANKS_MAX];

    for (uint32_t i = 0; i < joiner->cluster->ranks; i++)
        wanted[i] = i != joiner->rank;
    joiner->result = transport_tcp.connect(
        joiner->cluster->endpoints[joiner->rank], joiner->cluster->table,
        wanted, EPOCH, in_ms(PATIENCE_MS));
    return NULL;
}

static void start_joining(struct cluster *cluster, struct joiner *joiners)
{
    for (uint32_t i = 0; i < cluster->ranks; i++) {
        joiners[i] = (struct joiner){.cluster = cluster, .rank = i};
        if (cluster->endpoints[i] != NULL)
            assert_int_equal(
                pthread_create(&joiners[i].thread, NULL, join, &joiners[i]), 0);
    }
}

static void finish_joining(struct cluster *cluster, struct joiner *joiners)
{
    for (uint32_t i = 0; i < cluster->ranks; i++) {
        if (cluster->endpoints[i] == NULL)
            continue;
        pthread_join(joiners[i].thread, NULL);
        assert_int_equal(joiners[i].result, 0);
    }
}

static void open_cluster(struct cluster *cluster, uint32_t ranks,
                         uint32_t slots, uint32_t slot_bytes)
{
    struct joiner joiners[RANKS_MAX];

    *cluster = (struct cluster){ranks, slots, slot_bytes, {NULL}, {{{0}}}};
    for (uint32_t i = 0; i < ranks; i++)
        open_rank(cluster, i);
    start_joining(cluster, joiners);
    finish_joining(cluster, joiners);
}

static void close_cluster(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->ranks; i++) {
        transport_tcp.close(cluster->endpoints[i]);
        cluster->endpoints[i] = NULL;
    }
}

/* ---- Puts and what arrives ---- */

/* A prime period, so that blocks in the wrong place do not match. */
static uint8_t pattern(uint32_t from, uint32_t salt, uint32_t index)
{
    return (uint8_t)(index % 251 + 17 * salt + 101 * from);
}

static void put(const struct cluster *cluster, uint32_t from, uint32_t to,
                uint32_t slot, uint32_t bytes, uint32_t salt)
{
    struct endpoint *endpoint = cluster->endpoints[from];
    uint8_t *at = transport_tcp.stage(endpoint, to, slot);

    assert_non_null(at);
    assert_int_equal((uintptr_t)at % 64, 0);
    for (uint32_t i = 0; i < bytes; i++)
        at[i] = pattern(from, salt, i);
    assert_int_equal(transport_tcp.put(endpoint, to, slot, bytes), 0);
}

static void check(const struct event *event, uint32_t from, uint32_t slot,
                  uint32_t bytes, uint32_t salt)
{
    const uint8_t *at = event->memory;

    assert_int_equal(event->kind, EVENT_ARRIVED);
    assert_int_equal(event->peer, from);
    assert_int_equal(event->slot, slot);
    assert_int_equal(event->bytes, bytes);
    assert_int_equal((uintptr_t)at % 64, 0);
    for (uint32_t i = 0; i < bytes; i++)
        if (at[i] != pattern(from, salt, i))
            fail_msg("byte %u of %u in slot %u differs", i, bytes, slot);
}

/* The next event of `rank`, while all others are driven too: one at a time, so
 * that nobody's events are lost. */
static struct event next_event(const struct cluster *cluster, uint32_t rank)
{
    uint64_t deadline = in_ms(PATIENCE_MS);
    struct event event;

    while (now_ns() < deadline) {
        if (transport_tcp.poll(cluster->endpoints[rank], &event, 1) == 1)
            return event;
        for (uint32_t i = 0; i < cluster->ranks; i++)
            if (i != rank && cluster->endpoints[i] != NULL)
                transport_tcp.poll(cluster->endpoints[i], NULL, 0);
    }
    fail_msg("rank %u got no event in time", rank);
    return event;
}

static void check_lost(const struct event *event, uint32_t peer, int reason)
{
    assert_int_equal(event->kind, EVENT_LOST);
    assert_int_equal(event->peer, peer);
    assert_int_equal(event->reason, reason);
}

static void check_silence(const struct cluster *cluster, uint32_t rank, long ms)
{
    uint64_t deadline = in_ms((uint64_t)ms);
    struct event event;

    while (now_ns() < deadline)
        assert_int_equal(
            transport_tcp.poll(cluster->endpoints[rank], &event, 1), 0);
}

/* ---- A peer that knows the key and speaks the frames by hand ---- */

struct raw_peer {
    uint32_t rank;
    int listener;
    struct mesh_peer peers[RANKS_MAX];
};

static void open_raw(struct cluster *cluster, struct raw_peer *raw,
                     uint32_t rank)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound = {0};
    socklen_t bytes = sizeof(bound);

    *raw = (struct raw_peer){.rank = rank};
    raw->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(raw->listener, (struct sockaddr *)&at, sizeof(at)),
                     0);
    assert_int_equal(listen(raw->listener, 8), 0);
    getsockname(raw->listener, (struct sockaddr *)&bound, &bytes);
    assert_int_equal(tcp_address_write(&cluster->table[rank], &bound), 0);
}

static void connect_raw(const struct cluster *cluster, struct raw_peer *raw)
{
    struct mesh_config config = {
        .handshake = {.credentials = &credentials,
                      .purpose = PURPOSE_TCP,
                      .rank = raw->rank,
                      .ranks = cluster->ranks,
                      .epoch = EPOCH},
        .listener = raw->listener,
        .deadline_ns = in_ms(PATIENCE_MS),
    };
    struct sockaddr_storage none = {0};
    uint64_t strangers = 0;

    for (uint32_t i = 0; i < cluster->ranks; i++) {
        raw->peers[i].descriptor = -1;
        if (i == raw->rank)
            continue;
        raw->peers[i].wanted = true;
        assert_int_equal(
            tcp_address_read(&raw->peers[i], &cluster->table[i], &none), 0);
    }
    assert_int_equal(mesh_connect(&config, raw->peers, &strangers), 0);
}

static void close_raw(const struct cluster *cluster, struct raw_peer *raw)
{
    for (uint32_t i = 0; i < cluster->ranks; i++)
        if (raw->peers[i].descriptor >= 0)
            close(raw->peers[i].descriptor);
    close(raw->listener);
}

/* Ranks 0 and 2 are endpoints, rank 1 is the test's own hand. */
static void open_with_raw(struct cluster *cluster, struct raw_peer *raw,
                          uint32_t slots, uint32_t slot_bytes)
{
    struct joiner joiners[RANKS_MAX];

    *cluster = (struct cluster){3, slots, slot_bytes, {NULL}, {{{0}}}};
    open_rank(cluster, 0);
    open_rank(cluster, 2);
    open_raw(cluster, raw, 1);
    start_joining(cluster, joiners);
    connect_raw(cluster, raw);
    finish_joining(cluster, joiners);
}

/* A frame as a real endpoint makes it, taken from one. */
static struct tcp_frame good_frame(uint32_t slots, uint32_t slot_bytes,
                                   uint32_t slot, uint32_t bytes)
{
    struct tcp_frame frames[8];
    bool leaving[8] = {false};
    struct tcp_link link = {.frames = frames, .leaving = leaving};
    struct endpoint endpoint = {
        .config = {.slots = slots, .slot_bytes = slot_bytes, .epoch = EPOCH}};

    assert_true(slots <= 8 && slot < 8);
    tcp_enqueue(&endpoint, &link, slot, bytes);
    return frames[0];
}

static void send_raw(const struct raw_peer *raw, uint32_t to, const void *from,
                     size_t bytes)
{
    struct pollfd wait = {.fd = raw->peers[to].descriptor, .events = POLLOUT};
    const uint8_t *at = from;

    while (bytes > 0) {
        ssize_t sent;

        assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
        sent = send(wait.fd, at, bytes, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += sent;
        bytes -= (size_t)sent;
    }
}

/* ---- Honest peers ---- */

static void ping_pong_of_every_size(void **state)
{
    enum { SLOT_BYTES = 20480 };
    struct cluster cluster;

    (void)state;
    open_cluster(&cluster, 2, 5, SLOT_BYTES);
    for (uint32_t bytes = 64; bytes <= SLOT_BYTES; bytes += 64) {
        struct event event;
        uint32_t slot = bytes / 64 % 5;

        put(&cluster, 0, 1, slot, bytes, bytes / 64);
        event = next_event(&cluster, 1);
        check(&event, 0, slot, bytes, bytes / 64);
        put(&cluster, 1, 0, slot, bytes, bytes / 64 + 1);
        event = next_event(&cluster, 0);
        check(&event, 1, slot, bytes, bytes / 64 + 1);
    }
    close_cluster(&cluster);
}

static uint32_t size_of(uint32_t round, uint32_t slot, uint32_t slot_bytes)
{
    uint32_t lines = slot_bytes / 64;

    /* Every third one is full, the others small or somewhere between. */
    if (slot % 3 == 0)
        return slot_bytes;
    return (1 + (round * 7919 + slot * 104729) % (slot % 3 == 1 ? 9 : lines)) *
           64;
}

static void all_slots_in_flight_between_all(void **state)
{
    enum { SLOTS = 24, SLOT_BYTES = 128 << 10, ROUNDS = 4 };
    struct cluster cluster;

    (void)state;
    open_cluster(&cluster, 3, SLOTS, SLOT_BYTES);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t next[3][3] = {{0}};

        for (uint32_t slot = 0; slot < SLOTS; slot++)
            for (uint32_t pair = 0; pair < 9; pair++)
                if (pair / 3 != pair % 3)
                    put(&cluster, pair / 3, pair % 3, slot,
                        size_of(round, slot, SLOT_BYTES), round + slot);
        for (uint32_t i = 0; i < 6 * SLOTS; i++) {
            uint32_t to = i % 3;
            struct event event = next_event(&cluster, to);
            uint32_t slot = next[event.peer][to]++;

            check(&event, event.peer, slot, size_of(round, slot, SLOT_BYTES),
                  round + slot);
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(transport_tcp.busy(cluster.endpoints[i]));
        check_silence(&cluster, i, 5);
    }
    close_cluster(&cluster);
}

static void a_put_is_checked(void **state)
{
    struct cluster cluster;
    struct endpoint *endpoint;

    (void)state;
    open_cluster(&cluster, 2, 4, 4096);
    endpoint = cluster.endpoints[0];
    assert_int_equal(transport_tcp.put(endpoint, 1, 4, 64), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 1, 0, 0), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 1, 0, 100), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 1, 0, 4160), -EINVAL);
    assert_int_equal(transport_tcp.put(endpoint, 0, 0, 64), -ENOTCONN);
    assert_int_equal(transport_tcp.put(endpoint, 2, 0, 64), -ENOTCONN);
    assert_null(transport_tcp.stage(endpoint, 0, 0));
    assert_null(transport_tcp.stage(endpoint, 2, 0));
    assert_null(transport_tcp.stage(endpoint, 1, 4));
    check_silence(&cluster, 1, 5);
    close_cluster(&cluster);
}

static void two_floods_are_served_in_turn(void **state)
{
    enum { SLOTS = 64 };
    struct cluster cluster;
    uint32_t from_rank[3] = {0};

    (void)state;
    open_cluster(&cluster, 3, SLOTS, 64);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        put(&cluster, 1, 0, slot, 64, slot);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        put(&cluster, 2, 0, slot, 64, slot);
    for (uint32_t i = 1; i < 3; i++)
        while (transport_tcp.busy(cluster.endpoints[i]))
            transport_tcp.poll(cluster.endpoints[i], NULL, 0);
    sleep_ms(5);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct event event = next_event(&cluster, 0);

        from_rank[event.peer]++;
    }
    /* One event a poll: each has had half of the turns, or nearly so. */
    assert_in_range(from_rank[1], SLOTS / 2 - 8, SLOTS / 2 + 8);
    close_cluster(&cluster);
}

/* ---- Peers that come late, go, or do not read ---- */

static void a_peer_that_does_not_read_stops_nobody(void **state)
{
    enum { SLOTS = 64, SLOT_BYTES = 1 << 20 };
    struct cluster cluster;
    struct endpoint *endpoint;
    struct event event;
    uint32_t busy_slot = SLOTS;

    (void)state;
    open_cluster(&cluster, 3, SLOTS, SLOT_BYTES);
    endpoint = cluster.endpoints[0];
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        put(&cluster, 0, 1, slot, SLOT_BYTES, slot);
    for (uint32_t i = 0; i < 100; i++)
        transport_tcp.poll(endpoint, NULL, 0);
    assert_true(transport_tcp.busy(endpoint));
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (transport_tcp.stage(endpoint, 1, slot) == NULL)
            busy_slot = slot;
    assert_int_equal(busy_slot, SLOTS - 1);
    assert_int_equal(transport_tcp.put(endpoint, 1, busy_slot, 64), -EBUSY);
    /* The third rank is served meanwhile. */
    for (uint32_t i = 0; i < 50; i++) {
        put(&cluster, 0, 2, i % SLOTS, 64 + 64 * i, i);
        do {
            transport_tcp.poll(endpoint, NULL, 0);
        } while (transport_tcp.poll(cluster.endpoints[2], &event, 1) == 0);
        check(&event, 0, i % SLOTS, 64 + 64 * i, i);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        event = next_event(&cluster, 1);
        check(&event, 0, slot, SLOT_BYTES, slot);
    }
    assert_false(transport_tcp.busy(endpoint));
    close_cluster(&cluster);
}

static void closing_with_puts_that_nobody_reads(void **state)
{
    enum { SLOTS = 32, SLOT_BYTES = 1 << 20 };
    struct cluster cluster;
    uint64_t start;

    (void)state;
    open_cluster(&cluster, 2, SLOTS, SLOT_BYTES);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        put(&cluster, 0, 1, slot, SLOT_BYTES, slot);
    start = now_ns();
    transport_tcp.close(cluster.endpoints[0]);
    assert_true(now_ns() - start < 1000000000u);
    cluster.endpoints[0] = NULL;
    close_cluster(&cluster);
}

static void what_was_sent_arrives_before_the_loss(void **state)
{
    enum { SLOTS = 20 };
    struct cluster cluster;
    struct event event;

    (void)state;
    open_cluster(&cluster, 2, SLOTS, 8192);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        put(&cluster, 0, 1, slot, 64 * (slot + 1), slot);
    while (transport_tcp.busy(cluster.endpoints[0]))
        transport_tcp.poll(cluster.endpoints[0], NULL, 0);
    transport_tcp.close(cluster.endpoints[0]);
    cluster.endpoints[0] = NULL;
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        event = next_event(&cluster, 1);
        check(&event, 0, slot, 64 * (slot + 1), slot);
    }
    event = next_event(&cluster, 1);
    check_lost(&event, 0, -ECONNRESET);
    check_silence(&cluster, 1, 5);
    assert_null(transport_tcp.stage(cluster.endpoints[1], 0, 0));
    assert_int_equal(transport_tcp.put(cluster.endpoints[1], 0, 0, 64),
                     -ENOTCONN);
    close_cluster(&cluster);
}

/* Puts go on until the loss is noticed, which must not kill or block. */
static void putting_to_a_peer_that_died(void **state)
{
    struct cluster cluster;
    struct event event = {.kind = EVENT_ARRIVED};
    uint64_t deadline = in_ms(PATIENCE_MS);

    (void)state;
    open_cluster(&cluster, 2, 4, 65536);
    put(&cluster, 1, 0, 0, 65536, 1);
    transport_tcp.close(cluster.endpoints[1]);
    cluster.endpoints[1] = NULL;
    for (uint32_t i = 0; event.kind != EVENT_LOST; i++) {
        struct endpoint *endpoint = cluster.endpoints[0];

        assert_true(now_ns() < deadline);
        if (transport_tcp.stage(endpoint, 1, i % 4) != NULL)
            assert_int_equal(transport_tcp.put(endpoint, 1, i % 4, 65536), 0);
        if (i % 8 == 7)
            transport_tcp.poll(endpoint, &event, 1);
    }
    check_lost(&event, 1, -ECONNRESET);
    assert_false(transport_tcp.busy(cluster.endpoints[0]));
    check_silence(&cluster, 0, 5);
    close_cluster(&cluster);
}

static void a_dropped_peer_is_silent_here_and_lost_there(void **state)
{
    struct cluster cluster;
    struct event event;

    (void)state;
    open_cluster(&cluster, 3, 4, 1 << 20);
    put(&cluster, 1, 0, 0, 64, 1);
    for (uint32_t slot = 0; slot < 4; slot++)
        put(&cluster, 0, 1, slot, 1 << 20, slot);
    transport_tcp.drop(cluster.endpoints[0], 1);
    assert_false(transport_tcp.busy(cluster.endpoints[0]));
    assert_int_equal(transport_tcp.put(cluster.endpoints[0], 1, 0, 64),
                     -ENOTCONN);
    check_silence(&cluster, 0, 5);
    do {
        event = next_event(&cluster, 1);
    } while (event.kind == EVENT_ARRIVED);
    check_lost(&event, 0, -ECONNRESET);
    put(&cluster, 2, 0, 1, 128, 9);
    event = next_event(&cluster, 0);
    check(&event, 2, 1, 128, 9);
    transport_tcp.drop(cluster.endpoints[0], 1);
    close_cluster(&cluster);
}

static void a_missing_peer_is_named(void **state)
{
    struct cluster cluster = {3, 4, 4096, {NULL}, {{{0}}}};
    bool wanted[3] = {false, false, true};

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        open_rank(&cluster, i);
    assert_int_equal(transport_tcp.connect(cluster.endpoints[0], cluster.table,
                                           wanted, EPOCH, in_ms(50)),
                     -ETIMEDOUT);
    assert_true(wanted[2]);
    assert_false(wanted[1]);
    close_cluster(&cluster);
}

/* ---- Liars ---- */

struct lie {
    const char *what;
    uint32_t magic, slot, bytes; /* slot and bytes with their true check word */
    uint32_t flip;               /* bits of the check word */
};

static void tell(const struct lie *lie)
{
    struct cluster cluster;
    struct raw_peer raw;
    struct tcp_frame frames[2] = {good_frame(4, 4096, 1, 64)};
    uint8_t payload[8192] = {0};
    struct endpoint_counts counts;
    struct event event;

    print_message("  %s\n", lie->what);
    open_with_raw(&cluster, &raw, 4, 4096);
    send_raw(&raw, 0, &frames[0], sizeof(frames[0]));
    send_raw(&raw, 0, payload, 64);
    frames[1] = good_frame(8, 1u << 31, lie->slot, lie->bytes);
    frames[1].magic = htole32(lie->magic);
    frames[1].check ^= htole32(lie->flip);
    send_raw(&raw, 0, &frames[1], sizeof(frames[1]));
    send_raw(&raw, 0, payload, sizeof(payload));
    event = next_event(&cluster, 0);
    assert_int_equal(event.kind, EVENT_ARRIVED);
    assert_int_equal(event.slot, 1);
    event = next_event(&cluster, 0);
    check_lost(&event, 1, -EPROTO);
    transport_tcp.counts(cluster.endpoints[0], &counts);
    assert_int_equal(counts.violations, 1);
    put(&cluster, 2, 0, 3, 4096, 5);
    event = next_event(&cluster, 0);
    check(&event, 2, 3, 4096, 5);
    put(&cluster, 0, 2, 3, 4096, 6);
    event = next_event(&cluster, 2);
    check(&event, 0, 3, 4096, 6);
    close_cluster(&cluster);
    close_raw(&cluster, &raw);
}

static void a_frame_that_lies_costs_its_own_link(void **state)
{
    static const struct lie lies[] = {
        {"wrong magic", FRAME_MAGIC ^ 1, 0, 64, 0},
        {"wrong check word", FRAME_MAGIC, 0, 64, 0x400},
        {"slot too large", FRAME_MAGIC, 4, 64, 0},
        {"no bytes", FRAME_MAGIC, 0, 0, 0},
        {"63 bytes", FRAME_MAGIC, 0, 63, 0},
        {"65 bytes", FRAME_MAGIC, 0, 65, 0},
        {"more than a slot", FRAME_MAGIC, 3, 4160, 0},
        {"2 GiB", FRAME_MAGIC, 0, 1u << 31, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        tell(&lies[i]);
}

/* Ends in the middle of a header, or of a payload. */
static void a_truncated_frame_is_a_loss_and_no_event(void **state)
{
    static const size_t sent_bytes[] = {5, 16, 80, 5000, 8191 + 16};

    (void)state;
    for (size_t i = 0; i < sizeof(sent_bytes) / sizeof(sent_bytes[0]); i++) {
        struct cluster cluster;
        struct raw_peer raw;
        struct tcp_frame frame = good_frame(4, 8192, 2, 8192);
        uint8_t stream[16 + 8192] = {0};
        struct event event;
        struct endpoint_counts counts;

        memcpy(stream, &frame, sizeof(frame));
        open_with_raw(&cluster, &raw, 4, 8192);
        send_raw(&raw, 0, stream, sent_bytes[i]);
        check_silence(&cluster, 0, 5);
        close_raw(&cluster, &raw);
        event = next_event(&cluster, 0);
        check_lost(&event, 1, -ECONNRESET);
        transport_tcp.counts(cluster.endpoints[0], &counts);
        assert_int_equal(counts.violations, 0);
        close_cluster(&cluster);
    }
}

/* The stream is cut everywhere once, also inside headers. */
static void frames_that_come_in_crumbs(void **state)
{
    struct cluster cluster;
    struct raw_peer raw;
    struct tcp_frame frame = good_frame(4, 8192, 2, 128);
    uint8_t stream[16 + 128];
    struct event event;

    (void)state;
    memcpy(stream, &frame, sizeof(frame));
    for (uint32_t i = 0; i < 128; i++)
        stream[16 + i] = pattern(1, 3, i);
    open_with_raw(&cluster, &raw, 4, 8192);
    for (size_t at = 1; at < sizeof(stream); at++) {
        send_raw(&raw, 0, stream, at);
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(
                transport_tcp.poll(cluster.endpoints[0], &event, 1), 0);
        send_raw(&raw, 0, stream + at, sizeof(stream) - at);
        event = next_event(&cluster, 0);
        check(&event, 1, 2, 128, 3);
    }
    close_cluster(&cluster);
    close_raw(&cluster, &raw);
}

static void an_address_that_nobody_listens_on(void **state)
{
    struct cluster cluster = {2, 4, 4096, {NULL}, {{{0}}}};
    static const struct {
        uint32_t index;
        uint8_t value;
    } edits[] = {{0, 5}, {1, 1}, {4, 224}, {20, 1}, {127, 1}};

    (void)state;
    open_rank(&cluster, 0);
    open_rank(&cluster, 1);
    for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        struct address table[2] = {cluster.table[0], cluster.table[1]};
        bool wanted[2] = {true, false};

        table[0].bytes[edits[i].index] = edits[i].value;
        assert_int_equal(transport_tcp.connect(cluster.endpoints[1], table,
                                               wanted, EPOCH, in_ms(50)),
                         -EINVAL);
        memset(&table[0], 0, sizeof(table[0]));
        assert_int_equal(transport_tcp.connect(cluster.endpoints[1], table,
                                               wanted, EPOCH, in_ms(50)),
                         -EINVAL);
        assert_true(wanted[0]);
    }
    close_cluster(&cluster);
}

/* ---- Sleeping and threads ---- */

static bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd wait = {.fd = descriptor, .events = POLLIN};

    return poll(&wait, 1, timeout_ms) == 1;
}

/* Polls without events until there is nothing to do. */
static int arm(struct endpoint *endpoint)
{
    struct event event;

    for (uint32_t i = 0; i < 1000; i++) {
        int descriptor = transport_tcp.arm(endpoint);

        if (descriptor != -EAGAIN)
            return descriptor;
        assert_int_equal(transport_tcp.poll(endpoint, &event, 1), 0);
    }
    fail_msg("there is always something to do");
    return -1;
}

/* Sleeps until there is something to do; an event may take several wakes. */
static struct event sleep_for_event(struct endpoint *sleeper,
                                    struct endpoint *sender)
{
    uint64_t deadline = in_ms(PATIENCE_MS);
    struct event event;

    while (now_ns() < deadline) {
        int descriptor = transport_tcp.arm(sleeper);

        while (descriptor >= 0 && !is_readable(descriptor, 1)) {
            transport_tcp.poll(sender, NULL, 0);
            assert_true(now_ns() < deadline);
        }
        if (transport_tcp.poll(sleeper, &event, 1) == 1)
            return event;
    }
    fail_msg("woken again and again for nothing");
    return event;
}

static void a_put_wakes_who_sleeps(void **state)
{
    struct cluster cluster;
    struct event event;
    int descriptor;

    (void)state;
    open_cluster(&cluster, 3, 4, 1 << 20);
    for (uint32_t i = 0; i < 30; i++) {
        uint32_t from = 1 + i % 2, bytes = i % 3 == 0 ? 64 : 1 << 20;

        descriptor = arm(cluster.endpoints[0]);
        assert_true(descriptor >= 0);
        assert_false(is_readable(descriptor, 1));
        put(&cluster, from, 0, i % 4, bytes, i);
        transport_tcp.poll(cluster.endpoints[from], NULL, 0);
        assert_true(is_readable(descriptor, PATIENCE_MS));
        event = sleep_for_event(cluster.endpoints[0], cluster.endpoints[from]);
        check(&event, from, i % 4, bytes, i);
    }
    assert_int_equal(arm(cluster.endpoints[0]), descriptor);
    transport_tcp.close(cluster.endpoints[2]);
    cluster.endpoints[2] = NULL;
    assert_true(is_readable(descriptor, PATIENCE_MS));
    event = next_event(&cluster, 0);
    check_lost(&event, 2, -ECONNRESET);
    close_cluster(&cluster);
}

static void what_is_there_forbids_to_sleep(void **state)
{
    struct cluster cluster;
    struct event event;

    (void)state;
    open_cluster(&cluster, 2, 4, 4096);
    arm(cluster.endpoints[0]);
    put(&cluster, 1, 0, 0, 64, 1);
    put(&cluster, 1, 0, 1, 64, 2);
    sleep_ms(5);
    assert_int_equal(transport_tcp.arm(cluster.endpoints[0]), -EAGAIN);
    event = next_event(&cluster, 0);
    check(&event, 1, 0, 64, 1);
    while (transport_tcp.busy(cluster.endpoints[1]))
        transport_tcp.poll(cluster.endpoints[1], NULL, 0);
    sleep_ms(5);
    assert_int_equal(transport_tcp.arm(cluster.endpoints[0]), -EAGAIN);
    event = next_event(&cluster, 0);
    check(&event, 1, 1, 64, 2);
    close_cluster(&cluster);
}

/* A sender that sleeps with bytes left is woken when there is room again. */
static void room_to_send_wakes_who_sleeps(void **state)
{
    enum { SLOTS = 32, SLOT_BYTES = 1 << 20 };
    struct cluster cluster;
    uint32_t arrived = 0;

    (void)state;
    open_cluster(&cluster, 2, SLOTS, SLOT_BYTES);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        put(&cluster, 0, 1, slot, SLOT_BYTES, slot);
    while (transport_tcp.busy(cluster.endpoints[0])) {
        int descriptor = arm(cluster.endpoints[0]);
        struct event event;
        uint64_t deadline = in_ms(PATIENCE_MS);

        while (!is_readable(descriptor, 0) &&
               transport_tcp.busy(cluster.endpoints[0])) {
            assert_true(now_ns() < deadline);
            if (transport_tcp.poll(cluster.endpoints[1], &event, 1) == 0)
                continue;
            check(&event, 0, arrived, SLOT_BYTES, arrived);
            arrived++;
        }
        transport_tcp.poll(cluster.endpoints[0], &event, 1);
    }
    for (; arrived < SLOTS; arrived++) {
        struct event event = next_event(&cluster, 1);

        check(&event, 0, arrived, SLOT_BYTES, arrived);
    }
    close_cluster(&cluster);
}

static void *drive_for_a_while(void *argument)
{
    const struct cluster *cluster = argument;
    struct event event;

    for (uint32_t slot = 0; slot < cluster->slots; slot++)
        put(cluster, 0, 1, slot, cluster->slot_bytes, slot);
    for (uint32_t i = 0; i < 100; i++)
        if (transport_tcp.poll(cluster->endpoints[0], &event, 1) != 0)
            return argument;
    return NULL;
}

/* What the thread had under way must not end with it. */
static void the_thread_that_drove_ends(void **state)
{
    enum { SLOTS = 16, SLOT_BYTES = 1 << 20 };
    struct cluster cluster;
    pthread_t thread;
    void *result;

    (void)state;
    open_cluster(&cluster, 2, SLOTS, SLOT_BYTES);
    pthread_create(&thread, NULL, drive_for_a_while, &cluster);
    pthread_join(thread, &result);
    assert_null(result);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        struct event event = next_event(&cluster, 1);

        check(&event, 0, slot, SLOT_BYTES, slot);
    }
    put(&cluster, 1, 0, 3, 4096, 8);
    assert_int_equal(next_event(&cluster, 0).slot, 3);
    close_cluster(&cluster);
}

/* ---- Resources ---- */

static uint32_t count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint32_t count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void nothing_is_left_after_many_cycles(void **state)
{
    uint32_t before = count_descriptors();

    (void)state;
    for (uint32_t i = 0; i < 30; i++) {
        struct cluster cluster;

        open_cluster(&cluster, 3, 8, 65536);
        put(&cluster, 0, 1, i % 8, 65536, i);
        if (i % 3 == 0)
            transport_tcp.drop(cluster.endpoints[1], 0);
        if (i % 3 == 1)
            check_silence(&cluster, 2, 1);
        close_cluster(&cluster);
    }
    assert_int_equal(count_descriptors(), before);
}

/* ---- Which engine ---- */

static bool uring_runs_here(void)
{
    struct cluster cluster = {1, 1, 64, {NULL}, {{{0}}}};
    struct endpoint_config config = config_of(&cluster, 0);
    struct endpoint *endpoint;

    setenv("BALLOT_TCP_ENGINE", "uring", 1);
    if (transport_tcp.open(&endpoint, &config) != 0)
        return false;
    transport_tcp.close(endpoint);
    return true;
}

static const char *engine_of_open(const char *forced, int *rc)
{
    struct cluster cluster = {2, 4, 4096, {NULL}, {{{0}}}};
    struct endpoint_config config = config_of(&cluster, 0);
    struct endpoint *endpoint = NULL;
    const char *name;

    if (forced == NULL)
        unsetenv("BALLOT_TCP_ENGINE");
    else
        setenv("BALLOT_TCP_ENGINE", forced, 1);
    *rc = transport_tcp.open(&endpoint, &config);
    if (*rc != 0)
        return "none";
    name = tcp_engine_name(endpoint);
    transport_tcp.close(endpoint);
    return name;
}

static void the_engine_can_be_forced(void **state)
{
    int rc;

    (void)state;
    assert_string_equal(engine_of_open("epoll", &rc), "epoll");
    assert_string_equal(engine_of_open("threads", &rc), "none");
    assert_int_equal(rc, -EINVAL);
    if (!uring_runs_here())
        skip();
    assert_string_equal(engine_of_open("uring", &rc), "io_uring");
    assert_string_equal(engine_of_open(NULL, &rc), "io_uring");
}

/* As the default profiles of containers do. */
static void refuse_uring(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof(program) / sizeof(program[0]),
                                .filter = program};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(77);
}

static int without_uring(void)
{
    int rc;

    refuse_uring();
    if (strcmp(engine_of_open(NULL, &rc), "epoll") != 0)
        return 1;
    if (strcmp(engine_of_open("epoll", &rc), "epoll") != 0)
        return 2;
    if (strcmp(engine_of_open("uring", &rc), "none") != 0 || rc != -EPERM)
        return 3;
    return 0;
}

static void epoll_takes_over_where_uring_is_refused(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(without_uring());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void an_interface_that_is_not_there(void **state)
{
    struct cluster cluster = {2, 4, 4096, {NULL}, {{{0}}}};
    struct endpoint_config config = config_of(&cluster, 0);
    struct endpoint *endpoint = NULL;

    (void)state;
    config.interface = "ballot-no-such0";
    assert_int_equal(transport_tcp.open(&endpoint, &config), -ENODEV);
    assert_null(endpoint);
    config.interface = NULL;
    assert_int_equal(transport_tcp.open(&endpoint, &config), 0);
    transport_tcp.close(endpoint);
    transport_tcp.close(NULL);
}

static int use_epoll(void **state)
{
    (void)state;
    return setenv("BALLOT_TCP_ENGINE", "epoll", 1);
}

static int use_uring(void **state)
{
    (void)state;
    return setenv("BALLOT_TCP_ENGINE", "uring", 1);
}

static const struct CMUnitTest of_each_engine[] = {
    cmocka_unit_test(ping_pong_of_every_size),
    cmocka_unit_test(all_slots_in_flight_between_all),
    cmocka_unit_test(a_put_is_checked),
    cmocka_unit_test(two_floods_are_served_in_turn),
    cmocka_unit_test(a_peer_that_does_not_read_stops_nobody),
    cmocka_unit_test(closing_with_puts_that_nobody_reads),
    cmocka_unit_test(what_was_sent_arrives_before_the_loss),
    cmocka_unit_test(putting_to_a_peer_that_died),
    cmocka_unit_test(a_dropped_peer_is_silent_here_and_lost_there),
    cmocka_unit_test(a_missing_peer_is_named),
    cmocka_unit_test(a_frame_that_lies_costs_its_own_link),
    cmocka_unit_test(a_truncated_frame_is_a_loss_and_no_event),
    cmocka_unit_test(frames_that_come_in_crumbs),
    cmocka_unit_test(an_address_that_nobody_listens_on),
    cmocka_unit_test(a_put_wakes_who_sleeps),
    cmocka_unit_test(what_is_there_forbids_to_sleep),
    cmocka_unit_test(room_to_send_wakes_who_sleeps),
    cmocka_unit_test(the_thread_that_drove_ends),
    cmocka_unit_test(nothing_is_left_after_many_cycles),
};

static const struct CMUnitTest of_the_choice[] = {
    cmocka_unit_test(the_engine_can_be_forced),
    cmocka_unit_test(epoll_takes_over_where_uring_is_refused),
    cmocka_unit_test(an_interface_that_is_not_there),
};

int main(void)
{
    int failed =
        cmocka_run_group_tests_name("epoll", of_each_engine, use_epoll, NULL);

    if (uring_runs_here())
        failed += cmocka_run_group_tests_name("io_uring", of_each_engine,
                                              use_uring, NULL);
    else
        print_message("io_uring is refused here: not tested\n");
    failed += cmocka_run_group_tests_name("choice", of_the_choice, NULL, NULL);
    return failed;
}
