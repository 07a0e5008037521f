/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_strangers.c - whatever connects to our ports, the ranks of the job find
 * each other as if nothing were there, and the strangers are counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crowd.h"
#include "transport/dialer.h"
#include "transport/stream.h"

enum {
    RANKS = 4,
    LATE_MS = 200,   /* so much later the last rank comes */
    LIMIT_MS = 2000, /* and then all are connected within this */
    TRIES = 20,      /* connections of most attacks */
    HALF_OPEN = 1000,
};

static struct joiner joiners[RANKS];
static struct mesher meshers[12];
static uint32_t descriptors_before;

/* What is attacked. */
struct target {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct handshake_config insider; /* what rank 1 would say */
};

static atomic_bool is_over; /* the attackers may go */

/* ---- Tools of the attackers. They run in a thread: no asserts. ---- */

static int reach(const struct target *target)
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

static void say(int descriptor, const void *bytes, size_t count)
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
        int descriptor = reach(target);

        say(descriptor, bytes, count);
        await(descriptor, POLLIN);
        while (read(descriptor, answer, sizeof(answer)) > 0)
            await(descriptor, POLLIN);
        close(descriptor);
    }
}

static void wait_until_over(void)
{
    while (!atomic_load(&is_over))
        crowd_sleep_ms(5);
}

