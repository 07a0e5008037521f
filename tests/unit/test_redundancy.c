/* SPDX-License-Identifier: Apache-2.0 */
/* test_redundancy.c - designs in a configuration, plans, signs that are kept.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collective/comm.h"

static int resolve(struct settings *settings, struct ballot_config config,
                   int ranks, char *why)
{
    why[0] = '\0';
    config.servers = BALLOT_SERVERS_ROOT;
    return settings_resolve(settings, &config, ranks, why);
}

static void a_design_has_defaults(void **state)
{
    struct settings settings;
    char why[ERROR_BYTES];

    (void)state;
    assert_int_equal(
        resolve(&settings,
                (struct ballot_config){.design = BALLOT_DESIGN_SUBSETS}, 7,
                why),
        0);
    assert_int_equal(settings.replicas, 3);
    assert_int_equal(settings.liars, 3);
    assert_int_equal(settings.rule, BALLOT_RULE_PROOF);
    assert_int_equal(settings.evidence, BALLOT_EVIDENCE_ROUND);
    assert_int_equal(resolve(&settings, (struct ballot_config){0}, 7, why), 0);
    assert_int_equal(settings.design, BALLOT_DESIGN_NONE);
    assert_int_equal(settings.liars, 0);
}

static void the_environment_names_designs(void **state)
{
    struct settings settings;
    char why[ERROR_BYTES];

    (void)state;
    setenv("BALLOT_DESIGN", "mols", 1);
    setenv("BALLOT_RULE", "paper+", 1);
    setenv("BALLOT_EVIDENCE", "keep", 1);
    setenv("BALLOT_REPLICAS", "5", 1);
    setenv("BALLOT_LIARS", "2", 1);
    assert_int_equal(resolve(&settings, (struct ballot_config){0}, 25, why), 0);
    assert_int_equal(settings.design, BALLOT_DESIGN_MOLS);
    assert_int_equal(settings.rule, BALLOT_RULE_PAPER_PLUS);
    assert_int_equal(settings.evidence, BALLOT_EVIDENCE_KEEP);
    assert_int_equal(settings.replicas, 5);
    assert_int_equal(settings.liars, 2);
    setenv("BALLOT_DESIGN", "triples", 1);
    assert_int_equal(resolve(&settings, (struct ballot_config){0}, 25, why),
                     -EINVAL);
    assert_non_null(strstr(why, "BALLOT_DESIGN=triples: it must be one of: "
                                "none, subsets, sts"));
    unsetenv("BALLOT_DESIGN");
    unsetenv("BALLOT_RULE");
    unsetenv("BALLOT_EVIDENCE");
    unsetenv("BALLOT_REPLICAS");
    unsetenv("BALLOT_LIARS");
}

static void refuse(struct ballot_config config, int ranks, const char *says)
{
    struct settings settings;
    char why[ERROR_BYTES] = "";
    int rc = settings_resolve(&settings, &config, ranks, why);

    if (rc != -EINVAL || strstr(why, says) == NULL)
        fail_msg("%d, \"%s\" where \"%s\" should be said", rc, why, says);
}

static void what_a_design_cannot_have_is_refused(void **state)
{
    static const uint8_t weights[300] = {1, 2, 1, 1, 1, 1, 1};
    const struct ballot_config good = {.design = BALLOT_DESIGN_STS,
                                       .servers = BALLOT_SERVERS_ROOT};
    struct ballot_config bad = good;

    (void)state;
    bad.servers = BALLOT_SERVERS_RANKS;
    refuse(bad, 7, "servers = root");
    bad = good;
    bad.zero = BALLOT_ZERO_ABSTAIN;
    refuse(bad, 7, "zero = plus");
    bad = good;
    bad.weights = weights;
    refuse(bad, 7, "no weights");
    bad = good;
    bad.dissent = 1;
    refuse(bad, 7, "dissent = 0");
    bad = good;
    bad.liars = 4;
    refuse(bad, 7, "less liars than half of the ranks");
    bad = good;
    bad.replicas = 1;
    refuse(bad, 7, "2 replicas");
    refuse(good, 257, "256 ranks at most");
    bad = good;
    bad.replicas = 17;
    refuse(bad, 7, "17 is more than 16");
    bad = good;
    bad.design = BALLOT_DESIGN_MOLS + 1;
    refuse(bad, 7, "out of range");
}

static void a_design_says_for_how_many_it_is(void **state)
{
    struct settings settings;
    struct redundancy *redundancy;
    char why[ERROR_BYTES];

    (void)state;
    resolve(&settings, (struct ballot_config){.design = BALLOT_DESIGN_STS}, 8,
            why);
    assert_int_equal(
        redundancy_open(&redundancy, &settings, 8, kernels_pick(NULL), why),
        -EINVAL);
    assert_memory_equal(why, "design: ", 8);
    assert_true(strlen(why) > 20);
    assert_null(redundancy);
}

/* What rates make of a tolerance, and that a useless one is refused. */
static void flips_become_a_tolerance(void **state)
{
    struct ballot_config config = {.design = BALLOT_DESIGN_STS,
                                   .servers = BALLOT_SERVERS_ROOT,
                                   .flip_rate = 1e-5};
    struct settings settings;
    struct redundancy *redundancy;
    char why[ERROR_BYTES];

    (void)state;
    refuse(config, 7, "step_count");
    setenv("BALLOT_STEP_COUNT", "100000", 1);
    assert_int_equal(resolve(&settings, config, 7, why), 0);
    assert_int_equal(
        redundancy_open(&redundancy, &settings, 7, kernels_pick(NULL), why), 0);
    /* One is expected: P(Poisson(1) >= 15) is 3e-13, and 14 are 4.5e-12. */
    assert_int_equal(settings.tolerance, 15);
    redundancy_close(redundancy);
    setenv("BALLOT_FLIP_RATE", "0.5", 1);
    config.flip_rate = 0;
    assert_int_equal(resolve(&settings, config, 7, why), 0);
    assert_int_equal(
        redundancy_open(&redundancy, &settings, 7, kernels_pick(NULL), why),
        -EINVAL);
    assert_memory_equal(why, "flip_rate: 0.5 is not", 21);
    /* Of few coordinates half are no more than honest ones may differ in. */
    setenv("BALLOT_FLIP_RATE", "0.1", 1);
    setenv("BALLOT_STEP_COUNT", "10", 1);
    assert_int_equal(resolve(&settings, config, 7, why), 0);
    assert_int_equal(
        redundancy_open(&redundancy, &settings, 7, kernels_pick(NULL), why),
        -EINVAL);
    assert_memory_equal(why, "flip_rate: ", 11);
    setenv("BALLOT_FLIP_RATE", "much", 1);
    refuse(config, 7, "BALLOT_FLIP_RATE=much");
    unsetenv("BALLOT_FLIP_RATE");
    unsetenv("BALLOT_STEP_COUNT");
}

