/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_kernels.c - every kernel of every table against a naive count, on what
 * the fuzzer thinks of.
 *
 * The first bytes of an input choose a kernel and its arguments, the rest fills
 * the rows; where it ends, random bits go on. Each row and vector has memory of
 * its own, of exactly its size, so that the address sanitizer sees each step
 * beside it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/counting.h"
#include "fuzz.h"
#include "naive.h"

enum {
    COUNT_MAX = 2100,     /* four lines and a bit */
    AREAS_MAX = 3 * 1024, /* of one input */
    BIG_VOTERS = 64,      /* above, rows are one line */
    PAIRS_MAX = REPLICAS_MAX * (REPLICAS_MAX - 1) / 2,
};

struct input {
    const uint8_t *next;
    size_t left;
    uint64_t state; /* of the random bits behind the end */
    void *areas[AREAS_MAX];
    size_t areas_count;
};

static uint8_t take_byte(struct input *in)
{
    if (in->left > 0) {
        in->left--;
        in->state = (in->state ^ *in->next) * 0x100000001b3 + 1;
        return *in->next++;
    }
    in->state ^= in->state >> 12;
    in->state ^= in->state << 25;
    in->state ^= in->state >> 27;
    return (uint8_t)(in->state * 0x2545f4914f6cdd1d >> 56);
}

/* 0..max */
static uint32_t take(struct input *in, uint32_t max)
{
    uint32_t value = take_byte(in);

    if (max > UINT8_MAX)
        value |= (uint32_t)take_byte(in) << 8;
    return value % (max + 1);
}

static void fill(struct input *in, void *bytes, size_t count)
{
    uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++)
        at[i] = take_byte(in);
}

/* Memory until the end of this input; at least a byte. */
static void *area(struct input *in, size_t bytes)
{
    void *memory = NULL;

    if (in->areas_count == AREAS_MAX ||
        posix_memalign(&memory, LINE_BYTES, bytes > 0 ? bytes : 1) != 0)
        abort();
    in->areas[in->areas_count++] = memory;
    memset(memory, 0x5a, bytes);
    return memory;
}

static uint64_t *area_filled(struct input *in, size_t bytes)
{
    void *memory = area(in, bytes);

    fill(in, memory, bytes);
    return memory;
}

/* Values begin `skew` elements behind a line; their memory ends with them. */
static void *area_values(struct input *in, enum sign_type type, size_t count,
                         size_t skew)
{
    const size_t each = naive_bytes(type);

    if (type == TYPE_SIGNS)
        return area_filled(in, (count + 63) / 64 * 8);
    return (char *)area_filled(in, (count + skew) * each) + skew * each;
}

static void same(const struct kernels *k, const char *what, const void *is,
                 const void *should, size_t bytes)
{
    const uint8_t *a = is, *b = should;

    for (size_t i = 0; i < bytes; i++)
        if (a[i] != b[i]) {
            fprintf(stderr, "%s: %s: byte %zu of %zu is %02x, not %02x\n",
                    k->name, what, i, bytes, a[i], b[i]);
            abort();
        }
}

/* Of two NaN, a sum may take either's payload. */
static void same_floats(const struct kernels *k, const char *what,
                        const float *is, const float *should, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isnan(is[i]) || !isnan(should[i]))
            same(k, what, &is[i], &should[i], sizeof(*is));
}

static void check_pack(struct input *in, const struct kernels *k)
{
    const enum sign_type type = (enum sign_type)take(in, TYPES - 1);
    const size_t count = take(in, COUNT_MAX);
    const void *values = area_values(in, type, count, take(in, 31));
    const size_t bytes = lines_for(count) * LINE_BYTES;
    uint64_t *signs = area(in, bytes), *wanted = area(in, bytes);
    uint64_t *marks = area(in, bytes), *wanted_marks = area(in, bytes);

    naive_pack(type, wanted, wanted_marks, values, count);
    k->pack[type](signs, values, count);
    same(k, "pack", signs, wanted, bytes);
    memset(signs, 0x5a, bytes);
    k->pack_marks[type](signs, marks, values, count);
    same(k, "pack_marks, signs", signs, wanted, bytes);
    same(k, "pack_marks, marks", marks, wanted_marks, bytes);
}

