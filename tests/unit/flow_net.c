/* SPDX-License-Identifier: Apache-2.0 */
/* flow_net.c - a transport of queues, and ranks that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow_net.h"

struct net net;

uint64_t net_draw(void)
{
    uint64_t z = net.random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static struct wire *wire_of(uint32_t from, uint32_t to)
{
    return &net.wires[from * net.ranks + to];
}

/* ---- A transport ---- */

static void *wire_stage(struct endpoint *endpoint, uint32_t peer, uint32_t slot)
{
    struct wire *w = wire_of(((struct node *)(void *)endpoint)->rank, peer);

    return w->leaving[slot] ? NULL : w->staged[slot];
}

static int wire_put(struct endpoint *endpoint, uint32_t peer, uint32_t slot,
                    uint32_t bytes)
{
    struct wire *w = wire_of(((struct node *)(void *)endpoint)->rank, peer);

    assert_true(slot < SLOTS && bytes >= LINE_BYTES && bytes <= WIDE_BYTES);
    assert_true(bytes % 8 == 0 && w->count < QUEUE && !w->leaving[slot]);
    w->leaving[slot] = true;
    w->puts[(w->first + w->count++) % QUEUE] =
        (struct put){.slot = slot, .bytes = bytes};
    return 0;
}

static int wire_put_from(struct endpoint *endpoint, uint32_t peer,
                         uint32_t slot, uint32_t bytes, const void *memory,
                         uint32_t memory_bytes)
{
    struct wire *w = wire_of(((struct node *)(void *)endpoint)->rank, peer);
    struct put *put;

    assert_true(memory_bytes > 0 && memory_bytes <= bytes - LINE_BYTES);
    wire_put(endpoint, peer, slot, bytes);
    put = &w->puts[(w->first + w->count - 1) % QUEUE];
    put->memory = memory;
    put->memory_bytes = memory_bytes;
    net.held++;
    return 0;
}

static void stage_rest(struct wire *w, struct put *put)
{
    if (put->memory != NULL)
        memcpy(w->staged[put->slot] + put->bytes - put->memory_bytes,
               put->memory, put->memory_bytes);
    put->memory = NULL;
}

static int wire_put_with(struct endpoint *endpoint, uint32_t peer,
                         uint32_t slot, uint32_t bytes, const void *memory,
                         uint32_t memory_bytes)
{
    struct wire *w = wire_of(((struct node *)(void *)endpoint)->rank, peer);

    wire_put_from(endpoint, peer, slot, bytes, memory, memory_bytes);
    stage_rest(w, &w->puts[(w->first + w->count - 1) % QUEUE]);
    return 0;
}

static void wire_let_go(struct endpoint *endpoint, uint32_t peer)
{
    struct wire *w = wire_of(((struct node *)(void *)endpoint)->rank, peer);

    for (uint32_t i = 0; i < w->count; i++)
        stage_rest(w, &w->puts[(w->first + i) % QUEUE]);
}

/* Fragments of one move are put either way. */
static bool wire_keeps(struct endpoint *endpoint, uint32_t peer, uint32_t bytes)
{
    assert_true(endpoint != NULL && peer < net.ranks && bytes < WIDE_BYTES);
    return net_draw() % 4 != 0;
}

/* No put that is on its way may be of what was there. */
static void wire_share(struct endpoint *endpoint, uint32_t place,
                       const void *memory, uint32_t bytes)
{
    struct node *n = (void *)endpoint;

    assert_true(place < STREAM_WINDOW && bytes <= WIDE_BYTES - LINE_BYTES);
    for (uint32_t to = 0; to < net.ranks; to++) {
        const struct wire *w = wire_of(n->rank, to);

        for (uint32_t i = 0; i < w->count; i++)
            assert_true(w->puts[(w->first + i) % QUEUE].shared != place + 1);
    }
    memcpy(n->shared[place], memory, bytes);
}

