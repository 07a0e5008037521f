/* SPDX-License-Identifier: Apache-2.0 */
/* cast.c - who lies in which of the redundant tasks. */
#include "../include/ballot_attack.h"

#include <errno.h>
#include <string.h>

#include "aggregate/splitmix.h"

static bool has(const uint64_t *set, uint32_t worker)
{
    return set[worker / 64] >> worker % 64 & 1;
}

static void add(uint64_t *set, uint32_t worker)
{
    set[worker / 64] |= UINT64_C(1) << worker % 64;
}

static uint32_t size_of(const uint64_t *set)
{
    uint32_t size = 0;

    for (uint32_t w = 0; w < BALLOT_CAST_WORDS; w++)
        size += (uint32_t)__builtin_popcountll(set[w]);
    return size;
}

/* How many members are below `worker`. */
static uint32_t place_in(const uint64_t *set, uint32_t worker)
{
    uint32_t below = 0;

    for (uint32_t w = 0; w < worker; w++)
        below += has(set, w);
    return below;
}

/* ---- Casting ------------------------------------------------------------- */

/* The workers in the order in which they are cast: by number with seed 0, else
 * shuffled. */
static void line_up(uint8_t *order, uint32_t workers, uint64_t seed)
{
    uint64_t draw = splitmix(seed);

    for (uint32_t w = 0; w < workers; w++)
        order[w] = (uint8_t)w;
    for (uint32_t w = workers - 1; seed != 0 && w > 0; w--) {
        const uint8_t worker = order[w];
        uint64_t other;

        draw += SPLITMIX_STEP;
        other = splitmix(draw) % (w + 1);
        order[w] = order[other];
        order[other] = worker;
    }
}

static uint32_t victims_of(enum ballot_scheme scheme, uint32_t liars)
{
    switch (scheme) {
    case BALLOT_SCHEME_FIXED:
    case BALLOT_SCHEME_MATCHING: return liars;
    case BALLOT_SCHEME_TAKE_OVER: return liars - 1;
    case BALLOT_SCHEME_FRAMING:
    case BALLOT_SCHEME_SCAPEGOAT: return 1;
    default: return 0;
    }
}

/* Those who lie in all their tasks. */
static void raise_voices(struct ballot_cast *cast)
{
    uint32_t last = 0;

    if (cast->scheme != BALLOT_SCHEME_INDEPENDENT &&
        cast->scheme != BALLOT_SCHEME_PROMISE_BROKEN &&
        cast->scheme != BALLOT_SCHEME_SCAPEGOAT)
        return;
    memcpy(cast->loud, cast->liars, sizeof(cast->loud));
    if (cast->scheme != BALLOT_SCHEME_SCAPEGOAT)
        return;
    for (uint32_t w = 0; w < cast->workers; w++)
        if (has(cast->liars, w))
            last = w;
    cast->loud[last / 64] &= ~(UINT64_C(1) << last % 64);
}

int ballot_cast_among(struct ballot_cast *cast, enum ballot_scheme scheme,
                      uint32_t workers, const uint64_t *liars, uint64_t seed)
{
    const uint32_t count = size_of(liars);
    uint8_t order[BALLOT_CAST_WORKERS_MAX];
    uint32_t victims;

    if ((unsigned)scheme >= BALLOT_SCHEMES || workers < 1 ||
        workers > BALLOT_CAST_WORKERS_MAX || count < 1 ||
        place_in(liars, workers) != count ||
        (2 * count >= workers && scheme != BALLOT_SCHEME_PROMISE_BROKEN))
        return -EINVAL;
    *cast = (struct ballot_cast){
        .scheme = scheme, .workers = workers, .rate = 1.0f, .seed = seed};
    memcpy(cast->liars, liars, sizeof(cast->liars));
    raise_voices(cast);
    victims = victims_of(scheme, count);
    line_up(order, workers, seed);
    for (uint32_t i = 0; i < workers && victims > 0; i++)
        if (!has(liars, order[i])) {
            add(cast->victims, order[i]);
            victims--;
        }
    return 0;
}

int ballot_cast_draw(struct ballot_cast *cast, enum ballot_scheme scheme,
                     uint32_t workers, uint32_t liars, uint64_t seed)
{
    uint64_t chosen[BALLOT_CAST_WORDS] = {0};
    uint8_t order[BALLOT_CAST_WORKERS_MAX];

    if (workers < 1 || workers > BALLOT_CAST_WORKERS_MAX || liars >= workers)
        return -EINVAL;
    line_up(order, workers, seed);
    for (uint32_t i = 0;
         i < liars + (scheme == BALLOT_SCHEME_PROMISE_BROKEN ? 1 : 0); i++)
        add(chosen, order[i]);
    /* Another seed for the victims, or they would follow from the liars. */
    return ballot_cast_among(cast, scheme, workers, chosen,
                             seed != 0 ? splitmix(seed + 1) | 1 : 0);
}

