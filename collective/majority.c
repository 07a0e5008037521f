/* SPDX-License-Identifier: Apache-2.0 */
/* majority.c - a round seen from a rank: pack, put, apply. */
#include "majority.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../transport/memory.h"
#include "lanes.h"
#include "packing.h"

/* A call under way, at its caster's round_slot. */
struct voting {
    struct majority_call call;
    bool live;     /* its buffers may be used */
    bool far;      /* what it writes is larger than the caches */
    bool updating; /* fused: all results are in */
    uint64_t next; /* fused: first coordinate that is not updated */
    struct majority_end end;
};

/* A result that waits to be applied. */
struct waiting {
    struct caster_result result;
    const uint8_t *memory;
};

struct majority {
    struct majority_config config;
    struct caster *caster;
    struct voting rounds[ROUNDS_MAX];
    struct waiting *waiting; /* ring of servers * window */
    uint32_t waiting_size, waiting_head, waiting_count;
    int fused;            /* round_slot of the fused step under way, or -1 */
    uint8_t *reserve;     /* its results: signs, then ties */
    size_t reserve_plane; /* bytes */
    struct majority_counts counts;
};

static uint32_t planes_down(const struct majority *m)
{
    return m->config.caster.shape.planes_down;
}

static uint32_t words_of(const struct majority *m)
{
    return mask_words(m->config.caster.shape.ranks);
}

int majority_open(struct majority **majority,
                  const struct majority_config *config)
{
    struct majority *m = calloc(1, sizeof(*m));
    void *reserve = NULL;
    int rc;

    if (m == NULL)
        return -ENOMEM;
    m->config = *config;
    m->fused = -1;
    m->waiting_size = config->caster.servers * config->caster.window;
    m->waiting = calloc(m->waiting_size, sizeof(*m->waiting));
    m->reserve_plane = lines_for(config->fused_max) * LINE_BYTES;
    rc =
        m->waiting == NULL ? -ENOMEM : caster_open(&m->caster, &config->caster);
    if (rc == 0)
        rc = memory_map(&reserve, m->reserve_plane * planes_down(m));
    m->reserve = reserve;
    if (rc < 0) {
        majority_close(m);
        return rc;
    }
    *majority = m;
    return 0;
}

void majority_close(struct majority *majority)
{
    if (majority == NULL)
        return;
    if (majority->reserve != NULL)
        memory_unmap(majority->reserve,
                     majority->reserve_plane * planes_down(majority));
    free(majority->waiting);
    caster_close(majority->caster);
    free(majority);
}

int majority_begin(struct majority *majority, const struct majority_call *call)
{
    struct voting *v;
    uint64_t number;
    int slot;

    /* A fused step keeps its place until its last chunk is updated, which may
     * be long after the caster has forgotten the round. */
    v = &majority->rounds[caster_round(majority->caster) % ROUNDS_MAX];
    if (v->live || (packing_fused(call) && majority->fused >= 0))
        return -EAGAIN;
    slot = caster_begin(majority->caster, &call->round, &number);
    if (slot < 0)
        return slot;
    v = &majority->rounds[slot];
    v->call = *call;
    v->live = true;
    /* Ranks of a host share its caches. 16 ranks with 4 MB each gain a tenth of
     * the whole (Zen 4). */
    v->far = call->kind != MAJORITY_ENTRY &&
             packing_bits[call->round.type] * call->round.count / 8 *
                     majority->config.local_ranks >=
                 FAR_BYTES;
    v->updating = false;
    v->next = 0;
    v->end = (struct majority_end){
        .context = call->context,
        .round = number,
        .least = UINT32_MAX,
    };
    memset(&v->end.every, 0xff, words_of(majority) * sizeof(uint64_t));
    if (packing_fused(call))
        majority->fused = slot;
    return 0;
}

uint64_t majority_round(const struct majority *majority)
{
    return caster_round(majority->caster);
}

void majority_arrived(struct majority *majority, uint32_t server,
                      const struct event *event, uint32_t slot)
{
    struct header header;
    struct waiting *w;

    memcpy(&header, event->memory, sizeof(header));
    w = &majority->waiting[(majority->waiting_head + majority->waiting_count) %
                           majority->waiting_size];
    if (caster_arrived(majority->caster, server, slot, &header, event->bytes,
                       &w->result) < 0) {
        majority->counts.dropped++;
        return;
    }
    /* Each slot holds one awaited result at most, so there is room. */
    w->memory = event->memory;
    majority->waiting_count++;
}

/* ---- Results ---- */

/* Bytes of a chunk in a caller's vector, and a line for what comes with it. */
static size_t bytes_of(const struct call *call)
{
    if (call->coordinates == 0) /* no vote: any type */
        return LINE_BYTES;
    return LINE_BYTES +
           (size_t)call->coordinates * packing_bits[call->type] / 8;
}

