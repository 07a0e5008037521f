/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_group.c - calls of a thread that begin together.
 *
 * They are kept until the group ends, for NCCL's groups may be larger than
 * ballot's: then they go in rounds, of so many calls of each communicator, and
 * so many messages of each pair of ranks. All ranks cut them alike, for the
 * n-th send of a rank to another is the other's n-th receive.
 */
#include <errno.h>
#include <stdlib.h>

#include "nccl_inside.h"

enum {
    ROUND_CALLS = 56,   /* of a communicator, of ballot's 64 requests */
    ROUND_MESSAGES = 3, /* from a rank to another; ballot takes 6 * ranks */
};

struct item {
    struct ncclComm *comm;
    nccl_job_fn *run; /* NULL: it is a call */
    void *context;
    struct item *next; /* the next job of the same parent */
    bool chained;      /* to one before it */
    struct nccl_call call;
    struct ballot_request *request;
    uint32_t lane;
    uint64_t turn; /* its round */
    ncclResult_t result;
};

struct group {
    struct item *items;
    size_t count, room, jobs;
};

/* What a group has of one communicator. */
struct lane {
    struct ncclComm *comm;
    uint64_t calls;
    uint64_t *messages; /* [2 * ranks]: sent to, received from */
    uint64_t asked;     /* 1 + the last round that has a request for its
                           messages */
    ncclResult_t result;
};

static _Thread_local uint32_t depth;
static _Thread_local struct group current;

bool nccl_group_is_open(void)
{
    return depth > 0;
}

static struct item *add(struct ncclComm *comm)
{
    struct item *item;

    if (current.count == current.room) {
        const size_t room = current.room == 0 ? 16 : 2 * current.room;
        struct item *grown = realloc(current.items, room * sizeof(*grown));

        if (grown == NULL)
            return NULL;
        current.items = grown;
        current.room = room;
    }
    item = &current.items[current.count++];
    *item = (struct item){.comm = comm};
    return item;
}

ncclResult_t nccl_group_add(const struct nccl_call *call)
{
    struct item *item = add(call->comm);

    if (item == NULL)
        return nccl_leave(call->comm,
                          nccl_fail(call->comm, ncclSystemError,
                                    "%s: no memory for the group", call->name));
    item->call = *call;
    return ncclSuccess;
}

ncclResult_t nccl_group_add_job(struct ncclComm *comm, nccl_job_fn *run,
                                void *context)
{
    struct item *item = add(comm);

    if (item == NULL) {
        nccl_job_drop(comm, context);
        return nccl_fail(NULL, ncclSystemError, "no memory for the group");
    }
    item->run = run;
    item->context = context;
    current.jobs++;
    return ncclSuccess;
}

/*
 * ---- Jobs: each waits for other ranks, so all at once; but what is made of
 * one communicator goes in order ----
 */

static void *run_items(void *context)
{
    struct item *item, *next = context;

    while (next != NULL) {
        item = next;
        next = item->next;
        item->result = nccl_job_run(item->comm, item->run, item->context);
    }
    return NULL;
}

/* The one before it that is made of the same communicator. */
static struct item *find_before(const struct group *group, size_t index)
{
    const struct ncclComm *parent = group->items[index].comm->parent;

    for (size_t i = index; parent != NULL && i-- > 0;)
        if (group->items[i].comm->parent == parent)
            return &group->items[i];
    return NULL;
}

static void chain(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct item *before = find_before(group, i);

        group->items[i].chained = before != NULL;
        if (before != NULL)
            before->next = &group->items[i];
    }
}

static void drop_jobs(struct item *item)
{
    for (; item != NULL; item = item->next) {
        nccl_job_drop(item->comm, item->context);
        item->result = nccl_fail(NULL, ncclSystemError,
                                 "ncclGroupEnd: no thread could be started");
    }
}

