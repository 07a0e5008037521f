/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - a simulated network: all ranks in one process, faults on command.
 *
 * endpoint_config.context of transport_sim is a struct sim. It has a clock of
 * its own, which only sim_advance() moves, and draws all that is random from
 * its seed: the same calls give the same run. Without delays what was put lands
 * at once; then endpoints may be used by threads of their own.
 */
#ifndef BALLOT_TRANSPORT_SIM_H
#define BALLOT_TRANSPORT_SIM_H

#include "transport.h"

struct sim;

/* What may happen to a put. The first ones leave the contract of transport.h
 * whole, but for the order of events. */
enum sim_fault {
    SIM_DELAYED,    /* takes up to stray_ns longer; others keep their order */
    SIM_REORDERED,  /* overtakes, or is overtaken by, puts of the same link */
    SIM_DUPLICATED, /* announced twice */
    SIM_TORN,       /* lands in pieces, in any order, then is announced */
    SIM_EARLY,      /* is announced before the last piece has landed */
    SIM_DROPPED,    /* never lands */
    SIM_SEVERED,    /* never lands, and the link breaks soon after */
    SIM_PUT_FAULTS,
    SIM_KILLED = SIM_PUT_FAULTS, /* by sim_kill() */
    SIM_CUT,                     /* by sim_cut() */
    SIM_LOST_IN_FLIGHT,          /* was under way on a link that broke */
    SIM_WRITTEN,                 /* by sim_write() */
    SIM_FAULTS,
};

/* Chances of each put on one link, of 65536. */
struct sim_rates {
    uint32_t chance[SIM_PUT_FAULTS];
};

struct sim_config {
    uint64_t seed;
    uint32_t ranks;
    uint64_t delay_min_ns, delay_max_ns; /* of every put; 0 and 0: at once */
    uint64_t stray_ns;                   /* of SIM_DELAYED, and of a torn put */
    uint64_t break_ns; /* until a broken link is noticed, at most */
};

/* Called for each put with the bytes as they leave; it may change them, and
 * *bytes to any multiple of 8 up to slot_bytes. Not with threads. */
typedef void sim_twist_fn(void *context, uint32_t from, uint32_t to,
                          uint32_t slot, void *staged, uint32_t *bytes);

int sim_open(struct sim **sim, const struct sim_config *config);
void sim_close(struct sim *sim); /* its endpoints are closed; NULL is allowed */

void sim_set_twist(struct sim *sim, sim_twist_fn *twist, void *context);
/* For what `from` puts to `to` from now on. */
void sim_set_rates(struct sim *sim, uint32_t from, uint32_t to,
                   const struct sim_rates *rates);

/* Links two open endpoints, which may be one; without waiting for anybody. */
int sim_link(struct sim *sim, uint32_t a, uint32_t b);

uint64_t sim_now(const struct sim *sim);
uint64_t sim_random(struct sim *sim);
/* Below `bound`, > 0. */
uint64_t sim_below(struct sim *sim, uint64_t bound);

/* When something happens next; UINT64_MAX: never. */
uint64_t sim_next(const struct sim *sim);
/* Moves the clock to `at_ns`, and lets happen what happens until then. */
void sim_advance(struct sim *sim, uint64_t at_ns);
/* Whether a poll of this rank's endpoint would give an event. */
bool sim_has_event(const struct sim *sim, uint32_t rank);

/* The rank's links break, at each peer at a time of its own; what it put and
 * has not landed may be lost. Its endpoint is left to be closed. */
void sim_kill(struct sim *sim, uint32_t rank);
/* Breaks one link, at both ends. */
void sim_cut(struct sim *sim, uint32_t a, uint32_t b);

/*
 * What only a liar does: writes into its own slot at `to` right now, without
 * credit. Nobody can write another's slots, nor beyond a slot. bytes may be 0.
 */
void sim_write(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot,
               uint32_t offset, const void *source, uint32_t bytes);
/* Announces `bytes` in that slot after `delay_ns`. */
void sim_announce(struct sim *sim, uint32_t from, uint32_t to, uint32_t slot,
                  uint32_t bytes, uint64_t delay_ns);

/* Whose slot at `to` the address lies in, and which; false if in none. */
bool sim_find_slot(const struct sim *sim, uint32_t to, const void *memory,
                   uint32_t *from, uint32_t *slot);
/* The slot that `from` writes at `to`, as it is now. */
const void *sim_slot(const struct sim *sim, uint32_t to, uint32_t from,
                     uint32_t slot);

uint64_t sim_count(const struct sim *sim, enum sim_fault fault);

#endif
