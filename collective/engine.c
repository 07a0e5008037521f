/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.c - the one thread that drives every communicator of the process.
 *
 * Whoever holds the engine's lock drives. A caller that waits takes it and
 * drives itself, so that a small call needs no thread switch; when nothing
 * happens for a while it hands over to the engine thread and sleeps. The thread
 * has three states: awake; asleep (every endpoint is armed, so that peers wake
 * it); and dozing: a caller drove a moment ago and will soon again, so the
 * endpoints are left unarmed and the thread looks again in a millisecond.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "comm.h"

enum {
    DOZE_MS = 1,
    SPIN_NS = 20000,    /* then yield */
    YIELD_NS = 200000,  /* then hand over */
    CROWDED_NS = 50000, /* more ranks than cores: yield at once, then this */
    THREAD_IDLE_NS = 20000, /* the thread, while a caller waits for it */
};

static struct {
    pthread_mutex_t life; /* attach and detach, start and stop */
    int users;
    pthread_t thread;
    int epoll; /* all descriptors to sleep on, and the bell */
    int bell;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a request is done */
    atomic_int wanting;     /* threads that wait for the lock */
    int sleepers;           /* callers that wait for `changed` */
    struct ballot_comm *comms;
    uint64_t drives; /* by callers */
    bool stop;
    bool crowded; /* more ranks on this host than cores for them */
    enum { AWAKE, DOZING, ASLEEP } state;
} engine = {
    .life = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

uint64_t engine_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

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

void engine_kick(void)
{
    uint64_t one = 1;
    ssize_t written = write(engine.bell, &one, sizeof(one));

    /* A full counter has rung already. */
    (void)written;
}

void engine_announce(void)
{
    if (engine.sleepers > 0)
        pthread_cond_broadcast(&engine.changed);
}

static bool drive(void)
{
    uint64_t now = engine_now();
    bool moved = false;

    for (struct ballot_comm *c = engine.comms; c != NULL; c = c->next)
        moved |= advance_step(c, now);
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
    uint64_t first = UINT64_MAX, now = engine_now();

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

/* Dozing watches only the bell: what arrives is for the caller who drives. */
static void doze(void)
{
    struct pollfd bell = {.fd = engine.bell, .events = POLLIN};

    engine.state = DOZING;
    pthread_mutex_unlock(&engine.lock);
    for (;;) {
        if (poll(&bell, 1, DOZE_MS) > 0) {
            drain_bell();
            pthread_mutex_lock(&engine.lock);
            break;
        }
        /* Taken: a caller drives, and there is nothing to do for us. */
        if (pthread_mutex_trylock(&engine.lock) == 0)
            break;
    }
    engine.state = AWAKE;
}

static void sleep_armed(void)
{
    struct epoll_event events[8];
    int timeout = sleep_ms();

    engine.state = ASLEEP;
    pthread_mutex_unlock(&engine.lock);
    epoll_wait(engine.epoll, events, 8, timeout);
    pthread_mutex_lock(&engine.lock);
    engine.state = AWAKE;
    drain_bell();
}

static void *run(void *unused)
{
    uint64_t seen = 0, moved_ns = 0;

    (void)unused;
    pthread_mutex_lock(&engine.lock);
    while (!engine.stop) {
        give_way();
        if (drive()) {
            moved_ns = engine_now();
            continue;
        }
        if (engine.sleepers > 0 && engine_now() - moved_ns < THREAD_IDLE_NS) {
            pthread_mutex_unlock(&engine.lock);
            sched_yield();
            pthread_mutex_lock(&engine.lock);
        } else if (engine.drives != seen && !outstanding()) {
            seen = engine.drives;
            doze();
        } else if (arm_all()) {
            sleep_armed();
        }
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
    rc = start_thread();
    if (rc == 0)
        return 0;
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
    pthread_cond_destroy(&engine.changed);
    close(engine.bell);
    close(engine.epoll);
}

/* Whether callers should yield rather than spin: with the lock. */
static void measure_crowd(void)
{
    cpu_set_t set;
    int cores = 1;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = CPU_COUNT(&set);
    engine.crowded = false;
    for (struct ballot_comm *c = engine.comms; c != NULL; c = c->next)
        if (c->local_ranks > (uint32_t)cores)
            engine.crowded = true;
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

/* Sleeps until a request is done somewhere; the thread drives meanwhile. */
static void hand_over(uint64_t deadline_ns)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline_ns / UINT64_C(1000000000)),
        .tv_nsec = (long)(deadline_ns % UINT64_C(1000000000)),
    };

    engine.sleepers++;
    if (engine.state != AWAKE)
        engine_kick();
    pthread_cond_timedwait(&engine.changed, &engine.lock, &until);
    engine.sleepers--;
}

/* Nothing moved since `idle_ns`: wait a little, but not with the lock if
 * somebody wants it. False when it is time to hand over. */
static bool linger(uint64_t idle_ns)
{
    if (idle_ns > (engine.crowded ? CROWDED_NS : YIELD_NS))
        return false;
    if (engine.crowded || idle_ns > SPIN_NS) {
        pthread_mutex_unlock(&engine.lock);
        sched_yield();
        engine_lock();
    } else {
        __builtin_ia32_pause();
    }
    return true;
}

int engine_drive_until(atomic_bool *done, uint64_t deadline_ns)
{
    uint64_t now, moved_ns = 0;
    int rc = 0;

    engine_lock();
    /* It would wake for everything that arrives for us. */
    if (engine.state == ASLEEP)
        engine_kick();
    while (!atomic_load(done)) {
        if (drive()) {
            moved_ns = 0;
            give_way();
            continue;
        }
        now = engine_now();
        if (now >= deadline_ns) {
            rc = -ETIMEDOUT;
            break;
        }
        if (moved_ns == 0)
            moved_ns = now;
        if (!linger(now - moved_ns)) {
            hand_over(deadline_ns);
            moved_ns = 0;
        }
    }
    engine.drives++;
    if (engine.state == DOZING && outstanding())
        engine_kick();
    engine_unlock();
    return rc;
}
