/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_values.c - every type and option, against another computation.
 *
 * Each rank knows what all ranks vote and recounts it, one coordinate after the
 * other, by the rules that ballot.h states. Values are picked from tables of
 * bit patterns beside what they vote, so no conversion is shared.
 */
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_FLIGHT = 8, RANKS = 16, PATTERNS = 12 };
enum vote { MINUS, PLUS, ZERO };

static const struct {
    size_t bits;
    uint64_t plus, minus; /* what +1 and -1 are */
    struct {
        uint64_t bits;
        enum vote vote;
    } patterns[PATTERNS];
} types[BALLOT_VOTE_TYPES] = {
    [BALLOT_FLOAT32] = {32,
                        0x3f800000,
                        0xbf800000,
                        {{0, ZERO},
                         {0x80000000, ZERO},
                         {0x3f800000, PLUS},
                         {0xbf800000, MINUS},
                         {1, PLUS},
                         {0x80000001, MINUS},
                         {0x7f800000, PLUS},
                         {0xff800000, MINUS},
                         {0x7fc00000, PLUS},
                         {0xffc00000, PLUS},
                         {0x42280000, PLUS},
                         {0xc2280000, MINUS}}},
    [BALLOT_FLOAT16] = {16,
                        0x3c00,
                        0xbc00,
                        {{0, ZERO},
                         {0x8000, ZERO},
                         {0x3c00, PLUS},
                         {0xbc00, MINUS},
                         {1, PLUS},
                         {0x8001, MINUS},
                         {0x7c00, PLUS},
                         {0xfc00, MINUS},
                         {0x7e00, PLUS},
                         {0xfe00, PLUS},
                         {0x5140, PLUS},
                         {0xd140, MINUS}}},
    [BALLOT_BFLOAT16] = {16,
                         0x3f80,
                         0xbf80,
                         {{0, ZERO},
                          {0x8000, ZERO},
                          {0x3f80, PLUS},
                          {0xbf80, MINUS},
                          {1, PLUS},
                          {0x8001, MINUS},
                          {0x7f80, PLUS},
                          {0xff80, MINUS},
                          {0x7fc0, PLUS},
                          {0xffc0, PLUS},
                          {0x4228, PLUS},
                          {0xc228, MINUS}}},
    [BALLOT_FLOAT64] = {64,
                        0x3ff0000000000000,
                        0xbff0000000000000,
                        {{0, ZERO},
                         {0x8000000000000000, ZERO},
                         {0x3ff0000000000000, PLUS},
                         {0xbff0000000000000, MINUS},
                         {1, PLUS},
                         {0x8000000000000001, MINUS},
                         {0x7ff0000000000000, PLUS},
                         {0xfff0000000000000, MINUS},
                         {0x7ff8000000000000, PLUS},
                         {0xfff8000000000000, PLUS},
                         {0x4045000000000000, PLUS},
                         {0xc045000000000000, MINUS}}},
    [BALLOT_SIGNS] = {1,
                      0,
                      1,
                      {{0, PLUS},
                       {1, MINUS},
                       {0, PLUS},
                       {1, MINUS},
                       {0, PLUS},
                       {1, MINUS},
                       {0, PLUS},
                       {1, MINUS},
                       {0, PLUS},
                       {1, MINUS},
                       {0, PLUS},
                       {1, MINUS}}},
};

struct matrix {
    struct ballot_comm *comm;
    struct ballot_config config;
    uint8_t weights[RANKS];
    int ranks, rank;
    uint64_t round; /* of the next call */
    uint64_t calls, wrong, digest;
};

static size_t vector_bytes(enum ballot_type type, size_t count)
{
    return type == BALLOT_SIGNS ? (count + 63) / 64 * 8
                                : count * types[type].bits / 8;
}

static void set_value(void *vector, enum ballot_type type, size_t i,
                      uint64_t bits)
{
    uint8_t *bytes = vector;
    size_t width = types[type].bits / 8;

    if (type == BALLOT_SIGNS)
        bytes[i / 8] |= (uint8_t)(bits << i % 8);
    else
        memcpy(bytes + i * width, &bits, width);
}

static uint64_t get_value(const void *vector, enum ballot_type type, size_t i)
{
    const uint8_t *bytes = vector;
    size_t width = types[type].bits / 8;
    uint64_t bits = 0;

    if (type == BALLOT_SIGNS)
        return bytes[i / 8] >> i % 8 & 1;
    memcpy(&bits, bytes + i * width, width);
    return bits;
}

/* Which pattern `rank` has at coordinate i of call `round`. Every seventh
 * coordinate is a zero everywhere, where the type has one. */
static uint64_t pattern_of(uint64_t rank, uint64_t round, uint64_t i)
{
    uint64_t x = mix(mix(rank << 32 ^ round) + i);

    return i % 7 == 3 ? x % 2 : x % PATTERNS;
}

