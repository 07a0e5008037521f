/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_shm.c - liars and deaths, as seen by a rank that shares memory with
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm_liar.h"
#include "transport/clock.h"

/* ---- Notices that lie ---------------------------------------------------- */

/* Of more than 26 bits of bytes the rest says where they are shared. */
static uint64_t notice(uint32_t number, uint32_t slot, uint32_t bytes)
{
    return (uint16_t)number | (uint64_t)slot << 16 | (uint64_t)bytes << 32;
}

static void write_notice(uint32_t index, uint64_t word)
{
    _Atomic uint64_t *ring = liar.out;

    atomic_store(&ring[index % NOTICES], word);
}

static void assert_liar_is_cut(void)
{
    struct endpoint_counts counts;
    struct event event = next_event(victim.endpoint);

    assert_int_equal(event.kind, EVENT_LOST);
    assert_int_equal(event.peer, LIAR);
    assert_int_equal(event.reason, -EPROTO);
    assert_null(shm->stage(victim.endpoint, LIAR, 0));
    assert_int_equal(shm->put(victim.endpoint, LIAR, 0, 64), -ENOTCONN);
    shm->counts(victim.endpoint, &counts);
    assert_int_equal(counts.violations, 1);
}

static void a_notice_that_lies_cuts_its_writer_off(void **state)
{
    static const struct {
        uint32_t number, slot, bytes;
    } lies[] = {
        {2, 0, 64},              /* one notice was left out */
        {NOTICES + 2, 0, 64},    /* more than a lap ahead */
        {0x8000, 0, 64},         /* as far off as can be */
        {0, 0, 0},               /* the word of no lap */
        {1, SLOTS, 64},          /* the first slot that is not there */
        {1, 0xffff, 64},         /* far behind the memory */
        {1, 0, 0},               /* nothing */
        {1, 0, 63},              /* no whole line */
        {1, 0, 100},             /* no whole word */
        {1, 0, SLOT_BYTES + 64}, /* runs into the next slot */
        {1, SLOTS - 1, SLOT_BYTES + 64},
        {1, 0, SHM_SLOT_BYTES_MAX},
        {1, 0, (SHM_SHARED + 1) << 26 | 64}, /* the first place behind all */
        {1, 0, UINT32_C(63) << 26 | 128},
        {1, 0, 1 << 26 | (SLOT_BYTES + 64)}, /* runs into the next place */
        {1, 0, 1 << 26 | 100},
        {1, 0, 0xffffffc0},
        {1, 0, 0xffffffff},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        liar_begin_linked();
        write_notice(0, notice(lies[i].number, lies[i].slot, lies[i].bytes));
        assert_liar_is_cut();
        liar_harmed_nobody();
        liar_end();
    }
}

static void a_lie_behind_true_notices_is_found_in_turn(void **state)
{
    (void)state;
    liar_begin_linked();
    for (uint32_t i = 0; i < 3; i++)
        write_notice(i, notice(i + 1, i, 64));
    write_notice(3, notice(4, SLOTS, 64));
    for (uint32_t i = 0; i < 3; i++) {
        struct event event = next_event(victim.endpoint);

        assert_int_equal(event.kind, EVENT_ARRIVED);
        assert_int_equal(event.slot, i);
    }
    assert_liar_is_cut();
    liar_end();
}

static void a_flood_that_overruns_the_ring_is_a_lie(void **state)
{
    (void)state;
    liar_begin_linked();
    for (uint32_t i = 0; i < NOTICES + 5; i++)
        write_notice(i, notice(i + 1, i % SLOTS, 64));
    assert_liar_is_cut();
    liar_harmed_nobody();
    liar_end();
}

static _Atomic uint32_t *brief_word(size_t index)
{
    return (void *)((uint8_t *)liar.out + layout.brief_at + 64 * index);
}

static void a_brief_message_that_lies_cuts_its_writer_off(void **state)
{
    uint32_t head[BRIEF_HEAD];

    (void)state;
    liar_begin_linked();
    /* The first line of the first lap, of more bytes than there can be. */
    atomic_store(brief_word(1), 1 | (SHM_BRIEF_BYTES + 1u) << 16);
    assert_int_equal(shm->peek_brief(victim.endpoint, LIAR, head), -EAGAIN);
    assert_liar_is_cut();
    liar_harmed_nobody();
    liar_end();
}

