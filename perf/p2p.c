/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p2p.c - one transport after the other, one test after the other, one size
 * after the other.
 */
#include "p2p.h"
#include "p2p_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct p2p_options *options;
    struct p2p_pair pair;
    struct p2p_report report;
    uint64_t wrong;
    FILE *json_file; /* on rank 0, if there is one */
};

static bool reports(const struct run *run)
{
    return run->pair.rank == 0;
}

static int add_row(struct run *run, const struct p2p_row *row)
{
    struct p2p_report *report = &run->report;
    struct p2p_row *rows =
        realloc(report->rows, (report->count + 1) * sizeof(*report->rows));

    if (rows == NULL)
        return -ENOMEM;
    report->rows = rows;
    rows[report->count++] = *row;
    return 0;
}

static int measure_size(struct run *run, struct p2p_row row)
{
    bool first = row.bytes == run->options->least_bytes;
    int rc = p2p_measure(&run->pair, run->options, &row);

    if (rc != 0) {
        fprintf(stderr,
                "ballot-perf: p2p over %s, %zu bytes: rank %u: %s; what ended "
                "the other rank is said above or below\n",
                p2p_over_names[row.over], row.bytes, run->pair.rank,
                strerror(-rc));
        return rc;
    }
    run->wrong += row.wrong;
    if (!reports(run))
        return 0;
    if (!run->options->json && first)
        p2p_table_head(stdout, run->options, &row);
    if (!run->options->json)
        p2p_table_row(stdout, run->options, &row);
    return add_row(run, &row);
}

static int measure_test(struct run *run, enum p2p_over over, enum p2p_test test)
{
    const struct p2p_options *o = run->options;
    int rc = 0;

    for (size_t bytes = o->least_bytes; bytes <= o->most_bytes && rc == 0;
         bytes *= (size_t)o->factor)
        rc = measure_size(
            run, (struct p2p_row){.over = over, .test = test, .bytes = bytes});
    return rc;
}

static int measure_over(struct run *run, enum p2p_over over)
{
    int rc = p2p_pair_link(&run->pair, over);

    for (int t = 0; t < P2P_TESTS && rc == 0; t++)
        if (run->options->tests >> t & 1)
            rc = measure_test(run, over, (enum p2p_test)t);
    if (rc == 0)
        p2p_pair_unlink(&run->pair);
    return rc;
}

static int measure_all(struct run *run)
{
    int rc = 0;

    for (int o = 0; o < P2P_OVERS && rc == 0; o++)
        if (run->pair.works[o])
            rc = measure_over(run, (enum p2p_over)o);
    return rc;
}

static int open_report(struct run *run)
{
    const char *file = run->options->json_file;

    run->report.options = run->options;
    run->report.started = time(NULL);
    if (!reports(run) || file == NULL)
        return 0;
    run->json_file = fopen(file, "w");
    if (run->json_file != NULL)
        return 0;
    fprintf(stderr,
            "ballot-perf: cannot write %s: %s; name a file in a folder that "
            "this user can write\n",
            file, strerror(errno));
    return -EIO;
}

static int write_report(struct run *run)
{
    const struct p2p_options *options = run->options;
    int rc = 0;

    if (!reports(run))
        return 0;
    if (options->json)
        p2p_json(stdout, &run->report);
    if (run->json_file != NULL)
        p2p_json(run->json_file, &run->report);
    if (options->plot_file != NULL)
        rc = p2p_plot(options->plot_file, &run->report);
    if (rc != 0)
        fprintf(stderr,
                "ballot-perf: gnuplot could not draw %s; is its folder "
                "writable, and has gnuplot pngcairo? (gnuplot-nox has)\n",
                options->plot_file);
    return rc;
}

static int close_file(const struct run *run)
{
    if (run->json_file == NULL || fclose(run->json_file) == 0)
        return 0;
    fprintf(stderr, "ballot-perf: %s: %s; is the disk full?\n",
            run->options->json_file, strerror(errno));
    return -EIO;
}

int p2p_run(const struct p2p_options *options)
{
    struct run *run = calloc(1, sizeof(*run));
    int rc, end;

    if (run == NULL)
        return 1;
    run->options = options;
    rc = p2p_pair_open(&run->pair, options);
    if (rc == 0)
        rc = open_report(run);
    if (rc == 0)
        rc = measure_all(run);
    if (rc == 0)
        rc = write_report(run);
    end = close_file(run);
    rc = rc != 0 ? rc : end;
    if (rc == 0 && run->wrong > 0)
        rc = -EBADMSG;
    p2p_pair_close(&run->pair);
    free(run->report.rows);
    free(run);
    return rc == 0 ? 0 : 1;
}
