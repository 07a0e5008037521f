/* SPDX-License-Identifier: Apache-2.0 */
/* alone.c - what one thread does by itself, all ranks of a job included. */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALONE = 4 };

void alone_words(void)
{
    int version = 0;

    OK(ncclGetVersion(&version));
    CHECK(version == NCCL_VERSION_CODE && version == NCCL_VERSION(2, 30, 7));
    OK(pncclGetVersion(&version));
    WANT(ncclInvalidArgument, ncclGetVersion(NULL));
    CHECK(strstr(ncclGetLastError(NULL), "ncclGetVersion") != NULL);
    for (int r = 0; r < ncclNumResults; r++)
        CHECK(strcmp(ncclGetErrorString((ncclResult_t)r),
                     ncclGetErrorString(ncclNumResults)) != 0);
    CHECK(strcmp(pncclGetErrorString(ncclSuccess), "no error") == 0);
    ncclResetDebugInit();
}

void alone_parameters(void)
{
    ncclParamHandle_t blocking, timeout;
    const char *text = NULL, **keys = NULL;
    int32_t i32 = -1;
    int64_t i64 = -1;
    int count = 0, len = 0;
    char raw[64];

    CHECK(setenv("BALLOT_TIMEOUT_MS", "30000", 1) == 0);
    OK(ncclParamBind(&blocking, "NCCL_COMM_BLOCKING"));
    OK(ncclParamGetI32(blocking, &i32));
    CHECK(i32 == 1);
    WANT(ncclInvalidArgument, ncclParamGetI64(blocking, &i64));
    WANT(ncclInvalidArgument, ncclParamGetStr(blocking, &text));
    OK(ncclParamGet(blocking, raw, sizeof(raw), &len));
    CHECK(len == (int)sizeof(i32) && memcmp(raw, &i32, sizeof(i32)) == 0);
    OK(ncclParamBind(&timeout, "BALLOT_TIMEOUT_MS"));
    OK(ncclParamGetStr(timeout, &text));
    CHECK(strcmp(text, "30000") == 0);
    WANT(ncclInvalidArgument, ncclParamGet(timeout, raw, 3, &len));
    OK(ncclParamGetParameter("BALLOT_TIMEOUT_MS", &text, &len));
    CHECK(len == 5 && strcmp(text, "30000") == 0);
    WANT(ncclInvalidArgument, ncclParamBind(&blocking, "NCCL_NOTHING"));
    WANT(ncclInvalidArgument,
         ncclParamGetParameter("NCCL_NOTHING", &text, &len));
    CHECK(text == NULL);
    OK(ncclParamGetAllParameterKeys(&keys, &count));
    for (int i = 0; i < count; i++)
        OK(ncclParamGetParameter(keys[i], &text, &len));
    CHECK(count > 3);
}

void alone_memory(void)
{
    ncclComm_t comm;
    ncclWindow_t window;
    void *memory, *handle, *found;

    OK(ncclCommInitAll(&comm, 1, NULL));
    OK(ncclMemAlloc(&memory, 100000));
    CHECK((uintptr_t)memory % NCCL_WIN_REQUIRED_ALIGNMENT == 0);
    memset(memory, 1, 100000);
    OK(ncclCommRegister(comm, memory, 100000, &handle));
    OK(ncclCommDeregister(comm, handle));
    WANT(ncclInvalidArgument, ncclCommDeregister(comm, handle));
    OK(ncclCommWindowRegister(comm, memory, 100000, &window,
                              NCCL_WIN_COLL_SYMMETRIC));
    OK(ncclWinGetUserPtr(comm, window, &found));
    CHECK(found == memory);
    WANT(ncclInvalidArgument,
         ncclCommWindowRegister(comm, memory, 100000, &window, 64));
    OK(ncclCommWindowDeregister(comm, window));
    OK(ncclMemFree(memory));
    OK(ncclMemFree(NULL));
    OK(ncclCommFinalize(comm));
    OK(ncclCommDestroy(comm));
    OK(ncclCommDestroy(NULL));
}

