/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_vote_sweep.c - every count of voters to 300 with every threshold, and
 * rows of every length to 70 lines.
 *
 * What makes so many affordable: voters come one after the other, so each costs
 * one addition a coordinate, and coordinates are sorted by their counter, so
 * the next threshold's result is this one's without those that are equal to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "aggregate/kernels.h"
#include "guarded.h"

enum {
    VOTERS = 300,
    LINES = 70, /* longer than what kernels take at a time */
    ROW_WORDS = LINES * LINE_WORDS,
    ROW_BYTES = LINES * LINE_BYTES,
    TOTAL_MAX = 2 * WEIGHT_MAX * VOTERS,
    AREA_RESULT = 2 * VOTERS,
    AREA_TIES,
    AREAS,
};

/* Where all is slow, one question of so many is enough. */
#if defined(__OPTIMIZE__) && !ADDRESSES_CHECKED && !THREADS_CHECKED
enum { STRIDE = 1 };
#else
enum { STRIDE = 11 };
#endif

/* Rows that end at forbidden pages; of a short one, the last lines. */
struct poll {
    struct guarded pages; /* signs, marks, result, ties */
    uint64_t *signs[VOTERS], *marks[VOTERS];
    uint8_t weights[VOTERS];
    uint32_t counters[ROW_WORDS * 64];
    uint32_t voters;
    uint32_t total; /* the largest that a counter can be */
    bool marked, weighted;
    /* Of the last line, by the value of the counter. */
    uint64_t sorted[TOTAL_MAX + 1][LINE_WORDS];
};

/* What is asked of a kernel and what it should say, for the last lines. */
struct question {
    uint32_t threshold;
    size_t lines;
    bool tied, dissenting;
    const uint64_t *result, *ties; /* expected */
};

static uint64_t seed = 1;

static uint64_t *row_of(const struct poll *poll, size_t area)
{
    return guarded_at(&poll->pages, area, ROW_BYTES, true);
}

static void poll_start(struct poll *poll, bool marked, bool weighted)
{
    memset(poll->counters, 0, sizeof(poll->counters));
    poll->voters = 0;
    poll->total = 0;
    poll->marked = marked;
    poll->weighted = weighted;
}

/* Small weights, so that there are few thresholds, and some of the largest. */
static uint32_t draw_weight(uint32_t voter)
{
    const uint32_t random = (uint32_t)(random_next(&seed) >> 32);

    return voter % 32 == 5 ? WEIGHT_MAX : 1 + random % 3;
}

/* One voter more, of which the last `lines` are drawn. */
static void poll_add(struct poll *poll, size_t lines)
{
    const uint32_t v = poll->voters++;
    const uint32_t weight = poll->weighted ? draw_weight(v) : 1;
    uint64_t *signs = row_of(poll, v);
    uint64_t *marks = row_of(poll, VOTERS + v);

    poll->signs[v] = signs;
    poll->marks[v] = marks;
    poll->weights[v] = (uint8_t)weight;
    poll->total += poll->marked ? 2 * weight : weight;
    for (size_t w = ROW_WORDS - lines * LINE_WORDS; w < ROW_WORDS; w++) {
        signs[w] = random_next(&seed);
        marks[w] = random_next(&seed) | random_next(&seed);
        for (uint32_t bit = 0; bit < 64; bit++) {
            const uint32_t minus = signs[w] >> bit & 1;
            const uint32_t marked = marks[w] >> bit & 1;

            if (poll->marked)
                poll->counters[64 * w + bit] +=
                    weight * (marked != 0 ? 2 * minus : 1);
            else
                poll->counters[64 * w + bit] += weight * minus;
        }
    }
}

static void check_dissent(const struct poll *poll, const char *name,
                          const struct question *q, const uint64_t *dissent)
{
    const size_t first = ROW_WORDS - q->lines * LINE_WORDS;

    for (uint32_t v = 0; v < poll->voters; v++) {
        uint64_t wanted = 0;

        for (size_t w = 0; w < q->lines * LINE_WORDS; w++) {
            uint64_t differ = poll->signs[v][first + w] ^ q->result[w];

            if (q->tied)
                differ &= ~q->ties[w];
            if (poll->marked)
                differ &= poll->marks[v][first + w];
            wanted += (uint64_t)__builtin_popcountll(differ);
        }
        if (dissent[v] != wanted)
            fail_msg("%s: dissent of voter %u of %u, threshold %u%s%s", name, v,
                     poll->voters, q->threshold, poll->marked ? ", marks" : "",
                     poll->weighted ? ", weights" : "");
    }
}

