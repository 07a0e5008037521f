/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - the one thread that drives every communicator of the process.
 *
 * Whoever has the driver's role drives: a caller that waits takes it, so that a
 * small call needs no thread switch, and keeps it when it has to sleep; without
 * such a caller the engine thread has it. Who sleeps has armed every endpoint
 * before, so that peers wake it. After a caller has left, the thread dozes for
 * a moment, for the next call comes soon and should find nothing armed; when
 * none came in a millisecond, the thread takes over. While calls go on it looks
 * less often, for it takes their core to do so; what it then does late is done
 * for ranks that mostly wait for this rank's next vote anyway. While one caller
 * drives for long, as a server does, the thread rests until that caller leaves.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "comm.h"
#include "doze.h"
#include "patience.h"
#include "relax.h"

enum {
    DOZE_NS = 1000000,
    DOZE_MOST_NS = 8000000,
    DOZES_MAX = 20, /* while one caller drives; then rest until it leaves */
    REST_S = 3600,
};

static struct {
    pthread_mutex_t life; /* attach and detach, start and stop */
    int users;
    pthread_t thread;
    int epoll; /* all descriptors to sleep on, and the bell */
    int bell;

    pthread_mutex_t lock;
    atomic_int wanting;     /* threads that wait for the lock */
    bool driven;            /* a caller has the driver's role */
    pthread_cond_t changed; /* a request is done, or the role is free */
    int sleepers;           /* callers that wait for `changed` */
    bool resting;           /* the thread waits for the role to be free */
    struct ballot_comm *comms;
    atomic_ulong drives; /* by callers */
    bool stop;
    int asleep; /* threads that wait in epoll */
    struct patience patience;
} engine = {
    .life = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

void engine_lock(void)
{
    atomic_fetch_add(&engine.wanting, 1);
    pthread_mutex_lock(&engine.lock);
    atomic_fetch_sub(&engine.wanting, 1);
}

void engine_unlock(void)
{
    pthread_mutex_unlock(&engine.lock);
}

/* Lets a thread that wants the lock have it. */
static void give_way(void)
{
    while (atomic_load(&engine.wanting) > 0) {
        pthread_mutex_unlock(&engine.lock);
        sched_yield();
        pthread_mutex_lock(&engine.lock);
    }
}

/* Wakes who sleeps in epoll. */
static void ring_bell(void)
{
    uint64_t one = 1;
    ssize_t written = write(engine.bell, &one, sizeof(one));

    /* A full counter has rung already. */
    (void)written;
}

void engine_kick(void)
{
    ring_bell();
    doze_wake();
}

void engine_announce(void)
{
    if (engine.sleepers > 0)
        pthread_cond_broadcast(&engine.changed);
}

static bool drive(uint64_t now_ns)
{
    bool moved = false;

    for (struct ballot_comm *c = engine.comms; c != NULL; c = c->next)
        moved |= advance_step(c, now_ns);
    return moved;
}

static bool outstanding(void)
{
    for (struct ballot_comm *c = engine.comms; c != NULL; c = c->next)
        if (advance_busy(c))
            return true;
    return false;
}

/* ---- The thread ---- */

/* An endpoint's descriptor is learnt when it is first armed. */
static bool watch(struct ballot_comm *comm, int e, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (comm->descriptors[e] >= 0)
        return true;
    if (epoll_ctl(engine.epoll, EPOLL_CTL_ADD, descriptor, &event) < 0)
        return false;
    comm->descriptors[e] = descriptor;
    return true;
}

static bool arm_all(void)
{
    for (struct ballot_comm *c = engine.comms; c != NULL; c = c->next)
        for (int e = 0; e < c->endpoints_count; e++) {
            int descriptor = c->transports[e]->arm(c->endpoints[e]);

            if (descriptor < 0 || !watch(c, e, descriptor))
                return false;
        }
    return true;
}

/* Milliseconds until something must be done, rounded up; -1: nothing. */
static int sleep_ms(void)
{
    uint64_t first = UINT64_MAX, now = clock_now_ns();

    for (struct ballot_comm *c = engine.comms; c != NULL; c = c->next) {
        uint64_t at = advance_deadline(c);

        if (at < first)
            first = at;
    }
    if (first == UINT64_MAX)
        return -1;
    if (first <= now)
        return 0;
    if (first - now > UINT64_C(60000000000))
        return 60000;
    return (int)((first - now + 999999) / 1000000);
}

static void drain_bell(void)
{
    uint64_t count;
    ssize_t got = read(engine.bell, &count, sizeof(count));

    (void)got; /* EAGAIN: it was not rung */
}

static void wait_until(pthread_cond_t *condition, uint64_t deadline_ns)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline_ns / UINT64_C(1000000000)),
        .tv_nsec = (long)(deadline_ns % UINT64_C(1000000000)),
    };

    pthread_cond_timedwait(condition, &engine.lock, &until);
}

