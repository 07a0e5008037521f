/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_memory.c - shared memory can neither be taken away nor written by whom
 * it is not meant for, and nothing else is ever mapped. Pages are as large as
 * the memory is, and are not taken before they are used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "transport/memory.h"

enum { BYTES = 3 * 4096 };

static int make_memfd(unsigned int flags, off_t bytes, int seals)
{
    int descriptor = memfd_create("test", flags);

    if (descriptor < 0)
        return -1;
    assert_int_equal(ftruncate(descriptor, bytes), 0);
    if (seals != 0)
        assert_int_equal(fcntl(descriptor, F_ADD_SEALS, seals), 0);
    return descriptor;
}

static void mapped_memory_is_zero_and_aligned(void **state)
{
    static const size_t sizes[] = {1, 4096, 4097, (4 << 20) + 5};
    enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

    (void)state;
    for (size_t j = 0; j < 2 * SIZES; j++) {
        size_t i = j % SIZES;
        void *memory = NULL;
        uint8_t *bytes;

        assert_int_equal(
            (j < SIZES ? memory_map : memory_map_sparse)(&memory, sizes[i]), 0);
        assert_int_equal((uintptr_t)memory % 4096, 0);
        bytes = memory;
        for (size_t at = 0; at < memory_round(sizes[i]); at++)
            assert_int_equal(bytes[at], 0);
        memset(bytes, 1, sizes[i]);
        memory_unmap(memory, sizes[i]);
    }
    memory_unmap(NULL, 1);
}

static void a_peer_can_write_what_is_shared_for_that(void **state)
{
    void *ours = NULL, *theirs = NULL;
    int descriptor = -1;

    (void)state;
    assert_int_equal(memory_share(&ours, &descriptor, BYTES, MEMORY_WRITE), 0);
    assert_int_equal(memory_attach(&theirs, descriptor, BYTES, MEMORY_WRITE),
                     0);
    close(descriptor);
    memset(theirs, 0x5a, BYTES);
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(((uint8_t *)ours)[i], 0x5a);
    memory_unmap(theirs, BYTES);
    memory_unmap(ours, BYTES);
}

static void a_peer_cannot_resize_what_is_shared(void **state)
{
    void *ours = NULL;
    int descriptor = -1;

    (void)state;
    assert_int_equal(memory_share(&ours, &descriptor, BYTES, MEMORY_WRITE), 0);
    assert_int_not_equal(ftruncate(descriptor, 0), 0);
    assert_int_not_equal(ftruncate(descriptor, 2 * BYTES), 0);
    assert_int_not_equal(fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE), 0);
    close(descriptor);
    memory_unmap(ours, BYTES);
}

static void a_peer_cannot_write_what_it_may_only_read(void **state)
{
    void *ours = NULL, *theirs = NULL;
    int descriptor = -1;

    (void)state;
    assert_int_equal(memory_share(&ours, &descriptor, BYTES, MEMORY_READ), 0);
    assert_ptr_equal(
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
        MAP_FAILED);
    assert_int_not_equal(
        memory_attach(&theirs, descriptor, BYTES, MEMORY_WRITE), 0);
    assert_int_equal(memory_attach(&theirs, descriptor, BYTES, MEMORY_READ), 0);
    assert_int_not_equal(mprotect(theirs, BYTES, PROT_READ | PROT_WRITE), 0);
    assert_int_not_equal(pwrite(descriptor, "x", 1, 0), 1);
    assert_int_not_equal(fallocate(descriptor,
                                   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                   0, BYTES),
                         0);
    memset(ours, 7, BYTES);
    assert_int_equal(((uint8_t *)theirs)[BYTES - 1], 7);
    close(descriptor);
    memory_unmap(theirs, BYTES);
    memory_unmap(ours, BYTES);
}

static void assert_refused(int descriptor)
{
    void *memory = NULL;

    assert_true(descriptor >= 0);
    assert_int_equal(memory_attach(&memory, descriptor, BYTES, MEMORY_WRITE),
                     -EPROTO);
    assert_null(memory);
    close(descriptor);
}

