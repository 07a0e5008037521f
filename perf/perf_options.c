/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_options.c - what ballot-perf is asked to measure.
 */
#include "perf_options.h"

#include "collective/launcher.h"
#include "perf_data.h"
#include "tools/launch.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    OPTION_RANKS = 256,
    OPTION_BIND,
    OPTION_TRANSPORT,
    OPTION_SERVERS,
    OPTION_FLOOR,
    OPTION_JSON,
    OPTION_PLOT,
    OPTION_VERSION,
    COUNT_MOST = 1000000000,
    FACTOR_MOST = 1024,
    GROUPED_MOST = 32, /* a communicator has 64 requests */
};

static const char help[] =
    "Usage: ballot-perf COLLECTIVE [options]\n"
    "       ballot-perf p2p [options]; see ballot-perf p2p --help\n"
    "COLLECTIVE: all_reduce, reduce, broadcast, all_gather, reduce_scatter,\n"
    "all_to_all, gather, scatter, sendrecv (in a ring) or barrier.\n"
    "Measures a collective and prints the table of nccl-tests; p2p measures "
    "one\n"
    "pair of ranks without any, as perftest does.\n"
    "\n"
    "  -b, --minbytes SIZE      first size, as the caller sees it (32M)\n"
    "  -e, --maxbytes SIZE      last size (32M); 64, 1K, 32M, 1G\n"
    "  -i, --stepbytes SIZE     add so much from size to size (1M)\n"
    "  -f, --stepfactor N       or multiply by so much\n"
    "  -n, --iters N            timed calls of a size (20)\n"
    "  -w, --warmup_iters N     calls before them (1)\n"
    "  -c, --check 0|1          compare each element on each rank (1)\n"
    "  -m, --agg_iters N        begin so many calls together, as a group (1)\n"
    "  -o, --op OP              majority (default of all_reduce, which alone\n"
    "                           has it), sum (default), avg, prod, min, max,\n"
    "                           mulsum, band, bor, bxor, all\n"
    "  -d, --datatype TYPE      float (default), half, bfloat16, double,\n"
    "                           signs, int8 to uint64, all\n"
    "  -r, --root RANK|all      of those that have one (0)\n"
    "  -a, --average 0|1|2|3    time of rank 0, mean (default), least, most\n"
    "  -J, --output_file FILE   write JSON there too\n"
    "  -T, --timeout S          end with code 124 when not finished by then\n"
    "      --ranks N            start N processes on this host; without it,\n"
    "                           a launcher has: ballot-run -n 4 ballot-perf "
    "...\n"
    "      --bind core|none     with --ranks: each to a core of its own, if\n"
    "                           there are enough (core)\n"
    "      --transport shm|tcp|verbs\n"
    "                           sets BALLOT_TRANSPORT\n"
    "      --servers ranks|root sets BALLOT_SERVERS\n"
    "      --floor 0|1          measure what memory allows (1)\n"
    "      --json               write JSON in place of the table\n"
    "      --plot FILE.png      draw bandwidth against size (needs gnuplot)\n"
    "  -h, --help               print this\n"
    "      --version            print the version\n"
    "\n"
    "size and count are the caller's; where each rank has a block, size is "
    "that\n"
    "of all blocks and count that of one. algbw and busbw are computed as\n"
    "nccl-tests does, from what crosses the wire, which is ceil(count / 8) "
    "bytes\n"
    "for a majority: busbw / algbw is 2 (ranks - 1) / ranks in all_reduce,\n"
    "(ranks - 1) / ranks with blocks, else 1. redop \"vote\" is the "
    "majority.\n"
    "Behind the table of nccl-tests stand, for the out-of-place half:\n"
    "  floor  time in which the same processes, all at once, read their input\n"
    "         and write their output once; mean of ranks (with a root, the\n"
    "         slowest), median of rounds\n"
    "  effbw  caller's bytes / time\n"
    "  ratio  time / floor\n"
    "\n"
    "Exit code: 0; 1 for an error or a wrong value; 2 for a wrong command\n"
    "line; 124 after --timeout.\n";

static const char short_options[] = "b:e:i:f:n:w:m:c:o:d:r:a:J:T:h";

