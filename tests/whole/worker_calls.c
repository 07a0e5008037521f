/* SPDX-License-Identifier: Apache-2.0 */
/* worker_calls.c - makes any call and computes what must come out of it. */
#include "worker_calls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker_elements.h"

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

static const struct {
    const char *name;
    bool reduces, has_root;
    bool sends_all, receives_all; /* a block for each rank, or one */
} kinds[CALLS_KINDS] = {
    [CALLS_ALL_REDUCE] = {"all_reduce", true, false, false, false},
    [CALLS_REDUCE] = {"reduce", true, true, false, false},
    [CALLS_REDUCE_SCATTER] = {"reduce_scatter", true, false, true, false},
    [CALLS_BROADCAST] = {"broadcast", false, true, false, false},
    [CALLS_ALL_GATHER] = {"all_gather", false, false, false, true},
    [CALLS_GATHER] = {"gather", false, true, false, true},
    [CALLS_SCATTER] = {"scatter", false, true, true, false},
    [CALLS_ALL_TO_ALL] = {"all_to_all", false, false, true, true},
    [CALLS_BARRIER] = {"barrier", false, false, false, false},
    [CALLS_VOTE] = {"vote", false, false, false, false},
    [CALLS_SHIFT] = {"shift", false, false, false, false},
    [CALLS_SENT_ALL] = {"sent_all", false, false, true, true},
};

bool call_reduces(enum call_kind kind)
{
    return kinds[kind].reduces;
}

bool call_has_root(enum call_kind kind)
{
    return kinds[kind].has_root;
}

bool call_folds(enum ballot_type type, enum ballot_op op)
{
    bool bitwise = op >= BALLOT_BIT_AND && op < BALLOT_OPS;

    if (op == BALLOT_MAJORITY)
        return type < BALLOT_VOTE_TYPES;
    if (type == BALLOT_SIGNS)
        return bitwise;
    return !bitwise || type > BALLOT_SIGNS;
}

const char *call_text(const struct call_plan *plan, char text[96])
{
    snprintf(text, 96, "%s:type%d:op%d:count%zu:root%d:%s",
             kinds[plan->kind].name, (int)plan->type, (int)plan->op,
             plan->count, plan->root, plan->in_place ? "in_place" : "apart");
    return text;
}

struct call_plan call_any(uint64_t random, int ranks, size_t count_end)
{
    struct call_plan plan = {
        .kind = (enum call_kind)(mix(random) % CALLS_KINDS),
        .type = (enum ballot_type)(mix(random + 1) % BALLOT_TYPES),
        .op = (enum ballot_op)(mix(random + 2) % (BALLOT_OPS + 1)),
        .count = mix(random + 3) % count_end,
        .root = (int)(mix(random + 4) % (uint64_t)ranks),
        .in_place = mix(random + 5) % 2,
        .seed = mix(random + 6),
    };

    if (plan.kind == CALLS_VOTE)
        plan.type = BALLOT_FLOAT32;
    if (!call_reduces(plan.kind) || !call_folds(plan.type, plan.op)) {
        plan.op = BALLOT_SUM;
        if (call_reduces(plan.kind) && plan.type == BALLOT_SIGNS)
            plan.type = BALLOT_INT16;
    }
    return plan;
}

/* ---- Buffers ---- */

static bool is_root(const struct call_made *m)
{
    return m->rank == m->plan.root;
}

static size_t block_elements(const struct call_made *m)
{
    return element_count(m->plan.type, m->plan.count);
}

static size_t block_bytes(const struct call_made *m)
{
    return block_elements(m) * element_bytes(m->plan.type);
}

/* Blocks that this rank gives, or gets: what it has no use for is NULL. */
static size_t given_blocks(const struct call_made *m)
{
    enum call_kind kind = m->plan.kind;

    if (kind == CALLS_BARRIER ||
        ((kind == CALLS_BROADCAST || kind == CALLS_SCATTER) && !is_root(m)))
        return 0;
    return kinds[kind].sends_all ? (size_t)m->ranks : 1;
}

