/* SPDX-License-Identifier: Apache-2.0 */
/*
 * p2p_options.c - what ballot-perf p2p is asked to measure.
 */
#include "p2p.h"

#include "collective/launcher.h"
#include "perf_options.h"
#include "tools/launch.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_DEPTH = 256,
    OPTION_TEST,
    OPTION_TRANSPORT,
    OPTION_BIND,
    OPTION_JSON,
    OPTION_PLOT,
    ITERATIONS_MOST = 10000000,
    FACTOR_MOST = 1024,
    LINE_BYTES = 64,
};

static const char help[] =
    "Usage: ballot-perf p2p [options]\n"
    "Measures slots that one rank writes at another, below all collectives,\n"
    "and prints the tables of perftest (ib_write_bw, ib_write_lat).\n"
    "\n"
    "  -b, --minbytes SIZE      first size (64); sizes are multiples of 64\n"
    "  -e, --maxbytes SIZE      last size (1M), which is the most\n"
    "  -f, --stepfactor N       multiply by so much from size to size (4)\n"
    "  -n, --iters N            timed puts, or round trips, of a size (1000)\n"
    "  -c, --check 0|1          compare bytes that arrived, before the timed\n"
    "                           puts (1)\n"
    "  -J, --output_file FILE   write JSON there too\n"
    "  -T, --timeout S          end with code 124 when not finished by then\n"
    "      --depth N            slots in flight, 1 to 1024 (8, the window)\n"
    "      --test bw|lat        one of the two tests\n"
    "      --transport shm|tcp|verbs\n"
    "                           this one alone; without it, all that work\n"
    "                           here\n"
    "      --bind core|none     each process to a core of its own (core)\n"
    "      --json               write JSON in place of the tables\n"
    "      --plot FILE.png      draw both against size (needs gnuplot)\n"
    "  -h, --help               print this\n"
    "\n"
    "It starts two processes on this host, or is one of two that a launcher\n"
    "has started: ballot-run -n 2 ballot-perf p2p ...\n"
    "MB are 2^20 bytes. A put has ended when the receiver has taken it and\n"
    "said so by a credit; peak is the best run of consecutive puts. Latency "
    "is\n"
    "half a round trip. Over shm the sender writes each slot, for that is "
    "what\n"
    "sends it; elsewhere, as in perftest, what was staged once is sent again.\n"
    "\n"
    "Exit code: 0; 1 for an error or wrong bytes; 2 for a wrong command line;\n"
    "124 after --timeout.\n";

static const struct option long_options[] = {
    {"minbytes", required_argument, NULL, 'b'},
    {"maxbytes", required_argument, NULL, 'e'},
    {"stepfactor", required_argument, NULL, 'f'},
    {"iters", required_argument, NULL, 'n'},
    {"check", required_argument, NULL, 'c'},
    {"output_file", required_argument, NULL, 'J'},
    {"timeout", required_argument, NULL, 'T'},
    {"depth", required_argument, NULL, OPTION_DEPTH},
    {"test", required_argument, NULL, OPTION_TEST},
    {"transport", required_argument, NULL, OPTION_TRANSPORT},
    {"bind", required_argument, NULL, OPTION_BIND},
    {"json", no_argument, NULL, OPTION_JSON},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool parse_size(const char *text, size_t *bytes)
{
    size_t value;

    if (!perf_parse_bytes(text, &value) || value % LINE_BYTES != 0 ||
        value == 0 || value > P2P_BYTES_MAX)
        return false;
    *bytes = value;
    return true;
}

/* The index of `text` in names[count] as a bit. */
static bool parse_one(const char *text, const char *const *names, int count,
                      uint32_t *bits)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0) {
            *bits = 1u << i;
            return true;
        }
    return false;
}

static const char *unless(bool good, const char *cure)
{
    return good ? NULL : cure;
}

/* NULL, or what a good value of `option` looks like. */
static const char *parse_option(struct p2p_options *o, int option)
{
    static const char *const tests[] = {
        [P2P_BANDWIDTH] = "bw", [P2P_LATENCY] = "lat"};
    static const char size[] = "a multiple of 64 up to 1M, 64 or 32K";

    switch (option) {
    case 'b': return unless(parse_size(optarg, &o->least_bytes), size);
    case 'e': return unless(parse_size(optarg, &o->most_bytes), size);
    case 'f':
        return unless(launch_count(optarg, 2, FACTOR_MOST, &o->factor),
                      "2 to 1024");
    case 'n':
        return unless(launch_count(optarg, 1, ITERATIONS_MOST, &o->iterations),
                      "1 to 10000000");
    case 'c': return unless(launch_count(optarg, 0, 1, &o->checked), "0 or 1");
    case 'J': o->json_file = optarg; return NULL;
    case 'T':
        return unless(launch_seconds(optarg, &o->timeout_ms), "seconds, 60");
    case OPTION_DEPTH:
        return unless(launch_count(optarg, 1, P2P_DEPTH_MAX, &o->depth),
                      "1 to 1024");
    case OPTION_TEST:
        return unless(parse_one(optarg, tests, P2P_TESTS, &o->tests),
                      "bw or lat");
    case OPTION_TRANSPORT:
        o->asked = true;
        return unless(parse_one(optarg, p2p_over_names, P2P_OVERS, &o->overs),
                      "shm, tcp or verbs");
    case OPTION_BIND:
        return unless(launch_binding(optarg, &o->bound), "core or none");
    case OPTION_JSON: o->json = true; return NULL;
    case OPTION_PLOT: o->plot_file = optarg; return NULL;
    default: return "one that ballot-perf p2p --help lists";
    }
}

/* 0; or 1 when the program is to end with *code. */
static int take_option(struct p2p_options *options, int option, int *code)
{
    const char *good;

    if (option == 'h') {
        fputs(help, stdout);
        return 1;
    }
    good = parse_option(options, option);
    if (good == NULL)
        return 0;
    fprintf(stderr, "ballot-perf: wrong option or value%s%s; give %s\n",
            optarg != NULL ? " " : "", optarg != NULL ? optarg : "", good);
    *code = LAUNCH_EXIT_USAGE;
    return 1;
}

/* What no option can say alone. 0 or the exit code. */
static int check_together(const struct p2p_options *options, int operands)
{
    if (operands != 1)
        return perf_refuse("p2p takes options alone",
                           "see ballot-perf p2p --help");
    if (options->least_bytes > options->most_bytes)
        return perf_refuse("the first size (-b) is above the last (-e)",
                           "raise -e, or lower -b");
    return options->plot_file != NULL ? perf_check_plot(options->plot_file) : 0;
}

int p2p_options_parse(struct p2p_options *options, int count, char **arguments,
                      int *code)
{
    int option;

    *options = (struct p2p_options){
        .least_bytes = LINE_BYTES,
        .most_bytes = P2P_BYTES_MAX,
        .factor = 4,
        .iterations = 1000,
        .depth = 8,
        .checked = 1,
        .overs = (1u << P2P_OVERS) - 1,
        .tests = (1u << P2P_TESTS) - 1,
        .ranks = launcher_has_more() ? 0 : 2,
        .bound = true,
        .arguments = arguments,
    };
    *code = 0;
    while ((option = getopt_long(count, arguments, "b:e:f:n:c:J:T:h",
                                 long_options, NULL)) != -1)
        if (take_option(options, option, code) != 0)
            return 1;
    *code = check_together(options, count - optind);
    return *code != 0;
}