static const struct option long_options[] = {
    {"minbytes", required_argument, NULL, 'b'},
    {"maxbytes", required_argument, NULL, 'e'},
    {"stepbytes", required_argument, NULL, 'i'},
    {"stepfactor", required_argument, NULL, 'f'},
    {"iters", required_argument, NULL, 'n'},
    {"warmup_iters", required_argument, NULL, 'w'},
    {"agg_iters", required_argument, NULL, 'm'},
    {"check", required_argument, NULL, 'c'},
    {"op", required_argument, NULL, 'o'},
    {"datatype", required_argument, NULL, 'd'},
    {"root", required_argument, NULL, 'r'},
    {"average", required_argument, NULL, 'a'},
    {"output_file", required_argument, NULL, 'J'},
    {"timeout", required_argument, NULL, 'T'},
    {"ranks", required_argument, NULL, OPTION_RANKS},
    {"bind", required_argument, NULL, OPTION_BIND},
    {"transport", required_argument, NULL, OPTION_TRANSPORT},
    {"servers", required_argument, NULL, OPTION_SERVERS},
    {"floor", required_argument, NULL, OPTION_FLOOR},
    {"json", no_argument, NULL, OPTION_JSON},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

bool perf_options_ask(const struct perf_options *options, enum ballot_type type,
                      int op)
{
    const enum perf_collective collective = options->collective;

    if (collective == PERF_BARRIER)
        return type == BALLOT_FLOAT32 && op == BALLOT_MAJORITY;
    if ((options->types >> type & 1) == 0)
        return false;
    if (!perf_reduces(collective))
        return op == BALLOT_MAJORITY;
    if (op == BALLOT_MAJORITY && collective != PERF_ALL_REDUCE)
        return false;
    return (options->ops >> op & 1) != 0 && perf_has_op(type, op);
}

bool perf_parse_bytes(const char *text, size_t *bytes)
{
    static const char units[] = "KMG";
    char *end;
    double value = strtod(text, &end);
    const char *unit = *end != '\0' ? strchr(units, *end & ~0x20) : NULL;

    if (end == text || !(value >= 1 && value <= 0x1p40))
        return false;
    if (unit != NULL) {
        value *= (double)(1ull << (10 * (unit - units + 1)));
        end++;
    }
    if (strcasecmp(end, "B") != 0 && *end != '\0')
        return false;
    *bytes = (size_t)value;
    return value <= 0x1p50;
}

/* The index of `text` in names[count] as a bit, or all bits for "all". */
static bool parse_name(const char *text, const char *const *names, int count,
                       uint32_t *bits)
{
    for (int i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0) {
            *bits = 1u << i;
            return true;
        }
    *bits = (1u << count) - 1;
    return strcmp(text, "all") == 0;
}

/* What the library takes from its environment; `words` ends with NULL. */
static bool set_variable(const char *name, const char *const *words)
{
    while (*words != NULL && strcmp(optarg, *words) != 0)
        words++;
    return *words != NULL && setenv(name, optarg, 1) == 0;
}

static const char *unless(bool good, const char *cure)
{
    return good ? NULL : cure;
}

static const char *parse_average(struct perf_options *options)
{
    int average;

    if (!launch_count(optarg, 0, PERF_AVERAGES - 1, &average))
        return "0, 1, 2 or 3";
    options->average = (enum perf_average)average;
    return NULL;
}

static const char *parse_root(struct perf_options *options)
{
    if (strcmp(optarg, "all") == 0) {
        options->root = PERF_ROOT_ALL;
        return NULL;
    }
    return unless(launch_count(optarg, 0, BALLOT_RANKS_MAX - 1, &options->root),
                  "a rank, 0 or more, or all");
}

/* NULL, or what a good value of `option` looks like. */
static const char *parse_option(struct perf_options *o, int option)
{
    static const char *const transports[] = {"shm", "tcp", "verbs", NULL};
    static const char *const servers[] = {"ranks", "root", NULL};

    switch (option) {
    case 'b':
        return unless(perf_parse_bytes(optarg, &o->least_bytes), "64 or 32M");
    case 'e':
        return unless(perf_parse_bytes(optarg, &o->most_bytes), "64 or 32M");
    case 'i':
        return unless(perf_parse_bytes(optarg, &o->step_bytes), "64 or 1M");
    case 'f':
        return unless(launch_count(optarg, 1, FACTOR_MOST, &o->factor),
                      "1 to 1024");
    case 'n':
        return unless(launch_count(optarg, 1, COUNT_MOST, &o->iterations),
                      "1 or more");
    case 'w':
        return unless(launch_count(optarg, 0, COUNT_MOST, &o->warmups),
                      "0 or more");
    case 'm':
        return unless(launch_count(optarg, 1, GROUPED_MOST, &o->grouped),
                      "1 to 32");
    case 'c': return unless(launch_count(optarg, 0, 1, &o->checked), "0 or 1");
    case 'o':
        return unless(parse_name(optarg, perf_op_names, PERF_OPS, &o->ops),
                      "one that ballot-perf --help lists, as in -o sum");
    case 'd':
        return unless(
            parse_name(optarg, perf_type_names, BALLOT_TYPES, &o->types),
            "float, half, bfloat16, double, signs, int8 to uint64, or all");
    case 'r': return parse_root(o);
    case 'a': return parse_average(o);
    case 'J': o->json_file = optarg; return NULL;
    case 'T':
        return unless(launch_seconds(optarg, &o->timeout_ms), "seconds, 60");
    case OPTION_RANKS:
        return unless(launch_count(optarg, 1, BALLOT_RANKS_MAX, &o->ranks),
                      "1 to 1024");
    case OPTION_BIND:
        return unless(launch_binding(optarg, &o->bound), "core or none");
    case OPTION_TRANSPORT:
        return unless(set_variable("BALLOT_TRANSPORT", transports),
                      "shm, tcp or verbs");
    case OPTION_SERVERS:
        return unless(set_variable("BALLOT_SERVERS", servers), "ranks or root");
    case OPTION_FLOOR:
        return unless(launch_count(optarg, 0, 1, &o->floor), "0 or 1");
    case OPTION_JSON: o->json = true; return NULL;
    case OPTION_PLOT: o->plot_file = optarg; return NULL;
    default: return "one that ballot-perf --help lists";
    }
}

int perf_refuse(const char *what, const char *cure)
{
    fprintf(stderr, "ballot-perf: %s; %s\n", what, cure);
    return LAUNCH_EXIT_USAGE;
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

int perf_check_plot(const char *file)
{
    const char *end = strrchr(file, '.');

    if (end == NULL || strcmp(end, ".png") != 0)
        return perf_refuse("--plot draws PNG alone", "name the file X.png");
    if (!is_program("gnuplot"))
        return perf_refuse(
            "--plot needs gnuplot, which is not on PATH",
            "install it (apt-get install gnuplot-nox), or take the "
            "numbers from -J FILE.json");
    return 0;
}

static bool asks_nothing(const struct perf_options *options)
{
    for (int type = 0; type < BALLOT_TYPES; type++)
        for (int op = 0; op < PERF_OPS; op++)
            if (perf_options_ask(options, (enum ballot_type)type, op))
                return false;
    return true;
}

/* What no option can say alone. 0 or the exit code. */
static int check_together(const struct perf_options *options)
{
    if (options->least_bytes > options->most_bytes)
        return perf_refuse(
            "the first size (-b) is above the last (-e)",
            "raise -e, as in -b 1M -e 64M; both are 32M by default");
    if (asks_nothing(options))
        return perf_refuse(
            "the collective has no such op of this type",
            "majority: all_reduce of floats and signs; band, bor, bxor: "
            "integers and signs; mulsum: floats; others: all but signs");
    if (options->ranks > 0 && options->root >= options->ranks)
        return perf_refuse("--root is no rank", "give one below --ranks");
    if (options->ranks > 0 && launcher_has_more())
        return perf_refuse(
            "--ranks starts a job of its own, but the environment says "
            "that a launcher has started one",
            "leave --ranks out, or the launcher");
    if (options->checked && getenv("BALLOT_QUORUM") != NULL)
        return perf_refuse(
            "with BALLOT_QUORUM a late rank's vote may be missing, "
            "so there is no one right result to compare with",
            "give -c 0, or unset BALLOT_QUORUM");
    if (options->plot_file != NULL && options->collective == PERF_BARRIER)
        return perf_refuse("a barrier has no bandwidth to draw",
                           "leave --plot out");
    return options->plot_file != NULL ? perf_check_plot(options->plot_file) : 0;
}

static int parse_collective(struct perf_options *options, int count,
                            char **arguments)
{
    if (optind + 1 != count)
        return perf_refuse(
            optind < count ? "more than one collective is named"
                           : "no collective is named",
            "give one that --help lists, as in ballot-perf all_reduce "
            "--ranks 4");
    for (int i = 0; i < PERF_COLLECTIVES; i++)
        if (strcmp(arguments[optind],
                   perf_collective_name((enum perf_collective)i)) == 0) {
            options->collective = (enum perf_collective)i;
            return 0;
        }
    fprintf(stderr, "ballot-perf: no collective %s; give", arguments[optind]);
    for (int i = 0; i < PERF_COLLECTIVES; i++)
        fprintf(stderr, "%s %s",
                i == 0                     ? ""
                : i + 1 < PERF_COLLECTIVES ? ","
                                           : " or",
                perf_collective_name((enum perf_collective)i));
    fputc('\n', stderr);
    return LAUNCH_EXIT_USAGE;
}

/* 0; or 1 when the program is to end with *code. */
static int take_option(struct perf_options *options, int option, int *code)
{
    const char *good;

    if (option == 'h') {
        fputs(help, stdout);
        return 1;
    }
    if (option == OPTION_VERSION) {
        printf("ballot-perf %d.%d.%d\n", BALLOT_VERSION_MAJOR,
               BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH);
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

int perf_options_parse(struct perf_options *options, int count,
                       char **arguments, int *code)
{
    int option;

    *options = (struct perf_options){
        .bound = true,
        .least_bytes = 32 << 20,
        .most_bytes = 32 << 20,
        .step_bytes = 1 << 20,
        .factor = 1,
        .iterations = 20,
        .warmups = 1,
        .grouped = 1,
        .average = PERF_AVERAGE_MEAN,
        .checked = 1,
        .floor = 1,
        .types = 1u << BALLOT_FLOAT32,
        .arguments = arguments,
    };
    *code = 0;
    while ((option = getopt_long(count, arguments, short_options, long_options,
                                 NULL)) != -1)
        if (take_option(options, option, code) != 0)
            return 1;
    *code = parse_collective(options, count, arguments);
    if (options->ops == 0)
        options->ops = options->collective == PERF_ALL_REDUCE
                           ? 1u << BALLOT_MAJORITY
                           : 1u << BALLOT_SUM;
    if (*code == 0)
        *code = check_together(options);
    return *code != 0;
}
