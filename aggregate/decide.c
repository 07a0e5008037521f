/* SPDX-License-Identifier: Apache-2.0 */
/* decide.c - when a chunk is decided, and how: all votes, quorum, deadlines. */
#include "tally_state.h"

/*
 * The call that more than half of the votes for base agree on, if any does
 * (Boyer and Moore's majority vote, "MJRTY", 1981), and who cast it: a quorum
 * is more than half of the ranks, so no other group can reach it.
 */
static uint32_t largest_group(const struct tally *t, struct call *call,
                              struct rank_mask *mask)
{
    const struct call *candidate = NULL;
    uint32_t lead = 0, count = 0;

    *mask = (struct rank_mask){0};
    for (uint32_t v = 0; v < t->config.shape.ranks; v++) {
        const struct landing *l = landing_at(t, v, t->base);

        if (!is_in(t, v, t->base) || l->abstain)
            continue;
        if (lead == 0)
            candidate = &l->call;
        if (call_equal(candidate, &l->call))
            lead++;
        else
            lead--;
    }
    if (candidate == NULL)
        return 0;
    for (uint32_t v = 0; v < t->config.shape.ranks; v++) {
        const struct landing *l = landing_at(t, v, t->base);

        if (is_in(t, v, t->base) && !l->abstain &&
            call_equal(candidate, &l->call)) {
            mask_set(mask, v);
            count++;
        }
    }
    *call = *candidate;
    return count;
}

/* Adds everybody whose put of base is in, or votes there. */
static void present(const struct tally *t, bool votes, struct rank_mask *mask)
{
    for (uint32_t v = 0; v < t->config.shape.ranks; v++)
        if (is_in(t, v, t->base) &&
            (!votes || !landing_at(t, v, t->base)->abstain))
            mask_set(mask, v);
}

/* Two voters of base whose calls differ. */
static void describe_difference(const struct tally *t,
                                struct difference *difference)
{
    uint32_t first = open_at(t, t->base)->first;
    const struct call *a = &landing_at(t, first, t->base)->call;

    *difference = (struct difference){.rank = {first, first}, .call = {*a, *a}};
    for (uint32_t v = 0; v < t->config.shape.ranks; v++) {
        const struct landing *l = landing_at(t, v, t->base);

        if (is_in(t, v, t->base) && !call_equal(a, &l->call)) {
            difference->rank[1] = v;
            difference->call[1] = l->call;
            return;
        }
    }
}

static void fail_base(struct tally *t, enum status status)
{
    struct decision *d = decision_at(t, t->base);

    if (status == STATUS_LOST && open_at(t, t->base)->mixed)
        status = STATUS_DIFFERS;
    *d = (struct decision){
        .sequence = t->base,
        .call = landing_at(t, open_at(t, t->base)->first, t->base)->call,
        .status = status,
        .rank = t->dead,
    };
    /* Of a quorum who abstains is missing too, for it has left that round. */
    present(t, t->config.quorum != 0, &d->mask);
    if (status == STATUS_DIFFERS)
        describe_difference(t, &d->difference);
}

static bool has_passed(const struct tally *t, uint64_t now_ns, uint64_t from_ns,
                       uint64_t span_ns)
{
    return t->ticking && now_ns - from_ns >= span_ns;
}

/* Whether base may be decided now, and how; fills its decision. */
static bool decide_strict(struct tally *t, uint64_t now_ns)
{
    const struct open_chunk *o = open_at(t, t->base);
    struct decision *d = decision_at(t, t->base);

    if (t->live < t->config.shape.ranks) {
        fail_base(t, STATUS_DEAD);
    } else if (o->mixed) {
        fail_base(t, STATUS_DIFFERS);
    } else if (o->in == t->live) {
        *d = (struct decision){
            .sequence = t->base,
            .call = landing_at(t, o->first, t->base)->call,
            .status = STATUS_OK,
        };
        present(t, true, &d->mask);
    } else if (has_passed(t, now_ns, t->start_ns, t->config.timeout_ns)) {
        fail_base(t, STATUS_LOST);
    } else {
        return false;
    }
    return true;
}

