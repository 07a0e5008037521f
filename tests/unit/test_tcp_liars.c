/* SPDX-License-Identifier: Apache-2.0 */
/* test_tcp_liars.c - tcp peers that know the key and break the framing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cluster.h"
#include "transport/mesh.h"
#include "transport/tcp.h"

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
    assert_int_equal(socket_address_write(cluster->table[rank].bytes, &bound),
                     0);
}

static void connect_raw(const struct cluster *cluster, struct raw_peer *raw)
{
    struct mesh_config config = {
        .handshake = {.credentials = &cluster_credentials,
                      .purpose = PURPOSE_TCP,
                      .rank = raw->rank,
                      .ranks = cluster->ranks,
                      .epoch = EPOCH},
        .listener = raw->listener,
        .deadline_ns = clock_in_ms(PATIENCE_MS),
    };
    struct sockaddr_storage none = {0};
    uint64_t strangers = 0;

    for (uint32_t i = 0; i < cluster->ranks; i++) {
        raw->peers[i].descriptor = -1;
        if (i == raw->rank)
            continue;
        raw->peers[i].wanted = true;
        assert_int_equal(socket_address_read(&raw->peers[i].address,
                                             &raw->peers[i].address_bytes,
                                             cluster->table[i].bytes, &none),
                         0);
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
    cluster_open_rank(cluster, 0);
    cluster_open_rank(cluster, 2);
    open_raw(cluster, raw, 1);
    cluster_start_joining(cluster, joiners);
    connect_raw(cluster, raw);
    cluster_finish_joining(cluster, joiners);
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
    event = cluster_next_event(&cluster, 0);
    assert_int_equal(event.kind, EVENT_ARRIVED);
    assert_int_equal(event.slot, 1);
    event = cluster_next_event(&cluster, 0);
    cluster_check_lost(&event, 1, -EPROTO);
    transport_tcp.counts(cluster.endpoints[0], &counts);
    assert_int_equal(counts.violations, 1);
    cluster_put(&cluster, 2, 0, 3, 4096, 5);
    event = cluster_next_event(&cluster, 0);
    cluster_check(&event, 2, 3, 4096, 5);
    cluster_put(&cluster, 0, 2, 3, 4096, 6);
    event = cluster_next_event(&cluster, 2);
    cluster_check(&event, 0, 3, 4096, 6);
    cluster_close(&cluster);
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
        cluster_check_silence(&cluster, 0, 5);
        close_raw(&cluster, &raw);
        event = cluster_next_event(&cluster, 0);
        cluster_check_lost(&event, 1, -ECONNRESET);
        transport_tcp.counts(cluster.endpoints[0], &counts);
        assert_int_equal(counts.violations, 0);
        cluster_close(&cluster);
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
        stream[16 + i] = cluster_pattern(1, 3, i);
    open_with_raw(&cluster, &raw, 4, 8192);
    for (size_t at = 1; at < sizeof(stream); at++) {
        send_raw(&raw, 0, stream, at);
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(
                transport_tcp.poll(cluster.endpoints[0], &event, 1), 0);
        send_raw(&raw, 0, stream + at, sizeof(stream) - at);
        event = cluster_next_event(&cluster, 0);
        cluster_check(&event, 1, 2, 128, 3);
    }
    cluster_close(&cluster);
    close_raw(&cluster, &raw);
}

/* ---- Brief messages ---- */

static struct tcp_frame brief_frame(uint32_t magic, uint32_t told,
                                    uint32_t bytes)
{
    const struct endpoint endpoint = {.config = {.epoch = EPOCH}};

    return tcp_frame_of(&endpoint, magic, told, bytes);
}

struct brief_lie {
    const char *what;
    uint32_t magic, told, bytes; /* with their true check word */
    uint32_t flip;               /* bits of the check word */
    int times;                   /* the last of them is one too many */
};

