/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caster.h - a round seen from a voter, as a state machine.
 *
 * It says which chunk to put next, within the credit of each server, and checks
 * which result a server wrote. Like the tally it does no input or output, reads
 * no clock and allocates nothing after caster_open().
 */
#ifndef BALLOT_AGGREGATE_CASTER_H
#define BALLOT_AGGREGATE_CASTER_H

#include "round.h"

struct caster;

struct caster_config {
    struct shape shape;
    uint32_t rank;    /* ours: the server that gets the first chunk put */
    uint32_t servers; /* chunk c goes to server c mod servers */
    uint32_t window;
    uint32_t epoch;
    /* A server that owes a result and is silent for timeout_ns is suspected,
     * and given up margin_ns after that was first noticed: a process that was
     * stopped itself so looks at what arrived meanwhile before it blames. */
    uint64_t timeout_ns;
    uint64_t margin_ns;
};

/* One call. */
struct caster_round {
    uint64_t count;             /* coordinates of the call */
    uint32_t chunk_coordinates; /* of every chunk but the last; 0: one header
                                   line only, whatever the count */
    uint32_t detail;            /* call.detail when header only, or with rows */
    uint8_t type, op;
    uint16_t rows; /* call.rows; not 0: chunk_coordinates is the shape's */
    bool abstain;  /* asks for the results without a vote */
};

struct caster_put {
    uint32_t server;
    uint32_t slot;
    uint32_t round_slot;  /* round mod ROUNDS_MAX: whose chunk it is */
    uint64_t first;       /* first coordinate */
    uint32_t bytes;       /* of the whole message */
    struct header header; /* complete; FLAG_ABSTAIN: header line only. Who puts
                             a vote may add FLAG_LANDS and what belongs to it */
};

struct caster_result {
    uint32_t server;
    uint32_t slot;
    uint32_t round_slot;
    uint64_t first;       /* first coordinate */
    struct header header; /* the copy that was checked */
    /* Where to go on when results are gone. Of a STATUS_DIFFERS result the
     * driver copies them from the struct difference. 0: nowhere else. */
    uint64_t next_round, next_sequence;
};

/* How a round ended at this voter. */
struct caster_end {
    uint64_t round;
    uint32_t round_slot;
    enum status status; /* OK, or of the first result that was not */
    bool timed_out;     /* servers in `missing` are silent; nothing works
                           with this caster any more */
    struct rank_mask missing;
};

/* -EINVAL, -ENOMEM */
int caster_open(struct caster **caster, const struct caster_config *config);
void caster_close(struct caster *caster); /* NULL is allowed */

/*
 * Begins the next round; returns its round_slot, or -EAGAIN when ROUNDS_MAX
 * are under way (drained ones included). *number is the round's.
 */
int caster_begin(struct caster *caster, const struct caster_round *round,
                 uint64_t *number);

/* The number that the next round begun will have: more than one above the last
 * when results were gone and the rounds in between were left out. */
uint64_t caster_round(const struct caster *caster);

/*
 * The next chunk to put, if any server has credit for it: stage and put it,
 * then call caster_put_done(). Comes back until then. A round that has failed
 * is drained: what is left of it are header lines marked abstain.
 */
bool caster_next(struct caster *caster, struct caster_put *put);
void caster_put_done(struct caster *caster, uint64_t now_ns,
                     const struct caster_put *put);

/*
 * `server` wrote `bytes` into result slot `slot`; `header` is a private copy of
 * the first line. 0 with *result if it is the awaited one; -EBADMSG if not
 * (stale, repeated, malformed): nothing happens then.
 */
int caster_arrived(struct caster *caster, uint32_t server, uint32_t slot,
                   const struct header *header, uint32_t bytes,
                   struct caster_result *result);

/* Whether its round still goes on, at the time of the call: false says only
 * consume it, for the round has ended and its place may be another's. */
bool caster_wants(struct caster *caster, const struct caster_result *result);

/* What the result said was used: its slot may be written again. */
void caster_consumed(struct caster *caster, uint64_t now_ns,
                     const struct caster_result *result);

/* Gives up servers that are silent. */
void caster_tick(struct caster *caster, uint64_t now_ns);
uint64_t caster_deadline(const struct caster *caster); /* UINT64_MAX: never */

/* Rounds that ended since the last call, oldest first, each once. */
bool caster_ended(struct caster *caster, struct caster_end *end);

#endif
