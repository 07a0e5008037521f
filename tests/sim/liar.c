/* SPDX-License-Identifier: Apache-2.0 */
/* liar.c - what a liar may do: anything, in its own slots. */
#include "liar.h"

#include <string.h>

/* A lie about one field of the header line, in the order of FATE_LIED_*. */
static enum fate lie(struct sim *sim, const struct plan *plan,
                     struct header *header, uint32_t *bytes)
{
    const uint64_t steps[] = {1, (uint64_t)-1, plan->window, 1 << 20,
                              (uint64_t)0 - plan->window};
    uint64_t step = steps[sim_below(sim, 5)];
    const struct shape shape = plan_shape(plan);
    uint32_t most = slot_bytes_for(&shape);
    enum fate fate =
        FATE_LIED_MAGIC +
        (enum fate)sim_below(sim, FATE_LIED_BYTES - FATE_LIED_MAGIC + 1);

    switch (fate) {
    case FATE_LIED_MAGIC: header->magic ^= 1; break;
    case FATE_LIED_EPOCH: header->epoch--; break;
    case FATE_LIED_SEQUENCE: header->sequence += step; break;
    case FATE_LIED_ROUND: header->call.round += step; break;
    case FATE_LIED_COUNT: header->call.count += step * 512; break;
    case FATE_LIED_CHUNK: header->call.chunk += (uint32_t)step; break;
    case FATE_LIED_COORDINATES:
        header->call.coordinates += (uint32_t)step * 64;
        break;
    case FATE_LIED_DETAIL: header->call.detail += (uint32_t)step; break;
    case FATE_LIED_TYPE: header->call.type += (uint8_t)(step | 1); break;
    case FATE_LIED_OP: header->call.op ^= 0xf0; break;
    case FATE_LIED_ROWS: header->call.rows++; break;
    case FATE_LIED_KIND: header->kind++; break;
    case FATE_LIED_FLAGS: header->flags ^= (uint8_t)(step | 1); break;
    default: *bytes = 64 + 64 * (uint32_t)sim_below(sim, most / 64); break;
    }
    return fate;
}

static void lie_beside(struct oracle *o, uint32_t liar, uint32_t server,
                       uint32_t slot, const struct header *header,
                       uint32_t bytes)
{
    struct header lied = *header;

    o->run->fates[lie(o->sim, o->plan, &lied, &bytes)]++;
    o->run->fates[FATE_LIED_TWICE]++;
    sim_write(o->sim, liar, server, slot, 0, &lied, sizeof(lied));
    sim_announce(o->sim, liar, server, slot, bytes,
                 sim_below(o->sim, o->plan->network.stray_ns));
}

/* Announces what lies in one of its slots as if it were new. */
static void repeat(struct oracle *o, uint32_t liar, uint32_t server,
                   uint32_t bytes)
{
    uint32_t slot = (uint32_t)sim_below(o->sim, o->plan->window);

    o->run->fates[FATE_REPEATED]++;
    sim_announce(o->sim, liar, server, slot, bytes,
                 sim_below(o->sim, o->plan->network.stray_ns));
}

static void run_ahead(struct oracle *o, uint32_t liar, uint32_t server,
                      const struct header *header, uint32_t bytes)
{
    struct header ahead = *header;
    uint32_t window = o->plan->window;

    ahead.sequence += 1 + sim_below(o->sim, 2 * window);
    o->run->fates[FATE_AHEAD]++;
    sim_write(o->sim, liar, server, (uint32_t)(ahead.sequence % window), 0,
              &ahead, sizeof(ahead));
    sim_announce(o->sim, liar, server, (uint32_t)(ahead.sequence % window),
                 bytes, sim_below(o->sim, o->plan->network.stray_ns));
}

static void lie_signs(struct oracle *o, uint8_t *staged, uint32_t bytes)
{
    o->run->fates[FATE_LIED_SIGNS]++;
    for (uint32_t at = 64; at < bytes; at++)
        staged[at] ^= (uint8_t)sim_random(o->sim);
}

void liar_twists(struct oracle *oracle, uint32_t liar, uint32_t server,
                 uint32_t slot, void *staged, uint32_t *bytes)
{
    struct header header;

    memcpy(&header, staged, sizeof(header));
    if (header.call.round < oracle->plan->fault_round[liar])
        return;
    switch (sim_below(oracle->sim, 12)) {
    case 0:
        oracle->run->fates[lie(oracle->sim, oracle->plan, &header, bytes)]++;
        memcpy(staged, &header, sizeof(header));
        break;
    case 1:
    case 2: lie_beside(oracle, liar, server, slot, &header, *bytes); break;
    case 3: repeat(oracle, liar, server, *bytes); break;
    case 4: run_ahead(oracle, liar, server, &header, *bytes); break;
    case 5:
    case 6: lie_signs(oracle, staged, *bytes); break;
    default: break;
    }
}

void liar_disturbs(struct oracle *oracle, const struct vote *vote, bool after)
{
    for (uint32_t i = 0; i < vote->voters; i++) {
        const uint8_t *memory = (const uint8_t *)vote->signs[i];
        uint32_t voter, slot;
        uint64_t garbage[16];

        if (!sim_find_slot(oracle->sim, oracle->server, memory, &voter,
                           &slot) ||
            oracle->plan->roles[voter] != ROLE_LIAR ||
            sim_below(oracle->sim, 4) != 0)
            continue;
        for (int w = 0; w < 16; w++)
            garbage[w] = sim_random(oracle->sim);
        oracle->run->fates[after ? FATE_WRITTEN_AFTER_COUNT
                                 : FATE_WRITTEN_BEFORE_COUNT]++;
        sim_write(oracle->sim, voter, oracle->server, slot, 0, garbage,
                  sizeof(garbage));
    }
}
