/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_run.c - one rank's part of the measurement.
 *
 * As in nccl-tests: warm-up calls, a barrier, the timed calls back to back, and
 * then one more call on new inputs whose result is checked.
 */
#include "perf_run.h"

#include "perf_data.h"
#include "perf_floor.h"
#include "perf_ranks.h"
#include "perf_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_ALIGN = 4096 };

/* What one series of sizes calls. */
struct series {
    enum ballot_type type;
    enum ballot_op op;
};

struct perf {
    const struct perf_options *options;
    struct perf_ranks job;
    unsigned char *send; /* both hold the largest size, whole lines */
    unsigned char *recv;
    pid_t *pids;   /* [ranks] */
    uint64_t draw; /* of the inputs; a new one for each check */
    enum ballot_tie tie;
    enum ballot_zero zero;
    FILE *json_file; /* opened before the work, so that it cannot be in vain */
    struct perf_report report;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- One size ----------------------------------------------------------- */

static int call(const struct perf *perf, const struct series *series,
                size_t count, void *send)
{
    switch (perf->options->collective) {
    case PERF_ALL_REDUCE:
        return ballot_all_reduce(send, perf->recv, count, series->type,
                                 series->op, perf->job.comm, NULL);
    case PERF_BROADCAST:
        return ballot_broadcast(send, perf->recv, count, series->type,
                                perf->options->root, perf->job.comm, NULL);
    default: return ballot_barrier(perf->job.comm, NULL);
    }
}

static int call_often(struct perf *perf, const struct series *series,
                      size_t count, void *send, int times)
{
    int error = 0;

    for (int i = 0; i < times && error == 0; i++)
        error = call(perf, series, count, send);
    if (error == 0)
        return 0;
    fprintf(stderr, "ballot-perf: rank %d: %zu coordinates, %s %s:\n",
            perf->job.rank, count, perf_type_names[series->type],
            perf_op_names[series->op]);
    return perf_ranks_complain(
        &perf->job, perf_collective_name(perf->options->collective), error);
}

static struct perf_done what_is_done(const struct perf *perf,
                                     const struct series *series)
{
    struct perf_done done = {
        .ranks = perf->job.ranks,
        .root = perf->options->root,
        .draw = perf->draw,
        .tie = perf->tie,
        .zero = perf->zero,
    };

    if (perf->options->collective == PERF_BROADCAST)
        done.what = PERF_DONE_COPY;
    else if (series->op == BALLOT_MAJORITY)
        done.what = PERF_DONE_VOTE;
    else
        done.what = series->op == BALLOT_SUM ? PERF_DONE_SUM : PERF_DONE_AVG;
    return done;
}

/* One call on new inputs; *wrong adds up over all ranks. */
static int check(struct perf *perf, const struct series *series, size_t count,
                 void *send, uint64_t *wrong)
{
    struct perf_done done;
    int error;

    *wrong = 0;
    if (!perf->options->checked || count == 0)
        return 0;
    perf->draw++;
    /* A result that is not written must not look like the one before. */
    memset(perf->recv, 0xff, perf_bytes(series->type, count));
    perf_fill(send, count, series->type, perf->job.rank, perf->draw);
    error = call_often(perf, series, count, send, 1);
    if (error != 0)
        return error;
    done = what_is_done(perf, series);
    error = perf_ranks_gather(
        &perf->job, perf_wrong(perf->recv, count, series->type, &done));
    for (int rank = 0; rank < perf->job.ranks && error == 0; rank++)
        *wrong += perf->job.gathered[rank];
    return error;
}

static void average(const struct perf *perf, struct perf_half *half)
{
    const double calls_ns = 1e3 * perf->options->iterations;
    double sum = 0;

    half->us_least = (double)perf->job.gathered[0] / calls_ns;
    half->us_most = half->us_least;
    for (int rank = 0; rank < perf->job.ranks; rank++) {
        double us = (double)perf->job.gathered[rank] / calls_ns;

        sum += us;
        half->us_least = us < half->us_least ? us : half->us_least;
        half->us_most = us > half->us_most ? us : half->us_most;
    }
    switch (perf->options->average) {
    case PERF_AVERAGE_RANK_0:
        half->us = (double)perf->job.gathered[0] / calls_ns;
        break;
    case PERF_AVERAGE_LEAST: half->us = half->us_least; break;
    case PERF_AVERAGE_MOST: half->us = half->us_most; break;
    default: half->us = sum / perf->job.ranks; break;
    }
}

static int measure_half(struct perf *perf, const struct series *series,
                        size_t count, void *send, struct perf_half *half)
{
    const struct perf_options *options = perf->options;
    uint64_t start;
    int error;

    perf_fill(send, count, series->type, perf->job.rank, perf->draw);
    error = call_often(perf, series, count, send, options->warmups);
    if (error == 0)
        error = perf_ranks_meet(&perf->job);
    if (error != 0)
        return error;
    start = now_ns();
    error = call_often(perf, series, count, send, options->iterations);
    if (error == 0)
        error = perf_ranks_gather(&perf->job, now_ns() - start);
    if (error != 0)
        return error;
    average(perf, half);
    return check(perf, series, count, send, &half->wrong);
}

static void rate(const struct perf *perf, const struct series *series,
                 const struct perf_row *row, struct perf_half *half)
{
    bool reduces = perf->options->collective == PERF_ALL_REDUCE;
    size_t wire = reduces && series->op == BALLOT_MAJORITY
                      ? (row->count + 7) / 8
                      : row->bytes;
    double factor = reduces ? 2.0 * (perf->job.ranks - 1) / perf->job.ranks : 1;

    half->alg_gbs = (double)wire / half->us / 1e3;
    half->bus_gbs = half->alg_gbs * factor;
    half->effective_gbs = (double)row->bytes / half->us / 1e3;
}

static int measure_row(struct perf *perf, const struct series *series,
                       size_t count)
{
    enum perf_collective collective = perf->options->collective;
    struct perf_row row = {
        .bytes = perf_bytes(series->type, count),
        .count = count,
        .type =
            collective == PERF_BARRIER ? "none" : perf_type_names[series->type],
        .op =
            collective == PERF_ALL_REDUCE ? perf_op_names[series->op] : "none",
        .root = collective == PERF_BROADCAST ? perf->options->root : -1,
    };
    void *sends[] = {perf->send, perf->recv};
    struct perf_report *report = &perf->report;
    struct perf_row *rows =
        realloc(report->rows, (report->count + 1) * sizeof(*rows));
    int error = rows != NULL ? 0 : -ENOMEM;

    if (rows != NULL)
        report->rows = rows;
    if (error == 0 && row.bytes > 0)
        error = perf_floor_measure(&perf->job, perf->send, perf->recv,
                                   row.bytes, &row.floor_us);
    for (int h = 0; h < PERF_HALVES && error == 0; h++) {
        error = measure_half(perf, series, count, sends[h], &row.halves[h]);
        if (error == 0)
            rate(perf, series, &row, &row.halves[h]);
    }
    if (error != 0)
        return error;
    report->rows[report->count++] = row;
    if (perf->job.rank == 0 && !perf->options->json)
        perf_table_row(stdout, &row, perf->options->checked);
    return 0;
}

/* ---- All sizes ---------------------------------------------------------- */

static int measure_series(struct perf *perf, const struct series *series)
{
    const struct perf_options *options = perf->options;
    size_t bytes = options->least_bytes;
    int error = 0;

    if (options->collective == PERF_BARRIER)
        return measure_row(perf, series, 0);
    while (bytes <= options->most_bytes && error == 0) {
        size_t count = perf_count(series->type, bytes);

        if (count > 0)
            error = measure_row(perf, series, count);
        if (options->factor > 1)
            bytes *= (size_t)options->factor;
        else
            bytes += options->step_bytes;
    }
    return error;
}

static bool is_asked(const struct perf *perf, const struct series *series)
{
    const struct perf_options *options = perf->options;

    if (options->collective == PERF_BARRIER)
        return series->type == BALLOT_FLOAT32 && series->op == BALLOT_MAJORITY;
    if ((options->types >> series->type & 1) == 0)
        return false;
    if (options->collective == PERF_BROADCAST)
        return series->op == BALLOT_MAJORITY;
    return (options->ops >> series->op & 1) != 0 &&
           (series->op == BALLOT_MAJORITY || series->type == BALLOT_FLOAT32);
}

static int measure_all(struct perf *perf)
{
    int error = 0;

    for (int type = 0; type < BALLOT_VOTE_TYPES; type++)
        for (int op = 0; op < BALLOT_PROD && error == 0; op++) {
            struct series series = {(enum ballot_type)type, (enum ballot_op)op};

            if (is_asked(perf, &series))
                error = measure_series(perf, &series);
        }
    if (error == 0 && perf->report.count == 0) {
        fprintf(stderr, "ballot-perf: no size holds one element of the type; "
                        "raise -e\n");
        return -EINVAL;
    }
    return error;
}

/* ---- Life --------------------------------------------------------------- */

static int name_index(const char *variable, const char *const *names, int count)
{
    const char *value = getenv(variable);

    for (int i = 0; value != NULL && i < count; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    return 0;
}

/* The rules that the library takes from the environment; it refuses others. */
static void read_rules(struct perf *perf)
{
    static const char *const ties[] = {
        [BALLOT_TIE_PLUS] = "plus",
        [BALLOT_TIE_MINUS] = "minus",
        [BALLOT_TIE_ZERO] = "zero",
        [BALLOT_TIE_RANDOM] = "random",
    };
    static const char *const zeros[] = {
        [BALLOT_ZERO_PLUS] = "plus",
        [BALLOT_ZERO_ABSTAIN] = "abstain",
    };

    perf->tie = (enum ballot_tie)name_index("BALLOT_TIE", ties, 4);
    perf->zero = (enum ballot_zero)name_index("BALLOT_ZERO", zeros, 2);
}

static int join(struct perf *perf)
{
    const struct perf_options *options = perf->options;
    struct ballot_config config = BALLOT_CONFIG_DEFAULT;
    size_t count_max = 0;
    int error;

    for (int type = 0; type < BALLOT_VOTE_TYPES; type++) {
        size_t count = perf_count((enum ballot_type)type, options->most_bytes);

        if ((options->types >> type & 1) != 0 && count > count_max)
            count_max = count;
    }
    /* Below it the library's own default is large enough. */
    if (count_max > (size_t)1 << 25)
        config.count_max = count_max;
    error = perf_ranks_join(&perf->job, &config);
    if (error != 0 || options->root < perf->job.ranks)
        return error;
    fprintf(stderr, "ballot-perf: --root %d is no rank; give one below %d\n",
            options->root, perf->job.ranks);
    return -EINVAL;
}

static int reserve(struct perf *perf)
{
    const size_t ranks = (size_t)perf->job.ranks;
    const size_t bytes =
        (perf->options->most_bytes / BUFFER_ALIGN + 1) * BUFFER_ALIGN;

    perf->send = aligned_alloc(BUFFER_ALIGN, bytes);
    perf->recv = aligned_alloc(BUFFER_ALIGN, bytes);
    perf->pids = calloc(ranks, sizeof(*perf->pids));
    if (perf->send == NULL || perf->recv == NULL || perf->pids == NULL) {
        fprintf(stderr,
                "ballot-perf: rank %d: no memory for two buffers of %zu bytes; "
                "lower -e\n",
                perf->job.rank, bytes);
        return -ENOMEM;
    }
    /* Page faults are nobody's bandwidth. */
    memset(perf->send, 0, bytes);
    memset(perf->recv, 0, bytes);
    return 0;
}

static int open_report(struct perf *perf)
{
    const struct perf_options *options = perf->options;
    int error = perf_ranks_gather(&perf->job, (uint64_t)getpid());

    for (int rank = 0; rank < perf->job.ranks; rank++)
        perf->pids[rank] = (pid_t)perf->job.gathered[rank];
    perf->report = (struct perf_report){
        .options = options,
        .ranks = perf->job.ranks,
        .pids = perf->pids,
        .started = time(NULL),
    };
    if (error != 0 || perf->job.rank != 0)
        return error;
    if (options->json_file != NULL) {
        perf->json_file = fopen(options->json_file, "w");
        if (perf->json_file == NULL) {
            error = -errno;
            fprintf(stderr,
                    "ballot-perf: cannot write %s: %s; name a file in a "
                    "folder that this user can write\n",
                    options->json_file, strerror(-error));
            return error;
        }
    }
    if (!options->json)
        perf_table_head(stdout, &perf->report);
    return 0;
}

static int write_report(struct perf *perf)
{
    const struct perf_options *options = perf->options;
    int error = 0;

    if (perf->job.rank != 0)
        return 0;
    if (options->json)
        perf_json(stdout, &perf->report);
    else
        perf_table_foot(stdout, &perf->report);
    if (perf->json_file != NULL)
        perf_json(perf->json_file, &perf->report);
    if (options->plot_file != NULL) {
        error = perf_plot(options->plot_file, &perf->report);
        if (error != 0)
            fprintf(stderr,
                    "ballot-perf: gnuplot could not draw %s; is its folder "
                    "writable, and has gnuplot pngcairo? (gnuplot-nox has)\n",
                    options->plot_file);
    }
    return error;
}

static int close_files(struct perf *perf)
{
    if (perf->json_file != NULL && fclose(perf->json_file) != 0) {
        fprintf(stderr, "ballot-perf: %s: %s; is the disk full?\n",
                perf->options->json_file, strerror(errno));
        return -EIO;
    }
    return 0;
}

int perf_run(const struct perf_options *options)
{
    struct perf perf = {.options = options};
    int error, end;

    read_rules(&perf);
    error = join(&perf);
    if (error == 0)
        error = reserve(&perf);
    if (error == 0)
        error = open_report(&perf);
    if (error == 0)
        error = measure_all(&perf);
    if (error == 0)
        error = write_report(&perf);
    end = close_files(&perf);
    if (error == 0)
        error = end;
    end = perf_ranks_leave(&perf.job);
    if (error == 0)
        error = end;
    if (error == 0 && perf_report_wrong(&perf.report) > 0)
        error = -EBADMSG;
    free(perf.report.rows);
    free(perf.pids);
    free(perf.recv);
    free(perf.send);
    return error == 0 ? 0 : 1;
}
