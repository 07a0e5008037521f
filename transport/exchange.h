/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.h - what a bootstrap root keeps: who is there, with which record,
 * and who has yet to be told what came of it.
 */
#ifndef BALLOT_TRANSPORT_EXCHANGE_H
#define BALLOT_TRANSPORT_EXCHANGE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "bootstrap.h"
#include "handshake.h"

enum {
    /* {record_bytes, remaining_ms}, then the record. */
    REQUEST_HEAD_BYTES = 8,
    /* {status, epoch, bytes}, then the table or why not. */
    ANSWER_HEAD_BYTES = 12,
    /* Ranks of the exchange, and earlier ones that are still being told. */
    MEMBERS_MAX = 2 * BOOTSTRAP_RANKS_MAX,
};

struct exchange;

/* The last `servers` ranks are called servers in errors. -ENOMEM */
int exchange_open(struct exchange **exchange, uint32_t servers);
void exchange_close(struct exchange *exchange); /* NULL is allowed */

/* A lobby_admit_fn: `context` is the exchange. */
bool exchange_admit(void *context, struct handshake *handshake);

/* How many ranks the exchange under way waits for; 0: there is none. */
uint32_t exchange_ranks(const struct exchange *exchange);

/* Fills polls[MEMBERS_MAX] with what to wait for; returns how many. */
uint32_t exchange_watch(struct exchange *exchange, struct pollfd *polls);

/* Until when to wait at most. */
uint64_t exchange_due_ns(const struct exchange *exchange);

/*
 * Moves every connection, and ends the exchange when it is complete, failed or
 * out of time. `polls` is what exchange_watch() filled; `strangers` is for the
 * error in words.
 */
void exchange_move(struct exchange *exchange, const struct pollfd *polls,
                   uint64_t now_ns, uint64_t strangers);

/* Tells everybody that there will be no table: `cause`, and who is missing. */
void exchange_end(struct exchange *exchange, int status, const char *cause,
                  uint64_t now_ns, uint64_t strangers);

/* Whether nobody is left who has yet to be told. */
bool exchange_is_quiet(const struct exchange *exchange);

#endif
