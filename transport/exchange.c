/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.c - gathers one record a rank, then tells all ranks.
 *
 * A member is a connection that has proven the key. It belongs to the exchange
 * under way until it is given an answer, which leaves while the next gathers.
 */
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "exchange.h"
#include "names.h"
#include "stream.h"

enum {
    DELIVER_MS = 10000, /* an answer that has not left by then never will */
    LINGER_MS = 1000,   /* for a member to read its answer and hang up */
    /* After a contradiction the other ranks of the job get so long to come and
     * hear of it; later ones would wait for their deadline in vain. */
    VERDICT_MS = 500,
    /* The names of missing ranks leave an eighth before the deadline. */
    MARGIN_MS_MIN = 50,
    MARGIN_MS_MAX = 1000,
};

struct answer {
    uint32_t users;
    size_t bytes;
    uint8_t wire[];
};

struct member {
    enum {
        FREE,
        REQUEST, /* its request is coming in */
        SEATED,  /* its record is in the table */
        HEARD,   /* it contradicts, or came after someone who did */
        ANSWER,  /* it is being told */
        LINGER,  /* it has been told, but has not read that yet */
    } stage;
    int descriptor;
    uint32_t rank, ranks; /* rank < ranks <= BOOTSTRAP_RANKS_MAX */
    int polled;           /* index among the polls, or -1 */
    bool whole;           /* nothing of its request is unread */
    size_t done_bytes;    /* of the request or of the answer */
    uint8_t head[REQUEST_HEAD_BYTES];
    uint64_t due_ns; /* when it loses patience, or we do */
    struct answer *answer;
};

struct exchange {
    uint32_t servers;                       /* the last ranks are */
    uint32_t ranks, ranks_by;               /* 0: none; who said so */
    uint32_t record_bytes, record_bytes_by; /* 0: not known yet; who said so */
    uint8_t *table;                         /* [ranks][record_bytes] */
    uint32_t present, seated;
    int verdict;         /* a contradiction was found; 0: none */
    uint64_t verdict_ns; /* when all are told */
    char why[WHY_BYTES];
    struct member members[MEMBERS_MAX];
};

int exchange_open(struct exchange **exchange, uint32_t servers)
{
    *exchange = calloc(1, sizeof(**exchange));
    if (*exchange == NULL)
        return -ENOMEM;
    (*exchange)->servers = servers;
    return 0;
}

uint32_t exchange_ranks(const struct exchange *exchange)
{
    return exchange->ranks;
}

static bool gathers(const struct member *member)
{
    return member->stage == REQUEST || member->stage == SEATED ||
           member->stage == HEARD;
}

/* With its last member an exchange is forgotten: the next starts afresh. */
static void unseat(struct exchange *exchange, struct member *member)
{
    exchange->seated -= member->stage == SEATED;
    member->stage = FREE;
    if (--exchange->present > 0)
        return;
    free(exchange->table);
    exchange->table = NULL;
    exchange->ranks = 0;
    exchange->record_bytes = 0;
    exchange->verdict = 0;
}

static void release_answer(struct answer *answer)
{
    if (answer != NULL && --answer->users == 0)
        free(answer);
}

static void hang_up(struct exchange *exchange, struct member *member)
{
    if (gathers(member))
        unseat(exchange, member);
    release_answer(member->answer);
    member->stage = FREE;
    close(member->descriptor);
}

void exchange_close(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        if (exchange->members[i].stage != FREE)
            hang_up(exchange, &exchange->members[i]);
    free(exchange);
}

/* ---- Telling ---- */

/* NULL without memory: then the connections are closed, an answer too. */
static struct answer *make_answer(int status, uint32_t epoch, const void *body,
                                  size_t bytes)
{
    struct answer *answer = malloc(sizeof(*answer) + ANSWER_HEAD_BYTES + bytes);

    if (answer == NULL)
        return NULL;
    answer->users = 1;
    answer->bytes = ANSWER_HEAD_BYTES + bytes;
    stream_store32(answer->wire, (uint32_t)status);
    stream_store32(answer->wire + 4, epoch);
    stream_store32(answer->wire + 8, (uint32_t)bytes);
    memcpy(answer->wire + ANSWER_HEAD_BYTES, body, bytes);
    return answer;
}