/* A true hello, as somebody might have recorded it. */
static void record_hello(const struct handshake_config *config,
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
        int descriptor = reach(target);

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

    record_hello(&target->insider, hello);
    for (int i = 0; i < TRIES; i++) {
        int descriptor = reach(target);

        say(descriptor, hello, HELLO_BYTES / 2);
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
        descriptors[i] = reach(target);
    wait_until_over();
    for (size_t i = 0; i < count; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
}

static void byte_by_byte(const struct target *target)
{
    uint8_t hello[HELLO_BYTES] = {0};
    int descriptors[TRIES];

    record_hello(&target->insider, hello);
    for (int i = 0; i < TRIES; i++)
        descriptors[i] = reach(target);
    for (int at = 0; at < HELLO_BYTES && !atomic_load(&is_over); at++) {
        for (int i = 0; i < TRIES; i++)
            say(descriptors[i], hello + at, 1);
        crowd_sleep_ms(50);
    }
    for (int i = 0; i < TRIES; i++)
        close(descriptors[i]);
}

static void replay(const struct target *target)
{
    uint8_t frames[HELLO_BYTES + PROOF_BYTES] = {0};

    record_hello(&target->insider, frames);
    memcpy(frames + HELLO_BYTES, frames, PROOF_BYTES);
    say_each(target, frames, sizeof(frames));
}

/* Tries for a while to get in with what it claims to be. */
static void intrude(const struct target *target,
                    const struct handshake_config *config)
{
    uint64_t until_ns = stream_later_ns(stream_now_ns(), LATE_MS / 2);
    struct dialer dialer;

    dialer_start(&dialer, (const struct sockaddr *)&target->address,
                 target->address_bytes, config);
    while (stream_now_ns() < until_ns) {
        struct pollfd polled = {.fd = -1, .events = POLLIN};

        if (dialer_move(&dialer, stream_now_ns()))
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

    config.rank = RANKS;
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
    crowd_sleep_ms(LATE_MS / 2);
    intrude(target, &target->insider);
}

/* Rank 0's listener expects nobody of that name. */
static void itself(const struct target *target)
{
    struct handshake_config config = target->insider;

    config.rank = 0;
    crowd_sleep_ms(LATE_MS / 2);
    intrude(target, &config);
}

static const struct attack {
    const char *name;
    void (*act)(const struct target *target);
    uint32_t root_counts, mesh_counts; /* at least so many strangers */
} attacks[] = {
    {"nothing", nothing, 0, 0},
    {"connect and close", connect_and_close, TRIES, TRIES},
    {"http", http, TRIES, TRIES},
    {"tls", tls, TRIES, TRIES},
    {"noise", noise, TRIES, TRIES},
    {"half a frame", half_a_frame, TRIES, TRIES},
    {"half open", half_open, 100, 100},
    {"byte by byte", byte_by_byte, TRIES, TRIES},
    {"replay", replay, TRIES, TRIES},
    {"wrong key", wrong_key, 2, 2},
    {"wrong rank", wrong_rank, 2, 2},
    {"wrong epoch", wrong_epoch, 2, 2},
    {"too many ranks", too_many_ranks, 2, 2},
    {"twin", twin, 0, 1},
    {"itself", itself, 0, 1},
};

enum { ATTACKS = sizeof(attacks) / sizeof(*attacks) };

struct attacker {
    pthread_t thread;
    const struct attack *attack;
    struct target target;
};

static void *attack(void *context)
{
    struct attacker *attacker = context;

    attacker->attack->act(&attacker->target);
    return NULL;
}

static void begin(struct attacker *attacker)
{
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&attacker->thread, NULL, attack, attacker),
                     0);
}

static void end(struct attacker *attacker)
{
    atomic_store(&is_over, true);
    assert_int_equal(pthread_join(attacker->thread, NULL), 0);
}

static uint64_t count_strangers(const struct bootstrap_root *root,
                                uint64_t expected)
{
    uint64_t until_ns = stream_later_ns(stream_now_ns(), LIMIT_MS);

    while (bootstrap_root_strangers(root) < expected &&
           stream_now_ns() < until_ns)
        crowd_sleep_ms(5);
    return bootstrap_root_strangers(root);
}

static void check_count(const struct attack *attack, uint64_t counted,
                        uint64_t expected)
{
    if (counted < expected || (attack->act == nothing && counted != 0))
        fail_msg("%s: %llu strangers instead of %llu", attack->name,
                 (unsigned long long)counted, (unsigned long long)expected);
}

static void attack_root(const struct attack *attack)
{
    struct attacker attacker = {
        .attack = attack,
        .target.insider = {&crowd_key, PURPOSE_BOOTSTRAP, 1, RANKS, 0},
    };
    struct bootstrap_root *root;

    crowd_prepare(joiners, RANKS, 10000);
    root = crowd_root(joiners, RANKS, UINT64_MAX);
    bootstrap_root_address(root, &attacker.target.address,
                           &attacker.target.address_bytes);
    /* The honest rank 1 comes first, or the attacker would be rank 1. */
    for (uint32_t i = 0; i < RANKS - 1; i++)
        crowd_start(&joiners[i]);
    begin(&attacker);
    crowd_sleep_ms(LATE_MS);
    crowd_start(&joiners[RANKS - 1]);
    for (uint32_t i = 0; i < RANKS; i++)
        crowd_wait(&joiners[i]);
    end(&attacker);
    crowd_check(joiners, RANKS);
    if (joiners[RANKS - 1].took_ms > LIMIT_MS)
        fail_msg("%s: %u ms", attack->name, joiners[RANKS - 1].took_ms);
    check_count(attack, count_strangers(root, attack->root_counts),
                attack->root_counts);
    bootstrap_root_close(root);
}

static void no_attack_delays_a_bootstrap(void **state)
{
    (void)state;
    for (int i = 0; i < ATTACKS; i++)
        attack_root(&attacks[i]);
}

static void attack_mesh(const struct attack *attack, int family)
{
    struct attacker attacker = {.attack = attack};

    crowd_mesh_open(meshers, RANKS, family, 10000);
    attacker.target.address = meshers[0].address;
    attacker.target.address_bytes = meshers[0].address_bytes;
    attacker.target.insider = meshers[1].config.handshake;
    for (uint32_t i = 0; i < RANKS - 1; i++)
        crowd_mesh_start(&meshers[i]);
    begin(&attacker);
    crowd_sleep_ms(LATE_MS);
    crowd_mesh_start(&meshers[RANKS - 1]);
    for (uint32_t i = 0; i < RANKS; i++)
        crowd_mesh_wait(&meshers[i]);
    end(&attacker);
    crowd_mesh_check(meshers, RANKS);
    for (uint32_t i = 0; i < RANKS; i++)
        if (meshers[i].took_ms > LATE_MS + LIMIT_MS)
            fail_msg("%s: rank %u, %u ms", attack->name, i, meshers[i].took_ms);
    check_count(attack, meshers[0].strangers, attack->mesh_counts);
    for (uint32_t i = 1; i < RANKS; i++)
        assert_int_equal(meshers[i].strangers, 0);
    crowd_mesh_close(meshers, RANKS);
}

static void no_attack_delays_a_mesh(void **state)
{
    (void)state;
    for (int i = 0; i < ATTACKS; i++)
        attack_mesh(&attacks[i], AF_INET);
}

static void nor_one_over_a_unix_socket(void **state)
{
    (void)state;
    for (int i = 0; i < ATTACKS; i++)
        attack_mesh(&attacks[i], AF_UNIX);
}

/* One that keeps on talking has no more time than one that is silent. */
static void a_slow_stranger_is_cut_off_in_time(void **state)
{
    struct handshake_config config = {&crowd_key, PURPOSE_BOOTSTRAP, 0, RANKS,
                                      0};
    uint64_t from_ns = stream_now_ns();
    uint8_t hello[HELLO_BYTES] = {0};
    struct bootstrap_root *root;
    struct target target;
    int descriptor;

    (void)state;
    root = crowd_root(joiners, 1, UINT64_MAX);
    bootstrap_root_address(root, &target.address, &target.address_bytes);
    record_hello(&config, hello);
    descriptor = reach(&target);
    /* All of it would take HELLO_BYTES / 8 = 8.5 seconds. */
    for (int i = 0; i < HELLO_BYTES && !stream_ended(descriptor); i++) {
        say(descriptor, hello + i, 1);
        crowd_sleep_ms(125);
    }
    assert_in_range((stream_now_ns() - from_ns) / NS_PER_MS,
                    HANDSHAKE_TIMEOUT_MS - 200, HANDSHAKE_TIMEOUT_MS + 1500);
    assert_int_equal(bootstrap_root_strangers(root), 1);
    close(descriptor);
    bootstrap_root_close(root);
}

/* ---- Meshes without strangers ---- */

static void a_mesh_connects_all_over_every_family(void **state)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    enum { COUNT = sizeof(meshers) / sizeof(*meshers) };

    (void)state;
    for (int f = 0; f < 3; f++) {
        crowd_mesh_open(meshers, COUNT, families[f], 5000);
        for (uint32_t i = 0; i < COUNT; i++)
            crowd_mesh_start(&meshers[i]);
        for (uint32_t i = 0; i < COUNT; i++)
            crowd_mesh_wait(&meshers[i]);
        crowd_mesh_check(meshers, COUNT);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(meshers[i].strangers, 0);
        crowd_mesh_close(meshers, COUNT);
    }
}

