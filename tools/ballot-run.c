/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot-run.c - starts a program as the ranks of one job on this host.
 */
#include "ballot.h"
#include "launch.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: ballot-run -n RANKS [options] program [arguments...]\n"
    "Starts RANKS processes of a program on this host, as one ballot job.\n"
    "\n"
    "  -n, --ranks RANKS   how many processes, 1 to 1024\n"
    "  -t, --timeout S     end the job after S seconds, with exit code 124\n"
    "  -g, --grace S       when a rank fails, give the others S seconds (5),\n"
    "                      then SIGTERM, and as long again, then SIGKILL\n"
    "  -k, --key-file F    the job's key; default: a random one, in a file\n"
    "                      that is removed at the end\n"
    "  -b, --bind core     each rank to a core of its own, or, if there are\n"
    "                      too few, neighbours to the same, evenly; none\n"
    "                      (default): wherever it runs\n"
    "  -h, --help          print this\n"
    "      --version       print the version\n"
    "\n"
    "Each rank finds BALLOT_RANK, BALLOT_RANKS, BALLOT_LOCAL_RANK,\n"
    "BALLOT_LOCAL_RANKS, BALLOT_ROOT and BALLOT_KEY_FILE in its environment,\n"
    "and nothing on its standard input. Each line that it writes is passed on\n"
    "with \"[rank] \" before it; a line above 16 KiB is broken.\n"
    "\n"
    "SIGHUP, SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 are passed on to all ranks\n"
    "and what they started; a second request to end kills them. Processes\n"
    "that a rank left behind are killed when the last rank has ended.\n"
    "\n"
    "Exit code: 0 when all ranks returned 0; else that of the rank that "
    "failed\n"
    "first (128 + signal if one killed it); 124 after --timeout; 2 for a "
    "wrong\n"
    "command line.\n";

enum { OPTION_VERSION = 256, EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

static int usage_error(const char *what, const char *text, const char *cure)
{
    fprintf(stderr, "ballot-run: %s%s%s; %s\n", what, text != NULL ? " " : "",
            text != NULL ? text : "", cure);
    return LAUNCH_EXIT_USAGE;
}

static int run_program(void *context)
{
    char **arguments = context;

    execvp(arguments[0], arguments);
    if (errno == ENOENT) {
        fprintf(stderr,
                "ballot-run: no program %s; give its path (./%s) or put its "
                "folder on PATH\n",
                arguments[0], arguments[0]);
        return EXIT_NOT_FOUND;
    }
    fprintf(stderr,
            "ballot-run: cannot run %s: %s; is it an executable file?\n",
            arguments[0], strerror(errno));
    return EXIT_CANNOT_RUN;
}

/* 0; or 1 when the program is to end with *code. */
static int parse_option(struct launch *launch, int option, int *code)
{
    switch (option) {
    case 'n':
        if (launch_count(optarg, 1, BALLOT_RANKS_MAX, &launch->ranks))
            return 0;
        *code = usage_error("bad number of ranks", optarg,
                            "give 1 to 1024, as in -n 4");
        return 1;
    case 't':
        if (launch_seconds(optarg, &launch->timeout_ms))
            return 0;
        *code = usage_error("bad timeout", optarg,
                            "give seconds, as in --timeout 60");
        return 1;
    case 'g':
        if (launch_seconds(optarg, &launch->grace_ms))
            return 0;
        *code =
            usage_error("bad grace", optarg, "give seconds, as in --grace 5");
        return 1;
    case 'k': launch->key_file = optarg; return 0;
    case 'b':
        if (launch_binding(optarg, &launch->bound))
            return 0;
        *code = usage_error("bad binding", optarg, "give core or none");
        return 1;
    case 'h':
        fputs(help, stdout);
        *code = 0;
        return 1;
    case OPTION_VERSION:
        printf("ballot-run %d.%d.%d\n", BALLOT_VERSION_MAJOR,
               BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH);
        *code = 0;
        return 1;
    default:
        *code = usage_error("wrong option", NULL, "see ballot-run --help");
        return 1;
    }
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        {"ranks", required_argument, NULL, 'n'},
        {"timeout", required_argument, NULL, 't'},
        {"grace", required_argument, NULL, 'g'},
        {"key-file", required_argument, NULL, 'k'},
        {"bind", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };
    struct launch launch = {
        .program = "ballot-run",
        .prefixed = true,
        .grace_ms = LAUNCH_GRACE_MS,
        .body = run_program,
    };
    int option, code;

    /* The + ends our options at the program: what follows is its own. */
    while ((option = getopt_long(count, arguments, "+n:t:g:k:b:h", options,
                                 NULL)) != -1)
        if (parse_option(&launch, option, &code) != 0)
            return code;
    if (launch.ranks == 0)
        return usage_error("no number of ranks", NULL,
                           "give one, as in ballot-run -n 4 ./program");
    if (optind >= count)
        return usage_error("no program", NULL,
                           "give one, as in ballot-run -n 4 ./program");
    launch.context = &arguments[optind];
    return launch_run(&launch);
}
