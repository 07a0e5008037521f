/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dissent.c - votes that count who was outvoted, against a naive count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"
#include "guarded.h"

enum {
    WORDS = 16, /* two lines */
    ROW_BYTES = 8 * WORDS,
    COORDINATES = 64 * WORDS,
    AREA_RESULT = 2 * VOTERS_MAX,
    AREA_TIES,
    AREAS,
};

/* The voters' rows, each between forbidden pages. */
struct poll {
    struct guarded pages; /* signs, marks, result, ties */
    const uint64_t *signs[VOTERS_MAX];
    const uint64_t *marks[VOTERS_MAX];
    uint8_t weights[VOTERS_MAX];
    uint32_t counters[COORDINATES];
    uint64_t dissent[VOTERS_MAX]; /* expected */
    uint32_t voters;
    uint32_t total; /* what all of them can add to a counter */
    bool marked, weighted, end;
};

static uint64_t seed = 1;

static bool bit_of(const uint64_t *row, uint32_t i)
{
    return (row[i / 64] >> i % 64) % 2 == 1;
}

static const uint64_t *row_make(struct poll *poll, size_t area, bool mark)
{
    uint64_t *row = guarded_at(&poll->pages, area, ROW_BYTES, poll->end);

    for (uint32_t w = 0; w < WORDS; w++)
        row[w] =
            mark ? random_next(&seed) | random_next(&seed) : random_next(&seed);
    return row;
}

static void poll_make(struct poll *poll, uint32_t voters, bool marked,
                      bool weighted, bool end)
{
    poll->voters = voters;
    poll->marked = marked;
    poll->weighted = weighted;
    poll->end = end;
    poll->total = 0;
    memset(poll->counters, 0, sizeof(poll->counters));
    for (uint32_t v = 0; v < voters; v++) {
        const uint32_t weight =
            weighted ? 1 + (uint32_t)(random_next(&seed) % WEIGHT_MAX) : 1;

        poll->weights[v] = (uint8_t)weight;
        poll->total += marked ? 2 * weight : weight;
        poll->signs[v] = row_make(poll, v, false);
        poll->marks[v] = row_make(poll, VOTERS_MAX + v, true);
        for (uint32_t i = 0; i < COORDINATES; i++) {
            const bool minus = bit_of(poll->signs[v], i);

            if (!marked)
                poll->counters[i] += minus ? weight : 0;
            else if (!bit_of(poll->marks[v], i))
                poll->counters[i] += weight;
            else
                poll->counters[i] += minus ? 2 * weight : 0;
        }
    }
}

/* The reference: one coordinate, one voter after the other. */
static void expect(struct poll *poll, uint32_t threshold, bool tied,
                   size_t coordinates)
{
    memset(poll->dissent, 0, sizeof(poll->dissent));
    for (uint32_t i = 0; i < coordinates; i++) {
        const bool minus = poll->counters[i] >= threshold;

        if (tied && poll->counters[i] + 1 == threshold)
            continue;
        for (uint32_t v = 0; v < poll->voters; v++)
            if ((!poll->marked || bit_of(poll->marks[v], i)) &&
                bit_of(poll->signs[v], i) != minus)
                poll->dissent[v]++;
    }
}

static void check_table(const struct poll *poll, const struct kernels *k,
                        struct vote vote)
{
    _Alignas(LINE_BYTES) uint64_t plain[2][WORDS];
    uint64_t dissent[VOTERS_MAX];

    for (uint32_t v = 0; v < VOTERS_MAX; v++)
        dissent[v] = 1000 + v;
    vote.dissent = dissent;
    memset(vote.result, 0x5a, ROW_BYTES);
    k->vote(&vote);
    for (uint32_t v = 0; v < VOTERS_MAX; v++) {
        const uint64_t wanted = v < poll->voters ? poll->dissent[v] : 0;

        if (dissent[v] != 1000 + v + wanted)
            fail_msg("%s: voter %u of %u dissents in %llu of %zu coordinates, "
                     "not in %llu: threshold %u%s%s%s",
                     k->name, v, poll->voters, (unsigned long long)wanted,
                     vote.coordinates,
                     (unsigned long long)(dissent[v] - 1000 - v),
                     vote.threshold, poll->marked ? ", marks" : "",
                     poll->weighted ? ", weights" : "",
                     vote.ties != NULL ? ", ties" : "");
    }
    /* Result and ties are those of the vote that counts nothing. */
    memcpy(plain[0], vote.result, ROW_BYTES);
    if (vote.ties != NULL)
        memcpy(plain[1], vote.ties, ROW_BYTES);
    vote.dissent = NULL;
    k->vote(&vote);
    assert_memory_equal(plain[0], vote.result, ROW_BYTES);
    if (vote.ties != NULL)
        assert_memory_equal(plain[1], vote.ties, ROW_BYTES);
}

