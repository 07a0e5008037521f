/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - errors in words, and what BALLOT_DEBUG asks for. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../transport/memory.h"
#include "../transport/variable.h"
#include "comm.h"

static _Thread_local char thread_error[ERROR_BYTES];

void report_error(struct ballot_comm *comm, const char *format, ...)
{
    char member[MEMBER_BYTES];
    va_list arguments;

    pthread_mutex_lock(&comm->error_lock);
    va_start(arguments, format);
    vsnprintf(comm->error, sizeof(comm->error), format, arguments);
    va_end(arguments);
    pthread_mutex_unlock(&comm->error_lock);
    report_debug(DEBUG_WARN, "%s: %s", report_member(comm, comm->rank, member),
                 comm->error);
}

void report_thread(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(thread_error, sizeof(thread_error), format, arguments);
    va_end(arguments);
    report_debug(DEBUG_WARN, "%s", thread_error);
}

const char *ballot_last_error(const struct ballot_comm *comm)
{
    return comm == NULL ? thread_error : comm->error;
}

const char *ballot_error_string(int error)
{
    switch (error) {
    case 0: return "no error";
    case -EINVAL: return "an argument is out of range";
    case -EPROTO: return "ranks disagree about a call or the configuration";
    case -ETIMEDOUT: return "a deadline passed";
    case -ENOTCONN: return "a rank that is needed has died";
    case -ESTALE: return "too late: take the parameters anew";
    case -ECANCELED: return "aborted";
    case -EAGAIN: return "too many requests are under way";
    case -EEXIST: return "another process joined as the same rank";
    case -EACCES: return "the key is wrong or cannot be read";
    case -ENOENT: return "not launched: rank, ranks or root are not known";
    case -ENOMEM: return "out of memory";
    default: return strerror(error < 0 ? -error : error);
    }
}

/* ---- BALLOT_DEBUG ---- */

struct debug {
    int level; /* -1: nothing */
    FILE *file;
};

/* BALLOT_DEBUG_FILE with %h the host's and %p the process's name. */
static void expand_name(const char *pattern, char *name, size_t name_bytes)
{
    char host[HOST_BYTES] = "";
    size_t used = 0;

    gethostname(host, sizeof(host) - 1);
    for (; *pattern != '\0' && used + 1 < name_bytes; pattern++) {
        int wrote = 1;

        if (pattern[0] == '%' && pattern[1] == 'h') {
            wrote = snprintf(name + used, name_bytes - used, "%s", host);
            pattern++;
        } else if (pattern[0] == '%' && pattern[1] == 'p') {
            wrote =
                snprintf(name + used, name_bytes - used, "%ld", (long)getpid());
            pattern++;
        } else {
            name[used] = *pattern;
        }
        used += (size_t)wrote < name_bytes - used ? (size_t)wrote
                                                  : name_bytes - used - 1;
    }
    name[used] = '\0';
}

static struct debug debug;

static void open_debug(void)
{
    const char *level = variable("BALLOT_DEBUG");
    const char *pattern = variable("BALLOT_DEBUG_FILE");
    char name[4096];

    debug = (struct debug){.level = -1, .file = stderr};
    if (level == NULL || *level == '\0')
        return;
    debug.level = strcasecmp(level, "TRACE") == 0  ? DEBUG_TRACE
                  : strcasecmp(level, "INFO") == 0 ? DEBUG_INFO
                                                   : DEBUG_WARN;
    if (pattern == NULL || *pattern == '\0')
        return;
    expand_name(pattern, name, sizeof(name));
    debug.file = fopen(name, "ae");
    if (debug.file == NULL) {
        fprintf(stderr, "ballot: BALLOT_DEBUG_FILE: cannot open %s: %s\n", name,
                strerror(errno));
        debug.file = stderr;
    }
}

static const char *const level_words[] = {
    [DEBUG_WARN] = "WARN", [DEBUG_INFO] = "INFO", [DEBUG_TRACE] = "TRACE"};

bool report_asks(enum debug_level level)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_debug);
    return (int)level <= debug.level;
}

void report_debug(enum debug_level level, const char *format, ...)
{
    char line[2 * ERROR_BYTES];
    va_list arguments;

    if (!report_asks(level))
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(debug.file, "ballot[%ld] %s %s\n", (long)getpid(),
            level_words[level], line);
    fflush(debug.file);
}

/* ---- Memory in words ----------------------------------------------------- */

