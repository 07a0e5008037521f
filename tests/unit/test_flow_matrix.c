/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_flow_matrix.c - every collective with every op, type, root and count, in
 * place and not, by every algorithm and by brief messages, of 1 to 17 ranks
 * whose messages come in an order that a seed gives.
 *
 * test_flow_matrix [one_of=N] [ranks=FIRST-LAST] [count_max=N] [seed=N]: a
 * sample, or with one_of=1 all of it, which takes hours. What must come out is
 * computed as for the processes of tests/whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../collective/values.h"
#include "../whole/worker_calls.h"
#include "../whole/worker_elements.h"
#include "flow_net.h"

static const uint8_t call_ops[CALLS_KINDS] = {
    [CALLS_ALL_REDUCE] = CALL_ALL_REDUCE,
    [CALLS_REDUCE] = CALL_REDUCE,
    [CALLS_REDUCE_SCATTER] = CALL_REDUCE_SCATTER,
    [CALLS_BROADCAST] = CALL_BROADCAST,
    [CALLS_ALL_GATHER] = CALL_ALL_GATHER,
    [CALLS_GATHER] = CALL_GATHER,
    [CALLS_SCATTER] = CALL_SCATTER,
    [CALLS_ALL_TO_ALL] = CALL_ALL_TO_ALL,
    [CALLS_BARRIER] = CALL_BARRIER,
    [CALLS_SHIFT] = CALL_SEND,
    [CALLS_SENT_ALL] = CALL_SEND,
};

/* What the command line says. */
static struct calls_matrix asked = {
    .count_max = 30011,
    .one_of = 600,
    .rare_above = 100,
    .seed = 1,
};
static uint32_t ranks_first = 1, ranks_last = RANKS;

/* How the calls are made: by that algorithm, or, as ranks of a host choose, by
 * brief messages where these can be. */
enum { WAYS = FLOW_ALGORITHMS + 1 };
static int way;
static uint64_t calls_made;

/* ---- A rank's call, as collectives.c and group.c write it ---- */

static struct flow_message message(const struct call_made *m, int peer,
                                   bool receives, size_t block)
{
    size_t bytes = values_bytes(m->plan.type, m->plan.count);

    return (struct flow_message){
        .peer = (uint32_t)peer,
        .receives = receives,
        .from = receives ? NULL : m->send + block * bytes,
        .to = receives ? m->recv + block * bytes : NULL,
        .bytes = bytes,
        .count = m->plan.count,
        .type = (uint8_t)m->plan.type,
    };
}

static uint32_t write_messages(const struct call_made *m,
                               struct flow_message messages[2 * RANKS])
{
    uint32_t used = 0;

    if (m->plan.kind == CALLS_SHIFT) {
        messages[used++] =
            message(m, (m->rank + m->plan.root) % m->ranks, false, 0);
        messages[used++] =
            message(m, (m->rank + m->ranks - m->plan.root) % m->ranks, true, 0);
        return used;
    }
    for (int r = 0; r < m->ranks; r++) {
        messages[used++] = message(m, r, false, (size_t)r);
        messages[used++] = message(m, r, true, (size_t)r);
    }
    return used;
}

static struct flow_call flow_call_of(const struct call_made *m,
                                     const uint64_t *factor)
{
    const struct call_plan *p = &m->plan;
    uint32_t root = call_has_root(p->kind) ? (uint32_t)p->root : 0;
    uint32_t unit = values_unit(p->type);
    enum ballot_op op = p->op == BALLOT_OPS ? BALLOT_SUM : p->op;
    struct flow_call call = {
        .call = {.count = p->count,
                 .detail = call_detail(root, p->op),
                 .type = (uint8_t)p->type,
                 .op = call_ops[p->kind]},
        .send = m->send,
        .recv = m->recv,
        .count = values_bytes(p->type, p->count) / unit,
        .unit = unit,
        .root = root,
        .average = call_reduces(p->kind) && p->op == BALLOT_AVG,
        .algorithm = net.brief ? FLOW_CHOOSE : (enum flow_algorithm)way,
    };

    if (call_reduces(p->kind))
        call.reduction = values_reduction(&kernels_portable, p->type, op);
    if (call_reduces(p->kind) && p->op == BALLOT_OPS)
        call.factor = factor;
    /* A barrier has no values. */
    if (p->kind == CALLS_BARRIER)
        call.call.count = call.count = 0;
    return call;
}