/* All tasks of all workers together: at most 1 MiB a chunk, if it can be. */
static void chunks_are_short_enough(void **state)
{
    static const struct {
        enum ballot_design design;
        int ranks;
        uint32_t chunk, wanted;
    } cases[] = {
        {BALLOT_DESIGN_STS, 15, 0, (1 << 20) / 64 / (15 * 7) * 512},
        {BALLOT_DESIGN_SUBSETS, 15, 0, (1 << 20) / 64 / (15 * 91) * 512},
        {BALLOT_DESIGN_SUBSETS, 15, 512, 512},
        {BALLOT_DESIGN_SUBSETS, 50, 0, 512},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings settings;
        struct redundancy *redundancy;
        char why[ERROR_BYTES];

        assert_int_equal(resolve(&settings,
                                 (struct ballot_config){
                                     .design = cases[i].design,
                                     .chunk = cases[i].chunk,
                                 },
                                 cases[i].ranks, why),
                         0);
        assert_int_equal(redundancy_open(&redundancy, &settings,
                                         (uint32_t)cases[i].ranks,
                                         kernels_pick(NULL), why),
                         0);
        assert_int_equal(settings.chunk, cases[i].wanted);
        redundancy_close(redundancy);
    }
}

/* Ranks ask for the same step in any order, and each task has the workers that
 * say they have it. */
