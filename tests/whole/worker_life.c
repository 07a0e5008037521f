/* SPDX-License-Identifier: Apache-2.0 */
/* worker_life.c - what a communicator costs its process, and when it waits. */
#include "worker.h"

#include <ballot_server.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>

/* ---- What is left behind ---- */

/* A number of /proc/self/status, after its "Name:". */
static uint64_t status_number(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    uint64_t number = 0;
    size_t bytes = strlen(name);

    need(file == NULL ? -errno : 0, NULL, "status");
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, bytes) == 0 && line[bytes] == ':')
            number = strtoull(line + bytes + 1, NULL, 10);
    fclose(file);
    return number;
}

static uint64_t count_mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    uint64_t lines = 0;
    int c;

    need(file == NULL ? -errno : 0, NULL, "maps");
    while ((c = fgetc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static uint64_t count_descriptors(void)
{
    uint64_t count = 0;

    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Measuring takes memory too: the first time is not looked at. */
void say_usage(uint64_t cycle, uint64_t begin)
{
    say("usage cycle=%llu fds=%llu threads=%llu rss=%llu size=%llu maps=%llu "
        "ms=%llu",
        (unsigned long long)cycle, (unsigned long long)count_descriptors(),
        (unsigned long long)status_number("Threads"),
        (unsigned long long)status_number("VmRSS"),
        (unsigned long long)status_number("VmSize"),
        (unsigned long long)count_mappings(),
        (unsigned long long)(now_ns() - begin) / 1000000);
}

static void use(struct ballot_comm *comm)
{
    float buffer[1000];

    for (size_t i = 0; i < 1000; i++)
        buffer[i] = i % 2 ? 1.0f : -1.0f;
    need(ballot_all_reduce(buffer, buffer, 1000, BALLOT_FLOAT32,
                           BALLOT_MAJORITY, comm, NULL),
         comm, "all_reduce");
    need(ballot_barrier(comm, NULL), comm, "barrier");
}

int cycles(void)
{
    uint64_t begin = now_ns(), count = option("cycles", 1000);
    uint64_t first = option("first", 100);

    for (uint64_t i = 1; i <= count; i++) {
        struct ballot_comm *comm = join(NULL);

        use(comm);
        need(ballot_comm_finalize(&comm), NULL, "finalize");
        if (i == 1 || i == first || i == count)
            say_usage(i, begin);
    }
    return 0;
}

struct member {
    pthread_t thread;
    const struct ballot_unique_id *id;
    int rank, ranks;
};

static void *be_member(void *context)
{
    const struct member *m = context;
    struct ballot_comm *comm = NULL;

    need(ballot_comm_init_rank(&comm, m->ranks, m->id, m->rank, NULL), NULL,
         "init");
    use(comm);
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return NULL;
}

static void live_once(int ranks)
{
    struct member members[16];
    struct ballot_unique_id id;

    need(ballot_get_unique_id(&id), NULL, "id");
    for (int r = 0; r < ranks; r++) {
        members[r] = (struct member){.id = &id, .rank = r, .ranks = ranks};
        need(-pthread_create(&members[r].thread, NULL, be_member, &members[r]),
             NULL, "thread");
    }
    for (int r = 0; r < ranks; r++)
        pthread_join(members[r].thread, NULL);
}

int threads(void)
{
    uint64_t begin = now_ns(), count = option("cycles", 1000);
    uint64_t first = option("first", 100);

    for (uint64_t i = 1; i <= count; i++) {
        live_once((int)option("ranks", 2));
        if (i == 1 || i == first || i == count)
            say_usage(i, begin);
    }
    return 0;
}

/* ---- What an idle communicator costs ---- */

static uint64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int idle(void)
{
    struct ballot_comm *comm = join(NULL);
    uint64_t before;

    for (int i = 0; i < 20; i++)
        use(comm);
    sleep_ms(100);
    before = cpu_us();
    sleep_ms(option("ms", 10000));
    say("idle cpu_us=%llu", (unsigned long long)(cpu_us() - before));
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return 0;
}

/* ---- Requests ---- */

static void compute_ms(uint64_t ms)
{
    uint64_t end = now_ns() + ms * 1000000;
    volatile uint64_t x = 0;

    while (now_ns() < end)
        for (int i = 0; i < 1000; i++)
            x = mix(x);
}

/* Rank 0 computes for 300 ms between the call and the wait. */
int async(void)
{
    size_t count = option("count", 1000000);
    struct ballot_comm *comm = join(NULL);
    float *buffer = need_memory(count * sizeof(float));

    for (int i = 0; i < 3; i++) {
        struct ballot_request *request = NULL;
        uint64_t begin;

        need(ballot_barrier(comm, NULL), comm, "barrier");
        begin = now_ns();
        need(ballot_all_reduce(buffer, buffer, count, BALLOT_FLOAT32,
                               BALLOT_MAJORITY, comm, &request),
             comm, "all_reduce");
        if (ballot_comm_rank(comm) == 0)
            compute_ms(300);
        need(ballot_wait(&request), comm, "wait");
        say("async us=%llu", (unsigned long long)(now_ns() - begin) / 1000);
    }
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    free(buffer);
    return 0;
}

enum { REQUESTS = 64, REQUEST_COUNT = 3000 };

static int issue(struct ballot_comm *comm, float *buffer, int i,
                 struct ballot_request **request)
{
    for (size_t k = 0; k < REQUEST_COUNT; k++)
        buffer[k] = (k + (size_t)i) % 3 ? 1.0f : -1.0f;
    return ballot_all_reduce(buffer, buffer, REQUEST_COUNT, BALLOT_FLOAT32,
                             BALLOT_MAJORITY, comm, request);
}

static uint64_t count_differing(const float *buffer, int i)
{
    uint64_t wrong = 0;

    for (size_t k = 0; k < REQUEST_COUNT; k++)
        wrong += buffer[k] != ((k + (size_t)i) % 3 ? 1.0f : -1.0f);
    return wrong;
}

/* 64 under way, awaited last first or polled; one more is refused. */
static uint64_t fill_once(struct ballot_comm *comm, float *buffers, bool poll)
{
    struct ballot_request *requests[REQUESTS], *extra = NULL;
    uint64_t wrong = 0;
    bool done;

    for (int i = 0; i < REQUESTS; i++)
        need(issue(comm, buffers + i * REQUEST_COUNT, i, &requests[i]), comm,
             "a request");
    if (issue(comm, buffers + REQUESTS * REQUEST_COUNT, 0, &extra) != -EAGAIN ||
        extra != NULL)
        wrong += 1000000;
    for (int i = REQUESTS - 1; i >= 0; i--) {
        for (done = false; poll && !done;)
            need(ballot_test(&requests[i], &done), comm, "test");
        if (!poll)
            need(ballot_wait(&requests[i]), comm, "wait");
        if (requests[i] != NULL)
            wrong += 1000000;
        wrong += count_differing(buffers + i * REQUEST_COUNT, i);
    }
    return wrong;
}

int requests(void)
{
    struct ballot_comm *comm = join(NULL);
    float *buffers =
        need_memory((REQUESTS + 1) * REQUEST_COUNT * sizeof(float));
    uint64_t wrong = 0;

    for (int i = 0; i < 20; i++) {
        wrong += fill_once(comm, buffers, i % 2 != 0);
        need(ballot_barrier(comm, NULL), comm, "barrier");
    }
    say("requests wrong=%llu", (unsigned long long)wrong);
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    free(buffers);
    return wrong != 0;
}

/* ---- Several communicators, several threads ---- */

enum { SEVERAL = 3 };

struct caller {
    pthread_t thread;
    struct ballot_comm *comm;
    uint64_t wrong;
    int number;
};

static void *call_often(void *context)
{
    struct caller *c = context;
    float *buffer = need_memory(REQUEST_COUNT * sizeof(float));

    for (int i = 0; i < 200; i++) {
        need(issue(c->comm, buffer, i + c->number, NULL), c->comm, "call");
        c->wrong += count_differing(buffer, i + c->number);
    }
    free(buffer);
    return NULL;
}

int several(void)
{
    struct caller callers[SEVERAL];
    uint64_t wrong = 0;

    for (int i = 0; i < SEVERAL; i++)
        callers[i] = (struct caller){.comm = join(NULL), .number = i};
    for (int i = 0; i < SEVERAL; i++)
        need(-pthread_create(&callers[i].thread, NULL, call_often, &callers[i]),
             NULL, "thread");
    for (int i = 0; i < SEVERAL; i++) {
        pthread_join(callers[i].thread, NULL);
        wrong += callers[i].wrong;
    }
    for (int i = SEVERAL; i-- > 0;)
        need(ballot_comm_finalize(&callers[i].comm), NULL, "finalize");
    say("several wrong=%llu", (unsigned long long)wrong);
    return wrong != 0;
}

/* ---- A unique id ---- */

static void write_id(const char *path, const struct ballot_unique_id *id)
{
    char draft[512];
    FILE *file;

    snprintf(draft, sizeof(draft), "%s.new", path);
    file = fopen(draft, "we");
    if (file == NULL || fwrite(id, sizeof(*id), 1, file) != 1 ||
        fclose(file) != 0 || rename(draft, path) < 0)
        need(-EIO, NULL, draft);
}

static void read_id(const char *path, struct ballot_unique_id *id)
{
    FILE *file = NULL;

    for (int i = 0; i < 1000 && file == NULL; i++) {
        file = fopen(path, "re");
        if (file == NULL)
            sleep_ms(10);
    }
    if (file == NULL || fread(id, sizeof(*id), 1, file) != 1)
        need(-EIO, NULL, path);
    fclose(file);
}

int by_id(void)
{
    const char *path = option_text("file", "id");
    int rank = (int)option("rank", 0), ranks = (int)option("ranks", 1);
    struct ballot_comm *comm = NULL;
    struct ballot_unique_id id;

    if (rank == 0) {
        need(ballot_get_unique_id(&id), NULL, "id");
        write_id(path, &id);
    } else {
        read_id(path, &id);
        /* Any byte of the secret. */
        id.internal[BALLOT_UNIQUE_ID_BYTES / 4 * 3] ^=
            (uint8_t)option("flip", 0);
    }
    need(ballot_comm_init_rank(&comm, ranks, &id, rank, NULL), NULL, "init");
    use(comm);
    say("joined rank=%d of=%d", ballot_comm_rank(comm), ballot_comm_size(comm));
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return 0;
}

/* ---- A server that counts and does not vote ---- */

int serve(void)
{
    uint64_t begin = now_ns(), jobs = option("jobs", 20);
    const struct ballot_server_config config = {
        .ranks = (uint32_t)option("ranks", 2),
        .index = (uint32_t)option("index", 0),
        .trust_host = option("trust", 0) != 0,
    };
    struct ballot_server_status status;
    struct ballot_server *server;

    need(ballot_server_open(&server, &config), NULL, "server");
    for (uint64_t i = 1; i <= jobs; i++) {
        need(ballot_server_await(server), NULL, "await");
        need(ballot_server_serve(server), NULL, "serve");
        if (i == 1 || i == option("first", 5) || i == jobs)
            say_usage(i, begin);
    }
    need(ballot_server_status(server, &status), NULL, "status");
    say("served jobs=%llu votes=%llu", (unsigned long long)status.jobs,
        (unsigned long long)status.votes_counted);
    need(ballot_server_stop(server), NULL, "stop");
    say("stopped await=%d", ballot_server_await(server));
    need(ballot_server_close(&server), NULL, "close");
    return 0;
}
