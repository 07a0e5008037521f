/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portable.c - the kernels in plain C, for every machine: the specification.
 *
 * Written to be read. signs.h says what one coordinate means; here are the rows
 * of them, and the vote as a ripple of half adders, one voter after the other.
 */
#include "counting.h"
#include "feedback.h"
#include "signs.h"

static void pack_float32_portable(uint64_t *restrict signs,
                                  const void *restrict values, size_t count)
{
    pack_from(TYPE_FLOAT32, 0, signs, NULL, values, count);
}

static void pack_float16_portable(uint64_t *restrict signs,
                                  const void *restrict values, size_t count)
{
    pack_from(TYPE_FLOAT16, 0, signs, NULL, values, count);
}

static void pack_bfloat16_portable(uint64_t *restrict signs,
                                   const void *restrict values, size_t count)
{
    pack_from(TYPE_BFLOAT16, 0, signs, NULL, values, count);
}

static void pack_float64_portable(uint64_t *restrict signs,
                                  const void *restrict values, size_t count)
{
    pack_from(TYPE_FLOAT64, 0, signs, NULL, values, count);
}

static void pack_marks_float32_portable(uint64_t *restrict signs,
                                        uint64_t *restrict marks,
                                        const void *restrict values,
                                        size_t count)
{
    pack_from(TYPE_FLOAT32, 0, signs, marks, values, count);
}

static void pack_marks_float16_portable(uint64_t *restrict signs,
                                        uint64_t *restrict marks,
                                        const void *restrict values,
                                        size_t count)
{
    pack_from(TYPE_FLOAT16, 0, signs, marks, values, count);
}

static void pack_marks_bfloat16_portable(uint64_t *restrict signs,
                                         uint64_t *restrict marks,
                                         const void *restrict values,
                                         size_t count)
{
    pack_from(TYPE_BFLOAT16, 0, signs, marks, values, count);
}

static void pack_marks_float64_portable(uint64_t *restrict signs,
                                        uint64_t *restrict marks,
                                        const void *restrict values,
                                        size_t count)
{
    pack_from(TYPE_FLOAT64, 0, signs, marks, values, count);
}

static void apply_float32_portable(void *restrict values,
                                   const uint64_t *restrict signs,
                                   const uint64_t *restrict zeros, float scale,
                                   size_t count, bool far)
{
    (void)far;
    apply_from(TYPE_FLOAT32, 0, values, signs, zeros, scale, count);
}

static void apply_float16_portable(void *restrict values,
                                   const uint64_t *restrict signs,
                                   const uint64_t *restrict zeros, float scale,
                                   size_t count, bool far)
{
    (void)far;
    apply_from(TYPE_FLOAT16, 0, values, signs, zeros, scale, count);
}

static void apply_bfloat16_portable(void *restrict values,
                                    const uint64_t *restrict signs,
                                    const uint64_t *restrict zeros, float scale,
                                    size_t count, bool far)
{
    (void)far;
    apply_from(TYPE_BFLOAT16, 0, values, signs, zeros, scale, count);
}

static void apply_float64_portable(void *restrict values,
                                   const uint64_t *restrict signs,
                                   const uint64_t *restrict zeros, float scale,
                                   size_t count, bool far)
{
    (void)far;
    apply_from(TYPE_FLOAT64, 0, values, signs, zeros, scale, count);
}

static void signum_portable(uint64_t *restrict signs, uint64_t *restrict marks,
                            float *restrict momentum,
                            const float *restrict gradient, float beta,
                            size_t count)
{
    momentum_from(0, momentum, gradient, beta, count);
    pack_from(TYPE_FLOAT32, 0, signs, marks, momentum, count);
}

static void feedback_portable(uint64_t *restrict signs,
                              uint64_t *restrict marks, float *restrict error,
                              const float *restrict gradient, float scale,
                              size_t count)
{
    feedback_from(0, signs, marks, error, gradient, scale, count);
}

