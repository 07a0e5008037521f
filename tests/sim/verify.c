/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - what a rank was told and was given, against the oracle's count. */
#include <inttypes.h>
#include <string.h>

#include "oracle.h"

static const uint8_t guard_byte = 0xa5;
static const float rate = 0.5f, decay = 0.25f;

size_t oracle_vector_bytes(const struct planned_call *call)
{
    static const uint8_t bytes[TYPES] = {
        [TYPE_FLOAT32] = 4,
        [TYPE_FLOAT16] = 2,
        [TYPE_BFLOAT16] = 2,
        [TYPE_FLOAT64] = 8,
    };

    if (call->type == TYPE_SIGNS)
        return (size_t)(call->count + 63) / 64 * 8;
    return (size_t)call->count * bytes[call->type];
}

static float parameter(uint64_t i)
{
    return (float)(i % 7) - 3;
}

void oracle_fill(const struct open_call *call)
{
    size_t bytes = oracle_vector_bytes(&call->call);

    memset(call->recv, guard_byte, bytes + RECV_GUARD_BYTES);
    if (call->call.kind != KIND_FUSED)
        return;
    memset(call->momentum, 0, bytes);
    for (uint64_t i = 0; i < call->call.count; i++)
        ((float *)call->recv)[i] = parameter(i);
}

/* ---- What was written ---------------------------------------------------- */

static bool is_untouched(const struct open_call *call)
{
    const uint8_t *recv = call->recv;
    size_t bytes = oracle_vector_bytes(&call->call), at = 0;

    if (call->call.kind == KIND_FUSED) {
        for (uint64_t i = 0; i < call->call.count; i++)
            if (((const float *)call->recv)[i] != parameter(i))
                return false;
        at = bytes;
    } else if (call->call.kind == KIND_REDUCE ||
               call->call.kind == KIND_TASKS ||
               call->call.kind == KIND_REPORT) {
        at = bytes; /* whole chunks may have come before the failure */
    }
    for (; at < bytes + RECV_GUARD_BYTES; at++)
        if (recv[at] != guard_byte)
            return false;
    return true;
}

static bool value_is(const struct open_call *call, uint64_t i, bool minus,
                     bool zero)
{
    const float sign = zero ? 0.0f : minus ? -1.0f : 1.0f;
    const uint16_t *halves = call->recv;
    uint16_t half = call->call.type == TYPE_FLOAT16 ? 0x3c00 : 0x3f80;

    if (call->call.kind == KIND_FUSED) {
        float x = parameter(i);

        return ((const float *)call->recv)[i] == x - rate * (sign + decay * x);
    }
    switch (call->call.type) {
    case TYPE_FLOAT32: return ((const float *)call->recv)[i] == sign;
    case TYPE_FLOAT64: return ((const double *)call->recv)[i] == (double)sign;
    default: return halves[i] == (zero ? 0 : half | (minus ? 0x8000 : 0));
    }
}

static void check_values(const struct oracle *o, uint32_t rank,
                         const struct open_call *call)
{
    const struct truth *truth = &o->rounds[call->round];
    size_t bytes = oracle_vector_bytes(&call->call);
    const uint8_t *guard = (const uint8_t *)call->recv + bytes;

    for (uint64_t i = 0; i < call->call.count; i++) {
        uint64_t minus = truth->signs[i / 64] >> i % 64 & 1;
        uint64_t zero = truth->zeros[i / 64] >> i % 64 & 1;

        if (call->call.type == TYPE_SIGNS) {
            if (((const uint64_t *)call->recv)[i / 64] ==
                truth->signs[i / 64]) {
                i |= 63;
                continue;
            }
        } else if (value_is(call, i, minus, zero)) {
            continue;
        }
        run_fail(o->run,
                 "rank %u, round %" PRIu64 ": coordinate %" PRIu64
                 " is not what the recount gives (minus %d, zero %d)",
                 rank, call->round, i, (int)minus, (int)zero);
        return;
    }
    for (size_t i = 0; i < RECV_GUARD_BYTES; i++)
        if (guard[i] != guard_byte) {
            run_fail(o->run, "rank %u, round %" PRIu64 ": wrote beyond count",
                     rank, call->round);
            return;
        }
}

/* ---- What was answered ----------------------------------------------------
 */

/* One plane of a chunk; what is behind its last word does not travel. */
static bool plane_is(const uint8_t *plane, const uint64_t *truth,
                     uint32_t coordinates)
{
    for (uint32_t w = 0; w < (coordinates + 63) / 64; w++) {
        uint64_t word;

        memcpy(&word, plane + (size_t)w * 8, 8);
        if (word != truth[w])
            return false;
    }
    return true;
}