/* Sleeps until a peer, the bell or a deadline wakes; all must be armed. */
static void sleep_armed(int most_ms)
{
    struct epoll_event events[8];
    int timeout = sleep_ms();

    if (most_ms >= 0 && (timeout < 0 || timeout > most_ms))
        timeout = most_ms;
    engine.asleep++;
    pthread_mutex_unlock(&engine.lock);
    epoll_wait(engine.epoll, events, 8, timeout);
    engine_lock();
    engine.asleep--;
    drain_bell();
    /* It may have been rung for the other one. */
    if (engine.asleep > 0)
        ring_bell();
}

/* Longer and longer while calls go on; `dozes` in a row in which nobody gave
 * the role back. */
static void doze(uint32_t *dozes, uint64_t *doze_ns, uint64_t *seen)
{
    bool wanted;

    engine.resting = engine.driven && *dozes >= DOZES_MAX;
    pthread_mutex_unlock(&engine.lock);
    if (engine.resting)
        doze_sleep(REST_S * UINT64_C(1000000000));
    else
        do {
            uint64_t drives = atomic_load(&engine.drives);

            *dozes = drives == *seen ? *dozes + 1 : 0;
            *doze_ns = *dozes > 0 ? DOZE_NS : 2 * *doze_ns;
            *doze_ns = *doze_ns < DOZE_MOST_NS ? *doze_ns : DOZE_MOST_NS;
            *seen = drives;
            wanted = doze_sleep(*doze_ns);
        } while (!wanted && atomic_load(&engine.drives) != *seen);
    engine_lock();
    engine.resting = false;
}

static void *run(void *unused)
{
    uint64_t seen = 0, doze_ns = DOZE_NS;
    uint32_t dozes = 0;

    (void)unused;
    engine_lock();
    while (!engine.stop) {
        give_way();
        if (engine.driven ||
            (atomic_load(&engine.drives) != seen && !outstanding()))
            doze(&dozes, &doze_ns, &seen);
        else if (!drive(clock_now_ns()) && !engine.driven && arm_all())
            sleep_armed(-1);
    }
    pthread_mutex_unlock(&engine.lock);
    return NULL;
}

/* ---- Start and stop ---- */

