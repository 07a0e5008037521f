/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_count.c - votes that are counted in groups, of every table, against a
 * count coordinate by coordinate and against the vote in one piece.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/counting.h"
#include "guarded.h"

enum {
    WORDS_MAX = 3 * LINE_WORDS, /* lines: even, mostly minus, mostly plus */
    SIGNS_BYTES = 8 * WORDS_MAX,
    PLANES_BYTES = (COUNT_TOP_MAX + 1) * SIGNS_BYTES,
    GROUP_RANDOM = 0, /* in place of a size: another one each time */
    AREA_RESULT = VOTERS_MAX,
    AREA_TIES,
    AREA_PLANES,
    AREAS,
};

/* The voters' rows, each between forbidden pages, and what they add up to. */
struct poll {
    struct guarded pages; /* signs, result, ties, planes */
    const uint64_t *signs[VOTERS_MAX];
    uint32_t counts[64 * WORDS_MAX];
    uint32_t voters;
    size_t words;
    bool end; /* rows end, not start, at a forbidden page */
};

static uint64_t seed = 1;

static uint64_t *area_of(const struct poll *poll, size_t area, size_t rows)
{
    return guarded_at(&poll->pages, area, rows * poll->words * 8, poll->end);
}

/* Uneven bits let counts come near thresholds far from the half. */
static uint64_t bits_for(size_t w)
{
    const uint64_t bits = random_next(&seed);

    if (w / LINE_WORDS == 1)
        return bits | random_next(&seed);
    if (w / LINE_WORDS == 2)
        return bits & random_next(&seed) & random_next(&seed);
    return bits;
}

/* All say minus in the first coordinates and plus in the next. */
static void poll_make(struct poll *poll, uint32_t voters, size_t words)
{
    poll->voters = voters;
    poll->words = words;
    poll->end = !poll->end;
    memset(poll->counts, 0, sizeof(poll->counts));
    for (uint32_t v = 0; v < voters; v++) {
        uint64_t *row = area_of(poll, v, 1);

        for (size_t w = 0; w < words; w++)
            row[w] = bits_for(w);
        row[0] = (row[0] | 0xff) & ~0xff00ull;
        for (size_t i = 0; i < 64 * words; i++)
            poll->counts[i] += (row[i / 64] >> i % 64) % 2 == 1;
        poll->signs[v] = row;
    }
}

static void check_row(const struct poll *poll, const char *name,
                      const struct count *count, const uint64_t *row, bool ties)
{
    for (size_t i = 0; i < 64 * poll->words; i++) {
        const bool is = (row[i / 64] >> i % 64) % 2 == 1;
        const uint32_t counter = poll->counts[i];
        const bool expected = ties ? counter == count->threshold - 1
                                   : counter >= count->threshold;

        if (is != expected)
            fail_msg("%s: %s of coordinate %zu is %d: count %u, threshold %u, "
                     "%u voters, top %u",
                     name, ties ? "tie" : "result", i, is, counter,
                     count->threshold, poll->voters, count->top);
    }
}

/* All groups but the last, which may be empty, add; the last one decides. */
static void count_groups(const struct poll *poll, const struct kernels *k,
                         struct count count, uint32_t group, bool empty)
{
    uint64_t *const result = count.result;
    uint64_t *const ties = count.ties;
    uint32_t done = 0;

    count.result = NULL;
    count.ties = NULL;
    for (count.first = true; count.result == NULL; count.first = false) {
        const uint32_t left = poll->voters - done;
        uint32_t next = group;

        if (group == GROUP_RANDOM)
            next = (uint32_t)(random_next(&seed) % 21);
        count.signs = &poll->signs[done];
        count.voters = next < left ? next : left;
        done += count.voters;
        if (left == 0 || (next >= left && !empty)) {
            count.result = result;
            count.ties = ties;
        }
        k->count(&count);
    }
}

static void check_table(const struct poll *poll, const struct kernels *k,
                        uint32_t group, uint32_t threshold, uint32_t more)
{
    uint64_t voted[WORDS_MAX];
    struct vote vote = {
        .result = voted,
        .signs = poll->signs,
        .voters = poll->voters,
        .threshold = threshold,
        .words = poll->words,
    };
    struct count count = {
        .top = counting_top(&vote) + more,
        .words = poll->words,
        .result = area_of(poll, AREA_RESULT, 1),
        .threshold = threshold,
    };

    if (count.top > COUNT_TOP_MAX)
        return;
    count.planes = area_of(poll, AREA_PLANES, count.top + 1);
    for (int ties = 0; ties < 2; ties++) {
        memset(count.planes, 0x5a, 8 * count_words(count.top, count.words));
        memset(count.result, 0x5a, 8 * poll->words);
        count.ties = ties ? area_of(poll, AREA_TIES, 1) : NULL;
        count_groups(poll, k, count, group, threshold % 2);
        check_row(poll, k->name, &count, count.result, false);
    }
    check_row(poll, k->name, &count, count.ties, true);
    k->vote(&vote);
    assert_memory_equal(voted, count.result, 8 * poll->words);
}

static void check_threshold(const struct poll *poll, uint32_t threshold)
{
    static const uint32_t groups[] = {1, 2, 8, GROUP_RANDOM, VOTERS_MAX};
    const size_t splits = sizeof(groups) / sizeof(groups[0]);

    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (size_t g = 0; g < splits && kernels_all[i]->supported(); g++)
            /* A plane more than needed is allowed. */
            for (uint32_t more = 0; more < 2; more++)
                check_table(poll, kernels_all[i], groups[g], threshold, more);
}

