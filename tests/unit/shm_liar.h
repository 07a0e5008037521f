/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm_liar.h - three ranks that share memory: 0 is the victim, 1 lies, 2 is
 * honest. The liar is what the test makes of it: a bare link.
 */
#ifndef BALLOT_TESTS_UNIT_SHM_LIAR_H
#define BALLOT_TESTS_UNIT_SHM_LIAR_H

#include <pthread.h>

#include "transport/shm_link.h"

enum { VICTIM, LIAR, HONEST, RANKS };
enum { SLOTS = 6, SLOT_BYTES = 512, NOTICES = 16, EPOCH = 3 };

struct party {
    struct endpoint *endpoint;
    uint32_t rank;
    bool wanted[RANKS];
    int connected; /* what connect() returned */
    uint64_t deadline_ns;
    pthread_t thread;
};

extern const struct transport *const shm;
extern struct party victim, honest;
extern struct address table[RANKS];
extern struct shm_link liar;
extern struct shm_layout layout;
extern void *liar_page;
extern int liar_listener;
extern const int *victim_bell; /* ends its connect(), or NULL */

uint64_t in_ms(uint64_t ms);
void party_open(struct party *party, uint32_t rank);
void party_connect(struct party *party, uint64_t timeout_ms);

/* Proves the key to the victim, as any rank does, and no more. */
void liar_approach(void);
/* Opens all and connects the liar with the victim; what it offers is up to the
 * test, which then calls liar_settle(). */
void liar_begin(uint64_t timeout_ms);
/* Fails the test unless the victim's connect() returned `expected` and all but
 * the liar's link are up. */
void liar_settle(int expected);
/* A link as it should be, of which the liar knows every byte. */
void liar_begin_linked(void);
/* Sends bytes to the victim, with descriptors beside the first one. */
void liar_send(const void *bytes, size_t count, const int *descriptors,
               size_t descriptors_count);
/* Fails the test unless the victim and the honest rank go on. */
void liar_harmed_nobody(void);
void liar_end(void);

/* The next event; fails the test when none comes for 5 s. */
struct event next_event(struct endpoint *endpoint);
int count_descriptors(void);

#endif
