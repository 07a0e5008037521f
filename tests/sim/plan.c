/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - draws what one simulated communicator is and does. */
#include "plan.h"

#include <string.h>

#include "collective/evidence.h"

static const uint64_t us = 1000, ms = 1000000;

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

uint64_t plan_hash(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return mix(mix(mix(mix(a + 0x9e3779b97f4a7c15) + b) + c) + d);
}

/* ---- Draws in order ------------------------------------------------------ */

struct draws {
    uint64_t state;
};

static uint64_t below(struct draws *draws, uint64_t bound)
{
    return mix(draws->state += 0x9e3779b97f4a7c15) % bound;
}

static bool once_in(struct draws *draws, uint64_t times)
{
    return below(draws, times) == 0;
}

static uint32_t between(struct draws *draws, uint32_t first, uint32_t last)
{
    return first + (uint32_t)below(draws, last - first + 1);
}

static uint32_t draw_ranks(struct draws *draws)
{
    uint32_t a = between(draws, 2, 16), b = between(draws, 2, 16);

    if (once_in(draws, 40))
        return 1;
    if (once_in(draws, 60))
        return between(draws, 63, PLAN_RANKS_MAX);
    return a < b ? a : b;
}

static void draw_placement(struct plan *p, struct draws *draws)
{
    p->ranks = draw_ranks(draws);
    p->servers = p->ranks > 16 || !once_in(draws, 3) ? 1 : p->ranks;
    p->members = p->ranks;
    if (p->servers == 1 && p->ranks < PLAN_RANKS_MAX && once_in(draws, 3))
        p->server_first = p->members++;
    if (p->servers == 1 && p->ranks > 1 && !once_in(draws, 4))
        p->quorum = between(draws, p->ranks / 2 + 1, p->ranks);
    p->window = between(draws, 1, 8);
    p->kept = p->window + between(draws, 0, 3 * p->window);
    p->coordinates_max = 512 * between(draws, 1, 3);
    p->depth = once_in(draws, 8) ? 16 : between(draws, 1, 4);
}

/* Designs of three replicas that there are for so many ranks. */
static void draw_design(struct plan *p, struct draws *draws)
{
    const uint32_t ranks = p->ranks;
    const bool triples = ranks <= 15 && (ranks % 6 == 1 || ranks % 6 == 3) &&
                         (ranks > 7 || once_in(draws, 2));

    if (p->servers > 1 || p->rules.weights != NULL || p->rules.zeros_abstain ||
        p->abstentions || ranks < 3 || (ranks > 7 && !triples))
        return;
    p->load = triples ? (ranks - 1) / 2 : (ranks - 1) * (ranks - 2) / 2;
    p->tasks = ranks * p->load / 3;
    p->verifier = (struct verifier_config){
        .assignment = {.design = triples ? DESIGN_STEINER : DESIGN_SUBSETS,
                       .workers = ranks,
                       .replication = 3,
                       .seed = below(draws, UINT64_MAX)},
        .liars_max = once_in(draws, 2) ? 1 : between(draws, 1, (ranks - 1) / 2),
        .keep = once_in(draws, 2),
        .coordinates_max = p->coordinates_max,
    };
    if (once_in(draws, 3))
        p->verifier.rule = between(draws, VERIFIER_PAPER, VERIFIER_PAPER_PLUS);
}

static void draw_rules(struct plan *p, struct draws *draws)
{
    bool weighted = once_in(draws, 3);

    p->rules.ties = between(draws, TIES_PLUS, TIES_RANDOM);
    p->rules.zeros_abstain = once_in(draws, 3);
    p->rules.seed = below(draws, UINT64_MAX);
    for (uint32_t r = 0; r < p->ranks; r++)
        p->weights[r] = weighted ? (uint8_t)between(draws, 1, 15) : 1;
    p->rules.weights = weighted ? p->weights : NULL;
    p->abstentions = p->quorum == 0 && once_in(draws, 4);
    p->kernels = once_in(draws, 2) ? "portable" : NULL;
}

static void draw_network(struct plan *p, struct draws *draws)
{
    p->timeout_ns = between(draws, 60, 150) * ms;
    p->grace_ns = between(draws, 0, 10) * ms;
    p->margin_ns = p->timeout_ns / 2;
    p->network = (struct sim_config){
        .seed = below(draws, UINT64_MAX),
        .ranks = p->members,
        .delay_min_ns = 2 * us,
        .delay_max_ns = between(draws, 3, 60) * us,
        .stray_ns = between(draws, 20, 2000) * us,
        .break_ns = between(draws, 1, 8000) * us,
    };
    for (int f = SIM_DELAYED; f <= SIM_TORN; f++)
        if (once_in(draws, 2))
            p->rates.chance[f] =
                between(draws, 1, f == SIM_TORN ? 30000 : 4000);
}

