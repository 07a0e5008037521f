/* SPDX-License-Identifier: Apache-2.0 */
#include "doze.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool wanted;
} dozing = {.lock = PTHREAD_MUTEX_INITIALIZER};

void doze_open(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&dozing.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    dozing.wanted = false;
}

void doze_close(void)
{
    pthread_cond_destroy(&dozing.changed);
}

bool doze_sleep(uint64_t ns)
{
    const uint64_t second = UINT64_C(1000000000);
    struct timespec until;
    bool wanted;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / second);
    until.tv_nsec = (long)(ns % second);
    pthread_mutex_lock(&dozing.lock);
    while (!dozing.wanted && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&dozing.changed, &dozing.lock, &until);
    wanted = dozing.wanted;
    dozing.wanted = false;
    pthread_mutex_unlock(&dozing.lock);
    return wanted;
}

void doze_wake(void)
{
    pthread_mutex_lock(&dozing.lock);
    dozing.wanted = true;
    pthread_cond_signal(&dozing.changed);
    pthread_mutex_unlock(&dozing.lock);
}
