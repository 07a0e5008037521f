/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - a few ranks over tcp in one process, for the tests of tcp.
 *
 * Functions fail the running test when something goes wrong.
 */
#ifndef BALLOT_TESTS_UNIT_CLUSTER_H
#define BALLOT_TESTS_UNIT_CLUSTER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/clock.h"
#include "transport/handshake.h"
#include "transport/transport.h"

enum { RANKS_MAX = 4, EPOCH = 77, PATIENCE_MS = 5000 };

struct cluster {
    uint32_t ranks, slots, slot_bytes;
    struct endpoint *endpoints[RANKS_MAX]; /* NULL: not one of ours */
    struct address table[RANKS_MAX];
};

/* One rank's connect() in a thread of its own. */
struct joiner {
    const struct cluster *cluster;
    uint32_t rank;
    int result;
    pthread_t thread;
};

extern const struct credentials cluster_credentials;

uint64_t clock_in_ms(uint64_t ms);
void clock_sleep_ms(long ms);

/* Opens `ranks` endpoints with the engine that the environment names, and links
 * all of them. */
void cluster_open(struct cluster *cluster, uint32_t ranks, uint32_t slots,
                  uint32_t slot_bytes);
void cluster_close(struct cluster *cluster);

/* The steps of cluster_open(), for clusters with holes. */
struct endpoint_config cluster_config(const struct cluster *cluster,
                                      uint32_t rank);
void cluster_open_rank(struct cluster *cluster, uint32_t rank);
void cluster_start_joining(struct cluster *cluster, struct joiner *joiners);
void cluster_finish_joining(struct cluster *cluster, struct joiner *joiners);

/* Byte `index` of what `from` puts with `salt`. */
uint8_t cluster_pattern(uint32_t from, uint32_t salt, uint32_t index);
void cluster_put(const struct cluster *cluster, uint32_t from, uint32_t to,
                 uint32_t slot, uint32_t bytes, uint32_t salt);
/* The event is that put, byte by byte. */
void cluster_check(const struct event *event, uint32_t from, uint32_t slot,
                   uint32_t bytes, uint32_t salt);
void cluster_check_lost(const struct event *event, uint32_t peer, int reason);

/* The next event of `rank`, while all others can send. */
struct event cluster_next_event(const struct cluster *cluster, uint32_t rank);
/* No event comes for `ms`. */
void cluster_check_silence(const struct cluster *cluster, uint32_t rank,
                           long ms);

/* Runs the tests with each engine that this system allows. */
#define CLUSTER_RUN_EACH_ENGINE(tests)                                         \
    (cmocka_run_group_tests_name("epoll", tests, cluster_use_epoll, NULL) +    \
     (cluster_has_uring() ? cmocka_run_group_tests_name(                       \
                                "io_uring", tests, cluster_use_uring, NULL)    \
                          : 0))

bool cluster_has_uring(void);
int cluster_use_epoll(void **state);
int cluster_use_uring(void **state);

#endif