static void update_portable(float *restrict parameters,
                            const uint64_t *restrict signs,
                            const uint64_t *restrict zeros, float rate,
                            float decay, size_t count)
{
    update_from(0, parameters, signs, zeros, rate, decay, count);
}

/* Adds 2^from to the counter of every coordinate whose bit in `carry` is 1. */
static inline void add(uint64_t planes[][LINE_WORDS], uint32_t from,
                       uint32_t top, const uint64_t *line)
{
    uint64_t carry[LINE_WORDS];

    memcpy(carry, line, sizeof(carry));
    for (uint32_t p = from; p <= top; p++)
        for (uint32_t w = 0; w < LINE_WORDS; w++) {
            const uint64_t both = planes[p][w] & carry[w];

            planes[p][w] ^= carry[w];
            carry[w] = both;
        }
}

/* Voter v's line at word `at`, each word loaded once: "minus" and, which only
 * counts with marks, "not plus". */
static inline void load_voter(uint64_t *minus, uint64_t *not_plus,
                              const struct vote *vote, uint32_t v, size_t at)
{
    for (uint32_t w = 0; w < LINE_WORDS; w++)
        minus[w] = signs_load(&vote->signs[v][at + w]);
    if (vote->marks == NULL)
        return;
    for (uint32_t w = 0; w < LINE_WORDS; w++) {
        const uint64_t marked = signs_load(&vote->marks[v][at + w]);

        minus[w] &= marked;
        not_plus[w] = minus[w] | ~marked;
    }
}

/* The counters of one line of coordinates. */
static void count_line(uint64_t planes[][LINE_WORDS], const struct vote *vote,
                       uint32_t top, size_t at)
{
    const uint32_t start = counting_start(vote, top);

    for (uint32_t p = 0; p <= top; p++)
        for (uint32_t w = 0; w < LINE_WORDS; w++)
            planes[p][w] = (start >> p & 1) != 0 ? ~0ull : 0;
    for (uint32_t v = 0; v < vote->voters; v++) {
        const uint32_t weight = vote->weights != NULL ? vote->weights[v] : 1;
        uint64_t minus[LINE_WORDS];
        uint64_t not_plus[LINE_WORDS];

        load_voter(minus, not_plus, vote, v, at);
        for (uint32_t bit = 0; weight >> bit != 0; bit++) {
            if ((weight >> bit & 1) == 0)
                continue;
            add(planes, bit, top, minus);
            if (vote->marks != NULL)
                add(planes, bit, top, not_plus);
        }
    }
}

/* `ties` may be NULL. */
static void decide_line(uint64_t *result, uint64_t *ties,
                        uint64_t planes[][LINE_WORDS], uint32_t top)
{
    memcpy(result, planes[top], LINE_BYTES);
    for (uint32_t w = 0; ties != NULL && w < LINE_WORDS; w++) {
        ties[w] = ~planes[top][w];
        for (uint32_t p = 0; p < top; p++)
            ties[w] &= planes[p][w];
    }
}

static void vote_lines(const struct vote *vote)
{
    const uint32_t top = counting_top(vote);
    uint64_t planes[PLANES_MAX][LINE_WORDS];

    for (size_t at = 0; at < vote->words; at += LINE_WORDS) {
        count_line(planes, vote, top, at);
        decide_line(&vote->result[at],
                    vote->ties != NULL ? &vote->ties[at] : NULL, planes, top);
    }
}

/* Adds the same number to the counter of every coordinate. */
static void add_number(uint64_t planes[][LINE_WORDS], uint32_t top,
                       uint32_t number)
{
    uint64_t ones[LINE_WORDS];

    memset(ones, 0xff, sizeof(ones));
    for (uint32_t p = 0; p <= top; p++)
        if ((number >> p & 1) != 0)
            add(planes, p, top, ones);
}

