/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p2p_measure.c - rank 0 writes slots at rank 1, and both take the time.
 *
 * Rank 0 may have `depth` slots under way. Rank 1 tells it by a put of one line
 * of a quarter of them that they may be written again: the credit. So the end
 * of the last put is known, where ib_write_bw knows of its acknowledgement.
 */
#include "p2p.h"
#include "p2p_pair.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CREDITS = 4, PEAK_MOST = 20000 };

/* One stream of puts from rank 0 to rank 1. */
struct stream {
    struct p2p_pair *pair;
    size_t bytes;
    uint64_t puts;
    uint64_t batch; /* of slots that one credit is for */
    bool checked;
    const void *source;     /* what a direct put is filled from */
    uint64_t *posted_ns;    /* [puts], or NULL */
    uint64_t *completed_ns; /* [puts], or NULL */
    uint64_t wrong;         /* bytes, at rank 1 */
};

/* ---- What travels where it is compared ---- */

static uint64_t word_of(uint64_t put, uint64_t index)
{
    return (put * 0x9e3779b97f4a7c15u) ^ (index * 0xc2b2ae3d27d4eb4fu);
}

static void fill(void *memory, size_t bytes, uint64_t put)
{
    uint64_t *words = memory;

    for (size_t i = 0; i < bytes / sizeof(*words); i++)
        words[i] = word_of(put, i);
}

static uint64_t count_wrong(const void *memory, size_t bytes, uint64_t put)
{
    const uint8_t *seen = memory;
    uint64_t wrong = 0;

    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
        uint64_t expected = word_of(put, i);

        for (size_t b = 0; b < sizeof(expected); b++)
            wrong += *seen++ != ((const uint8_t *)&expected)[b];
    }
    return wrong;
}

/* ---- A stream of puts ---- */

static uint32_t slot_of(const struct stream *stream, uint64_t put)
{
    return (uint32_t)(put % stream->pair->depth);
}

static uint32_t credit_slot(const struct stream *stream, uint64_t credit)
{
    uint32_t depth = stream->pair->depth;

    return depth + (uint32_t)(credit % depth);
}

/* Puts into all slots that are free. */
static int put_free(struct stream *stream, uint64_t *put, uint64_t credited)
{
    struct p2p_pair *pair = stream->pair;
    uint64_t first = *put, most = credited + pair->depth, now;
    int rc = 0;

    most = most < stream->puts ? most : stream->puts;
    if (*put == most)
        return 0;
    now = p2p_now();
    while (*put < most && rc == 0) {
        void *memory = p2p_try_stage(pair, slot_of(stream, *put));

        if (memory == NULL)
            break;
        if (stream->checked)
            fill(memory, stream->bytes, *put);
        else if (p2p_is_direct(pair))
            memcpy(memory, stream->source, stream->bytes);
        rc = p2p_put(pair, slot_of(stream, *put), stream->bytes);
        ++*put;
    }
    for (uint64_t i = first; stream->posted_ns != NULL && i < *put; i++)
        stream->posted_ns[i] = now;
    return rc;
}

static int take_credit(struct stream *stream, const struct event *event,
                       uint64_t *credits, uint64_t *credited)
{
    uint64_t until = *credited + stream->batch, now;

    if (event->slot != credit_slot(stream, *credits) ||
        event->bytes != P2P_LINE_BYTES)
        return -EPROTO;
    until = until < stream->puts ? until : stream->puts;
    if (stream->completed_ns != NULL)
        for (now = p2p_now(); *credited < until; ++*credited)
            stream->completed_ns[*credited] = now;
    *credited = until;
    ++*credits;
    return 0;
}

static int send_stream(struct stream *stream)
{
    uint64_t put = 0, credits = 0, credited = 0;
    struct event event;
    int rc = 0;

    while (credited < stream->puts && rc >= 0) {
        rc = put_free(stream, &put, credited);
        if (rc == 0)
            rc = p2p_poll(stream->pair, &event);
        if (rc > 0)
            rc = take_credit(stream, &event, &credits, &credited);
    }
    return rc;
}

static int give_credit(struct stream *stream, uint64_t credit)
{
    uint32_t slot = credit_slot(stream, credit);
    void *memory;
    int rc = p2p_stage(stream->pair, slot, &memory);

    if (rc != 0)
        return rc;
    memset(memory, 0, P2P_LINE_BYTES);
    return p2p_put(stream->pair, slot, P2P_LINE_BYTES);
}

static int receive_stream(struct stream *stream)
{
    uint64_t credits = 0;
    const void *memory;
    int rc = 0;

    for (uint64_t put = 0; put < stream->puts && rc == 0; put++) {
        rc = p2p_await(stream->pair, slot_of(stream, put), stream->bytes,
                       &memory);
        if (rc == 0 && stream->checked)
            stream->wrong += count_wrong(memory, stream->bytes, put);
        if (rc == 0 &&
            ((put + 1) % stream->batch == 0 || put + 1 == stream->puts))
            rc = give_credit(stream, credits++);
    }
    return rc;
}

static int run_stream(struct stream *stream)
{
    uint64_t unused;
    int rc = p2p_meet(stream->pair, 0, &unused);

    if (rc != 0)
        return rc;
    return stream->pair->rank == 0 ? send_stream(stream)
                                   : receive_stream(stream);
}

/* ---- Bandwidth ---- */

