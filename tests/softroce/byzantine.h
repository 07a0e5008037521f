/* SPDX-License-Identifier: Apache-2.0 */
/*
 * byzantine.h - what the files of the program `byzantine` share: one rank of a
 * job that has its key, joins as any other, and then attacks.
 *
 * byzantine.c reads which; byzantine_once.c and byzantine_always.c have the
 * attacks on a job that runs, byzantine_early.c those on one that starts;
 * byzantine_raw.c writes to peers past the library.
 */
#ifndef TESTS_SOFTROCE_BYZANTINE_H
#define TESTS_SOFTROCE_BYZANTINE_H

#include <infiniband/verbs.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../aggregate/round.h"

struct ballot_comm;
struct endpoint;

/* ---- byzantine.c ---- */

/* What the command line says. */
struct chosen {
    size_t count;         /* coordinates of a call */
    uint64_t rounds;      /* of the job */
    uint32_t shift;       /* which peer meets which attempt */
    const char *argument; /* of the attack */
};
extern struct chosen chosen;
/* By SIGTERM: the others are through. */
extern volatile sig_atomic_t told_to_end;

/* One line on stdout, at once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the program: the attack did not take place, or not as it was meant. */
_Noreturn void fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* CLOCK_MONOTONIC, so many seconds from now; more where all is slow. */
uint64_t deadline_ns(double seconds);
bool is_past(uint64_t at_ns);

/* ---- byzantine_raw.c: queue pairs without the library ---- */

struct victim {
    uint32_t posted, done;      /* of our writes */
    enum ibv_wc_status failure; /* the first, else IBV_WC_SUCCESS */
    uint16_t next_number;       /* of our puts */
};

struct liar {
    uint32_t rank, ranks, window;
    struct endpoint *endpoint;
    struct victim *victims; /* [ranks] */
    struct header header;   /* of our last vote */
    bool posts_receives;    /* again, when one was used */
};

struct raw_write {
    uint64_t address;
    uint32_t key, bytes;
    uint32_t source_slot;      /* of our staging for that peer */
    enum ibv_wr_opcode opcode; /* 0: a plain write */
    uint32_t immediate;
};

/* Stops the library of a communicator that has made one call of one chunk, and
 * takes its place. */
void liar_open(struct liar *liar, struct ballot_comm *comm);

/* Where the peer lets us write. */
uint64_t liar_slot(const struct liar *liar, uint32_t peer, uint32_t slot);
uint32_t liar_key(const struct liar *liar, uint32_t peer, uint32_t slot);
uint64_t liar_region_bytes(const struct liar *liar);
uint8_t *liar_staging(const struct liar *liar, uint32_t peer, uint32_t slot);
int liar_descriptor(const struct liar *liar, uint32_t peer);

/* slot | number << 16, of a put that the peer takes for our next one. */
uint32_t liar_next_immediate(struct liar *liar, uint32_t peer, uint32_t slot);

/* Posts when there is room; false once a write to this peer has failed. */
bool liar_post(struct liar *liar, uint32_t peer, const struct raw_write *write);
/* Waits until all that was posted is through. */
enum ibv_wc_status liar_settle(struct liar *liar, uint32_t peer);
/* Takes completions without waiting. */
void liar_poll(struct liar *liar);

/* The peer has ended the control connection. */
bool liar_is_cut(const struct liar *liar, uint32_t peer);
void liar_await_cut(struct liar *liar, uint32_t peer);

/* Votes at random in the next round. */
void liar_put_vote(struct liar *liar);
/* Whether its result is there, which is then in *result. */
bool liar_has_result(const struct liar *liar, struct header *result);
/* Both; false if rank 0 has cut us. */
bool liar_vote(struct liar *liar);

/* ---- Attacks: they return when they ended as they should ---- */

void attack_wrong_key(struct liar *liar);
void attack_out_of_bounds(struct liar *liar);
void attack_replay(struct liar *liar);
void attack_zero_length(struct liar *liar);
void attack_other_opcodes(struct liar *liar);
void attack_late_data(struct liar *liar);

void attack_after_count(struct liar *liar);
void attack_sealed(struct liar *liar);
void attack_flood(struct liar *liar);
void attack_never_read(struct liar *liar);
void attack_vanish(struct liar *liar);

/* ---- byzantine_early.c: what is done while the job starts ---- */

enum early {
    EARLY_NOTHING,
    EARLY_HUGE,      /* an offer, and much more */
    EARLY_TRUNCATED, /* half an offer; then silence, or the end */
    EARLY_GARBAGE,   /* an offer's length of anything */
    EARLY_FALSE,  /* queue pairs and memory that are not there, or not ours */
    EARLY_VANISH, /* proves the key to everybody, again and again */
    EARLY_HALF_OPEN, /* connections that say nothing */
};

/* From now on joining does so. `argument` is the number of half-open
 * connections, or where another's queue pair for rank 0 is written down. */
void early_begin(enum early what, const char *argument);
/* How often it was done. */
uint32_t early_count(void);

/* ---- What some attacks want of a queue pair; 0: what the library wants ----
 */

/* Retries where the peer has no receive: 7 is without end. */
extern uint8_t wanted_rnr_retries;
/* Whether peers are told to wait the longest time, 655 ms, for a receive. */
extern bool wants_longest_rnr;
/* Whether requests that want an answer with data may leave at all. */
extern bool wants_to_read;

#endif