static void count_portable(const struct count *count)
{
    const uint32_t top = count->top;
    const size_t bytes = count_words(top, LINE_WORDS) * sizeof(uint64_t);
    const struct vote vote = {.signs = count->signs};
    uint64_t planes[COUNT_TOP_MAX + 1][LINE_WORDS];

    for (size_t at = 0; at < count->words; at += LINE_WORDS) {
        uint64_t *stored = &count->planes[count_place(top, at)];

        memset(planes, 0, sizeof(planes));
        if (!count->first)
            memcpy(planes, stored, bytes);
        for (uint32_t v = 0; v < count->voters; v++) {
            uint64_t line[LINE_WORDS];

            load_voter(line, NULL, &vote, v, at);
            add(planes, 0, top, line);
        }
        if (count->result == NULL) {
            memcpy(stored, planes, bytes);
            continue;
        }
        add_number(planes, top, (1u << top) - count->threshold);
        decide_line(&count->result[at],
                    count->ties != NULL ? &count->ties[at] : NULL, planes, top);
    }
}

/* One line of the row from word `at`, each word loaded once; what is behind the
 * `left` coordinates that are left there is 0. */
static void copy_line(uint64_t *line, const uint64_t *row, size_t at,
                      size_t left)
{
    for (size_t w = 0; w < LINE_WORDS; w++) {
        const size_t first = w * WORD_COORDINATES;

        line[w] = signs_load(&row[at + w]);
        line[w] &= left > first ? signs_below(left - first) : 0;
    }
}

static uint64_t count_differing(const uint64_t *a, const uint64_t *b)
{
    uint64_t differing = 0;

    for (size_t w = 0; w < LINE_WORDS; w++)
        differing += (uint64_t)__builtin_popcountll(a[w] ^ b[w]);
    return differing;
}

/* Who differs from the result of the line at word `at`. */
static void count_dissent(const struct vote *vote, const struct vote *line,
                          size_t at)
{
    for (uint32_t v = 0; v < vote->voters; v++)
        for (size_t w = 0; w < LINE_WORDS; w++) {
            const size_t first = (at + w) * WORD_COORDINATES;
            uint64_t differ = line->signs[v][w] ^ line->result[w];

            if (vote->coordinates < first + WORD_COORDINATES)
                differ &= vote->coordinates > first
                              ? signs_below(vote->coordinates - first)
                              : 0;
            if (line->ties != NULL)
                differ &= ~line->ties[w];
            if (line->marks != NULL)
                differ &= line->marks[v][w];
            vote->dissent[v] += (uint64_t)__builtin_popcountll(differ);
        }
}

/* As vote_lines(), line by line on copies, for each is looked at twice. */
static void vote_dissent(const struct vote *vote)
{
    uint64_t signs[VOTERS_MAX][LINE_WORDS], marks[VOTERS_MAX][LINE_WORDS];
    const uint64_t *sign_rows[VOTERS_MAX], *mark_rows[VOTERS_MAX];
    struct vote line = *vote;

    line.signs = sign_rows;
    line.marks = vote->marks != NULL ? mark_rows : NULL;
    line.words = LINE_WORDS;
    for (size_t at = 0; at < vote->words; at += LINE_WORDS) {
        for (uint32_t v = 0; v < vote->voters; v++) {
            copy_line(signs[v], vote->signs[v], at, LINE_COORDINATES);
            if (vote->marks != NULL)
                copy_line(marks[v], vote->marks[v], at, LINE_COORDINATES);
            sign_rows[v] = signs[v];
            mark_rows[v] = marks[v];
        }
        line.result = &vote->result[at];
        line.ties = vote->ties != NULL ? &vote->ties[at] : NULL;
        vote_lines(&line);
        count_dissent(vote, &line, at);
    }
}

static void vote_portable(const struct vote *vote)
{
    if (vote->dissent != NULL)
        vote_dissent(vote);
    else
        vote_lines(vote);
}

