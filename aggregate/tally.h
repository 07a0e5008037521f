/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.h - a round seen from a server, as a state machine.
 *
 * It is told what arrived, who died and what time it is, and says what to
 * count and what to send to whom. It does no input or output, reads no clock,
 * allocates nothing after tally_open() and calls no kernel: whoever drives it
 * does (serve.c). ARCHITECTURE.md explains sequence numbers and credit.
 */
#ifndef BALLOT_AGGREGATE_TALLY_H
#define BALLOT_AGGREGATE_TALLY_H

#include "round.h"

struct tally;

struct tally_config {
    struct shape shape; /* all shape.ranks vote */
    uint32_t server;    /* which of `servers`; first chunk of each round */
    uint32_t servers;   /* chunk c is counted by server c mod servers */
    uint32_t window;    /* 1..WINDOW_MAX */
    uint32_t kept;      /* results that can still be answered, >= window */
    uint32_t quorum; /* 0: all ranks, and any loss is an error; else more than
                        half of the ranks */
    uint32_t epoch;
    uint64_t timeout_ns; /* of a round, from its first put, or from the end of
                            the round before if that is later */
    uint64_t grace_ns;   /* after a quorum is in */
};

/* What became of a put. */
enum tally_verdict {
    TALLY_TAKEN,   /* counts for its chunk, or will */
    TALLY_LATE,    /* its chunk was decided: answered, not counted */
    TALLY_DROPPED, /* malformed, repeated, stale or out of the window */
};

enum tally_kind {
    TALLY_COUNT,  /* vote over `mask` of chunk `sequence` now, keep the result
                     at `kept`, then call tally_counted() */
    TALLY_RESULT, /* write result `sequence` into its slot at rank `voter` */
};

struct tally_command {
    enum tally_kind kind;
    uint32_t voter;       /* RESULT */
    uint32_t slot;        /* of the votes (COUNT) or of the result (RESULT) */
    uint32_t kept;        /* < config.kept: where the result's signs are */
    struct header header; /* RESULT: complete; COUNT: call and flags */
    const struct rank_mask *mask; /* voters whose votes count; valid until the
                                     next call into the tally */
    struct difference difference; /* if header.status is STATUS_DIFFERS */
    /* RESULT: where the voter lets the signs land, if it has said so. Not to be
     * trusted, except with the voter's own memory. */
    bool lands;
    uint32_t landing_key;
    uint64_t landing_address;
};

/* -EINVAL if the configuration breaks a rule above, -ENOMEM. */
int tally_open(struct tally **tally, const struct tally_config *config);
void tally_close(struct tally *tally); /* NULL is allowed */

/*
 * A put of `voter` arrived in vote slot `slot` with `bytes` in all; `header` is
 * a private copy of its first line.
 */
enum tally_verdict tally_arrived(struct tally *tally, uint64_t now_ns,
                                 uint32_t voter, uint32_t slot,
                                 const struct header *header, uint32_t bytes);

/* `voter` is gone for good. */
void tally_lost(struct tally *tally, uint64_t now_ns, uint32_t voter);

/* Lets deadlines pass; nothing else does. Call it when all that has arrived was
 * told, but at least now and then: a process that was stopped itself finds the
 * puts that it missed, and must not blame their voters. */
void tally_tick(struct tally *tally, uint64_t now_ns);

/* When tally_tick() has something to do next; UINT64_MAX: never. */
uint64_t tally_deadline(const struct tally *tally);

/* The next command; false if there is none now. COUNT comes back until
 * tally_counted() was called. */
bool tally_next(struct tally *tally, struct tally_command *command);

/* The RESULT that tally_next() gave last cannot be written yet, because what
 * was in its slot before is still leaving. It comes again after tally_resume(),
 * so that it does not stand before others meanwhile. */
void tally_put_off(struct tally *tally, const struct tally_command *command);
void tally_resume(struct tally *tally);

/* The result of the COUNT that tally_next() gave last stands in its place. */
void tally_counted(struct tally *tally, uint64_t now_ns);

/* Lowest sequence that is not decided: all below are. */
uint64_t tally_base(const struct tally *tally);

#endif
