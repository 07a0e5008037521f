/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_vote.c - every vote kernel against a count, coordinate by coordinate.
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
    WORDS = 24, /* three lines: even, mostly minus, mostly plus */
    ROW_BYTES = 8 * WORDS,
    COORDINATES = 64 * WORDS,
};

/* The voters' rows, each between forbidden pages, and what they add up to. */
struct poll {
    struct guarded pages; /* signs, marks, result, ties */
    const uint64_t *signs[VOTERS_MAX];
    const uint64_t *marks[VOTERS_MAX];
    uint8_t weights[VOTERS_MAX];
    uint32_t counts[COORDINATES];
    uint32_t voters;
    bool marked;
    bool weighted;
    bool end; /* rows end, not start, at a forbidden page */
};

static uint64_t seed = 1;

/* Uneven bits let counts come near thresholds far from the half. */
static uint64_t bits_for(uint32_t w)
{
    const uint64_t bits = random_next(&seed);

    if (w / LINE_WORDS == 1)
        return bits | random_next(&seed);
    if (w / LINE_WORDS == 2)
        return bits & random_next(&seed) & random_next(&seed);
    return bits;
}

/* All say minus in the first coordinates, plus in the next, then random. */
static uint64_t *row_make(struct poll *poll, size_t area)
{
    uint64_t *row = guarded_at(&poll->pages, area, ROW_BYTES, poll->end);

    for (uint32_t w = 0; w < WORDS; w++)
        row[w] = bits_for(w);
    row[0] |= 0xff;
    row[0] &= ~0xff00ull;
    return row;
}

static void poll_open(struct poll *poll)
{
    memset(poll, 0, sizeof(*poll));
    poll->pages = guarded_open(2 * VOTERS_MAX + 2, ROW_BYTES);
}

/* The reference: one coordinate, one voter after the other. */
static uint32_t count_of(const struct poll *poll, uint32_t coordinate)
{
    uint32_t count = 0;

    for (uint32_t v = 0; v < poll->voters; v++) {
        const uint32_t w = coordinate / 64;
        const uint32_t bit = coordinate % 64;
        const uint32_t weight = poll->weighted ? poll->weights[v] : 1;
        const bool minus = (poll->signs[v][w] >> bit) % 2 == 1;

        if (!poll->marked)
            count += minus ? weight : 0;
        else if ((poll->marks[v][w] >> bit) % 2 == 0)
            count += weight;
        else
            count += minus ? 2 * weight : 0;
    }
    return count;
}

static void poll_make(struct poll *poll, uint32_t voters, bool marked,
                      bool weighted, bool end)
{
    poll->voters = voters;
    poll->marked = marked;
    poll->weighted = weighted;
    poll->end = end;
    for (uint32_t v = 0; v < voters; v++) {
        poll->signs[v] = row_make(poll, v);
        if (marked)
            poll->marks[v] = row_make(poll, VOTERS_MAX + v);
        if (weighted)
            poll->weights[v] = (uint8_t)(1 + random_next(&seed) % WEIGHT_MAX);
    }
    for (uint32_t i = 0; i < COORDINATES; i++)
        poll->counts[i] = count_of(poll, i);
}

static uint32_t poll_total(const struct poll *poll)
{
    uint32_t total = 0;

    for (uint32_t v = 0; v < poll->voters; v++)
        total += poll->weighted ? poll->weights[v] : 1;
    return poll->marked ? 2 * total : total;
}

static void check_row(const struct poll *poll, const char *name,
                      const char *what, const uint64_t *row, uint32_t threshold,
                      bool ties)
{
    for (uint32_t i = 0; i < COORDINATES; i++) {
        const bool is = (row[i / 64] >> i % 64) % 2 == 1;
        const uint32_t count = poll->counts[i];
        const bool expected =
            ties ? count == threshold - 1 : count >= threshold;

        if (is != expected)
            fail_msg("%s: %s of coordinate %u is %d: count %u, threshold %u, "
                     "%u voters%s%s",
                     name, what, i, is, count, threshold, poll->voters,
                     poll->marked ? ", marks" : "",
                     poll->weighted ? ", weights" : "");
    }
}

/* All tables, with the plane of ties and without, for rows from a cache and
 * from memory: all of them differ inside. */
