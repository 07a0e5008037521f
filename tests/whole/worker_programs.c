/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_programs.c - programs of collectives from a seed, of which some
 * contain a mistake or a death.
 *
 * A program is a list of steps that every rank derives from its number. One
 * rank may deviate at one of them. At the end come two calls that need every
 * rank and that no step is equal to, so whatever was called wrong shows there
 * at the latest.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "worker_calls.h"

enum { STEPS_MAX = 12, CALLS_MAX = STEPS_MAX + 3, LAST_COUNT = 7 };

enum fate {
    FATE_GOOD,
    FATE_COUNT,
    FATE_TYPE,
    FATE_OP,
    FATE_ROOT,
    FATE_KIND,
    FATE_ORDER,
    FATE_MISSING,
    FATE_EXTRA,
    FATE_KILLED,
    FATE_SHOT, /* by somebody else, in the midst of a call */
    FATE_EXITS,
    FATES,
};

static const char *const fates[FATES] = {
    "good",  "count",   "type",  "op",     "root", "kind",
    "order", "missing", "extra", "killed", "shot", "exits",
};

enum manner { MANNER_BLOCKS, MANNER_REQUEST, MANNER_GROUP };

struct step {
    struct call_plan plan;
    enum manner manner;
};

struct program {
    uint64_t number;
    struct step steps[CALLS_MAX];
    int count;
    enum fate fate;
    int who, at;
};

struct run {
    struct ballot_comm *comm;
    int rank, ranks;
    uint64_t good, wrong, calls;
    bool was_last; /* it was the last call of a program that failed */
    bool ends;     /* somebody is dead */
};

/* ---- Programs ---- */

static struct call_plan any_plan(uint64_t random, int ranks)
{
    struct call_plan plan = {
        .kind = (enum call_kind)(mix(random) % CALLS_KINDS),
        .type = (enum ballot_type)(mix(random + 1) % BALLOT_TYPES),
        .op = (enum ballot_op)(mix(random + 2) % (BALLOT_OPS + 1)),
        .count = mix(random + 3) % (mix(random + 4) % 16 == 0 ? 20000 : 300),
        .root = (int)(mix(random + 5) % (uint64_t)ranks),
        .in_place = mix(random + 6) % 2,
        .seed = mix(random + 7),
    };

    if (plan.kind == CALLS_VOTE)
        plan.type = BALLOT_FLOAT32;
    if (call_reduces(plan.kind) && plan.type == BALLOT_SIGNS)
        plan.type = BALLOT_UINT32;
    if (!call_reduces(plan.kind) || !call_folds(plan.type, plan.op))
        plan.op = BALLOT_SUM;
    /* What differs is another call. */
    if (!call_has_root(plan.kind) && plan.kind != CALLS_SHIFT)
        plan.root = 0;
    if (plan.kind == CALLS_BARRIER)
        plan = (struct call_plan){.kind = CALLS_BARRIER};
    return plan;
}

/* The fate that step can have: what it has no other of becomes another kind. */
static enum fate fate_of(const struct step *step, uint64_t random)
{
    enum fate fate = 1 + (enum fate)(random % (FATES - 1));

    if ((fate == FATE_OP && !call_reduces(step->plan.kind)) ||
        (fate == FATE_ROOT && !call_has_root(step->plan.kind)) ||
        ((fate == FATE_COUNT || fate == FATE_TYPE) &&
         step->plan.kind == CALLS_BARRIER))
        return FATE_KIND;
    return fate;
}

static bool same_call(const struct call_plan *a, const struct call_plan *b)
{
    return a->kind == b->kind && a->count == b->count && a->type == b->type &&
           a->op == b->op && a->root == b->root;
}

static bool is_exchange(const struct call_plan *plan)
{
    return plan->kind == CALLS_SHIFT || plan->kind == CALLS_SENT_ALL;
}

/* Nobody ends it before every rank has called it, and no vote goes on beside
 * what was called before it. */
static bool needs_all(const struct call_plan *plan)
{
    return (plan->kind == CALLS_ALL_REDUCE ||
            plan->kind == CALLS_REDUCE_SCATTER ||
            plan->kind == CALLS_ALL_GATHER || plan->kind == CALLS_ALL_TO_ALL ||
            plan->kind == CALLS_BARRIER) &&
           (!call_reduces(plan->kind) || plan->op != BALLOT_MAJORITY);
}

/* Exchanges of a group come last in whatever order they are called. Out of
 * order with what needs all, ranks wait for each other. */
static bool has_order(const struct program *p)
{
    const struct step *step = &p->steps[p->at];

    if (p->at + 1 >= p->count)
        return false;
    if (!is_exchange(&step[0].plan) && !is_exchange(&step[1].plan))
        return !same_call(&step[0].plan, &step[1].plan);
    return step[0].manner == MANNER_BLOCKS &&
           (needs_all(&step[0].plan) || needs_all(&step[1].plan));
}