static void tell(struct exchange *exchange, struct member *member,
                 struct answer *answer, uint64_t now_ns)
{
    if (answer == NULL) {
        hang_up(exchange, member);
        return;
    }
    unseat(exchange, member);
    answer->users++;
    member->answer = answer;
    member->stage = ANSWER;
    member->done_bytes = 0;
    member->due_ns = clock_later_ns(now_ns, DELIVER_MS);
}

static void tell_all(struct exchange *exchange, struct answer *answer,
                     uint64_t now_ns)
{
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        if (gathers(&exchange->members[i]))
            tell(exchange, &exchange->members[i], answer, now_ns);
    release_answer(answer);
}

static void tell_table(struct exchange *exchange, uint64_t now_ns)
{
    uint32_t epoch;

    do
        epoch = randombytes_random();
    while (epoch == 0);
    tell_all(exchange,
             make_answer(0, epoch, exchange->table,
                         (size_t)exchange->ranks * exchange->record_bytes),
             now_ns);
}

void exchange_end(struct exchange *exchange, int status, const char *cause,
                  uint64_t now_ns, uint64_t strangers)
{
    bool missing[BOOTSTRAP_RANKS_MAX];
    char why[WHY_BYTES] = "";

    if (exchange->ranks == 0)
        return;
    memset(missing, true, sizeof(missing));
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        if (exchange->members[i].stage == SEATED)
            missing[exchange->members[i].rank] = false;
    names_append(why, sizeof(why), "%s", cause);
    names_append_missing(why, sizeof(why), missing, exchange->ranks,
                         exchange->servers, strangers);
    tell_all(exchange, make_answer(status, 0, why, strlen(why)), now_ns);
}

/* The first contradiction counts. */
__attribute__((format(printf, 4, 5))) static void contradict(
    struct exchange *exchange, int verdict, uint64_t now_ns, const char *format,
    ...)
{
    va_list arguments;

    if (exchange->verdict != 0)
        return;
    va_start(arguments, format);
    vsnprintf(exchange->why, sizeof(exchange->why), format, arguments);
    va_end(arguments);
    exchange->verdict = verdict;
    exchange->verdict_ns = clock_later_ns(now_ns, VERDICT_MS);
}

/* ---- Gathering ---- */

static struct member *find_rank(struct exchange *exchange, uint32_t rank)
{
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        if (gathers(&exchange->members[i]) && exchange->members[i].rank == rank)
            return &exchange->members[i];
    return NULL;
}

static struct member *find_free(struct exchange *exchange)
{
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        if (exchange->members[i].stage == FREE)
            return &exchange->members[i];
    return NULL;
}

static void send_away(struct exchange *exchange, struct member *member,
                      const struct member *first, uint64_t now_ns)
{
    struct sockaddr_storage address = {0};
    socklen_t address_bytes = sizeof(address);
    char from[ADDRESS_TEXT_BYTES], why[WHY_BYTES];
    struct answer *answer;

    getpeername(first->descriptor, (struct sockaddr *)&address, &address_bytes);
    bootstrap_format((const struct sockaddr *)&address, address_bytes, from);
    snprintf(why, sizeof(why),
             "rank %u has joined already, from %s; give every process a"
             " BALLOT_RANK of its own",
             member->rank, from);
    answer = make_answer(-EEXIST, 0, why, strlen(why));
    tell(exchange, member, answer, now_ns);
    release_answer(answer);
}

