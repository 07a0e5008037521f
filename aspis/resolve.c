/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.c - which value a task gets, by the rules for it.
 */
#include "resolve.h"

#include <assert.h>

#include "aggregate/kernels.h"

/* Those present whose workers are in the set, or are not. */
static uint32_t held_by(const struct replicas *replicas,
                        const struct worker_set *set, bool in)
{
    uint32_t held = 0;

    for (uint32_t i = 0; i < replicas->count; i++)
        if ((replicas->present >> i & 1) != 0 &&
            workers_has(set, replicas->workers[i]) == in)
            held |= 1u << i;
    return held;
}

static uint32_t count_of(uint32_t bits)
{
    return bits == 0 ? 0 : (uint32_t)__builtin_popcount(bits);
}

static struct choice take_first(uint32_t held)
{
    struct choice choice = {CHOICE_DROP, 0, 0};

    if (held != 0) {
        choice.kind = CHOICE_REPLICA;
        choice.replica = (uint32_t)__builtin_ctz(held);
    }
    return choice;
}

/* Any of replicas that agree. */
static struct choice take_any(const struct replicas *replicas, uint32_t held)
{
    if (replicas->tolerance == 0 || count_of(held) < 2)
        return take_first(held);
    return (struct choice){CHOICE_MAJORITY, 0, held};
}

/* agreeing[i]: the replicas of `held` that agree with replica i of it. */
static void find_agreeing(uint32_t *agreeing, const struct replicas *replicas,
                          uint32_t held)
{
    const uint64_t *distance = replicas->distances;

    for (uint32_t i = 0; i < replicas->count; i++)
        agreeing[i] = 0;
    for (uint32_t i = 0; i < replicas->count; i++)
        for (uint32_t j = i + 1; j < replicas->count; j++, distance++)
            if ((held >> i & held >> j & 1) != 0 &&
                *distance <= replicas->tolerance) {
                agreeing[i] |= 1u << j;
                agreeing[j] |= 1u << i;
            }
}

/*
 * Whether `wanted` of `among` all agree with each other; *found is they. To
 * agree is not transitive where there is a tolerance, so this is a search: each
 * level takes a replica or leaves it, and it ends where too few are left. Most
 * often the first way down finds them.
 */
static bool find_clique(uint32_t *found, const uint32_t *agreeing,
                        uint32_t among, uint32_t wanted)
{
    if (wanted == 0) {
        *found = 0;
        return true;
    }
    while (count_of(among) >= wanted) {
        const uint32_t i = (uint32_t)__builtin_ctz(among);

        if (find_clique(found, agreeing, among & agreeing[i], wanted - 1)) {
            *found |= 1u << i;
            return true;
        }
        among &= ~(1u << i);
    }
    return false;
}

/* The value that more than half of all replicas have, of those held. */
static struct choice take_agreed(const struct replicas *replicas, uint32_t held)
{
    uint32_t agreeing[REPLICAS_MAX];
    uint32_t found;

    find_agreeing(agreeing, replicas, held);
    if (!find_clique(&found, agreeing, held, replicas->count / 2 + 1))
        return (struct choice){CHOICE_DROP, 0, 0};
    if (replicas->tolerance == 0)
        return take_first(found);
    return (struct choice){CHOICE_MAJORITY, 0, held};
}

/* Whether one that is absent might have said something else. */
static bool is_complete(const struct verdict *verdict,
                        const struct replicas *replicas)
{
    for (uint32_t i = 0; i < replicas->count; i++)
        if ((replicas->present >> i & 1) == 0 &&
            !workers_has(&verdict->byzantine, replicas->workers[i]))
            return false;
    return true;
}

bool resolve_is_open(const struct verdict *verdict,
                     const struct graph *disputes)
{
    const struct worker_set all = workers_below(disputes->workers);
    const struct worker_set left = workers_minus(&all, &verdict->byzantine);

    for (uint32_t w = workers_next(&left, 0); w < WORKERS_MAX;
         w = workers_next(&left, w + 1)) {
        const struct worker_set near =
            workers_and(&disputes->adjacent[w], &left);

        if (!workers_empty(&near))
            return true;
    }
    return false;
}

struct choice resolve_proof(const struct verdict *verdict, bool open,
                            const struct replicas *replicas)
{
    const uint32_t honest = held_by(replicas, &verdict->honest, true);
    const uint32_t left = held_by(replicas, &verdict->byzantine, false);

    assert(replicas->count <= REPLICAS_MAX);
    if (honest != 0)
        return take_first(honest);
    if (!open && (count_of(left) > replicas->count / 2 ||
                  is_complete(verdict, replicas)))
        return take_any(replicas, left);
    return take_agreed(replicas, left);
}

struct choice resolve_paper(const struct verdict *verdict,
                            const struct replicas *replicas)
{
    if (verdict->outcome == VERDICT_REACHED)
        return take_first(held_by(replicas, &verdict->honest, true));
    if (replicas->present == 0)
        return (struct choice){CHOICE_DROP, 0, 0};
    return (struct choice){CHOICE_MAJORITY, 0, replicas->present};
}