static void check(struct poll *poll, uint32_t threshold, bool tied,
                  size_t coordinates)
{
    const struct vote vote = {
        .result = guarded_at(&poll->pages, AREA_RESULT, ROW_BYTES, poll->end),
        .ties = tied ? guarded_at(&poll->pages, AREA_TIES, ROW_BYTES, poll->end)
                     : NULL,
        .signs = poll->signs,
        .marks = poll->marked ? poll->marks : NULL,
        .weights = poll->weighted ? poll->weights : NULL,
        .voters = poll->voters,
        .threshold = threshold,
        .words = WORDS,
        .coordinates = coordinates,
    };

    expect(poll, threshold, tied, coordinates);
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        if (kernels_all[i]->supported())
            check_table(poll, kernels_all[i], vote);
}

/* Both majorities, with ties and without, and thresholds near the ends. */
static void check_thresholds(struct poll *poll)
{
    const uint32_t half = poll->total / 2;

    check(poll, half + 1, true, COORDINATES);
    check(poll, half + 1, false, COORDINATES - 1);
    check(poll, half > 0 ? half : 1, false, COORDINATES - 511);
    check(poll, 1, true, COORDINATES - 65);
    check(poll, poll->total, true, COORDINATES - 300);
}

static void test_all_voters_to_64(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 64; voters++)
        for (uint32_t mode = 0; mode < 4; mode++) {
            poll_make(poll, voters, mode & 1, mode & 2, voters / 2 % 2);
            check_thresholds(poll);
        }
}

static void test_some_voters_to_1024(void **state)
{
    static const uint32_t voters[] = {65,  100, 127, 128, 129,  255, 256,
                                      257, 511, 512, 513, 1023, 1024};
    struct poll *poll = *state;

    for (size_t i = 0; i < sizeof(voters) / sizeof(voters[0]); i++)
        for (uint32_t mode = 0; mode < 4; mode++) {
            poll_make(poll, voters[i], mode & 1, mode & 2, i % 2);
            check(poll, poll->total / 2 + 1, true, COORDINATES);
            check(poll, poll->total / 2 + 1, false, COORDINATES - 77);
        }
}

static void test_every_tail(void **state)
{
    struct poll *poll = *state;

    for (uint32_t mode = 0; mode < 4; mode++) {
        poll_make(poll, 5 + mode, mode & 1, mode & 2, true);
        for (size_t count = 0; count <= COORDINATES; count++)
            check(poll, poll->total / 2 + 1, count % 2, count);
    }
}

/* A voter that says the opposite of all others dissents everywhere. */
static void test_who_flips_everything_shows(void **state)
{
    enum { VOTERS = 9, FLIPPED = 4 };
    struct poll *poll = *state;

    poll_make(poll, VOTERS, false, false, true);
    for (uint32_t v = 0; v < VOTERS; v++) {
        uint64_t *row = (uint64_t *)(uintptr_t)poll->signs[v];

        for (uint32_t w = 0; w < WORDS; w++)
            row[w] = v == FLIPPED ? ~0x123456789abcdefull : 0x123456789abcdef;
    }
    for (uint32_t i = 0; i < COORDINATES; i++)
        poll->counters[i] = bit_of(poll->signs[0], i) ? VOTERS - 1 : 1;
    check(poll, VOTERS / 2 + 1, false, COORDINATES - 3);
    for (uint32_t v = 0; v < VOTERS; v++)
        assert_true(poll->dissent[v] == (v == FLIPPED ? COORDINATES - 3 : 0));
}

static int setup(void **state)
{
    static struct poll poll;

    poll.pages = guarded_open(AREAS, ROW_BYTES);
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
        cmocka_unit_test(test_all_voters_to_64),
        cmocka_unit_test(test_some_voters_to_1024),
        cmocka_unit_test(test_every_tail),
        cmocka_unit_test(test_who_flips_everything_shows),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
