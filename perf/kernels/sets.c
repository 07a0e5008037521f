/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sets.c - a case laid out in memory, as one set of data or many.
 */
#include "sets.h"

#include "limits.h"
#include "machine.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PAGE_BYTES = 4096,
    SKEW_BYTES = 320, /* five lines: rows that start alike share cache sets */
    PIECE_WORDS = PAGE_BYTES / 8,
    RESNET50 = 25560000, /* parameters of a ResNet-50 */
    QUICK = RESNET50 / 16,
};

/* Of all input together, by place. From DRAM: of all sets. */
static const size_t footprint_bytes[] = {
    [BENCH_L1] = 16 << 10,
    [BENCH_L2] = 512 << 10,
    [BENCH_L3] = 8 << 20,
    [BENCH_DRAM] = 400 << 20,
};

static const size_t output_bytes = 256 << 20; /* from DRAM, of all sets */
static const size_t quick_bytes = 64 << 20;   /* in place of either */

/* Of what a case's kind counts, for each coordinate. */
static size_t coordinate_bytes(const struct bench_case *what)
{
    static const size_t type_bytes[TYPES] = {4, 2, 2, 8, 0};

    switch (what->kind) {
    case BENCH_PACK: return type_bytes[what->type];
    case BENCH_UPDATE: return 2 * sizeof(float);
    case BENCH_SIGNUM: return 3 * sizeof(float);
    default: return sizeof(float);
    }
}

static size_t round_up(size_t bytes, size_t step)
{
    return (bytes + step - 1) / step * step;
}

/* From one array to the next, in bytes. */
static size_t stride_of(size_t bytes, enum bench_layout layout)
{
    return round_up(bytes, PAGE_BYTES) +
           (layout == BENCH_SKEWED ? SKEW_BYTES : 0);
}

/* Coordinates of a gradient from DRAM. */
static size_t gradient_count(const struct bench_room *room)
{
    return room->quick ? QUICK : RESNET50;
}

/* What no cache keeps until its turn comes again. */
static size_t rotated_bytes(const struct bench_room *room)
{
    const size_t enough = 4 * bench_machine_cache_bytes(3);

    if (room->quick)
        return quick_bytes;
    return enough > footprint_bytes[BENCH_DRAM] ? enough
                                                : footprint_bytes[BENCH_DRAM];
}

static size_t divide_up(size_t all, size_t each)
{
    return (all + each - 1) / each;
}

/* Sets of input, and how many areas of output they take turns with. */
struct turns {
    size_t inputs;
    size_t outputs;
    size_t sets; /* a multiple of `inputs`, at least `outputs` */
};

static struct turns turns_of(const struct bench_room *room,
                             const struct bench_case *what, size_t input_bytes,
                             size_t result_bytes)
{
    struct turns turns = {1, 1, 1};

    if (what->place != BENCH_DRAM)
        return turns;
    turns.inputs = divide_up(rotated_bytes(room), input_bytes);
    if (result_bytes > 0)
        turns.outputs =
            divide_up(room->quick ? quick_bytes : output_bytes, result_bytes);
    turns.sets = turns.inputs * divide_up(turns.outputs, turns.inputs);
    return turns;
}

static int fill(struct bench_sets *sets, struct bench_room *room,
                enum bench_area area, size_t bytes)
{
    sets->needed_bytes = bytes;
    return bench_memory_fill(&room->memory, area, bytes, &sets->free_bytes);
}

static int allocate(struct bench_sets *sets, size_t count, size_t rows,
                    size_t voters)
{
    sets->sets = calloc(count, sizeof(*sets->sets));
    sets->rows = calloc(rows + 1, sizeof(*sets->rows));
    sets->weights = calloc(voters + 1, sizeof(*sets->weights));
    sets->count = count;
    if (sets->sets == NULL || sets->rows == NULL || sets->weights == NULL)
        return -ENOMEM;
    for (size_t v = 0; v < voters; v++)
        sets->weights[v] = (uint8_t)(1 + v * 7 % WEIGHT_MAX);
    return 0;
}

/* Words of a row. */
static size_t row_words(const struct bench_room *room,
                        const struct bench_case *what)
{
    size_t lines = footprint_bytes[what->place] / what->voters / LINE_BYTES;

    if (what->place == BENCH_DRAM)
        lines = what->row_words > 0 ? what->row_words / LINE_WORDS
                                    : lines_for(gradient_count(room));
    if (what->layout == BENCH_PIECES)
        lines = round_up(lines, PIECE_WORDS / LINE_WORDS);
    return (lines > 0 ? lines : 1) * LINE_WORDS;
}

static int open_rows(struct bench_sets *sets, struct bench_room *room,
                     const struct bench_case *what)
{
    const bool cut = what->layout == BENCH_PIECES;
    const enum bench_area bits = what->values  ? BENCH_VALUES
                                 : what->alike ? BENCH_ALIKE
                                               : BENCH_BITS;
    const size_t words = row_words(room, what);
    const size_t pieces = cut ? words / PIECE_WORDS : 1;
    const size_t stride = stride_of(cut ? PAGE_BYTES : words * 8, what->layout);
    const size_t rows = pieces * what->voters; /* of a set */
    const size_t result = stride_of(words * 8, BENCH_SKEWED);
    const struct turns turns = turns_of(room, what, rows * stride, result);
    const size_t floats = words * 64;
    const size_t results = turns.outputs * result;
    int error = allocate(sets, turns.sets, turns.inputs * rows, what->voters);
    float *scratch;

    if (error == 0)
        error = fill(sets, room, bits, turns.inputs * rows * stride);
    if (error == 0)
        error = fill(sets, room, BENCH_OUTPUTS,
                     results + what->scratch * floats * sizeof(float));
    if (error != 0)
        return error;
    scratch = (void *)(room->memory.areas[BENCH_OUTPUTS] + results);
    for (size_t i = 0; i < turns.inputs * rows; i++)
        sets->rows[i] = (const void *)(room->memory.areas[bits] + i * stride);
    for (size_t i = 0; i < turns.sets; i++)
        sets->sets[i] = (struct bench_data){
            .voters = what->voters,
            .pieces = pieces,
            .words = words / pieces,
            .rows = &sets->rows[i % turns.inputs * rows],
            .weights = sets->weights,
            .result = (void *)(room->memory.areas[BENCH_OUTPUTS] +
                               i % turns.outputs * result),
            .count = floats,
            .vector = scratch,
            .second = scratch + floats,
        };
    sets->bytes = what->voters * words * 8;
    return 0;
}