/* What a rank sends to itself concerns nobody. */
static bool is_own(const struct call_plan *plan)
{
    return plan->kind == CALLS_SHIFT && plan->root == 0;
}

static struct program write_program(uint64_t number, int ranks)
{
    uint64_t random = mix(option("seed", 1) * 1000000007 + number);
    struct program p = {
        .number = number,
        .count = 2 + (int)(mix(random) % (STEPS_MAX - 1)),
        .who = (int)(mix(random + 1) % (uint64_t)ranks),
    };

    for (int i = 0; i < p.count; i++)
        p.steps[i] = (struct step){
            .plan = any_plan(mix(random + 10 + (uint64_t)i), ranks),
            .manner = (enum manner)(mix(random + 40 + (uint64_t)i) % 3),
        };
    p.at = (int)(mix(random + 2) % (uint64_t)p.count);
    if (ranks > 1 && mix(random + 3) % 100 < option("mistakes", 10))
        p.fate = fate_of(&p.steps[p.at], mix(random + 4));
    if (p.fate == FATE_ORDER && !has_order(&p))
        p.fate = FATE_MISSING;
    if ((p.fate == FATE_MISSING || p.fate == FATE_COUNT ||
         p.fate == FATE_TYPE) &&
        is_own(&p.steps[p.at].plan))
        p.fate = FATE_KIND;
    if (p.fate == FATE_ORDER &&
        (is_own(&p.steps[p.at].plan) || is_own(&p.steps[p.at + 1].plan)))
        p.fate = FATE_KIND;
    p.steps[p.count++].plan = (struct call_plan){
        .kind = CALLS_ALL_GATHER, .type = BALLOT_FLOAT64, .count = LAST_COUNT};
    p.steps[p.count++].plan = (struct call_plan){.kind = CALLS_BARRIER};
    return p;
}

/* ---- Mistakes ---- */

static void insert(struct program *p, int at, const struct call_plan *plan)
{
    for (int i = p->count; i > at; i--)
        p->steps[i] = p->steps[i - 1];
    p->steps[at].plan = *plan;
    p->count++;
}

static void forget(struct program *p, int at)
{
    p->count--;
    for (int i = at; i < p->count; i++)
        p->steps[i] = p->steps[i + 1];
}

static void change_kind(struct call_plan *plan)
{
    if (plan->kind == CALLS_BARRIER)
        *plan = (struct call_plan){.kind = CALLS_ALL_REDUCE,
                                   .type = BALLOT_INT32,
                                   .op = BALLOT_SUM,
                                   .count = 5};
    else
        *plan = (struct call_plan){.kind = CALLS_BARRIER};
}

/* What the deviating rank does instead; a death comes when its step does. */
static void deviate(struct program *p, int ranks)
{
    struct call_plan *plan = &p->steps[p->at].plan, swapped = *plan;
    enum ballot_type was = plan->type;

    switch (p->fate) {
    case FATE_COUNT: plan->count++; break;
    case FATE_TYPE:
        plan->type = plan->type == BALLOT_FLOAT32 ? BALLOT_FLOAT64
                     : plan->type == BALLOT_UINT8 ? BALLOT_INT8
                                                  : BALLOT_UINT8;
        /* Whole numbers do not vote: that would be no call. */
        if (plan->kind == CALLS_VOTE ||
            (call_reduces(plan->kind) && plan->op == BALLOT_MAJORITY))
            plan->type =
                was == BALLOT_FLOAT64 ? BALLOT_FLOAT32 : BALLOT_FLOAT64;
        break;
    case FATE_OP:
        plan->op = plan->op == BALLOT_MAX ? BALLOT_MIN : BALLOT_MAX;
        break;
    case FATE_ROOT: plan->root = (plan->root + 1) % ranks; break;
    case FATE_KIND: change_kind(plan); break;
    case FATE_ORDER:
        *plan = p->steps[p->at + 1].plan;
        p->steps[p->at + 1].plan = swapped;
        break;
    case FATE_MISSING: forget(p, p->at); break;
    case FATE_EXTRA:
        insert(p, p->at, &(struct call_plan){.kind = CALLS_BARRIER});
        break;
    default: break;
    }
}

/* So many nanoseconds from now. */
static void die_later(uint64_t ns)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL,
        .sigev_signo = SIGKILL,
    };
    struct itimerspec at = {.it_value = {.tv_nsec = (long)ns}};
    timer_t timer;

    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
        timer_settime(timer, 0, &at, NULL) < 0)
        need(-errno, NULL, "timer");
}

/* Who is shot makes its call first, or begins to. */
static void die(const struct program *p)
{
    if (p->fate == FATE_EXITS)
        _exit(0);
    if (p->fate == FATE_KILLED)
        raise(SIGKILL);
    die_later(1 + mix(p->number) % 400000);
}