/* "private yes", or "shared no" with why and the cure; `setting` of `file`. */
static void describe_pages(char *text, size_t text_bytes, const char *kind,
                           bool granted, const char *file, const char *setting,
                           const char *cure)
{
    if (granted)
        snprintf(text, text_bytes, "%s yes", kind);
    else if (setting[0] == '\0')
        snprintf(text, text_bytes, "%s no (the system has none)", kind);
    else
        snprintf(text, text_bytes,
                 "%s no (%s is %s; as root: echo %s > "
                 "/sys/kernel/mm/transparent_hugepage/%s)",
                 kind, file, setting, cure, file);
}

static void describe_node(char *text, size_t text_bytes,
                          const struct memory_facts *facts)
{
    if (facts->nodes == 0)
        snprintf(text, text_bytes, "not known, nothing is bound: %s",
                 strerror(-facts->refused));
    else if (facts->nodes == 1)
        snprintf(text, text_bytes, "one node");
    else if (facts->node >= 0)
        snprintf(text, text_bytes, "bound to node %d of %d nodes", facts->node,
                 facts->nodes);
    else if (facts->refused != 0)
        snprintf(text, text_bytes, "%d nodes, binding is refused: %s",
                 facts->nodes, strerror(-facts->refused));
    else
        snprintf(text, text_bytes,
                 "%d nodes, nothing is bound: this thread's has no memory",
                 facts->nodes);
}

void report_memory(const struct ballot_comm *comm)
{
    struct memory_facts facts = memory_facts();
    uint32_t slots = lanes_slots(comm->settings.window), slot_bytes = 0;
    char private_pages[160], shared_pages[160], node[128];

    for (int e = 0; e < comm->endpoints_count; e++) {
        uint32_t bytes = comm_slot_bytes(comm, comm->transports[e]);

        slot_bytes = bytes > slot_bytes ? bytes : slot_bytes;
    }
    describe_pages(private_pages, sizeof(private_pages), "private",
                   facts.private_huge, "enabled", facts.private_setting,
                   "madvise");
    describe_pages(shared_pages, sizeof(shared_pages), "shared",
                   facts.shared_huge, "shmem_enabled", facts.shared_setting,
                   "advise");
    describe_node(node, sizeof(node), &facts);
    report_debug(
        DEBUG_INFO,
        "rank %u: memory: %u slots of %u bytes, %.1f MiB, for each of "
        "%u %s; huge pages from %d MiB on, none for tcp: %s, %s; NUMA: %s",
        comm->rank, slots, slot_bytes, (double)slots * slot_bytes / (1 << 20),
        comm->members, comm->members > comm->ranks ? "members" : "ranks",
        MEMORY_HUGE_BYTES >> 20, private_pages, shared_pages, node);
}

/* ---- Ranks and calls in words ---- */

const char *report_member(const struct ballot_comm *comm, uint32_t member,
                          char *text)
{
    const char *host = comm->hosts == NULL || member >= comm->members
                           ? "?"
                           : comm->hosts[member];

    if (member < comm->ranks)
        snprintf(text, MEMBER_BYTES, "rank %u (%s)", member, host);
    else
        snprintf(text, MEMBER_BYTES, "server %u (%s)", member - comm->ranks,
                 host);
    return text;
}

static void name_ranks(char *text, size_t text_bytes,
                       const struct rank_mask *mask, uint32_t ranks)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t r = 0; r < ranks && used + 1 < text_bytes; r++) {
        uint32_t last = r;

        if (!mask_has(mask, r))
            continue;
        while (last + 1 < ranks && mask_has(mask, last + 1))
            last++;
        used += (size_t)snprintf(text + used, text_bytes - used,
                                 last > r ? "%s%u-%u" : "%s%u",
                                 used > 0 ? ", " : "", r, last);
        r = last;
    }
    if (used + 1 < text_bytes)
        snprintf(text + used, text_bytes - used, "%s of %u ranks",
                 used == 0 ? "none" : "", ranks);
}

void report_members(char *text, size_t text_bytes,
                    const struct ballot_comm *comm,
                    const struct rank_mask *mask)
{
    char server[MEMBER_BYTES];
    size_t used = 0;
    bool ranks = comm->members == comm->ranks;

    for (uint32_t r = 0; r < comm->ranks; r++)
        ranks |= mask_has(mask, r);
    text[0] = '\0';
    if (ranks)
        name_ranks(text, text_bytes, mask, comm->ranks);
    used = strlen(text);
    for (uint32_t m = comm->ranks; m < comm->members; m++)
        if (mask_has(mask, m) && used + 1 < text_bytes) {
            snprintf(text + used, text_bytes - used, "%s%s",
                     used > 0 ? ", " : "", report_member(comm, m, server));
            used = strlen(text);
        }
}