static void a_missing_peer_is_named(void **state)
{
    (void)state;
    crowd_mesh_open(meshers, RANKS, AF_INET, 300);
    for (uint32_t i = 0; i < RANKS; i++)
        if (i != 2)
            crowd_mesh_start(&meshers[i]);
    for (uint32_t i = 0; i < RANKS; i++) {
        if (i == 2)
            continue;
        crowd_mesh_wait(&meshers[i]);
        assert_int_equal(meshers[i].result, -ETIMEDOUT);
        assert_in_range(meshers[i].took_ms, 300, LIMIT_MS);
        for (uint32_t j = 0; j < RANKS; j++) {
            assert_int_equal(meshers[i].peers[j].wanted, j == 2);
            assert_int_equal(meshers[i].peers[j].descriptor >= 0,
                             j != 2 && j != i);
        }
    }
    crowd_mesh_close(meshers, RANKS);
}

/* Over Unix sockets connect() fails at once while a backlog is full. */
static void a_full_backlog_is_waited_for(void **state)
{
    (void)state;
    crowd_mesh_open(meshers, 12, AF_UNIX, 5000);
    assert_int_equal(listen(meshers[0].config.listener, 0), 0);
    for (uint32_t i = 1; i < 12; i++)
        crowd_mesh_start(&meshers[i]);
    crowd_sleep_ms(LATE_MS);
    crowd_mesh_start(&meshers[0]);
    for (uint32_t i = 0; i < 12; i++)
        crowd_mesh_wait(&meshers[i]);
    crowd_mesh_check(meshers, 12);
    crowd_mesh_close(meshers, 12);
}

