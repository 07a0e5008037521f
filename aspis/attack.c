/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack.c - what liars put in place of a gradient or its signs.
 *
 * Nothing here is on a data path: coordinates are done one by one.
 */
#include "../include/ballot_attack.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "aggregate/splitmix.h"

/* Values of either type, seen as numbers or as signs. */
struct vector {
    void *at;
    enum ballot_type type;
};

static bool is_minus(const void *values, enum ballot_type type, size_t i)
{
    if (type == BALLOT_SIGNS)
        return ((const uint64_t *)values)[i / 64] >> i % 64 & 1;
    return ((const float *)values)[i] < 0.0f;
}

static double number(const void *values, enum ballot_type type, size_t i)
{
    if (type == BALLOT_SIGNS)
        return is_minus(values, type, i) ? -1.0 : 1.0;
    return (double)((const float *)values)[i];
}

static void set_sign(uint64_t *signs, size_t i, bool minus)
{
    const uint64_t bit = UINT64_C(1) << i % 64;

    signs[i / 64] = minus ? signs[i / 64] | bit : signs[i / 64] & ~bit;
}

static void set(const struct vector *v, size_t i, double value)
{
    if (v->type == BALLOT_SIGNS)
        set_sign(v->at, i, value < 0.0);
    else
        ((float *)v->at)[i] = (float)value;
}

static double or_default(float given, double otherwise)
{
    return given != 0.0f ? (double)given : otherwise;
}

static void reverse(const struct vector *v, size_t count,
                    const struct ballot_attack_scene *scene)
{
    const double factor = or_default(scene->factor, 100.0);

    for (size_t i = 0; i < count; i++)
        set(v, i, -factor * number(v->at, v->type, i));
}

static void fill(const struct vector *v, size_t count, double value)
{
    for (size_t i = 0; i < count; i++)
        set(v, i, value);
}

/* The sum of twelve numbers of 16 bits, each even between -1/2 and 1/2, has the
 * variance 1. It takes no function of the system's, which might differ. */
static double noise(uint64_t key, size_t i)
{
    double sum = -6.0;

    for (uint64_t n = 1; n <= 3; n++) {
        const uint64_t bits = splitmix(key + (3 * i + n) * SPLITMIX_STEP);

        for (uint32_t part = 0; part < 4; part++)
            sum += ((double)(bits >> 16 * part & 0xffff) + 0.5) / 65536.0;
    }
    return sum;
}

static void fill_noise(const struct vector *v, size_t count,
                       const struct ballot_attack_scene *scene)
{
    const double factor = or_default(scene->factor, 1.0);
    uint64_t key = splitmix(scene->seed);

    key = splitmix(key + scene->step);
    key = splitmix(key + scene->task);
    key = splitmix(key + scene->voice);
    for (size_t i = 0; i < count; i++)
        set(v, i, factor * noise(key, i));
}

/* ---- What needs the honest ----------------------------------------------- */

/* Of one coordinate over the honest vectors. */
struct moments {
    double mean, deviation;
};

static struct moments moments_of(const struct ballot_attack_scene *scene,
                                 enum ballot_type type, size_t i)
{
    const double n = scene->honest_count;
    double sum = 0.0, squares = 0.0;

    for (uint32_t h = 0; h < scene->honest_count; h++)
        sum += number(scene->honest[h], type, i);
    for (uint32_t h = 0; h < scene->honest_count; h++) {
        const double off = number(scene->honest[h], type, i) - sum / n;

        squares += off * off;
    }
    return (struct moments){.mean = sum / n, .deviation = sqrt(squares / n)};
}

static void little(const struct vector *v, size_t count,
                   const struct ballot_attack_scene *scene)
{
    const double factor = or_default(scene->factor, 1.0);

    for (size_t i = 0; i < count; i++) {
        const struct moments m = moments_of(scene, v->type, i);

        set(v, i, m.mean + factor * m.deviation);
    }
}

static void manipulate_product(const struct vector *v, size_t count,
                               const struct ballot_attack_scene *scene)
{
    const double factor = or_default(scene->factor, 100.0);

    for (size_t i = 0; i < count; i++)
        set(v, i, -factor * moments_of(scene, v->type, i).mean);
}

static uint32_t minuses_of(const struct ballot_attack_scene *scene,
                           enum ballot_type type, size_t i)
{
    uint32_t count = 0;

    for (uint32_t h = 0; h < scene->honest_count; h++)
        count += is_minus(scene->honest[h], type, i);
    return count;
}

/* A tie is plus, as in the vote. */
static bool majority_is_minus(const struct ballot_attack_scene *scene,
                              uint32_t minuses)
{
    return 2 * minuses > scene->honest_count;
}

static void oppose(const struct vector *v, size_t count,
                   const struct ballot_attack_scene *scene)
{
    const double size = fabs(or_default(scene->factor, 1.0));

    for (size_t i = 0; i < count; i++) {
        const uint32_t minuses = minuses_of(scene, v->type, i);

        set(v, i, majority_is_minus(scene, minuses) ? size : -size);
    }
}

static uint32_t margin_of(const struct ballot_attack_scene *scene,
                          uint32_t minuses)
{
    const uint32_t pluses = scene->honest_count - minuses;

    return minuses > pluses ? minuses - pluses : pluses - minuses;
}

