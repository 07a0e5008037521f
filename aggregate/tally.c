/* SPDX-License-Identifier: Apache-2.0 */
/* tally.c - a round seen from a server, as a state machine. */
#include "tally_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static bool config_valid(const struct tally_config *c)
{
    uint32_t ranks = c->shape.ranks;

    return ranks >= 1 && ranks <= RANKS_MAX && c->window >= 1 &&
           c->window <= WINDOW_MAX && c->kept >= c->window && c->servers >= 1 &&
           c->server < c->servers && c->quorum <= ranks &&
           (c->quorum == 0 || 2 * c->quorum > ranks);
}

int tally_open(struct tally **tally, const struct tally_config *config)
{
    struct tally *t;
    size_t slots = (size_t)config->shape.ranks * config->window;

    if (!config_valid(config))
        return -EINVAL;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->config = *config;
    t->live = config->shape.ranks;
    t->queue_size = (uint32_t)slots;
    t->voters = calloc(config->shape.ranks, sizeof(*t->voters));
    t->landings = calloc(slots, sizeof(*t->landings));
    t->open = calloc(config->window, sizeof(*t->open));
    t->decisions = calloc(config->kept, sizeof(*t->decisions));
    t->queue = calloc(slots, sizeof(*t->queue));
    t->put_off = calloc(slots, sizeof(*t->put_off));
    if (t->voters == NULL || t->landings == NULL || t->open == NULL ||
        t->decisions == NULL || t->queue == NULL || t->put_off == NULL) {
        tally_close(t);
        return -ENOMEM;
    }
    *tally = t;
    return 0;
}

void tally_close(struct tally *tally)
{
    if (tally == NULL)
        return;
    free(tally->put_off);
    free(tally->queue);
    free(tally->decisions);
    free(tally->open);
    free(tally->landings);
    free(tally->voters);
    free(tally);
}

uint64_t tally_base(const struct tally *tally)
{
    return tally->base;
}

static void push_answer(struct tally *t, struct answer answer)
{
    assert(t->queue_count < t->queue_size);
    t->queue[(t->queue_head + t->queue_count++) % t->queue_size] = answer;
}

void tally_queue_answer(struct tally *t, uint32_t voter, uint64_t sequence)
{
    struct landing *l = landing_at(t, voter, sequence);

    /* A slot that is put again before its answer went out is answered once,
     * for its newest put. */
    if (l->queued)
        return;
    l->queued = true;
    push_answer(t, (struct answer){
                       .voter = voter,
                       .slot = (uint32_t)(sequence % t->config.window),
                   });
}

/* ---- Events ---- */

static bool header_valid(const struct tally *t, uint32_t slot,
                         const struct header *h, uint32_t bytes)
{
    bool abstain = h->flags == FLAG_ABSTAIN;

    return h->magic == HEADER_MAGIC && h->epoch == t->config.epoch &&
           h->kind == HEADER_VOTE &&
           (h->flags == 0 || abstain || h->flags == FLAG_LANDS) &&
           h->sequence % t->config.window == slot &&
           h->call.chunk % t->config.servers == t->config.server &&
           h->call.coordinates <= t->config.shape.coordinates_max &&
           rows_valid(&t->config.shape, h->call.rows) &&
           bytes == vote_bytes(&t->config.shape, &h->call, abstain);
}

/*
 * Whether a put is neither a repetition nor older than what its slot has had.
 * An honest voter puts a slot again only when it has the answer, so there puts
 * arrive by number, whatever overtakes them in other slots: after a jump those
 * may be numbered higher by more than a window.
 */
static bool is_fresh(const struct landing *l, uint64_t sequence)
{
    return !l->used || sequence > l->sequence;
}

static void open_chunk_add(struct tally *t, uint32_t voter, uint64_t sequence)
{
    struct open_chunk *o = open_at(t, sequence);
    const struct landing *l = landing_at(t, voter, sequence);

    if (o->in == 0) {
        o->first = voter;
        o->mixed = false;
    } else if (!call_equal(&landing_at(t, o->first, sequence)->call,
                           &l->call)) {
        o->mixed = true;
    }
    o->in++;
}

