/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow.c - every collective by every algorithm, and exchanges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "flow_net.h"

static void try_call(const struct shape_of_call *shape)
{
    struct flow_call calls[RANKS];
    struct data data[RANKS];

    for (uint32_t r = 0; r < net.ranks; r++) {
        data[r] = data_new(shape, r);
        calls[r] = data_call(shape, &data[r]);
    }
    net_begin(calls);
    net_run();
    for (uint32_t r = 0; r < net.ranks; r++) {
        if (!net.nodes[r].ended)
            fail_msg("op %d algorithm %d ranks %u count %zu root %u: rank %u "
                     "stands still",
                     shape->op, (int)shape->algorithm, net.ranks, shape->count,
                     shape->root, r);
        data_check(&calls[r], r);
        data_free(shape, &data[r]);
    }
}

static void try_ranks(uint32_t ranks)
{
    /* One fragment is 32 floats, a window 256. */
    static const size_t counts[] = {0, 1, 31, 33, 300, 701};

    net_open(ranks, ranks);
    for (int op = CALL_ALL_REDUCE; op <= CALL_BARRIER; op++)
        for (int a = 0; a < FLOW_ALGORITHMS; a++)
            for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
                struct shape_of_call shape = {
                    .op = (uint8_t)op,
                    .algorithm = (enum flow_algorithm)a,
                    .count = counts[c],
                    .root = (uint32_t)(net_draw() % ranks),
                    .in_place = net_draw() % 2,
                };

                /* Many ranks with long vectors are for a few. */
                if (ranks > 9 && counts[c] > 33 && net_draw() % 6 != 0)
                    continue;
                if (op != CALL_REDUCE && op != CALL_BROADCAST &&
                    op != CALL_GATHER && op != CALL_SCATTER)
                    shape.root = 0;
                try_call(&shape);
            }
    for (uint32_t r = 0; r < ranks; r++) {
        struct flow_counts counted;

        flow_count(net.nodes[r].flow, &counted);
        assert_int_equal(counted.dropped, 0);
    }
    net_close();
}

static void test_collectives(void **state)
{
    (void)state;
    net.apart = net.held = net.shared = 0;
    for (uint32_t ranks = 1; ranks <= RANKS; ranks++)
        try_ranks(ranks);
    assert_true(net.apart > 1000 && net.held > 1000 && net.shared > 1000);
}

/* Small calls by brief messages, among larger ones that are not; their bits are
 * those of all other algorithms. */
static void test_brief(void **state)
{
    static const size_t counts[] = {0, 1, 31, 300, 512, 513};

    (void)state;
    net.brief = true;
    net.briefs = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        net.crowded = seed / RANKS % 2 != 0;
        net_open(1 + (uint32_t)(seed % RANKS), seed + 77);
        for (int i = 0; i < 12; i++) {
            struct shape_of_call shape = {
                .op = (uint8_t)(CALL_ALL_REDUCE +
                                net_draw() %
                                    (CALL_BARRIER - CALL_ALL_REDUCE + 1)),
                .count = counts[net_draw() % (net.ranks > 6 ? 4 : 6)],
                .root = (uint32_t)(net_draw() % net.ranks),
                .in_place = net_draw() % 2,
            };

            if (shape.op != CALL_REDUCE && shape.op != CALL_BROADCAST &&
                shape.op != CALL_GATHER && shape.op != CALL_SCATTER)
                shape.root = 0;
            try_call(&shape);
        }
        for (uint32_t r = 0; r < net.ranks; r++) {
            struct flow_counts counted;

            flow_count(net.nodes[r].flow, &counted);
            assert_int_equal(counted.dropped, 0);
        }
        net_close();
    }
    net.brief = net.crowded = false;
    assert_true(net.briefs > 10000);
}

/* ---- Ends before the end ---- */

/* A flow that is abandoned reads and writes its buffers no more, though what it
 * has put and what is put for it goes on. */
static void test_abandoned(void **state)
{
    const struct shape_of_call shape = {.op = CALL_ALL_TO_ALL, .count = 300};

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct flow_call calls[RANKS];
        struct data data[RANKS];

        net_open(2 + (uint32_t)(seed % 3), seed);
        for (uint32_t r = 0; r < net.ranks; r++) {
            data[r] = data_new(&shape, r);
            calls[r] = data_call(&shape, &data[r]);
        }
        net_begin(calls);
        for (uint64_t steps = net_draw() % 60; steps > 0; steps--) {
            net_deliver((uint32_t)(net_draw() % net.ranks),
                        (uint32_t)(net_draw() % net.ranks));
            flow_step(net.nodes[net_draw() % net.ranks].flow, 1);
        }
        for (uint32_t r = 0; r < net.ranks; r++) {
            flow_abandon(net.nodes[r].flow);
            data_free(&shape, &data[r]);
        }
        net_run();
        net_close();
    }
}