static int wire_put_shared(struct endpoint *endpoint, uint32_t peer,
                           uint32_t slot, uint32_t bytes, uint32_t place)
{
    struct wire *w = wire_of(((struct node *)(void *)endpoint)->rank, peer);

    assert_true(place < STREAM_WINDOW);
    wire_put(endpoint, peer, slot, bytes);
    w->puts[(w->first + w->count - 1) % QUEUE].shared = place + 1;
    net.shared++;
    return 0;
}

static const struct transport wires = {
    .stage = wire_stage,
    .put = wire_put,
    .put_from = wire_put_from,
    .put_with = wire_put_with,
    .keeps = wire_keeps,
    .let_go = wire_let_go,
};

static const struct transport sharing_wires = {
    .stage = wire_stage,
    .put = wire_put,
    .put_with = wire_put_with,
    .shared = STREAM_WINDOW,
    .share = wire_share,
    .put_shared = wire_put_shared,
};

/* ---- Brief messages ---- */

static int wire_put_brief(struct endpoint *endpoint, uint32_t peer,
                          const uint32_t head[BRIEF_HEAD], const void *body,
                          uint32_t bytes)
{
    struct wire *w = wire_of(((struct node *)(void *)endpoint)->rank, peer);
    struct note *n = &w->notes[w->notes_given % NOTES];

    assert_true(bytes <= BRIEF_BYTES);
    if (w->notes_given - w->notes_taken == NOTES)
        return -EAGAIN;
    memcpy(n->head, head, sizeof(n->head));
    if (bytes > 0)
        memcpy(n->body, body, bytes);
    n->bytes = bytes;
    w->notes_given++;
    net.briefs++;
    return 0;
}

static int wire_peek_brief(struct endpoint *endpoint, uint32_t peer,
                           uint32_t head[BRIEF_HEAD])
{
    struct wire *w = wire_of(peer, ((struct node *)(void *)endpoint)->rank);
    const struct note *n = &w->notes[w->notes_taken % NOTES];

    if (w->notes_taken == w->notes_here)
        return -EAGAIN;
    memcpy(head, n->head, sizeof(n->head));
    return (int)n->bytes;
}

static void wire_take_brief(struct endpoint *endpoint, uint32_t peer,
                            void *body, uint32_t bytes)
{
    struct wire *w = wire_of(peer, ((struct node *)(void *)endpoint)->rank);
    const struct note *n = &w->notes[w->notes_taken % NOTES];

    assert_true(w->notes_taken != w->notes_here);
    assert_true(bytes == n->bytes || bytes == 0);
    if (bytes > 0)
        memcpy(body, n->body, bytes);
    w->notes_taken++;
}

static const struct transport brief_wires = {
    .stage = wire_stage,
    .put = wire_put,
    .put_from = wire_put_from,
    .put_with = wire_put_with,
    .let_go = wire_let_go,
    .put_brief = wire_put_brief,
    .peek_brief = wire_peek_brief,
    .take_brief = wire_take_brief,
};

static void lie_briefly(struct note *n)
{
    net.lies++;
    switch (net_draw() % 4) {
    case 0: n->head[0] += (uint32_t)(net_draw() % 5) - 2; break;
    case 1: n->head[net_draw() % BRIEF_HEAD] ^= 1u << net_draw() % 32; break;
    case 2: n->bytes = (uint32_t)(net_draw() % (BRIEF_BYTES + 1)); break;
    default: n->head[net_draw() % BRIEF_HEAD] = (uint32_t)net_draw(); break;
    }
}

/* The next brief message of that wire is here, if there is one. */
static bool deliver_brief(uint32_t from, uint32_t to)
{
    struct wire *w = wire_of(from, to);

    if (w->notes_here == w->notes_given)
        return false;
    if (from == net.liar && net_draw() % 4 == 0)
        lie_briefly(&w->notes[w->notes_here % NOTES]);
    w->notes_here++;
    /* Its event may come later than who looks by itself. */
    if (net_draw() % 2 == 0)
        flow_step(net.nodes[to].flow, 1);
    flow_briefed(net.nodes[to].flow, from);
    return true;
}

