/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round.h - what the first line of every slot says, and the limits of a round.
 */
#ifndef BALLOT_AGGREGATE_ROUND_H
#define BALLOT_AGGREGATE_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

enum {
    RANKS_MAX = 1024,
    MASK_WORDS = RANKS_MAX / 64,
    WINDOW_MAX = 32,           /* slots of a voter at a server */
    ROUNDS_MAX = 16,           /* rounds of one voter under way */
    HEADER_MAGIC = 0x31544c42, /* "BLT1": the wire version is in it */
    HEADER_MASK_RANKS = 64,    /* up to here the voter mask fits the header */
    ROWS_NONE = 0xffff,        /* struct call */
};
/* A bit of struct call's detail; no enum holds it. */
#define DETAIL_OTHER UINT32_C(0x80000000)

enum header_kind {
    HEADER_VOTE = 1,
    HEADER_RESULT,
    HEADER_STREAM,
    HEADER_CREDIT,
    HEADER_CONTROL,
};

enum header_flag {
    FLAG_ABSTAIN = 1, /* a put that asks for the result without a vote */
    /* A put: the signs of an OK result may be written into memory of the
     * voter's that `mask` (its address) and `rank` (its key) name. A result:
     * they were, and only what comes before them is in the slot. */
    FLAG_LANDS = 2,
    FLAG_CALLED = 4, /* an answer: `call` is what was asked about */
    FLAG_TELL = 8,   /* a message of a flow: its sender waits for credit */
};

/* What a result says. */
enum status {
    STATUS_OK,
    STATUS_DIFFERS, /* not all called the same; the payload names two calls */
    STATUS_LOST,    /* no quorum at the deadline; the mask says who was in */
    STATUS_DEAD,    /* a rank that is needed has died: `detail` */
    STATUS_GONE,    /* so late that the result is no longer kept */
    STATUSES,
};

/*
 * One line, little-endian. A reader copies it once and looks at the copy only.
 * The fields of `struct call` must be equal between the voters of a chunk.
 */
struct call {
    uint64_t round;
    uint64_t count;       /* coordinates of the whole call */
    uint32_t chunk;       /* which of its chunks */
    uint32_t coordinates; /* in this chunk */
    uint32_t detail;      /* what else ranks must agree on: coordinates of a
                             whole chunk; with DETAIL_OTHER, something else, and
                             chunks are the largest; the root of a broadcast;
                             the step of a redundant round */
    uint8_t type;
    uint8_t op;
    uint16_t rows; /* 0: a plain vote; of a redundant round: how many rows of
                      signs each put carries; ROWS_NONE: puts are header lines
                      only, and the result is what the server knows */
};

struct header {
    uint32_t magic;
    uint32_t epoch; /* of the communicator */
    uint64_t sequence;
    struct call call;
    uint8_t kind;
    uint8_t flags;
    uint8_t status;   /* results */
    uint8_t reserved; /* 0 */
    uint32_t rank;    /* STATUS_DEAD: who; FLAG_LANDS, puts: the key */
    uint64_t mask;    /* results: voters counted, when ranks <= 64; GONE: first
                         sequence of the next round, whose number is in call;
                         FLAG_LANDS, puts: the address */
};

_Static_assert(sizeof(struct call) == 32, "a call is half a line");
_Static_assert(sizeof(struct header) == 64, "a header is one line");

/*
 * Payload of a STATUS_DIFFERS result: two ranks and what they called; and where
 * a voter whose call differs from a quorum's goes on.
 */
struct difference {
    uint32_t rank[2];
    uint64_t next_round;
    uint64_t next_sequence; /* 0: nowhere, the round failed for all */
    uint8_t padding[40];
    struct call call[2];
};
_Static_assert(sizeof(struct difference) == 128, "two lines");