static ncclResult_t run_jobs(struct group *group)
{
    pthread_t *threads = calloc(group->count, sizeof(*threads));
    ncclResult_t first = ncclSuccess;
    size_t started = 0;

    chain(group);
    for (size_t i = 0; i < group->count; i++) {
        struct item *item = &group->items[i];

        if (item->chained)
            continue;
        if (threads != NULL &&
            pthread_create(&threads[started], NULL, run_items, item) == 0)
            started++;
        else
            drop_jobs(item);
    }
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < group->count; i++)
        if (first == ncclSuccess)
            first = group->items[i].result;
    free(threads);
    return first;
}

/* ---- Calls ---- */

static uint32_t find_lane(struct lane *lanes, uint32_t *count,
                          struct ncclComm *comm)
{
    uint32_t l = 0;

    while (l < *count && lanes[l].comm != comm)
        l++;
    if (l == *count)
        lanes[(*count)++] = (struct lane){.comm = comm};
    return l;
}

/* In which round an item goes. */
static bool take_turn(struct lane *lane, struct item *item)
{
    const struct nccl_call *call = &item->call;
    const size_t ranks = (size_t)lane->comm->ranks;
    size_t pair;

    if (call->kind != NCCL_SEND && call->kind != NCCL_RECV) {
        item->turn = lane->calls++ / ROUND_CALLS;
        return true;
    }
    if (lane->messages == NULL)
        lane->messages = calloc(2 * ranks, sizeof(*lane->messages));
    if (lane->messages == NULL)
        return false;
    pair = (size_t)call->root + (call->kind == NCCL_RECV ? ranks : 0);
    item->turn = lane->messages[pair]++ / ROUND_MESSAGES;
    return true;
}

static void note(struct lane *lane, const char *call, int rc)
{
    ncclResult_t result = nccl_from(lane->comm, lane->comm->ballot, call, rc);

    if (lane->result == ncclSuccess)
        lane->result = result;
}

/* One request tells of all messages of a communicator in a round. */
static void submit(struct lane *lane, struct item *item)
{
    const bool message =
        item->call.kind == NCCL_SEND || item->call.kind == NCCL_RECV;
    const bool asks = !message || lane->asked != item->turn + 1;

    if (message)
        lane->asked = item->turn + 1;
    note(lane, item->call.name,
         nccl_call_submit(&item->call, asks ? &item->request : NULL));
}

static bool run_round(struct group *group, struct lane *lanes, uint64_t turn)
{
    bool more = false;

    ballot_group_start();
    for (size_t i = 0; i < group->count; i++) {
        struct item *item = &group->items[i];

        if (item->turn == turn)
            submit(&lanes[item->lane], item);
        more |= item->turn > turn;
    }
    /* Its error is that of a request, or of arguments that it names. */
    if (ballot_group_end() == -EINVAL && ballot_last_error(NULL)[0] != '\0')
        nccl_fail(NULL, ncclInvalidArgument, "ncclGroupEnd: %s",
                  ballot_last_error(NULL));
    for (size_t i = 0; i < group->count; i++) {
        struct item *item = &group->items[i];

        if (item->request != NULL)
            note(&lanes[item->lane], item->call.name,
                 ballot_wait(&item->request));
    }
    return more;
}

static ncclResult_t run_calls(struct group *group)
{
    struct lane *lanes = calloc(group->count, sizeof(*lanes));
    ncclResult_t first = ncclSuccess;
    bool ready = lanes != NULL;
    uint32_t count = 0;

    for (size_t i = 0; ready && i < group->count; i++) {
        struct item *item = &group->items[i];

        item->lane = find_lane(lanes, &count, item->comm);
        ready = take_turn(&lanes[item->lane], item);
    }
    for (uint64_t turn = 0; ready && run_round(group, lanes, turn); turn++)
        ;
    if (!ready)
        first = nccl_fail(NULL, ncclSystemError,
                          "ncclGroupEnd: no memory for the group");
    for (uint32_t l = 0; l < count; l++) {
        const ncclResult_t result = ready ? lanes[l].result : first;

        nccl_ended(lanes[l].comm, result);
        if (first == ncclSuccess)
            first = result;
        free(lanes[l].messages);
    }
    free(lanes);
    return first;
}