static int start_thread(void)
{
    sigset_t all, before;
    int rc;

    /* Signals are for the user's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    engine.stop = false;
    rc = pthread_create(&engine.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static int start(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    pthread_condattr_t attributes;
    int rc;

    engine.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (engine.epoll < 0)
        return -errno;
    engine.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (engine.bell < 0) {
        rc = -errno;
        goto close_epoll;
    }
    if (epoll_ctl(engine.epoll, EPOLL_CTL_ADD, engine.bell, &event) < 0) {
        rc = -errno;
        goto close_bell;
    }
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&engine.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    doze_open();
    rc = start_thread();
    if (rc == 0)
        return 0;
    doze_close();
    pthread_cond_destroy(&engine.changed);
close_bell:
    close(engine.bell);
close_epoll:
    close(engine.epoll);
    return rc;
}

static void stop(void)
{
    engine_lock();
    engine.stop = true;
    engine_unlock();
    engine_kick();
    pthread_join(engine.thread, NULL);
    doze_close();
    pthread_cond_destroy(&engine.changed);
    close(engine.bell);
    close(engine.epoll);
}

/* Whether somebody may need our core: with the lock. */
static void measure_crowd(void)
{
    engine.patience.crowded = false;
    for (struct ballot_comm *c = engine.comms; c != NULL; c = c->next)
        if (c->local_ranks > c->local_cores)
            engine.patience.crowded = true;
}

static void unwatch(struct ballot_comm *comm)
{
    for (int e = 0; e < comm->endpoints_count; e++)
        if (comm->descriptors[e] >= 0)
            epoll_ctl(engine.epoll, EPOLL_CTL_DEL, comm->descriptors[e], NULL);
}

int engine_attach(struct ballot_comm *comm)
{
    int rc = 0;

    pthread_mutex_lock(&engine.life);
    if (engine.users == 0)
        rc = start();
    if (rc == 0) {
        engine.users++;
        engine_lock();
        comm->next = engine.comms;
        engine.comms = comm;
        measure_crowd();
        engine_unlock();
        engine_kick();
    }
    pthread_mutex_unlock(&engine.life);
    return rc;
}

void engine_detach(struct ballot_comm *comm)
{
    pthread_mutex_lock(&engine.life);
    engine_lock();
    for (struct ballot_comm **at = &engine.comms; *at != NULL;
         at = &(*at)->next)
        if (*at == comm) {
            *at = comm->next;
            break;
        }
    unwatch(comm);
    measure_crowd();
    engine_unlock();
    if (--engine.users == 0)
        stop();
    pthread_mutex_unlock(&engine.life);
}

/* ---- Callers ---- */

/* Nothing moved for `idle_ns`: waits a little, and not with the lock if that
 * may keep somebody. False when it is time to sleep. */
static bool linger(uint64_t idle_ns)
{
    switch (patience_ask(&engine.patience, idle_ns)) {
    case PATIENCE_SPIN: relax(); return true;
    case PATIENCE_YIELD:
        pthread_mutex_unlock(&engine.lock);
        sched_yield();
        engine_lock();
        return true;
    case PATIENCE_SLEEP: break;
    }
    return false;
}

static int milliseconds(uint64_t ns)
{
    enum { MOST = 60000 };

    return ns >= MOST * UINT64_C(1000000) ? MOST : (int)(ns / 1000000 + 1);
}

/* With the driver's role: until *done or the deadline. */
static int drive_until(atomic_bool *done, uint64_t deadline_ns)
{
    uint64_t now, since_ns = 0; /* when nothing moved first; 0: it did */

    while (!atomic_load(done)) {
        now = clock_now_ns();
        if (drive(now)) {
            if (since_ns != 0)
                patience_learn(&engine.patience, now - since_ns);
            since_ns = 0;
            give_way();
            continue;
        }
        if (now >= deadline_ns)
            return -ETIMEDOUT;
        if (since_ns == 0)
            since_ns = now;
        if (!linger(now - since_ns) && arm_all()) {
            sleep_armed(milliseconds(deadline_ns - now));
            since_ns = 0;
        }
    }
    return 0;
}

/* Who comes next: another caller that waits, or the thread if it must. */
static void give_role(void)
{
    engine.driven = false;
    /* Written with the lock only, so it needs no locked instruction. */
    atomic_store_explicit(
        &engine.drives,
        atomic_load_explicit(&engine.drives, memory_order_relaxed) + 1,
        memory_order_relaxed);
    if (engine.sleepers > 0)
        pthread_cond_broadcast(&engine.changed);
    if (engine.resting || (engine.sleepers == 0 && outstanding()))
        doze_wake();
}

bool engine_try_role(void)
{
    if (pthread_mutex_trylock(&engine.lock) != 0)
        return false;
    if (!engine.driven && engine.asleep == 0 && engine.sleepers == 0)
        return true;
    pthread_mutex_unlock(&engine.lock);
    return false;
}

void engine_give_role(void)
{
    give_role();
    pthread_mutex_unlock(&engine.lock);
}

bool engine_wanted(void)
{
    return atomic_load(&engine.wanting) > 0;
}

bool engine_crowded(void)
{
    return engine.patience.crowded;
}

int engine_drive_on(atomic_bool *done, uint64_t deadline_ns)
{
    int rc = 0;

    while (!atomic_load(done) && rc == 0) {
        if (engine.driven) {
            /* Who drives may have gone to sleep before we called. */
            if (engine.asleep > 0)
                ring_bell();
            engine.sleepers++;
            wait_until(&engine.changed, deadline_ns);
            engine.sleepers--;
            if (clock_now_ns() >= deadline_ns)
                rc = -ETIMEDOUT;
            continue;
        }
        engine.driven = true;
        /* The thread would wake for everything that arrives for us. */
        if (engine.asleep > 0)
            ring_bell();
        rc = drive_until(done, deadline_ns);
        give_role();
    }
    if (atomic_load(done))
        rc = 0;
    engine_unlock();
    return rc;
}

int engine_drive_until(atomic_bool *done, uint64_t deadline_ns)
{
    engine_lock();
    return engine_drive_on(done, deadline_ns);
}
