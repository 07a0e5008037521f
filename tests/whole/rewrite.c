/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite.c - makes of a worker one that goes on writing. Over shm the signs
 * are packed into the server's slots: the linker leads packing_pack() past this
 * file, and from then on a thread of the rank BALLOT_TEST_REWRITES turns what
 * it has put there, again and again, while it is compared and counted.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "collective/comm.h"
#include "collective/packing.h"

enum { PLACES = WINDOW_MAX };

static struct {
    _Atomic(volatile uint64_t *) words;
    atomic_size_t count;
} places[PLACES];
static atomic_bool stop;
static pthread_t thread;
static bool running;

void __real_packing_pack(const struct majority_config *config,
                         const struct majority_call *call,
                         const struct caster_put *put, uint64_t *signs);
void __wrap_packing_pack(const struct majority_config *config,
                         const struct majority_call *call,
                         const struct caster_put *put, uint64_t *signs);
void __real_parts_close(struct ballot_comm *comm);
void __wrap_parts_close(struct ballot_comm *comm);

/* It races with the packing of what comes next: that is its purpose, and no
 * news to TSan. */
__attribute__((no_sanitize("thread"))) static void *rewrite(void *unused)
{
    uint64_t turn = 0;

    (void)unused;
    while (!atomic_load(&stop)) {
        size_t p = turn++ % PLACES;
        volatile uint64_t *words = atomic_load(&places[p].words);

        if (words == NULL)
            continue;
        for (size_t w = turn % 3; w < atomic_load(&places[p].count); w += 3)
            words[w] = ~words[w];
    }
    return NULL;
}

static bool is_ours(const struct majority_config *config)
{
    const char *rank = getenv("BALLOT_TEST_REWRITES");

    return rank != NULL && (uint32_t)atoi(rank) == config->caster.rank;
}

void __wrap_packing_pack(const struct majority_config *config,
                         const struct majority_call *call,
                         const struct caster_put *put, uint64_t *signs)
{
    const struct call *chunk = &put->header.call;

    __real_packing_pack(config, call, put, signs);
    if (call->kind != MAJORITY_TASKS || !is_ours(config))
        return;
    atomic_store(&places[put->slot].count,
                 chunk->rows * lines_for(chunk->coordinates) * LINE_WORDS);
    atomic_store(&places[put->slot].words, signs);
    if (!running && pthread_create(&thread, NULL, rewrite, NULL) == 0)
        running = true;
}

void __wrap_parts_close(struct ballot_comm *comm)
{
    atomic_store(&stop, true);
    if (running)
        pthread_join(thread, NULL);
    running = false;
    __real_parts_close(comm);
}