void oracle_answered(struct oracle *oracle, uint32_t server, uint32_t voter,
                     const void *message)
{
    const struct plan *plan = oracle->plan;
    const struct shape shape = plan_shape(plan);
    const uint8_t *payload = (const uint8_t *)message + sizeof(struct header);
    struct rank_mask mask = {0};
    const struct truth *truth;
    const struct finding *verdict;
    struct header h;
    uint32_t first;

    memcpy(&h, message, sizeof(h));
    if (h.status != STATUS_OK || h.call.coordinates == 0 ||
        h.call.round >= plan->rounds)
        return;
    truth = &oracle->rounds[h.call.round];
    verdict = &truth->chunks[h.call.chunk % PLAN_CHUNKS_MAX];
    first = h.call.chunk * (whole_chunk(&shape, &h.call) / 64);
    mask.words[0] = h.mask;
    if (plan->ranks > 64) {
        memcpy(mask.words, payload, 64);
        payload += 64;
    }
    if (memcmp(&mask, &verdict->voters, sizeof(mask)) != 0 ||
        !plane_is(payload, truth->signs + first, h.call.coordinates) ||
        (plan->rules.ties == TIES_ZERO &&
         !plane_is(payload + (h.call.coordinates + 511) / 512 * 64,
                   truth->zeros + first, h.call.coordinates)))
        run_fail(oracle->run,
                 "server %u answers rank %u with another result for round "
                 "%" PRIu64 " chunk %u than the recount gives",
                 server, voter, h.call.round, h.call.chunk);
}

/* ---- What was told ------------------------------------------------------- */

static bool all_abstain(const struct oracle *o, uint64_t round)
{
    for (uint32_t r = 0; r < o->plan->ranks; r++) {
        struct planned_call call;

        plan_call(o->plan, r, round, &call);
        if (!call.abstain)
            return false;
    }
    return true;
}

static void check_masks(const struct oracle *o, uint32_t rank,
                        const struct open_call *call,
                        const struct majority_end *end)
{
    const struct truth *truth = &o->rounds[call->round];
    uint32_t chunks =
        (uint32_t)((call->call.count - 1) / call->call.chunk_coordinates) + 1;
    struct rank_mask every, some = {0};
    uint32_t least = UINT32_MAX;

    memset(&every, 0xff, sizeof(every));
    for (uint32_t c = 0; c < chunks; c++) {
        const struct finding *v = &truth->chunks[c];

        if (!v->counted && !all_abstain(o, call->round))
            run_fail(o->run,
                     "rank %u has round %" PRIu64
                     " chunk %u, which nobody counted",
                     rank, call->round, c);
        for (int w = 0; w < MASK_WORDS; w++) {
            every.words[w] &= v->voters.words[w];
            some.words[w] |= v->voters.words[w];
        }
        if (v->voters_count < least)
            least = v->voters_count;
    }
    if (memcmp(&every, &end->every, sizeof(every)) != 0 ||
        memcmp(&some, &end->some, sizeof(some)) != 0 || least != end->least)
        run_fail(o->run,
                 "rank %u, round %" PRIu64 ": told that %016" PRIx64
                 " voted everywhere, it was %016" PRIx64
                 " (somewhere %016" PRIx64 ", %016" PRIx64 "; least %u, %u)",
                 rank, call->round, end->every.words[0], every.words[0],
                 end->some.words[0], some.words[0], end->least, least);
}

/* The voters of a call without coordinates are the same for all, and enough. */
static void check_entry(struct oracle *o, uint32_t rank,
                        const struct open_call *call,
                        const struct majority_end *end)
{
    struct truth *truth = &o->rounds[call->round];
    uint32_t wanted = o->plan->quorum == 0 ? o->plan->ranks : o->plan->quorum;
    uint32_t count = 0;

    if (!truth->entered)
        truth->voters = end->every;
    truth->entered = true;
    /* A liar may have asked for the result without a vote. */
    for (uint32_t r = 0; r < o->plan->ranks; r++)
        count += mask_has(&end->every, r) ||
                 (o->plan->quorum == 0 && o->plan->roles[r] == ROLE_LIAR);
    if (memcmp(&truth->voters, &end->every, sizeof(end->every)) != 0)
        run_fail(o->run,
                 "rank %u, round %" PRIu64 ": other voters than told "
                 "to another rank",
                 rank, call->round);
    if (count < wanted)
        run_fail(o->run, "rank %u, round %" PRIu64 ": %u voters, %u are wanted",
                 rank, call->round, count, wanted);
}

static void check_ok(struct oracle *o, uint32_t rank,
                     const struct open_call *call,
                     const struct majority_end *end)
{
    struct planned_call agreed;

    plan_agreed_call(o->plan, call->round, &agreed);
    if (agreed.count != call->call.count || agreed.kind != call->call.kind)
        run_fail(o->run,
                 "rank %u, round %" PRIu64 ": OK, but the others "
                 "called something else",
                 rank, call->round);
    else if (call->call.kind == KIND_ENTRY)
        check_entry(o, rank, call, end);
    else
        check_masks(o, rank, call, end);
    if (call->call.kind == KIND_RELEASE && !is_untouched(call))
        run_fail(o->run, "rank %u: a release gives something", rank);
    else if (call->call.kind != KIND_ENTRY && call->call.kind != KIND_RELEASE &&
             !o->run->failed)
        check_values(o, rank, call);
}

void oracle_ended(struct oracle *oracle, uint32_t rank,
                  const struct open_call *call, const struct majority_end *end)
{
    oracle->run->ended++;
    if (end->round != call->round)
        run_fail(oracle->run, "rank %u: round %" PRIu64 " ended as %" PRIu64,
                 rank, call->round, end->round);
    else if (end->status == STATUS_OK)
        check_ok(oracle, rank, call, end);
    else if (!is_untouched(call))
        run_fail(oracle->run,
                 "rank %u: round %" PRIu64 " failed and left its mark", rank,
                 call->round);
}