enum tally_verdict tally_arrived(struct tally *tally, uint64_t now_ns,
                                 uint32_t voter, uint32_t slot,
                                 const struct header *header, uint32_t bytes)
{
    uint64_t sequence = header->sequence;
    struct landing *l;

    if (voter >= tally->config.shape.ranks || slot >= tally->config.window ||
        tally->voters[voter].lost || !header_valid(tally, slot, header, bytes))
        return TALLY_DROPPED;
    l = landing_at(tally, voter, sequence);
    if (sequence >= tally->base + tally->config.window ||
        !is_fresh(l, sequence))
        return TALLY_DROPPED;
    *l = (struct landing){
        .sequence = sequence,
        .call = header->call,
        .used = true,
        .in = true,
        .queued = l->queued,
        .abstain = header->flags == FLAG_ABSTAIN,
        .lands = header->flags == FLAG_LANDS,
        .landing_key = header->rank,
        .landing_address = header->mask,
    };
    /* While base is counted its voters are fixed: who comes now is late. */
    if (sequence < tally->base ||
        (sequence == tally->base && tally->counting)) {
        if (sequence < tally->base)
            tally_queue_answer(tally, voter, sequence);
        return TALLY_LATE;
    }
    open_chunk_add(tally, voter, sequence);
    decide_ready(tally, now_ns);
    return TALLY_TAKEN;
}

void tally_lost(struct tally *tally, uint64_t now_ns, uint32_t voter)
{
    uint32_t window = tally->config.window;

    if (voter >= tally->config.shape.ranks || tally->voters[voter].lost)
        return;
    for (uint64_t s = tally->base; s < tally->base + window; s++) {
        struct open_chunk *o = open_at(tally, s);

        if (!is_in(tally, voter, s))
            continue;
        landing_at(tally, voter, s)->in = false;
        o->in--;
        for (uint32_t v = 0; o->first == voter && v < tally->config.shape.ranks;
             v++)
            if (is_in(tally, v, s))
                o->first = v;
    }
    tally->voters[voter].lost = true;
    if (tally->live-- == tally->config.shape.ranks)
        tally->dead = voter;
    if (tally->counting)
        mask_clear(&decision_at(tally, tally->base)->mask, voter);
    decide_ready(tally, now_ns);
}

void tally_tick(struct tally *tally, uint64_t now_ns)
{
    tally->ticking = true;
    decide_ready(tally, now_ns);
    tally->ticking = false;
}

uint64_t tally_deadline(const struct tally *tally)
{
    uint64_t at;

    /* Answers that are left wait for the end of the round. */
    if (!tally->counting && !open_has(tally, tally->base) &&
        tally->run_failed && tally->run_left > 0 && tally->queue_count > 0)
        return decide_drained_ns(tally);
    if (tally->counting || !tally->run_clock || !open_has(tally, tally->base))
        return UINT64_MAX;
    at = tally->start_ns + tally->config.timeout_ns;
    if (tally->quorum_in && tally->grace_ns + tally->config.grace_ns < at &&
        landing_at(tally, open_at(tally, tally->base)->first, tally->base)
                ->call.coordinates > 0)
        at = tally->grace_ns + tally->config.grace_ns;
    return at;
}

/* ---- Commands ---- */

/* Whether the result that this put asks for is no longer kept. */
static bool is_gone(const struct tally *t, const struct landing *l)
{
    return decision_at(t, l->sequence)->sequence != l->sequence ||
           t->base - l->sequence > t->config.kept;
}

/*
 * Whether the answer sends the voter on to the next round while this one is
 * under way: there it would put a whole window from a sequence on that is not
 * base yet, and the end of it would be dropped. So the answer waits; the round
 * under way is decided by its deadline at the latest.
 */
static bool must_wait(const struct tally *t, const struct landing *l)
{
    const struct decision *d = decision_at(t, l->sequence);

    if (t->run_left == 0)
        return false;
    return is_gone(t, l) ||
           (d->status == STATUS_OK && !call_equal(&d->call, &l->call));
}

