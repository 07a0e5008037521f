/* SPDX-License-Identifier: Apache-2.0 */
/* crowd.c - ranks as threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "crowd.h"
#include "transport/clock.h"

const struct credentials crowd_key = {.key = {1, 2, 3, [31] = 4}};
const struct credentials crowd_other_key = {.key = {1, 2, 3, [31] = 5}};

void crowd_sleep_ms(uint32_t wait_ms)
{
    struct timespec left = {
        .tv_sec = wait_ms / 1000,
        .tv_nsec = (long)(wait_ms % 1000) * NS_PER_MS,
    };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

struct bootstrap_root *crowd_root(struct joiner *joiners, uint32_t count,
                                  uint64_t deadline_ns)
{
    struct sockaddr_in loopback = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct bootstrap_root *root;
    char why[WHY_BYTES] = "";

    if (bootstrap_root_open(&root, (const struct sockaddr *)&loopback,
                            sizeof(loopback), &crowd_key, 0, deadline_ns,
                            why) < 0)
        fail_msg("%s", why);
    for (uint32_t i = 0; i < count; i++)
        bootstrap_root_address(root, &joiners[i].root, &joiners[i].root_bytes);
    return root;
}

void crowd_prepare(struct joiner *joiners, uint32_t count, uint32_t timeout_ms)
{
    memset(joiners, 0, count * sizeof(*joiners));
    for (uint32_t i = 0; i < count; i++) {
        joiners[i].credentials = &crowd_key;
        joiners[i].rank = i;
        joiners[i].ranks = count;
        joiners[i].record_bytes = 96;
        joiners[i].timeout_ms = timeout_ms;
        joiners[i].bell = -1;
    }
}

static void *run(void *context)
{
    struct joiner *joiner = context;
    uint64_t from_ns = clock_now_ns();
    uint8_t record[RECORD_BYTES_MAX];

    memset(record, (int)(joiner->record_seed + joiner->rank), sizeof(record));
    joiner->result = bootstrap_join(
        (const struct sockaddr *)&joiner->root, joiner->root_bytes,
        joiner->credentials, joiner->rank, joiner->ranks, record,
        joiner->record_bytes, joiner->table, &joiner->epoch,
        clock_later_ns(from_ns, joiner->timeout_ms), joiner->bell, joiner->why);
    joiner->took_ms = (uint32_t)((clock_now_ns() - from_ns) / NS_PER_MS);
    return NULL;
}

void crowd_start(struct joiner *joiner)
{
    assert_int_equal(pthread_create(&joiner->thread, NULL, run, joiner), 0);
}

void crowd_wait(struct joiner *joiner)
{
    assert_int_equal(pthread_join(joiner->thread, NULL), 0);
}

void crowd_run(struct joiner *joiners, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        crowd_start(&joiners[i]);
    for (uint32_t i = 0; i < count; i++)
        crowd_wait(&joiners[i]);
}

void crowd_check(const struct joiner *joiners, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (joiners[i].result != 0)
            fail_msg("rank %u: %d, %s", i, joiners[i].result, joiners[i].why);
        assert_int_not_equal(joiners[i].epoch, 0);
        assert_int_equal(joiners[i].epoch, joiners[0].epoch);
        for (uint32_t b = 0; b < count * joiners[i].record_bytes; b++)
            assert_int_equal(joiners[i].table[b],
                             (uint8_t)(joiners[i].record_seed +
                                       b / joiners[i].record_bytes));
    }
}

/* ---- Meshes ---- */

static void open_listener(struct mesher *mesher, int family)
{
    struct sockaddr_storage *address = &mesher->address;
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    int listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    /* Binding no more than a family takes a fresh abstract name. */
    socklen_t bytes = family == AF_INET    ? sizeof(*v4)
                      : family == AF_INET6 ? sizeof(*v6)
                                           : sizeof(sa_family_t);

    address->ss_family = (sa_family_t)family;
    if (family == AF_INET)
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (family == AF_INET6)
        v6->sin6_addr = in6addr_loopback;
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)address, bytes),
                     0);
    assert_int_equal(listen(listener, SOMAXCONN), 0);
    mesher->address_bytes = sizeof(*address);
    getsockname(listener, (struct sockaddr *)address, &mesher->address_bytes);
    mesher->config.listener = listener;
}

