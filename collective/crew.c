/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew.c - threads that share one kernel call: when they look, and when they
 * sleep.
 *
 * A call is open from when its fields are set until all of its runs are taken.
 * A helper says that it is inside before it looks whether a call is open, and
 * the caller closes the call before it looks whether a helper is inside; both
 * are sequentially consistent, so either the helper finds it closed or the
 * caller waits for the helper. Whoever sleeps is counted the same way.
 */
#include "crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../transport/clock.h"
#include "relax.h"

enum {
    /* A run of so many bytes takes 5 to 10 us, a helper that has to be woken
     * about as long. */
    RUN_BYTES = 256 * 1024,
    LOOKS_PER_CLOCK = 64,
    SPIN_NS = 50000,  /* the next chunk of a large call comes sooner */
    SPINS_YIELD = 64, /* looks at helpers inside, before giving them a core */
};

struct crew {
    uint32_t threads;
    uint32_t helpers; /* that were started */
    pthread_t *handles;

    atomic_uint open; /* number of the call, 0: there is none */
    uint32_t calls;
    atomic_uint inside;
    atomic_size_t next; /* first line that nobody has taken */
    crew_fn *work;
    void *call;
    size_t lines, run_lines;

    atomic_uint sleeping;
    atomic_bool stop;
    pthread_mutex_t lock;
    pthread_cond_t called;
};

static void take_runs(struct crew *crew)
{
    for (;;) {
        size_t first = atomic_fetch_add(&crew->next, crew->run_lines);
        size_t left;

        if (first >= crew->lines)
            return;
        left = crew->lines - first;
        crew->work(crew->call, first,
                   left < crew->run_lines ? left : crew->run_lines);
    }
}

/* ---- Helpers ---- */

/* Returns the number of the call that it has helped with. */
static uint32_t help(struct crew *crew)
{
    uint32_t call;

    atomic_fetch_add(&crew->inside, 1);
    call = atomic_load(&crew->open);
    if (call != 0)
        take_runs(crew);
    atomic_fetch_sub(&crew->inside, 1);
    return call;
}

/* Whether another call than `helped` is open; that one has no more runs. */
static bool calls(struct crew *crew, uint32_t helped)
{
    uint32_t call = atomic_load(&crew->open);

    return call != 0 && call != helped;
}

/* Whether a call comes before it is time to sleep. */
static bool look_out(struct crew *crew, uint32_t helped)
{
    uint64_t until_ns = clock_now_ns() + SPIN_NS;

    for (uint32_t looks = 1; !calls(crew, helped); looks++) {
        relax();
        if (looks % LOOKS_PER_CLOCK == 0 &&
            (clock_now_ns() >= until_ns || atomic_load(&crew->stop)))
            return false;
    }
    return true;
}

static void sleep_until_called(struct crew *crew, uint32_t helped)
{
    pthread_mutex_lock(&crew->lock);
    atomic_fetch_add(&crew->sleeping, 1);
    while (!calls(crew, helped) && !atomic_load(&crew->stop))
        pthread_cond_wait(&crew->called, &crew->lock);
    atomic_fetch_sub(&crew->sleeping, 1);
    pthread_mutex_unlock(&crew->lock);
}

static void *run(void *argument)
{
    struct crew *crew = argument;
    uint32_t helped = 0;

    while (!atomic_load(&crew->stop)) {
        if (look_out(crew, helped))
            helped = help(crew);
        else
            sleep_until_called(crew, helped);
    }
    return NULL;
}

/* ---- The caller ---- */

static void wake(struct crew *crew)
{
    if (atomic_load(&crew->sleeping) == 0)
        return;
    pthread_mutex_lock(&crew->lock);
    pthread_cond_broadcast(&crew->called);
    pthread_mutex_unlock(&crew->lock);
}

/* All runs are taken: what helpers are still at ends soon. */
static void wait_for_helpers(struct crew *crew)
{
    for (uint32_t looks = 1; atomic_load(&crew->inside) > 0; looks++)
        if (looks % SPINS_YIELD == 0)
            sched_yield();
}

void crew_run(struct crew *crew, crew_fn *work, void *call, size_t lines,
              size_t line_bytes)
{
    size_t run_lines = RUN_BYTES / line_bytes + 1;

    if (crew == NULL || crew->helpers == 0 || lines <= run_lines) {
        if (lines > 0)
            work(call, 0, lines);
        return;
    }
    crew->work = work;
    crew->call = call;
    crew->lines = lines;
    crew->run_lines = run_lines;
    atomic_store(&crew->next, 0);
    if (++crew->calls == 0)
        crew->calls = 1;
    atomic_store(&crew->open, crew->calls);
    wake(crew);
    take_runs(crew);
    atomic_store(&crew->open, 0);
    wait_for_helpers(crew);
}

/* ---- Life ---- */

static int start_helpers(struct crew *crew)
{
    sigset_t all, before;
    int rc = 0;

    /* Signals are for the user's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (rc == 0 && crew->helpers + 1 < crew->threads) {
        rc = pthread_create(&crew->handles[crew->helpers], NULL, run, crew);
        if (rc == 0)
            crew->helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

int crew_open(struct crew **crew, uint32_t threads)
{
    struct crew *c;
    int rc;

    if (threads < 1 || threads > CREW_MAX)
        return -EINVAL;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    c->threads = threads;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->called, NULL);
    c->handles = calloc(threads, sizeof(*c->handles));
    rc = c->handles == NULL ? -ENOMEM : start_helpers(c);
    if (rc < 0) {
        crew_close(c);
        return rc;
    }
    *crew = c;
    return 0;
}

void crew_close(struct crew *crew)
{
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->lock);
    atomic_store(&crew->stop, true);
    pthread_cond_broadcast(&crew->called);
    pthread_mutex_unlock(&crew->lock);
    for (uint32_t i = 0; i < crew->helpers; i++)
        pthread_join(crew->handles[i], NULL);
    pthread_cond_destroy(&crew->called);
    pthread_mutex_destroy(&crew->lock);
    free(crew->handles);
    free(crew);
}
