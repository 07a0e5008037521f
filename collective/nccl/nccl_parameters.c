/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_parameters.c - the environment variables that are read, by name.
 *
 * The facade's own are read once; those of ballot.h are listed as they would
 * count for a communicator that is made now: what the environment says, or what
 * one of NCCL's stands in for.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nccl_inside.h"

enum { VALUE_BYTES = 512 };

/* What an entry holds; an integer is read by the getter of its size and sign
 * alone, as in NCCL. */
enum kind { KIND_STRING, KIND_I32, KIND_U64 };

struct ncclParamHandle {
    const char *key;
    enum kind kind;
    const char *missing; /* its value where it is not set */
    const char *what;
};

enum { BLOCKING, DEBUG, MAJORITY };

static struct ncclParamHandle entries[] = {
    [BLOCKING] = {"NCCL_COMM_BLOCKING", KIND_I32, "1",
                  "whether communicators are blocking"},
    [DEBUG] = {"NCCL_DEBUG", KIND_STRING, "",
               "VERSION, WARN, INFO or TRACE: what is printed"},
    [MAJORITY] = {"BALLOT_NCCL_MAJORITY", KIND_U64, "18446744073709551615",
                  "float sums of so many bytes become votes"},
    {"NCCL_DEBUG_FILE", KIND_STRING, "", "where it is printed"},
    {"NCCL_CONF_FILE", KIND_STRING, "", "a file of such variables"},
    {"NCCL_COMM_ID", KIND_STRING, "", "host:port where all ranks meet"},
    {"NCCL_SOCKET_IFNAME", KIND_STRING, "", "interfaces, by prefixes"},
    {"NCCL_SOCKET_FAMILY", KIND_STRING, "", "AF_INET or AF_INET6"},
    {"NCCL_SHM_DISABLE", KIND_STRING, "", "1: no shared memory"},
    {"NCCL_IB_DISABLE", KIND_STRING, "", "1: no RDMA"},
    {"NCCL_IB_HCA", KIND_STRING, "", "RDMA devices"},
    {"NCCL_IB_GID_INDEX", KIND_STRING, "", "the GID"},
    {"NCCL_IB_TC", KIND_STRING, "", "traffic class of RDMA"},
    {"NCCL_IB_SL", KIND_STRING, "", "service level of RDMA"},
    {"NCCL_IB_TIMEOUT", KIND_STRING, "", "of RDMA, 4.096 us x 2^timeout"},
    {"NCCL_IB_RETRY_CNT", KIND_STRING, "", "retries of RDMA"},
    {"NCCL_IB_QPS_PER_CONNECTION", KIND_STRING, "", "queue pairs a peer"},
    {"NCCL_ALGO", KIND_STRING, "", "algorithms that may be used"},
    {"BALLOT_ROOT", KIND_STRING, "", "host:port where ranks meet"},
    {"BALLOT_SOCKET_IFNAME", KIND_STRING, "", "the interface for sockets"},
    {"BALLOT_TRANSPORT", KIND_STRING, "", "shm, tcp or verbs"},
    {"BALLOT_SERVERS", KIND_STRING, "", "who counts votes"},
    {"BALLOT_CHUNK", KIND_STRING, "", "coordinates of a vote's chunk"},
    {"BALLOT_WINDOW", KIND_STRING, "", "slots of a voter at a server"},
    {"BALLOT_TIMEOUT_MS", KIND_STRING, "60000", "of a call"},
    {"BALLOT_INIT_TIMEOUT_MS", KIND_STRING, "60000", "until all ranks came"},
    {"BALLOT_TIE", KIND_STRING, "", "what an even vote decides"},
    {"BALLOT_ZERO", KIND_STRING, "", "what a zero votes"},
    {"BALLOT_THREADS", KIND_STRING, "", "that count and fold"},
    {"BALLOT_KERNELS", KIND_STRING, "", "avx512, avx2 or portable"},
    {"BALLOT_ALGO", KIND_STRING, "", "of the collectives"},
    {"BALLOT_AUTH", KIND_STRING, "", "group or none"},
    {"BALLOT_KEY_FILE", KIND_STRING, "", "the job's key"},
    {"BALLOT_IB_HCA", KIND_STRING, "", "RDMA devices"},
    {"BALLOT_IB_GID_INDEX", KIND_STRING, "", "the GID"},
    {"BALLOT_IB_TC", KIND_STRING, "", "traffic class of RDMA"},
    {"BALLOT_IB_SL", KIND_STRING, "", "service level of RDMA"},
    {"BALLOT_IB_TIMEOUT", KIND_STRING, "", "of RDMA, 4.096 us x 2^timeout"},
    {"BALLOT_IB_RETRY_CNT", KIND_STRING, "", "retries of RDMA"},
    {"BALLOT_IB_QPS_PER_CONNECTION", KIND_STRING, "", "queue pairs a peer"},
    {"BALLOT_DEBUG", KIND_STRING, "", "what is printed"},
    {"BALLOT_DEBUG_FILE", KIND_STRING, "", "where it is printed"},
};