static void who_takes_more_than_was_given_is_cut_off(void **state)
{
    const uint32_t head[BRIEF_HEAD] = {0};

    (void)state;
    liar_begin_linked();
    while (shm->put_brief(victim.endpoint, LIAR, head, NULL, 0) == 0)
        ;
    atomic_store(brief_word(0), 100000);
    assert_int_equal(shm->put_brief(victim.endpoint, LIAR, head, NULL, 0),
                     -EAGAIN);
    assert_liar_is_cut();
    liar_harmed_nobody();
    liar_end();
}

static void a_lie_wakes_a_sleeper_only_once(void **state)
{
    struct event event;

    (void)state;
    liar_begin_linked();
    write_notice(0, notice(9, 0, 64));
    assert_int_equal(shm->arm(victim.endpoint), -EAGAIN);
    assert_liar_is_cut();
    assert_true(shm->arm(victim.endpoint) >= 0);
    assert_int_equal(shm->poll(victim.endpoint, &event, 1), 0);
    liar_end();
}

static void last_words_come_before_the_loss(void **state)
{
    struct event event;

    (void)state;
    liar_begin_linked();
    /* The end is what wakes the victim: it is known before the notices are. */
    assert_true(shm->arm(victim.endpoint) >= 0);
    for (uint32_t i = 0; i < 3; i++)
        write_notice(i, notice(i + 1, i, 64));
    shm_link_cut(&liar);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(shm->poll(victim.endpoint, &event, 1), 1);
        assert_int_equal(event.kind, EVENT_ARRIVED);
        assert_int_equal(event.slot, i);
    }
    assert_int_equal(shm->poll(victim.endpoint, &event, 1), 1);
    assert_int_equal(event.kind, EVENT_LOST);
    assert_int_equal(event.reason, -ECONNRESET);
    liar_end();
}

static void a_put_to_a_dead_sleeper_raises_no_signal(void **state)
{
    struct event event;

    (void)state;
    liar_begin_linked();
    atomic_store((_Atomic uint32_t *)liar_page, 1);
    shm_link_cut(&liar);
    assert_int_equal(shm->put(victim.endpoint, LIAR, 0, 64), 0);
    event = next_event(victim.endpoint);
    assert_int_equal(event.kind, EVENT_LOST);
    assert_int_equal(shm->put(victim.endpoint, LIAR, 0, 64), -ENOTCONN);
    liar_harmed_nobody();
    liar_end();
}

static void numbers_wrap_without_a_gap(void **state)
{
    (void)state;
    liar_begin_linked();
    for (uint32_t i = 0; i < 70000; i++) {
        struct event event;

        write_notice(i, notice(i + 1, i % SLOTS, 64));
        assert_int_equal(shm->poll(victim.endpoint, &event, 1), 1);
        assert_int_equal(event.kind, EVENT_ARRIVED);
        assert_int_equal(event.slot, i % SLOTS);
        assert_int_equal(shm->poll(victim.endpoint, &event, 1), 0);
    }
    liar_end();
}

/* ---- Rings that lie ------------------------------------------------------ */

static void a_sleeper_that_never_reads_blocks_nobody(void **state)
{
    uint64_t start_ns = clock_now_ns();

    (void)state;
    liar_begin_linked();
    atomic_store((_Atomic uint32_t *)liar_page, 1);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(shm->put(victim.endpoint, LIAR, 0, 64), 0);
    assert_true(clock_now_ns() - start_ns < 3000000000u);
    liar_harmed_nobody();
    liar_end();
}

static void a_flood_of_rings_hides_neither_events_nor_the_end(void **state)
{
    struct event event;
    int before;

    (void)state;
    liar_begin_linked();
    before = count_descriptors();
    for (int i = 0; i < 100; i++)
        liar_send("flood", 5, &liar_listener, 1);
    liar_harmed_nobody();
    shm_link_cut(&liar);
    event = next_event(victim.endpoint);
    assert_int_equal(event.kind, EVENT_LOST);
    assert_int_equal(event.peer, LIAR);
    assert_int_equal(event.reason, -ECONNRESET);
    /* Both ends of the connection are closed, and nothing that came on it. */
    assert_int_equal(count_descriptors(), before - 2);
    liar_end();
}

/* ---- Deaths -------------------------------------------------------------- */

struct tombstone {
    _Atomic uint64_t died_ns;
};

static void trade_addresses(int connection, uint32_t mine, uint32_t theirs)
{
    if (write(connection, &table[mine], sizeof(table[mine])) !=
            sizeof(table[mine]) ||
        read(connection, &table[theirs], sizeof(table[theirs])) !=
            sizeof(table[theirs]))
        _exit(1);
}