void crowd_mesh_open(struct mesher *meshers, uint32_t ranks, int family,
                     uint32_t timeout_ms)
{
    memset(meshers, 0, ranks * sizeof(*meshers));
    for (uint32_t i = 0; i < ranks; i++) {
        meshers[i].all = meshers;
        meshers[i].timeout_ms = timeout_ms;
        meshers[i].config.handshake = (struct handshake_config){
            .credentials = &crowd_key,
            .purpose = PURPOSE_TCP,
            .rank = i,
            .ranks = ranks,
            .epoch = 0x12345678,
        };
        open_listener(&meshers[i], family);
    }
}

static void *make_mesh(void *context)
{
    struct mesher *mesher = context;
    const struct handshake_config *handshake = &mesher->config.handshake;
    uint64_t from_ns = clock_now_ns();

    for (uint32_t i = 0; i < handshake->ranks; i++) {
        mesher->peers[i].address = mesher->all[i].address;
        mesher->peers[i].address_bytes = mesher->all[i].address_bytes;
        mesher->peers[i].wanted = i != handshake->rank;
        mesher->peers[i].descriptor = -1;
    }
    mesher->config.deadline_ns = clock_later_ns(from_ns, mesher->timeout_ms);
    mesher->result =
        mesh_connect(&mesher->config, mesher->peers, &mesher->strangers);
    mesher->took_ms = (uint32_t)((clock_now_ns() - from_ns) / NS_PER_MS);
    return NULL;
}

void crowd_mesh_start(struct mesher *mesher)
{
    assert_int_equal(pthread_create(&mesher->thread, NULL, make_mesh, mesher),
                     0);
}

void crowd_mesh_wait(struct mesher *mesher)
{
    assert_int_equal(pthread_join(mesher->thread, NULL), 0);
}

/* Rank `from` says its name to rank `to`, which hears nothing else. */
static void say_name(struct mesher *meshers, uint32_t from, uint32_t to)
{
    uint32_t heard = UINT32_MAX;

    assert_int_equal(write(meshers[from].peers[to].descriptor, &from, 4), 4);
    for (int i = 0; i < 1000; i++) {
        if (read(meshers[to].peers[from].descriptor, &heard, 4) == 4)
            break;
        crowd_sleep_ms(1);
    }
    assert_int_equal(heard, from);
}

void crowd_mesh_check(struct mesher *meshers, uint32_t ranks)
{
    for (uint32_t i = 0; i < ranks; i++) {
        assert_int_equal(meshers[i].result, 0);
        for (uint32_t j = 0; j < ranks; j++) {
            assert_false(meshers[i].peers[j].wanted);
            if (j != i)
                say_name(meshers, i, j);
        }
    }
}

void crowd_mesh_close(struct mesher *meshers, uint32_t ranks)
{
    for (uint32_t i = 0; i < ranks; i++) {
        close(meshers[i].config.listener);
        for (uint32_t j = 0; j < ranks; j++)
            if (meshers[i].peers[j].descriptor > 0)
                close(meshers[i].peers[j].descriptor);
    }
}

/* ---- What is left open ---- */

uint32_t crowd_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint32_t count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 3; /* ".", ".." and the directory itself */
}

uint32_t crowd_settled_descriptors(uint32_t expected)
{
    uint64_t until_ns = clock_later_ns(clock_now_ns(), 1000);
    uint32_t count;

    while ((count = crowd_descriptors()) > expected &&
           clock_now_ns() < until_ns)
        crowd_sleep_ms(5);
    return count;
}