static size_t gotten_blocks(const struct call_made *m)
{
    enum call_kind kind = m->plan.kind;

    if (kind == CALLS_BARRIER ||
        ((kind == CALLS_REDUCE || kind == CALLS_GATHER) && !is_root(m)))
        return 0;
    return kinds[kind].receives_all ? (size_t)m->ranks : 1;
}

static uint8_t *guarded(struct call_made *m, int which, size_t blocks)
{
    size_t bytes = blocks * block_bytes(m);
    uint8_t *memory = need_memory(bytes + (size_t)2 * GUARD);

    memset(memory, GUARD_BYTE, bytes + (size_t)2 * GUARD);
    m->blocks[which] = memory;
    m->bytes[which] = bytes;
    return memory + GUARD;
}

/* As the comments in ballot_collectives.h say where one buffer is in the
 * other. */
static void place(struct call_made *m)
{
    size_t given = given_blocks(m), gotten = gotten_blocks(m);
    size_t own = (size_t)m->rank * block_bytes(m);

    if (!m->plan.in_place || given == 0 || gotten == 0) {
        m->send = given > 0 ? guarded(m, 0, given) : NULL;
        m->recv = gotten > 0 ? guarded(m, 1, gotten) : NULL;
    } else if (given > gotten) {
        m->send = guarded(m, 0, given);
        m->recv = m->send + own;
    } else {
        m->recv = guarded(m, 1, gotten);
        m->send = m->recv + (gotten > given ? own : 0);
    }
}

static uint64_t given(const struct call_made *m, int rank, size_t i)
{
    return element_given(m->plan.type, m->plan.op, m->plan.seed, rank, i);
}

static void fill(const struct call_made *m)
{
    size_t width = element_bytes(m->plan.type);
    size_t elements = given_blocks(m) * block_elements(m);

    for (size_t i = 0; i < elements; i++) {
        uint64_t bits = given(m, m->rank, i);

        memcpy(m->send + i * width, &bits, width);
    }
}

void call_prepare(struct call_made *made, const struct call_plan *plan,
                  int rank, int ranks)
{
    *made = (struct call_made){.plan = *plan, .rank = rank, .ranks = ranks};
    if (plan->kind == CALLS_SHIFT || plan->kind == CALLS_SENT_ALL)
        made->plan.in_place = false;
    place(made);
    fill(made);
}

/* ---- Calls ---- */

static int exchange(struct call_made *m, struct ballot_comm *comm, int to,
                    const uint8_t *send, int from, uint8_t *recv,
                    struct ballot_request **requests)
{
    const struct call_plan *p = &m->plan;
    int rc = ballot_send(send, p->count, p->type, to, comm,
                         requests == NULL ? NULL : &requests[0]);
    int rc_recv = ballot_recv(recv, p->count, p->type, from, comm,
                              requests == NULL ? NULL : &requests[1]);

    return rc < 0 ? rc : rc_recv;
}

static int shift(struct call_made *m, struct ballot_comm *comm, bool waits)
{
    int to = (m->rank + m->plan.root) % m->ranks;
    int from = (m->rank + m->ranks - m->plan.root) % m->ranks;
    int rc, rc_end;

    ballot_group_start();
    rc = exchange(m, comm, to, m->send, from, m->recv,
                  waits ? NULL : m->requests);
    rc_end = ballot_group_end();
    return rc < 0 ? rc : rc_end;
}

static int sent_all(struct call_made *m, struct ballot_comm *comm)
{
    size_t bytes = block_bytes(m);
    int first = 0, rc;

    ballot_group_start();
    for (int r = 0; r < m->ranks && first == 0; r++)
        first = exchange(m, comm, r, m->send + (size_t)r * bytes, r,
                         m->recv + (size_t)r * bytes, NULL);
    rc = ballot_group_end();
    return first < 0 ? first : rc;
}

