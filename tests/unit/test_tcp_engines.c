/* SPDX-License-Identifier: Apache-2.0 */
/* test_tcp_engines.c - sleeping, threads and the choice of the tcp engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster.h"
#include "transport/tcp.h"

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
    uint64_t deadline = clock_in_ms(PATIENCE_MS);
    struct event event;

    while (clock_now_ns() < deadline) {
        int descriptor = transport_tcp.arm(sleeper);

        while (descriptor >= 0 && !is_readable(descriptor, 1)) {
            transport_tcp.poll(sender, NULL, 0);
            assert_true(clock_now_ns() < deadline);
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
    cluster_open(&cluster, 4, 4, 1 << 20);
    for (uint32_t i = 0; i < 30; i++) {
        uint32_t from = 1 + i % 2, bytes = i % 3 == 0 ? 64 : 1 << 20;

        descriptor = arm(cluster.endpoints[0]);
        assert_true(descriptor >= 0);
        assert_false(is_readable(descriptor, 1));
        cluster_put(&cluster, from, 0, i % 4, bytes, i);
        transport_tcp.poll(cluster.endpoints[from], NULL, 0);
        assert_true(is_readable(descriptor, PATIENCE_MS));
        event = sleep_for_event(cluster.endpoints[0], cluster.endpoints[from]);
        cluster_check(&event, from, i % 4, bytes, i);
    }
    assert_int_equal(arm(cluster.endpoints[0]), descriptor);
    transport_tcp.close(cluster.endpoints[2]);
    cluster.endpoints[2] = NULL;
    assert_true(is_readable(descriptor, PATIENCE_MS));
    event = cluster_next_event(&cluster, 0);
    cluster_check_lost(&event, 2, -ECONNRESET);
    cluster_close(&cluster);
}

static void what_is_there_forbids_to_sleep(void **state)
{
    struct cluster cluster;
    struct event event;

    (void)state;
    cluster_open(&cluster, 2, 4, 4096);
    arm(cluster.endpoints[0]);
    cluster_put(&cluster, 1, 0, 0, 64, 1);
    cluster_put(&cluster, 1, 0, 1, 64, 2);
    clock_sleep_ms(5);
    assert_int_equal(transport_tcp.arm(cluster.endpoints[0]), -EAGAIN);
    event = cluster_next_event(&cluster, 0);
    cluster_check(&event, 1, 0, 64, 1);
    while (transport_tcp.busy(cluster.endpoints[1]))
        transport_tcp.poll(cluster.endpoints[1], NULL, 0);
    clock_sleep_ms(5);
    assert_int_equal(transport_tcp.arm(cluster.endpoints[0]), -EAGAIN);
    event = cluster_next_event(&cluster, 0);
    cluster_check(&event, 1, 1, 64, 2);
    cluster_close(&cluster);
}

/* A sender that sleeps with bytes left is woken when there is room again. */
static void room_to_send_wakes_who_sleeps(void **state)
{
    enum { SLOTS = 32, SLOT_BYTES = 1 << 20 };
    struct cluster cluster;
    uint32_t arrived = 0;

    (void)state;
    cluster_open(&cluster, 2, SLOTS, SLOT_BYTES);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        cluster_put(&cluster, 0, 1, slot, SLOT_BYTES, slot);
    while (transport_tcp.busy(cluster.endpoints[0])) {
        int descriptor = arm(cluster.endpoints[0]);
        struct event event;
        uint64_t deadline = clock_in_ms(PATIENCE_MS);

        while (!is_readable(descriptor, 0) &&
               transport_tcp.busy(cluster.endpoints[0])) {
            assert_true(clock_now_ns() < deadline);
            if (transport_tcp.poll(cluster.endpoints[1], &event, 1) == 0)
                continue;
            cluster_check(&event, 0, arrived, SLOT_BYTES, arrived);
            arrived++;
        }
        transport_tcp.poll(cluster.endpoints[0], &event, 1);
    }
    for (; arrived < SLOTS; arrived++) {
        struct event event = cluster_next_event(&cluster, 1);

        cluster_check(&event, 0, arrived, SLOT_BYTES, arrived);
    }
    cluster_close(&cluster);
}

static void *drive_for_a_while(void *argument)
{
    const struct cluster *cluster = argument;
    struct event event;

    for (uint32_t slot = 0; slot < cluster->slots; slot++)
        cluster_put(cluster, 0, 1, slot, cluster->slot_bytes, slot);
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
    cluster_open(&cluster, 2, SLOTS, SLOT_BYTES);
    pthread_create(&thread, NULL, drive_for_a_while, &cluster);
    pthread_join(thread, &result);
    assert_null(result);
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        struct event event = cluster_next_event(&cluster, 1);

        cluster_check(&event, 0, slot, SLOT_BYTES, slot);
    }
    cluster_put(&cluster, 1, 0, 3, 4096, 8);
    assert_int_equal(cluster_next_event(&cluster, 0).slot, 3);
    cluster_close(&cluster);
}

/* ---- One thread's requests, another thread's poll ---- */

struct computing {
    const struct cluster *cluster;
    atomic_bool posted, stop;
};