static void spoil(struct plan *p, struct draws *draws, uint32_t rank)
{
    /* Liars can do most, so they are the most. */
    uint32_t drawn = between(draws, ROLE_KILLED, ROLES + 1);
    enum role role = drawn < ROLES ? drawn : ROLE_LIAR;
    static const uint32_t stops_ms[] = {5, 40, 200, 700};
    uint32_t liars = 0;

    bool serves = p->servers == 1 && rank == p->server_first;

    /* Who alone counts is, with a quorum, the one that is trusted. */
    if (serves && p->quorum != 0 && !once_in(draws, 6))
        return;
    if (serves && (role == ROLE_LIAR || rank >= p->ranks))
        role = between(draws, 0, 1) ? ROLE_KILLED : ROLE_FROZEN;
    /* Of those that decide at least one is honest. */
    for (uint32_t r = 0; r < p->ranks; r++)
        liars += p->roles[r] == ROLE_LIAR;
    if (role == ROLE_LIAR && liars + 1 >= (p->quorum ? p->quorum : p->ranks))
        role = ROLE_KILLED;
    if (p->roles[rank] != ROLE_SOUND)
        return;
    p->roles[rank] = role;
    p->faulty++;
    p->fault_round[rank] = between(draws, 0, p->rounds - 1);
    p->stop_ns[rank] =
        (uint64_t)between(draws, 1, stops_ms[below(draws, 4)]) * ms;
    p->peer[rank] =
        p->servers == 1 ? p->server_first : between(draws, 0, p->ranks - 1);
    if (serves)
        p->peer[rank] = between(draws, 0, p->ranks - 1);
    if (p->peer[rank] == rank)
        p->peer[rank] = (rank + 1) % p->ranks;
}

/* Who lies about tasks, from early on; more than was promised, too. */
static void draw_liars(struct plan *p, struct draws *draws)
{
    const uint32_t most = (p->quorum ? p->quorum : p->ranks) - 2;
    uint32_t liars = 0;

    for (uint32_t r = 0; r < p->ranks; r++)
        liars += p->roles[r] == ROLE_LIAR;
    for (uint32_t left = between(draws, 0, p->ranks - 1); left > 0; left--) {
        const uint32_t rank = between(draws, 0, p->ranks - 1);

        if (liars >= most || rank == p->server_first ||
            p->roles[rank] != ROLE_SOUND)
            continue;
        p->roles[rank] = ROLE_LIAR;
        p->fault_round[rank] = between(draws, 0, p->rounds / 2);
        p->faulty++;
        liars++;
    }
}

void plan_draw(struct plan *plan, uint64_t seed, uint32_t life,
               uint32_t rounds_max)
{
    struct draws draws = {plan_hash(seed, life, 1, 0)};
    /* So that other lives are what they were before there were such. */
    struct draws redundant = {plan_hash(seed, life, 11, 0)};
    uint32_t spoiled = 0, room;

    memset(plan, 0, sizeof(*plan));
    plan->seed = plan_hash(seed, life, 2, 0);
    draw_placement(plan, &draws);
    draw_rules(plan, &draws);
    draw_network(plan, &draws);
    draw_design(plan, &redundant);
    plan->rounds = between(&draws, 3, plan->ranks > 16 ? 6 : 40);
    if (plan->rounds > rounds_max)
        plan->rounds = rounds_max;
    room = plan->quorum == 0 ? 1 : plan->ranks - plan->quorum;
    if (plan->ranks > 1 && !once_in(&draws, 3))
        spoiled = between(&draws, 0, room) + once_in(&draws, 8);
    for (; spoiled > 0; spoiled--)
        spoil(plan, &draws,
              once_in(&draws, 6) ? plan->server_first
                                 : between(&draws, 0, plan->members - 1));
    if (plan->load > 0 && !once_in(&redundant, 3))
        draw_liars(plan, &redundant);
    /* Who is sound votes where somebody lies, so that the oracle can tell. */
    for (uint32_t r = 0; r < plan->ranks; r++)
        if (plan->roles[r] == ROLE_LIAR)
            plan->abstentions = false;
    plan->ahead.ranks = once_in(&draws, 3) ? UINT32_MAX : 1;
    plan->ahead.group = between(&draws, 1, plan->ranks > 16 ? 16 : 4);
}

struct shape plan_shape(const struct plan *plan)
{
    return (struct shape){
        .ranks = plan->ranks,
        .coordinates_max = plan->coordinates_max,
        .planes_up = plan->rules.zeros_abstain ? 2 : 1,
        .planes_down = plan->rules.ties == TIES_ZERO ? 2 : 1,
        .rows = plan->load,
    };
}

bool plan_sound(const struct plan *plan, uint32_t rank)
{
    return plan->roles[rank] == ROLE_SOUND;
}

