/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_table.c - the table of nccl-tests, with three columns behind it.
 */
#include "perf_report.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH_TIME = 7, WIDTH_BANDWIDTH = 6, WIDTH_FLOOR = 9 };

double perf_report_bus_gbs(const struct perf_report *report)
{
    double sum = 0;
    size_t halves = 0;

    for (size_t i = 0; i < report->count; i++)
        for (int h = 0; h < PERF_HALVES; h++) {
            halves += report->rows[i].halves[h].measured;
            sum += report->rows[i].halves[h].bus_gbs;
        }
    return halves > 0 ? sum / (double)halves : 0;
}

uint64_t perf_report_wrong(const struct perf_report *report)
{
    uint64_t wrong = 0;

    for (size_t i = 0; i < report->count; i++)
        for (int h = 0; h < PERF_HALVES; h++)
            wrong += report->rows[i].halves[h].wrong;
    return wrong;
}

/* Two decimals, or as many as fit the column. */
static void print_number(FILE *file, int width, double value)
{
    char text[64];
    int decimals = 2;

    while (snprintf(text, sizeof(text), "%.*f", decimals, value) > width &&
           decimals > 0)
        decimals--;
    if ((int)strlen(text) > width)
        snprintf(text, sizeof(text), "%.1e", value);
    fprintf(file, "  %*s", width, text);
}

static const char *choice(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL ? value : "default";
}

void perf_table_head(FILE *file, const struct perf_report *report)
{
    const struct perf_options *o = report->options;

    fprintf(file,
            "# ballot-perf %d.%d.%d %s: %d ranks, transport: %s, servers: %s\n"
            "# minBytes %zu maxBytes %zu step: %zu(%s) warmup iters: %d "
            "iters: %d agg iters: %d validation: %d\n#\n# Using ranks\n",
            BALLOT_VERSION_MAJOR, BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH,
            perf_collective_name(o->collective), report->ranks,
            choice("BALLOT_TRANSPORT"), choice("BALLOT_SERVERS"),
            o->least_bytes, o->most_bytes,
            o->factor > 1 ? (size_t)o->factor : o->step_bytes,
            o->factor > 1 ? "factor" : "bytes", o->warmups, o->iterations,
            o->grouped, o->checked);
    for (int rank = 0; rank < report->ranks; rank++)
        fprintf(file, "#  Rank %2d Pid %6d\n", rank, (int)report->pids[rank]);
    fprintf(file,
            "#\n# %10s  %12s  %8s  %6s  %6s           out-of-place           "
            "            in-place                     out-of-place\n",
            "", "", "", "", "");
    fprintf(file, "# %10s  %12s  %8s  %6s  %6s", "size", "count", "type",
            "redop", "root");
    for (int half = 0; half < PERF_HALVES; half++)
        fprintf(file, "  %7s  %6s  %6s  %6s", "time", "algbw", "busbw",
                "#wrong");
    fprintf(file, "  %9s  %7s  %6s\n# %10s  %12s  %8s  %6s  %6s", "floor",
            "effbw", "ratio", "(B)", "(elements)", "", "", "");
    /* One blank less than the columns need: so nccl-tests prints it. */
    for (int half = 0; half < PERF_HALVES; half++)
        fprintf(file, "  %7s  %6s  %6s  %5s", "(us)", "(GB/s)", "(GB/s)", "");
    fprintf(file, "  %11s  %7s  %6s\n", "(us)", "(GB/s)", "");
    fflush(file);
}

static void print_half(FILE *file, const struct perf_half *half, int checked)
{
    if (!half->measured) {
        fprintf(file, "  %7s  %6s  %6s  %6s", "N/A", "N/A", "N/A", "N/A");
        return;
    }
    print_number(file, WIDTH_TIME, half->us);
    print_number(file, WIDTH_BANDWIDTH, half->alg_gbs);
    print_number(file, WIDTH_BANDWIDTH, half->bus_gbs);
    if (checked)
        fprintf(file, "  %6g", (double)half->wrong);
    else
        fprintf(file, "  %6s", "N/A");
}

void perf_table_row(FILE *file, const struct perf_row *row, int checked)
{
    const struct perf_half *first = &row->halves[PERF_OUT_OF_PLACE];
    /* nccl-tests' column has six places. */
    const char *op = strcmp(row->op, "majority") == 0 ? "vote" : row->op;

    fprintf(file, "%12zu  %12zu  %8s  %6s  %6d", row->bytes, row->count,
            row->type, op, row->root);
    for (int h = 0; h < PERF_HALVES; h++)
        print_half(file, &row->halves[h], checked);
    if (row->floor_us > 0) {
        print_number(file, WIDTH_FLOOR, row->floor_us);
        print_number(file, WIDTH_TIME, first->effective_gbs);
        print_number(file, WIDTH_BANDWIDTH, first->us / row->floor_us);
        fputc('\n', file);
    } else {
        fprintf(file, "  %9s  %7s  %6s\n", "N/A", "N/A", "N/A");
    }
    fflush(file);
}

void perf_table_foot(FILE *file, const struct perf_report *report)
{
    uint64_t wrong = perf_report_wrong(report);

    fprintf(file,
            "# Out of bounds values : %llu %s\n"
            "# Avg bus bandwidth    : %g\n#\n"
            "# Collective test concluded: %s_perf\n",
            (unsigned long long)wrong, wrong == 0 ? "OK" : "FAILED",
            perf_report_bus_gbs(report),
            perf_collective_name(report->options->collective));
    fflush(file);
}
