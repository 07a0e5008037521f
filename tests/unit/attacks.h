/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attacks.h - what connects to a listening port of the job without being of it.
 */
#ifndef BALLOT_TESTS_UNIT_ATTACKS_H
#define BALLOT_TESTS_UNIT_ATTACKS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#include "transport/handshake.h"

enum { ATTACK_RANKS = 4 }; /* of the job that is attacked */

/* What is attacked. */
struct target {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct handshake_config insider; /* what rank 1 would say */
};

struct attack {
    const char *name;
    /* Runs in a thread. Says attack_has_struck if it then stays, until
     * attack_is_over. */
    void (*act)(const struct target *target);
    uint32_t root_counts, mesh_counts; /* it makes so many strangers or more */
};

enum { ATTACKS = 15 };
extern const struct attack attacks[ATTACKS];

extern atomic_bool attack_has_struck, attack_is_over;

/* A connection that is made or under way. */
int attack_reach(const struct target *target);

/* Sends without waiting for more than a second. */
void attack_say(int descriptor, const void *bytes, size_t count);

/* A true hello, as somebody might have recorded it. */
void attack_record_hello(const struct handshake_config *config,
                         uint8_t hello[HELLO_BYTES]);

#endif
