/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mesh.c - every rank is connected with every other, or knows who lacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "crowd.h"

enum { RANKS = 4, LATE_MS = 200, LIMIT_MS = 2000 };

static struct mesher meshers[12];
static uint32_t descriptors_before;

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

static void a_bell_ends_the_wait(void **state)
{
    int bell = eventfd(0, EFD_CLOEXEC);

    (void)state;
    crowd_mesh_open(meshers, RANKS, AF_INET, 20000);
    for (uint32_t i = 1; i < RANKS; i++) {
        meshers[i].config.bell = &bell;
        crowd_mesh_start(&meshers[i]);
    }
    crowd_sleep_ms(LATE_MS);
    assert_int_equal(eventfd_write(bell, 1), 0);
    for (uint32_t i = 1; i < RANKS; i++) {
        crowd_mesh_wait(&meshers[i]);
        assert_int_equal(meshers[i].result, -ECANCELED);
        assert_in_range(meshers[i].took_ms, 0, LIMIT_MS);
        for (uint32_t j = 0; j < RANKS; j++)
            assert_int_equal(meshers[i].peers[j].wanted, j == 0);
    }
    crowd_mesh_close(meshers, RANKS);
    close(bell);
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
        attack_reach(target);
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

#define NETWORK(name)                                                          \
    cmocka_unit_test_setup_teardown(name, note_descriptors, check_descriptors)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NETWORK(a_mesh_connects_all_over_every_family),
        NETWORK(a_missing_peer_is_named),
        NETWORK(a_bell_ends_the_wait),
        NETWORK(a_full_backlog_is_waited_for),
        NETWORK(a_listener_that_does_not_listen_is_an_error),
        NETWORK(a_shortage_of_descriptors_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