static void a_listener_that_does_not_listen_is_an_error(void **state)
{
    int closed;

    (void)state;
    crowd_mesh_open(meshers, 2, AF_INET, 1000);
    closed = meshers[0].config.listener;
    meshers[0].config.listener = socket(AF_INET, SOCK_STREAM, 0);
    close(closed);
    crowd_mesh_start(&meshers[0]);
    crowd_mesh_wait(&meshers[0]);
    assert_int_equal(meshers[0].result, -EINVAL);
    crowd_mesh_close(meshers, 2);
}

/* A process of its own keeps 300 connections open, so that their other ends
 * are more than this process may have. */
static pid_t flood(const struct target *target)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    for (int i = 0; i < 300; i++)
        reach(target);
    for (;;)
        pause();
}

static void a_shortage_of_descriptors_is_survived(void **state)
{
    struct target target = {0};
    struct rlimit before, few;
    pid_t child;

    (void)state;
    crowd_mesh_open(meshers, 2, AF_INET, 10000);
    target.address = meshers[0].address;
    target.address_bytes = meshers[0].address_bytes;
    child = flood(&target);
    assert_true(child > 0);
    crowd_sleep_ms(100);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = crowd_descriptors() + 16;
    setrlimit(RLIMIT_NOFILE, &few);
    crowd_mesh_start(&meshers[0]);
    crowd_sleep_ms(LATE_MS);
    crowd_mesh_start(&meshers[1]);
    crowd_mesh_wait(&meshers[0]);
    crowd_mesh_wait(&meshers[1]);
    setrlimit(RLIMIT_NOFILE, &before);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    crowd_mesh_check(meshers, 2);
    assert_in_range(meshers[1].took_ms, 0, LIMIT_MS);
    assert_in_range(meshers[0].strangers, 100, 10000);
    crowd_mesh_close(meshers, 2);
}

/* ---- Running ---- */

static int note_descriptors(void **state)
{
    (void)state;
    descriptors_before = crowd_descriptors();
    return 0;
}

static int check_descriptors(void **state)
{
    (void)state;
    return crowd_settled_descriptors(descriptors_before) == descriptors_before
               ? 0
               : -1;
}

static int raise_limit(void **state)
{
    struct rlimit limit;

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return sodium_init() < 0 ? -1 : 0;
}

#define NETWORK(name)                                                          \
    cmocka_unit_test_setup_teardown(name, note_descriptors, check_descriptors)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NETWORK(no_attack_delays_a_bootstrap),
        NETWORK(no_attack_delays_a_mesh),
        NETWORK(nor_one_over_a_unix_socket),
        NETWORK(a_slow_stranger_is_cut_off_in_time),
        NETWORK(a_mesh_connects_all_over_every_family),
        NETWORK(a_missing_peer_is_named),
        NETWORK(a_full_backlog_is_waited_for),
        NETWORK(a_listener_that_does_not_listen_is_an_error),
        NETWORK(a_shortage_of_descriptors_is_survived),
    };

    return cmocka_run_group_tests(tests, raise_limit, NULL);
}
