/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p2p_report.c - the tables of ib_write_bw and ib_write_lat, JSON, a picture.
 */
#include "p2p.h"
#include "perf_report.h"

static const char *const test_names[P2P_TESTS] = {
    [P2P_BANDWIDTH] = "write_bw", [P2P_LATENCY] = "write_lat"};

/* ---- Tables ---- */

void p2p_table_head(FILE *file, const struct p2p_options *options,
                    const struct p2p_row *row)
{
    fprintf(file,
            "# ballot-perf %d.%d.%d p2p %s over %s, depth %d, validation %d\n",
            BALLOT_VERSION_MAJOR, BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH,
            test_names[row->test], p2p_over_names[row->over], options->depth,
            options->checked);
    if (row->test == P2P_BANDWIDTH)
        fputs(" #bytes     #iterations    BW peak[MB/sec]    "
              "BW average[MB/sec]   MsgRate[Mpps]   #wrong\n",
              file);
    else
        fputs(" #bytes #iterations    t_min[usec]    t_max[usec]  "
              "t_typical[usec]    t_avg[usec]    t_stdev[usec]   "
              "99% percentile[usec]   99.9% percentile[usec]   #wrong\n",
              file);
}

void p2p_table_row(FILE *file, const struct p2p_options *options,
                   const struct p2p_row *row)
{
    if (row->test == P2P_BANDWIDTH)
        fprintf(file, " %-10zu %-14d %-18.2f %-20.2f %-15.6f", row->bytes,
                options->iterations, row->peak_mb, row->average_mb, row->mpps);
    else
        fprintf(file,
                " %-6zu %-14d %-14.2f %-12.2f %-18.2f %-14.2f %-15.2f %-22.2f "
                "%-24.2f",
                row->bytes, options->iterations, row->least, row->most,
                row->typical, row->average, row->deviation, row->p99,
                row->p999);
    if (options->checked)
        fprintf(file, " %llu\n", (unsigned long long)row->wrong);
    else
        fputs(" N/A\n", file);
    fflush(file);
}

/* ---- JSON ---- */

static void print_row(FILE *file, const struct p2p_options *options,
                      const struct p2p_row *row)
{
    fprintf(file,
            "    {\"transport\": \"%s\", \"test\": \"%s\", \"bytes\": %zu, "
            "\"iterations\": %d, \"depth\": %d,\n     \"wrong\": ",
            p2p_over_names[row->over], test_names[row->test], row->bytes,
            options->iterations, options->depth);
    if (options->checked)
        fprintf(file, "%llu,\n", (unsigned long long)row->wrong);
    else
        fputs("null,\n", file);
    if (row->test == P2P_BANDWIDTH)
        fprintf(file,
                "     \"bw_peak_mb\": %.6g, \"bw_average_mb\": %.6g, "
                "\"msg_rate_mpps\": %.6g}",
                row->peak_mb, row->average_mb, row->mpps);
    else
        fprintf(file,
                "     \"t_min_us\": %.3f, \"t_max_us\": %.3f, "
                "\"t_typical_us\": %.3f, \"t_avg_us\": %.3f,\n"
                "     \"t_stdev_us\": %.3f, \"t_99_us\": %.3f, "
                "\"t_999_us\": %.3f}",
                row->least, row->most, row->typical, row->average,
                row->deviation, row->p99, row->p999);
}

void p2p_json(FILE *file, const struct p2p_report *report)
{
    perf_json_head(file, report->options->arguments, report->started);
    fputs("  \"results\": [", file);
    for (size_t i = 0; i < report->count; i++) {
        fputs(i > 0 ? ",\n" : "\n", file);
        print_row(file, report->options, &report->rows[i]);
    }
    fputs("\n  ]\n}\n", file);
    fflush(file);
}

/* ---- The picture: bandwidth on the left, latency on the right ---- */

static bool has_rows(const struct p2p_report *report, int over, int test)
{
    for (size_t i = 0; i < report->count; i++)
        if ((int)report->rows[i].over == over &&
            (int)report->rows[i].test == test)
            return true;
    return false;
}

static void draw_test(FILE *gnuplot, const struct p2p_report *report, int test)
{
    const char *separator = "plot ";

    for (int over = 0; over < P2P_OVERS; over++) {
        if (!has_rows(report, over, test))
            continue;
        fprintf(gnuplot, "%s'-' with linespoints lc %d title '%s'", separator,
                over + 1, p2p_over_names[over]);
        separator = ", ";
    }
    fputc('\n', gnuplot);
    for (int over = 0; over < P2P_OVERS; over++) {
        if (!has_rows(report, over, test))
            continue;
        for (size_t i = 0; i < report->count; i++) {
            const struct p2p_row *row = &report->rows[i];

            if ((int)row->over == over && (int)row->test == test)
                fprintf(gnuplot, "%zu %g\n", row->bytes,
                        test == P2P_BANDWIDTH ? row->average_mb : row->typical);
        }
        fputs("e\n", gnuplot);
    }
}

static void draw(FILE *gnuplot, const void *context)
{
    static const char *const units[P2P_TESTS] = {
        [P2P_BANDWIDTH] = "MB/s", [P2P_LATENCY] = "us, half a round trip"};
    const struct p2p_report *report = context;
    uint32_t tests = report->options->tests;

    fprintf(gnuplot,
            "set xlabel 'slot (bytes)'\nset logscale xy\nset logscale x 2\n"
            "set format x '2^{%%L}'\nset key below\nset grid\n"
            "set multiplot layout 1,%d title 'ballot-perf p2p, depth %d'\n",
            __builtin_popcount(tests), report->options->depth);
    for (int test = 0; test < P2P_TESTS; test++) {
        if ((tests >> test & 1) == 0)
            continue;
        fprintf(gnuplot, "set ylabel '%s'\n", units[test]);
        draw_test(gnuplot, report, test);
    }
    fputs("unset multiplot\n", gnuplot);
}

int p2p_plot(const char *png_file, const struct p2p_report *report)
{
    return perf_gnuplot(png_file, draw, report);
}
