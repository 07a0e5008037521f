/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_measure.c - times calls of every size and checks their results.
 *
 * As in nccl-tests: warm-up calls, a barrier, the timed calls back to back, and
 * then one more call on new inputs whose result is checked.
 */
#include "perf_measure.h"

#include "perf_floor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- One size ----------------------------------------------------------- */

static int call_often(struct perf *perf, const struct perf_call *call,
                      int iterations, int grouped)
{
    int error = 0;

    for (int i = 0; i < iterations && error == 0; i++)
        error = perf_call_make(call, grouped, perf->job.comm);
    if (error == 0)
        return 0;
    fprintf(stderr, "ballot-perf: rank %d: %zu elements, %s %s:\n",
            perf->job.rank, call->count, perf_type_names[call->type],
            perf_op_names[call->op]);
    return perf_ranks_complain(&perf->job,
                               perf_collective_name(call->collective), error);
}

static struct perf_draw draw_of(const struct perf *perf,
                                const struct perf_call *call)
{
    return (struct perf_draw){
        .type = call->type,
        .op = call->op,
        .ranks = perf->job.ranks,
        .number = perf->number,
        .tie = perf->tie,
        .zero = perf->zero,
    };
}

static void fill(const struct perf *perf, const struct perf_call *call)
{
    const struct perf_draw draw = draw_of(perf, call);

    perf_fill((void *)call->send, perf_call_sent(call), &draw, perf->job.rank);
}

/* One call on new inputs; *wrong adds up over all ranks. */
static int check(struct perf *perf, const struct perf_call *call,
                 uint64_t *wrong)
{
    const struct perf_source source = perf_call_source(call);
    struct perf_draw draw;
    int error;

    *wrong = 0;
    if (!perf->options->checked || call->count == 0)
        return 0;
    perf->number++;
    draw = draw_of(perf, call);
    /* A result that is not written must not look like the one before. */
    memset(perf->recv, 0xff, perf_call_bytes(call));
    fill(perf, call);
    error = call_often(perf, call, 1, 1);
    if (error != 0)
        return error;
    error = perf_ranks_gather(
        &perf->job,
        perf_wrong(call->recv, perf_call_received(call), &draw, &source));
    for (int rank = 0; rank < perf->job.ranks && error == 0; rank++)
        *wrong += perf->job.gathered[rank];
    return error;
}

