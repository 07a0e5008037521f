/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_inside.h - a flow from the inside, for flow.c, flow_check.c and the
 * plans.
 */
#ifndef BALLOT_COLLECTIVE_FLOW_INSIDE_H
#define BALLOT_COLLECTIVE_FLOW_INSIDE_H

#include "flow.h"

enum {
    MOVE_RAW = 1,   /* memory that is a source is the caller's input: where the
                       call has a factor it is multiplied first */
    MOVE_FINAL = 2, /* what comes out is the sum: where the call wants the
                       average it is divided */
    MOVE_LAST = 4,  /* not before all that goes to other ranks has gone */
    MOVE_TURNS = 8, /* takes turns, fragment by fragment, with those of its
                       streams that do too; they come before all others. Around
                       a ring each would else wait for the whole of the one
                       before it, and all for credit */
    MOVE_COPIED = 16, /* its memory may be written again as soon as it has been
                         put, though nobody may have taken it yet */
    MOVE_SHARED = 32, /* the same bytes of memory go to other ranks too, by
                         moves that are marked like this one: those that can
                         read shared places read the same copy */
};

enum {
    APART_BYTES = 4096,
    DIRECT_BYTES = 512 << 10, /* with less it takes longer to be told */
    SHARED_BYTES = 8 << 10,   /* less is copied as soon as looked for */
    PAST_BYTES = 12 << 20,    /* of a move that is written past the cache */
    PAYLOAD_MOST = 61440, /* whole pages, and all fits tcp's largest packet */
};

enum { SCRATCH_BYTES = 65536, SHARED_PLACES = STREAM_WINDOW };

#define MOVE_NONE UINT32_MAX /* no move, no source, no peer */

/* Where bytes come from: the stream of a rank, or memory (peer MOVE_NONE). */
struct source {
    uint32_t peer;
    uint32_t move; /* whose it is */
    uint32_t next; /* the source that takes from this peer's stream next */
    const uint8_t *memory;
};

struct move {
    uint8_t *to; /* memory, if peer is MOVE_NONE */
    uint32_t peer;
    uint32_t flags;
    uint64_t bytes, done;
    uint64_t held; /* behind what is done: put from where it is, so it must not
                      change before the rank has taken it */
    bool complete; /* one of no bytes is a message all the same */
    uint32_t source_first, sources;
    uint32_t follows; /* that move is ahead of us byte by byte, */
    uint32_t after;   /* that one is complete before we begin; or MOVE_NONE */
    uint32_t next;    /* the move that puts into this peer's stream next */
    /* Who depends on us, and who else on what we do. */
    uint32_t followers, next_follower;
    uint32_t heirs, next_heir;
    /*
     * Where more than one source is folded: elements of `block` take turns in
     * which source comes first, from `turn` on; `first` is the number of the
     * first element. 0: `turn` is for all.
     */
    uint32_t turn;
    uint64_t block, first;
    struct call call; /* of its messages, in an exchange; else unused */
};

struct arrival {
    const uint8_t *memory; /* the header line, */
    const uint8_t *payload;
    uint32_t bytes;
    bool full;
    bool tell; /* its sender waits until it has been taken */
};

/* A message that is part of what a move holds; 0 bytes: it is not. */
struct holding {
    uint32_t move;
    uint32_t bytes;
};

/* The stream from and to one rank, over all flows. */
struct stream {
    uint64_t sequence;        /* of the next message that we put */
    uint64_t credited;        /* messages that the rank has taken */
    uint64_t expected;        /* sequence of the next message that we take */
    uint64_t told;            /* what it knows of that */
    uint64_t sends, receives; /* messages of exchanges, each way */
    uint32_t source_head;     /* takes next from it, or MOVE_NONE */
    uint32_t source_tail;
    uint32_t move_head; /* puts next into it */
    uint32_t move_tail;
    struct arrival arrivals[STREAM_WINDOW];
    struct holding holdings[STREAM_WINDOW]; /* from credited to sequence */
    uint8_t shared[STREAM_WINDOW];          /* of these: 0, or 1 + the place */
};

/* Fragments in shared places (transport.h), numbered over all calls; fragment i
 * is in place i % SHARED_PLACES. */
struct sharing {
    uint32_t moves; /* of this call that share their bytes */
    uint64_t first; /* fragment of this call */
    uint64_t written;
    uint32_t users[SHARED_PLACES]; /* ranks that have not taken it yet */
};

/* A call that goes by brief messages: a block to each of some ranks, and one
 * from each; at a hub blocks go out behind those that came. */
struct brief {
    bool active;
    bool folds;
    bool looks; /* asks the system for what must come, not only the queues */
    uint32_t send_bytes, take_bytes; /* of a message */
    /* Ranks, a bit each. Not side by side: compilers would read both at once,
     * which waits for what was stored before them, to other cores too. */
    uint32_t to_send;
    uint32_t early; /* whose next message no call has taken yet */
    uint32_t to_take;
    uint32_t bytes;            /* of a rank's block */
    uint32_t to_answer;        /* to send when all has been taken */
    uint32_t head[BRIEF_HEAD]; /* of every message of this call */
    const uint8_t *from;
    uint8_t *to;
    uint64_t from_step, to_step; /* to the next rank's block; 0: all the same */
};

struct flow {
    struct flow_config config;
    uint32_t whole;   /* bytes that fit a slot, */
    uint32_t payload; /* of the largest fragment of this call: */
    uint32_t narrow, wide;
    uint32_t window; /* of this call, as STREAM_WINDOW */
    uint64_t burst;  /* that a step moves: what leaves together costs less */