static const char *name_of(const char *const *names, size_t count,
                           uint32_t index)
{
    return index < count && names[index] != NULL ? names[index] : "?";
}

const char *report_type(uint32_t type)
{
    static const char *const names[BALLOT_TYPES] = {
        [BALLOT_FLOAT32] = "float32",   [BALLOT_FLOAT16] = "float16",
        [BALLOT_BFLOAT16] = "bfloat16", [BALLOT_FLOAT64] = "float64",
        [BALLOT_SIGNS] = "signs",       [BALLOT_INT8] = "int8",
        [BALLOT_UINT8] = "uint8",       [BALLOT_INT16] = "int16",
        [BALLOT_UINT16] = "uint16",     [BALLOT_INT32] = "int32",
        [BALLOT_UINT32] = "uint32",     [BALLOT_INT64] = "int64",
        [BALLOT_UINT64] = "uint64",
    };

    return name_of(names, BALLOT_TYPES, type);
}

const char *report_op(uint32_t op)
{
    static const char *const names[BALLOT_OPS] = {
        [BALLOT_MAJORITY] = "majority",   [BALLOT_SUM] = "sum",
        [BALLOT_AVG] = "average",         [BALLOT_PROD] = "product",
        [BALLOT_MIN] = "minimum",         [BALLOT_MAX] = "maximum",
        [BALLOT_BIT_AND] = "bitwise and", [BALLOT_BIT_OR] = "bitwise or",
        [BALLOT_BIT_XOR] = "bitwise xor",
    };

    return op < BALLOT_OPS ? name_of(names, BALLOT_OPS, op)
                           : "sum of scaled values";
}

/* What a collective is called, and what its root is to it. */
static const struct {
    const char *name, *root;
    bool reduces;
} words_of[CALL_OPS] = {
    [CALL_MAJORITY] = {"majority", NULL, false},
    [CALL_ASPIS_VOTE] = {"aspis_vote", NULL, false},
    [CALL_ASPIS_REPORT] = {"aspis_report", NULL, false},
    [CALL_ASPIS_RELEASE] = {"aspis_release", NULL, false},
    [CALL_ALL_REDUCE] = {"all_reduce", NULL, true},
    [CALL_REDUCE] = {"reduce", " to", true},
    [CALL_REDUCE_SCATTER] = {"reduce_scatter", NULL, true},
    [CALL_BROADCAST] = {"broadcast", " from", false},
    [CALL_ALL_GATHER] = {"all_gather", NULL, false},
    [CALL_GATHER] = {"gather", " to", false},
    [CALL_SCATTER] = {"scatter", " from", false},
    [CALL_ALL_TO_ALL] = {"all_to_all", NULL, false},
    [CALL_BARRIER] = {"barrier", NULL, false},
    [CALL_SPLIT] = {"split", NULL, false},
    [CALL_DUPLICATE] = {"duplicate", NULL, false},
    [CALL_SEND] = {"send", " to", false},
    [CALL_RECV] = {"recv", " from", false},
};

/* "reduce (sum) of 5 float32 to rank 2" */
static void describe_call(char *text, size_t text_bytes, uint32_t ranks,
                          const struct call *call)
{
    uint32_t kind = call->op < CALL_OPS ? call->op : CALL_OPS;
    uint32_t root = call->detail % DETAIL_RANKS;
    uint32_t op = (call->detail & ~DETAIL_OTHER) / DETAIL_RANKS;
    uint64_t count = call->count;
    bool known = kind < CALL_OPS;
    size_t used;

    /* One of blocks, which may lack some. */
    if (kind == CALL_REDUCE_SCATTER && (call->detail & DETAIL_OTHER) != 0)
        count = count / ranks > root ? count / ranks - root : 0;

    if (kind == CALL_BARRIER || kind == CALL_SPLIT || kind == CALL_DUPLICATE) {
        snprintf(text, text_bytes, "%s", words_of[kind].name);
        return;
    }
    used =
        (size_t)snprintf(text, text_bytes, "%s%s%s%s of %llu %s",
                         known ? words_of[kind].name : "?",
                         known && words_of[kind].reduces ? " (" : "",
                         known && words_of[kind].reduces ? report_op(op) : "",
                         known && words_of[kind].reduces ? ")" : "",
                         (unsigned long long)count, report_type(call->type));
    if (known && words_of[kind].root != NULL && used < text_bytes)
        snprintf(text + used, text_bytes - used, "%s rank %u",
                 words_of[kind].root, root);
}