/* Floats of a set: momentum and gradient are two arrays. */
static size_t arrays_of(const struct bench_case *what)
{
    return what->kind == BENCH_SIGNUM ? 2 : 1;
}

static size_t count_of(const struct bench_room *room,
                       const struct bench_case *what)
{
    /* An array in place is no larger for being read and written. */
    const size_t each = what->kind == BENCH_PACK
                            ? coordinate_bytes(what)
                            : arrays_of(what) * sizeof(float);

    if (what->place == BENCH_DRAM)
        return gradient_count(room);
    return footprint_bytes[what->place] / each / LINE_COORDINATES *
           LINE_COORDINATES;
}

static int open_pack(struct bench_sets *sets, struct bench_room *room,
                     const struct bench_case *what)
{
    const size_t count = count_of(room, what);
    const size_t stride =
        stride_of(count * coordinate_bytes(what), BENCH_SKEWED);
    const size_t result =
        stride_of(lines_for(count) * LINE_BYTES, BENCH_SKEWED);
    const struct turns turns = turns_of(room, what, stride, result);
    int error = allocate(sets, turns.sets, 0, 0);

    if (error == 0)
        error = fill(sets, room, BENCH_BITS, turns.inputs * stride);
    if (error == 0)
        error = fill(sets, room, BENCH_OUTPUTS, turns.outputs * result);
    if (error != 0)
        return error;
    for (size_t i = 0; i < turns.sets; i++)
        sets->sets[i] = (struct bench_data){
            .count = count,
            .values =
                room->memory.areas[BENCH_BITS] + i % turns.inputs * stride,
            .signs = (void *)(room->memory.areas[BENCH_OUTPUTS] +
                              i % turns.outputs * result),
        };
    sets->bytes = count * coordinate_bytes(what);
    return 0;
}

/* UNPACK, UPDATE and SIGNUM: float arrays, and a row of signs for each set. */
static int open_floats(struct bench_sets *sets, struct bench_room *room,
                       const struct bench_case *what)
{
    const size_t count = count_of(room, what);
    const size_t arrays = arrays_of(what);
    const size_t stride = stride_of(count * sizeof(float), BENCH_SKEWED);
    const size_t row = stride_of(lines_for(count) * LINE_BYTES, BENCH_SKEWED);
    const struct turns turns = turns_of(room, what, arrays * stride, 0);
    /* Scratch of one array, then the signs that come out. */
    char *const outputs = room->memory.areas[BENCH_OUTPUTS];
    int error = allocate(sets, turns.sets, 0, 0);

    if (error == 0)
        error = fill(sets, room, BENCH_FLOATS, turns.inputs * arrays * stride);
    if (error == 0)
        error = fill(sets, room, BENCH_BITS, turns.sets * row);
    if (error == 0)
        error = fill(sets, room, BENCH_OUTPUTS, stride + turns.sets * row);
    if (error != 0)
        return error;
    for (size_t i = 0; i < turns.sets; i++) {
        char *const first = room->memory.areas[BENCH_FLOATS] +
                            i % turns.inputs * arrays * stride;

        sets->sets[i] = (struct bench_data){
            .count = count,
            .vector = (void *)first,
            .second = (void *)(arrays > 1 ? first + stride : outputs),
            .signs = (void *)(outputs + stride + i * row),
            .votes = (void *)(room->memory.areas[BENCH_BITS] + i * row),
        };
    }
    sets->bytes = count * coordinate_bytes(what);
    return 0;
}

int bench_sets_open(struct bench_sets *sets, struct bench_room *room,
                    const struct bench_case *what,
                    const struct kernels *kernels)
{
    int error;

    *sets = (struct bench_sets){0};
    switch (what->kind) {
    case BENCH_ROWS: error = open_rows(sets, room, what); break;
    case BENCH_PACK: error = open_pack(sets, room, what); break;
    default: error = open_floats(sets, room, what); break;
    }
    if (error != 0) {
        bench_sets_close(sets);
        return error;
    }
    for (size_t i = 0; i < sets->count; i++) {
        sets->sets[i].kernels = kernels;
        sets->sets[i].limits = bench_limits_pick();
        sets->sets[i].type = what->type;
        sets->sets[i].far = what->place == BENCH_DRAM;
    }
    return 0;
}

void bench_sets_close(struct bench_sets *sets)
{
    free(sets->sets);
    free(sets->rows);
    free(sets->weights);
    sets->sets = NULL;
    sets->rows = NULL;
    sets->weights = NULL;
}

const char *bench_place_name(enum bench_place place)
{
    static const char *const names[] = {"L1", "L2", "L3", "DRAM"};

    return names[place];
}