/* As perftest's: the least mean time of consecutive puts, first to last. */
static double best_ns(const struct stream *stream)
{
    double best = INFINITY;

    for (uint64_t i = 0; i < stream->puts; i++)
        for (uint64_t j = i; j < stream->puts; j++) {
            uint64_t took = stream->completed_ns[j] - stream->posted_ns[i];
            double mean = (double)took / (double)(j - i + 1);

            best = mean < best ? mean : best;
        }
    return best;
}

static void fill_bandwidth(const struct stream *stream, struct p2p_row *row)
{
    const double mib = 1 << 20;
    double bytes = (double)stream->bytes;
    double ns = (double)(stream->completed_ns[stream->puts - 1] -
                         stream->posted_ns[0]) /
                (double)stream->puts;

    row->average_mb = bytes / mib / (ns * 1e-9);
    row->mpps = 1e3 / ns;
    if (stream->puts <= PEAK_MOST)
        row->peak_mb = bytes / mib / (best_ns(stream) * 1e-9);
}

/* ---- Latency ---- */

/* Puts and waits for the answer, or the other way round. */
static int play(struct stream *stream, uint64_t turn)
{
    struct p2p_pair *pair = stream->pair;
    uint32_t slot = slot_of(stream, turn);
    void *memory;
    const void *heard;
    int rc = 0;

    if (pair->rank == 1)
        rc = p2p_await(pair, slot, stream->bytes, &heard);
    if (rc == 0)
        rc = p2p_stage(pair, slot, &memory);
    if (rc == 0 && p2p_is_direct(pair))
        memcpy(memory, stream->source, stream->bytes);
    if (rc == 0)
        rc = p2p_put(pair, slot, stream->bytes);
    if (rc == 0 && pair->rank == 0)
        rc = p2p_await(pair, slot, stream->bytes, &heard);
    return rc;
}

static int play_all(struct stream *stream)
{
    uint64_t unused;
    int rc = p2p_meet(stream->pair, 0, &unused);

    for (uint64_t turn = 0; turn < stream->puts && rc == 0; turn++) {
        if (stream->posted_ns != NULL)
            stream->posted_ns[turn] = p2p_now();
        rc = play(stream, turn);
        if (stream->completed_ns != NULL)
            stream->completed_ns[turn] = p2p_now();
    }
    return rc;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return (one > other) - (one < other);
}

/* Sorts the times of the round trips in completed_ns. */
static void fill_latency(struct stream *stream, struct p2p_row *row)
{
    const double half_us = 0.5e-3;
    uint64_t *trips = stream->completed_ns, count = stream->puts;
    double sum = 0, squares = 0;

    for (uint64_t i = 0; i < count; i++) {
        trips[i] -= stream->posted_ns[i];
        sum += (double)trips[i];
    }
    row->average = sum / (double)count * half_us;
    for (uint64_t i = 0; i < count; i++) {
        double off = (double)trips[i] * half_us - row->average;

        squares += off * off;
    }
    qsort(trips, count, sizeof(*trips), compare_times);
    row->least = (double)trips[0] * half_us;
    row->most = (double)trips[count - 1] * half_us;
    row->typical = (double)trips[count / 2] * half_us;
    row->deviation = sqrt(squares / (double)count);
    row->p99 = (double)trips[(count - 1) * 99 / 100] * half_us;
    row->p999 = (double)trips[(count - 1) * 999 / 1000] * half_us;
}

/* ---- The whole ---- */

/* Both directions of a ping-pong have the same memory, so that one checked
 * stream speaks for it too. */
static int check(const struct stream *timed, struct p2p_row *row)
{
    struct stream stream = *timed;
    int rc;

    stream.puts = 2 * (uint64_t)timed->pair->depth + 1;
    stream.checked = true;
    stream.posted_ns = stream.completed_ns = NULL;
    rc = run_stream(&stream);
    return rc == 0 ? p2p_meet(timed->pair, stream.wrong, &row->wrong) : rc;
}

/* Warms up, then takes the times. */
static int take_times(struct stream *stream, struct p2p_row *row)
{
    int (*run)(struct stream *) =
        row->test == P2P_BANDWIDTH ? run_stream : play_all;
    struct stream warm_up = *stream;
    int rc;

    warm_up.puts = 2 * (uint64_t)stream->pair->depth;
    warm_up.posted_ns = warm_up.completed_ns = NULL;
    rc = run(&warm_up);
    if (rc == 0)
        rc = run(stream);
    if (rc != 0 || stream->pair->rank != 0)
        return rc;
    if (row->test == P2P_BANDWIDTH)
        fill_bandwidth(stream, row);
    else
        fill_latency(stream, row);
    return 0;
}

int p2p_measure(struct p2p_pair *pair, const struct p2p_options *options,
                struct p2p_row *row)
{
    size_t puts = (size_t)options->iterations;
    void *source = aligned_alloc(P2P_LINE_BYTES, row->bytes);
    uint64_t *times = calloc(2 * puts, sizeof(*times));
    uint64_t batch = pair->depth / CREDITS;
    struct stream stream = {
        .pair = pair,
        .bytes = row->bytes,
        .puts = puts,
        .batch = batch > 0 ? batch : 1,
        .source = source,
        .posted_ns = times,
        .completed_ns = &times[puts],
    };
    int rc = -ENOMEM;

    if (source != NULL && times != NULL) {
        fill(source, row->bytes, 0);
        rc = options->checked ? check(&stream, row) : 0;
        if (rc == 0)
            rc = take_times(&stream, row);
    }
    free(times);
    free(source);
    return rc;
}
