/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_again.c - makes of a worker one that goes on writing over RDMA. The
 * linker leads verbs_enqueue() past this file: when the rank
 * BALLOT_TEST_REWRITES has put replicas into a slot of rank 0, a thread of it
 * turns them and writes them there again and again, past the library, while
 * they are compared and counted.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collective/comm.h"
#include "transport/verbs.h"

enum { PAUSE_NS = 100000 };

/* Under the engine's lock. */
static struct {
    struct endpoint *endpoint;
    struct verbs_link *link;
    uint32_t bytes[WINDOW_MAX]; /* of the last put into each slot; 0: none */
    uint32_t keys[WINDOW_MAX];
    unsigned long long writes;
} again;
static atomic_bool stop;
static pthread_t thread;
static bool running;

void __real_verbs_enqueue(struct endpoint *endpoint, struct verbs_link *link,
                          uint32_t slot, const struct verbs_put *put);
void __wrap_verbs_enqueue(struct endpoint *endpoint, struct verbs_link *link,
                          uint32_t slot, const struct verbs_put *put);
void __real_parts_close(struct ballot_comm *comm);
void __wrap_parts_close(struct ballot_comm *comm);

/* The header line stays, so that no write of ours is more than a change of our
 * own replicas. */
static void write_again(uint32_t slot, uint64_t turn)
{
    struct verbs_link *link = again.link;
    const size_t at =
        (size_t)slot * again.endpoint->config.slot_bytes + LINE_BYTES;
    const struct verbs_stripe *stripe = &link->stripes[0];
    uint64_t *words = (uint64_t *)(void *)(link->staging + at);
    const size_t count = (again.bytes[slot] - LINE_BYTES) / sizeof(*words);
    struct ibv_sge piece = {
        .addr = (uintptr_t)words,
        .length = again.bytes[slot] - LINE_BYTES,
        .lkey = link->staging_key->lkey,
    };
    struct ibv_send_wr request = {
        .sg_list = &piece,
        .num_sge = 1,
        .opcode = IBV_WR_RDMA_WRITE,
        .send_flags = IBV_SEND_SIGNALED,
        .wr.rdma = {.remote_addr = link->remote + at, .rkey = again.keys[slot]},
    };

    /* The library keeps half of the queue. */
    if (stripe->posted - stripe->done >= again.endpoint->send_depth / 2)
        return;
    for (size_t w = turn % 3; w < count; w += 3)
        words[w] = ~words[w];
    if (verbs_post_one(again.endpoint, link, &request, NO_PUT) == 0)
        again.writes++;
}

static void *go_on(void *unused)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};

    (void)unused;
    for (uint64_t turn = 0; !atomic_load(&stop); turn++) {
        engine_lock();
        for (uint32_t slot = 0; slot < WINDOW_MAX; slot++)
            if (again.bytes[slot] > 0 && again.link->state == LINK_UP)
                write_again(slot, turn);
        engine_unlock();
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool is_ours(const struct endpoint *endpoint)
{
    const char *rank = getenv("BALLOT_TEST_REWRITES");

    return rank != NULL && (uint32_t)atoi(rank) == endpoint->config.rank;
}

void __wrap_verbs_enqueue(struct endpoint *endpoint, struct verbs_link *link,
                          uint32_t slot, const struct verbs_put *put)
{
    struct header header;

    __real_verbs_enqueue(endpoint, link, slot, put);
    if (link->peer != 0 || slot >= WINDOW_MAX || !is_ours(endpoint))
        return;
    memcpy(&header, link->staging + (size_t)slot * endpoint->config.slot_bytes,
           sizeof(header));
    if (header.kind != HEADER_VOTE)
        return;
    again.endpoint = endpoint;
    again.link = link;
    again.keys[slot] = link->puts[slot].key;
    again.bytes[slot] = 0;
    if (header.call.rows > 0 && put->bytes > LINE_BYTES)
        again.bytes[slot] = put->bytes;
    if (!running && pthread_create(&thread, NULL, go_on, NULL) == 0)
        running = true;
}

void __wrap_parts_close(struct ballot_comm *comm)
{
    atomic_store(&stop, true);
    if (running) {
        pthread_join(thread, NULL);
        printf("again writes=%llu\n", again.writes);
        fflush(stdout);
    }
    running = false;
    __real_parts_close(comm);
}
