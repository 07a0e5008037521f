/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p2p.h - one pair of ranks over one transport: bandwidth and latency of slots
 * that rank 0 writes at rank 1, in the columns of perftest.
 */
#ifndef BALLOT_PERF_P2P_H
#define BALLOT_PERF_P2P_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum p2p_over { P2P_SHM, P2P_TCP, P2P_VERBS, P2P_OVERS };

enum p2p_test { P2P_BANDWIDTH, P2P_LATENCY, P2P_TESTS };

struct p2p_options {
    size_t least_bytes; /* of a slot, multiples of 64 up to P2P_BYTES_MAX */
    size_t most_bytes;
    int factor;     /* from size to size, 2 or more */
    int iterations; /* timed puts, or round trips */
    int depth;      /* slots in flight */
    int checked;    /* 0 or 1 */
    uint32_t overs; /* bit o: enum p2p_over o */
    bool asked;     /* for these; else what does not work here is left out */
    uint32_t tests; /* bit t: enum p2p_test t */
    int ranks;      /* processes to start: 2; 0: a launcher did */
    bool bound;     /* each of them to a core of its own */
    uint32_t timeout_ms;
    bool json; /* to stdout, in place of the tables */
    const char *json_file;
    const char *plot_file;
    char **arguments; /* of main, NULL at the end */
};

enum { P2P_BYTES_MAX = 1 << 20, P2P_DEPTH_MAX = 1024 };

/* As perf_options_parse() in perf_options.h. */
int p2p_options_parse(struct p2p_options *options, int count, char **arguments,
                      int *code);

/* "shm", "tcp", "verbs" */
extern const char *const p2p_over_names[P2P_OVERS];

/*
 * One rank's part: joins the job of two that the environment names, measures,
 * and on rank 0 reports. Returns the exit code: 0, or 1 for an error, which has
 * been explained, or for bytes that arrived wrong.
 */
int p2p_run(const struct p2p_options *options);

/* ---- p2p_measure.c ---- */

struct p2p_row {
    enum p2p_over over;
    enum p2p_test test;
    size_t bytes;
    uint64_t wrong; /* bytes that did not arrive as they were put */
    double peak_mb; /* MiB a second, of the best run of consecutive puts */
    double average_mb;
    double mpps; /* millions of puts a second */
    /* Half a round trip, in us; typical is the median. */
    double least, most, typical, average, deviation, p99, p999;
};

struct p2p_pair; /* p2p_pair.h */

/*
 * Both ranks call it: measures row->test with slots of row->bytes. The row is
 * filled on rank 0. A negative errno if the peer is lost or breaks the order.
 */
int p2p_measure(struct p2p_pair *pair, const struct p2p_options *options,
                struct p2p_row *row);

/* ---- p2p_report.c ---- */

struct p2p_report {
    const struct p2p_options *options;
    time_t started;
    struct p2p_row *rows; /* [count], by transport, then test */
    size_t count;
};

/* Above the first row of a transport and test. */
void p2p_table_head(FILE *file, const struct p2p_options *options,
                    const struct p2p_row *row);
void p2p_table_row(FILE *file, const struct p2p_options *options,
                   const struct p2p_row *row);
void p2p_json(FILE *file, const struct p2p_report *report);
/* Bandwidth and latency beside each other, by gnuplot; 0 or -errno. */
int p2p_plot(const char *png_file, const struct p2p_report *report);

#endif
