/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.h - floats to signs, signs to majority, majority to floats.
 *
 * Signs: a bit is 1 iff the value is < 0 by an ordinary comparison, so +0, -0
 * and NaN vote plus. Coordinate i is bit i mod 64 of little-endian word i / 64.
 * Rows are whole 64-byte lines, 64-byte aligned, padded with zero bits.
 *
 * Rows that a peer can still write are loaded once, word for word, and never
 * looked at again: every kernel that takes such rows says so.
 */
#ifndef BALLOT_AGGREGATE_KERNELS_H
#define BALLOT_AGGREGATE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reduce.h"

enum {
    LINE_BYTES = 64,
    LINE_WORDS = 8,         /* 64-bit words in one line */
    LINE_COORDINATES = 512, /* coordinates in one line of signs */
    VOTERS_MAX = 1024,      /* rows that one vote counts */
    WEIGHT_MAX = 15,        /* of one voter */
    REPLICAS_MAX = 16,      /* rows that one comparison takes */
    COUNT_TOP_MAX = 16,     /* 2^16 voters, counted in groups */
    /* From so many bytes on something is larger than the caches, for the
     * kernels' `far`. Measured with float32 that are applied: 24 against 10
     * GB/s at 64 MiB on a Xeon (Emerald Rapids) and equal at 32 MiB; where the
     * output fits into a cache such stores take up to four times as long
     * (Zen 4). */
    FAR_BYTES = 32 << 20,
    /* Coordinates that share a scale: gradient and error are read twice, so
     * both stay in L2 (128 KiB). */
    FEEDBACK_BLOCK = 16 << 10,
};

/* Element types of a caller's vector, in the order of enum ballot_type. */
enum sign_type {
    TYPE_FLOAT32,
    TYPE_FLOAT16,
    TYPE_BFLOAT16,
    TYPE_FLOAT64,
    TYPE_SIGNS, /* packed already: ceil(count / 64) words */
    TYPES,
};

/* Lines that hold `coordinates` signs. */
static inline size_t lines_for(size_t coordinates)
{
    return (coordinates + LINE_COORDINATES - 1) / LINE_COORDINATES;
}

/*
 * signs[8 * lines_for(count)]: the signs of values[count]; what is behind the
 * last coordinate up to the end of its line is zero. `values` need not be
 * aligned beyond its element. The result does not depend on MXCSR (DAZ).
 */
typedef void pack_fn(uint64_t *restrict signs, const void *restrict values,
                     size_t count);

/*
 * As pack_fn, and marks[8 * lines_for(count)]: a bit is 1 iff the value is not
 * zero (NaN is not zero). For TYPE_SIGNS every coordinate is marked.
 */
typedef void pack_marks_fn(uint64_t *restrict signs, uint64_t *restrict marks,
                           const void *restrict values, size_t count);

/*
 * One vote over whole rows. Voter v adds weights[v] (1 without weights) to the
 * counter of a coordinate iff its bit there is 1. With `marks` (zeros abstain)
 * voter v adds weights[v] twice for a marked minus, once for an unmarked
 * coordinate and not at all for a marked plus; a set sign that is not marked
 * counts as unmarked (notes: a majority with abstentions is the plain vote over
 * 2 n rows with the threshold n + 1).
 *
 *   result[words]  a bit is 1 iff the counter is >= threshold
 *   ties[words]    NULL, or: a bit is 1 iff the counter is threshold - 1
 *   signs[voters]  rows of `words` words, a multiple of 8; peers may write them
 *                  meanwhile, so each word is loaded exactly once
 *   marks[voters]  NULL, or rows as signs
 *   weights        NULL, or [voters], each 1..WEIGHT_MAX
 *   dissent        NULL, or [voters], added to: in how many of the first
 *                  `coordinates` the result is not what voter v says. Where
 *                  `ties` says so nobody dissents, nor does v with a
 *                  coordinate that it has not marked
 *   voters         1..VOTERS_MAX
 *   threshold      1..(sum of weights, or twice that with marks)
 *   coordinates    0..64 words, without those that pad; read with dissent only
 *   far            the rows together are larger than the caches: results are
 *                  stored around them, and many rows are fetched ahead
 *                  (kernels_portable reads and stores as ever)
 *
 * With dissent it takes about 200 KiB of stack, for private copies.
 * A coordinate of a padded tail in which all voters say 0 gives 0 in `result`;
 * ties may be set there. With marks all abstain there, so a threshold that
 * gives ties to minus sets it in `result` too: the caller clears it. Source:
 * the vote of Bernstein et al., "signSGD with Majority Vote" (ICLR 2019),
 * Algorithm 1, on packed signs.
 */