/* ---- One of the matrix ---- */

static void try_plan(void *context, const struct call_plan *plan)
{
    static struct flow_message messages[RANKS][2 * RANKS];
    struct call_made made[RANKS];
    struct flow_call calls[RANKS];
    uint64_t factors[RANKS];
    char text[96];

    (void)context;
    /* Votes are no flows. */
    if (call_reduces(plan->kind) && plan->op == BALLOT_MAJORITY)
        return;
    for (uint32_t r = 0; r < net.ranks; r++) {
        call_prepare(&made[r], plan, (int)r, (int)net.ranks);
        factors[r] = element_factor(plan->type, (int)r);
        calls[r] = flow_call_of(&made[r], &factors[r]);
        if (calls[r].call.op != CALL_SEND)
            continue;
        calls[r].messages = messages[r];
        calls[r].messages_count = write_messages(&made[r], messages[r]);
    }
    net_begin(calls);
    net_run();
    for (uint32_t r = 0; r < net.ranks; r++) {
        uint64_t wrong;

        if (!net.nodes[r].ended)
            fail_msg("%s way %d: rank %u of %u stands still",
                     call_text(plan, text), way, r, net.ranks);
        wrong = call_wrong(&made[r]);
        if (wrong > 0)
            fail_msg("%s way %d: rank %u of %u has %llu wrong",
                     call_text(plan, text), way, r, net.ranks,
                     (unsigned long long)wrong);
        call_free(&made[r]);
    }
    calls_made++;
}

static void try_ranks(uint32_t ranks, uint64_t seed)
{
    struct calls_matrix matrix = asked;

    matrix.ranks = (int)ranks;
    matrix.seed = mix(seed);
    net_open(ranks, mix(seed + 1));
    calls_every(&matrix, try_plan, NULL);
    for (uint32_t r = 0; r < ranks; r++) {
        struct flow_counts counted;

        flow_count(net.nodes[r].flow, &counted);
        assert_int_equal(counted.dropped, 0);
    }
    net_close();
}

static void test_matrix(void **state)
{
    (void)state;
    for (uint32_t ranks = ranks_first; ranks <= ranks_last; ranks++)
        for (way = 0; way < WAYS; way++) {
            net.brief = way == FLOW_ALGORITHMS;
            try_ranks(ranks, asked.seed * 1000 + ranks * 10 + (uint64_t)way);
        }
    printf("%llu calls, %llu brief messages\n", (unsigned long long)calls_made,
           (unsigned long long)net.briefs);
    assert_true(calls_made > 0);
}

/* ---- The command line ---- */

static bool take(const char *word)
{
    unsigned long long n;
    unsigned first, last;

    if (sscanf(word, "one_of=%llu", &n) == 1 && n > 0)
        asked.one_of = n;
    else if (sscanf(word, "count_max=%llu", &n) == 1)
        asked.count_max = (size_t)n;
    else if (sscanf(word, "seed=%llu", &n) == 1)
        asked.seed = n;
    else if (sscanf(word, "ranks=%u-%u", &first, &last) == 2 && first > 0 &&
             first <= last && last <= RANKS) {
        ranks_first = first;
        ranks_last = last;
    } else {
        return false;
    }
    return true;
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matrix)};

    for (int i = 1; i < count; i++)
        if (!take(words[i])) {
            fprintf(stderr, "test_flow_matrix: what is %s?\n", words[i]);
            return 2;
        }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