/* Rank 1, which puts six slots at a time and waits for a put after each, until
 * it has done `puts` and is killed. */
static void live_and_die(int connection, int puts, struct tombstone *tombstone)
{
    struct event event;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    party_open(&victim, LIAR);
    trade_addresses(connection, LIAR, VICTIM);
    victim.wanted[VICTIM] = true;
    party_connect(&victim, 5000);
    for (int i = 0; i < puts && victim.connected == 0; i++) {
        shm->put(victim.endpoint, VICTIM, (uint32_t)i % SLOTS, 64);
        while (i % SLOTS == SLOTS - 1 &&
               shm->poll(victim.endpoint, &event, 1) == 0)
            sched_yield();
    }
    atomic_store(&tombstone->died_ns, clock_now_ns());
    kill(getpid(), SIGKILL);
}

/* The next event, polled for or slept for. */
static struct event wait_event(bool asleep)
{
    struct event event;

    if (!asleep)
        return next_event(victim.endpoint);
    while (shm->poll(victim.endpoint, &event, 1) == 0) {
        struct pollfd waited = {.fd = shm->arm(victim.endpoint),
                                .events = POLLIN};

        if (waited.fd >= 0)
            assert_int_equal(poll(&waited, 1, 5000), 1);
    }
    return event;
}

static void outlive(int puts, bool asleep)
{
    struct tombstone *tombstone =
        mmap(NULL, sizeof(*tombstone), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct event event;
    int both[2];
    pid_t child;
    int arrived = 0;

    assert_ptr_not_equal(tombstone, MAP_FAILED);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, both), 0);
    child = fork();
    if (child == 0)
        live_and_die(both[1], puts, tombstone);
    party_open(&victim, VICTIM);
    trade_addresses(both[0], VICTIM, LIAR);
    victim.wanted[LIAR] = true;
    party_connect(&victim, 5000);
    assert_int_equal(victim.connected, 0);
    while ((event = wait_event(asleep)).kind == EVENT_ARRIVED) {
        assert_int_equal(event.slot, arrived % SLOTS);
        if (++arrived % SLOTS == 0)
            shm->put(victim.endpoint, LIAR, 0, 64);
    }
    assert_true(clock_now_ns() - atomic_load(&tombstone->died_ns) <
                2 * UINT64_C(1000000000));
    assert_int_equal(event.reason, -ECONNRESET);
    assert_int_equal(arrived, puts);
    shm->close(victim.endpoint);
    waitpid(child, NULL, 0);
    close(both[0]);
    close(both[1]);
    munmap(tombstone, sizeof(*tombstone));
}

static void a_kill_is_seen_while_polling(void **state)
{
    (void)state;
    for (int puts = 0; puts < 3 * SLOTS; puts++)
        outlive(puts, false);
}

static void a_kill_is_seen_while_asleep(void **state)
{
    (void)state;
    for (int puts = 0; puts < 3 * SLOTS; puts++)
        outlive(puts, true);
}

static void close_leaves_no_mapping(void **state)
{
    FILE *maps;
    char line[512];

    (void)state;
    liar_begin_linked();
    shm->drop(victim.endpoint, HONEST);
    liar_end();
    maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL)
        assert_null(strstr(line, "memfd:ballot"));
    fclose(maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notice_that_lies_cuts_its_writer_off),
        cmocka_unit_test(a_lie_behind_true_notices_is_found_in_turn),
        cmocka_unit_test(a_flood_that_overruns_the_ring_is_a_lie),
        cmocka_unit_test(a_brief_message_that_lies_cuts_its_writer_off),
        cmocka_unit_test(who_takes_more_than_was_given_is_cut_off),
        cmocka_unit_test(a_lie_wakes_a_sleeper_only_once),
        cmocka_unit_test(last_words_come_before_the_loss),
        cmocka_unit_test(a_put_to_a_dead_sleeper_raises_no_signal),
        cmocka_unit_test(numbers_wrap_without_a_gap),
        cmocka_unit_test(a_sleeper_that_never_reads_blocks_nobody),
        cmocka_unit_test(a_flood_of_rings_hides_neither_events_nor_the_end),
        cmocka_unit_test(a_kill_is_seen_while_polling),
        cmocka_unit_test(a_kill_is_seen_while_asleep),
        cmocka_unit_test(close_leaves_no_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