static void what_could_kill_us_is_not_attached(void **state)
{
    char path[] = "/tmp/ballot-test-XXXXXX";
    int both[2];
    int file = mkstemp(path);

    (void)state;
    assert_refused(make_memfd(MFD_ALLOW_SEALING, BYTES, 0));
    assert_refused(make_memfd(MFD_ALLOW_SEALING, BYTES, F_SEAL_GROW));
    assert_refused(make_memfd(0, BYTES, 0));
    assert_refused(make_memfd(MFD_ALLOW_SEALING, BYTES - 4096, F_SEAL_SHRINK));
    assert_refused(make_memfd(MFD_ALLOW_SEALING, BYTES + 4096, F_SEAL_SHRINK));
    assert_refused(make_memfd(MFD_ALLOW_SEALING, BYTES - 1, F_SEAL_SHRINK));
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(ftruncate(file, BYTES), 0);
    assert_refused(file);
    assert_refused(open("/dev/zero", O_RDWR));
    assert_refused(eventfd(0, 0));
    assert_int_equal(pipe(both), 0);
    assert_refused(both[0]);
    assert_refused(both[1]);
}

static void memory_on_huge_pages_is_not_attached(void **state)
{
    enum { HUGE = 2 << 20 };
    void *memory = NULL;
    int descriptor = make_memfd(MFD_ALLOW_SEALING | MFD_HUGETLB, HUGE,
                                F_SEAL_SHRINK | F_SEAL_GROW);

    (void)state;
    if (descriptor < 0)
        skip();
    assert_int_equal(memory_attach(&memory, descriptor, HUGE, MEMORY_READ),
                     -EPROTO);
    close(descriptor);
}

/* ---- Pages --------------------------------------------------------------- */

/* Whether the mapping that `at` is in has asked for huge pages. */
static bool has_asked(const void *at)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, asked = false;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t start, end;

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2)
            inside = (uintptr_t)at >= start && (uintptr_t)at < end;
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            asked = strstr(line, " hg") != NULL;
    }
    fclose(maps);
    return asked;
}

static size_t pages_taken(void *memory, size_t bytes)
{
    static unsigned char taken[4096];
    size_t count = 0;

    assert_true(bytes / 4096 <= sizeof(taken));
    assert_int_equal(mincore(memory, bytes, taken), 0);
    for (size_t i = 0; i < bytes / 4096; i++)
        count += taken[i] & 1;
    return count;
}

static void a_touch_of_sparse_memory_takes_a_small_page(void **state)
{
    const size_t bytes = 3 * MEMORY_HUGE_BYTES;
    void *memory = NULL;

    (void)state;
    assert_int_equal(memory_map_sparse(&memory, bytes), 0);
    assert_int_equal(pages_taken(memory, bytes), 0);
    for (size_t at = 0; at < bytes; at += MEMORY_HUGE_BYTES / 2)
        ((uint8_t *)memory)[at] = 1;
    assert_int_equal(pages_taken(memory, bytes), 6);
    memory_unmap(memory, bytes);
}

/* Memory of each kind: private, shared, attached. */
static void map_all(void *memory[3], size_t bytes)
{
    int descriptor = -1;

    assert_int_equal(memory_map(&memory[0], bytes), 0);
    assert_int_equal(memory_share(&memory[1], &descriptor, bytes, MEMORY_WRITE),
                     0);
    assert_int_equal(memory_attach(&memory[2], descriptor, bytes, MEMORY_WRITE),
                     0);
    close(descriptor);
}

static void unmap_all(void *memory[3], size_t bytes)
{
    for (int i = 0; i < 3; i++)
        memory_unmap(memory[i], bytes);
}