static void check_apply(struct input *in, const struct kernels *k)
{
    const enum sign_type type = (enum sign_type)take(in, TYPES - 1);
    const size_t count = take(in, COUNT_MAX);
    const size_t skew = take(in, 31);
    const uint32_t modes = take(in, 7);
    const size_t bytes = lines_for(count) * LINE_BYTES;
    const uint64_t *signs = area_filled(in, bytes);
    const uint64_t *zeros = modes & 1 ? area_filled(in, bytes) : NULL;
    const size_t value_bytes =
        type == TYPE_SIGNS ? (count + 63) / 64 * 8 : count * naive_bytes(type);
    void *values = area_values(in, type, count, skew);
    void *wanted = area_values(in, type, count, skew);
    float scale = ldexpf(1, (int)take(in, 8) - 4);

    if (modes & 4)
        fill(in, &scale, sizeof(scale));
    if (modes & 4)
        kernels_portable.apply[type](wanted, signs, zeros, scale, count, false);
    else
        naive_apply(type, wanted, signs, zeros, scale, count);
    k->apply[type](values, signs, zeros, scale, count, modes & 2);
    same(k, "apply", values, wanted, value_bytes);
}

/* A vote on rows of the input, but for what it gives. */
static struct vote take_vote(struct input *in)
{
    const uint32_t modes = take(in, 7);
    const uint32_t voters = 1 + take(in, modes & 4 ? VOTERS_MAX - 1 : 39);
    const size_t lines = 1 + take(in, voters > BIG_VOTERS ? 0 : 3);
    const uint64_t **signs = area(in, voters * sizeof(*signs));
    const uint64_t **marks = area(in, voters * sizeof(*marks));
    uint8_t *weights = area(in, voters);
    uint32_t total = 0, threshold;

    for (uint32_t v = 0; v < voters; v++) {
        weights[v] = (uint8_t)(1 + take(in, WEIGHT_MAX - 1));
        total += modes & 1 ? weights[v] : 1;
        signs[v] = area_filled(in, lines * LINE_BYTES);
        if (modes & 2)
            marks[v] = area_filled(in, lines * LINE_BYTES);
    }
    if (modes & 2)
        total *= 2;
    /* As often a majority as anything else. */
    threshold = total / 2 + 1;
    if (take(in, 1) != 0)
        threshold = 1 + take(in, total - 1);
    return (struct vote){
        .signs = signs,
        .marks = modes & 2 ? marks : NULL,
        .weights = modes & 1 ? weights : NULL,
        .voters = voters,
        .threshold = threshold,
        .words = lines * LINE_WORDS,
        .coordinates = take(in, (uint32_t)lines * LINE_COORDINATES),
    };
}

static void check_vote(struct input *in, const struct kernels *k)
{
    struct vote vote = take_vote(in), wanted = vote;
    const uint32_t modes = take(in, 3);
    const size_t bytes = 8 * vote.words;
    const size_t dissent_bytes = 8 * (size_t)vote.voters;

    vote.result = area(in, bytes);
    wanted.result = area(in, bytes);
    if (modes & 1) {
        vote.ties = area(in, bytes);
        wanted.ties = area(in, bytes);
    }
    if (modes & 2) {
        vote.dissent = area(in, dissent_bytes);
        wanted.dissent = area(in, dissent_bytes);
    }
    naive_vote(&wanted);
    k->vote(&vote);
    same(k, "vote, result", vote.result, wanted.result, bytes);
    if (modes & 1)
        same(k, "vote, ties", vote.ties, wanted.ties, bytes);
    if (modes & 2)
        same(k, "vote, dissent", vote.dissent, wanted.dissent, dissent_bytes);
}

