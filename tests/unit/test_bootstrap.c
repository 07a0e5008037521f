/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bootstrap.c - all ranks get all records, or all learn who is in the way.
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
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "crowd.h"
#include "transport/bootstrap.h"
#include "transport/clock.h"
#include "transport/dialer.h"
#include "transport/exchange.h"
#include "transport/stream.h"

static struct joiner joiners[CROWD_MAX];
static uint32_t descriptors_before;

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

/* A proven connection to the root of `joiner`, for what no honest rank does. */
static int prove(const struct joiner *joiner)
{
    struct handshake_config config = {
        .credentials = joiner->credentials,
        .purpose = PURPOSE_BOOTSTRAP,
        .rank = joiner->rank,
        .ranks = joiner->ranks,
    };
    uint64_t until_ns = clock_later_ns(clock_now_ns(), 2000);
    struct dialer dialer;

    dialer_start(&dialer, (const struct sockaddr *)&joiner->root,
                 joiner->root_bytes, &config);
    while (!dialer_move(&dialer, clock_now_ns())) {
        struct pollfd polled = {
            .fd = dialer.descriptor,
            .events = dialer.events,
        };

        assert_true(clock_now_ns() < until_ns);
        poll(&polled, 1, 10);
    }
    return dialer_take(&dialer);
}

/* Hands in a record of zeros by hand. */
static int prove_and_sit(const struct joiner *joiner)
{
    uint8_t request[REQUEST_HEAD_BYTES + RECORD_BYTES_MAX] = {0};
    size_t bytes = REQUEST_HEAD_BYTES + (size_t)joiner->record_bytes;
    int descriptor = prove(joiner);

    stream_store32(request, joiner->record_bytes);
    stream_store32(request + 4, joiner->timeout_ms);
    assert_int_equal(write(descriptor, request, bytes), bytes);
    return descriptor;
}

static void expect(const struct joiner *joiner, int result, const char *why)
{
    if (joiner->result != result || strstr(joiner->why, why) == NULL)
        fail_msg("rank %u: %d instead of %d, '%s' should say '%s'",
                 joiner->rank, joiner->result, result, joiner->why, why);
}

static void everybody_gets_every_record(void **state)
{
    static const uint32_t crowds[] = {1, 2, 8, 40, 8};
    struct bootstrap_root *root;
    uint32_t last_epoch = 0;

    (void)state;
    /* One root serves one exchange after the other, of any size. */
    crowd_prepare(joiners, CROWD_MAX, 10000);
    root = crowd_root(joiners, CROWD_MAX, UINT64_MAX);
    for (size_t i = 0; i < sizeof(crowds) / sizeof(*crowds); i++) {
        crowd_prepare(joiners, crowds[i], 10000);
        for (uint32_t j = 0; j < crowds[i]; j++) {
            bootstrap_root_address(root, &joiners[j].root,
                                   &joiners[j].root_bytes);
            joiners[j].record_bytes = i == 3 ? RECORD_BYTES_MAX : 1;
            joiners[j].record_seed = (uint8_t)(7 * i);
        }
        crowd_run(joiners, crowds[i]);
        crowd_check(joiners, crowds[i]);
        assert_int_not_equal(joiners[0].epoch, last_epoch);
        last_epoch = joiners[0].epoch;
    }
    assert_int_equal(bootstrap_root_strangers(root), 0);
    bootstrap_root_close(root);
}

static void a_root_may_come_late_and_leave_at_once(void **state)
{
    struct sockaddr_in loopback = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct bootstrap_root *root;
    char why[WHY_BYTES];

    (void)state;
    /* A root that was there a moment ago has left us a port. */
    crowd_prepare(joiners, 4, 10000);
    bootstrap_root_close(crowd_root(joiners, 4, UINT64_MAX));
    loopback.sin_port = ((struct sockaddr_in *)&joiners[0].root)->sin_port;
    for (uint32_t i = 0; i < 4; i++)
        crowd_start(&joiners[i]);
    crowd_sleep_ms(100);
    assert_int_equal(
        bootstrap_root_open(&root, (const struct sockaddr *)&loopback,
                            sizeof(loopback), &crowd_key, 0, UINT64_MAX, why),
        0);
    crowd_wait(&joiners[0]);
    bootstrap_root_close(root);
    for (uint32_t i = 1; i < 4; i++)
        crowd_wait(&joiners[i]);
    crowd_check(joiners, 4);
}

