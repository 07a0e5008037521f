/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow_lies.c - ranks that lie, or have called something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "flow_net.h"

/* ---- Lies ---- */

/* Who takes nothing from the liar has the right result, or is told that the
 * liar has called something else. Everybody else may wait for it. */
static void try_lies(uint64_t seed)
{
    static const uint8_t ops[] = {CALL_BROADCAST, CALL_SCATTER, CALL_GATHER,
                                  CALL_ALL_TO_ALL, CALL_ALL_REDUCE};
    bool lost = false;

    net_open(2 + (uint32_t)(seed % 5), seed * 31 + 7);
    net.liar = net.ranks - 1;
    for (int i = 0; i < 6 && !lost; i++) {
        const struct shape_of_call shape = {
            .op = ops[net_draw() % 5],
            .count = net_draw() % 400,
            .algorithm = net.brief ? FLOW_CHOOSE : FLOW_DIRECT,
        };
        bool from_root = shape.op == CALL_BROADCAST || shape.op == CALL_SCATTER;
        struct flow_call calls[RANKS];
        struct data data[RANKS];

        for (uint32_t r = 0; r < net.ranks; r++) {
            data[r] = data_new(&shape, r);
            calls[r] = data_call(&shape, &data[r]);
        }
        net_begin(calls);
        net_run();
        for (uint32_t r = 0; r < net.ranks; r++) {
            const struct node *n = &net.nodes[r];

            if (r != net.liar && n->differs)
                assert_int_equal(n->difference.rank[1], net.liar);
            if (r != net.liar && n->ended && from_root)
                data_check(&calls[r], r);
            lost |= !n->ended;
        }
        for (uint32_t r = 0; r < net.ranks; r++)
            data_free(&shape, &data[r]);
    }
    net_close();
}

static void test_lies(void **state)
{
    (void)state;
    net.lies = 0;
    for (uint64_t seed = 0; seed < 2000; seed++)
        try_lies(seed);
    assert_true(net.lies > 1000);
}

static void test_brief_lies(void **state)
{
    net.brief = true;
    test_lies(state);
    net.crowded = true;
    test_lies(state);
    net.brief = net.crowded = false;
}

/* ---- What ranks have called ---- */

static void test_differs(void **state)
{
    const struct call ours = {.round = 0, .count = 5, .op = CALL_BROADCAST};
    struct call theirs = ours, recalled;
    struct difference difference;
    struct flow *flow;

    (void)state;
    net_open(2, 1);
    flow = net.nodes[0].flow;
    flow_note(flow, &ours);
    assert_int_equal(flow_noted(flow), 1);
    assert_true(flow_recall(flow, 0, &recalled));
    assert_true(call_equal(&recalled, &ours));
    assert_false(flow_recall(flow, 1, &recalled));
    assert_false(flow_recall(flow, UINT64_MAX, &recalled));
    flow_heard(flow, 1, &theirs);
    assert_false(flow_differs(flow, &difference));
    theirs.round = 9; /* which we have not called: no news */
    theirs.count = 6;
    flow_heard(flow, 1, &theirs);
    assert_false(flow_differs(flow, &difference));
    theirs.round = 0;
    flow_heard(flow, 1, &theirs);
    assert_true(flow_differs(flow, &difference));
    assert_int_equal(difference.rank[0], 0);
    assert_int_equal(difference.rank[1], 1);
    assert_true(call_equal(&difference.call[0], &ours));
    assert_true(call_equal(&difference.call[1], &theirs));
    assert_false(flow_differs(flow, &difference)); /* once */
    /* What was called so long ago is not kept. */
    for (int i = 1; i <= CALLS_KEPT; i++)
        flow_note(flow, &ours);
    assert_false(flow_recall(flow, 0, &recalled));
    net_close();
}

/* A rank skips a call: who waits for it sees a later one, and suspects. */
static void test_suspects(void **state)
{
    struct shape_of_call shape = {.op = CALL_BROADCAST, .count = 3};
    struct rank_mask awaited = {{0}};
    struct flow_call calls[2];
    struct data data[2];

    (void)state;
    net_open(2, 1);
    for (uint32_t r = 0; r < 2; r++) {
        data[r] = data_new(&shape, r);
        calls[r] = data_call(&shape, &data[r]);
        calls[r].context = &net.nodes[r];
        flow_note(net.nodes[r].flow, &calls[r].call);
    }
    /* Rank 0 does not begin number 0 and goes on to number 1. */
    calls[0].call.round = 1;
    flow_note(net.nodes[0].flow, &calls[0].call);
    assert_int_equal(flow_begin(net.nodes[0].flow, 1, &calls[0]), 0);
    assert_int_equal(flow_begin(net.nodes[1].flow, 1, &calls[1]), 0);
    flow_awaited(net.nodes[1].flow, &awaited);
    assert_true(mask_has(&awaited, 0) && mask_count(&awaited) == 1);
    assert_false(flow_suspects(net.nodes[1].flow));
    net_run();
    assert_true(net.nodes[0].ended && !net.nodes[1].ended);
    assert_true(flow_suspects(net.nodes[1].flow));
    assert_false(flow_suspects(net.nodes[1].flow));
    for (uint32_t r = 0; r < 2; r++)
        data_free(&shape, &data[r]);
    net_close();
}

/* Two ranks gather to each other, so both are done when they have sent. What
 * came is of an earlier call than the one that takes it. */
static void test_differs_late(void **state)
{
    struct flow_call calls[2];
    struct data data[2][2];

    (void)state;
    net.brief = true;
    net_open(2, 1);
    for (uint32_t call = 0; call < 2; call++)
        for (uint32_t r = 0; r < 2; r++) {
            struct shape_of_call shape = {.op = CALL_GATHER, .count = 3};
            struct flow *flow = net.nodes[r].flow;

            shape.root = 1 - r;
            if (call == 1)
                shape = (struct shape_of_call){.op = CALL_BARRIER};
            data[call][r] = data_new(&shape, r);
            calls[r] = data_call(&shape, &data[call][r]);
            calls[r].call.round = call;
            calls[r].context = &net.nodes[r];
            flow_note(flow, &calls[r].call);
            assert_int_equal(flow_begin(flow, 1, &calls[r]), 0);
            flow_step(flow, 1);
            assert_int_equal(flow_ended(flow) != NULL, call == 0);
        }
    net_run();
    for (uint32_t r = 0; r < 2; r++) {
        const struct node *n = &net.nodes[r];

        assert_true(n->differs && !n->ended);
        assert_int_equal(n->difference.call[0].op, CALL_GATHER);
        assert_int_equal(n->difference.call[1].op, CALL_GATHER);
        for (uint32_t call = 0; call < 2; call++) {
            free(data[call][r].send);
            free(data[call][r].recv);
        }
    }
    net_close();
    net.brief = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies),         cmocka_unit_test(test_brief_lies),
        cmocka_unit_test(test_differs),      cmocka_unit_test(test_suspects),
        cmocka_unit_test(test_differs_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