/* All but the first line may land elsewhere; then it is not in the slot. */
static const void *land(uint32_t from, uint32_t to, uint32_t slot,
                        uint32_t bytes)
{
    uint8_t *memory = wire_of(from, to)->slots[slot];
    void *apart = NULL;
    uint32_t index;

    if (lane_of(WINDOW, slot, &index) == LANE_STREAM)
        apart = flow_place(net.nodes[to].flow, from, index, memory, bytes);
    if (apart == NULL)
        return NULL;
    memcpy(apart, memory + LINE_BYTES, bytes - LINE_BYTES);
    memset(memory + LINE_BYTES, 0xee, bytes - LINE_BYTES);
    net.apart++;
    return apart;
}

static void arrives(uint32_t from, uint32_t to, const struct put *put)
{
    uint32_t slot = put->slot, bytes = put->bytes;
    const struct event event = {
        .kind = EVENT_ARRIVED,
        .peer = from,
        .slot = slot,
        .bytes = bytes,
        .memory = wire_of(from, to)->slots[slot],
        .apart = put->shared > 0 ? net.nodes[from].shared[put->shared - 1]
                                 : land(from, to, slot, bytes),
    };
    uint32_t index;

    if (lane_of(WINDOW, slot, &index) == LANE_STREAM)
        flow_arrived(net.nodes[to].flow, &event, index);
    else if (lane_of(WINDOW, slot, &index) == LANE_CREDIT)
        flow_credited(net.nodes[to].flow, &event);
}

/* ---- Lies ---- */

/* A message of the liar's is changed, or comes twice, or into another slot. */
static void lie(struct wire *w, struct put *put)
{
    struct header header;

    memcpy(&header, w->slots[put->slot], sizeof(header));
    net.lies++;
    switch (net_draw() % 10) {
    case 0: header.sequence += net_draw() % 20 - 10; break;
    case 1: header.epoch++; break;
    case 2: header.call.count ^= UINT64_C(1) << net_draw() % 20; break;
    case 3: header.call.round += net_draw() % 5 - 2; break;
    case 4: header.call.op = (uint8_t)net_draw(); break;
    case 5: header.mask = net_draw(); break;
    case 6: header.kind = (uint8_t)net_draw(); break;
    case 7: put->bytes = LINE_BYTES + (uint32_t)(net_draw() % 17) * 8; break;
    case 8:
        put->slot = 2 * WINDOW + (uint32_t)(net_draw() % (2 * STREAM_WINDOW));
        break;
    default:
        header.sequence = net_draw();
        header.mask += net_draw() % 9;
        break;
    }
    memcpy(w->slots[put->slot], &header, sizeof(header));
}

/* The next put of that wire, if there is one. */
bool net_deliver(uint32_t from, uint32_t to)
{
    struct wire *w = wire_of(from, to);
    struct put put;

    if (w->count == 0)
        return false;
    put = w->puts[w->first];
    w->first = (w->first + 1) % QUEUE;
    w->count--;
    stage_rest(w, &put);
    memcpy(w->slots[put.slot], w->staged[put.slot], put.bytes);
    w->leaving[put.slot] = false;
    if (from == net.liar && net_draw() % 4 == 0) {
        if (net_draw() % 2 == 0)
            arrives(from, to, &put);
        lie(w, &put);
    }
    arrives(from, to, &put);
    return true;
}

/* ---- Ranks ---- */

static const struct transport *choose_transport(uint64_t seed)
{
    if (net.brief)
        return &brief_wires;
    return seed / 3 % 2 == 0 ? &wires : &sharing_wires;
}

/* Fragments as slots have room for, or less, or more than slots for votes have:
 * those of a transport that likes its own. */
