/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_report.c - errors, as codes of NCCL and in words.
 *
 * NCCL_DEBUG=WARN (or more) prints them too, as programs expect: ballot its
 * own, when they happen, and this file those of the facade.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nccl_inside.h"

static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static char last[NCCL_ERROR_BYTES];

static void note(struct ncclComm *comm, const char *text)
{
    pthread_mutex_lock(&last_lock);
    snprintf(last, sizeof(last), "%s", text);
    if (comm != NULL)
        snprintf(comm->error, sizeof(comm->error), "%s", text);
    pthread_mutex_unlock(&last_lock);
}

ncclResult_t nccl_fail(struct ncclComm *comm, ncclResult_t result,
                       const char *format, ...)
{
    char text[NCCL_ERROR_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    note(comm, text);
    nccl_environment_debug();
    ballot_note(BALLOT_NOTE_WARN, text);
    return result;
}

static ncclResult_t code_of(int rc)
{
    switch (rc) {
    case 0: return ncclSuccess;
    case -EINVAL: return ncclInvalidArgument;
    case -EPROTO: /* ranks have called different things */
    case -EEXIST: /* two are the same rank */
    case -ENOSPC: /* more than the tables hold */
    case -E2BIG:
    case -EBUSY:
    case -ENOENT:
    case -ECANCELED: /* revoked or aborted */ return ncclInvalidUsage;
    case -ENOTCONN:
    case -ECONNRESET:
    case -ESTALE: return ncclRemoteError;
    case -ETIMEDOUT: return ncclTimeout;
    default: return ncclSystemError;
    }
}

ncclResult_t nccl_from(struct ncclComm *comm, struct ballot_comm *ballot,
                       const char *call, int rc)
{
    char text[NCCL_ERROR_BYTES];
    const char *words;

    if (rc == 0)
        return ncclSuccess;
    words = ballot_last_error(ballot);
    if (words[0] == '\0')
        words = ballot_error_string(rc);
    snprintf(text, sizeof(text), "%s: %s", call, words);
    note(comm, text);
    return code_of(rc);
}

const char *ncclGetErrorString(ncclResult_t result)
{
    static const char *const words[] = {
        [ncclSuccess] = "no error",
        [ncclUnhandledCudaError] = "error of CUDA",
        [ncclSystemError] = "error of the system (ncclGetLastError() says "
                            "more)",
        [ncclInternalError] = "internal error of ballot",
        [ncclInvalidArgument] = "invalid argument (ncclGetLastError() says "
                                "more)",
        [ncclInvalidUsage] = "invalid usage (ncclGetLastError() says more)",
        [ncclRemoteError] = "another rank has died or cannot be reached",
        [ncclInProgress] = "operation in progress",
        [ncclTimeout] = "the deadline passed (ncclGetLastError() names the "
                        "ranks that are missing)",
    };

    return (unsigned)result < ncclNumResults ? words[result]
                                             : "unknown result code";
}
NCCL_TWIN(ncclGetErrorString);

const char *ncclGetLastError(ncclComm_t comm)
{
    static _Thread_local char copy[NCCL_ERROR_BYTES];

    pthread_mutex_lock(&last_lock);
    snprintf(copy, sizeof(copy), "%s", comm != NULL ? comm->error : last);
    pthread_mutex_unlock(&last_lock);
    return copy;
}
NCCL_TWIN(ncclGetLastError);

void ncclResetDebugInit(void)
{
}
NCCL_TWIN(ncclResetDebugInit);