/* Drives once and then does without the kernel, as who computes gradients. */
static void *drive_and_compute(void *argument)
{
    struct computing *computing = argument;
    struct event event;

    for (uint32_t i = 0; i < 3; i++)
        transport_tcp.poll(computing->cluster->endpoints[0], &event, 1);
    atomic_store(&computing->posted, true);
    while (!atomic_load(&computing->stop))
        continue;
    return NULL;
}

/* How long a put takes to arrive while the thread that drove last computes. */
static uint64_t measure_arrival_ns(const struct cluster *cluster, bool asleep)
{
    struct computing computing = {.cluster = cluster};
    struct endpoint *endpoint = cluster->endpoints[0];
    struct event event;
    pthread_t thread;
    uint64_t start;
    int descriptor;

    while (transport_tcp.busy(cluster->endpoints[1]))
        transport_tcp.poll(cluster->endpoints[1], NULL, 0);
    assert_int_equal(
        pthread_create(&thread, NULL, drive_and_compute, &computing), 0);
    while (!atomic_load(&computing.posted))
        continue;
    descriptor = asleep ? arm(endpoint) : -1;
    start = clock_now_ns();
    cluster_put(cluster, 1, 0, 0, 64, 1);
    if (asleep)
        assert_true(is_readable(descriptor, PATIENCE_MS));
    event = cluster_next_event(cluster, 0);
    start = clock_now_ns() - start;
    atomic_store(&computing.stop, true);
    pthread_join(thread, NULL);
    cluster_check(&event, 1, 0, 64, 1);
    return start;
}

/* How many of 30 puts arrive so soon that they cannot have waited for a timer
 * tick, which comes every 1 to 10 ms. */
static uint32_t count_prompt(const struct cluster *cluster, bool asleep)
{
    uint32_t prompt = 0;

    for (uint32_t i = 0; i < 30; i++)
        if (measure_arrival_ns(cluster, asleep) < 300000)
            prompt++;
    return prompt;
}

/* Only a part has to be prompt, and that in one try of many: the machine may
 * have more threads than cores. */
static void the_thread_that_drove_computes(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_open(&cluster, 2, 4, 4096);
    for (int asleep = 0; asleep < 2; asleep++) {
        uint32_t prompt = 0;

        for (uint32_t tries = 0; tries < 40 && prompt < 10; tries++)
            prompt = count_prompt(&cluster, asleep == 1);
        assert_in_range(prompt, 10, 30);
    }
    cluster_close(&cluster);
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

        cluster_open(&cluster, 3, 8, 65536);
        cluster_put(&cluster, 0, 1, i % 8, 65536, i);
        if (i % 3 == 0)
            transport_tcp.drop(cluster.endpoints[1], 0);
        if (i % 3 == 1)
            cluster_check_silence(&cluster, 2, 1);
        cluster_close(&cluster);
    }
    assert_int_equal(count_descriptors(), before);
}

/* ---- Which engine ---- */

enum { MANY = 64 }; /* ranks, for which requests are better than calls */

static const char *engine_of_open(const char *forced, uint32_t ranks, int *rc)
{
    struct cluster cluster = {2, 4, 4096, {NULL}, {{{0}}}};
    struct endpoint_config config = cluster_config(&cluster, 0);
    struct endpoint *endpoint = NULL;
    const char *name;

    config.ranks = ranks;
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
    assert_string_equal(engine_of_open("epoll", MANY, &rc), "epoll");
    assert_string_equal(engine_of_open("threads", 2, &rc), "none");
    assert_int_equal(rc, -EINVAL);
    assert_string_equal(engine_of_open(NULL, 2, &rc), "epoll");
    if (!cluster_has_uring())
        skip();
    assert_string_equal(engine_of_open("uring", 2, &rc), "io_uring");
    assert_string_equal(engine_of_open(NULL, MANY, &rc), "io_uring");
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
    if (strcmp(engine_of_open(NULL, MANY, &rc), "epoll") != 0)
        return 1;
    if (strcmp(engine_of_open("epoll", MANY, &rc), "epoll") != 0)
        return 2;
    if (strcmp(engine_of_open("uring", 2, &rc), "none") != 0 || rc != -EPERM)
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
    struct endpoint_config config = cluster_config(&cluster, 0);
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

static const struct CMUnitTest of_each_engine[] = {
    cmocka_unit_test(a_put_wakes_who_sleeps),
    cmocka_unit_test(what_is_there_forbids_to_sleep),
    cmocka_unit_test(room_to_send_wakes_who_sleeps),
    cmocka_unit_test(the_thread_that_drove_ends),
    cmocka_unit_test(the_thread_that_drove_computes),
    cmocka_unit_test(nothing_is_left_after_many_cycles),
};

static const struct CMUnitTest of_the_choice[] = {
    cmocka_unit_test(the_engine_can_be_forced),
    cmocka_unit_test(epoll_takes_over_where_uring_is_refused),
    cmocka_unit_test(an_interface_that_is_not_there),
};

int main(void)
{
    return CLUSTER_RUN_EACH_ENGINE(of_each_engine) +
           cmocka_run_group_tests_name("choice", of_the_choice, NULL, NULL);
}