/* "shm and tcp": what leads to the other ranks. */
static void name_transports(char *text, size_t text_bytes,
                            const struct ballot_comm *comm)
{
    size_t used = 0;

    snprintf(text, text_bytes, "memory");
    for (int e = 0; e < comm->endpoints_count; e++) {
        bool leads = false;

        for (uint32_t r = 0; r < comm->ranks; r++)
            leads |= r != comm->rank &&
                     comm->links[r].endpoint == comm->endpoints[e];
        if (leads && used < text_bytes)
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%s",
                                     used > 0 ? " and " : "",
                                     comm->transports[e]->name);
    }
}

static uint64_t flow_bytes(const struct flow_call *call)
{
    uint64_t bytes = call->count * call->unit;

    for (uint32_t i = 0; i < call->messages_count; i++)
        bytes += call->messages[i].bytes;
    return bytes;
}

void report_way(struct ballot_comm *comm, const struct ballot_request *request)
{
    const struct flow_call *call = &request->flow;
    const char *forced = flow_algorithm_words[call->algorithm];
    const char *way = flow_way(comm->flow);
    uint64_t bytes = flow_bytes(call);
    uint64_t size = UINT64_C(1)
                    << (bytes == 0 ? 0 : 64 - __builtin_clzll(bytes)) % 64;
    bool first = (comm->told[call->call.op] & size) == 0;
    enum debug_level level = first ? DEBUG_INFO : DEBUG_TRACE;
    char what[128], transports[64];

    comm->told[call->call.op] |= size;
    if (!report_asks(level))
        return;
    if (call->call.op == CALL_SEND)
        snprintf(what, sizeof(what), "%u sends and receives",
                 call->messages_count);
    else
        describe_call(what, sizeof(what), comm->ranks, &call->call);
    name_transports(transports, sizeof(transports), comm);
    report_debug(level, "rank %u: %s, %llu bytes: %s over %s%s%s%s", comm->rank,
                 what, (unsigned long long)bytes, way, transports,
                 call->algorithm == FLOW_CHOOSE ? "" : "; BALLOT_ALGO is ",
                 call->algorithm == FLOW_CHOOSE ? "" : forced,
                 call->algorithm == FLOW_CHOOSE || strcmp(forced, way) == 0
                     ? ""
                     : ", which this call cannot have");
}

int report_difference(struct ballot_comm *comm, const char *name,
                      const struct difference *difference)
{
    char calls[2][96];
    uint32_t a = difference->rank[0], b = difference->rank[1];

    describe_call(calls[0], sizeof(calls[0]), comm->ranks,
                  &difference->call[0]);
    describe_call(calls[1], sizeof(calls[1]), comm->ranks,
                  &difference->call[1]);
    report_error(comm,
                 "%s: ranks disagree: rank %u called %s, rank %u called %s",
                 name, a, calls[0], b, calls[1]);
    return -EPROTO;
}

int report_end(struct ballot_comm *comm, const struct ballot_request *request,
               const struct majority_end *end)
{
    char ranks[256], member[MEMBER_BYTES];

    switch (end->status) {
    case STATUS_DIFFERS:
        return report_difference(comm, request->name, &end->difference);
    case STATUS_GONE:
        report_error(comm,
                     "%s: round %llu is so old that its result is gone; take "
                     "the parameters anew (or set kept_rounds higher)",
                     request->name, (unsigned long long)end->round);
        return -ESTALE;
    case STATUS_DEAD:
        if (end->rank < comm->ranks)
            mask_set(&comm->dead, end->rank);
        report_error(comm, "%s: %s is gone", request->name,
                     report_member(comm, end->rank, member));
        return -ENOTCONN;
    case STATUS_LOST:
    default: break;
    }
    report_members(ranks, sizeof(ranks), comm, &end->missing);
    report_error(comm, "%s: round %llu: %u ms have passed; missing: %s%s",
                 request->name, (unsigned long long)end->round,
                 comm->settings.timeout_ms, ranks,
                 end->timed_out ? " (no result came from there)" : "");
    return -ETIMEDOUT;
}
