/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a few ranks of one transport in one process.
 */
#ifndef BALLOT_TESTS_CONTRACT_RIG_H
#define BALLOT_TESTS_CONTRACT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/handshake.h"
#include "transport/sim.h"
#include "transport/transport.h"

enum { RIG_RANKS = 3, RIG_QUEUE = 256 };

struct rig {
    uint32_t slots, slot_bytes;
    struct endpoint *endpoints[RIG_RANKS]; /* NULL where closed */
    struct address table[RIG_RANKS];
    /* What connect() returned and left in wanted. */
    int connected[RIG_RANKS];
    bool wanted[RIG_RANKS][RIG_RANKS];
    /* Events that rig_pump() took and rig_next() has not handed out. */
    struct event queue[RIG_RANKS][RIG_QUEUE];
    int queued[RIG_RANKS], handed[RIG_RANKS];
    struct sim *network; /* NULL but for sim */
};

typedef void *rig_place(void *rig, uint32_t peer, uint32_t slot,
                        const void *head, uint32_t bytes);

/* Chooses what all rigs are made of: shm, tcp-uring, tcp-epoll, verbs,
 * verbs-sealed or sim; false if there is no such transport. */
bool rig_choose(const char *name);
/* Whether the kernel, or the container, refuses what was chosen. */
bool rig_is_refused(void);
const struct transport *rig_transport(void);
/* Whether slots are sealed, but for the last one. */
bool rig_is_sealed(void);
/* Whether a rank is linked with itself. */
bool rig_links_itself(void);

uint64_t rig_now_ns(void);
void rig_sleep_ms(long ms);

/* endpoint_config.place of what is opened next, NULL: none. */
void rig_place_with(rig_place *place);
/* Opens RIG_RANKS endpoints and learns their addresses. */
void rig_open(struct rig *rig, uint32_t slots, uint32_t slot_bytes);
/* Connects the ranks of `present` (bit i: rank i), each in its own thread, all
 * wanting everybody; results go to rig->connected and rig->wanted. */
void rig_connect(struct rig *rig, unsigned int present, uint32_t epoch,
                 uint64_t timeout_ms);
/* Both of them, and everybody is linked. */
void rig_start(struct rig *rig, uint32_t slots, uint32_t slot_bytes);
void rig_close(struct rig *rig, uint32_t rank);
void rig_stop(struct rig *rig);

/* Polls every endpoint once and queues its events. */
void rig_pump(struct rig *rig);
/* The next event of a rank; fails the test when none comes for 5 s. */
struct event rig_next(struct rig *rig, uint32_t rank);
/* Pumps for `ms`, then says whether no rank has an event left. */
bool rig_silent(struct rig *rig, long ms);

/* Stages (as soon as the last put of the slot has left), fills with the pattern
 * of (from, to, slot, salt), and puts. */
void rig_put(struct rig *rig, uint32_t from, uint32_t to, uint32_t slot,
             uint32_t bytes, uint32_t salt);
/* What arrived was read: its slot may be written again. */
void rig_release(struct rig *rig, uint32_t rank, const struct event *event);
/* Fails the test unless the event is that put, byte by byte; then releases it.
 */
void rig_check(struct rig *rig, const struct event *event, uint32_t from,
               uint32_t to, uint32_t slot, uint32_t bytes, uint32_t salt);

/* Byte `at` of that pattern. */
uint8_t rig_pattern(uint32_t from, uint32_t to, uint32_t slot, uint32_t salt,
                    uint32_t at);

/* Fails the test unless the event is that loss. */
void rig_check_lost(const struct event *event, uint32_t peer);

#endif