/* All but ranks 2, 5, 6 and 7 of 8. */
static void the_missing_are_named_within_the_deadline(void **state)
{
    static const uint32_t there[] = {0, 1, 3, 4};
    struct bootstrap_root *root;

    (void)state;
    crowd_prepare(joiners, 8, 1500);
    root = crowd_root(joiners, 8, UINT64_MAX);
    joiners[3].timeout_ms = 1000; /* the first to lose patience decides */
    for (int i = 0; i < 4; i++)
        crowd_start(&joiners[there[i]]);
    for (int i = 0; i < 4; i++)
        crowd_wait(&joiners[there[i]]);
    for (int i = 0; i < 4; i++) {
        expect(&joiners[there[i]], -ETIMEDOUT, "missing: 2, 5-7 of 8 ranks");
        assert_in_range(joiners[there[i]].took_ms, 500, 1000);
    }
    /* The root is ready for the next try. */
    for (uint32_t i = 0; i < 8; i++)
        joiners[i].timeout_ms = 10000;
    crowd_run(joiners, 8);
    crowd_check(joiners, 8);
    bootstrap_root_close(root);
}

static void a_root_keeps_its_own_deadline(void **state)
{
    struct bootstrap_root *root;

    (void)state;
    crowd_prepare(joiners, 2, 5000);
    root = crowd_root(joiners, 2, clock_later_ns(clock_now_ns(), 300));
    crowd_run(joiners, 1);
    expect(&joiners[0], -ETIMEDOUT, "missing: 1 of 2 ranks");
    assert_in_range(joiners[0].took_ms, 100, 2000);
    bootstrap_root_close(root);
}

static void a_root_that_leaves_is_an_error(void **state)
{
    struct bootstrap_root *root;

    (void)state;
    crowd_prepare(joiners, 2, 5000);
    root = crowd_root(joiners, 2, UINT64_MAX);
    crowd_start(&joiners[1]);
    crowd_sleep_ms(200);
    bootstrap_root_close(root);
    crowd_wait(&joiners[1]);
    expect(&joiners[1], -ECONNRESET, "rank 0 went away");
    expect(&joiners[1], -ECONNRESET, "missing: 0 of 2 ranks");
    assert_in_range(joiners[1].took_ms, 0, 2000);
}

/* Of a wait for other ranks, and of one for the root. */
static void a_bell_ends_the_wait(void **state)
{
    struct bootstrap_root *root;
    int bell = eventfd(0, EFD_CLOEXEC);

    (void)state;
    crowd_prepare(joiners, 2, 20000);
    joiners[0].bell = bell;
    root = crowd_root(joiners, 2, UINT64_MAX);
    for (int turn = 0; turn < 2; turn++) {
        crowd_start(&joiners[0]);
        crowd_sleep_ms(100);
        eventfd_write(bell, 1);
        crowd_wait(&joiners[0]);
        assert_int_equal(joiners[0].result, -ECANCELED);
        assert_in_range(joiners[0].took_ms, 0, 2000);
        eventfd_read(bell, &(eventfd_t){0});
        bootstrap_root_close(root);
        root = NULL;
    }
    close(bell);
}

static void a_silent_root_is_an_error(void **state)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    socklen_t bytes = sizeof(*v4);
    int silent = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(silent, (struct sockaddr *)v4, bytes), 0);
    getsockname(silent, (struct sockaddr *)v4, &bytes);
    crowd_prepare(joiners, 2, 300);
    for (uint32_t i = 0; i < 2; i++) {
        joiners[i].root = address;
        joiners[i].root_bytes = bytes;
    }
    crowd_run(joiners, 1);
    expect(&joiners[0], -ETIMEDOUT, "nothing listens at 127.0.0.1:");
    expect(&joiners[0], -ETIMEDOUT, "is rank 0 running, is BALLOT_ROOT right?");
    assert_in_range(joiners[0].took_ms, 300, 1000);
    /* Now it listens, but never answers. */
    assert_int_equal(listen(silent, 8), 0);
    crowd_run(joiners, 1);
    expect(&joiners[0], -ETIMEDOUT, "no answer from 127.0.0.1:");
    assert_in_range(joiners[0].took_ms, 300, 1000);
    close(silent);
}