static inline bool call_equal(const struct call *a, const struct call *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* What all calls on one communicator have in common. */
struct shape {
    uint32_t ranks;
    uint32_t coordinates_max; /* of a chunk */
    uint32_t planes_up;       /* 2 when zeros abstain (signs, marks), else 1 */
    uint32_t planes_down;     /* 2 when ties are zero (signs, ties), else 1 */
    uint32_t rows;            /* of a redundant round, < ROWS_NONE; 0: there are
                                 no such rounds */
};

/* Coordinates of every chunk of a call but the last. */
static inline uint32_t whole_chunk(const struct shape *shape,
                                   const struct call *call)
{
    return call->rows == 0 && (call->detail & DETAIL_OTHER) == 0
               ? call->detail
               : shape->coordinates_max;
}

/* Whether such rows can be in a call. */
static inline bool rows_valid(const struct shape *shape, uint16_t rows)
{
    return rows == 0 ||
           (shape->rows != 0 && (rows == shape->rows || rows == ROWS_NONE));
}

/* ---- Sets of ranks ---- */

struct rank_mask {
    uint64_t words[MASK_WORDS];
};

static inline void mask_set(struct rank_mask *mask, uint32_t rank)
{
    mask->words[rank / 64] |= UINT64_C(1) << (rank % 64);
}

static inline void mask_clear(struct rank_mask *mask, uint32_t rank)
{
    mask->words[rank / 64] &= ~(UINT64_C(1) << (rank % 64));
}

static inline bool mask_has(const struct rank_mask *mask, uint32_t rank)
{
    return mask->words[rank / 64] >> (rank % 64) & 1;
}

/* Words of a mask that so many ranks need. */
static inline uint32_t mask_words(uint32_t ranks)
{
    return (ranks + 63) / 64;
}

/* Of the first `words`. */
static inline uint32_t mask_count_of(const struct rank_mask *mask,
                                     uint32_t words)
{
    uint32_t count = 0;

    /* Most words are empty, and counting bits may be a call. */
    for (uint32_t w = 0; w < words; w++)
        if (mask->words[w] != 0)
            count += (uint32_t)__builtin_popcountll(mask->words[w]);
    return count;
}

static inline uint32_t mask_count(const struct rank_mask *mask)
{
    return mask_count_of(mask, MASK_WORDS);
}

/* Lines of voter mask between a result's header line and its signs. */
static inline uint32_t mask_lines(uint32_t ranks)
{
    return ranks <= HEADER_MASK_RANKS ? 0 : (ranks + 511) / 512;
}

/*
 * Bytes of `planes` rows of signs, one behind the other, as they travel: whole
 * lines, but for the last words of the last row that hold no coordinate. What
 * is in a slot there may be anything.
 */
static inline uint32_t planes_bytes(uint32_t coordinates, uint32_t planes)
{
    uint32_t lines = (uint32_t)lines_for(coordinates);
    uint32_t words = (coordinates + 63) / 64;

    if (planes == 0)
        return 0;
    return LINE_BYTES * lines * planes - 8 * (LINE_WORDS * lines - words);
}

/* Bytes of a put, header line included; rows_valid(). */
static inline uint32_t vote_bytes(const struct shape *shape,
                                  const struct call *call, bool abstain)
{
    uint32_t planes = call->rows == 0 ? shape->planes_up : call->rows;

    if (abstain || call->rows == ROWS_NONE)
        planes = 0;
    return LINE_BYTES + planes_bytes(call->coordinates, planes);
}

/* Bytes of a result in its slot, header line and mask lines included. */
static inline uint32_t result_bytes(const struct shape *shape,
                                    const struct header *header)
{
    uint32_t bytes = LINE_BYTES * (1 + mask_lines(shape->ranks));

    if (header->status == STATUS_DIFFERS)
        bytes += sizeof(struct difference);
    if (header->status == STATUS_OK && (header->flags & FLAG_LANDS) == 0)
        bytes += planes_bytes(header->call.coordinates, shape->planes_down);
    return bytes;
}

/* Bytes that the largest message of either direction needs. */
static inline uint32_t slot_bytes_for(const struct shape *shape)
{
    uint32_t planes = shape->planes_up > shape->planes_down
                          ? shape->planes_up
                          : shape->planes_down;
    uint32_t lines;

    if (planes < shape->rows)
        planes = shape->rows;
    lines = (uint32_t)lines_for(shape->coordinates_max) * planes;
    if (lines < sizeof(struct difference) / LINE_BYTES)
        lines = sizeof(struct difference) / LINE_BYTES;
    return LINE_BYTES * (1 + mask_lines(shape->ranks) + lines);
}

#endif