/* Coordinates with each margin are counted, so that nothing is sorted; of the
 * last margin that is not turned as a whole the first ones are. */
static void select_doubtful(const struct vector *v, size_t count,
                            const struct ballot_attack_scene *scene)
{
    const double share = or_default(scene->share, 0.4);
    size_t left = share < 1.0 ? (size_t)(share * (double)count) : count;
    size_t with[BALLOT_RANKS_MAX + 1] = {0};
    uint32_t last = 0;

    for (size_t i = 0; i < count; i++)
        with[margin_of(scene, minuses_of(scene, v->type, i))]++;
    while (last < scene->honest_count && with[last] <= left)
        left -= with[last++];
    for (size_t i = 0; i < count; i++) {
        const uint32_t minuses = minuses_of(scene, v->type, i);
        const uint32_t margin = margin_of(scene, minuses);
        bool turned = margin < last;

        if (margin == last && left > 0) {
            turned = true;
            left--;
        }
        set(v, i, majority_is_minus(scene, minuses) == turned ? 1.0 : -1.0);
    }
}

static void repeat_first(const struct vector *v, size_t count,
                         const struct ballot_attack_scene *scene)
{
    for (size_t i = 0; i < count; i++)
        set(v, i, number(scene->honest[0], v->type, i));
}

/* ---- All of them --------------------------------------------------------- */

static bool needs_honest(enum ballot_attack attack)
{
    return attack == BALLOT_ATTACK_ALIE || attack == BALLOT_ATTACK_PRODUCT ||
           attack == BALLOT_ATTACK_ANTI || attack == BALLOT_ATTACK_SELECTIVE ||
           attack == BALLOT_ATTACK_MIMIC;
}

static bool is_playable(enum ballot_attack attack, enum ballot_type type,
                        const struct ballot_attack_scene *scene)
{
    if ((unsigned)attack >= BALLOT_ATTACKS ||
        (type != BALLOT_FLOAT32 && type != BALLOT_SIGNS) ||
        scene->honest_count > BALLOT_RANKS_MAX || isnan(scene->factor) ||
        isnan(scene->share) || scene->share < 0.0f)
        return false;
    return !needs_honest(attack) ||
           (scene->honest != NULL && scene->honest_count > 0);
}

static void clear_tail(uint64_t *signs, size_t count)
{
    if (count % 64 != 0)
        signs[count / 64] &= (UINT64_C(1) << count % 64) - 1;
}

int ballot_attack_lie(enum ballot_attack attack, void *values, size_t count,
                      enum ballot_type type,
                      const struct ballot_attack_scene *scene)
{
    const struct vector v = {values, type};

    if (!is_playable(attack, type, scene))
        return -EINVAL;
    switch (attack) {
    case BALLOT_ATTACK_REVERSED: reverse(&v, count, scene); break;
    case BALLOT_ATTACK_CONSTANT:
        fill(&v, count, or_default(scene->factor, -100.0));
        break;
    case BALLOT_ATTACK_RANDOM: fill_noise(&v, count, scene); break;
    case BALLOT_ATTACK_ALIE: little(&v, count, scene); break;
    case BALLOT_ATTACK_PRODUCT: manipulate_product(&v, count, scene); break;
    case BALLOT_ATTACK_ANTI: oppose(&v, count, scene); break;
    case BALLOT_ATTACK_SELECTIVE: select_doubtful(&v, count, scene); break;
    case BALLOT_ATTACK_MIMIC: repeat_first(&v, count, scene); break;
    case BALLOT_ATTACK_SILENT: return 1;
    case BALLOT_ATTACK_NAN: fill(&v, count, (double)NAN); break;
    case BALLOT_ATTACKS: return -EINVAL;
    }
    if (type == BALLOT_SIGNS)
        clear_tail(values, count);
    return 0;
}

void ballot_attack_limit(uint64_t *lie, const uint64_t *truth, size_t count,
                         uint64_t most)
{
    for (size_t i = 0; i < count; i++) {
        const bool is_true =
            is_minus(lie, BALLOT_SIGNS, i) == is_minus(truth, BALLOT_SIGNS, i);

        if (is_true)
            continue;
        if (most > 0)
            most--;
        else
            set_sign(lie, i, is_minus(truth, BALLOT_SIGNS, i));
    }
}

const char *ballot_attack_name(enum ballot_attack attack)
{
    static const char *const names[BALLOT_ATTACKS] = {
        [BALLOT_ATTACK_REVERSED] = "reversed",
        [BALLOT_ATTACK_CONSTANT] = "constant",
        [BALLOT_ATTACK_RANDOM] = "random",
        [BALLOT_ATTACK_ALIE] = "alie",
        [BALLOT_ATTACK_PRODUCT] = "inner-product",
        [BALLOT_ATTACK_ANTI] = "anti",
        [BALLOT_ATTACK_SELECTIVE] = "selective",
        [BALLOT_ATTACK_MIMIC] = "mimic",
        [BALLOT_ATTACK_SILENT] = "silent",
        [BALLOT_ATTACK_NAN] = "nan",
    };

    return (unsigned)attack < BALLOT_ATTACKS ? names[attack] : NULL;
}
