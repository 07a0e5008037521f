/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot-doctor.c - what this machine can do for ballot, and how to mend what
 * it cannot.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "../include/ballot.h"
#include "doctor/report.h"

static const char help[] =
    "Usage: ballot-doctor [options]\n"
    "Says what this machine can do for ballot, and for each problem the\n"
    "command that mends it.\n"
    "\n"
    "      --self-test         also send bytes to itself over each transport,\n"
    "                          check them, and print latency and bandwidth\n"
    "      --listen [PORT]     also wait for another host's --peer (29531)\n"
    "      --peer HOST[:PORT]  also try each transport with the host where\n"
    "                          --listen runs, and say which ballot would use\n"
    "      --timeout S         give up after S seconds: waiting for the other\n"
    "                          side (--listen 300, --peer 10), and each trial\n"
    "                          (10; S if that is less)\n"
    "      --ranks N           compute memory for a job of N ranks (8)\n"
    "      --json              everything as one JSON object\n"
    "      --root DIR          read /sys, /proc, /dev and /lib/modules below\n"
    "                          DIR, as they were copied from another machine\n"
    "  -h, --help              print this\n"
    "      --version           print the version\n"
    "\n"
    "BALLOT_ variables count as in a job; both sides of --peer need the same\n"
    "BALLOT_KEY_FILE, or none.\n"
    "\n"
    "Keys of the JSON object: version, ok, machine, rdma, memory, tcp, "
    "kernels,\n"
    "problems (each with level, key, what, cure), self_test and peer (null\n"
    "where not asked for). They do not change between versions.\n"
    "\n"
    "Exit status: 0 no problem that stops ballot, and what was tried works;\n"
    "1 a problem; 2 a wrong command line.\n";

enum {
    EXIT_PROBLEM = 1,
    EXIT_USAGE = 2,
    LISTEN_MS = 300000,
    PEER_MS = 10000,
    STAGE_MS = 10000,
    RANKS_DEFAULT = 8,
    TIMEOUT_MAX_S = 86400,
};

struct options {
    bool tests_itself, is_json, has_pair;
    uint32_t ranks;
    uint64_t timeout_ms; /* 0: the defaults */
    const char *root;
    struct pair_options pair;
};

static int usage_error(const char *what, const char *text, const char *cure)
{
    fprintf(stderr, "ballot-doctor: %s%s%s; %s\n", what,
            text != NULL ? " " : "", text != NULL ? text : "", cure);
    return EXIT_USAGE;
}

/* ---- The command line ---- */

enum {
    OPTION_SELF = 256,
    OPTION_LISTEN,
    OPTION_PEER,
    OPTION_TIMEOUT,
    OPTION_RANKS,
    OPTION_JSON,
    OPTION_ROOT,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"self-test", no_argument, NULL, OPTION_SELF},
    {"listen", optional_argument, NULL, OPTION_LISTEN},
    {"peer", required_argument, NULL, OPTION_PEER},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"ranks", required_argument, NULL, OPTION_RANKS},
    {"json", no_argument, NULL, OPTION_JSON},
    {"root", required_argument, NULL, OPTION_ROOT},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static bool parse_number(const char *text, unsigned long least,
                         unsigned long most, unsigned long *number)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' ||
        value < least || value > most)
        return false;
    *number = value;
    return true;
}

/* "--listen 4000" as well as "--listen=4000": the next argument, if it is not
 * an option, is the port. */
static int parse_listen(struct options *options, char **arguments)
{
    const char *text = optarg;
    unsigned long port = PAIR_PORT;

    if (text == NULL && arguments[optind] != NULL &&
        arguments[optind][0] != '-')
        text = arguments[optind++];
    if (text != NULL && !parse_number(text, 0, 65535, &port))
        return usage_error("bad port", text, "give a number up to 65535");
    options->has_pair = options->pair.listens = true;
    options->pair.port = (uint16_t)port;
    return 0;
}

static int parse_peer(struct options *options)
{
    if (*optarg == '\0' || !pair_where(options->pair.where, optarg))
        return usage_error("bad peer", optarg, "give HOST or HOST:PORT");
    options->has_pair = true;
    options->pair.listens = false;
    return 0;
}