static void ask(const struct poll *poll, const struct kernels *k,
                const struct question *q)
{
    const size_t first = ROW_WORDS - q->lines * LINE_WORDS;
    const uint64_t *signs[VOTERS], *marks[VOTERS];
    uint64_t dissent[VOTERS] = {0};
    const struct vote vote = {
        .result = row_of(poll, AREA_RESULT) + first,
        .ties = q->tied ? row_of(poll, AREA_TIES) + first : NULL,
        .signs = signs,
        .marks = poll->marked ? marks : NULL,
        .weights = poll->weighted ? poll->weights : NULL,
        .dissent = q->dissenting ? dissent : NULL,
        .voters = poll->voters,
        .threshold = q->threshold,
        .words = q->lines * LINE_WORDS,
        .coordinates = q->lines * LINE_COORDINATES,
    };

    for (uint32_t v = 0; v < poll->voters; v++) {
        signs[v] = poll->signs[v] + first;
        marks[v] = poll->marks[v] + first;
    }
    vote.result[0] = ~q->result[0];
    k->vote(&vote);
    if (memcmp(vote.result, q->result, 8 * vote.words) != 0)
        fail_msg("%s: result of %u voters, threshold %u of %u, %zu lines%s%s%s",
                 k->name, poll->voters, q->threshold, poll->total, q->lines,
                 q->tied ? ", ties" : "", poll->marked ? ", marks" : "",
                 poll->weighted ? ", weights" : "");
    if (q->tied && memcmp(vote.ties, q->ties, 8 * vote.words) != 0)
        fail_msg("%s: ties of %u voters, threshold %u of %u, %zu lines%s%s",
                 k->name, poll->voters, q->threshold, poll->total, q->lines,
                 poll->marked ? ", marks" : "",
                 poll->weighted ? ", weights" : "");
    if (q->dissenting)
        check_dissent(poll, k->name, q, dissent);
}

static void ask_all(const struct poll *poll, const struct question *question)
{
    for (size_t i = 0; kernels_all[i] != NULL; i++)
        if (kernels_all[i]->supported())
            ask(poll, kernels_all[i], question);
}

/* ---- Every threshold, on one line ---- */

static void sort_counters(struct poll *poll)
{
    const size_t first = ROW_WORDS - LINE_WORDS;

    memset(poll->sorted, 0, (poll->total + 1) * sizeof(poll->sorted[0]));
    for (size_t w = 0; w < LINE_WORDS; w++)
        for (uint32_t bit = 0; bit < 64; bit++) {
            const uint32_t counter = poll->counters[64 * (first + w) + bit];

            poll->sorted[counter][w] |= 1ull << bit;
        }
}

/* In turn without anything else, with ties, with dissent; with `all`, each of
 * these for every threshold. */
static void ask_every_threshold(struct poll *poll, bool all)
{
    uint64_t result[LINE_WORDS];
    struct question q = {.lines = 1, .result = result};

    sort_counters(poll);
    memset(result, 0xff, sizeof(result));
    for (uint32_t t = 1; t <= poll->total; t++) {
        q.threshold = t;
        q.ties = poll->sorted[t - 1];
        for (size_t w = 0; w < LINE_WORDS; w++)
            result[w] &= ~q.ties[w];
        for (uint32_t mode = 0; mode < 4; mode++) {
            q.tied = mode & 1;
            q.dissenting = mode & 2;
            if ((all || mode == t % 4) && (t + poll->voters) % STRIDE == 0)
                ask_all(poll, &q);
        }
    }
}

static void check_thresholds(struct poll *poll, bool marked, bool weighted)
{
    poll_start(poll, marked, weighted);
    while (poll->voters < VOTERS) {
        poll_add(poll, 1);
        ask_every_threshold(poll, !marked && !weighted);
    }
}

static void test_every_threshold(void **state)
{
    check_thresholds(*state, false, false);
}

static void test_every_threshold_with_marks(void **state)
{
    check_thresholds(*state, true, false);
}

static void test_every_threshold_with_weights(void **state)
{
    check_thresholds(*state, false, true);
}

static void test_every_threshold_with_both(void **state)
{
    check_thresholds(*state, true, true);
}

/* ---- Every length ---- */

static void ask_every_length(struct poll *poll)
{
    static uint64_t result[ROW_WORDS], ties[ROW_WORDS];
    struct question q = {.threshold = poll->total / 2 + 1};

    memset(result, 0, sizeof(result));
    memset(ties, 0, sizeof(ties));
    for (uint32_t i = 0; i < 64 * ROW_WORDS; i++) {
        const uint32_t counter = poll->counters[i];

        result[i / 64] |= (uint64_t)(counter >= q.threshold) << i % 64;
        ties[i / 64] |= (uint64_t)(counter == q.threshold - 1) << i % 64;
    }
    /* Of two counts of voters, one has the odd lengths. */
    for (size_t lines = 1 + poll->voters / 2 % 2; lines <= LINES; lines += 2) {
        const uint32_t mode = (uint32_t)lines / 2 + poll->voters;

        q.lines = lines;
        q.tied = mode % 2 == 0;
        q.dissenting = mode % 3 == 0;
        q.result = result + ROW_WORDS - lines * LINE_WORDS;
        q.ties = ties + ROW_WORDS - lines * LINE_WORDS;
        if (mode % STRIDE == 0)
            ask_all(poll, &q);
    }
}

static void test_every_length(void **state)
{
    struct poll *poll = *state;

    for (uint32_t variant = 0; variant < 4; variant++) {
        poll_start(poll, variant & 1, variant & 2);
        while (poll->voters < VOTERS) {
            poll_add(poll, LINES);
            if (poll->voters <= 40 || poll->voters % 32 <= 1 ||
                poll->voters % 32 == 31 || poll->voters == VOTERS)
                ask_every_length(poll);
        }
    }
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
        cmocka_unit_test(test_every_threshold),
        cmocka_unit_test(test_every_threshold_with_marks),
        cmocka_unit_test(test_every_threshold_with_weights),
        cmocka_unit_test(test_every_threshold_with_both),
        cmocka_unit_test(test_every_length),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
