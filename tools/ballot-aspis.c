/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ballot-aspis.c - what redundant tasks make of liars: the papers' tables, and
 * simulations of any other job.
 */
#include <getopt.h>
#include <string.h>

#include "aspis/simulate.h"
#include "aspis/tables.h"

static const char help[] =
    "Usage: ballot-aspis tables [options]\n"
    "       ballot-aspis simulate [options]\n"
    "\n"
    "tables plays the attacks of the papers on Aspis, Aspis+, DETOX and\n"
    "ByzShield, with this library's assignments, verdicts and votes, and\n"
    "prints what they distort beside the numbers that are printed there.\n"
    "\n"
    "      --quick             15 workers alone; seconds\n"
    "      --slow              also what takes minutes: more liars of 35\n"
    "      --csv, --json       for programs\n"
    "      --quiet             do not say on stderr where it is\n"
    "\n"
    "simulate plays one job, round after round; --help after it says how.\n"
    "\n"
    "  -h, --help              print this\n"
    "      --version           print the version\n"
    "\n"
    "Exit status: 0 all numbers are equal; 1 one differs, or memory or a file\n"
    "failed; 2 a wrong command line.\n";

enum { EXIT_PROBLEM = 1, EXIT_USAGE = 2 };

enum { OPTION_QUICK = 256, OPTION_SLOW, OPTION_CSV, OPTION_JSON, OPTION_QUIET };

static const struct option table_options[] = {
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"slow", no_argument, NULL, OPTION_SLOW},
    {"csv", no_argument, NULL, OPTION_CSV},
    {"json", no_argument, NULL, OPTION_JSON},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* The exit status. */
static int play_tables(struct tables *tables, int form)
{
    const int error = tables_play(tables);
    int code = EXIT_PROBLEM;

    if (error == 0) {
        if (form == OPTION_CSV)
            tables_print_csv(stdout, tables);
        else if (form == OPTION_JSON)
            tables_print_json(stdout, tables);
        else
            tables_print(stdout, tables);
        code = tables_differing(tables) > 0 ? EXIT_PROBLEM : 0;
    }
    tables_close(tables);
    if (fflush(stdout) != 0) {
        perror("ballot-aspis: standard output");
        code = EXIT_PROBLEM;
    }
    return code;
}

static int start_tables(int count, char **arguments)
{
    struct tables tables = {.shows = true};
    int form = 0, option;

    while ((option = getopt_long(count, arguments, "h", table_options, NULL)) !=
           -1)
        switch (option) {
        case OPTION_QUICK: tables.quick = true; break;
        case OPTION_SLOW: tables.slow = true; break;
        case OPTION_QUIET: tables.shows = false; break;
        case OPTION_CSV:
        case OPTION_JSON: form = option; break;
        case 'h': fputs(help, stdout); return 0;
        default: return EXIT_USAGE;
        }
    if (optind < count || (tables.quick && tables.slow)) {
        fprintf(stderr, "ballot-aspis: %s; see ballot-aspis --help\n",
                optind < count ? "tables takes no arguments but options"
                               : "--quick and --slow exclude each other");
        return EXIT_USAGE;
    }
    return play_tables(&tables, form);
}

int main(int count, char **arguments)
{
    char *const program = arguments[0];

    if (count > 1 && strcmp(arguments[1], "tables") == 0) {
        arguments[1] = program; /* for getopt's messages */
        return start_tables(count - 1, arguments + 1);
    }
    if (count > 1 && strcmp(arguments[1], "simulate") == 0) {
        arguments[1] = program;
        return simulate_start(count - 1, arguments + 1);
    }
    if (count > 1 && (strcmp(arguments[1], "--help") == 0 ||
                      strcmp(arguments[1], "-h") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    if (count > 1 && strcmp(arguments[1], "--version") == 0) {
        printf("ballot-aspis %d.%d.%d\n", BALLOT_VERSION_MAJOR,
               BALLOT_VERSION_MINOR, BALLOT_VERSION_PATCH);
        return 0;
    }
    if (count > 1)
        fprintf(stderr,
                "ballot-aspis: there is no command %s; use tables or "
                "simulate\n",
                arguments[1]);
    else
        fputs(help, stderr);
    return EXIT_USAGE;
}