bool plan_survivable(const struct plan *plan)
{
    return plan->quorum != 0 && plan_sound(plan, plan->server_first) &&
           plan->faulty <= plan->ranks - plan->quorum;
}

void plan_print(const struct plan *plan, FILE *out)
{
    static const char *const roles[ROLES] = {"sound",   "killed",  "frozen",
                                             "stopped", "cut",     "lossy",
                                             "slow",    "differs", "liar"};

    fprintf(out,
            "%u ranks, %u servers from %u on, quorum %u, window %u, kept %u, "
            "%u rounds, "
            "%u under way; timeout %.0f ms, grace %.0f, margin %.0f\n",
            plan->ranks, plan->servers, plan->server_first, plan->quorum,
            plan->window, plan->kept, plan->rounds, plan->depth,
            (double)plan->timeout_ns / 1e6, (double)plan->grace_ns / 1e6,
            (double)plan->margin_ns / 1e6);
    if (plan->load > 0)
        fprintf(out, "%u tasks, %u each, rule %d, evidence %s\n", plan->tasks,
                plan->load, (int)plan->verifier.rule,
                plan->verifier.keep ? "kept" : "of a round");
    for (uint32_t r = 0; r < plan->members; r++)
        if (!plan_sound(plan, r))
            fprintf(out, "rank %u: %s from round %u (%.0f ms, peer %u)\n", r,
                    roles[plan->roles[r]], plan->fault_round[r],
                    (double)plan->stop_ns[r] / 1e6, plan->peer[r]);
}

/* ---- Calls --------------------------------------------------------------- */

/* What else is called in a redundant life: mostly votes over tasks, a few of
 * the same step behind each other, and questions about them. */
static void turn_redundant(const struct plan *plan, uint64_t round,
                           struct planned_call *call)
{
    struct draws draws = {plan_hash(plan->seed, round, 12, 0)};
    const uint32_t kind = (uint32_t)below(&draws, 8);
    const uint64_t same = 1 + plan->seed % 3;

    if (kind == 0)
        return;
    *call = (struct planned_call){
        .kind = kind < 5    ? KIND_TASKS
                : kind == 5 ? KIND_REPORT
                            : KIND_RELEASE,
        .chunk_coordinates = plan->coordinates_max,
        .type = TYPE_SIGNS,
        .count = 1,
        .rows = ROWS_NONE,
    };
    if (call->kind == KIND_REPORT)
        call->count = 8 * evidence_bytes(PLAN_LISTED);
    if (call->kind == KIND_RELEASE)
        call->detail = between(&draws, 0, plan->ranks - 1);
    if (call->kind != KIND_TASKS)
        return;
    call->count = between(&draws, 1, 2 * plan->coordinates_max);
    call->type = (uint8_t)below(&draws, TYPES);
    call->detail = (uint32_t)(plan_hash(plan->seed, round / same, 13, 0) % 5);
    call->rows = (uint16_t)plan->load;
}

void plan_agreed_call(const struct plan *plan, uint64_t round,
                      struct planned_call *call)
{
    struct draws draws = {plan_hash(plan->seed, round, 3, 0)};
    uint32_t kind = (uint32_t)below(&draws, 8);
    uint32_t most = PLAN_COUNT_MAX;

    memset(call, 0, sizeof(*call));
    call->chunk_coordinates =
        512 * between(&draws, 1, plan->coordinates_max / 512);
    if (once_in(&draws, 2))
        most = 2 * call->chunk_coordinates;
    call->count = between(&draws, 1, most);
    if (once_in(&draws, 4))
        call->count = (call->count + 511) / 512 * 512;
    call->kind = kind == 0 ? KIND_ENTRY : kind == 1 ? KIND_FUSED : KIND_REDUCE;
    call->type = (uint8_t)below(&draws, TYPES);
    if (call->kind == KIND_FUSED)
        call->type = TYPE_FLOAT32;
    call->detail = call->chunk_coordinates;
    if (call->kind == KIND_ENTRY) {
        call->chunk_coordinates = 0;
        call->detail = between(&draws, 0, 3);
    }
    if (plan->load > 0)
        turn_redundant(plan, round, call);
}

void plan_call(const struct plan *plan, uint32_t rank, uint64_t round,
               struct planned_call *call)
{
    uint64_t chance = plan_hash(plan->seed, round, 4, rank);

    plan_agreed_call(plan, round, call);
    if (plan->abstentions && call->kind == KIND_REDUCE)
        call->abstain =
            chance % 5 == 0 || plan_hash(plan->seed, round, 5, 0) % 16 == 0;
    if (plan->roles[rank] != ROLE_DIFFERS || plan->fault_round[rank] != round)
        return;
    /* As many chunks, more, or fewer. */
    if (call->count > 512 && chance % 3 == 0)
        call->count -= 512;
    else if (call->count < PLAN_COUNT_MAX && chance % 3 == 1)
        call->count = PLAN_COUNT_MAX;
    else
        call->count += call->count % 512 == 0 ? (uint64_t)-1 : 1;
    if (call->count == 0)
        call->count = 2;
}

