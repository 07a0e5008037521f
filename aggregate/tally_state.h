/* SPDX-License-Identifier: Apache-2.0 */
/* tally_state.h - what tally.c and decide.c share: the state of a tally. */
#ifndef BALLOT_AGGREGATE_TALLY_STATE_H
#define BALLOT_AGGREGATE_TALLY_STATE_H

#include "tally.h"

/* What a voter last put into one of its slots. */
struct landing {
    uint64_t sequence;
    struct call call;
    bool used;   /* something was put here */
    bool in;     /* waits for its answer */
    bool queued; /* its answer is in the queue, or put off */
    bool abstain;
    bool lands; /* FLAG_LANDS, with this key and address */
    uint32_t landing_key;
    uint64_t landing_address;
};

struct voter {
    bool lost;
};

/* An undecided sequence. */
struct open_chunk {
    uint32_t in;    /* puts of live ranks */
    uint32_t first; /* whose put came first */
    bool mixed;     /* not all calls are equal */
};

/* A decided one. */
struct decision {
    uint64_t sequence;
    struct call call;
    enum status status;
    uint32_t rank; /* STATUS_DEAD */
    struct rank_mask mask;
    struct difference difference; /* STATUS_DIFFERS */
};

struct answer {
    uint32_t voter;
    uint32_t slot;
};

struct tally {
    struct tally_config config;
    uint64_t base; /* lowest undecided sequence */
    bool counting; /* a COUNT for base is under way */
    bool ticking;  /* deadlines may pass: all that arrived was seen */
    uint32_t live; /* ranks that are not lost */
    uint32_t dead; /* first rank that was lost */

    /* The run: the sequences from base on that belong to one round. */
    uint64_t run_round;
    uint64_t run_left;  /* sequences from base on; 0: a new run begins */
    bool run_failed;    /* the decision before base failed, */
    uint64_t failed_ns; /* at this time */
    bool run_clock;     /* start_ns is set */
    uint64_t start_ns;  /* of the round's deadline: when its first put is in and
                           the round before is decided */
    bool grace_clock;   /* grace_ns is set */
    bool quorum_in;     /* base has its quorum, and waits for the others */
    uint64_t grace_ns;  /* when the grace clock started */

    struct voter *voters;       /* [ranks] */
    struct landing *landings;   /* [ranks][window] */
    struct open_chunk *open;    /* [window] */
    struct decision *decisions; /* [kept] */
    struct answer *queue;       /* ring of ranks * window */
    uint32_t queue_size, queue_head, queue_count;
    struct answer *put_off; /* [queue_size]; each answer is here or there */
    uint32_t put_off_count;
};

static inline struct landing *landing_at(const struct tally *t, uint32_t voter,
                                         uint64_t sequence)
{
    uint32_t window = t->config.window;

    return &t->landings[(size_t)voter * window + sequence % window];
}

static inline struct open_chunk *open_at(const struct tally *t,
                                         uint64_t sequence)
{
    return &t->open[sequence % t->config.window];
}

static inline struct decision *decision_at(const struct tally *t,
                                           uint64_t sequence)
{
    return &t->decisions[sequence % t->config.kept];
}

/* Whether a live voter's put of undecided `sequence` is in. */
static inline bool is_in(const struct tally *t, uint32_t voter,
                         uint64_t sequence)
{
    const struct landing *l = landing_at(t, voter, sequence);

    return l->in && l->sequence == sequence && !t->voters[voter].lost;
}

static inline bool open_has(const struct tally *t, uint64_t sequence)
{
    return open_at(t, sequence)->in > 0;
}

/* decide.c: decides what can be decided, in order, until a vote has to be
 * counted. */
void decide_ready(struct tally *t, uint64_t now_ns);

/* decide.c: base is decided (and counted): answers wait for all who asked. */
void decide_close(struct tally *t);

/* decide.c: when what is left of a failed round is given up, while nobody puts
 * any of it. */
uint64_t decide_drained_ns(const struct tally *t);

/* tally.c: puts the answer for a voter's put into the queue. */
void tally_queue_answer(struct tally *t, uint32_t voter, uint64_t sequence);

#endif
