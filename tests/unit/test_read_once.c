/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_read_once.c - a peer may write a slot while it is read, so no byte of it
 * may be looked at twice. Counted in the machine code: slots lie on forbidden
 * pages, each access faults, is noted, let through for one instruction (the
 * processor's trap flag), and forbidden again.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"
#include "guarded.h"

#if defined(__x86_64__) && defined(__linux__)

#include <ucontext.h>

enum {
    ROWS_MAX = 40,
    LINES = 2,
    WORDS = LINES * LINE_WORDS,
    ROW_BYTES = LINES * LINE_BYTES,
    ACCESSES_MAX = 4 * WORDS, /* more are too many in any case */
    TRAP_FLAG = 0x100,
};

/* Signal handlers have no argument of ours. */
static struct watched {
    struct guarded pages; /* signs, then marks or zeros */
    size_t area;          /* the one that is open for an instruction */
    uint32_t accesses[2 * ROWS_MAX];
    uint8_t offsets[2 * ROWS_MAX][ACCESSES_MAX];
} watched;

static char *area_of(size_t area)
{
    return guarded_at(&watched.pages, area, GUARD_BYTES, false);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    const char *at = info->si_addr;

    for (size_t i = 0; i < watched.pages.areas; i++) {
        char *row = area_of(i);
        const uint32_t access = watched.accesses[i];

        if (at < row || at >= row + ROW_BYTES)
            continue;
        if (access < ACCESSES_MAX)
            watched.offsets[i][access] = (uint8_t)(at - row);
        watched.accesses[i]++;
        watched.area = i;
        mprotect(row, GUARD_BYTES, PROT_READ);
        interrupted->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
        return;
    }
    /* Nobody's slot: the same fault again, and this time it is deadly. */
    signal(number, SIG_DFL);
}

static void on_step(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;

    (void)number;
    (void)info;
    mprotect(area_of(watched.area), GUARD_BYTES, PROT_NONE);
    interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

/* Around the kernel alone: cmocka has handlers of its own. */
static struct sigaction old_fault;
static struct sigaction old_step;

static void watch(void)
{
    const struct sigaction fault = {.sa_sigaction = on_fault,
                                    .sa_flags = SA_SIGINFO};
    const struct sigaction step = {.sa_sigaction = on_step,
                                   .sa_flags = SA_SIGINFO};

    memset(watched.accesses, 0, sizeof(watched.accesses));
    sigaction(SIGSEGV, &fault, &old_fault);
    sigaction(SIGTRAP, &step, &old_step);
}

static void watch_end(void)
{
    sigaction(SIGSEGV, &old_fault, NULL);
    sigaction(SIGTRAP, &old_step, NULL);
}

/* Accesses of equal width must tile each of the rows: every byte once. */
static void check_rows(const char *name, const char *what, uint32_t voters,
                       size_t first, size_t rows)
{
    for (size_t i = first; i < first + rows; i++) {
        const uint32_t accesses = watched.accesses[i];
        bool seen[ROW_BYTES] = {false};

        if (accesses == 0 || ROW_BYTES % accesses != 0)
            fail_msg("%s: %s, %u voters: %u accesses to %d bytes", name, what,
                     voters, accesses, ROW_BYTES);
        for (uint32_t a = 0; a < accesses; a++) {
            const uint8_t offset = a < ACCESSES_MAX ? watched.offsets[i][a] : 0;

            if (seen[offset] || offset % (ROW_BYTES / accesses) != 0)
                fail_msg("%s: %s, %u voters: byte %u of row %zu twice", name,
                         what, voters, offset, i);
            seen[offset] = true;
        }
    }
}

/* What a vote is asked for besides, as bits: all ways have loops of their own.
 */
enum { MARKED = 1, WEIGHTED = 2, TIED = 4, DISSENTING = 8, FAR = 16, ALL = 32 };

static void check_vote(const struct kernels *k, uint32_t voters, uint32_t mode)
{
    _Alignas(64) uint64_t result[WORDS];
    _Alignas(64) uint64_t ties[WORDS];
    const uint64_t *signs[ROWS_MAX];
    const uint64_t *marks[ROWS_MAX];
    uint8_t weights[ROWS_MAX];
    uint64_t dissent[ROWS_MAX] = {0};
    const struct vote vote = {
        .result = result,
        .ties = mode & TIED ? ties : NULL,
        .signs = signs,
        .marks = mode & MARKED ? marks : NULL,
        .weights = mode & WEIGHTED ? weights : NULL,
        .dissent = mode & DISSENTING ? dissent : NULL,
        .voters = voters,
        .threshold = voters / 2 + 1,
        .words = WORDS,
        .coordinates = 64 * WORDS - 100,
        .far = mode & FAR,
    };

    for (uint32_t v = 0; v < voters; v++) {
        signs[v] = (const uint64_t *)(const void *)area_of(v);
        marks[v] = (const uint64_t *)(const void *)area_of(ROWS_MAX + v);
        weights[v] = (uint8_t)(WEIGHT_MAX - v % 2 * 4);
    }
    watch();
    k->vote(&vote);
    watch_end();
    check_rows(k->name, mode & DISSENTING ? "dissent" : "vote", voters, 0,
               voters);
    if (mode & MARKED)
        check_rows(k->name, "marks", voters, ROWS_MAX, voters);
}

/* Every loop: a few voters, the last that are few, eights and groups of 32. */
static void test_vote_reads_slots_once(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (uint32_t voters = 1; voters <= ROWS_MAX; voters++)
            for (uint32_t mode = 0; mode < ALL; mode++)
                if (kernels_all[i]->supported() && (voters < 18 || voters > 30))
                    check_vote(kernels_all[i], voters, mode);
}

/* A group that only adds, or one that decides. */
static void check_count(const struct kernels *k, uint32_t voters, bool last)
{
    _Alignas(64) uint64_t planes[(COUNT_TOP_MAX + 1) * WORDS] = {0};
    _Alignas(64) uint64_t result[WORDS];
    const uint64_t *signs[ROWS_MAX];
    const struct count count = {
        .planes = planes,
        .top = 6,
        .first = voters % 2 == 0,
        .signs = signs,
        .voters = voters,
        .words = WORDS,
        .result = last ? result : NULL,
        .threshold = 40,
    };

    for (uint32_t v = 0; v < voters; v++)
        signs[v] = (const uint64_t *)(const void *)area_of(v);
    watch();
    k->count(&count);
    watch_end();
    check_rows(k->name, "count", voters, 0, voters);
}

static void test_count_reads_slots_once(void **state)
{
    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (uint32_t voters = 1; voters <= 20; voters++)
            for (int last = 0; last < 2 && kernels_all[i]->supported(); last++)
                check_count(kernels_all[i], voters, last);
}

static void check_compare(const struct kernels *k, uint32_t replicas,
                          size_t count, bool voted)
{
    _Alignas(64) uint64_t majority[WORDS];
    uint64_t distances[REPLICAS_MAX * REPLICAS_MAX] = {0};
    const uint64_t *rows[REPLICAS_MAX];
    const struct compare compare = {
        .majority = voted ? majority : NULL,
        .distances = distances,
        .rows = rows,
        .replicas = replicas,
        .count = count,
    };

    for (uint32_t r = 0; r < replicas; r++)
        rows[r] = (const uint64_t *)(const void *)area_of(r);
    watch();
    k->compare(&compare);
    watch_end();
    check_rows(k->name, "compare", replicas, 0, replicas);
}

/* Whole lines, and a last one of which all, most or nearly none counts. */
static void test_compare_reads_slots_once(void **state)
{
    static const uint32_t replicas[] = {2, 3, 4, 5, 7, 15, 16};
    static const size_t missing[] = {0, 1, 100, 300, 511};

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (size_t r = 0; r < sizeof(replicas) / sizeof(replicas[0]); r++)
            for (size_t m = 0; m < 2 * sizeof(missing) / sizeof(missing[0]);
                 m++)
                if (kernels_all[i]->supported())
                    check_compare(kernels_all[i], replicas[r],
                                  64 * WORDS - missing[m / 2], m % 2);
}

static void check_agree(const struct kernels *k, uint32_t tasks, size_t count)
{
    _Alignas(64) uint64_t planes[(COUNT_TOP_MAX + 1) * WORDS] = {0};
    const uint64_t *rows[2 * ROWS_MAX];
    const struct agree agree = {
        .planes = planes,
        .top = 5,
        .first = tasks % 2 == 0,
        .rows = rows,
        .tasks = tasks,
        .count = count,
        .far = tasks % 3 == 0,
    };

    for (uint32_t r = 0; r < 3 * tasks; r++)
        rows[r] = (const uint64_t *)(const void *)area_of(r);
    watch();
    k->agree(&agree);
    watch_end();
    check_rows(k->name, "agree", 3 * tasks, 0, 3 * tasks);
}

static void test_agree_reads_slots_once(void **state)
{
    static const size_t missing[] = {0, 1, 100, 300, 511};

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (uint32_t tasks = 1; 3 * tasks <= 2 * ROWS_MAX; tasks++)
            for (size_t m = 0; m < sizeof(missing) / sizeof(missing[0]); m++)
                if (kernels_all[i]->supported())
                    check_agree(kernels_all[i], tasks, 64 * WORDS - missing[m]);
}

static void check_apply(const struct kernels *k, int type, size_t skew,
                        size_t count, bool far)
{
    static _Alignas(LINE_BYTES) double values[64 * WORDS + LINE_BYTES];
    const uint64_t *signs = (const uint64_t *)(const void *)area_of(0);
    const uint64_t *zeros = (const uint64_t *)(const void *)area_of(1);
    const bool zeroed = type != TYPE_SIGNS;

    watch();
    k->apply[type]((char *)values + skew, signs, zeroed ? zeros : NULL, 1.0f,
                   count, far);
    watch_end();
    check_rows(k->name, far ? "far apply" : "apply", 1, 0, zeroed ? 2 : 1);
}

/* Far targets that start within a line take the bits of two words at a time;
 * of the last word all bits may be needed, some or one. */
static void test_apply_reads_slots_once(void **state)
{
    static const size_t step_of[TYPES] = {4, 2, 2, 8, 8};
    static const size_t missing[] = {0, 30, 63};

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (int type = 0; type < TYPES && kernels_all[i]->supported(); type++)
            for (size_t skew = 0; skew < LINE_BYTES; skew += step_of[type]) {
                const size_t start = skew / step_of[type];
                const size_t count = 64 * WORDS - missing[start % 3];

                check_apply(kernels_all[i], type, skew, count, true);
                if (start < 3)
                    check_apply(kernels_all[i], type, skew, count, false);
            }
}

static void test_update_reads_slots_once(void **state)
{
    enum { COUNT = WORDS * 64 };
    static float parameters[COUNT];
    const uint64_t *signs = (const uint64_t *)(const void *)area_of(0);
    const uint64_t *zeros = (const uint64_t *)(const void *)area_of(1);

    (void)state;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        if (!k->supported())
            continue;
        watch();
        k->update(parameters, signs, zeros, 1e-3f, 1e-4f, COUNT);
        watch_end();
        check_rows(k->name, "update", 1, 0, 2);
    }
}

/* The watch itself: what is read twice must be seen twice. */
static void test_watch_sees_second_read(void **state)
{
    const volatile uint64_t *word = (const uint64_t *)(void *)area_of(0);

    (void)state;
    watch();
    const bool equal = *word == *word;

    watch_end();
    assert_true(equal);
    assert_int_equal(watched.accesses[0], 2);
}

static int setup(void **state)
{
    (void)state;
    watched.pages = guarded_open(2 * ROWS_MAX, GUARD_BYTES);
    for (size_t i = 0; i < watched.pages.areas; i++)
        assert_int_equal(mprotect(area_of(i), GUARD_BYTES, PROT_NONE), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guarded_close(&watched.pages);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_sees_second_read),
        cmocka_unit_test(test_vote_reads_slots_once),
        cmocka_unit_test(test_count_reads_slots_once),
        cmocka_unit_test(test_compare_reads_slots_once),
        cmocka_unit_test(test_agree_reads_slots_once),
        cmocka_unit_test(test_apply_reads_slots_once),
        cmocka_unit_test(test_update_reads_slots_once),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

#else

int main(void)
{
    return 77; /* the trap flag is x86's, the registers' names are Linux's */
}

#endif