/* 0, or what to exit with, as a negative number below 0 for success. */
enum { ENDS_WELL = -1 };

static int parse_option(struct options *options, int option, char **arguments)
{
    unsigned long number = 0;

    switch (option) {
    case OPTION_SELF: options->tests_itself = true; return 0;
    case OPTION_LISTEN: return parse_listen(options, arguments);
    case OPTION_PEER: return parse_peer(options);
    case OPTION_TIMEOUT:
        if (!parse_number(optarg, 1, TIMEOUT_MAX_S, &number))
            return usage_error("bad timeout", optarg,
                               "give whole seconds, as in --timeout 60");
        options->timeout_ms = number * 1000;
        return 0;
    case OPTION_RANKS:
        if (!parse_number(optarg, 1, BALLOT_RANKS_MAX, &number))
            return usage_error("bad number of ranks", optarg,
                               "give 1 to 1024, as in --ranks 16");
        options->ranks = (uint32_t)number;
        return 0;
    case OPTION_JSON: options->is_json = true; return 0;
    case OPTION_ROOT: options->root = optarg; return 0;
    case 'h': fputs(help, stdout); return ENDS_WELL;
    case OPTION_VERSION:
        printf("ballot-doctor %d.%d.%d\n", BALLOT_VERSION_MAJOR,
               BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH);
        return ENDS_WELL;
    default:
        return usage_error("wrong option", NULL, "see ballot-doctor --help");
    }
}

static int parse(struct options *options, int count, char **arguments)
{
    bool listened = false, dialled = false;
    int option, code;

    while ((option = getopt_long(count, arguments, "h", long_options, NULL)) !=
           -1) {
        code = parse_option(options, option, arguments);
        if (code != 0)
            return code;
        listened |= option == OPTION_LISTEN;
        dialled |= option == OPTION_PEER;
    }
    if (optind < count)
        return usage_error("no such argument:", arguments[optind],
                           "see ballot-doctor --help");
    if (listened && dialled)
        return usage_error("--listen and --peer exclude each other", NULL,
                           "run one on each host");
    return 0;
}

/* ---- The visit ---- */

static uint64_t at_most(uint64_t ms, uint64_t otherwise_ms)
{
    return ms != 0 && ms < otherwise_ms ? ms : otherwise_ms;
}

static bool examine(const struct options *options)
{
    static struct facts facts;
    static struct problems problems;
    static struct self_test self;
    static struct pair_result pair;
    struct report report = {.facts = &facts, .problems = &problems};
    struct pair_options pairing = options->pair;
    uint64_t stage_ms = at_most(options->timeout_ms, STAGE_MS);
    bool is_ok;

    facts_read_system(&facts, options->root);
    facts_read_devices(&facts, options->root);
    if (options->root[0] == '\0')
        facts_probe_devices(&facts);
    facts_probe(&facts, options->ranks);
    judge(&problems, &facts);
    is_ok = !problems_stop(&problems);
    if (options->tests_itself) {
        self_run(&self, &facts, stage_ms);
        report.self = &self;
        is_ok = is_ok && self_passed(&self);
    }
    if (options->has_pair) {
        pairing.stage_ms = stage_ms;
        pairing.wait_ms = options->timeout_ms != 0 ? options->timeout_ms
                          : options->pair.listens  ? LISTEN_MS
                                                   : PEER_MS;
        pair_run(&pair, &pairing, &facts);
        report.pair = &pair;
        is_ok = is_ok && pair_passed(&pair);
    }
    if (options->is_json)
        report_json(stdout, &report, is_ok);
    else
        report_text(stdout, &report);
    return is_ok;
}

int main(int count, char **arguments)
{
    struct options options = {.ranks = RANKS_DEFAULT, .root = ""};
    int code = parse(&options, count, arguments);

    if (code != 0)
        return code == ENDS_WELL ? 0 : code;
    return examine(&options) ? 0 : EXIT_PROBLEM;
}
