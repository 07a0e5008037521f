/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - what bench_kernels is asked to do.
 */
#include "options.h"

#include "measure.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTION_TABLE = 256,
    OPTION_JSON,
    OPTION_QUICK,
    OPTION_GATE,
    OPTION_ROUNDS,
    OPTION_TRIES,
    OPTION_ONLY,
    OPTION_TSV,
    OPTION_PLOT,
    ROUNDS = 9,
    TRIES = 3,
    ROUNDS_QUICK = 3,
};

static const char help[] =
    "Usage: bench_kernels [Google Benchmark's options]\n"
    "       bench_kernels --table [options]\n"
    "Measures the kernels of aggregate/ beside what memory allows.\n"
    "\n"
    "Without --table each kernel and each limit is a benchmark of Google\n"
    "Benchmark, ID/WORK/KERNELS/PLACE[/VOTERS]; `ratio` is the kernel's speed "
    "to\n"
    "its limit's, taken in turn:\n"
    "  --benchmark_filter=REGEX      which; --benchmark_list_tests names them\n"
    "  --benchmark_format=console|json|csv\n"
    "  --benchmark_out=FILE          write there too, as "
    "--benchmark_out_format\n"
    "  --benchmark_min_time=S, --benchmark_repetitions=N and its others\n"
    "\n"
    "With --table kernel and limit take turns for some rounds, and a row "
    "shows\n"
    "the median of the rounds' ratios beside the ratio that is required:\n"
    "  --only ID[,ID...]  rows of these requirements: V1, P1 ...\n"
    "  --rounds N         rounds of each row, 1 to 1000 (9)\n"
    "  --tries N          a row that is not met is measured again, up to N "
    "times "
    "in\n"
    "                     all, and the best stands (3)\n"
    "  --quick            3 short rounds, less memory: to see that it works\n"
    "  --json             write JSON in place of the table\n"
    "  --tsv FILE         write the rows there too, tab-separated\n"
    "  --plot FILE.png    draw them (needs gnuplot)\n"
    "  --gate             exit with 1 if a required ratio is not met\n"
    "  -h, --help         print this\n"
    "\n"
    "V: vote, P: pack, Signum and error feedback, U: unpack and update, T: "
    "threads.\n"
    "Bytes are those\n"
    "that a limit must read or write, so GB/s of one row compare. rd1 reads "
    "all\n"
    "rows one after the other, or reads them as the vote does, or2 two columns "
    "at a\n"
    "time; rd reads one stream.\n"
    "BALLOT_KERNELS chooses the kernels of rows that do not name theirs.\n"
    "A run of all rows takes a minute or two and 2 GB; let the machine do "
    "nothing\n"
    "else.\n"
    "\n"
    "Exit code: 0; 1 for an error or a wrong result, or with --gate; 2 for a\n"
    "wrong command line.\n";

static const struct option long_options[] = {
    {"table", no_argument, NULL, OPTION_TABLE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"gate", no_argument, NULL, OPTION_GATE},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"tries", required_argument, NULL, OPTION_TRIES},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"tsv", required_argument, NULL, OPTION_TSV},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"help", no_argument, NULL, 'h'},
    {0},
};

int bench_refuse(const char *what, const char *cure)
{
    fprintf(stderr, "bench_kernels: %s; %s\n", what, cure);
    return BENCH_EXIT_USAGE;
}

static bool is_program(const char *name)
{
    const char *path = getenv("PATH");

    while (path != NULL && *path != '\0') {
        char file[4096];
        int folder = (int)strcspn(path, ":");

        snprintf(file, sizeof(file), "%.*s/%s", folder, path, name);
        if (access(file, X_OK) == 0)
            return true;
        path += folder + (path[folder] == ':');
    }
    return false;
}

static int check_plot(const char *file)
{
    const char *end = strrchr(file, '.');

    if (end == NULL || strcmp(end, ".png") != 0)
        return bench_refuse("--plot draws PNG alone", "name the file X.png");
    if (!is_program("gnuplot"))
        return bench_refuse("--plot needs gnuplot, which is not on PATH",
                            "install it (apt-get install gnuplot-nox), or "
                            "take the numbers from --tsv FILE");
    return 0;
}

/* 0 or the exit code. */
static int parse_number(const char *name, long most, int *number)
{
    char *end, what[64], cure[64];
    const long given = strtol(optarg, &end, 10);

    if (end == optarg || *end != '\0' || given < 1 || given > most) {
        snprintf(what, sizeof(what), "%s takes a number", name);
        snprintf(cure, sizeof(cure), "give 1 to %ld", most);
        return bench_refuse(what, cure);
    }
    *number = (int)given;
    return 0;
}

static int take_option(struct bench_options *options, int option)
{
    switch (option) {
    case OPTION_TABLE: options->table = true; return 0;
    case OPTION_JSON: options->json = true; return 0;
    case OPTION_QUICK: options->quick = true; return 0;
    case OPTION_GATE: options->gate = true; return 0;
    case OPTION_ROUNDS:
        return parse_number("--rounds", BENCH_ROUNDS_MAX, &options->rounds);
    case OPTION_TRIES: return parse_number("--tries", 100, &options->tries);
    case OPTION_ONLY: options->only = optarg; return 0;
    case OPTION_TSV: options->tsv_file = optarg; return 0;
    case OPTION_PLOT: options->plot_file = optarg; return check_plot(optarg);
    default: return BENCH_EXIT_USAGE;
    }
}

static int refuse_option(const char *argument)
{
    fprintf(stderr,
            "bench_kernels: %s is no option of the table, or lacks its value; "
            "give one that bench_kernels --help lists\n",
            argument);
    return BENCH_EXIT_USAGE;
}

/* The command line is the table's, or all of it Google Benchmark's. */
static bool has_argument(int count, char **arguments, const char *wanted)
{
    for (int i = 1; i < count; i++)
        if (strcmp(arguments[i], wanted) == 0)
            return true;
    return false;
}

int bench_options_parse(struct bench_options *options, int count,
                        char **arguments, int *code)
{
    int option;

    *options = (struct bench_options){0};
    *code = 0;
    if (has_argument(count, arguments, "--help") ||
        has_argument(count, arguments, "-h")) {
        fputs(help, stdout);
        return 1;
    }
    if (!has_argument(count, arguments, "--table"))
        return 0;
    opterr = 0;
    while (*code == 0 && (option = getopt_long(count, arguments, "h",
                                               long_options, NULL)) != -1)
        *code = option == '?' ? refuse_option(arguments[optind - 1])
                              : take_option(options, option);
    if (*code == 0 && optind < count)
        *code = refuse_option(arguments[optind]);
    if (options->rounds == 0)
        options->rounds = options->quick ? ROUNDS_QUICK : ROUNDS;
    if (options->tries == 0)
        options->tries = options->quick ? 1 : TRIES;
    return *code != 0;
}