struct vote {
    uint64_t *result;
    uint64_t *ties;
    const uint64_t *const *signs;
    const uint64_t *const *marks;
    const uint8_t *weights;
    uint64_t *dissent;
    uint32_t voters;
    uint32_t threshold;
    size_t words;
    size_t coordinates;
    bool far;
};
typedef void vote_fn(const struct vote *vote);

/*
 * One group of a vote that is counted group by group, as voters arrive or as
 * their rows are computed; every voter weighs 1. Counters start at 0 with the
 * first group, and the last one decides; the order of voters does not matter.
 *
 *   planes     [count_words(top, words)], private to the caller: bit p of the
 *              counters of word w is at planes[count_place(top, w) + 8 * p]
 *   top        the same for all groups, up to COUNT_TOP_MAX, such that 2^top
 *              >= threshold and 2^top > voters of all groups - threshold
 *   first      `planes` holds nothing yet
 *   signs      [voters] rows of `words` words, a multiple of 8; peers may write
 *              them meanwhile, so each word is loaded exactly once
 *   voters     of this group; 0: none is added
 *   result     NULL: the planes are stored for the next group; else decides,
 *              and the planes hold nothing any more: [words], a bit is 1 iff
 *              the counter is >= threshold
 *   ties       NULL, or beside a result: a bit is 1 iff the counter is
 *              threshold - 1
 *   threshold  1..voters of all groups; read with result only
 */
struct count {
    uint64_t *planes;
    uint32_t top;
    bool first;
    const uint64_t *const *signs;
    uint32_t voters;
    size_t words;
    uint64_t *result;
    uint64_t *ties;
    uint32_t threshold;
};
typedef void count_fn(const struct count *count);

/* The planes of a line are neighbours: one stream for any number of them. */
static inline size_t count_place(uint32_t top, size_t word)
{
    return word / LINE_WORDS * LINE_WORDS * (top + 1) + word % LINE_WORDS;
}

static inline size_t count_words(uint32_t top, size_t words)
{
    return words * (top + 1);
}

/*
 * One task's replicas: what most of them say, and in how many coordinates each
 * pair of them differs.
 *
 *   majority[words]  NULL, or: a bit is 1 iff more than half of the rows have
 *                    it, so a tie is 0; 0 behind the last coordinate
 *   distances        [replicas (replicas - 1) / 2], added to, of the pairs
 *                    (0, 1), (0, 2), .. (1, 2), ..
 *   rows[replicas]   of `words` words; peers may write them meanwhile, so each
 *                    word is loaded exactly once. Bits behind the last
 *                    coordinate may be anything and are not counted
 *   replicas         2..REPLICAS_MAX
 *   count            coordinates; words = 8 * lines_for(count)
 *   far              the majority is part of an output that is larger than the
 *                    caches: where there are three rows, it is stored around
 *                    them
 *
 * Source: the comparison of replicas in Konstantinidis and Ramamoorthy, "Aspis:
 * A Robust Detection System for Distributed Learning" (ISIT 2022), on signs.
 */
struct compare {
    uint64_t *majority;
    uint64_t *distances;
    const uint64_t *const *rows;
    uint32_t replicas;
    size_t count;
    bool far;
};
typedef void compare_fn(const struct compare *compare);

/*
 * A group of tasks with three replicas each: the majorities of those are added
 * to counters as `struct count` adds rows, and whether all agreed is the value.
 * If they did not, there is no more to be learned from this reading, for it
 * kept nothing; the planes hold nothing of use then.
 *
 *   planes, top, first  as in struct count
 *   rows[3 * tasks]     of 8 * lines_for(count) words, task by task; peers may
 *                       write them meanwhile, so each word is loaded exactly
 *                       once. Bits behind the last coordinate may be anything:
 *                       they are not compared
 *   tasks               0: none is added
 *   count               coordinates
 *   far                 rows are in no cache near: they are fetched ahead, as
 *                       the hardware does not follow so many
 */
struct agree {
    uint64_t *planes;
    uint32_t top;
    bool first;
    const uint64_t *const *rows;
    uint32_t tasks;
    size_t count;
    bool far;
};
typedef bool agree_fn(const struct agree *agree);

/*
 * values[count]: +scale where the sign is 0, -scale where it is 1; where
 * `zeros` is given and its bit is 1, +0. For TYPE_SIGNS copies the words
 * (scale and zeros are ignored) and clears the bits behind the last
 * coordinate. `signs` and `zeros` may be written by a peer: each word is
 * loaded once. `far` says that the values are part of an output that is larger
 * than the caches: they are stored around them, if they are aligned to their
 * element (kernels_portable stores as ever).
 */