static void average(const struct perf *perf, struct perf_half *half)
{
    const double calls_ns =
        1e3 * perf->options->iterations * perf->options->grouped;
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

static void rate(const struct perf_call *call, struct perf_half *half)
{
    half->alg_gbs = (double)perf_call_wire(call) / half->us / 1e3;
    half->bus_gbs = half->alg_gbs * perf_call_bus_factor(call);
    half->effective_gbs = (double)perf_call_bytes(call) / half->us / 1e3;
}

static int measure_half(struct perf *perf, const struct perf_call *call,
                        struct perf_half *half)
{
    const struct perf_options *options = perf->options;
    uint64_t start;
    int error;

    fill(perf, call);
    error = call_often(perf, call, options->warmups, options->grouped);
    if (error == 0)
        error = perf_ranks_meet(&perf->job);
    if (error != 0)
        return error;
    start = now_ns();
    error = call_often(perf, call, options->iterations, options->grouped);
    if (error == 0)
        error = perf_ranks_gather(&perf->job, now_ns() - start);
    if (error != 0)
        return error;
    half->measured = true;
    average(perf, half);
    rate(call, half);
    return check(perf, call, &half->wrong);
}

/* The floor of an earlier row that moves the same bytes at the same ranks; 0:
 * there is none. */
static double known_floor(const struct perf_report *report,
                          const struct perf_call *call)
{
    const int root = perf_has_root(call->collective) ? call->root : -1;

    for (size_t i = 0; i < report->count; i++)
        if (report->rows[i].bytes == perf_call_bytes(call) &&
            report->rows[i].root == root)
            return report->rows[i].floor_us;
    return 0;
}

/* What each rank has to read and to write at least. */
static int measure_floor(struct perf *perf, const struct perf_call *call,
                         double *us)
{
    const size_t sent = perf_bytes(call->type, perf_call_sent(call));
    const size_t received = perf_bytes(call->type, perf_call_received(call));

    *us = known_floor(&perf->report, call);
    if (call->count == 0 || !perf->options->floor || *us > 0)
        return 0;
    return perf_floor_measure(&perf->job,
                              &(struct perf_floor){
                                  .input = perf->send,
                                  .input_bytes = sent,
                                  .output = perf->recv,
                                  .output_bytes = received,
                                  .uneven = perf_has_root(call->collective),
                              },
                              us);
}

static struct perf_row row_of(const struct perf_call *call)
{
    const bool moves = call->collective != PERF_BARRIER;

    return (struct perf_row){
        .bytes = perf_call_bytes(call),
        .count = call->count,
        .type = moves ? perf_type_names[call->type] : "none",
        .op = perf_reduces(call->collective) ? perf_op_names[call->op] : "none",
        .root = perf_has_root(call->collective) ? call->root : -1,
    };
}

static int measure_row(struct perf *perf, struct perf_call *call)
{
    struct perf_row row = row_of(call);
    struct perf_report *report = &perf->report;
    struct perf_row *rows =
        realloc(report->rows, (report->count + 1) * sizeof(*rows));
    int error = rows != NULL ? 0 : -ENOMEM;

    if (rows != NULL)
        report->rows = rows;
    if (error == 0)
        error = measure_floor(perf, call, &row.floor_us);
    for (int h = 0; h < PERF_HALVES && error == 0; h++)
        if (perf_call_place(call, perf->send, perf->recv, h))
            error = measure_half(perf, call, &row.halves[h]);
    if (error != 0)
        return error;
    report->rows[report->count++] = row;
    if (perf->job.rank == 0 && !perf->options->json)
        perf_table_row(stdout, &row, perf->options->checked);
    return 0;
}

/* ---- All that is asked for ---------------------------------------------- */

static int measure_sizes(struct perf *perf, struct perf_call *call)
{
    const struct perf_options *options = perf->options;
    size_t bytes = options->least_bytes;
    int error = 0;

    if (options->collective == PERF_BARRIER)
        return measure_row(perf, call);
    while (bytes <= options->most_bytes && error == 0) {
        call->count = perf_call_count(call, bytes);
        if (call->count > 0)
            error = measure_row(perf, call);
        if (options->factor > 1)
            bytes *= (size_t)options->factor;
        else
            bytes += options->step_bytes;
    }
    return error;
}

static int measure_roots(struct perf *perf, struct perf_call *call)
{
    const struct perf_options *options = perf->options;
    int error = 0;

    if (!perf_has_root(options->collective))
        return measure_sizes(perf, call);
    if (options->root != PERF_ROOT_ALL) {
        call->root = options->root;
        return measure_sizes(perf, call);
    }
    for (call->root = 0; call->root < call->ranks && error == 0; call->root++)
        error = measure_sizes(perf, call);
    return error;
}

/* Makes the op first where it is one that has to be made. */
static int measure_op(struct perf *perf, struct perf_call *call)
{
    uint64_t factor;
    int error;

    if (call->op != PERF_MULSUM) {
        call->made = (enum ballot_op)call->op;
        return measure_roots(perf, call);
    }
    perf_store_one(&factor, call->type, perf_factor(perf->job.rank));
    error = ballot_op_create_premul_sum(&call->made, &factor, call->type,
                                        perf->job.comm);
    if (error != 0)
        return perf_ranks_complain(&perf->job, "ballot_op_create_premul_sum",
                                   error);
    error = measure_roots(perf, call);
    if (error != 0)
        return error;
    error = ballot_op_destroy(call->made, perf->job.comm);
    return error == 0
               ? 0
               : perf_ranks_complain(&perf->job, "ballot_op_destroy", error);
}

int perf_measure(struct perf *perf)
{
    const struct perf_options *options = perf->options;
    int error = 0;

    for (int type = 0; type < BALLOT_TYPES; type++)
        for (int op = 0; op < PERF_OPS && error == 0; op++) {
            struct perf_call call = {
                .collective = options->collective,
                .type = (enum ballot_type)type,
                .op = op,
                .rank = perf->job.rank,
                .ranks = perf->job.ranks,
            };

            if (perf_options_ask(options, call.type, op))
                error = measure_op(perf, &call);
        }
    if (error == 0 && perf->report.count == 0) {
        fprintf(stderr, "ballot-perf: no size holds one element of the type, "
                        "or one for each rank; raise -e\n");
        return -EINVAL;
    }
    return error;
}