static int make_op(struct call_made *m, struct ballot_comm *comm)
{
    uint64_t factor = element_factor(m->plan.type, m->rank);

    m->made = m->plan.op;
    if (!call_reduces(m->plan.kind) || m->plan.op != BALLOT_OPS)
        return 0;
    return ballot_op_create_premul_sum(&m->made, &factor, m->plan.type, comm);
}

static int make(struct call_made *m, struct ballot_comm *comm, bool waits)
{
    const struct call_plan *p = &m->plan;
    struct ballot_request **request = waits ? NULL : &m->requests[0];

    switch (p->kind) {
    case CALLS_ALL_REDUCE:
        return ballot_all_reduce(m->send, m->recv, p->count, p->type, m->made,
                                 comm, request);
    case CALLS_REDUCE:
        return ballot_reduce(m->send, m->recv, p->count, p->type, m->made,
                             p->root, comm, request);
    case CALLS_REDUCE_SCATTER:
        return ballot_reduce_scatter(m->send, m->recv, p->count, p->type,
                                     m->made, comm, request);
    case CALLS_BROADCAST:
        return ballot_broadcast(m->send, m->recv, p->count, p->type, p->root,
                                comm, request);
    case CALLS_ALL_GATHER:
        return ballot_all_gather(m->send, m->recv, p->count, p->type, comm,
                                 request);
    case CALLS_GATHER:
        return ballot_gather(m->send, m->recv, p->count, p->type, p->root, comm,
                             request);
    case CALLS_SCATTER:
        return ballot_scatter(m->send, m->recv, p->count, p->type, p->root,
                              comm, request);
    case CALLS_ALL_TO_ALL:
        return ballot_all_to_all(m->send, m->recv, p->count, p->type, comm,
                                 request);
    case CALLS_BARRIER: return ballot_barrier(comm, request);
    case CALLS_VOTE:
        return ballot_all_reduce(m->send, m->recv, p->count, p->type,
                                 BALLOT_MAJORITY, comm, request);
    case CALLS_SHIFT: return shift(m, comm, waits);
    case CALLS_SENT_ALL: return sent_all(m, comm);
    case CALLS_KINDS: break;
    }
    return -EINVAL;
}

int call_begin(struct call_made *made, const struct call_plan *plan,
               struct ballot_comm *comm, bool waits)
{
    int rc;

    call_prepare(made, plan, ballot_comm_rank(comm), ballot_comm_size(comm));
    rc = make_op(made, comm);
    if (rc < 0)
        return rc;
    rc = make(made, comm, waits);
    if (made->made != plan->op)
        ballot_op_destroy(made->made, comm);
    return rc;
}

int call_end(struct call_made *made, struct ballot_comm *comm)
{
    int first = 0;

    (void)comm;
    for (int i = 0; i < 2; i++) {
        int rc =
            made->requests[i] == NULL ? 0 : ballot_wait(&made->requests[i]);

        if (first == 0)
            first = rc;
    }
    return first;
}

void call_free(struct call_made *made)
{
    free(made->blocks[0]);
    free(made->blocks[1]);
    made->blocks[0] = made->blocks[1] = NULL;
}

/* ---- What must come out ---- */

/* What a rank gives after its factor. */
static uint64_t scaled(const struct call_made *m, int rank, size_t i)
{
    uint64_t bits = given(m, rank, i);

    if (m->plan.op != BALLOT_OPS)
        return bits;
    return element_fold(m->plan.type, BALLOT_PROD, bits,
                        element_factor(m->plan.type, rank));
}

/* Element i of all ranks, from rank `first` on, all around. */
static uint64_t folded(const struct call_made *m, int first, size_t i)
{
    const struct call_plan *p = &m->plan;
    uint64_t all = scaled(m, first % m->ranks, i);

    for (int r = 1; r < m->ranks; r++)
        all = element_fold(p->type, p->op, all,
                           scaled(m, (first + r) % m->ranks, i));
    return p->op == BALLOT_AVG ? element_divide(p->type, all, m->ranks) : all;
}