/* The ends, the majorities, and where a plane more or less is needed. */
static void check_boundaries(const struct poll *poll)
{
    const uint32_t total = poll->voters;

    for (uint32_t power = 1; power <= total; power *= 2) {
        check_threshold(poll, power);
        check_threshold(poll, total + 1 - power);
    }
    for (uint32_t t = total / 2; t <= total / 2 + 2; t++)
        if (t >= 1 && t <= total)
            check_threshold(poll, t);
}

static void test_every_split_and_threshold(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 20; voters++) {
        poll_make(poll, voters, WORDS_MAX);
        for (uint32_t t = 1; t <= voters; t++)
            check_threshold(poll, t);
    }
}

/* Rows of one, two and three lines: the last one ends at a forbidden page. */
static void test_every_split_to_70(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 70; voters++) {
        poll_make(poll, voters, (1 + voters % 3) * LINE_WORDS);
        check_boundaries(poll);
        poll_make(poll, voters, (1 + voters % 3) * LINE_WORDS);
        check_threshold(poll, voters / 2 + 1);
        check_threshold(poll, (voters + 1) / 2);
    }
}

static void test_some_to_1024(void **state)
{
    static const uint32_t voters[] = {127, 128, 129, 255, 455, 1023, 1024};
    struct poll *poll = *state;

    for (size_t i = 0; i < sizeof(voters) / sizeof(voters[0]); i++) {
        poll_make(poll, voters[i], LINE_WORDS);
        check_threshold(poll, 1);
        check_threshold(poll, voters[i]);
        check_threshold(poll, voters[i] / 2 + 1);
        check_threshold(poll, (voters[i] + 1) / 2);
    }
}

/* More voters than one vote takes: in groups, or in one. */
static void check_many(struct poll *poll, const uint64_t *const *signs,
                       uint32_t voters, uint32_t threshold)
{
    struct count count = {
        .words = LINE_WORDS,
        .result = area_of(poll, AREA_RESULT, 1),
        .ties = area_of(poll, AREA_TIES, 1),
        .threshold = threshold,
    };
    const struct vote vote = {.voters = voters, .threshold = threshold};

    count.top = counting_top(&vote);
    count.planes = area_of(poll, AREA_PLANES, count.top + 1);
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        for (uint32_t group = 32; group <= voters; group += voters - 32) {
            struct count next = count;

            if (!kernels_all[i]->supported())
                break;
            next.result = next.ties = NULL;
            next.first = true;
            for (uint32_t v = 0; v < voters; v += group) {
                next.signs = &signs[v];
                next.voters = voters - v < group ? voters - v : group;
                next.result = voters - v <= group ? count.result : NULL;
                next.ties = voters - v <= group ? count.ties : NULL;
                kernels_all[i]->count(&next);
                next.first = false;
            }
            check_row(poll, kernels_all[i]->name, &count, count.result, false);
            check_row(poll, kernels_all[i]->name, &count, count.ties, true);
        }
}

/* No counter may overflow, nor may one that nobody raises reach anything. */
static void test_all_minus_and_all_plus(void **state)
{
    struct poll *poll = *state;

    for (uint32_t power = 2; power <= VOTERS_MAX; power *= 2)
        for (uint32_t n = power - 1; n <= power + 1 && n <= VOTERS_MAX; n++) {
            poll_make(poll, n, LINE_WORDS);
            for (uint32_t v = 0; v < n; v++) {
                memset(area_of(poll, v, 1), 0xff, 8 * LINE_WORDS / 2);
                memset(area_of(poll, v, 1) + LINE_WORDS / 2, 0,
                       8 * LINE_WORDS / 2);
            }
            for (size_t i = 0; i < 64 * LINE_WORDS; i++)
                poll->counts[i] = i < 64 * LINE_WORDS / 2 ? n : 0;
            check_threshold(poll, 1);
            check_threshold(poll, n);
            check_threshold(poll, n / 2 + 1);
        }
}

/* As many as tasks of a round may vote: a few rows, over and over. */
static void test_some_to_65535(void **state)
{
    enum { ROWS = 37, MANY = 65535 };
    static const uint64_t *signs[MANY];
    static const uint32_t voters[] = {1025, 2047, 4096, 16383, 32768, MANY};
    struct poll *poll = *state;

    for (size_t i = 0; i < sizeof(voters) / sizeof(voters[0]); i++) {
        const uint32_t n = voters[i];

        poll_make(poll, ROWS, LINE_WORDS);
        memset(poll->counts, 0, sizeof(poll->counts));
        for (uint32_t v = 0; v < n; v++) {
            signs[v] = poll->signs[v * v % ROWS];
            for (size_t c = 0; c < 64 * LINE_WORDS; c++)
                poll->counts[c] += (signs[v][c / 64] >> c % 64) % 2 == 1;
        }
        check_many(poll, signs, n, n / 2 + 1);
        check_many(poll, signs, n, (n + 1) / 2);
        check_many(poll, signs, n, poll->counts[20] + 1);
        check_many(poll, signs, n, n);
    }
}

static int setup(void **state)
{
    static struct poll poll;

    poll.pages = guarded_open(AREAS, PLANES_BYTES);
    *state = &poll;
    return 0;
}

static int teardown(void **state)
{
    struct poll *poll = *state;

    guarded_close(&poll->pages);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split_and_threshold),
        cmocka_unit_test(test_every_split_to_70),
        cmocka_unit_test(test_some_to_1024),
        cmocka_unit_test(test_some_to_65535),
        cmocka_unit_test(test_all_minus_and_all_plus),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