enum { ENTRIES = sizeof(entries) / sizeof(entries[0]) };

static const char *text_of(const struct ncclParamHandle *entry)
{
    const char *value = strncmp(entry->key, "BALLOT_", 7) == 0
                            ? ballot_variable(entry->key)
                            : nccl_variable(entry->key);

    return value != NULL && value[0] != '\0' ? value : entry->missing;
}

static bool number_of(const struct ncclParamHandle *entry, uint64_t *value)
{
    const char *text = text_of(entry);
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' &&
           (entry->kind != KIND_I32 || *value <= INT32_MAX);
}

/* What the variable says, or would if it were not wrong: then it is told. */
static uint64_t setting(int index)
{
    const struct ncclParamHandle *entry = &entries[index];
    uint64_t value = 0;

    if (!number_of(entry, &value)) {
        fprintf(stderr,
                "ballot: %s=%s is no number that it can be; %s is used\n",
                entry->key, text_of(entry), entry->missing);
        value = strtoull(entry->missing, NULL, 10);
    }
    return value;
}

/* ---- What the facade itself asks ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool blocking;
static size_t majority_bytes;

static void read_all(void)
{
    blocking = setting(BLOCKING) != 0;
    majority_bytes = setting(MAJORITY);
}

bool nccl_blocking_default(void)
{
    pthread_once(&once, read_all);
    return blocking;
}

size_t nccl_majority_bytes(void)
{
    pthread_once(&once, read_all);
    return majority_bytes;
}

/* ---- NCCL's interface ---- */

static struct ncclParamHandle *find(const char *key)
{
    for (int i = 0; key != NULL && i < ENTRIES; i++)
        if (strcmp(entries[i].key, key) == 0)
            return &entries[i];
    return NULL;
}

static bool is_entry(ncclParamHandle_t handle)
{
    return handle != NULL && handle >= entries && handle < entries + ENTRIES;
}

static ncclResult_t wrong(const char *call, const char *what)
{
    return nccl_fail(NULL, ncclInvalidArgument, "%s: %s", call, what);
}

ncclResult_t ncclParamBind(ncclParamHandle_t *out, const char *key)
{
    struct ncclParamHandle *entry = find(key);

    if (out == NULL || entry == NULL)
        return wrong("ncclParamBind", "out is NULL, or no such key is known; "
                                      "ncclParamGetAllParameterKeys() lists "
                                      "them");
    *out = entry;
    return ncclSuccess;
}
NCCL_TWIN(ncclParamBind);

/* The value, if it is of this kind. */
static ncclResult_t get(ncclParamHandle_t h, enum kind kind, const void *out,
                        uint64_t *value)
{
    static const char call[] = "ncclParamGet";

    if (!is_entry(h) || out == NULL)
        return wrong(call, "the handle is none of ncclParamBind(), or out is "
                           "NULL");
    if (h->kind != kind || !number_of(h, value))
        return wrong(call, "the parameter is of another type, or its variable "
                           "holds no such number");
    return ncclSuccess;
}

ncclResult_t ncclParamGetI32(ncclParamHandle_t h, int32_t *out)
{
    uint64_t value;
    ncclResult_t result = get(h, KIND_I32, out, &value);

    if (result == ncclSuccess)
        *out = (int32_t)value;
    return result;
}
NCCL_TWIN(ncclParamGetI32);

