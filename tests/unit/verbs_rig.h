/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs_rig.h - a few ranks over verbs in one process, on fake devices: rank i
 * has "fake<i>" (fake_verbs.h).
 *
 * Functions fail the running test when something goes wrong.
 */
#ifndef BALLOT_TESTS_UNIT_VERBS_RIG_H
#define BALLOT_TESTS_UNIT_VERBS_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "fake_verbs.h"
#include "transport/verbs.h"

enum { RIG_RANKS = 3 };

/* What a rank tells its peers in the place of the truth. */
struct rig_lie {
    enum {
        LIE_NONE,
        LIE_WORD,    /* of 32 bits, at `at` of the offer */
        LIE_CUT,     /* the offer ends after `at` bytes, and all with it */
        LIE_SILENCE, /* the offer stops there, and nothing follows */
        LIE_CONFIRM, /* another word instead of the confirmation */
    } kind;
    uint32_t at, word;
    void (*before)(void); /* called before the confirmation is told */
};

struct rig {
    uint32_t slots, slot_bytes;
    uint32_t sealed_slots;                 /* with BALLOT_IB_SEAL=1 */
    uint32_t patience_ms;                  /* of connect() */
    struct endpoint *endpoints[RIG_RANKS]; /* NULL where closed */
    struct address table[RIG_RANKS];
    char why[RIG_RANKS][WHY_BYTES];
    /* What connect() returned and left in wanted. */
    int connected[RIG_RANKS];
    bool wanted[RIG_RANKS][RIG_RANKS];
    struct rig_lie lie; /* of rank 1 */
    /* What fails while rank 0 connects: as in fake_fail(); 0 times: nothing. */
    enum fake_call call;
    uint32_t nth, times;
    int error;
    uint32_t failed; /* so often it did */
};

struct endpoint_config rig_config(struct rig *rig, uint32_t rank);

/* Starts anew with RIG_RANKS devices, which the test may change. */
void rig_prepare(struct rig *rig, uint32_t slots, uint32_t slot_bytes);
/* Opens all endpoints. */
void rig_open(struct rig *rig);
/* All connect with all, each in a thread. */
void rig_connect(struct rig *rig);
/* All three, and everybody is linked. */
void rig_start(struct rig *rig, uint32_t slots, uint32_t slot_bytes);
/* Closes what is open; then nothing of a device may be left. */
void rig_stop(struct rig *rig);

struct verbs_link *rig_link(const struct rig *rig, uint32_t rank,
                            uint32_t peer);
/* Of a completion queue, that one peer of an endpoint that is open needs. */
uint32_t rig_entries(const struct rig *rig);
struct ibv_qp *rig_pair(const struct rig *rig, uint32_t rank, uint32_t peer);

void rig_fill(const struct rig *rig, uint32_t from, uint32_t to, uint32_t slot,
              uint32_t bytes, uint32_t salt);
/* The same, and puts it. */
void rig_put(const struct rig *rig, uint32_t from, uint32_t to, uint32_t slot,
             uint32_t bytes, uint32_t salt);
/* The event is that put, byte by byte. */
void rig_check(const struct event *event, uint32_t from, uint32_t slot,
               uint32_t bytes, uint32_t salt);
/* The next event of a rank is that put, or the loss of that peer. */
void rig_expect(const struct rig *rig, uint32_t rank, uint32_t from,
                uint32_t slot, uint32_t bytes, uint32_t salt);
void rig_expect_lost(const struct rig *rig, uint32_t rank, uint32_t peer,
                     int reason);
/* No event comes, not even of what only a rank that sleeps looks at. */
void rig_expect_silence(const struct rig *rig, uint32_t rank);
/* A put each way between two ranks arrives. */
void rig_check_pair(const struct rig *rig, uint32_t a, uint32_t b);

struct endpoint_counts rig_counts(const struct rig *rig, uint32_t rank);

#endif