typedef void apply_fn(void *restrict values, const uint64_t *restrict signs,
                      const uint64_t *restrict zeros, float scale, size_t count,
                      bool far);

/*
 * momentum[i] = (1 - beta) * gradient[i] + beta * momentum[i], in exactly this
 * order of float32 operations without contraction; signs[] = signs of the new
 * momentum, as pack_fn; with `marks` not NULL also marks. Where gradient and
 * momentum both are NaN, the payload of the new momentum is unspecified.
 * Source: Bernstein et al. 2019, Algorithm 1 (damped momentum at the worker, no
 * bias correction).
 */
typedef void signum_fn(uint64_t *restrict signs, uint64_t *restrict marks,
                       float *restrict momentum, const float *restrict gradient,
                       float beta, size_t count);

/*
 * The signs of a gradient and of what earlier signs have left of it. In float32
 *   p = gradient[i] + error[i]
 *   signs[], marks[] (or NULL)   those of p, as pack_fn and pack_marks_fn
 *   error[i] = p - s             where s is -scale for a sign of 1, else +scale
 * It is the bit that says what was sent, not p's own: for -0 they differ. With
 * marks s is 0 where p is: it abstains. Where p - s is not finite error[i]
 * becomes 0, for it would stay so, and its sign the same, for ever. `scale` is
 * any float. Source: Karimireddy et al., "Error Feedback Fixes SignSGD and
 * other Gradient Compression Schemes" (ICML 2019), Algorithm 1.
 */
typedef void feedback_fn(uint64_t *restrict signs, uint64_t *restrict marks,
                         float *restrict error, const float *restrict gradient,
                         float scale, size_t count);

/*
 * The mean of |gradient[i] + error[i]|, of those in `count` that are finite; 0
 * if none is. The same bits everywhere: coordinates of the same i mod 64 are
 * added in float32, first to last, then these 64 sums in float64, l and l + 32,
 * l and l + 16, .. l and l + 1. Infinite if one of the 64 is.
 */
typedef float feedback_scale_fn(const float *error, const float *gradient,
                                size_t count);

/*
 * x[i] = x[i] - rate * (s + decay * x[i]), where s is +1, -1, or 0 where
 * `zeros` says so, computed as x - rate * (s + (decay * x)) in float32 without
 * contraction. Source: Bernstein et al. 2019, Algorithm 1, last line.
 */
typedef void update_fn(float *restrict parameters,
                       const uint64_t *restrict signs,
                       const uint64_t *restrict zeros, float rate, float decay,
                       size_t count);

struct kernels {
    const char *name; /* "avx512", "avx2", "portable" */
    bool (*supported)(void);
    pack_fn *pack[TYPES];
    pack_marks_fn *pack_marks[TYPES];
    vote_fn *vote;
    count_fn *count;
    compare_fn *compare;
    agree_fn *agree;
    apply_fn *apply[TYPES];
    signum_fn *signum;
    feedback_fn *feedback;
    feedback_scale_fn *feedback_scale;
    update_fn *update;
    reduction_table *reductions; /* of all that is no vote */
};

/* Each is the only symbol that its file exports. portable.c is the
 * specification: the others give the same bits for the same bits. */
extern const struct kernels kernels_avx512, kernels_avx2, kernels_portable;

/* All of them, best first, NULL at the end. */
extern const struct kernels *const kernels_all[];

/*
 * The fastest that runs on this machine, or the one called `name` (NULL or ""
 * for the fastest). NULL if no such name exists or it does not run here.
 */
const struct kernels *kernels_pick(const char *name);

/*
 * As feedback_fn, each FEEDBACK_BLOCK coordinates from the first on with the
 * scale that feedback_scale_fn gives for them; the last block may be short.
 * Source: Zheng, Huang and Kwok, "Communication-Efficient Distributed Blockwise
 * Momentum SGD with Error-Feedback" (NeurIPS 2019), the scale of a block.
 */
void feedback_blocks(const struct kernels *kernels, uint64_t *restrict signs,
                     uint64_t *restrict marks, float *restrict error,
                     const float *restrict gradient, size_t count);

/*
 * ties[words] (as vote_fn gave them) are given to minus where a hash of seed,
 * round and the coordinate's index says so: result |= ties & random. The same
 * bits on every rank and machine. `first` is the index of the first coordinate,
 * a multiple of 512.
 */
void ties_random(uint64_t *restrict result, const uint64_t *restrict ties,
                 uint64_t seed, uint64_t round, uint64_t first, size_t words);

#endif
