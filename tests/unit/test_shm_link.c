/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_shm_link.c - memory is only exchanged with whom it can be, and what a
 * peer offers is not trusted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm_liar.h"
#include "transport/clock.h"
#include "transport/handshake.h"
#include "transport/memory.h"
#include "transport/shm.h"

/* ---- Offers that lie ----------------------------------------------------- */

static int make_memfd(size_t bytes, int seals)
{
    int descriptor = memfd_create("test", MFD_ALLOW_SEALING);

    assert_true(descriptor >= 0);
    assert_int_equal(ftruncate(descriptor, (off_t)bytes), 0);
    assert_int_equal(fcntl(descriptor, F_ADD_SEALS, seals), 0);
    return descriptor;
}

/* Offers what is given, in `words` and descriptors, and expects to be refused
 * with `expected`. */
static void offer(const uint32_t words[3], size_t bytes, int memory, int page,
                  size_t count, int expected)
{
    int descriptors[4] = {memory, page, page, page};

    liar_begin(5000);
    liar_send(words, bytes, descriptors, count);
    liar_settle(expected);
    liar_harmed_nobody();
    liar_end();
}

static void an_offer_that_lies_costs_its_own_link_only(void **state)
{
    enum { MAGIC = 0x316f6873, GOOD = F_SEAL_SHRINK | F_SEAL_GROW };
    static const uint32_t good[3] = {MAGIC, SLOTS, SLOT_BYTES};
    static const uint32_t magic[3] = {MAGIC ^ 1, SLOTS, SLOT_BYTES};
    static const uint32_t slots[3] = {MAGIC, SLOTS + 1, SLOT_BYTES};
    static const uint32_t sizes[3] = {MAGIC, SLOTS, SLOT_BYTES * 2};
    size_t page_bytes;
    int memory, page, unsealed, small, large, fixed, nothing;
    const int *const all[] = {&memory, &page,  &unsealed, &small,
                              &large,  &fixed, &nothing};

    (void)state;
    shm_layout_init(&layout, SLOTS, SLOT_BYTES);
    page_bytes = memory_round(layout.shown_bytes);
    memory = make_memfd(layout.bytes, GOOD);
    page = make_memfd(page_bytes, GOOD);
    unsealed = make_memfd(layout.bytes, F_SEAL_GROW);
    small = make_memfd(layout.bytes - page_bytes, GOOD);
    large = make_memfd(layout.bytes + page_bytes, GOOD);
    fixed = make_memfd(layout.bytes, GOOD | F_SEAL_WRITE);
    nothing = open("/dev/null", O_RDWR);

    offer(good, sizeof(good), unsealed, page, 2, -EPROTO);
    offer(good, sizeof(good), small, page, 2, -EPROTO);
    offer(good, sizeof(good), large, page, 2, -EPROTO);
    offer(good, sizeof(good), nothing, page, 2, -EPROTO);
    offer(good, sizeof(good), fixed, page, 2, -EPERM);
    offer(good, sizeof(good), memory, memory, 2, -EPROTO);
    offer(good, sizeof(good), memory, nothing, 2, -EPROTO);
    offer(good, sizeof(good), memory, page, 0, -EPROTO);
    offer(good, sizeof(good), memory, page, 1, -EPROTO);
    offer(good, sizeof(good), memory, page, 4, -EPROTO);
    offer(good, sizeof(good) - 1, memory, page, 2, -EPROTO);
    offer(good, 1, memory, page, 2, -EPROTO);
    offer(magic, sizeof(magic), memory, page, 2, -EPROTO);
    offer(slots, sizeof(slots), memory, page, 2, -EPROTO);
    offer(sizes, sizeof(sizes), memory, page, 2, -EPROTO);
    /* The last one is as it should be: so the others failed for their lie. */
    offer(good, sizeof(good), memory, page, 2, 0);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        close(*all[i]);
}

static void a_peer_that_stalls_costs_its_own_link_only(void **state)
{
    uint64_t start_ns = clock_now_ns();

    (void)state;
    liar_begin(400);
    liar_settle(-ETIMEDOUT);
    assert_in_range(clock_now_ns() - start_ns, 390000000u, 2000000000u);
    liar_harmed_nobody();
    liar_end();
}

static void a_peer_that_leaves_at_once_is_named_at_once(void **state)
{
    uint64_t start_ns = clock_now_ns();

    (void)state;
    liar_begin(5000);
    shm_link_cut(&liar);
    liar_settle(-ECONNRESET);
    assert_true(clock_now_ns() - start_ns < 2000000000u);
    liar_harmed_nobody();
    liar_end();
}

/* Who waits for the offer of one who stalls. */
static void a_bell_ends_the_exchange(void **state)
{
    uint64_t start_ns = clock_now_ns();
    int bell = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_true(bell >= 0);
    victim_bell = &bell;
    liar_begin(5000);
    usleep(100000);
    assert_int_equal(eventfd_write(bell, 1), 0);
    liar_settle(-ECANCELED);
    victim_bell = NULL;
    assert_true(clock_now_ns() - start_ns < 2000000000u);
    liar_harmed_nobody();
    liar_end();
    close(bell);
}