/* ---- Exchanges ---- */

/* Every rank sends to some, itself included, and they receive: several to the
 * same one, of different lengths. */
static void test_exchanges(void **state)
{
    enum { MESSAGES = 24, FLOATS = 400 };
    static float sent[RANKS][MESSAGES][FLOATS], got[RANKS][MESSAGES][FLOATS];

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct flow_message messages[RANKS][2 * MESSAGES];
        struct flow_call calls[RANKS];
        uint32_t used[RANKS] = {0}, peers[MESSAGES][2];
        size_t lengths[MESSAGES];
        uint32_t count;

        net_open(1 + (uint32_t)(seed % 9), seed + 1000);
        count = (uint32_t)(net_draw() % MESSAGES);
        for (uint32_t m = 0; m < count; m++) {
            uint32_t from = (uint32_t)(net_draw() % net.ranks);
            uint32_t to = (uint32_t)(net_draw() % net.ranks);

            lengths[m] = net_draw() % FLOATS;
            peers[m][0] = from;
            peers[m][1] = to;
            for (size_t i = 0; i < lengths[m]; i++)
                sent[from][m][i] = data_given(from, i + m);
            messages[from][used[from]++] = (struct flow_message){
                .peer = to,
                .from = sent[from][m],
                .bytes = lengths[m] * sizeof(float),
                .count = lengths[m],
            };
            messages[to][used[to]++] = (struct flow_message){
                .peer = from,
                .receives = true,
                .to = got[to][m],
                .bytes = lengths[m] * sizeof(float),
                .count = lengths[m],
            };
        }
        for (uint32_t r = 0; r < net.ranks; r++)
            calls[r] = (struct flow_call){
                .call = {.op = CALL_SEND},
                .messages = messages[r],
                .messages_count = used[r],
            };
        net_begin(calls);
        net_run();
        for (uint32_t r = 0; r < net.ranks; r++)
            assert_true(net.nodes[r].ended);
        for (uint32_t m = 0; m < count; m++)
            assert_memory_equal(got[peers[m][1]][m], sent[peers[m][0]][m],
                                lengths[m] * sizeof(float));
        net_close();
    }
}

/* The first call of all is called while an exchange is under way, and its
 * message comes before it can begin. */
static void test_early_for_exchange(void **state)
{
    const struct shape_of_call shape = {.op = CALL_BROADCAST, .count = 3};
    struct flow_call broadcast[2], exchange[2];
    struct data data[2];
    float sent = 5, got = 0;
    struct flow_message messages[2] = {
        {.peer = 0, .receives = true, .to = &got, .bytes = 4, .count = 1},
        {.peer = 1, .from = &sent, .bytes = 4, .count = 1},
    };

    (void)state;
    net_open(2, 5);
    for (uint32_t r = 0; r < 2; r++) {
        data[r] = data_new(&shape, r);
        broadcast[r] = data_call(&shape, &data[r]);
        broadcast[r].context = exchange[r].context = &net.nodes[r];
        exchange[r] = (struct flow_call){
            .call = {.op = CALL_SEND},
            .messages = &messages[1 - r],
            .messages_count = 1,
            .context = &net.nodes[r],
        };
        flow_note(net.nodes[r].flow, &broadcast[r].call);
    }
    /* Rank 1 has begun to receive when both messages come. */
    assert_int_equal(flow_begin(net.nodes[0].flow, 1, &exchange[0]), 0);
    while (flow_ended(net.nodes[0].flow) == NULL)
        flow_step(net.nodes[0].flow, 1);
    assert_int_equal(flow_begin(net.nodes[0].flow, 1, &broadcast[0]), 0);
    while (flow_ended(net.nodes[0].flow) == NULL)
        flow_step(net.nodes[0].flow, 1);
    assert_int_equal(flow_begin(net.nodes[1].flow, 1, &exchange[1]), 0);
    while (net_deliver(0, 1))
        continue;
    while (flow_ended(net.nodes[1].flow) == NULL)
        assert_true(flow_step(net.nodes[1].flow, 1) > 0);
    assert_int_equal(flow_begin(net.nodes[1].flow, 1, &broadcast[1]), 0);
    net_run();
    assert_true(net.nodes[1].ended);
    assert_true(got == sent);
    data_check(&broadcast[1], 1);
    for (uint32_t r = 0; r < 2; r++)
        data_free(&shape, &data[r]);
    net_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collectives),
        cmocka_unit_test(test_brief),
        cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_early_for_exchange),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