static void a_wrong_key_is_told_soon(void **state)
{
    struct bootstrap_root *root;

    (void)state;
    crowd_prepare(joiners, 2, 20000);
    root = crowd_root(joiners, 2, UINT64_MAX);
    joiners[1].credentials = &crowd_other_key;
    crowd_start(&joiners[0]);
    crowd_start(&joiners[1]);
    crowd_wait(&joiners[1]);
    expect(&joiners[1], -EACCES, "BALLOT_KEY_FILE");
    assert_in_range(joiners[1].took_ms, 1000, 4000);
    assert_in_range(bootstrap_root_strangers(root), 4, 60);
    /* And whoever waits hears why rank 1 does not come. */
    bootstrap_root_close(root);
    crowd_wait(&joiners[0]);
    expect(&joiners[0], -ECONNRESET, "did not prove the key");
}

static void a_rank_comes_once(void **state)
{
    struct bootstrap_root *root;
    struct joiner twin;

    (void)state;
    crowd_prepare(joiners, 3, 10000);
    root = crowd_root(joiners, 3, UINT64_MAX);
    crowd_start(&joiners[1]);
    crowd_sleep_ms(150);
    twin = joiners[1];
    crowd_start(&twin);
    crowd_wait(&twin);
    expect(&twin, -EEXIST, "rank 1 has joined already, from 127.0.0.1:");
    crowd_start(&joiners[0]);
    crowd_start(&joiners[2]);
    for (uint32_t i = 0; i < 3; i++)
        crowd_wait(&joiners[i]);
    crowd_check(joiners, 3);
    bootstrap_root_close(root);
}

static void a_rank_that_died_may_come_again(void **state)
{
    struct bootstrap_root *root;

    (void)state;
    crowd_prepare(joiners, 3, 10000);
    root = crowd_root(joiners, 3, UINT64_MAX);
    close(prove_and_sit(&joiners[1]));
    close(prove(&joiners[1]));
    crowd_start(&joiners[1]);
    crowd_sleep_ms(50);
    close(prove_and_sit(&joiners[2]));
    crowd_start(&joiners[2]);
    crowd_start(&joiners[0]);
    for (uint32_t i = 0; i < 3; i++)
        crowd_wait(&joiners[i]);
    crowd_check(joiners, 3);
    bootstrap_root_close(root);
}

static void ranks_that_differ_are_named_to_all(void **state)
{
    struct bootstrap_root *root;

    (void)state;
    crowd_prepare(joiners, 4, 10000);
    root = crowd_root(joiners, 4, UINT64_MAX);
    crowd_start(&joiners[0]);
    crowd_sleep_ms(100);
    joiners[3].ranks = 5;
    crowd_start(&joiners[3]);
    crowd_sleep_ms(100);
    crowd_start(&joiners[1]);
    crowd_start(&joiners[2]);
    for (uint32_t i = 0; i < 4; i++) {
        crowd_wait(&joiners[i]);
        expect(&joiners[i], -EPROTO,
               "rank 3 says that there are 5 ranks, rank 0 says 4");
        assert_in_range(joiners[i].took_ms, 0, 3000);
    }
    /* The same for records, and then all is well again. */
    joiners[3].ranks = 4;
    joiners[2].record_bytes = 100;
    crowd_start(&joiners[0]);
    crowd_sleep_ms(100);
    for (uint32_t i = 1; i < 4; i++)
        crowd_start(&joiners[i]);
    for (uint32_t i = 0; i < 4; i++) {
        crowd_wait(&joiners[i]);
        expect(&joiners[i], -EPROTO, "rank 2 sends a record of 100 bytes");
    }
    joiners[2].record_bytes = 96;
    crowd_run(joiners, 4);
    crowd_check(joiners, 4);
    bootstrap_root_close(root);
}