static void check_threshold(const struct poll *poll, uint32_t threshold)
{
    uint64_t *result =
        guarded_at(&poll->pages, 2 * VOTERS_MAX, ROW_BYTES, poll->end);
    uint64_t *ties =
        guarded_at(&poll->pages, 2 * VOTERS_MAX + 1, ROW_BYTES, poll->end);
    struct vote vote = {
        .result = result,
        .signs = poll->signs,
        .marks = poll->marked ? poll->marks : NULL,
        .weights = poll->weighted ? poll->weights : NULL,
        .voters = poll->voters,
        .threshold = threshold,
        .words = WORDS,
    };

    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *k = kernels_all[i];

        for (int far = 0; far < 2 && k->supported(); far++) {
            vote.far = far;
            memset(result, 0x5a, ROW_BYTES);
            memset(ties, 0x5a, ROW_BYTES);
            vote.ties = NULL;
            k->vote(&vote);
            check_row(poll, k->name, "result", result, threshold, false);
            memset(result, 0x5a, ROW_BYTES);
            vote.ties = ties;
            k->vote(&vote);
            check_row(poll, k->name, "result beside ties", result, threshold,
                      false);
            check_row(poll, k->name, "tie", ties, threshold, true);
        }
    }
}

/* The ends, the majorities, and where a plane more or less is needed. */
static void check_boundaries(const struct poll *poll)
{
    const uint32_t total = poll_total(poll);

    for (uint32_t power = 1; power <= total; power *= 2)
        for (uint32_t t = power > 1 ? power - 1 : 1; t <= power + 1; t++) {
            if (t <= total)
                check_threshold(poll, t);
            if (t <= total)
                check_threshold(poll, total + 1 - t);
        }
    for (uint32_t t = total / 2; t <= total / 2 + 2; t++)
        if (t >= 1 && t <= total)
            check_threshold(poll, t);
}

static void check_every_threshold(const struct poll *poll)
{
    const uint32_t total = poll_total(poll);

    for (uint32_t t = 1; t <= total; t++)
        check_threshold(poll, t);
}

static void test_plain_every_threshold(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 40; voters++) {
        poll_make(poll, voters, false, false, voters % 2 == 0);
        check_every_threshold(poll);
    }
}

/* Each count of voters at both ends of the pages: overreads show either way. */
static void test_plain_both_ends_of_pages(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 40; voters++) {
        poll_make(poll, voters, false, false, voters % 2 == 1);
        check_threshold(poll, voters / 2 + 1);
        check_threshold(poll, (voters + 1) / 2);
    }
}

static void test_plain_to_1024(void **state)
{
    struct poll *poll = *state;

    for (uint32_t power = 64; power <= VOTERS_MAX; power *= 2)
        for (uint32_t n = power - 1; n <= power + 1 && n <= VOTERS_MAX; n++) {
            poll_make(poll, n, false, false, n % 2 == 0);
            check_boundaries(poll);
        }
}

static void test_marks_every_threshold(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 20; voters++) {
        poll_make(poll, voters, true, false, voters % 2 == 0);
        check_every_threshold(poll);
    }
}

static void test_marks_to_1024(void **state)
{
    static const uint32_t voters[] = {21,  31,  32,  33,  63,  64,   65,
                                      127, 129, 255, 257, 512, 1023, 1024};
    struct poll *poll = *state;

    for (size_t i = 0; i < sizeof(voters) / sizeof(voters[0]); i++) {
        poll_make(poll, voters[i], true, false, i % 2 == 0);
        check_boundaries(poll);
    }
}

static void test_weights_every_threshold(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 12; voters++)
        for (int marked = 0; marked < 2; marked++) {
            poll_make(poll, voters, marked, true, voters % 2 == 0);
            check_every_threshold(poll);
        }
}

/* 32 voters are what a weighted vote holds at a time. */
static void test_weights_to_1024(void **state)
{
    static const uint32_t voters[] = {13, 31, 32, 33,  63,  64,
                                      65, 96, 97, 255, 512, 1024};
    struct poll *poll = *state;

    for (size_t i = 0; i < sizeof(voters) / sizeof(voters[0]); i++)
        for (int marked = 0; marked < 2; marked++) {
            poll_make(poll, voters[i], marked, true, i % 2 == 0);
            check_boundaries(poll);
        }
}

/* The rows of all voters say minus: no counter may overflow. */
static void check_all_minus(struct poll *poll, uint32_t voters, bool marked,
                            bool weighted)
{
    poll_make(poll, 0, marked, weighted, true);
    poll->voters = voters;
    memset(poll->weights, WEIGHT_MAX, sizeof(poll->weights));
    for (uint32_t v = 0; v < voters; v++) {
        uint64_t *signs = guarded_at(&poll->pages, v, ROW_BYTES, true);
        uint64_t *marks =
            guarded_at(&poll->pages, VOTERS_MAX + v, ROW_BYTES, true);

        memset(signs, 0xff, ROW_BYTES);
        memset(marks, 0xff, ROW_BYTES);
        poll->signs[v] = signs;
        poll->marks[v] = marks;
    }
    for (uint32_t i = 0; i < COORDINATES; i++)
        poll->counts[i] = poll_total(poll);
    check_boundaries(poll);
}