static void note_voters(struct majority *m, struct voting *v,
                        const struct caster_result *result,
                        const uint8_t *memory)
{
    uint32_t words = words_of(m), count;
    struct rank_mask mask; /* of these words */

    if (mask_lines(m->config.caster.shape.ranks) == 0)
        mask.words[0] = result->header.mask;
    else
        memcpy(mask.words, memory + LINE_BYTES, words * sizeof(uint64_t));
    if (result->header.status != STATUS_OK) {
        memcpy(v->end.every.words, mask.words, words * sizeof(uint64_t));
        return;
    }
    count = mask_count_of(&mask, words);
    if (count < v->end.least)
        v->end.least = count;
    for (uint32_t w = 0; w < words; w++) {
        v->end.every.words[w] &= mask.words[w];
        v->end.some.words[w] |= mask.words[w];
    }
}

static void keep_fused(struct majority *m, uint64_t first, uint32_t count,
                       const uint8_t *payload)
{
    size_t plane = lines_for(count) * LINE_BYTES;

    for (uint32_t p = 0; p < planes_down(m); p++)
        memcpy(m->reserve + p * m->reserve_plane + first / 8,
               payload + p * plane, plane);
}

static void apply_signs(struct majority *m, struct voting *v,
                        const struct caster_result *result,
                        const uint8_t *payload)
{
    const struct call *call = &result->header.call;
    const uint64_t *signs = (const uint64_t *)(const void *)payload;
    const uint64_t *zeros = NULL;

    if (call->coordinates == 0)
        return;
    if (v->call.kind == MAJORITY_QUESTION) {
        if (v->call.recv != NULL)
            memcpy((uint8_t *)v->call.recv + result->first / 8, payload,
                   call->coordinates / 8);
        return;
    }
    if (packing_fused(&v->call)) {
        keep_fused(m, result->first, call->coordinates, payload);
        return;
    }
    if (planes_down(m) == 2)
        zeros = signs + lines_for(call->coordinates) * LINE_WORDS;
    if (v->call.kind != MAJORITY_REDUCE)
        crew_apply(m->config.crew, m->config.kernels, call->type,
                   packing_element(v->call.recv, call->type, result->first),
                   signs, zeros, 1.0f, call->coordinates, v->far);
    else
        packing_apply(&m->config, &v->call, result->first, call->coordinates,
                      signs, zeros, v->far);
}

static size_t apply_result(struct majority *m, uint64_t now_ns)
{
    struct waiting *w = &m->waiting[m->waiting_head];
    struct caster_result *result = &w->result;
    struct voting *v = &m->rounds[result->round_slot];
    bool wanted = caster_wants(m->caster, result) && v->live;
    size_t bytes = LINE_BYTES;
    const uint8_t *payload =
        w->memory +
        (size_t)LINE_BYTES * (1 + mask_lines(m->config.caster.shape.ranks));

    m->waiting_head = (m->waiting_head + 1) % m->waiting_size;
    m->waiting_count--;
    if (result->header.status == STATUS_DIFFERS) {
        struct difference difference;

        memcpy(&difference, payload, sizeof(difference));
        result->next_round = difference.next_round;
        result->next_sequence = difference.next_sequence;
        if (wanted)
            v->end.difference = difference;
    }
    if (wanted) {
        note_voters(m, v, result, w->memory);
        v->end.rank = result->header.rank;
        if (result->header.status == STATUS_OK) {
            bytes = bytes_of(&result->header.call);
            if (result->header.flags & FLAG_LANDS)
                m->counts.direct_bytes += bytes - LINE_BYTES;
            else
                apply_signs(m, v, result, payload);
        }
    }
    link_release(&m->config.links[result->server],
                 lane_first(m->config.caster.window, LANE_RESULT) +
                     result->slot);
    caster_consumed(m->caster, now_ns, result);
    return bytes;
}

/* ---- Puts ---- */

/*
 * The whole lines of a chunk's packed signs in the caller's vector, or NULL if
 * there is more to do than to carry them: the last line of a vector may not be
 * whole, and other types have to be packed.
 */
static void *packed_lines(const struct majority *m, const struct voting *v,
                          const struct caster_put *put, const void *vector)
{
    const struct call *call = &put->header.call;

    if (v->call.kind != MAJORITY_REDUCE || packing_bits[call->type] != 1 ||
        call->coordinates == 0 || call->coordinates % LINE_COORDINATES != 0 ||
        (put->header.flags & FLAG_ABSTAIN) ||
        m->config.caster.shape.planes_up != 1 || planes_down(m) != 1)
        return NULL;
    return packing_element(vector, call->type, put->first);
}

/* Where a failed call is the end of the communicator, a result can land in the
 * caller's vector: otherwise it might come when the call is over. */
static void offer_landing(const struct majority *m, const struct voting *v,
                          const struct link *link, struct caster_put *put)
{
    void *lines = packing_keeps_all(&v->call)
                      ? packed_lines(m, v, put, v->call.recv)
                      : NULL;
    struct landing_place place;

    if (lines == NULL || !m->config.landing ||
        !link_offers(link, lines,
                     lines_for(put->header.call.coordinates) * LINE_BYTES,
                     &place))
        return;
    put->header.flags = FLAG_LANDS;
    put->header.rank = place.key;
    put->header.mask = place.address;
}

