/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd.h - ranks as threads that join a bootstrap or make a mesh, and what
 * they left open.
 */
#ifndef BALLOT_TESTS_UNIT_CROWD_H
#define BALLOT_TESTS_UNIT_CROWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "transport/bootstrap.h"
#include "transport/mesh.h"

enum { CROWD_MAX = 40 };

struct joiner {
    struct sockaddr_storage root;
    socklen_t root_bytes;
    const struct credentials *credentials;
    uint32_t rank, ranks;
    uint32_t record_bytes; /* record: each byte is record_seed + rank */
    uint8_t record_seed;
    uint32_t timeout_ms;
    int bell; /* -1: none */
    /* Filled by the thread. */
    pthread_t thread;
    int result;
    uint32_t epoch;
    uint32_t took_ms;
    uint8_t table[CROWD_MAX * RECORD_BYTES_MAX];
    char why[WHY_BYTES];
};

/* The key of the tests, and one that differs in its last bit. */
extern const struct credentials crowd_key, crowd_other_key;

/* A root on 127.0.0.1 with any port; its address goes to every joiner. */
struct bootstrap_root *crowd_root(struct joiner *joiners, uint32_t count,
                                  uint64_t deadline_ns);

/* Sets joiners[count] up as ranks 0 to count - 1 of a job of that size. */
void crowd_prepare(struct joiner *joiners, uint32_t count, uint32_t timeout_ms);

void crowd_start(struct joiner *joiner);
void crowd_wait(struct joiner *joiner);
void crowd_run(struct joiner *joiners, uint32_t count);

/* All of them succeeded, with one epoch and the right table. */
void crowd_check(const struct joiner *joiners, uint32_t count);

/* A rank that makes a mesh with the others of meshers[ranks]. */
struct mesher {
    struct mesh_config config;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct mesher *all;
    uint32_t timeout_ms;
    /* Filled by the thread. */
    pthread_t thread;
    struct mesh_peer peers[CROWD_MAX];
    int result;
    uint32_t took_ms;
    uint64_t strangers;
};

/* Listeners of AF_INET, AF_INET6 (both loopback) or AF_UNIX (abstract). */
void crowd_mesh_open(struct mesher *meshers, uint32_t ranks, int family,
                     uint32_t timeout_ms);
void crowd_mesh_start(struct mesher *mesher);
void crowd_mesh_wait(struct mesher *mesher);

/* Everybody has everybody: one word sent each way on each connection. */
void crowd_mesh_check(struct mesher *meshers, uint32_t ranks);
void crowd_mesh_close(struct mesher *meshers, uint32_t ranks);

/* How many descriptors this process has open. */
uint32_t crowd_descriptors(void);

/* As above, once no more than `expected` are open or a second has passed: a
 * root closes its side of a connection in its own time. */
uint32_t crowd_settled_descriptors(uint32_t expected);

void crowd_sleep_ms(uint32_t wait_ms);

#endif
