/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verdict_window.c - the degree rule of Aspis+ over rounds: liars lie only
 * in tasks of which they are the majority, where each pair shares one task.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "aspis/agreement.h"
#include "aspis/verdict.h"
#include "guarded.h"

enum {
    REPLICAS = 3,
    BLOCKS_MAX = 35,
    TRIALS = 4000,
    PAPER_LENGTH = 15, /* rounds of a window */
};

struct design {
    uint32_t workers;
    uint32_t blocks;
    uint8_t block[BLOCKS_MAX][REPLICAS];
};

/* Points 1 to 2^m - 1, numbered from 0; blocks are {a, b, a xor b}. */
static struct design projective(uint32_t workers)
{
    struct design design = {.workers = workers};

    for (uint8_t a = 1; a <= workers; a++)
        for (uint8_t b = (uint8_t)(a + 1); b <= workers; b++) {
            const uint8_t block[] = {(uint8_t)(a - 1), (uint8_t)(b - 1),
                                     (uint8_t)((a ^ b) - 1)};

            if ((a ^ b) > b)
                memcpy(design.block[design.blocks++], block, sizeof(block));
        }
    return design;
}

static struct agreement *opened(const struct design *design)
{
    const struct agreement_config config = {.workers = design->workers,
                                            .tasks = design->blocks,
                                            .replicas = REPLICAS};
    struct agreement *agreement;

    assert_int_equal(agreement_open(&agreement, &config), 0);
    return agreement;
}

/* One round in which workers below `liars` lie. */
static void round_of(struct agreement *agreement, const struct design *design,
                     uint32_t liars, bool keep)
{
    agreement_begin(agreement, keep);
    for (uint32_t t = 0; t < design->blocks; t++) {
        const uint8_t *block = design->block[t];
        bool lies[REPLICAS];
        uint32_t count = 0;

        for (uint32_t i = 0; i < REPLICAS; i++)
            count += block[i] < liars;
        for (uint32_t i = 0; i < REPLICAS; i++)
            lies[i] = count > REPLICAS / 2 && block[i] < liars;
        agreement_add(agreement, t, block, 7,
                      (const uint64_t[]){lies[0] != lies[1], lies[0] != lies[2],
                                         lies[1] != lies[2]});
    }
}

static struct verdict judge(struct verdict_window *window,
                            const struct agreement *agreement,
                            uint32_t liars_max)
{
    struct verdict verdict;

    verdict_degrees(&verdict, window, agreement_graph(agreement),
                    agreement_present(agreement), liars_max);
    return verdict;
}

/* The third example of the paper: 7 workers, of whom 1 and 2 lie. Each digit is
 * a worker. */
static void test_example_of_the_paper(void **state)
{
    static const char *const rounds[3][7] = {
        {"123", "147", "246", "345", "257", "156", "367"},
        {"136", "347", "246", "145", "567", "235", "127"},
        {"136", "147", "465", "234", "267", "125", "357"},
    };
    struct design design = {.workers = 7, .blocks = 7};
    struct verdict_window window = {.length = PAPER_LENGTH};
    struct agreement *agreement = opened(&design);

    (void)state;
    for (uint32_t r = 0; r < 3; r++) {
        struct verdict verdict;

        for (uint32_t t = 0; t < 7; t++)
            for (uint32_t i = 0; i < REPLICAS; i++)
                design.block[t][i] = (uint8_t)(rounds[r][t][i] - '1');
        round_of(agreement, &design, 2, !verdict_window_opens(&window));
        verdict = judge(&window, agreement, 2);
        /* Agreement with 5, 4 and 3 others. */
        assert_int_equal(graph_degree(agreement_graph(agreement), 0), r + 1);
        assert_int_equal(graph_degree(agreement_graph(agreement), 1), r + 1);
        assert_int_equal(verdict.byzantine.words[0], r < 2 ? 0 : 3);
        assert_int_equal(verdict.honest.words[0], r < 2 ? 0x7f : 0x7c);
    }
    agreement_close(agreement);
}

static void permute(struct design *drawn, const struct design *design,
                    uint64_t *seed)
{
    uint8_t label[WORKERS_MAX] = {0};

    for (uint32_t w = 0; w < design->workers; w++) {
        const uint32_t other = (uint32_t)(random_next(seed) % (w + 1));

        label[w] = label[other];
        label[other] = (uint8_t)w;
    }
    *drawn = *design;
    for (uint32_t t = 0; t < design->blocks; t++)
        for (uint32_t i = 0; i < REPLICAS; i++)
            drawn->block[t][i] = label[design->block[t][i]];
}