/* Groups of any size, an empty one among them; the last one decides. */
static void check_count(struct input *in, const struct kernels *k)
{
    struct vote wanted = take_vote(in);
    const bool tied = take(in, 1) != 0;
    const uint32_t group_max = 1 + take(in, 20);
    const size_t bytes = 8 * wanted.words;
    struct count count = {.words = wanted.words};
    uint32_t done = 0;

    wanted.marks = NULL;
    wanted.weights = NULL;
    wanted.threshold = 1 + (wanted.threshold - 1) % wanted.voters;
    wanted.result = area(in, bytes);
    wanted.ties = tied ? area(in, bytes) : NULL;
    count.threshold = wanted.threshold;
    count.top = counting_top(&wanted);
    count.planes = area(in, 8 * count_words(count.top, count.words));
    for (count.first = true; count.result == NULL; count.first = false) {
        const uint32_t left = wanted.voters - done;
        const uint32_t group = take(in, group_max);

        count.signs = &wanted.signs[done];
        count.voters = group < left ? group : left;
        done += count.voters;
        if (group >= left) {
            count.result = area(in, bytes);
            count.ties = tied ? area(in, bytes) : NULL;
        }
        k->count(&count);
    }
    naive_vote(&wanted);
    same(k, "count, result", count.result, wanted.result, bytes);
    if (tied)
        same(k, "count, ties", count.ties, wanted.ties, bytes);
}

static void check_compare(struct input *in, const struct kernels *k)
{
    const uint32_t modes = take(in, 3);
    const uint32_t replicas = modes & 1 ? 3 : 2 + take(in, REPLICAS_MAX - 2);
    const size_t count = take(in, COUNT_MAX);
    const size_t bytes = lines_for(count) * LINE_BYTES;
    const size_t pairs = replicas * (replicas - 1) / 2;
    const uint64_t *rows[REPLICAS_MAX];
    struct compare compare = {
        .distances = area(in, pairs * 8),
        .rows = rows,
        .replicas = replicas,
        .count = count,
    };
    struct compare wanted = compare;

    for (uint32_t r = 0; r < replicas; r++)
        rows[r] = area_filled(in, bytes);
    wanted.distances = area(in, pairs * 8);
    if (modes & 2) {
        compare.majority = area(in, bytes);
        wanted.majority = area(in, bytes);
    }
    naive_compare(&wanted);
    k->compare(&compare);
    same(k, "compare, distances", compare.distances, wanted.distances,
         pairs * 8);
    if (modes & 2)
        same(k, "compare, majority", compare.majority, wanted.majority, bytes);
}

/* The majorities of the tasks in the order of their counting, and whether the
 * replicas of all are equal. */
static bool naive_agree(struct input *in, const struct agree *agree,
                        const uint64_t **majorities)
{
    bool equal = true;

    for (uint32_t t = 0; t < agree->tasks; t++) {
        uint64_t distances[3] = {0};
        uint64_t *majority = area(in, lines_for(agree->count) * LINE_BYTES);

        naive_compare(&(struct compare){
            .majority = majority,
            .distances = distances,
            .rows = &agree->rows[3 * t],
            .replicas = 3,
            .count = agree->count,
        });
        majorities[t] = majority;
        equal = equal && (distances[0] | distances[1] | distances[2]) == 0;
    }
    return equal;
}

static void check_agree(struct input *in, const struct kernels *k)
{
    enum { TASKS_MAX = 40, TOP = 6 };
    const uint32_t tasks = 1 + take(in, TASKS_MAX - 1);
    const bool differing = take(in, 3) == 0;
    const size_t count = 1 + take(in, COUNT_MAX - 1);
    const size_t words = lines_for(count) * LINE_WORDS;
    const uint64_t *rows[3 * TASKS_MAX], *majorities[TASKS_MAX];
    struct agree agree = {
        .planes = area(in, 8 * count_words(TOP, words)),
        .top = TOP,
        .first = true,
        .rows = rows,
        .tasks = tasks,
        .count = count,
    };
    struct count last = {.planes = agree.planes, .top = TOP, .words = words};
    struct vote wanted = {.signs = majorities, .voters = tasks, .words = words};
    bool equal;

    for (uint32_t r = 0; r < 3 * tasks; r++)
        rows[r] =
            r % 3 == 0 || differing ? area_filled(in, 8 * words) : rows[r - 1];
    equal = naive_agree(in, &agree, majorities);
    last.threshold = wanted.threshold = 1 + take(in, tasks - 1);
    last.result = area(in, 8 * words);
    wanted.result = area(in, 8 * words);
    if (k->agree(&agree) != equal) {
        fprintf(stderr, "%s: agree: not %d\n", k->name, equal);
        abort();
    }
    k->count(&last);
    naive_vote(&wanted);
    for (size_t c = count; c < 64 * words; c++)
        last.result[c / 64] &= ~(UINT64_C(1) << c % 64);
    same(k, "agree, counters", last.result, wanted.result, 8 * words);
}