/* Which of these bits most ranks have as element i. */
static uint64_t majority(const struct call_made *m, size_t i, uint64_t bits)
{
    uint64_t most = 0;

    for (uint64_t left = bits; left != 0; left &= left - 1) {
        uint64_t bit = left & -left;
        int have = 0;

        for (int r = 0; r < m->ranks; r++)
            have += (given(m, r, i) & bit) != 0;
        most |= 2 * have > m->ranks ? bit : 0;
    }
    return most;
}

/* Signs behind the last one of a block are 0. */
static uint64_t voted(const struct call_made *m, size_t i)
{
    size_t in_word = m->plan.count % 64, block = block_elements(m);

    if (m->plan.type == BALLOT_SIGNS)
        return majority(m, i,
                        in_word != 0 && i % block == block - 1
                            ? (UINT64_C(1) << in_word) - 1
                            : UINT64_MAX);
    /* Rank 0 multiplies by 1. */
    return element_factor(m->plan.type, 0) |
           majority(m, i, UINT64_C(1) << (8 * element_bytes(m->plan.type) - 1));
}

/* Element i of what this rank receives. */
static uint64_t expected(const struct call_made *m, size_t i)
{
    size_t block = block_elements(m), ranks = (size_t)m->ranks;
    size_t own = (size_t)m->rank * block;
    int from = block > 0 ? (int)(i / block) : 0;

    if (call_reduces(m->plan.kind) && m->plan.op == BALLOT_MAJORITY)
        return voted(m, m->plan.kind == CALLS_REDUCE_SCATTER ? own + i : i);
    switch (m->plan.kind) {
    case CALLS_ALL_REDUCE:
        return folded(m, (int)(i / ((block + ranks - 1) / ranks)), i);
    case CALLS_REDUCE: return folded(m, m->plan.root + 1, i);
    case CALLS_REDUCE_SCATTER: return folded(m, m->rank + 1, own + i);
    case CALLS_BROADCAST: return given(m, m->plan.root, i);
    case CALLS_ALL_GATHER:
    case CALLS_GATHER: return given(m, from, i % block);
    case CALLS_SCATTER: return given(m, m->plan.root, own + i);
    case CALLS_ALL_TO_ALL:
    case CALLS_SENT_ALL: return given(m, from, own + i % block);
    case CALLS_VOTE: return voted(m, i);
    case CALLS_SHIFT:
        return given(m, (m->rank + m->ranks - m->plan.root) % m->ranks, i);
    case CALLS_BARRIER:
    case CALLS_KINDS: break;
    }
    return 0;
}

static uint64_t guard_wrong(const uint8_t *guard)
{
    uint64_t wrong = 0;

    for (size_t i = 0; i < GUARD; i++)
        wrong += guard[i] != GUARD_BYTE;
    return wrong;
}

static uint64_t guards_wrong(const struct call_made *m)
{
    uint64_t wrong = 0;

    for (int b = 0; b < 2; b++)
        if (m->blocks[b] != NULL)
            wrong += guard_wrong(m->blocks[b]) +
                     guard_wrong(m->blocks[b] + GUARD + m->bytes[b]);
    return wrong;
}

uint64_t call_wrong(const struct call_made *m)
{
    size_t width = element_bytes(m->plan.type);
    size_t elements = gotten_blocks(m) * block_elements(m);
    uint64_t wrong = guards_wrong(m);

    for (size_t i = 0; i < elements; i++) {
        uint64_t bits = expected(m, i);

        wrong += memcmp(m->recv + i * width, &bits, width) != 0;
    }
    return wrong;
}

uint64_t call_digest(const struct call_made *m, uint64_t hash)
{
    return digest(hash, m->recv, gotten_blocks(m) * block_bytes(m));
}