static void choose_fragments(struct flow_config *config, uint64_t seed)
{
    config->slot_bytes = SLOT_BYTES;
    if (seed % 3 == 1)
        config->stream_bytes = SLOT_BYTES - LINE_BYTES - 64;
    if (seed % 3 == 2) {
        config->slot_bytes = SLOT_BYTES - 64;
        config->stream_bytes = SLOT_BYTES - LINE_BYTES;
    }
}

void net_open(uint32_t ranks, uint64_t seed)
{
    net.ranks = ranks;
    net.random = seed;
    net.liar = RANKS;
    net.wires = calloc((size_t)ranks * ranks, sizeof(*net.wires));
    assert_non_null(net.wires);
    for (uint32_t r = 0; r < ranks; r++) {
        struct node *n = &net.nodes[r];
        struct flow_config config = {
            .rank = r,
            .ranks = ranks,
            .window = WINDOW,
            .epoch = EPOCH,
            .apart_bytes = 64,
            .direct_bytes = 192,
            .shared_bytes = 64,
            .brief_bytes = net.brief ? BRIEF_BYTES : 0,
            .crowded = net.crowded,
            .links = n->links,
        };

        choose_fragments(&config, seed);
        *n = (struct node){.rank = r};
        for (uint32_t p = 0; p < ranks; p++)
            n->links[p] = (struct link){
                .transport = choose_transport(seed),
                .endpoint = (struct endpoint *)(void *)n,
                .peer = p,
            };
        assert_int_equal(flow_open(&n->flow, &config), 0);
    }
}

void net_close(void)
{
    for (uint32_t r = 0; r < net.ranks; r++)
        flow_close(net.nodes[r].flow);
    free(net.wires);
}

static bool has_memory_on_the_way(const struct node *n)
{
    for (uint32_t p = 0; p < net.ranks; p++) {
        const struct wire *w = wire_of(n->rank, p);

        for (uint32_t i = 0; i < w->count; i++)
            if (w->puts[(w->first + i) % QUEUE].memory != NULL)
                return true;
    }
    return false;
}

/* One round of everything that can happen, each or not as it is drawn; false:
 * nothing could. */
static bool turn(void)
{
    bool moved = false;
    uint32_t begin = (uint32_t)(net_draw() % net.ranks);

    for (uint32_t i = 0; i < net.ranks; i++) {
        struct node *n = &net.nodes[(begin + i) % net.ranks];

        for (uint32_t p = 0; p < net.ranks; p++)
            if (wire_of(p, n->rank)->count > 0)
                moved |= net_draw() % 3 == 0 || net_deliver(p, n->rank);
        for (uint32_t p = 0; p < net.ranks; p++)
            if (wire_of(p, n->rank)->notes_here !=
                wire_of(p, n->rank)->notes_given)
                moved |= net_draw() % 3 == 0 || deliver_brief(p, n->rank);
        for (uint64_t steps = net_draw() % 4; steps > 0; steps--)
            moved |= flow_step(n->flow, 1) > 0;
        if (flow_ended(n->flow) != NULL) {
            moved = n->ended = true;
            assert_false(has_memory_on_the_way(n));
        }
        if (flow_differs(n->flow, &n->difference))
            moved = n->differs = true;
    }
    return moved;
}

/* Until nothing happens, however it is drawn. */
void net_run(void)
{
    for (int still = 0; still < 20;)
        still = turn() ? 0 : still + 1;
}

void net_begin(struct flow_call *calls)
{
    uint32_t begin = (uint32_t)(net_draw() % net.ranks);

    for (uint32_t i = 0; i < net.ranks; i++) {
        uint32_t r = (begin + i) % net.ranks;
        struct node *n = &net.nodes[r];

        n->ended = n->differs = false;
        calls[r].context = n;
        if (calls[r].call.op != CALL_SEND) {
            calls[r].call.round = flow_noted(n->flow);
            flow_note(n->flow, &calls[r].call);
        }
        assert_int_equal(flow_begin(n->flow, 1, &calls[r]), 0);
        /* Some are on their way before others have called. */
        if (net_draw() % 2 == 0)
            turn();
    }
}