static void fill(const struct matrix *m, void *send, enum ballot_type type,
                 size_t count, uint64_t round)
{
    memset(send, 0, vector_bytes(type, count));
    for (size_t i = 0; i < count; i++)
        set_value(
            send, type, i,
            types[type].patterns[pattern_of((uint64_t)m->rank, round, i)].bits);
}

/* As the comment of aggregate/ties.c defines it. */
static uint64_t split_mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static bool random_minus(uint64_t seed, uint64_t round, uint64_t i)
{
    uint64_t key = split_mix(split_mix(seed) + round);

    return split_mix(key + (i / 64 + 1) * 0x9e3779b97f4a7c15) >> i % 64 & 1;
}

static uint64_t expected(const struct matrix *m, enum ballot_type type,
                         uint64_t round, uint64_t i)
{
    uint32_t minus = 0, plus = 0;

    for (int r = 0; r < m->ranks; r++) {
        uint32_t weight = m->config.weights == NULL ? 1 : m->weights[r];
        enum vote vote =
            types[type].patterns[pattern_of((uint64_t)r, round, i)].vote;

        if (vote == MINUS)
            minus += weight;
        else if (vote == PLUS || m->config.zero == BALLOT_ZERO_PLUS)
            plus += weight;
    }
    if (minus != plus)
        return minus > plus ? types[type].minus : types[type].plus;
    switch (m->config.tie) {
    case BALLOT_TIE_PLUS: return types[type].plus;
    case BALLOT_TIE_MINUS: return types[type].minus;
    case BALLOT_TIE_ZERO: return 0;
    case BALLOT_TIE_RANDOM:
    default:
        return random_minus(m->config.seed, round, i) ? types[type].minus
                                                      : types[type].plus;
    }
}

static void check(struct matrix *m, const void *recv, enum ballot_type type,
                  size_t count, uint64_t round)
{
    size_t end = type == BALLOT_SIGNS ? (count + 63) / 64 * 64 : count;

    for (size_t i = 0; i < end; i++) {
        uint64_t want = i < count ? expected(m, type, round, i) : 0;
        uint64_t got = get_value(recv, type, i);

        if (got != want && m->wrong++ < 3)
            say("differs type=%d count=%zu round=%llu i=%zu got=%llx want=%llx "
                "tie=%d zero=%d weights=%d servers=%d",
                (int)type, count, (unsigned long long)round, i,
                (unsigned long long)got, (unsigned long long)want,
                (int)m->config.tie, (int)m->config.zero,
                m->config.weights != NULL, (int)m->config.servers);
    }
    m->digest = digest(m->digest, recv, vector_bytes(type, count));
    m->calls++;
}

/* ---- Calls, one after the other and several at once ---- */

struct flight {
    struct ballot_request *request;
    void *send, *recv; /* may be the same */
    enum ballot_type type;
    size_t count;
    uint64_t round;
};

/* What is only sent need not be writable. */
static void register_vectors(struct matrix *m, const struct flight *f)
{
    size_t bytes = vector_bytes(f->type, f->count) + 1;

    need(ballot_mem_register(m->comm, f->send, bytes, f->recv == f->send),
         m->comm, "mem_register");
    if (f->recv != f->send)
        need(ballot_mem_register(m->comm, f->recv, bytes, true), m->comm,
             "mem_register");
}

static void deregister_vectors(struct matrix *m, const struct flight *f)
{
    need(ballot_mem_deregister(m->comm, f->send), m->comm, "mem_deregister");
    if (f->recv != f->send)
        need(ballot_mem_deregister(m->comm, f->recv), m->comm,
             "mem_deregister");
}

static void take_off(struct matrix *m, struct flight *f, enum ballot_type type,
                     size_t count, bool in_place)
{
    /* One byte more: the buffer of a count of 0 is a buffer too. */
    *f = (struct flight){
        .send = need_memory(vector_bytes(type, count) + 1),
        .type = type,
        .count = count,
        .round = m->round++,
    };
    f->recv = in_place ? f->send : need_memory(vector_bytes(type, count) + 1);
    fill(m, f->send, type, count, f->round);
    if (option("registered", 0) != 0)
        register_vectors(m, f);
    need(ballot_all_reduce(f->send, f->recv, count, type, BALLOT_MAJORITY,
                           m->comm, &f->request),
         m->comm, "all_reduce");
}

static void land(struct matrix *m, struct flight *f)
{
    need(ballot_wait(&f->request), m->comm, "wait");
    check(m, f->recv, f->type, f->count, f->round);
    if (option("registered", 0) != 0)
        deregister_vectors(m, f);
    if (f->recv != f->send)
        free(f->recv);
    free(f->send);
}