static bool decide_quorum(struct tally *t, uint64_t now_ns)
{
    const struct open_chunk *o = open_at(t, t->base);
    struct decision agreed = {.sequence = t->base, .status = STATUS_OK};
    bool expired = has_passed(t, now_ns, t->start_ns, t->config.timeout_ns);
    bool all = o->in == t->live;
    uint32_t votes = 0;

    if (o->in >= t->config.quorum)
        votes = largest_group(t, &agreed.call, &agreed.mask);
    t->quorum_in = votes >= t->config.quorum;
    if (t->quorum_in) {
        if (!t->grace_clock) {
            t->grace_clock = true;
            t->grace_ns = now_ns;
        }
        /* Calls without coordinates are for all that live, not for a quorum. */
        if (all || expired ||
            (agreed.call.coordinates > 0 &&
             has_passed(t, now_ns, t->grace_ns, t->config.grace_ns))) {
            *decision_at(t, t->base) = agreed;
            return true;
        }
        return false;
    }
    if (!all && !expired)
        return false;
    fail_base(t, STATUS_LOST);
    return true;
}

static void stop_clocks(struct tally *t)
{
    t->run_clock = false;
    t->grace_clock = false;
}

/* Chunks of the call that this server counts from `call->chunk` on. */
static uint64_t chunks_left(const struct tally *t, const struct call *call)
{
    uint32_t whole = whole_chunk(&t->config.shape, call);
    uint64_t chunks = 1;

    if (call->coordinates > 0 && whole > 0)
        chunks = call->count / whole + (call->count % whole != 0);
    if (chunks <= call->chunk)
        return 1;
    return (chunks - call->chunk + t->config.servers - 1) / t->config.servers;
}

/*
 * After base was decided: how much of its round is still to come here. A call
 * that was agreed on says so; of one that failed the best guess stands until
 * the next one that is agreed on.
 */
static void advance_run(struct tally *t)
{
    const struct decision *d = decision_at(t, t->base);

    if (t->run_left == 0 || d->status == STATUS_OK) {
        t->run_round = d->call.round;
        t->run_left = chunks_left(t, &d->call);
    }
    t->run_failed = d->status != STATUS_OK;
    if (--t->run_left == 0)
        stop_clocks(t);
}

/* How long nobody puts anything before a failed round counts as drained: well
 * within the patience of a voter that waits for the next one. */
uint64_t decide_drained_ns(const struct tally *t)
{
    return t->failed_ns + t->config.timeout_ns / 2;
}

/*
 * What is left of a failed round is only drained, by puts that abstain. Who
 * votes for another round calls that: its clock must not be the expired one,
 * whatever a liar's call made us believe about the length of the failed round.
 */
static void leave_failed_run(struct tally *t)
{
    for (uint32_t v = 0; v < t->config.shape.ranks; v++) {
        const struct landing *l = landing_at(t, v, t->base);

        if (is_in(t, v, t->base) && !l->abstain &&
            l->call.round != t->run_round) {
            t->run_left = 0;
            stop_clocks(t);
            return;
        }
    }
}

void decide_close(struct tally *t)
{
    uint32_t ranks = t->config.shape.ranks;

    /* A rank that serves is last, for its own result has no way to go. */
    for (uint32_t i = 1; i <= ranks; i++) {
        uint32_t v = (t->config.server + i) % ranks;

        if (is_in(t, v, t->base))
            tally_queue_answer(t, v, t->base);
    }
    advance_run(t);
    *open_at(t, t->base) = (struct open_chunk){0};
    t->quorum_in = false;
    t->base++;
}

void decide_ready(struct tally *t, uint64_t now_ns)
{
    while (!t->counting && open_has(t, t->base)) {
        const struct decision *d = decision_at(t, t->base);

        if (t->run_failed && t->run_left > 0)
            leave_failed_run(t);
        /* Puts of later rounds that wait behind this one cost those none of
         * their time. */
        if (!t->run_clock) {
            t->run_clock = true;
            t->start_ns = now_ns;
        }
        if (!(t->config.quorum == 0 ? decide_strict(t, now_ns)
                                    : decide_quorum(t, now_ns)))
            return;
        if (d->status == STATUS_OK && d->call.coordinates > 0) {
            t->counting = true;
        } else {
            t->failed_ns = now_ns;
            decide_close(t);
        }
    }
    if (t->run_failed && !open_has(t, t->base) &&
        now_ns >= decide_drained_ns(t))
        t->run_left = 0;
    /* Nobody is in any more: the clock waits for the next first put. */
    if (t->run_left == 0 && !open_has(t, t->base))
        stop_clocks(t);
}