/* Bits of the coordinates of word `word` that the call has. */
static uint64_t inside(const struct planned_call *call, uint32_t word)
{
    uint64_t first = (uint64_t)word * 64;

    if (first >= call->count)
        return 0;
    if (call->count - first >= 64)
        return UINT64_MAX;
    return (UINT64_C(1) << (call->count - first)) - 1;
}

uint64_t plan_marks(const struct plan *plan, uint32_t rank, uint64_t round,
                    const struct planned_call *call, uint32_t word)
{
    uint64_t all = plan_hash(plan->seed, round, 6, word);
    uint64_t own = plan_hash(plan->seed + rank, round, 7, word);

    if (call->type == TYPE_SIGNS)
        return inside(call, word);
    /* Some coordinates are zero everywhere, more are zero here. */
    return inside(call, word) & ~(all & all >> 7 & all >> 13) &
           ~(own & own >> 5);
}

uint64_t plan_signs(const struct plan *plan, uint32_t rank, uint64_t round,
                    const struct planned_call *call, uint32_t word)
{
    uint64_t own = plan_hash(plan->seed + rank, round, 8, word);
    uint64_t agreed = plan_hash(plan->seed, round, 9, word);
    uint64_t where = plan_hash(plan->seed, round, 10, word);

    return ((own & ~where) | (agreed & where)) &
           plan_marks(plan, rank, round, call, word);
}

/* Bit patterns of 1/2, 3, 1 and 1: how large a value is means nothing. */
static void set_values(uint8_t type, void *values, uint64_t signs,
                       uint64_t marks, uint32_t count)
{
    /* A zero that is negative votes plus too. */
    uint64_t minus = signs | ~marks;

    for (uint32_t b = 0; b < count; b++) {
        uint64_t m = minus >> b & 1, one = marks >> b & 1;

        switch (type) {
        case TYPE_FLOAT32:
            ((uint32_t *)values)[b] = (uint32_t)(m << 31 | one * 0x3f000000);
            break;
        case TYPE_FLOAT64:
            ((uint64_t *)values)[b] = m << 63 | one * 0x4008000000000000;
            break;
        case TYPE_FLOAT16:
            ((uint16_t *)values)[b] = (uint16_t)(m << 15 | one * 0x3c00);
            break;
        default:
            ((uint16_t *)values)[b] = (uint16_t)(m << 15 | one * 0x3f80);
            break;
        }
    }
}

static void set_word(const struct planned_call *call, void *values, uint32_t w,
                     uint64_t signs, uint64_t marks)
{
    static const uint8_t bytes[TYPES] = {[TYPE_FLOAT32] = 4,
                                         [TYPE_FLOAT16] = 2,
                                         [TYPE_BFLOAT16] = 2,
                                         [TYPE_FLOAT64] = 8};
    uint64_t left = call->count - (uint64_t)w * 64;

    if (call->type == TYPE_SIGNS)
        ((uint64_t *)values)[w] = signs;
    else
        set_values(call->type,
                   (uint8_t *)values + (size_t)w * 64 * bytes[call->type],
                   signs, marks, left < 64 ? (uint32_t)left : 64);
}

void plan_values(const struct plan *plan, uint32_t rank, uint64_t round,
                 const struct planned_call *call, void *values)
{
    for (uint32_t w = 0; (uint64_t)w * 64 < call->count; w++)
        set_word(call, values, w, plan_signs(plan, rank, round, call, w),
                 plan_marks(plan, rank, round, call, w));
}

uint64_t plan_row(const struct plan *plan, uint32_t rank, uint64_t round,
                  const struct planned_call *call, uint32_t task, uint32_t word)
{
    const uint64_t place = (uint64_t)task * PLAN_WORDS_MAX + word;
    uint64_t signs = plan_hash(plan->seed, round, 14, place);

    if (plan->roles[rank] == ROLE_LIAR && round >= plan->fault_round[rank] &&
        plan_hash(plan->seed, call->detail, 15, task) % 2 == 0)
        signs = plan_hash(plan->seed, round, 16, place);
    return signs & inside(call, word);
}

void plan_row_values(const struct plan *plan, uint32_t rank, uint64_t round,
                     const struct planned_call *call, uint32_t task,
                     void *values)
{
    for (uint32_t w = 0; (uint64_t)w * 64 < call->count; w++)
        set_word(call, values, w, plan_row(plan, rank, round, call, task, w),
                 inside(call, w));
}
