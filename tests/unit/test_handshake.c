/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_handshake.c - only whole, fresh frames under the right key are taken.
 *
 * The test sits between the two sides: it carries each frame from one socket
 * pair to the other and may change it on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "transport/handshake.h"

enum { FRAMES = 4 };

static const size_t frame_bytes[FRAMES] = {HELLO_BYTES, HELLO_BYTES,
                                           PROOF_BYTES, PROOF_BYTES};

static const struct handshake_config lower = {&crowd_key, PURPOSE_TCP, 1, 4,
                                              77};
static const struct handshake_config higher = {&crowd_key, PURPOSE_TCP, 3, 4,
                                               77};

/* Both sides, each with its end of a pair; the other ends are ours. */
struct wire {
    struct handshake connector, acceptor;
    int connector_end, acceptor_end;
};

static void open_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends),
                     0);
}

static void open_wire(struct wire *wire,
                      const struct handshake_config *connector,
                      const struct handshake_config *acceptor)
{
    int ends[2];

    open_pair(ends);
    handshake_start(&wire->connector, ends[0], true, connector);
    wire->connector_end = ends[1];
    open_pair(ends);
    handshake_start(&wire->acceptor, ends[0], false, acceptor);
    wire->acceptor_end = ends[1];
}

static void close_wire(struct wire *wire)
{
    close(wire->connector.descriptor);
    close(wire->connector_end);
    close(wire->acceptor.descriptor);
    close(wire->acceptor_end);
}

static int step(struct handshake *handshake)
{
    short events;

    return handshake_step(handshake, &events);
}