/* ---- Running one ---- */

struct pending {
    struct call_made made[CALLS_MAX];
    int begun;
};

/* Of steps first .. last, which are a group if they are several. */
static int begin_steps(struct run *run, const struct program *p, int first,
                       int last, struct pending *pending)
{
    int rc = 0, rc_end = 0;

    if (last > first)
        ballot_group_start();
    for (int i = first; i <= last && rc == 0; i++) {
        struct call_made *made = &pending->made[pending->begun++];
        bool waits = p->steps[i].manner != MANNER_REQUEST;

        if (run->rank == p->who && i == p->at && p->fate >= FATE_KILLED)
            die(p);
        rc = call_begin(made, &p->steps[i].plan, run->comm, waits);
    }
    if (last > first)
        rc_end = ballot_group_end();
    /* What was called goes on meanwhile, if it has not ended. */
    while (run->rank == p->who && p->fate == FATE_SHOT && first <= p->at &&
           p->at <= last)
        pause();
    return rc < 0 ? rc : rc_end;
}

/* Waits for all requests; what has come out is right, if no call has failed. */
static int end_steps(struct run *run, const struct program *p,
                     struct pending *pending, int first)
{
    char text[96];

    for (int i = 0; i < pending->begun; i++) {
        int rc = call_end(&pending->made[i], run->comm);

        if (first == 0)
            first = rc;
    }
    for (int i = 0; i < pending->begun; i++) {
        uint64_t wrong = first == 0 && p->fate == FATE_GOOD
                             ? call_wrong(&pending->made[i])
                             : 0;

        if (wrong != 0)
            say("differs program=%llu step=%d elements=%llu call=%s",
                (unsigned long long)p->number, i, (unsigned long long)wrong,
                call_text(&pending->made[i].plan, text));
        run->wrong += wrong;
        call_free(&pending->made[i]);
    }
    run->calls += (uint64_t)pending->begun;
    return first;
}

static int run_program(struct run *run, const struct program *p)
{
    struct pending pending = {.begun = 0};
    int rc = 0;

    for (int i = 0, last; i < p->count && rc == 0; i = last + 1) {
        last = i;
        while (last + 1 < p->count && last < i + 3 &&
               p->steps[i].manner == MANNER_GROUP &&
               p->steps[last].manner != MANNER_BLOCKS)
            last++;
        rc = begin_steps(run, p, i, last, &pending);
        run->was_last = last == p->count - 1;
    }
    return end_steps(run, p, &pending, rc);
}

/* The next program has a communicator of its own. */
static void begin_anew(struct run *run)
{
    ballot_comm_finalize(&run->comm);
    run->comm = join(NULL);
}

/* Others may have left the last call of a program already and made the mistake
 * of the next one. */
static void find_cause(const struct run *run, struct program *p)
{
    struct program next;

    if (p->fate != FATE_GOOD || !run->was_last)
        return;
    next = write_program(p->number + 1, run->ranks);
    if (next.fate != FATE_GOOD)
        *p = next;
}

/* The number of the next program; what ends the job is that of this one. */
static uint64_t play(struct run *run, uint64_t number)
{
    struct program p = write_program(number, run->ranks);
    uint64_t begun = now_ns();
    int rc;

    if (p.fate != FATE_GOOD)
        say("begins number=%llu fate=%s who=%d", (unsigned long long)number,
            fates[p.fate], p.who);
    if (run->rank == p.who)
        deviate(&p, run->ranks);
    rc = run_program(run, &p);
    if (rc == 0 && p.fate == FATE_GOOD) {
        run->good++;
        return number + 1;
    }
    find_cause(run, &p);
    say("ended number=%llu fate=%s who=%d rc=%d ms=%llu text=%s",
        (unsigned long long)p.number, fates[p.fate], p.who, rc,
        (unsigned long long)((now_ns() - begun) / 1000000),
        ballot_last_error(run->comm));
    run->ends = p.fate >= FATE_KILLED || p.fate == FATE_GOOD;
    if (run->ends)
        return p.number;
    begin_anew(run);
    return p.number + 1;
}

int programs(void)
{
    struct run run = {.comm = join(NULL)};
    uint64_t number = option("first", 0), end = number + option("programs", 50);

    run.rank = ballot_comm_rank(run.comm);
    run.ranks = ballot_comm_size(run.comm);
    while (number < end && !run.ends)
        number = play(&run, number);
    say("programs next=%llu good=%llu calls=%llu wrong=%llu",
        (unsigned long long)number, (unsigned long long)run.good,
        (unsigned long long)run.calls, (unsigned long long)run.wrong);
    ballot_comm_finalize(&run.comm);
    return run.wrong != 0;
}