static void test_all_minus_at_capacity(void **state)
{
    struct poll *poll = *state;

    for (uint32_t power = 2; power <= VOTERS_MAX; power *= 2)
        for (uint32_t n = power - 1; n <= power + 1 && n <= VOTERS_MAX; n++)
            check_all_minus(poll, n, false, false);
    check_all_minus(poll, VOTERS_MAX, true, false);
    check_all_minus(poll, VOTERS_MAX, false, true);
    check_all_minus(poll, VOTERS_MAX, true, true);
}

/* Padding: where all say 0, the result is 0. */
static void test_all_plus_gives_zero(void **state)
{
    struct poll *poll = *state;

    for (uint32_t voters = 1; voters <= 40; voters++) {
        poll_make(poll, voters, false, false, true);
        for (uint32_t v = 0; v < voters; v++)
            memset((void *)(uintptr_t)poll->signs[v], 0, ROW_BYTES);
        memset(poll->counts, 0, sizeof(poll->counts));
        check_every_threshold(poll);
    }
}

enum {
    TALL_VOTERS = 70,
    TALL_WORDS = 8 * 64 + 40,
    TALL_BYTES = 8 * TALL_WORDS
};

/* Every table's vote of rows from memory is the portable one. */
static void check_tall(struct vote vote)
{
    static _Alignas(LINE_BYTES) uint64_t results[2][TALL_WORDS];
    static _Alignas(LINE_BYTES) uint64_t ties[2][TALL_WORDS];

    vote.result = results[0];
    vote.ties = ties[0];
    kernels_portable.vote(&vote);
    vote.result = results[1];
    vote.ties = ties[1];
    vote.far = true;
    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        if (!kernels_all[i]->supported())
            continue;
        memset(results[1], 0x5a, TALL_BYTES);
        memset(ties[1], 0x5a, TALL_BYTES);
        kernels_all[i]->vote(&vote);
        assert_memory_equal(results[0], results[1], TALL_BYTES);
        assert_memory_equal(ties[0], ties[1], TALL_BYTES);
    }
}

/* Rows from memory are fetched by tiles; the last one is short. */
static void test_tiles_equal_portable(void **state)
{
    struct guarded pages = guarded_open(2 * TALL_VOTERS, TALL_BYTES);
    const uint64_t *rows[2 * TALL_VOTERS];
    uint8_t weights[TALL_VOTERS];

    (void)state;
    for (uint32_t v = 0; v < 2 * TALL_VOTERS; v++) {
        uint64_t *row = guarded_at(&pages, v, TALL_BYTES, v % 2);

        for (size_t w = 0; w < TALL_WORDS; w++)
            row[w] = random_next(&seed);
        rows[v] = row;
        weights[v % TALL_VOTERS] = (uint8_t)(1 + v * 7 % WEIGHT_MAX);
    }
    for (uint32_t voters = 1, sum = 0; voters <= TALL_VOTERS; voters++) {
        sum += weights[voters - 1];
        for (int kind = 0; kind < 4; kind++) {
            const bool marked = kind & 1, weighted = kind & 2;
            const uint32_t total = weighted ? sum : voters;

            check_tall((struct vote){
                .signs = rows,
                .marks = marked ? rows + TALL_VOTERS : NULL,
                .weights = weighted ? weights : NULL,
                .voters = voters,
                .threshold = (marked ? 2 * total : total) / 2 + 1,
                .words = TALL_WORDS,
            });
        }
    }
    guarded_close(&pages);
}

static int setup(void **state)
{
    static struct poll poll;

    poll_open(&poll);
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
        cmocka_unit_test(test_plain_every_threshold),
        cmocka_unit_test(test_plain_both_ends_of_pages),
        cmocka_unit_test(test_plain_to_1024),
        cmocka_unit_test(test_marks_every_threshold),
        cmocka_unit_test(test_marks_to_1024),
        cmocka_unit_test(test_weights_every_threshold),
        cmocka_unit_test(test_weights_to_1024),
        cmocka_unit_test(test_all_minus_at_capacity),
        cmocka_unit_test(test_all_plus_gives_zero),
        cmocka_unit_test(test_tiles_equal_portable),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