/* Others' links go on. */
static void tell_briefly(const struct brief_lie *lie)
{
    static uint8_t stream[FRAME_BYTES + 4 * BRIEF_HEAD + TCP_BRIEF_BYTES];
    struct tcp_frame frame = brief_frame(lie->magic, lie->told, lie->bytes);
    struct event event = {.kind = EVENT_BRIEF};
    struct endpoint_counts counts;
    struct cluster cluster;
    struct raw_peer raw;
    int told = 0;

    print_message("  %s\n", lie->what);
    frame.check ^= htole32(lie->flip);
    memcpy(stream, &frame, sizeof(frame));
    open_with_raw(&cluster, &raw, 4, 4096);
    for (; told < lie->times && event.kind == EVENT_BRIEF; told++) {
        send_raw(&raw, 0, stream, sizeof(stream));
        event = cluster_next_event(&cluster, 0);
    }
    while (event.kind == EVENT_BRIEF)
        event = cluster_next_event(&cluster, 0);
    cluster_check_lost(&event, 1, -EPROTO);
    assert_int_equal(told, lie->times);
    transport_tcp.counts(cluster.endpoints[0], &counts);
    assert_int_equal(counts.violations, 1);
    assert_int_equal(transport_tcp.put_brief(cluster.endpoints[0], 1,
                                             (uint32_t[BRIEF_HEAD]){0}, "", 0),
                     -ENOTCONN);
    cluster_put(&cluster, 2, 0, 3, 4096, 5);
    event = cluster_next_event(&cluster, 0);
    cluster_check(&event, 2, 3, 4096, 5);
    cluster_close(&cluster);
    close_raw(&cluster, &raw);
}

static void a_brief_message_that_lies_costs_its_own_link(void **state)
{
    static const struct brief_lie lies[] = {
        {"wrong check word", FRAME_BRIEF, 0, 8, 0x400, 1},
        {"a body too large", FRAME_BRIEF, 0, TCP_BRIEF_BYTES + 1, 0, 1},
        {"4 GiB", FRAME_BRIEF, 0, UINT32_MAX, 0, 1},
        {"taken what was not given", FRAME_BRIEF, 16, 8, 0, 1},
        {"told that nothing was taken, and less", FRAME_TELL, UINT32_MAX, 0, 0,
         1},
        {"more than anybody has room for", FRAME_BRIEF, 0, TCP_BRIEF_BYTES, 0,
         TCP_QUEUE_BYTES / TCP_BRIEF_BYTES},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        tell_briefly(&lies[i]);
}

/* The stream is cut everywhere once, also inside the header. */
static void a_brief_message_that_comes_in_crumbs(void **state)
{
    enum { BODY = 100 };
    struct tcp_frame frame = brief_frame(FRAME_BRIEF, 0, BODY);
    const uint32_t sent_head[BRIEF_HEAD] = {3, 1, 4};
    uint8_t stream[FRAME_BYTES + sizeof(sent_head) + BODY], body[BODY];
    struct cluster cluster;
    struct raw_peer raw;

    (void)state;
    memcpy(stream, &frame, sizeof(frame));
    memcpy(stream + FRAME_BYTES, sent_head, sizeof(sent_head));
    for (uint32_t i = 0; i < BODY; i++)
        stream[FRAME_BYTES + sizeof(sent_head) + i] = cluster_pattern(1, 3, i);
    open_with_raw(&cluster, &raw, 4, 8192);
    for (size_t at = 1; at < sizeof(stream); at++) {
        uint32_t head[BRIEF_HEAD];
        struct event event;

        send_raw(&raw, 0, stream, at);
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(
                transport_tcp.poll(cluster.endpoints[0], &event, 1), 0);
        assert_int_equal(
            transport_tcp.peek_brief(cluster.endpoints[0], 1, head), -EAGAIN);
        send_raw(&raw, 0, stream + at, sizeof(stream) - at);
        event = cluster_next_event(&cluster, 0);
        assert_int_equal(event.kind, EVENT_BRIEF);
        assert_int_equal(event.peer, 1);
        assert_int_equal(
            transport_tcp.peek_brief(cluster.endpoints[0], 1, head), BODY);
        assert_memory_equal(head, sent_head, sizeof(head));
        transport_tcp.take_brief(cluster.endpoints[0], 1, body, BODY);
        for (uint32_t i = 0; i < BODY; i++)
            assert_int_equal(body[i], cluster_pattern(1, 3, i));
    }
    cluster_close(&cluster);
    close_raw(&cluster, &raw);
}

static const struct CMUnitTest all[] = {
    cmocka_unit_test(a_frame_that_lies_costs_its_own_link),
    cmocka_unit_test(a_truncated_frame_is_a_loss_and_no_event),
    cmocka_unit_test(frames_that_come_in_crumbs),
    cmocka_unit_test(a_brief_message_that_lies_costs_its_own_link),
    cmocka_unit_test(a_brief_message_that_comes_in_crumbs),
};

int main(void)
{
    return CLUSTER_RUN_EACH_ENGINE(all);
}
