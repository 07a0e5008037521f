/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - simulates whole communicators under faults, seed by seed.
 *
 * Each seed lives several communicators until they have had so many rounds
 * together; every tenth seed is run twice and must give the same trace.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"

enum { REPLAY_EVERY = 10, TABLE_SEEDS_MIN = 100 };

struct options {
    uint64_t first, seeds;
    uint32_t rounds;
    bool verbose;
};

static void print_help(FILE *out)
{
    fputs("use: test_sim [--seeds N] [--first-seed N] [--rounds N]\n"
          "       test_sim --seed N [--rounds N] [-v]\n"
          "\n"
          "  --seeds N       how many seeds (100)\n"
          "  --first-seed N  the first of them (1)\n"
          "  --seed N        this seed alone\n"
          "  --rounds N      rounds of each seed (100)\n"
          "  -v              print the trace\n",
          out);
}

static bool parse_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *number <= most;
}

/* 0, or the exit status to leave with. -1: help was printed. */
static int parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.first = 1, .seeds = 100, .rounds = 100};
    for (int i = 1; i < argc; i++) {
        uint64_t number = 0;

        if (strcmp(argv[i], "--help") == 0) {
            print_help(stdout);
            return -1;
        }
        if (strcmp(argv[i], "-v") == 0) {
            options->verbose = true;
            continue;
        }
        if (i + 1 == argc || !parse_number(argv[i + 1], UINT32_MAX, &number)) {
            fprintf(stderr,
                    "test_sim: %s: want a number after it, see --help\n",
                    argv[i]);
            return 2;
        }
        if (strcmp(argv[i], "--seeds") == 0) {
            options->seeds = number;
        } else if (strcmp(argv[i], "--first-seed") == 0) {
            options->first = number;
        } else if (strcmp(argv[i], "--rounds") == 0) {
            options->rounds = (uint32_t)number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            options->first = number;
            options->seeds = 1;
        } else {
            fprintf(stderr, "test_sim: no option %s, see --help\n", argv[i]);
            return 2;
        }
        i++;
    }
    return 0;
}

static void run_seed(struct run *run)
{
    uint32_t rounds = 0;

    for (uint32_t life = 0; rounds < run->rounds && !run->failed; life++)
        rounds += cluster_live(run, life, run->rounds - rounds);
}

/* The same seed again must do the same. */
static bool replays(const struct run *first)
{
    struct run again = {.seed = first->seed, .rounds = first->rounds};

    run_seed(&again);
    if (again.hash != first->hash)
        run_fail(&again,
                 "the trace differs when replayed: %016" PRIx64
                 ", then %016" PRIx64,
                 first->hash, again.hash);
    return !again.failed;
}

static bool print_table(const struct run *all, const struct options *options)
{
    uint32_t never = 0;

    for (int f = 0; f < FATES; f++) {
        bool missing = all->fates[f] == 0 && options->seeds >= TABLE_SEEDS_MIN;

        printf("  %-32s %12" PRIu64 "%s\n", fate_name((enum fate)f),
               all->fates[f], missing ? "  NEVER" : "");
        never += missing;
    }
    printf("%" PRIu64 " seeds, %" PRIu64
           " chunks counted and recounted, %" PRIu64
           " rounds ended at a rank\n",
           options->seeds, all->votes, all->ended);
    if (never > 0)
        fprintf(stderr,
                "test_sim: %u of %d kinds never happened: the simulation does "
                "not test them\n",
                never, FATES);
    return never == 0;
}

int main(int argc, char **argv)
{
    struct options options;
    struct run all = {0};
    int rc = parse(&options, argc, argv);

    if (rc != 0)
        return rc < 0 ? 0 : rc;
    for (uint64_t i = 0; i < options.seeds; i++) {
        struct run run = {.seed = options.first + i,
                          .rounds = options.rounds,
                          .verbose = options.verbose};

        run_seed(&run);
        if (run.failed || (i % REPLAY_EVERY == 0 && !replays(&run)))
            return 1;
        for (int f = 0; f < FATES; f++)
            all.fates[f] += run.fates[f];
        all.votes += run.votes;
        all.ended += run.ended;
        all.hash ^= run.hash;
    }
    rc = print_table(&all, &options) ? 0 : 1;
    printf("trace %016" PRIx64 "\n", all.hash);
    return rc;
}