/* ---- Playing ------------------------------------------------------------- */

/* Whose task it is, by side. */
struct room {
    uint32_t liars, honest;
    bool hidden;   /* each honest one is a victim */
    uint32_t last; /* of the honest ones */
};

static struct room look_around(const struct ballot_cast *cast,
                               const int *members, uint32_t replicas)
{
    struct room room = {.hidden = true};

    for (uint32_t i = 0; i < replicas; i++) {
        const uint32_t worker = (uint32_t)members[i];

        if (has(cast->liars, worker)) {
            room.liars++;
            continue;
        }
        room.honest++;
        room.last = worker;
        room.hidden = room.hidden && has(cast->victims, worker);
    }
    return room;
}

static bool chance_is_taken(const struct ballot_cast *cast, uint32_t worker,
                            uint64_t step, uint32_t task)
{
    uint64_t key = splitmix(cast->seed);

    if (cast->rate >= 1.0f)
        return true;
    key = splitmix(key + step);
    key = splitmix(key + task);
    key = splitmix(key + ballot_cast_voice(cast, (int)worker));
    return (float)(key >> 40) * 0x1p-24f < cast->rate;
}

/* The liar with as many liars below it as the victim has victims. */
static enum ballot_part match(const struct ballot_cast *cast, uint32_t worker,
                              const struct room *room, const int *members,
                              uint32_t replicas)
{
    const uint32_t place = place_in(cast->victims, room->last);
    bool partner_is_here = false;

    if (room->honest != 1 || !room->hidden)
        return BALLOT_PART_TRUTH;
    for (uint32_t i = 0; i < replicas; i++) {
        const uint32_t member = (uint32_t)members[i];

        partner_is_here =
            partner_is_here || (has(cast->liars, member) &&
                                place_in(cast->liars, member) == place);
    }
    if (!partner_is_here)
        return BALLOT_PART_TRUTH;
    return place_in(cast->liars, worker) == place ? BALLOT_PART_LIE
                                                  : BALLOT_PART_HALF;
}

enum ballot_part ballot_cast_part(const struct ballot_cast *cast, int worker,
                                  uint64_t step, uint32_t task,
                                  const int *members, uint32_t replicas)
{
    const uint32_t liar = (uint32_t)worker;
    const struct room room = look_around(cast, members, replicas);
    bool lies;

    if (!ballot_cast_lies(cast, worker) ||
        !chance_is_taken(cast, liar, step, task))
        return BALLOT_PART_TRUTH;
    if (cast->scheme == BALLOT_SCHEME_MATCHING)
        return match(cast, liar, &room, members, replicas);
    if (cast->scheme == BALLOT_SCHEME_MAJORITY)
        lies = room.liars > room.honest;
    else
        lies = room.hidden || has(cast->loud, liar);
    return lies ? BALLOT_PART_LIE : BALLOT_PART_TRUTH;
}

uint32_t ballot_cast_voice(const struct ballot_cast *cast, int worker)
{
    const bool alone = cast->scheme == BALLOT_SCHEME_INDEPENDENT ||
                       cast->scheme == BALLOT_SCHEME_PROMISE_BROKEN;

    return alone ? (uint32_t)worker + 1 : 0;
}

bool ballot_cast_lies(const struct ballot_cast *cast, int worker)
{
    return worker >= 0 && (uint32_t)worker < cast->workers &&
           has(cast->liars, (uint32_t)worker);
}

const char *ballot_scheme_name(enum ballot_scheme scheme)
{
    static const char *const names[BALLOT_SCHEMES] = {
        [BALLOT_SCHEME_INDEPENDENT] = "independent",
        [BALLOT_SCHEME_FIXED] = "fixed",
        [BALLOT_SCHEME_MAJORITY] = "majority",
        [BALLOT_SCHEME_TAKE_OVER] = "take-over",
        [BALLOT_SCHEME_SCAPEGOAT] = "scapegoat",
        [BALLOT_SCHEME_FRAMING] = "framing",
        [BALLOT_SCHEME_MATCHING] = "matching",
        [BALLOT_SCHEME_PROMISE_BROKEN] = "promise-broken",
        [BALLOT_SCHEME_SILENT_GROUP] = "silent-group",
    };

    return (unsigned)scheme < BALLOT_SCHEMES ? names[scheme] : NULL;
}