/* A length from the wire is compared with the limit before it is used. */
static void a_monstrous_record_is_refused(void **state)
{
    static const uint32_t sizes[] = {0, RECORD_BYTES_MAX + 1, UINT32_MAX};
    struct bootstrap_root *root;
    uint8_t request[REQUEST_HEAD_BYTES];

    (void)state;
    crowd_prepare(joiners, 2, 5000);
    root = crowd_root(joiners, 2, UINT64_MAX);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        int liar = prove(&joiners[1]);

        stream_store32(request, sizes[i]);
        stream_store32(request + 4, UINT32_MAX);
        assert_int_equal(write(liar, request, sizeof(request)),
                         sizeof(request));
        crowd_run(joiners, 1);
        expect(&joiners[0], -EPROTO, "rank 1 sends a record of ");
        close(liar);
    }
    bootstrap_root_close(root);
}

/* One that sends on and on after its record, and never reads its answer. */
static void a_babbling_member_delays_nobody(void **state)
{
    static const uint8_t noise[4096];
    struct bootstrap_root *root;
    int babbler;

    (void)state;
    crowd_prepare(joiners, 3, 10000);
    root = crowd_root(joiners, 3, UINT64_MAX);
    babbler = prove_and_sit(&joiners[2]);
    for (int i = 0; i < 100; i++)
        if (send(babbler, noise, sizeof(noise), MSG_NOSIGNAL) < 0)
            crowd_sleep_ms(1);
    crowd_run(joiners, 2);
    assert_int_equal(joiners[0].result, 0);
    assert_int_equal(joiners[1].result, 0);
    assert_in_range(joiners[0].took_ms, 0, 2000);
    bootstrap_root_close(root);
    close(babbler);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    crowd_prepare(joiners, 4, 100);
    joiners[0].rank = 4;
    joiners[1].ranks = BOOTSTRAP_RANKS_MAX + 1;
    joiners[2].record_bytes = RECORD_BYTES_MAX + 1;
    joiners[3].record_bytes = 0;
    crowd_run(joiners, 4);
    expect(&joiners[0], -EINVAL, "rank 4 of 4 ranks");
    expect(&joiners[1], -EINVAL, "out of range");
    expect(&joiners[2], -EINVAL, "not 1025");
    expect(&joiners[3], -EINVAL, "not 0");
}

static void a_port_in_use_is_explained(void **state)
{
    struct bootstrap_root *root, *second;
    char why[WHY_BYTES];

    (void)state;
    root = crowd_root(joiners, 1, UINT64_MAX);
    assert_int_equal(bootstrap_root_open(
                         &second, (const struct sockaddr *)&joiners[0].root,
                         joiners[0].root_bytes, &crowd_key, 0, UINT64_MAX, why),
                     -EADDRINUSE);
    assert_non_null(strstr(why, "another process listens there"));
    bootstrap_root_close(root);
    bootstrap_root_close(NULL);
}

#define NETWORK(name)                                                          \
    cmocka_unit_test_setup_teardown(name, note_descriptors, check_descriptors)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NETWORK(everybody_gets_every_record),
        NETWORK(a_root_may_come_late_and_leave_at_once),
        NETWORK(the_missing_are_named_within_the_deadline),
        NETWORK(a_root_keeps_its_own_deadline),
        NETWORK(a_root_that_leaves_is_an_error),
        NETWORK(a_bell_ends_the_wait),
        NETWORK(a_silent_root_is_an_error),
        NETWORK(a_wrong_key_is_told_soon),
        NETWORK(a_rank_comes_once),
        NETWORK(a_rank_that_died_may_come_again),
        NETWORK(ranks_that_differ_are_named_to_all),
        NETWORK(a_monstrous_record_is_refused),
        NETWORK(a_babbling_member_delays_nobody),
        NETWORK(arguments_are_checked),
        NETWORK(a_port_in_use_is_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