bool exchange_admit(void *context, struct handshake *handshake)
{
    struct exchange *exchange = context;
    uint64_t now_ns = clock_now_ns();
    struct member *first, *member = find_free(exchange);
    short events;

    if (member == NULL || handshake->peer_ranks > BOOTSTRAP_RANKS_MAX)
        return false;
    /* READY fits the empty send buffer, so there is nothing to wait for. */
    if (handshake_step(handshake, &events) != HANDSHAKE_DONE)
        return false;
    first = find_rank(exchange, handshake->peer);
    if (first != NULL && stream_ended(first->descriptor)) {
        hang_up(exchange, first);
        first = NULL;
    }
    *member = (struct member){
        .stage = REQUEST,
        .descriptor = handshake->descriptor,
        .rank = handshake->peer,
        .ranks = handshake->peer_ranks,
        .polled = -1,
        .due_ns = clock_later_ns(now_ns, HANDSHAKE_TIMEOUT_MS),
    };
    if (exchange->present++ == 0) {
        exchange->ranks = member->ranks;
        exchange->ranks_by = member->rank;
    }
    if (first != NULL)
        send_away(exchange, member, first, now_ns);
    else if (member->ranks != exchange->ranks && exchange->servers > 0)
        contradict(exchange, -EPROTO, now_ns,
                   "ranks and servers together are %u for one and %u for"
                   " another of them; give all the same BALLOT_RANKS and"
                   " BALLOT_SERVERS, and ballot-server the same --ranks",
                   exchange->ranks, member->ranks);
    else if (member->ranks != exchange->ranks)
        contradict(exchange, -EPROTO, now_ns,
                   "rank %u says that there are %u ranks, rank %u says %u;"
                   " set BALLOT_RANKS to the same number everywhere",
                   member->rank, member->ranks, exchange->ranks_by,
                   exchange->ranks);
    return true;
}

static uint64_t patience_ns(uint32_t remaining_ms, uint64_t now_ns)
{
    uint32_t margin_ms = remaining_ms / 8;

    if (margin_ms > MARGIN_MS_MAX)
        margin_ms = MARGIN_MS_MAX;
    if (margin_ms < MARGIN_MS_MIN)
        margin_ms = MARGIN_MS_MIN;
    if (margin_ms > remaining_ms / 2)
        margin_ms = remaining_ms / 2;
    return clock_later_ns(now_ns, remaining_ms - margin_ms);
}

/* Whether the record may be read: its size is checked here, before use. */
static bool agrees(struct exchange *exchange, const struct member *member,
                   uint32_t record_bytes, uint64_t now_ns)
{
    if (record_bytes == 0 || record_bytes > RECORD_BYTES_MAX) {
        contradict(exchange, -EPROTO, now_ns,
                   "rank %u sends a record of %u bytes, allowed are 1 to %d;"
                   " run the same version of ballot everywhere",
                   member->rank, record_bytes, RECORD_BYTES_MAX);
    } else if (exchange->record_bytes == 0) {
        exchange->table = calloc(exchange->ranks, record_bytes);
        exchange->record_bytes = record_bytes;
        exchange->record_bytes_by = member->rank;
        if (exchange->table == NULL)
            contradict(exchange, -ENOMEM, now_ns,
                       "rank 0 is out of memory for %u records",
                       exchange->ranks);
    } else if (record_bytes != exchange->record_bytes) {
        contradict(exchange, -EPROTO, now_ns,
                   "rank %u sends a record of %u bytes, rank %u one of %u;"
                   " run the same version of ballot everywhere",
                   member->rank, record_bytes, exchange->record_bytes_by,
                   exchange->record_bytes);
    }
    return exchange->verdict == 0;
}

/* 1 when seated or heard, 0 to wait, or the errno of a connection to end. */
static int take_request(struct exchange *exchange, struct member *member,
                        uint64_t now_ns)
{
    size_t record_done;
    uint32_t record_bytes;
    int result = 1;

    if (member->done_bytes < REQUEST_HEAD_BYTES)
        result = stream_receive(member->descriptor, member->head,
                                REQUEST_HEAD_BYTES, &member->done_bytes);
    if (result <= 0)
        return result;
    record_bytes = stream_load32(member->head);
    if (exchange->verdict != 0 ||
        !agrees(exchange, member, record_bytes, now_ns)) {
        member->stage = HEARD;
        member->due_ns = UINT64_MAX;
        return 1;
    }
    /* Of rank < ranks, as there is no verdict: its place in the table. */
    record_done = member->done_bytes - REQUEST_HEAD_BYTES;
    result =
        stream_receive(member->descriptor,
                       exchange->table + (size_t)member->rank * record_bytes,
                       record_bytes, &record_done);
    member->done_bytes = REQUEST_HEAD_BYTES + record_done;
    if (result <= 0)
        return result;
    member->whole = true;
    member->stage = SEATED;
    member->due_ns = patience_ns(stream_load32(member->head + 4), now_ns);
    exchange->seated++;
    return 1;
}