/* A thread that is all ranks: groups for everything. */
static void sum_all(ncclComm_t *comms, float *x, size_t count)
{
    OK(ncclGroupStart());
    for (int r = 0; r < ALONE; r++)
        OK(ncclAllReduce(x + (size_t)r * count, x + (size_t)r * count, count,
                         ncclFloat, ncclSum, comms[r], NULL));
    OK(ncclGroupEnd());
}

void alone_init_all(void)
{
    ncclComm_t comms[ALONE], one;
    ncclConfig_t wrong = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId id;
    float x[ALONE] = {1, 2, 3, 4};

    OK(ncclCommInitAll(comms, ALONE, NULL));
    sum_all(comms, x, 1);
    for (int r = 0; r < ALONE; r++)
        CHECK(x[r] == 10.0f);
    /* One by one: none waits for the others. */
    for (int r = 0; r < ALONE; r++)
        OK(ncclCommDestroy(comms[r]));
    /* The same with a group of inits; and then finalized one by one. */
    OK(ncclGetUniqueId(&id));
    OK(ncclGroupStart());
    for (int r = 0; r < ALONE; r++)
        OK(ncclCommInitRank(&comms[r], ALONE, id, r));
    OK(ncclGroupEnd());
    sum_all(comms, x, 1);
    CHECK(x[3] == 40.0f);
    /* A communicator that is still to begin takes no call. */
    OK(ncclGroupStart());
    OK(ncclCommInitAll(&one, 1, NULL));
    WANT(ncclInvalidArgument,
         ncclAllReduce(x, x, 1, ncclFloat, ncclSum, one, NULL));
    OK(ncclGroupEnd());
    OK(ncclCommDestroy(one));
    for (int r = 0; r < ALONE; r++)
        OK(ncclCommFinalize(comms[r]));
    for (int r = 0; r < ALONE; r++)
        OK(ncclCommDestroy(comms[r]));
    wrong.magic = 1;
    WANT(ncclInvalidArgument, ncclCommInitRankConfig(&one, 1, id, 0, &wrong));
    CHECK(one == NULL);
    WANT(ncclInvalidArgument, ncclCommInitRank(&one, 2, id, 2));
}

/* The others never come. Nobody waits for them once it is aborted, neither who
 * polls nor the process at its exit. */
void alone_abort_init(void)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclComm_t comms[2];
    ncclResult_t state;
    ncclUniqueId id;

    config.blocking = 0;
    OK(ncclGetUniqueId(&id));
    for (int r = 0; r < 2; r++) {
        WANT(ncclInProgress,
             ncclCommInitRankConfig(&comms[r], 3, id, r, &config));
        WANT(ncclInvalidArgument,
             ncclAllReduce(&r, &r, 1, ncclInt32, ncclSum, comms[r], NULL));
    }
    usleep(50000);
    OK(ncclCommGetAsyncError(comms[0], &state));
    WANT(ncclInProgress, state);
    OK(ncclCommAbort(comms[1]));
    OK(ncclCommAbort(comms[0]));
}

void alone_majority(void)
{
    enum { COUNT = 16 };
    ncclComm_t comms[ALONE];
    float x[ALONE * COUNT];

    for (int i = 0; i < ALONE * COUNT; i++)
        x[i] = i < COUNT ? -5.0f : 0.5f; /* one of four is against it */
    OK(ncclCommInitAll(comms, ALONE, NULL));
    sum_all(comms, x, COUNT);
    for (int i = 0; i < ALONE * COUNT; i++)
        CHECK(x[i] == 1.0f);
    /* Smaller than the variable says. */
    sum_all(comms, x, COUNT - 1);
    CHECK(x[0] == 4.0f);
    for (int r = 0; r < ALONE; r++)
        OK(ncclCommDestroy(comms[r]));
}