static void whole_huge_pages_are_asked_for_and_no_more(void **state)
{
    static const size_t sizes[] = {1,
                                   MEMORY_HUGE_BYTES - 1,
                                   MEMORY_HUGE_BYTES,
                                   MEMORY_HUGE_BYTES + 1,
                                   2 * MEMORY_HUGE_BYTES - 4096,
                                   3 * MEMORY_HUGE_BYTES + 8192};
    bool known = memory_facts().private_setting[0] != '\0';

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t bytes = memory_round(sizes[i]);
        size_t huge_bytes = bytes / MEMORY_HUGE_BYTES * MEMORY_HUGE_BYTES;
        void *memory[3];

        map_all(memory, sizes[i]);
        for (int kind = 0; kind < 3; kind++) {
            uint8_t *start = memory[kind];

            if (huge_bytes > 0) {
                assert_int_equal((uintptr_t)start % MEMORY_HUGE_BYTES, 0);
                assert_int_equal(has_asked(start), known);
                assert_int_equal(has_asked(start + huge_bytes - 1), known);
            }
            if (huge_bytes < bytes)
                assert_false(has_asked(start + huge_bytes));
        }
        unmap_all(memory, sizes[i]);
    }
}

static void pages_are_taken_when_they_are_used(void **state)
{
    enum { SMALL = MEMORY_HUGE_BYTES / 2, LARGE = 4 * MEMORY_HUGE_BYTES };
    void *memory[3];

    (void)state;
    map_all(memory, LARGE);
    for (int kind = 0; kind < 3; kind++)
        assert_int_equal(pages_taken(memory[kind], LARGE), 0);
    for (int kind = 0; kind < 2; kind++) {
        *(uint8_t *)memory[kind] = 1;
        assert_in_range(pages_taken(memory[kind], LARGE), 1,
                        MEMORY_HUGE_BYTES / 4096);
    }
    unmap_all(memory, LARGE);
    map_all(memory, SMALL);
    for (int kind = 0; kind < 2; kind++) {
        *(uint8_t *)memory[kind] = 1;
        assert_in_range(pages_taken(memory[kind], SMALL), 1, SMALL / 4096 / 2);
    }
    unmap_all(memory, SMALL);
}

static void settings_are_read_as_the_kernel_writes_them(void **state)
{
    static const struct {
        const char *text, *word;
        bool grants;
    } settings[] = {
        {"[always] madvise never\n", "always", true},
        {"always [madvise] never\n", "madvise", true},
        {"always madvise [never]\n", "never", false},
        {"always [within_size] advise never deny force\n", "within_size", true},
        {"always within_size [advise] never deny force\n", "advise", true},
        {"always within_size advise [never] deny force\n", "never", false},
        {"always within_size advise never [deny] force\n", "deny", false},
        {"always within_size advise never deny [force]\n", "force", true},
        {"[exactly_15_long]", "exactly_15_long", false},
        {"[exactly_16_longs]", "", false},
        {"[always", "", false},
        {"always]", "", false},
        {"]always[", "", false},
        {"[]", "", false},
        {"", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char word[MEMORY_WORD_BYTES] = "before";

        assert_int_equal(memory_setting(word, settings[i].text),
                         settings[i].grants);
        assert_string_equal(word, settings[i].word);
    }
}

static void the_same_slot_of_64_voters_has_64_places(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 1024; first++) {
        bool taken[4096 / 64] = {false};

        for (uint32_t rank = first; rank < first + 64; rank++) {
            size_t skew = memory_skew(rank);

            assert_true(skew <= MEMORY_SKEW_MAX && skew % 64 == 0);
            assert_false(taken[skew / 64]);
            taken[skew / 64] = true;
        }
    }
    assert_int_equal(memory_skew(0), 0);
    assert_true(memory_skew(UINT32_MAX) <= MEMORY_SKEW_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapped_memory_is_zero_and_aligned),
        cmocka_unit_test(a_touch_of_sparse_memory_takes_a_small_page),
        cmocka_unit_test(a_peer_can_write_what_is_shared_for_that),
        cmocka_unit_test(a_peer_cannot_resize_what_is_shared),
        cmocka_unit_test(a_peer_cannot_write_what_it_may_only_read),
        cmocka_unit_test(what_could_kill_us_is_not_attached),
        cmocka_unit_test(memory_on_huge_pages_is_not_attached),
        cmocka_unit_test(whole_huge_pages_are_asked_for_and_no_more),
        cmocka_unit_test(pages_are_taken_when_they_are_used),
        cmocka_unit_test(settings_are_read_as_the_kernel_writes_them),
        cmocka_unit_test(the_same_slot_of_64_voters_has_64_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