static void compare_portable(const struct compare *compare)
{
    const uint32_t replicas = compare->replicas;
    uint64_t lines[REPLICAS_MAX][LINE_WORDS];
    const uint64_t *rows[REPLICAS_MAX];
    struct vote vote = {
        .signs = rows,
        .voters = replicas,
        .threshold = replicas / 2 + 1,
        .words = LINE_WORDS,
    };

    for (size_t line = 0; line < lines_for(compare->count); line++) {
        const size_t at = line * LINE_WORDS;
        uint64_t *distance = compare->distances;

        for (uint32_t r = 0; r < replicas; r++) {
            copy_line(lines[r], compare->rows[r], at,
                      compare->count - line * LINE_COORDINATES);
            rows[r] = lines[r];
        }
        for (uint32_t a = 0; a < replicas; a++)
            for (uint32_t b = a + 1; b < replicas; b++)
                *distance++ += count_differing(lines[a], lines[b]);
        if (compare->majority == NULL)
            continue;
        vote.result = &compare->majority[at];
        vote_lines(&vote);
    }
}

/* One line of a task: what most of its replicas say, and where not all say
 * the same. */
static void agree_line(uint64_t *majority, uint64_t *unlike,
                       const uint64_t *const *rows, size_t at)
{
    for (size_t w = 0; w < LINE_WORDS; w++) {
        const uint64_t a = signs_load(&rows[0][at + w]);
        const uint64_t b = signs_load(&rows[1][at + w]);
        const uint64_t c = signs_load(&rows[2][at + w]);

        majority[w] = (a & b) | (a & c) | (b & c);
        unlike[w] |= (a ^ b) | (a ^ c);
    }
}

static bool agree_portable(const struct agree *agree)
{
    const uint32_t top = agree->top;
    const size_t bytes = count_words(top, LINE_WORDS) * sizeof(uint64_t);
    uint64_t planes[COUNT_TOP_MAX + 1][LINE_WORDS];
    uint64_t any = 0;

    for (size_t line = 0; line < lines_for(agree->count); line++) {
        const size_t at = line * LINE_WORDS;
        uint64_t *stored = &agree->planes[count_place(top, at)];
        uint64_t unlike[LINE_WORDS] = {0};
        uint64_t counted[LINE_WORDS];

        memset(planes, 0, sizeof(planes));
        if (!agree->first)
            memcpy(planes, stored, bytes);
        for (uint32_t t = 0; t < agree->tasks; t++) {
            uint64_t majority[LINE_WORDS];

            agree_line(majority, unlike, &agree->rows[3 * t], at);
            add(planes, 0, top, majority);
        }
        memcpy(stored, planes, bytes);
        copy_line(counted, unlike, 0, agree->count - line * LINE_COORDINATES);
        for (size_t w = 0; w < LINE_WORDS; w++)
            any |= counted[w];
    }
    return any == 0;
}

static bool supported(void)
{
    return true;
}

const struct kernels kernels_portable = {
    .name = "portable",
    .supported = supported,
    .pack = {[TYPE_FLOAT32] = pack_float32_portable,
             [TYPE_FLOAT16] = pack_float16_portable,
             [TYPE_BFLOAT16] = pack_bfloat16_portable,
             [TYPE_FLOAT64] = pack_float64_portable,
             [TYPE_SIGNS] = signs_pack},
    .pack_marks = {[TYPE_FLOAT32] = pack_marks_float32_portable,
                   [TYPE_FLOAT16] = pack_marks_float16_portable,
                   [TYPE_BFLOAT16] = pack_marks_bfloat16_portable,
                   [TYPE_FLOAT64] = pack_marks_float64_portable,
                   [TYPE_SIGNS] = signs_pack_marks},
    .vote = vote_portable,
    .count = count_portable,
    .compare = compare_portable,
    .agree = agree_portable,
    .apply = {[TYPE_FLOAT32] = apply_float32_portable,
              [TYPE_FLOAT16] = apply_float16_portable,
              [TYPE_BFLOAT16] = apply_bfloat16_portable,
              [TYPE_FLOAT64] = apply_float64_portable,
              [TYPE_SIGNS] = signs_apply},
    .signum = signum_portable,
    .feedback = feedback_portable,
    .feedback_scale = feedback_mean_finite,
    .update = update_portable,
    .reductions = &reductions_portable,
};