    bool active, broken;
    bool exchanges; /* what is under way is an exchange */
    struct flow_call call;
    uint64_t progress_ns;
    bool released;       /* what was held has been taken since the last step */
    uint32_t moves_left; /* that are not complete */
    uint32_t puts_left;  /* of these, into streams */

    struct move *moves;
    uint32_t moves_count, moves_max;
    struct source *sources;
    uint32_t sources_count, sources_max;
    uint64_t *ready; /* [moves_max / 64]: moves that may have something to do */
    uint32_t cursor;
    struct brief brief;
    struct sharing sharing;
    struct stream *streams;   /* [ranks] */
    struct rank_mask owing;   /* ranks that must be told of credit */
    struct rank_mask coming;  /* ranks whose next message has arrived */
    struct rank_mask leaving; /* ranks whose next slot was not free */
    const void **rows;        /* [ranks] what a fold reads */
    uint8_t *scaled;          /* [payload] our own values times the factor */
    uint8_t *scratch;         /* [SCRATCH_BYTES] the plans' own */

    /* flow_check.c */
    struct call noted[CALLS_KEPT];
    uint64_t noted_count;
    uint64_t begun;     /* behind the last call that has begun as a flow */
    bool differs, told; /* `told`: flow_differs() has returned it */
    bool suspects, suspected; /* of the flow under way: to be told, and ever */
    struct difference difference;
    struct flow_counts counts;
};

static inline void flow_wake(struct flow *flow, uint32_t move)
{
    if (move != MOVE_NONE)
        flow->ready[move / 64] |= UINT64_C(1) << (move % 64);
}

/* ---- What plans write. Out of range is a mistake of the plan. ---- */

/* A move of `bytes` into memory, into the stream to a rank. Its sources come
 * with move_take() and move_read(), in order. */
struct move *flow_into(struct flow *flow, void *to, uint64_t bytes);
struct move *flow_to(struct flow *flow, uint32_t peer, uint64_t bytes);
void move_take(struct flow *flow, struct move *move, uint32_t peer);
void move_read(struct flow *flow, struct move *move, const void *memory);
/* It is one of those that send the same memory; where that rank cannot share
 * it, it is not. */
void move_share(struct flow *flow, struct move *move);

static inline uint32_t move_index(const struct flow *flow,
                                  const struct move *move)
{
    return (uint32_t)(move - flow->moves);
}

/* plan.c: chooses an algorithm and lets it write the moves. -E2BIG. */
int plan_write(struct flow *flow, const struct flow_call *call);

/* How far a move has been put. */
static inline uint64_t move_at(const struct move *m)
{
    return m->done + m->held;
}

/* ---- flow_carry.c ---- */

/* A fragment of a move; false: it must wait for something. */
bool flow_advance(struct flow *flow, struct move *m, uint64_t *moved);
/* Whether all that its bytes up to `end` depend on is far enough. */
bool move_may_go(const struct flow *flow, const struct move *m, uint64_t end);
/* The rank has taken a message of a move that holds it. */
void move_release(struct flow *flow, const struct holding *holding);

/* flow_carry.c: rows[] of the flow, of which row (turn + i) % rows is the i-th;
 * elements of each `block` turn once more, where it is not 0. */
struct folding {
    uint8_t *to;
    uint32_t rows, turn;
    uint64_t block, first, count; /* `first` element's place in the vector */
};
void flow_fold(struct flow *flow, const struct folding *folding);

/* ---- flow_brief.c ---- */

/* Whether all ranks send that call so. */
bool brief_takes(const struct flow *flow, const struct flow_call *call);
void brief_begin(struct flow *flow);
size_t brief_step(struct flow *flow);
/* Looks at what has come early, after a call of ours. */
void brief_check_early(struct flow *flow);

/* ---- flow_stream.c ---- */

/* Of a message with so many bytes behind its header line. */
uint32_t stream_message_bytes(uint64_t payload);
/* The end of a message that is not staged. */
struct apart {
    const void *memory; /* NULL: all is */
    bool stays;         /* as it is, until the rank has taken it */
    uint8_t shared;     /* 0, or 1 + the place where it is */
};
/* Puts what was staged at `place`, behind this header line. */
bool stream_put(struct flow *flow, uint32_t peer, uint32_t slot, uint8_t *place,
                const struct header *header, uint64_t payload,
                struct apart apart);
/* The next message of `peer` was used up. */
void stream_consume(struct flow *flow, uint32_t peer);
void stream_give_credits(struct flow *flow);
/* No event says that a slot has left: who waits for one looks again. */
void stream_wake_leaving(struct flow *flow);

/* ---- flow_check.c ---- */

/* Whether the next message of `peer` is what `call` expects. If it is of
 * another call, that is noted and the message stays. */
bool check_message(struct flow *flow, uint32_t peer, const struct call *call,
                   uint32_t bytes);
/* Looks at what has arrived and nobody expects. */
void check_unexpected(struct flow *flow, uint32_t peer);
/* The same of all ranks, after a call of ours. */
void check_coming(struct flow *flow);
/* Whether a rank that makes our calls could have sent this, but too early; a
 * difference is noted. */
bool check_is_early(struct flow *flow, uint32_t peer,
                    const struct call *theirs);
/* It is not of the call `ours` that we wait for. False: it is nobody's. */
bool check_compare(struct flow *flow, uint32_t peer, const struct call *ours,
                   const struct call *theirs);

#endif
