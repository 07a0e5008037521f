/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacks.c - what connects to a listening port of the job without being of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attacks.h"
#include "crowd.h"
#include "transport/clock.h"
#include "transport/dialer.h"

enum {
    TRIES = 20, /* connections of most attacks */
    HALF_OPEN = 1000,
    INTRUDE_MS = 100, /* so long somebody tries to get in */
    SETTLE_MS = 300,  /* until rank 1 is in */
};

atomic_bool attack_has_struck, attack_is_over;

/* ---- Tools of the attackers. They run in a thread: no asserts. ---- */

int attack_reach(const struct target *target)
{
    int descriptor = socket(target->address.ss_family,
                            SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (descriptor >= 0 &&
        connect(descriptor, (const struct sockaddr *)&target->address,
                target->address_bytes) < 0 &&
        errno != EINPROGRESS) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

static void await(int descriptor, short events)
{
    struct pollfd polled = {.fd = descriptor, .events = events};

    poll(&polled, 1, 1000);
}

void attack_say(int descriptor, const void *bytes, size_t count)
{
    await(descriptor, POLLOUT);
    (void)!send(descriptor, bytes, count, MSG_NOSIGNAL);
}

/* Says it, and stays until the other side hangs up. */
static void say_each(const struct target *target, const void *bytes,
                     size_t count)
{
    uint8_t answer[256];

    for (int i = 0; i < TRIES; i++) {
        int descriptor = attack_reach(target);

        attack_say(descriptor, bytes, count);
        await(descriptor, POLLIN);
        while (read(descriptor, answer, sizeof(answer)) > 0)
            await(descriptor, POLLIN);
        close(descriptor);
    }
}

static void stay(void)
{
    atomic_store(&attack_has_struck, true);
    while (!atomic_load(&attack_is_over))
        crowd_sleep_ms(5);
}

void attack_record_hello(const struct handshake_config *config,
                         uint8_t hello[HELLO_BYTES])
{
    struct handshake handshake;
    short events;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    handshake_start(&handshake, ends[0], true, config);
    handshake_step(&handshake, &events);
    (void)!read(ends[1], hello, HELLO_BYTES);
    close(ends[0]);
    close(ends[1]);
}

/* ---- The attacks ---- */

static void nothing(const struct target *target)
{
    (void)target;
}

static void connect_and_close(const struct target *target)
{
    for (int i = 0; i < TRIES; i++) {
        int descriptor = attack_reach(target);

        await(descriptor, POLLOUT);
        close(descriptor);
    }
}

static void http(const struct target *target)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

    say_each(target, request, sizeof(request) - 1);
}

static void tls(const struct target *target)
{
    uint8_t hello[517] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};

    randombytes_buf(hello + 11, sizeof(hello) - 11);
    say_each(target, hello, sizeof(hello));
}

static void noise(const struct target *target)
{
    uint8_t bytes[4096];

    randombytes_buf(bytes, sizeof(bytes));
    say_each(target, bytes, sizeof(bytes));
}

static void half_a_frame(const struct target *target)
{
    uint8_t hello[HELLO_BYTES] = {0};

    attack_record_hello(&target->insider, hello);
    for (int i = 0; i < TRIES; i++) {
        int descriptor = attack_reach(target);

        attack_say(descriptor, hello, HELLO_BYTES / 2);
        close(descriptor);
    }
}

static void half_open(const struct target *target)
{
    static int descriptors[HALF_OPEN];
    struct rlimit limit;
    size_t count = HALF_OPEN;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * HALF_OPEN)
        count = limit.rlim_cur / 2;
    for (size_t i = 0; i < count; i++)
        descriptors[i] = attack_reach(target);
    stay();
    for (size_t i = 0; i < count; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
}

static void byte_by_byte(const struct target *target)
{
    uint8_t hello[HELLO_BYTES] = {0};
    int descriptors[TRIES];

    attack_record_hello(&target->insider, hello);
    for (int i = 0; i < TRIES; i++)
        descriptors[i] = attack_reach(target);
    atomic_store(&attack_has_struck, true);
    for (int at = 0; at < HELLO_BYTES && !atomic_load(&attack_is_over); at++) {
        for (int i = 0; i < TRIES; i++)
            attack_say(descriptors[i], hello + at, 1);
        crowd_sleep_ms(50);
    }
    for (int i = 0; i < TRIES; i++)
        close(descriptors[i]);
}

static void replay(const struct target *target)
{
    uint8_t frames[HELLO_BYTES + PROOF_BYTES] = {0};

    attack_record_hello(&target->insider, frames);
    memcpy(frames + HELLO_BYTES, frames, PROOF_BYTES);
    say_each(target, frames, sizeof(frames));
}

/* Tries for a while to get in with what it claims to be. */
static void intrude(const struct target *target,
                    const struct handshake_config *config)
{
    uint64_t until_ns = clock_later_ns(clock_now_ns(), INTRUDE_MS);
    struct dialer dialer;

    dialer_start(&dialer, (const struct sockaddr *)&target->address,
                 target->address_bytes, config);
    while (clock_now_ns() < until_ns) {
        struct pollfd polled = {.fd = -1, .events = POLLIN};

        if (dialer_move(&dialer, clock_now_ns()))
            close(dialer_take(&dialer));
        polled.fd = dialer.descriptor;
        poll(&polled, 1, 5);
    }
    dialer_stop(&dialer);
}

static void wrong_key(const struct target *target)
{
    struct handshake_config config = target->insider;

    config.credentials = &crowd_other_key;
    intrude(target, &config);
}

static void wrong_rank(const struct target *target)
{
    struct handshake_config config = target->insider;

    config.rank = ATTACK_RANKS;
    intrude(target, &config);
}

static void wrong_epoch(const struct target *target)
{
    struct handshake_config config = target->insider;

    config.epoch++;
    intrude(target, &config);
}

static void too_many_ranks(const struct target *target)
{
    struct handshake_config config = target->insider;

    config.ranks = BOOTSTRAP_RANKS_MAX + 1;
    intrude(target, &config);
}

/* Knows the key and comes as rank 1, which is there already. */
static void twin(const struct target *target)
{
    crowd_sleep_ms(SETTLE_MS);
    intrude(target, &target->insider);
}

/* Rank 0's listener expects nobody of that name. */
static void itself(const struct target *target)
{
    struct handshake_config config = target->insider;

    config.rank = 0;
    crowd_sleep_ms(SETTLE_MS);
    intrude(target, &config);
}

const struct attack attacks[ATTACKS] = {
    {"nothing", nothing, 0, 0},
    {"connect and close", connect_and_close, TRIES, TRIES},
    {"http", http, TRIES, TRIES},
    {"tls", tls, TRIES, TRIES},
    {"noise", noise, TRIES, TRIES},
    {"half a frame", half_a_frame, TRIES, TRIES},
    {"half open", half_open, 100, 100},
    {"byte by byte", byte_by_byte, TRIES, TRIES},
    {"replay", replay, TRIES, TRIES},
    {"wrong key", wrong_key, 1, 1},
    {"wrong rank", wrong_rank, 1, 1},
    {"wrong epoch", wrong_epoch, 1, 1},
    {"too many ranks", too_many_ranks, 1, 1},
    {"twin", twin, 0, 1},
    {"itself", itself, 0, 1},
};
