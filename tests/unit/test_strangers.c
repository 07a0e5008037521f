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
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attacks.h"
#include "crowd.h"
#include "transport/clock.h"
#include "transport/stream.h"

/* The last rank comes when an attack has struck: all are connected so soon. */
enum { LIMIT_MS = 2000 };

static struct joiner joiners[ATTACK_RANKS];
static struct mesher meshers[ATTACK_RANKS];
static uint32_t descriptors_before;

struct attacker {
    pthread_t thread;
    const struct attack *attack;
    struct target target;
};

static void *attack(void *context)
{
    const struct attacker *started = context;

    started->attack->act(&started->target);
    atomic_store(&attack_has_struck, true);
    return NULL;
}

/* Static, as a test that fails leaves its attacker running. */
static struct attacker attacker;

/* Returns when all its connections are made. */
static void begin(void)
{
    uint64_t until_ns = clock_later_ns(clock_now_ns(), 10000);

    atomic_store(&attack_is_over, false);
    atomic_store(&attack_has_struck, false);
    assert_int_equal(pthread_create(&attacker.thread, NULL, attack, &attacker),
                     0);
    while (!atomic_load(&attack_has_struck) && clock_now_ns() < until_ns)
        crowd_sleep_ms(1);
}

static void end(void)
{
    atomic_store(&attack_is_over, true);
    assert_int_equal(pthread_join(attacker.thread, NULL), 0);
}

static uint64_t count_strangers(const struct bootstrap_root *root,
                                uint64_t expected)
{
    uint64_t until_ns = clock_later_ns(clock_now_ns(), LIMIT_MS);

    while (bootstrap_root_strangers(root) < expected &&
           clock_now_ns() < until_ns)
        crowd_sleep_ms(5);
    return bootstrap_root_strangers(root);
}

static void check_count(const struct attack *attack, uint64_t counted,
                        uint64_t expected)
{
    if (counted < expected ||
        (attack->root_counts == 0 && attack->mesh_counts == 0 && counted != 0))
        fail_msg("%s: %llu strangers instead of %llu", attack->name,
                 (unsigned long long)counted, (unsigned long long)expected);
}

static void attack_root(const struct attack *chosen)
{
    struct bootstrap_root *root;

    attacker = (struct attacker){
        .attack = chosen,
        .target.insider = {&crowd_key, PURPOSE_BOOTSTRAP, 1, ATTACK_RANKS, 0},
    };
    crowd_prepare(joiners, ATTACK_RANKS, 10000);
    root = crowd_root(joiners, ATTACK_RANKS, UINT64_MAX);
    bootstrap_root_address(root, &attacker.target.address,
                           &attacker.target.address_bytes);
    /* The honest rank 1 comes first, or the attacker would be rank 1. */
    for (uint32_t i = 0; i < ATTACK_RANKS - 1; i++)
        crowd_start(&joiners[i]);
    begin();
    crowd_start(&joiners[ATTACK_RANKS - 1]);
    for (uint32_t i = 0; i < ATTACK_RANKS; i++)
        crowd_wait(&joiners[i]);
    end();
    crowd_check(joiners, ATTACK_RANKS);
    if (joiners[ATTACK_RANKS - 1].took_ms > LIMIT_MS)
        fail_msg("%s: %u ms", chosen->name, joiners[ATTACK_RANKS - 1].took_ms);
    check_count(chosen, count_strangers(root, chosen->root_counts),
                chosen->root_counts);
    bootstrap_root_close(root);
}

static void no_attack_delays_a_bootstrap(void **state)
{
    (void)state;
    for (int i = 0; i < ATTACKS; i++)
        attack_root(&attacks[i]);
}

static void attack_mesh(const struct attack *chosen, int family)
{
    uint64_t from_ns;

    attacker.attack = chosen;
    crowd_mesh_open(meshers, ATTACK_RANKS, family, 10000);
    attacker.target.address = meshers[0].address;
    attacker.target.address_bytes = meshers[0].address_bytes;
    attacker.target.insider = meshers[1].config.handshake;
    for (uint32_t i = 0; i < ATTACK_RANKS - 1; i++)
        crowd_mesh_start(&meshers[i]);
    begin();
    from_ns = clock_now_ns();
    crowd_mesh_start(&meshers[ATTACK_RANKS - 1]);
    for (uint32_t i = 0; i < ATTACK_RANKS; i++)
        crowd_mesh_wait(&meshers[i]);
    if (clock_now_ns() > clock_later_ns(from_ns, LIMIT_MS))
        fail_msg("%s: the mesh took too long", chosen->name);
    end();
    crowd_mesh_check(meshers, ATTACK_RANKS);
    check_count(chosen, meshers[0].strangers, chosen->mesh_counts);
    for (uint32_t i = 1; i < ATTACK_RANKS; i++)
        assert_int_equal(meshers[i].strangers, 0);
    crowd_mesh_close(meshers, ATTACK_RANKS);
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
    struct handshake_config config = {&crowd_key, PURPOSE_BOOTSTRAP, 0,
                                      ATTACK_RANKS, 0};
    uint64_t from_ns = clock_now_ns();
    uint8_t hello[HELLO_BYTES] = {0};
    struct bootstrap_root *root;
    struct target target;
    int descriptor;

    (void)state;
    root = crowd_root(joiners, 1, UINT64_MAX);
    bootstrap_root_address(root, &target.address, &target.address_bytes);
    attack_record_hello(&config, hello);
    descriptor = attack_reach(&target);
    /* All of it would take HELLO_BYTES / 8 = 8.5 seconds. */
    for (int i = 0; i < HELLO_BYTES && !stream_ended(descriptor); i++) {
        attack_say(descriptor, hello + i, 1);
        crowd_sleep_ms(125);
    }
    assert_in_range((clock_now_ns() - from_ns) / NS_PER_MS,
                    HANDSHAKE_TIMEOUT_MS - 200, HANDSHAKE_TIMEOUT_MS + 1500);
    assert_int_equal(bootstrap_root_strangers(root), 1);
    close(descriptor);
    bootstrap_root_close(root);
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
    return 0;
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
    };

    return cmocka_run_group_tests(tests, raise_limit, NULL);
}
