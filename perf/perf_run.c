/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_run.c - one rank's part of the measurement, from joining to the report.
 */
#include "perf_run.h"

#include "perf_measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_ALIGN = 4096 };

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

    /* Votes alone reserve memory for their counts. */
    for (int type = 0; type < BALLOT_TYPES; type++) {
        size_t count = perf_count((enum ballot_type)type, options->most_bytes);

        if (perf_options_ask(options, (enum ballot_type)type,
                             BALLOT_MAJORITY) &&
            options->collective == PERF_ALL_REDUCE && count > count_max)
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
        error = perf_measure(&perf);
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