static void describe_gone(const struct tally *t, const struct landing *l,
                          struct tally_command *command)
{
    command->header.status = STATUS_GONE;
    command->header.call = l->call;
    command->header.call.round = t->run_round + 1;
    command->header.mask = t->base + t->run_left;
}

static void describe_result(const struct tally *t, const struct landing *l,
                            const struct decision *d,
                            struct tally_command *command)
{
    struct header *h = &command->header;

    h->status = (uint8_t)d->status;
    h->call = d->call;
    h->rank = d->rank;
    h->mask = t->config.shape.ranks <= HEADER_MASK_RANKS ? d->mask.words[0] : 0;
    command->mask = &d->mask;
    if (d->status == STATUS_DIFFERS)
        command->difference = d->difference;
    /* The round is what a quorum called; who called otherwise is told so. */
    if (d->status == STATUS_OK && !call_equal(&d->call, &l->call)) {
        h->status = STATUS_DIFFERS;
        command->difference = (struct difference){.rank = {0, command->voter},
                                                  .call = {d->call, l->call}};
        command->difference.next_round = t->run_round + 1;
        command->difference.next_sequence = t->base + t->run_left;
        for (uint32_t v = t->config.shape.ranks; v-- > 0;)
            if (mask_has(&d->mask, v))
                command->difference.rank[0] = v;
    }
}

static void describe_answer(const struct tally *t, const struct answer *a,
                            struct tally_command *command)
{
    const struct landing *l = landing_at(t, a->voter, a->slot);
    const struct decision *d = decision_at(t, l->sequence);

    command->kind = TALLY_RESULT;
    command->voter = a->voter;
    command->slot = a->slot;
    command->kept = (uint32_t)(l->sequence % t->config.kept);
    command->mask = NULL;
    command->lands = l->lands;
    command->landing_key = l->landing_key;
    command->landing_address = l->landing_address;
    command->header = (struct header){
        .magic = HEADER_MAGIC,
        .epoch = t->config.epoch,
        .sequence = l->sequence,
        .kind = HEADER_RESULT,
    };
    if (is_gone(t, l))
        describe_gone(t, l, command);
    else
        describe_result(t, l, d, command);
}

bool tally_next(struct tally *tally, struct tally_command *command)
{
    for (uint32_t left = tally->queue_count; left > 0; left--) {
        const struct answer a = tally->queue[tally->queue_head];
        struct landing *l = landing_at(tally, a.voter, a.slot);

        tally->queue_head = (tally->queue_head + 1) % tally->queue_size;
        tally->queue_count--;
        l->queued = false;
        /* Gone, or put again for a chunk that is not decided yet. */
        if (tally->voters[a.voter].lost || !l->in || l->sequence >= tally->base)
            continue;
        if (must_wait(tally, l)) {
            tally_queue_answer(tally, a.voter, l->sequence);
            continue;
        }
        describe_answer(tally, &a, command);
        l->in = false;
        return true;
    }
    if (!tally->counting)
        return false;
    const struct decision *d = decision_at(tally, tally->base);

    command->kind = TALLY_COUNT;
    command->slot = (uint32_t)(tally->base % tally->config.window);
    command->kept = (uint32_t)(tally->base % tally->config.kept);
    command->header = (struct header){.sequence = tally->base, .call = d->call};
    command->mask = &d->mask;
    return true;
}

void tally_put_off(struct tally *tally, const struct tally_command *command)
{
    struct landing *l =
        landing_at(tally, command->voter, command->header.sequence);

    l->in = true;
    l->queued = true;
    tally->put_off[tally->put_off_count++] =
        (struct answer){.voter = command->voter, .slot = command->slot};
}

void tally_resume(struct tally *tally)
{
    for (uint32_t i = 0; i < tally->put_off_count; i++)
        push_answer(tally, tally->put_off[i]);
    tally->put_off_count = 0;
}

void tally_counted(struct tally *tally, uint64_t now_ns)
{
    assert(tally->counting);
    tally->counting = false;
    decide_close(tally);
    decide_ready(tally, now_ns);
}