ncclResult_t ncclParamGetU64(ncclParamHandle_t h, uint64_t *out)
{
    return get(h, KIND_U64, out, out);
}
NCCL_TWIN(ncclParamGetU64);

/* No parameter here is of these types. */
#define NO_SUCH(suffix, type)                                                  \
    ncclResult_t ncclParamGet##suffix(ncclParamHandle_t h, type *out)          \
    {                                                                          \
        (void)h, (void)out;                                                    \
        return wrong("ncclParamGet" #suffix,                                   \
                     "no parameter is of this type; they are int32, uint64 "   \
                     "and strings");                                           \
    }                                                                          \
    NCCL_TWIN(ncclParamGet##suffix)

NO_SUCH(I8, int8_t);
NO_SUCH(I16, int16_t);
NO_SUCH(I64, int64_t);
NO_SUCH(U8, uint8_t);
NO_SUCH(U16, uint16_t);
NO_SUCH(U32, uint32_t);

ncclResult_t ncclParamGetStr(ncclParamHandle_t h, const char **out)
{
    static _Thread_local char copy[VALUE_BYTES];

    if (!is_entry(h) || out == NULL || h->kind != KIND_STRING)
        return wrong("ncclParamGetStr", "the handle is none of "
                                        "ncclParamBind(), no string, or out "
                                        "is NULL");
    snprintf(copy, sizeof(copy), "%s", text_of(h));
    *out = copy;
    return ncclSuccess;
}
NCCL_TWIN(ncclParamGetStr);

ncclResult_t ncclParamGet(ncclParamHandle_t h, void *out, int maxLen, int *len)
{
    const void *from;
    size_t bytes;
    int32_t i32 = 0;
    uint64_t u64 = 0;

    if (!is_entry(h) || out == NULL || maxLen < 0)
        return wrong("ncclParamGet", "the handle is none of ncclParamBind(), "
                                     "or out is NULL");
    if (h->kind == KIND_STRING) {
        from = text_of(h);
        bytes = strlen(from) + 1;
    } else {
        if (!number_of(h, &u64))
            return wrong("ncclParamGet", "the variable holds no number");
        i32 = (int32_t)u64;
        from = h->kind == KIND_I32 ? (const void *)&i32 : (const void *)&u64;
        bytes = h->kind == KIND_I32 ? sizeof(i32) : sizeof(u64);
    }
    if (bytes > (size_t)maxLen)
        return wrong("ncclParamGet", "out is too small for the value");
    memcpy(out, from, bytes);
    if (len != NULL)
        *len = (int)bytes;
    return ncclSuccess;
}
NCCL_TWIN(ncclParamGet);

ncclResult_t ncclParamGetParameter(const char *key, const char **value,
                                   int *valueLen)
{
    static _Thread_local char copy[VALUE_BYTES];
    const struct ncclParamHandle *entry = find(key);

    if (value == NULL || valueLen == NULL)
        return wrong("ncclParamGetParameter", "value or valueLen is NULL");
    *value = NULL;
    *valueLen = 0;
    if (entry == NULL)
        return wrong("ncclParamGetParameter", "no such key is known");
    snprintf(copy, sizeof(copy), "%s", text_of(entry));
    *value = copy;
    *valueLen = (int)strlen(copy);
    return ncclSuccess;
}
NCCL_TWIN(ncclParamGetParameter);

ncclResult_t ncclParamGetAllParameterKeys(const char ***table, int *tableLen)
{
    static _Thread_local const char *keys[ENTRIES];

    if (table == NULL || tableLen == NULL)
        return wrong("ncclParamGetAllParameterKeys", "an argument is NULL");
    for (int i = 0; i < ENTRIES; i++)
        keys[i] = entries[i].key;
    *table = keys;
    *tableLen = ENTRIES;
    return ncclSuccess;
}
NCCL_TWIN(ncclParamGetAllParameterKeys);

void ncclParamDumpAll(void)
{
    for (int i = 0; i < ENTRIES; i++)
        printf("%s=%s (%s)\n", entries[i].key, text_of(&entries[i]),
               entries[i].what);
}
NCCL_TWIN(ncclParamDumpAll);