/* Closing on unread bytes would reset the connection and might take the answer
 * with it; so then the member hangs up first. */
static int give_answer(struct member *member, uint64_t now_ns)
{
    int result = stream_send(member->descriptor, member->answer->wire,
                             member->answer->bytes, &member->done_bytes);

    if (result <= 0)
        return result;
    if (member->whole)
        return -ECONNRESET;
    shutdown(member->descriptor, SHUT_WR);
    member->stage = LINGER;
    member->due_ns = clock_later_ns(now_ns, LINGER_MS);
    return 1;
}

/* Nothing is expected but that it hangs up. */
static int swallow(const struct member *member)
{
    uint8_t bytes[512];
    size_t done = 0;

    return stream_receive(member->descriptor, bytes, sizeof(bytes), &done);
}

/* A negative errno when the connection is over. */
static int move_member(struct exchange *exchange, struct member *member,
                       uint64_t now_ns)
{
    switch (member->stage) {
    case REQUEST: return take_request(exchange, member, now_ns);
    case ANSWER: return give_answer(member, now_ns);
    case SEATED:
    case LINGER: return swallow(member);
    default: return 0;
    }
}

/* Ends the exchange if there is a reason to. */
static void settle(struct exchange *exchange, uint64_t now_ns,
                   uint64_t strangers)
{
    bool late = false;

    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        late |= exchange->members[i].stage == SEATED &&
                now_ns >= exchange->members[i].due_ns;
    if (exchange->verdict != 0) {
        if (late || now_ns >= exchange->verdict_ns)
            tell_all(exchange,
                     make_answer(exchange->verdict, 0, exchange->why,
                                 strlen(exchange->why)),
                     now_ns);
    } else if (exchange->ranks != 0 && exchange->seated == exchange->ranks) {
        tell_table(exchange, now_ns);
    } else if (late) {
        exchange_end(exchange, -ETIMEDOUT, "", now_ns, strangers);
    }
}

/* A seated member's time is the business of settle(). */
static bool is_over(const struct member *member, uint64_t now_ns)
{
    return member->stage != FREE && member->stage != SEATED &&
           now_ns >= member->due_ns;
}

void exchange_move(struct exchange *exchange, const struct pollfd *polls,
                   uint64_t now_ns, uint64_t strangers)
{
    for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
        struct member *member = &exchange->members[i];
        bool ready = member->stage != FREE && member->polled >= 0 &&
                     polls[member->polled].revents != 0;
        int result = ready ? move_member(exchange, member, now_ns) : 0;

        if (result < 0 || is_over(member, now_ns))
            hang_up(exchange, member);
    }
    settle(exchange, now_ns, strangers);
}

/* ---- Waiting ---- */

uint32_t exchange_watch(struct exchange *exchange, struct pollfd *polls)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < MEMBERS_MAX; i++) {
        struct member *member = &exchange->members[i];

        member->polled = -1;
        if (member->stage == FREE || member->stage == HEARD)
            continue;
        polls[count].fd = member->descriptor;
        polls[count].events = member->stage == ANSWER ? POLLOUT : POLLIN;
        member->polled = (int)count++;
    }
    return count;
}

uint64_t exchange_due_ns(const struct exchange *exchange)
{
    uint64_t due_ns = UINT64_MAX;

    if (exchange->verdict != 0)
        due_ns = exchange->verdict_ns;
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        if (exchange->members[i].stage != FREE &&
            exchange->members[i].due_ns < due_ns)
            due_ns = exchange->members[i].due_ns;
    return due_ns;
}

bool exchange_is_quiet(const struct exchange *exchange)
{
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        if (exchange->members[i].stage != FREE)
            return false;
    return true;
}