/* Rounds until all liars are accused; `most` if they are not by then. */
static uint32_t detect(struct agreement *agreement, const struct design *design,
                       uint32_t liars, uint32_t most, bool drawn_anew,
                       uint64_t *seed)
{
    struct verdict_window window = {.length = PAPER_LENGTH};

    for (uint32_t r = 1; r < most; r++) {
        struct design drawn = *design;
        struct verdict verdict;

        if (drawn_anew)
            permute(&drawn, design, seed);
        round_of(agreement, &drawn, liars, !verdict_window_opens(&window));
        verdict = judge(&window, agreement, liars);
        for (uint32_t w = liars; w < design->workers; w++)
            assert_false(workers_has(&verdict.byzantine, w));
        if (workers_count(&verdict.byzantine) == liars)
            return r;
    }
    return most;
}

/* Mean rounds to detect all, over 4000 trials. */
static void test_liars_are_found_when_workers_are_drawn_anew(void **state)
{
    static const struct {
        uint32_t workers, liars;
        double rounds;
    } expected[] = {{7, 2, 3.90}, {15, 2, 3.26}, {15, 4, 3.07}, {15, 6, 4.59}};
    uint64_t seed = 1;

    (void)state;
    for (size_t e = 0; e < sizeof(expected) / sizeof(expected[0]); e++) {
        const struct design design = projective(expected[e].workers);
        struct agreement *agreement = opened(&design);
        double sum = 0;

        for (uint32_t i = 0; i < TRIALS; i++)
            sum +=
                detect(agreement, &design, expected[e].liars, 100, true, &seed);
        assert_true(sum / TRIALS > expected[e].rounds - 0.1);
        assert_true(sum / TRIALS < expected[e].rounds + 0.1);
        agreement_close(agreement);
    }
}

static void test_liars_are_never_found_when_they_are_not(void **state)
{
    const struct design design = projective(15);
    struct agreement *agreement = opened(&design);
    uint64_t seed = 1;

    (void)state;
    assert_int_equal(detect(agreement, &design, 2, 500, false, &seed), 500);
    agreement_close(agreement);
}

/* `accuser` disputes with those from `first` on, `count` of them. */
static void accuse(struct agreement *agreement, uint32_t accuser,
                   uint32_t first, uint32_t count)
{
    for (uint32_t w = first; w < first + count; w++)
        agreement_dispute(agreement, accuser, w);
}

static void test_accused_stay_so_until_the_window_ends(void **state)
{
    const struct design design = projective(15);
    struct verdict_window window = {.length = 3};
    struct agreement *agreement = opened(&design);
    struct verdict verdict;

    (void)state;
    for (uint32_t r = 0; r < 4; r++) {
        assert_int_equal(verdict_window_opens(&window), r % 3 == 0);
        agreement_begin(agreement, false);
        if (r == 0)
            accuse(agreement, 0, 5, 3);
        verdict = judge(&window, agreement, 2);
        assert_int_equal(verdict.byzantine.words[0], r < 3);
    }
    agreement_close(agreement);
}

/* The promise is broken: of three the last two stay, and of one round the
 * lowest. Who is absent is not trusted. */
static void test_last_accused_stay_if_there_are_too_many(void **state)
{
    const struct design design = projective(15);
    struct verdict_window window = {.length = PAPER_LENGTH};
    struct agreement *agreement = opened(&design);

    (void)state;
    agreement_absent(agreement, 14);
    accuse(agreement, 3, 5, 3);
    assert_int_equal(judge(&window, agreement, 2).byzantine.words[0], 1 << 3);
    accuse(agreement, 2, 8, 3);
    assert_int_equal(judge(&window, agreement, 2).byzantine.words[0],
                     1 << 3 | 1 << 2);
    accuse(agreement, 1, 11, 3);
    accuse(agreement, 0, 11, 3);
    assert_int_equal(judge(&window, agreement, 2).byzantine.words[0], 3);
    assert_int_equal(judge(&window, agreement, 2).honest.words[0], 0x3ffc);
    agreement_close(agreement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_paper),
        cmocka_unit_test(test_liars_are_found_when_workers_are_drawn_anew),
        cmocka_unit_test(test_liars_are_never_found_when_they_are_not),
        cmocka_unit_test(test_accused_stay_so_until_the_window_ends),
        cmocka_unit_test(test_last_accused_stay_if_there_are_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