static void another_user_is_refused(void **state)
{
    pid_t stranger;

    (void)state;
    if (geteuid() != 0)
        skip();
    party_open(&victim, VICTIM);
    liar_listener = shm_listen(&table[LIAR]); /* says that it is one of us */
    assert_true(liar_listener >= 0);
    stranger = fork();
    if (stranger == 0) {
        /* The new user would undo the wish to die with the parent. */
        if (setuid(65534) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
            liar_approach();
        pause();
    }
    victim.wanted[LIAR] = true;
    party_connect(&victim, 5000);
    assert_int_equal(victim.connected, -EACCES);
    assert_true(victim.wanted[LIAR]);
    kill(stranger, SIGKILL);
    waitpid(stranger, NULL, 0);
    close(liar_listener);
    shm->close(victim.endpoint);
}

static void impossible_slots_are_refused(void **state)
{
    static const struct endpoint_config wrong[] = {
        {.rank = 2, .ranks = 2, .slots = 1, .slot_bytes = 64},
        {.rank = 0, .ranks = 2, .slots = 0, .slot_bytes = 64},
        {.rank = 0, .ranks = 2, .slots = SHM_SLOTS_MAX + 1, .slot_bytes = 64},
        {.rank = 0, .ranks = 2, .slots = 1, .slot_bytes = 0},
        {.rank = 0, .ranks = 2, .slots = 1, .slot_bytes = 96},
    };
    static const struct credentials credentials;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct endpoint_config config = wrong[i];
        struct endpoint *endpoint = NULL;

        config.credentials = &credentials;
        assert_int_equal(shm->open(&endpoint, &config), -EINVAL);
        assert_null(endpoint);
    }
}

/* ---- Where slots lie ----------------------------------------------------- */

/* From the start of the memory, which need not be there for this. */
static size_t place(const struct shm_layout *l, uint32_t writer, uint32_t slot)
{
    enum { SOMEWHERE = 1 << 20 };

    return (uintptr_t)shm_slot(l, (void *)(uintptr_t)SOMEWHERE, writer, slot) -
           SOMEWHERE;
}

static void every_slot_of_every_rank_is_inside(void **state)
{
    static const struct {
        uint32_t slots, slot_bytes;
    } shapes[] = {{1, 64}, {27, 4160}, {27, 65600}, {SHM_SLOTS_MAX, 64}};

    (void)state;
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        uint32_t last = shapes[s].slots - 1;
        struct shm_layout l;

        shm_layout_init(&l, shapes[s].slots, shapes[s].slot_bytes);
        for (uint32_t rank = 0; rank < 1024; rank++) {
            size_t first = place(&l, rank, 0);
            size_t end = place(&l, rank, last) + l.slot_bytes;

            assert_true(first >= l.notices * sizeof(uint64_t));
            assert_int_equal(first % 64, 0);
            assert_int_equal(end - first, (size_t)(last + 1) * l.slot_bytes);
            assert_true(end <= l.bytes);
        }
    }
}

static void a_slot_of_13_voters_has_13_places_in_a_page(void **state)
{
    struct shm_layout l;

    (void)state;
    shm_layout_init(&l, 27, 65600);
    for (uint32_t slot = 0; slot < 27; slot++)
        for (uint32_t a = 0; a < 40; a++)
            for (uint32_t b = a + 1; b < a + 13; b++)
                assert_int_not_equal(place(&l, a, slot) % 4096,
                                     place(&l, b, slot) % 4096);
}

/* The two sides of a link agree where the writer's slots are: test_shm and the
 * contract see what was put. This sees that they do so by the writer. */
static void the_writer_says_where_its_slots_lie(void **state)
{
    struct event event;
    void *staged;

    (void)state;
    liar_begin_linked();
    staged = shm->stage(honest.endpoint, VICTIM, 3);
    assert_int_equal((uintptr_t)staged % 4096,
                     (memory_skew(HONEST) + 3 * SLOT_BYTES) % 4096);
    assert_int_equal(shm->put(honest.endpoint, VICTIM, 3, 64), 0);
    event = next_event(victim.endpoint);
    assert_int_equal((uintptr_t)event.memory % 4096, (uintptr_t)staged % 4096);
    liar_end();
}

/* ---- Who is near --------------------------------------------------------- */

static void hosts_are_the_same_but_for_the_name_alone(void **state)
{
    static const struct address zero;
    struct address other;
    int differ = 0;

    (void)state;
    party_open(&victim, VICTIM);
    assert_true(shm_same_host(&table[VICTIM], &table[VICTIM]));
    assert_false(shm_same_host(&zero, &zero));
    party_open(&honest, HONEST);
    assert_true(shm_same_host(&table[VICTIM], &table[HONEST]));
    for (int i = 0; i < ADDRESS_BYTES; i++) {
        other = table[VICTIM];
        other.bytes[i] ^= 1;
        differ += !shm_same_host(&table[VICTIM], &other);
    }
    /* Magic, user, namespace and boot; what remains is the name and padding. */
    assert_int_equal(differ, 4 + 4 + 8 + 8 + 36);
    table[LIAR] = table[VICTIM];
    table[LIAR].bytes[8] ^= 1;
    victim.wanted[LIAR] = true;
    party_connect(&victim, 5000);
    assert_int_equal(victim.connected, -EHOSTUNREACH);
    shm->close(victim.endpoint);
    shm->close(honest.endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_that_lies_costs_its_own_link_only),
        cmocka_unit_test(a_peer_that_stalls_costs_its_own_link_only),
        cmocka_unit_test(a_peer_that_leaves_at_once_is_named_at_once),
        cmocka_unit_test(a_bell_ends_the_exchange),
        cmocka_unit_test(another_user_is_refused),
        cmocka_unit_test(impossible_slots_are_refused),
        cmocka_unit_test(every_slot_of_every_rank_is_inside),
        cmocka_unit_test(a_slot_of_13_voters_has_13_places_in_a_page),
        cmocka_unit_test(the_writer_says_where_its_slots_lie),
        cmocka_unit_test(hosts_are_the_same_but_for_the_name_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