static void plans_of_a_step_fit_together(void **state)
{
    enum { RANKS = 7, LOAD = 3, TASKS = 7 };
    struct settings settings;
    struct ballot_comm comms[RANKS] = {0};
    uint32_t tasks[RANKS][LOAD];
    char why[ERROR_BYTES];

    (void)state;
    resolve(&settings,
            (struct ballot_config){.design = BALLOT_DESIGN_STS, .seed = 5},
            RANKS, why);
    for (uint32_t r = 0; r < RANKS; r++) {
        comms[r].rank = r;
        assert_int_equal(redundancy_open(&comms[r].redundancy, &settings, RANKS,
                                         kernels_pick(NULL), why),
                         0);
        for (uint32_t before = 0; before < r; before++)
            assert_int_equal(
                ballot_aspis_plan(&comms[r], 100 + before, tasks[r]), 0);
        assert_int_equal(ballot_aspis_plan(&comms[r], 3, tasks[r]), 0);
    }
    for (uint32_t t = 0; t < TASKS; t++) {
        int workers[3];

        assert_int_equal(ballot_aspis_workers(&comms[t], 3, t, workers), 0);
        for (int r = 0, at = 0; r < RANKS; r++) {
            bool has = false;

            for (uint32_t i = 0; i < LOAD; i++)
                has |= tasks[r][i] == t;
            if (has) {
                assert_true(at < 3);
                assert_int_equal(workers[at++], r);
            }
        }
    }
    for (uint32_t r = 0; r < RANKS; r++)
        redundancy_close(comms[r].redundancy);
}

/* Words that are not aligned to lines, and no more of them than there are. */
static void packed_signs_come_back(void **state)
{
    static const size_t counts[] = {0, 1, 63, 64, 65, 32768, 32769, 70001};

    (void)state;
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        size_t count = counts[c], words = (count + 63) / 64;
        float *values = malloc((count + 1) * sizeof(*values));
        float *back = malloc((count + 1) * sizeof(*back));
        uint64_t *signs = malloc((words + 1) * sizeof(*signs));

        for (size_t i = 0; i < count; i++)
            values[i] = i * i % 7 < 3 ? -2.0f : 0.0f;
        signs[words] = 0x1234;
        assert_int_equal(ballot_pack(signs, values, count, BALLOT_FLOAT32), 0);
        assert_int_equal(signs[words], 0x1234);
        for (size_t i = 0; i < 64 * words; i++)
            assert_int_equal(signs[i / 64] >> i % 64 & 1,
                             i < count && values[i] < 0);
        back[count] = 77;
        assert_int_equal(ballot_unpack(back, signs, count, BALLOT_FLOAT32), 0);
        for (size_t i = 0; i < count; i++)
            assert_true(back[i] == (values[i] < 0 ? -1.0f : 1.0f));
        assert_true(back[count] == 77);
        free(signs);
        free(back);
        free(values);
    }
    assert_int_equal(ballot_pack(NULL, NULL, 1, BALLOT_FLOAT32), -EINVAL);
    assert_int_equal(ballot_unpack(NULL, NULL, 0, BALLOT_INT8), -EINVAL);
    assert_string_equal(ballot_last_error(NULL),
                        "unpack: type 5 has no signs: floats have, and signs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_design_has_defaults),
        cmocka_unit_test(the_environment_names_designs),
        cmocka_unit_test(what_a_design_cannot_have_is_refused),
        cmocka_unit_test(a_design_says_for_how_many_it_is),
        cmocka_unit_test(flips_become_a_tolerance),
        cmocka_unit_test(chunks_are_short_enough),
        cmocka_unit_test(plans_of_a_step_fit_together),
        cmocka_unit_test(packed_signs_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