/* Whoever sends frame `index` does so; it must be all there is. */
static void take_frame(struct wire *wire, int index, uint8_t *frame)
{
    bool from_connector = index % 2 == 0;
    int end = from_connector ? wire->connector_end : wire->acceptor_end;
    uint8_t more;

    if (from_connector)
        assert_true(step(&wire->connector) >= 0);
    assert_int_equal(read(end, frame, frame_bytes[index]), frame_bytes[index]);
    assert_int_equal(read(end, &more, 1), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Delivers bytes[count] as frame `index` and says what the receiver thinks. */
static int give_frame(struct wire *wire, int index, const uint8_t *bytes,
                      size_t count)
{
    bool to_acceptor = index % 2 == 0;
    int end = to_acceptor ? wire->acceptor_end : wire->connector_end;

    assert_int_equal(write(end, bytes, count), count);
    return step(to_acceptor ? &wire->acceptor : &wire->connector);
}

/* Carries the first `count` frames unchanged. */
static void carry(struct wire *wire, int count)
{
    uint8_t frame[HELLO_BYTES];

    for (int i = 0; i < count; i++) {
        int expected = i == 2   ? HANDSHAKE_PROVEN
                       : i == 3 ? HANDSHAKE_DONE
                                : HANDSHAKE_WAIT;

        take_frame(wire, i, frame);
        assert_int_equal(give_frame(wire, i, frame, frame_bytes[i]), expected);
        if (i == 2)
            assert_int_equal(step(&wire->acceptor), HANDSHAKE_DONE);
    }
}

static void both_sides_agree_and_read_no_further(void **state)
{
    struct wire wire;
    char after[4];

    (void)state;
    open_wire(&wire, &higher, &lower);
    carry(&wire, 3);
    assert_int_equal(wire.acceptor.peer, 3);
    assert_int_equal(wire.acceptor.peer_ranks, 4);
    /* What the transport sends next comes in the same packet as READY. */
    {
        uint8_t frame[PROOF_BYTES + 4];

        take_frame(&wire, 3, frame);
        memcpy(frame + PROOF_BYTES, "next", 4);
        assert_int_equal(give_frame(&wire, 3, frame, sizeof(frame)),
                         HANDSHAKE_DONE);
    }
    assert_int_equal(wire.connector.peer, 1);
    assert_int_equal(read(wire.connector.descriptor, after, 4), 4);
    assert_memory_equal(after, "next", 4);
    close_wire(&wire);
}

static void one_byte_at_a_time_is_enough(void **state)
{
    struct wire wire;
    uint8_t frame[HELLO_BYTES];

    (void)state;
    open_wire(&wire, &higher, &lower);
    take_frame(&wire, 0, frame);
    for (size_t i = 0; i < HELLO_BYTES; i++)
        assert_int_equal(give_frame(&wire, 0, frame + i, 1), HANDSHAKE_WAIT);
    take_frame(&wire, 1, frame);
    for (size_t i = 0; i < HELLO_BYTES; i++)
        assert_int_equal(give_frame(&wire, 1, frame + i, 1), HANDSHAKE_WAIT);
    close_wire(&wire);
}

static void another_key_gets_no_answer(void **state)
{
    struct handshake_config other = higher;
    struct wire wire;
    uint8_t frame[HELLO_BYTES];

    (void)state;
    other.credentials = &crowd_other_key;
    open_wire(&wire, &other, &lower);
    take_frame(&wire, 0, frame);
    assert_int_equal(give_frame(&wire, 0, frame, HELLO_BYTES), -EACCES);
    assert_int_equal(read(wire.acceptor_end, frame, 1), -1);
    assert_false(handshake_greeted(&wire.acceptor));
    close_wire(&wire);
}

/* Frame `index` of a good handshake, cut off after `count` bytes. */
static void truncate_frame(int index, size_t count)
{
    struct wire wire;
    uint8_t frame[HELLO_BYTES];
    struct handshake *receiver =
        index % 2 == 0 ? &wire.acceptor : &wire.connector;

    open_wire(&wire, &higher, &lower);
    carry(&wire, index);
    take_frame(&wire, index, frame);
    assert_int_equal(give_frame(&wire, index, frame, count), HANDSHAKE_WAIT);
    shutdown(index % 2 == 0 ? wire.acceptor_end : wire.connector_end, SHUT_WR);
    assert_int_equal(step(receiver), -ECONNRESET);
    close_wire(&wire);
}

static void no_truncation_passes(void **state)
{
    (void)state;
    for (int index = 0; index < FRAMES; index++)
        for (size_t count = 0; count < frame_bytes[index]; count++)
            truncate_frame(index, count);
}

static void flip_bit(int index, size_t bit)
{
    struct wire wire;
    uint8_t frame[HELLO_BYTES];

    open_wire(&wire, &higher, &lower);
    carry(&wire, index);
    take_frame(&wire, index, frame);
    frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(give_frame(&wire, index, frame, frame_bytes[index]),
                     -EACCES);
    close_wire(&wire);
}

static void no_flipped_bit_passes(void **state)
{
    (void)state;
    for (int index = 0; index < FRAMES; index++)
        for (size_t bit = 0; bit < 8 * frame_bytes[index]; bit++)
            flip_bit(index, bit);
}

static void a_replay_proves_nothing(void **state)
{
    struct wire wire;
    uint8_t hello[HELLO_BYTES], challenge[HELLO_BYTES], proof[PROOF_BYTES];

    (void)state;
    open_wire(&wire, &higher, &lower);
    take_frame(&wire, 0, hello);
    give_frame(&wire, 0, hello, HELLO_BYTES);
    take_frame(&wire, 1, challenge);
    give_frame(&wire, 1, challenge, HELLO_BYTES);
    take_frame(&wire, 2, proof);
    assert_int_equal(give_frame(&wire, 2, proof, PROOF_BYTES),
                     HANDSHAKE_PROVEN);
    close_wire(&wire);

    open_wire(&wire, &higher, &lower);
    assert_int_equal(give_frame(&wire, 0, hello, HELLO_BYTES), HANDSHAKE_WAIT);
    take_frame(&wire, 1, challenge);
    assert_int_equal(give_frame(&wire, 2, proof, PROOF_BYTES), -EACCES);
    close_wire(&wire);

    /* An old challenge does not answer a new hello. */
    open_wire(&wire, &higher, &lower);
    take_frame(&wire, 0, hello);
    assert_int_equal(give_frame(&wire, 1, challenge, HELLO_BYTES), -EACCES);
    close_wire(&wire);
}

static void our_own_frames_sent_back_prove_nothing(void **state)
{
    struct wire wire;
    uint8_t frame[HELLO_BYTES];

    (void)state;
    open_wire(&wire, &higher, &lower);
    take_frame(&wire, 0, frame);
    assert_int_equal(give_frame(&wire, 1, frame, HELLO_BYTES), -EACCES);
    close_wire(&wire);

    open_wire(&wire, &higher, &lower);
    carry(&wire, 1);
    take_frame(&wire, 1, frame);
    assert_int_equal(give_frame(&wire, 2, frame, PROOF_BYTES), -EACCES);
    close_wire(&wire);

    open_wire(&wire, &higher, &lower);
    carry(&wire, 2);
    take_frame(&wire, 2, frame);
    assert_int_equal(give_frame(&wire, 3, frame, PROOF_BYTES), -EACCES);
    close_wire(&wire);
}

/* A connector that knows the key, but is not of this communicator. */
static void refuse(struct handshake_config connector)
{
    struct wire wire;
    uint8_t frame[HELLO_BYTES];

    open_wire(&wire, &connector, &lower);
    take_frame(&wire, 0, frame);
    assert_int_equal(give_frame(&wire, 0, frame, HELLO_BYTES), -EPROTO);
    assert_int_equal(read(wire.acceptor_end, frame, 1), -1);
    close_wire(&wire);
}

static void who_belongs_elsewhere_is_refused(void **state)
{
    struct handshake_config other;

    (void)state;
    other = higher, other.purpose = PURPOSE_SHM, refuse(other);
    other = higher, other.epoch++, refuse(other);
    other = higher, other.ranks++, refuse(other);
    other = higher, other.ranks = 0, refuse(other);
    other = higher, other.rank = 4, refuse(other);
    other = higher, other.rank = UINT32_MAX, refuse(other);
}

static void a_root_takes_ranks_from_its_peers(void **state)
{
    struct handshake_config root = lower;
    struct wire wire;

    (void)state;
    root.rank = 0;
    root.ranks = 0;
    open_wire(&wire, &higher, &root);
    carry(&wire, FRAMES);
    assert_int_equal(wire.acceptor.peer_ranks, 4);
    assert_int_equal(wire.connector.peer, 0);
    close_wire(&wire);
}

static void other_protocols_are_refused_at_their_first_bytes(void **state)
{
    static const char *const greetings[] = {
        "GET /metrics HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "b",
        "bl0",
    };
    struct wire wire;

    (void)state;
    for (size_t i = 0; i < sizeof(greetings) / sizeof(*greetings); i++) {
        int expected = greetings[i][1] == '\0' ? HANDSHAKE_WAIT : -EACCES;

        open_wire(&wire, &higher, &lower);
        assert_int_equal(give_frame(&wire, 0, (const uint8_t *)greetings[i],
                                    strlen(greetings[i])),
                         expected);
        close_wire(&wire);
    }
}

static void nobody_there_is_the_sockets_error(void **state)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t bytes = sizeof(address);
    int silent = socket(AF_INET, SOCK_STREAM, 0);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct handshake handshake;
    int result = 0;

    (void)state;
    /* Bound, so that nobody else gets the port, but not listening. */
    assert_int_equal(bind(silent, (struct sockaddr *)&address, bytes), 0);
    getsockname(silent, (struct sockaddr *)&address, &bytes);
    assert_int_equal(
        connect(descriptor, (const struct sockaddr *)&address, bytes), -1);
    if (errno == EINPROGRESS) {
        handshake_start(&handshake, descriptor, true, &higher);
        for (int i = 0; i < 1000 && result == 0; i++) {
            result = step(&handshake);
            crowd_sleep_ms(1);
        }
        assert_int_equal(result, -ECONNREFUSED);
    } else {
        assert_int_equal(errno, ECONNREFUSED);
    }
    close(descriptor);
    close(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree_and_read_no_further),
        cmocka_unit_test(one_byte_at_a_time_is_enough),
        cmocka_unit_test(another_key_gets_no_answer),
        cmocka_unit_test(no_truncation_passes),
        cmocka_unit_test(no_flipped_bit_passes),
        cmocka_unit_test(a_replay_proves_nothing),
        cmocka_unit_test(our_own_frames_sent_back_prove_nothing),
        cmocka_unit_test(who_belongs_elsewhere_is_refused),
        cmocka_unit_test(a_root_takes_ranks_from_its_peers),
        cmocka_unit_test(other_protocols_are_refused_at_their_first_bytes),
        cmocka_unit_test(nobody_there_is_the_sockets_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