static void check_signum(struct input *in, const struct kernels *k)
{
    const bool marked = take(in, 1) != 0;
    const size_t count = take(in, COUNT_MAX);
    const size_t bytes = lines_for(count) * LINE_BYTES;
    const float beta = (float)take(in, 255) / 256;
    const float *gradient = area_values(in, TYPE_FLOAT32, count, take(in, 15));
    float *wanted = area_values(in, TYPE_FLOAT32, count, 0);
    float *momentum = area_values(in, TYPE_FLOAT32, count, take(in, 15));
    uint64_t *signs = area(in, bytes), *wanted_signs = area(in, bytes);
    uint64_t *marks = marked ? area(in, bytes) : NULL;
    uint64_t *wanted_marks = marked ? area(in, bytes) : NULL;

    memcpy(momentum, wanted, count * sizeof(*momentum));
    naive_signum(wanted_signs, wanted_marks, wanted, gradient, beta, count);
    k->signum(signs, marks, momentum, gradient, beta, count);
    same_floats(k, "signum, momentum", momentum, wanted, count);
    same(k, "signum, signs", signs, wanted_signs, bytes);
    if (marked)
        same(k, "signum, marks", marks, wanted_marks, bytes);
}

static void check_feedback(struct input *in, const struct kernels *k)
{
    const uint32_t modes = take(in, 3);
    const bool marked = modes & 1, blocks = modes & 2;
    const size_t count = take(in, COUNT_MAX);
    const size_t bytes = lines_for(count) * LINE_BYTES;
    const float *gradient = area_values(in, TYPE_FLOAT32, count, take(in, 15));
    float *wanted = area_values(in, TYPE_FLOAT32, count, 0);
    float *error = area_values(in, TYPE_FLOAT32, count, take(in, 15));
    uint64_t *signs = area(in, bytes), *wanted_signs = area(in, bytes);
    uint64_t *marks = marked ? area(in, bytes) : NULL;
    uint64_t *wanted_marks = marked ? area(in, bytes) : NULL;
    float scale;

    fill(in, &scale, sizeof(scale));
    memcpy(error, wanted, count * sizeof(*error));
    if (blocks) {
        scale = naive_feedback_scale(error, gradient, count);
        feedback_blocks(k, signs, marks, error, gradient, count);
    } else {
        k->feedback(signs, marks, error, gradient, scale, count);
    }
    naive_feedback(wanted_signs, wanted_marks, wanted, gradient, scale, count);
    same(k, "feedback, error", error, wanted, count * sizeof(*error));
    same(k, "feedback, signs", signs, wanted_signs, bytes);
    if (marked)
        same(k, "feedback, marks", marks, wanted_marks, bytes);
}

static void check_update(struct input *in, const struct kernels *k)
{
    const bool zeroed = take(in, 1) != 0;
    const size_t count = take(in, COUNT_MAX);
    const size_t bytes = lines_for(count) * LINE_BYTES;
    const uint64_t *signs = area_filled(in, bytes);
    const uint64_t *zeros = zeroed ? area_filled(in, bytes) : NULL;
    float *wanted = area_values(in, TYPE_FLOAT32, count, 0);
    float *parameters = area_values(in, TYPE_FLOAT32, count, take(in, 15));
    float rate, decay;

    fill(in, &rate, sizeof(rate));
    fill(in, &decay, sizeof(decay));
    memcpy(parameters, wanted, count * sizeof(*parameters));
    naive_update(wanted, signs, zeros, rate, decay, count);
    k->update(parameters, signs, zeros, rate, decay, count);
    same_floats(k, "update", parameters, wanted, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static void (*const checks[])(struct input *, const struct kernels *) = {
        check_pack,   check_apply,    check_vote,   check_count, check_compare,
        check_signum, check_feedback, check_update, check_agree,
    };
    const uint32_t kinds = sizeof(checks) / sizeof(checks[0]);

    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        struct input in = {.next = bytes, .left = count, .state = 1};

        if (!kernels_all[i]->supported())
            continue;
        checks[take(&in, kinds - 1)](&in, kernels_all[i]);
        for (size_t a = 0; a < in.areas_count; a++)
            free(in.areas[a]);
    }
    return 0;
}