/* ---- The end of a group ---- */

static void drop(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct item *item = &group->items[i];

        if (item->run != NULL)
            nccl_job_drop(item->comm, item->context);
        else
            nccl_leave(item->comm, ncclSuccess);
    }
    free(group->items);
}

/* The last call of a non-blocking communicator in it ends its progress. */
static void leave_all(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct ncclComm *comm = group->items[i].comm;

        pthread_mutex_lock(&comm->lock);
        if (comm->state == ncclInProgress)
            comm->state = ncclSuccess;
        pthread_mutex_unlock(&comm->lock);
    }
    for (size_t i = 0; i < group->count; i++)
        nccl_leave(group->items[i].comm, ncclSuccess);
}

static ncclResult_t run_group(struct group *group)
{
    ncclResult_t result;

    if (group->jobs > 0) {
        result = run_jobs(group); /* which leave by themselves */
    } else {
        result = run_calls(group);
        leave_all(group);
    }
    free(group->items);
    return result;
}

static void *run_behind(void *context)
{
    struct group group = *(struct group *)context;

    free(context);
    run_group(&group);
    nccl_behind(-1);
    return NULL;
}

static ncclResult_t start_behind(const struct group *group)
{
    struct group *copy = malloc(sizeof(*copy));
    pthread_t thread;

    nccl_behind(1);
    if (copy != NULL) {
        *copy = *group;
        for (size_t i = 0; i < group->count; i++) {
            struct ncclComm *comm = group->items[i].comm;

            nccl_job_detach(comm);
            pthread_mutex_lock(&comm->lock);
            comm->state = ncclInProgress;
            pthread_mutex_unlock(&comm->lock);
        }
        if (pthread_create(&thread, NULL, run_behind, copy) == 0) {
            pthread_detach(thread);
            return ncclInProgress;
        }
    }
    nccl_behind(-1);
    free(copy);
    return ncclSystemError;
}

static bool all_non_blocking(const struct group *group)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->items[i].comm->blocking)
            return false;
    return true;
}

static ncclResult_t end(struct group *group)
{
    ncclResult_t result;

    if (group->count == 0) {
        free(group->items);
        return ncclSuccess;
    }
    if (group->jobs != 0 && group->jobs != group->count) {
        drop(group);
        return nccl_fail(NULL, ncclInvalidUsage,
                         "ncclGroupEnd: calls that make or end communicators, "
                         "and collectives, need groups of their own");
    }
    if (all_non_blocking(group)) {
        result = start_behind(group);
        if (result == ncclInProgress)
            return result;
    }
    return run_group(group);
}

static ncclResult_t not_started(const char *call)
{
    return nccl_fail(NULL, ncclInvalidUsage,
                     "%s: this thread has started no group", call);
}

ncclResult_t ncclGroupStart(void)
{
    depth++;
    return ncclSuccess;
}
NCCL_TWIN(ncclGroupStart);

ncclResult_t ncclGroupEnd(void)
{
    struct group group = current;

    if (depth == 0)
        return not_started("ncclGroupEnd");
    if (--depth > 0)
        return ncclSuccess;
    current = (struct group){0};
    return end(&group);
}
NCCL_TWIN(ncclGroupEnd);

ncclResult_t ncclGroupSimulateEnd(ncclSimInfo_t *simInfo)
{
    struct group group = current;

    (void)simInfo;
    if (depth == 0)
        return not_started("ncclGroupSimulateEnd");
    if (--depth == 0) {
        current = (struct group){0};
        drop(&group);
    }
    return nccl_fail(NULL, ncclInvalidUsage,
                     "ncclGroupSimulateEnd: ballot does not estimate times; "
                     "the group was dropped");
}
NCCL_TWIN(ncclGroupSimulateEnd);