static void call(struct matrix *m, enum ballot_type type, size_t count)
{
    struct flight flight;
    struct ballot_round round;

    take_off(m, &flight, type, count, count % 2 == 0);
    land(m, &flight);
    if (count == 0)
        return;
    need(ballot_comm_round(m->comm, &round), m->comm, "round");
    if (round.round != flight.round ||
        round.voters_least != (uint32_t)m->ranks ||
        round.every[0] != (UINT64_C(1) << m->ranks) - 1)
        m->wrong++;
}

static bool has_type(const struct matrix *m, enum ballot_type type)
{
    return type != BALLOT_SIGNS || m->config.tie != BALLOT_TIE_ZERO;
}

static void call_several(struct matrix *m, uint64_t random)
{
    struct flight flights[IN_FLIGHT];

    for (int i = 0; i < IN_FLIGHT; i++) {
        uint64_t x = mix(random + (uint64_t)i);
        enum ballot_type type = (enum ballot_type)(x % BALLOT_VOTE_TYPES);

        if (!has_type(m, type))
            type = BALLOT_FLOAT16;
        take_off(m, &flights[i], type, x / 8 % 5000, x >> 32 & 1);
    }
    for (int i = 0; i < IN_FLIGHT; i++)
        land(m, &flights[i]);
}

static void call_types(struct matrix *m, uint64_t random)
{
    static const size_t edges[] = {0, 1, 63, 64, 65, 511, 512, 513, 1025};
    const bool few = option("few", 0) != 0; /* calls: it is slow here */

    for (int t = 0; t < BALLOT_VOTE_TYPES; t++) {
        enum ballot_type type = (enum ballot_type)t;

        if (!has_type(m, type))
            continue;
        for (size_t e = 0; !few && e < sizeof(edges) / sizeof(edges[0]); e++)
            call(m, type, edges[e]);
        for (uint64_t i = 0; i < option("random", 4); i++)
            call(m, type, 1 + mix(random + i) % 2000);
    }
    call_several(m, random);
}

/* ---- Communicators of every configuration ---- */

static void open_matrix(struct matrix *m, uint64_t number)
{
    static const uint32_t chunks[] = {512, 1024, 4096, 0};

    *m = (struct matrix){
        .config =
            {
                .tie = (enum ballot_tie)(number % 4),
                .zero = (enum ballot_zero)(number / 4 % 2),
                .servers = (enum ballot_servers)(number / 8 % 2),
                .chunk = chunks[mix(number) % 4],
                .window = 1 + (uint32_t)(mix(number) >> 32) % 6,
                .seed = mix(number),
            },
    };
    for (int r = 0; r < RANKS; r++)
        m->weights[r] = 1 + (uint8_t)(mix(number * RANKS + (uint64_t)r) % 15);
    if (number / 16 % 2 != 0)
        m->config.weights = m->weights;
    m->comm = join(&m->config);
    m->ranks = ballot_comm_size(m->comm);
    m->rank = ballot_comm_rank(m->comm);
}

/* How many of the bytes that were put went from staging to slot by a copy, and
 * how many were not even staged. */
static void say_copied(const struct matrix *m)
{
    struct ballot_stats stats;

    need(ballot_comm_stats(m->comm, &stats), m->comm, "stats");
    say("copied put=%llu copied=%llu direct=%llu",
        (unsigned long long)stats.bytes_put,
        (unsigned long long)stats.copied_bytes,
        (unsigned long long)stats.direct_bytes);
}

static void close_matrix(struct matrix *m, const char *name, uint64_t number)
{
    say("%s number=%llu calls=%llu wrong=%llu digest=%llx", name,
        (unsigned long long)number, (unsigned long long)m->calls,
        (unsigned long long)m->wrong, (unsigned long long)m->digest);
    need(ballot_comm_finalize(&m->comm), NULL, "finalize");
}

int values(void)
{
    uint64_t wrong = 0, first = option("first", 0), last = option("last", 31);

    for (uint64_t number = first; number <= last; number++) {
        struct matrix m;

        open_matrix(&m, number);
        call_types(&m, number * 1000 + (uint64_t)m.ranks);
        for (size_t count = 1; number == 0 && count <= option("every", 0);
             count++)
            call(&m, BALLOT_FLOAT32, count);
        if (option("large", 0) != 0)
            call(&m, (enum ballot_type)(number % BALLOT_SIGNS),
                 option("large", 0));
        for (size_t extra = 0; extra < 2 && option("signs", 0) != 0; extra++)
            call(&m, BALLOT_SIGNS, option("signs", 0) + extra);
        say_copied(&m);
        close_matrix(&m, "values", number);
        wrong += m.wrong;
    }
    return wrong != 0;
}
