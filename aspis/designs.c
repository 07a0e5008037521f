/* SPDX-License-Identifier: Apache-2.0 */
/* designs.c - which designs there are, and who is in their tasks. */
#include "designs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "field.h"

__attribute__((format(printf, 2, 3))) static int refuse(
    char why[ASSIGNMENT_WHY_BYTES], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, ASSIGNMENT_WHY_BYTES, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* ---- All subsets --------------------------------------------------------- */

/* How many tasks; above ASSIGNMENT_TASKS_MAX it only says that. */
static uint64_t subsets(uint32_t workers, uint32_t replication)
{
    uint64_t count = 1;

    if (replication > workers - replication)
        replication = workers - replication;
    /* C(workers, i) grows with i up to half of the workers. */
    for (uint32_t i = 1; i <= replication && count <= ASSIGNMENT_TASKS_MAX; i++)
        count = count * (workers - i + 1) / i;
    return count;
}

static int subsets_tasks(const struct assignment_config *config,
                         char why[ASSIGNMENT_WHY_BYTES])
{
    const uint64_t tasks = subsets(config->workers, config->replication);

    if (tasks > ASSIGNMENT_TASKS_MAX)
        return refuse(why,
                      "there are more than %d ways to choose %u of %u workers; "
                      "take a Steiner triple system or a projective plane",
                      ASSIGNMENT_TASKS_MAX, config->replication,
                      config->workers);
    return (int)tasks;
}

/* In lexicographic order, as the authors' code has them. */
static void subsets_fill(uint8_t *places,
                         const struct assignment_config *config)
{
    const uint32_t chosen = config->replication;
    uint32_t subset[ASSIGNMENT_REPLICATION_MAX];
    uint32_t i = 0;

    subset[0] = 0;
    for (;;) {
        /* The smallest that follow the one that was raised. */
        for (; i + 1 < chosen; i++)
            subset[i + 1] = subset[i] + 1;
        for (i = 0; i < chosen; i++)
            *places++ = (uint8_t)subset[i];
        /* The last one that can be raised. */
        do {
            if (i-- == 0)
                return;
        } while (subset[i] == config->workers - chosen + i);
        subset[i]++;
    }
}

/* ---- Steiner triple systems ---------------------------------------------- */

/* Of 3 workers or more; fewer have no 3 replicas. */
static bool has_triples(uint32_t workers)
{
    return workers % 6 == 1 || workers % 6 == 3;
}

static int steiner_tasks(const struct assignment_config *config,
                         char why[ASSIGNMENT_WHY_BYTES])
{
    uint32_t near = config->workers;

    if (config->replication != 3)
        return refuse(why,
                      "a Steiner triple system has 3 workers a task, not %u; "
                      "take replication 3",
                      config->replication);
    if (has_triples(near))
        return (int)(near * (near - 1) / 6);
    while (!has_triples(near))
        near--;
    return refuse(why,
                  "there is a Steiner triple system for v = 1 or 3 mod 6 "
                  "workers only, from 3 on, and %u are not; take %u",
                  config->workers, near);
}

/* Three copies of the numbers below `size`; element x of copy 0..2. */
struct copies {
    uint8_t *places; /* of the next triple */
    uint32_t size;
};

static void put_triple(struct copies *copies, uint32_t a, uint32_t b,
                       uint32_t c)
{
    *copies->places++ = (uint8_t)a;
    *copies->places++ = (uint8_t)b;
    *copies->places++ = (uint8_t)c;
}

static uint32_t in_copy(const struct copies *copies, uint32_t copy, uint32_t x)
{
    return copy % 3 * copies->size + x;
}

/*
 * Both constructions join any two elements x < y of one copy with "half" of
 * their sum in the next one. With an odd size that is a half indeed, and x is
 * the half of x + x, so that only the triples of x with itself are missing
 * (Bose, 1939). With an even size the odd sums take the numbers from size / 2
 * on, and x is the half of x + x only below size / 2; one more place makes up
 * for the others (Skolem, 1958).
 */
static uint32_t half(uint32_t sum, uint32_t size)
{
    sum %= size;
    return (sum % 2 == 0 ? sum : sum + size) / 2;
}

static void bose_skolem_fill(uint8_t *places, uint32_t workers)
{
    const uint32_t last = workers - 1;
    struct copies copies = {.places = places, .size = workers / 3};
    const uint32_t size = copies.size;
    const uint32_t own = size % 2 == 1 ? size : size / 2;

    for (uint32_t x = 0; x < own; x++)
        put_triple(&copies, in_copy(&copies, 0, x), in_copy(&copies, 1, x),
                   in_copy(&copies, 2, x));
    for (uint32_t copy = 0; copy < 3; copy++) {
        for (uint32_t x = own; x < size; x++)
            put_triple(&copies, last, in_copy(&copies, copy, x),
                       in_copy(&copies, copy + 1, x - own));
        for (uint32_t x = 0; x < size; x++)
            for (uint32_t y = x + 1; y < size; y++)
                put_triple(&copies, in_copy(&copies, copy, x),
                           in_copy(&copies, copy, y),
                           in_copy(&copies, copy + 1, half(x + y, size)));
    }
}

/* Worker w is the point w + 1; a line through two points holds their sum too,
 * and its points are listed where they ascend. */
static void projective_fill(uint8_t *places, uint32_t workers)
{
    for (uint32_t a = 1; a <= workers; a++)
        for (uint32_t b = a + 1; b <= workers; b++) {
            const uint32_t c = a ^ b;

            if (c < b)
                continue;
            *places++ = (uint8_t)(a - 1);
            *places++ = (uint8_t)(b - 1);
            *places++ = (uint8_t)(c - 1);
        }
}

/* From 13 workers on there are several systems, in which liars reach unequally
 * much. With 2^m - 1 workers it is the projective space over the field of two
 * elements: which liars fill a subspace, and so share the most tasks, is seen
 * from their numbers. */
static void steiner_fill(uint8_t *places,
                         const struct assignment_config *config)
{
    const uint32_t workers = config->workers;

    if ((workers & (workers + 1)) == 0)
        projective_fill(places, workers);
    else
        bose_skolem_fill(places, workers);
}

/* ---- Projective planes --------------------------------------------------- */

/* The field of the plane's order; false if no plane is that large. */
static bool plane_field(struct field *field, uint32_t workers)
{
    uint32_t order = 2;

    while (order * order + order + 1 < workers)
        order++;
    return order * order + order + 1 == workers && field_build(field, order);
}

static int plane_tasks(const struct assignment_config *config,
                       char why[ASSIGNMENT_WHY_BYTES])
{
    struct field field;

    if (!plane_field(&field, config->workers))
        return refuse(why,
                      "a projective plane of prime power order has 7, 13, 21, "
                      "31, 57, 73, 91, 133 or 183 workers, not %u",
                      config->workers);
    if (config->replication != field.order + 1)
        return refuse(why,
                      "a projective plane of %u workers has %u at each task, "
                      "not %u",
                      config->workers, field.order + 1, config->replication);
    return (int)config->workers;
}

/* Homogeneous coordinates whose first other than 0 is 1: all (1, a, b), then
 * all (0, 1, a), then (0, 0, 1). */
static void coordinates(uint32_t xyz[3], uint32_t point, uint32_t order)
{
    const uint32_t plain = order * order;

    xyz[0] = point < plain;
    xyz[1] = point < plain ? point / order : point < plain + order;
    xyz[2] = point < plain + order ? point % order : 1;
}

static bool lies_on(const struct field *field, uint32_t point, uint32_t line)
{
    uint32_t xyz[3], uvw[3], sum = 0;

    coordinates(xyz, point, field->order);
    coordinates(uvw, line, field->order);
    for (uint32_t i = 0; i < 3; i++)
        sum = field_add(field, sum, field_multiply(field, xyz[i], uvw[i]));
    return sum == 0;
}

static void plane_fill(uint8_t *places, const struct assignment_config *config)
{
    struct field field;

    plane_field(&field, config->workers);
    for (uint32_t line = 0; line < config->workers; line++)
        for (uint32_t point = 0; point < config->workers; point++)
            if (lies_on(&field, point, line))
                *places++ = (uint8_t)point;
}

/* ---- Fractional repetition ----------------------------------------------- */

static int repetition_tasks(const struct assignment_config *config,
                            char why[ASSIGNMENT_WHY_BYTES])
{
    const uint32_t left = config->workers % config->replication;

    if (left != 0)
        return refuse(why,
                      "groups of %u leave %u of %u workers over; take %u "
                      "workers",
                      config->replication, left, config->workers,
                      config->workers - left);
    return (int)(config->workers / config->replication);
}

static void repetition_fill(uint8_t *places,
                            const struct assignment_config *config)
{
    for (uint32_t w = 0; w < config->workers; w++)
        places[w] = (uint8_t)w;
}

/* ---- Mutually orthogonal Latin squares ----------------------------------- */

static int mols_tasks(const struct assignment_config *config,
                      char why[ASSIGNMENT_WHY_BYTES])
{
    const uint32_t order = config->workers / config->replication;
    struct field field;

    if (config->workers % config->replication != 0 ||
        order <= config->replication || !field_build(&field, order))
        return refuse(why,
                      "orthogonal Latin squares take replication times a prime "
                      "power above it, as 3 * 5, 3 * 8 or 5 * 7 workers; %u is "
                      "no such multiple of %u",
                      config->workers, config->replication);
    if (order * order > ASSIGNMENT_TASKS_MAX)
        return refuse(why,
                      "Latin squares of order %u have %u cells, and there are "
                      "at most %d tasks; take fewer workers",
                      order, order * order, ASSIGNMENT_TASKS_MAX);
    return (int)(order * order);
}

/* Cell (row, column) of square s holds (s + 1) * row + column in the field. */
static void mols_fill(uint8_t *places, const struct assignment_config *config)
{
    const uint32_t order = config->workers / config->replication;
    struct field field;

    field_build(&field, order);
    for (uint32_t cell = 0; cell < order * order; cell++)
        for (uint32_t s = 0; s < config->replication; s++) {
            const uint32_t scaled = field_multiply(&field, s + 1, cell / order);

            *places++ =
                (uint8_t)(s * order + field_add(&field, scaled, cell % order));
        }
}

/* ---- All of them --------------------------------------------------------- */

static int check_sizes(const struct assignment_config *config,
                       char why[ASSIGNMENT_WHY_BYTES])
{
    const uint32_t workers = config->workers;
    const uint32_t replication = config->replication;

    if (workers < 1 || workers > ASSIGNMENT_WORKERS_MAX)
        return refuse(why, "there are 1 to %d workers in an assignment, not %u",
                      ASSIGNMENT_WORKERS_MAX, workers);
    if (replication < 1 || replication > ASSIGNMENT_REPLICATION_MAX)
        return refuse(why, "there are 1 to %d replicas of a task, not %u",
                      ASSIGNMENT_REPLICATION_MAX, replication);
    if (replication > workers)
        return refuse(why,
                      "%u workers cannot compute %u replicas of a task; take "
                      "at most %u",
                      workers, replication, workers);
    if (replication % 2 == 0 && config->design != DESIGN_PLANE)
        return refuse(why,
                      "the vote of a task can tie with %u replicas; take an "
                      "odd number",
                      replication);
    return 0;
}

int design_tasks(const struct assignment_config *config,
                 char why[ASSIGNMENT_WHY_BYTES])
{
    const int rc = check_sizes(config, why);

    if (rc < 0)
        return rc;
    switch (config->design) {
    case DESIGN_SUBSETS: return subsets_tasks(config, why);
    case DESIGN_STEINER: return steiner_tasks(config, why);
    case DESIGN_PLANE: return plane_tasks(config, why);
    case DESIGN_REPETITION: return repetition_tasks(config, why);
    case DESIGN_MOLS: return mols_tasks(config, why);
    }
    return refuse(why, "there is no design %d", (int)config->design);
}

void design_fill(uint8_t *places, const struct assignment_config *config)
{
    switch (config->design) {
    case DESIGN_SUBSETS: subsets_fill(places, config); break;
    case DESIGN_STEINER: steiner_fill(places, config); break;
    case DESIGN_PLANE: plane_fill(places, config); break;
    case DESIGN_REPETITION: repetition_fill(places, config); break;
    case DESIGN_MOLS: mols_fill(places, config); break;
    }
}