/* Sends a vote from the caller's memory, where that is enrolled. */
static int put_packed(struct majority *m, const struct voting *v,
                      const struct link *link, uint32_t slot,
                      const struct caster_put *put)
{
    const void *lines = packed_lines(m, v, put, v->call.send);
    int rc;

    if (lines == NULL || link->transport->enrol == NULL)
        return -EFAULT;
    rc = link->transport->put_from(link->endpoint, link->peer, slot, put->bytes,
                                   lines, put->bytes - LINE_BYTES);
    if (rc == 0)
        m->counts.direct_bytes += put->bytes - LINE_BYTES;
    return rc;
}

/* False if the server's slot cannot be written now. */
static bool put_chunk(struct majority *m, uint64_t now_ns,
                      struct caster_put *put)
{
    struct voting *v = &m->rounds[put->round_slot];
    const struct link *link = &m->config.links[put->server];
    uint32_t slot = lane_first(m->config.caster.window, LANE_VOTE) + put->slot;
    uint8_t *place = link_stage(link, slot);
    int rc;

    if (place == NULL)
        return false;
    offer_landing(m, v, link, put);
    memcpy(place, &put->header, LINE_BYTES);
    rc = put_packed(m, v, link, slot, put);
    if (rc == -EFAULT) {
        if (!(put->header.flags & FLAG_ABSTAIN))
            packing_pack(&m->config, &v->call, put,
                         (uint64_t *)(void *)(place + LINE_BYTES));
        rc = link_put(link, slot, put->bytes);
    }
    if (rc < 0)
        return false;
    m->counts.puts++;
    m->counts.bytes_put += put->bytes;
    caster_put_done(m->caster, now_ns, put);
    return true;
}

/* ---- The fused update ---- */

/* Updates one chunk of the parameters, once the whole round is in. */
static size_t update_chunk(struct majority *m, struct voting *v)
{
    const struct majority_call *call = &v->call;
    uint64_t left = call->round.count - v->next;
    uint64_t count = left < call->round.chunk_coordinates
                         ? left
                         : call->round.chunk_coordinates;
    const uint8_t *signs = m->reserve + v->next / 8;
    const uint8_t *zeros =
        planes_down(m) == 2 ? signs + m->reserve_plane : NULL;

    crew_update(
        m->config.crew, m->config.kernels, (float *)call->recv + v->next,
        (const uint64_t *)(const void *)signs,
        (const uint64_t *)(const void *)zeros, call->rate, call->decay, count);
    v->next += count;
    return count * sizeof(float);
}

size_t majority_step(struct majority *majority, uint64_t now_ns)
{
    struct caster_put put;

    if (majority->waiting_count > 0)
        return apply_result(majority, now_ns);
    if (caster_next(majority->caster, &put) &&
        put_chunk(majority, now_ns, &put))
        return bytes_of(&put.header.call);
    if (majority->fused >= 0) {
        struct voting *v = &majority->rounds[majority->fused];

        if (v->updating && v->next < v->call.round.count)
            return update_chunk(majority, v);
    }
    return 0;
}

void majority_tick(struct majority *majority, uint64_t now_ns)
{
    caster_tick(majority->caster, now_ns);
}

uint64_t majority_deadline(const struct majority *majority)
{
    return caster_deadline(majority->caster);
}

/* ---- Ends ---- */

static struct majority_end *give_end(struct majority *m, struct voting *v)
{
    v->live = false;
    if (m->fused >= 0 && v == &m->rounds[m->fused])
        m->fused = -1;
    return &v->end;
}

struct majority_end *majority_ended(struct majority *majority)
{
    struct caster_end ended;

    if (majority->fused >= 0) {
        struct voting *v = &majority->rounds[majority->fused];

        if (v->updating && v->next == v->call.round.count)
            return give_end(majority, v);
    }
    while (caster_ended(majority->caster, &ended)) {
        struct voting *v = &majority->rounds[ended.round_slot];

        if (!v->live)
            continue;
        v->end.status = ended.status;
        v->end.timed_out = ended.timed_out;
        v->end.missing = ended.missing;
        if (packing_fused(&v->call) && ended.status == STATUS_OK) {
            v->updating = true;
            continue;
        }
        return give_end(majority, v);
    }
    return NULL;
}

struct majority_end *majority_complete(struct majority *majority)
{
    struct voting *v;

    if (majority->fused < 0)
        return NULL;
    v = &majority->rounds[majority->fused];
    if (!v->updating)
        return NULL;
    while (v->next < v->call.round.count)
        update_chunk(majority, v);
    return give_end(majority, v);
}

void majority_abandon(struct majority *majority)
{
    for (uint32_t i = 0; i < ROUNDS_MAX; i++)
        majority->rounds[i].live = false;
    majority->fused = -1;
}

void majority_count(const struct majority *majority,
                    struct majority_counts *counts)
{
    *counts = majority->counts;
}
