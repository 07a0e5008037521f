/* SPDX-License-Identifier: Apache-2.0 */
/* fake_verbs.c - calls that fail on command, objects that are counted, events.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_inside.h"
#include "fake_wraps.h"

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

void fake_breach(const char *what)
{
    fprintf(stderr, "fake device: %s\n", what);
    abort();
}

/* ---- Calls that fail on command ---- */

static _Thread_local struct {
    enum fake_call call;
    uint32_t until; /* calls before it fails */
    uint32_t times;
    uint32_t happened;
    int error;
} plan;

void fake_fail(enum fake_call call, uint32_t nth, uint32_t times, int error)
{
    plan.call = call;
    plan.until = nth - 1;
    plan.times = times;
    plan.happened = 0;
    plan.error = error;
}

uint32_t fake_stop_failing(void)
{
    plan.times = 0;
    return plan.happened;
}

int fake_refuse(enum fake_call call)
{
    if (plan.times == 0 || plan.call != call)
        return 0;
    if (plan.until > 0) {
        plan.until--;
        return 0;
    }
    plan.times--;
    plan.happened++;
    errno = plan.error;
    return plan.error;
}

const char *fake_call_name(enum fake_call call)
{
    static const char *const names[FAKE_CALLS] = {
        "ibv_get_device_list",
        "ibv_open_device",
        "ibv_query_device",
        "ibv_query_port",
        "ibv_query_gid_table",
        "ibv_query_pkey",
        "ibv_create_comp_channel",
        "ibv_create_cq",
        "ibv_alloc_pd",
        "ibv_reg_mr",
        "ibv_alloc_mw",
        "IBV_WR_BIND_MW",
        "ibv_create_qp",
        "ibv_modify_qp",
        "ibv_post_send",
        "ibv_post_recv",
        "ibv_poll_cq",
        "ibv_req_notify_cq",
        "access",
        "rdma_create_event_channel",
        "rdma_create_id",
        "rdma_resolve_addr",
        "rdma_resolve_route",
        "malloc",
        "calloc",
        "mmap",
        "fcntl",
        "epoll_create1",
        "epoll_ctl",
        "getifaddrs",
    };

    return names[call];
}

/* ---- Objects ---- */

enum { OBJECTS_MAX = 1024 };

static struct {
    enum fake_kind kind;
    void *at;
} objects[OBJECTS_MAX];
static uint32_t objects_count;
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;

uint32_t fake_alive(void)
{
    return objects_count;
}

void fake_forget(void)
{
    objects_count = 0;
}

void *fake_make(enum fake_kind kind, size_t bytes)
{
    void *object = __real_calloc(1, bytes);

    pthread_mutex_lock(&objects_lock);
    if (object == NULL || objects_count == OBJECTS_MAX)
        fake_breach("too many objects");
    objects[objects_count].kind = kind;
    objects[objects_count++].at = object;
    pthread_mutex_unlock(&objects_lock);
    return object;
}

static uint32_t find(enum fake_kind kind, const void *object)
{
    for (uint32_t i = 0; i < objects_count; i++)
        if (objects[i].at == object && objects[i].kind == kind)
            return i;
    fake_breach("an object is used that is not there");
}

void fake_check(enum fake_kind kind, const void *object)
{
    pthread_mutex_lock(&objects_lock);
    (void)find(kind, object);
    pthread_mutex_unlock(&objects_lock);
}

void fake_free(enum fake_kind kind, void *object)
{
    uint32_t at;

    pthread_mutex_lock(&objects_lock);
    at = find(kind, object);
    objects_count--;
    memmove(&objects[at], &objects[at + 1],
            (objects_count - at) * sizeof(objects[0]));
    pthread_mutex_unlock(&objects_lock);
    free(object);
}

void *fake_next(enum fake_kind kind, const void *object)
{
    void *next = NULL;

    pthread_mutex_lock(&objects_lock);
    for (uint32_t i = object == NULL ? 0 : find(kind, object) + 1;
         i < objects_count && next == NULL; i++)
        if (objects[i].kind == kind)
            next = objects[i].at;
    pthread_mutex_unlock(&objects_lock);
    return next;
}

/* ---- Events ---- */

void fake_events_open(struct fake_events *events)
{
    events->descriptor = eventfd(0, EFD_CLOEXEC);
    if (events->descriptor < 0)
        fake_breach("no descriptors left");
}

void fake_events_close(struct fake_events *events)
{
    close(events->descriptor);
}

void fake_events_push(struct fake_events *events, void *item)
{
    if (events->count == EVENTS_MAX)
        fake_breach("too many events");
    events->items[events->count++] = item;
    (void)!write(events->descriptor, &(uint64_t){1}, 8);
}

void fake_events_remove(struct fake_events *events, uint32_t index)
{
    uint64_t written;

    events->count--;
    memmove(&events->items[index], &events->items[index + 1],
            (events->count - index) * sizeof(events->items[0]));
    if (events->count == 0)
        (void)!read(events->descriptor, &written, sizeof(written));
}

void *fake_events_pop(struct fake_events *events)
{
    void *item = events->items[0];

    if (events->count == 0) {
        if ((__real_fcntl(events->descriptor, F_GETFL) & O_NONBLOCK) == 0)
            fake_breach("waits for an event for ever");
        errno = EAGAIN;
        return NULL;
    }
    fake_events_remove(events, 0);
    return item;
}
