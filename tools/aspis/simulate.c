/* SPDX-License-Identifier: Apache-2.0 */
/* simulate.c - ballot-aspis simulate: a job of redundant tasks with liars. */
#include "simulate.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: ballot-aspis simulate [options]\n"
    "Plays a job in which several workers compute each task and some lie, and\n"
    "prints round by round what the rule makes of it.\n"
    "\n"
    "      --workers K         (15)\n"
    "      --design D          subsets, sts, plane, repetition or mols (sts)\n"
    "      --replicas R        workers that compute a task (3)\n"
    "      --liars Q           workers that lie (2)\n"
    "      --promise Q         as many as the rule reckons with (as --liars)\n"
    "      --attack NAME[,NAME]  who lies where, and what; either or both\n"
    "                          (majority,reversed)\n"
    "        independent       each in all its tasks, by itself: ATT-1\n"
    "        fixed             to as many victims as there are liars: ATT-2\n"
    "        majority          where liars are the majority: ATT-3\n"
    "        take-over         to one victim fewer than there are liars\n"
    "        scapegoat         all in all tasks but one, who makes a tie\n"
    "        framing           to a single victim\n"
    "        matching          each to a victim of its own; needs --tolerance\n"
    "        promise-broken    one liar more than promised, in all tasks\n"
    "        silent-group      where there is no honest worker\n"
    "        reversed, constant, random, alie, inner-product, anti,\n"
    "        selective, mimic, silent, nan\n"
    "                          what they say: see ballot_attack.h\n"
    "      --rate X            chance that a lie is told, above 0 to 1 (1)\n"
    "      --rule R            proof, paper, paper+, or vote: no verdict\n"
    "                          (proof)\n"
    "      --evidence E        round: only of the same round; keep: of all\n"
    "                          (round; paper+ has its window of 15)\n"
    "      --fixed-places      workers do not change places between rounds\n"
    "      --tolerance N       coordinates in which honest workers may differ\n"
    "                          (0)\n"
    "      --coordinates N     of a task, up to 4096 (512)\n"
    "      --rounds N          (20)\n"
    "      --seed N            of liars, victims, places and signs; 0: the\n"
    "                          first workers lie, to the next ones (1)\n"
    "      --csv FILE          write the rounds there too\n"
    "      --json              print JSON, with all verdicts\n"
    "      --plot FILE.png     draw the rounds; needs gnuplot\n"
    "  -h, --help              print this\n"
    "\n"
    "Columns: tasks disputed, corrupted (their value is not the true one) and\n"
    "dropped; liars caught, honest workers wronged by an accusation, liars\n"
    "trusted; coordinates of the vote over all tasks that have another sign\n"
    "than without liars; the outcome of the verdict.\n"
    "\n"
    "Exit status: 0; 1 if memory or a file failed; 2 a wrong command line.\n";

enum {
    EXIT_PROBLEM = 1,
    EXIT_USAGE = 2,
    ROUNDS_MAX = 1000000,
    COORDINATES = 512,
};

enum {
    OPTION_WORKERS = 256,
    OPTION_DESIGN,
    OPTION_REPLICAS,
    OPTION_LIARS,
    OPTION_PROMISE,
    OPTION_ATTACK,
    OPTION_RATE,
    OPTION_RULE,
    OPTION_EVIDENCE,
    OPTION_FIXED,
    OPTION_TOLERANCE,
    OPTION_COORDINATES,
    OPTION_ROUNDS,
    OPTION_SEED,
    OPTION_CSV,
    OPTION_JSON,
    OPTION_PLOT,
};

static const struct option long_options[] = {
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"design", required_argument, NULL, OPTION_DESIGN},
    {"replicas", required_argument, NULL, OPTION_REPLICAS},
    {"liars", required_argument, NULL, OPTION_LIARS},
    {"promise", required_argument, NULL, OPTION_PROMISE},
    {"attack", required_argument, NULL, OPTION_ATTACK},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"rule", required_argument, NULL, OPTION_RULE},
    {"evidence", required_argument, NULL, OPTION_EVIDENCE},
    {"fixed-places", no_argument, NULL, OPTION_FIXED},
    {"tolerance", required_argument, NULL, OPTION_TOLERANCE},
    {"coordinates", required_argument, NULL, OPTION_COORDINATES},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"csv", required_argument, NULL, OPTION_CSV},
    {"json", no_argument, NULL, OPTION_JSON},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* As the command line has it. */
struct wishes {
    struct simulation simulation;
    enum ballot_scheme scheme;
    uint32_t liars, promise;
    bool has_promise;
    float rate;
    uint64_t seed;
};

static int refuse(const char *option, const char *text, const char *cure)
{
    fprintf(stderr, "ballot-aspis: --%s %s: %s\n", option, text, cure);
    return -EINVAL;
}

static int read_number(uint64_t *number, const char *option, uint64_t least,
                       uint64_t most)
{
    char cure[80];
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(optarg, &end, 10);
    if (isdigit((unsigned char)optarg[0]) && *end == '\0' && errno == 0 &&
        value >= least && value <= most) {
        *number = value;
        return 0;
    }
    snprintf(cure, sizeof(cure), "give a whole number from %llu to %llu",
             (unsigned long long)least, (unsigned long long)most);
    return refuse(option, optarg, cure);
}

static int read_count(uint32_t *count, const char *option, uint32_t least,
                      uint32_t most)
{
    uint64_t number;
    int error = read_number(&number, option, least, most);

    if (error == 0)
        *count = (uint32_t)number;
    return error;
}

static int read_rate(float *rate)
{
    char *end;
    const float value = strtof(optarg, &end);

    if (end == optarg || *end != '\0' || !(value > 0.0f && value <= 1.0f))
        return refuse("rate", optarg, "give a number above 0 and up to 1");
    *rate = value;
    return 0;
}

static int read_design(enum design *design)
{
    for (enum design d = DESIGN_SUBSETS; d <= DESIGN_MOLS; d++)
        if (strcmp(optarg, simulate_design_name(d)) == 0) {
            *design = d;
            return 0;
        }
    return refuse("design", optarg,
                  "take subsets, sts, plane, repetition or mols");
}

static int read_rule(enum trial_rule *rule)
{
    for (int r = 0; r < TRIAL_RULES; r++)
        if (strcmp(optarg, trial_rule_name((enum trial_rule)r)) == 0) {
            *rule = (enum trial_rule)r;
            return 0;
        }
    return refuse("rule", optarg, "take proof, paper, paper+ or vote");
}

static int read_evidence(bool *keep)
{
    *keep = strcmp(optarg, "keep") == 0;
    if (*keep || strcmp(optarg, "round") == 0)
        return 0;
    return refuse("evidence", optarg, "take round or keep");
}

/* One name of --attack; no scheme is called as a distortion is. */
static bool read_attack_name(struct wishes *w, const char *name)
{
    for (int s = 0; s < BALLOT_SCHEMES; s++)
        if (strcmp(name, ballot_scheme_name((enum ballot_scheme)s)) == 0) {
            w->scheme = (enum ballot_scheme)s;
            return true;
        }
    for (int a = 0; a < BALLOT_ATTACKS; a++)
        if (strcmp(name, ballot_attack_name((enum ballot_attack)a)) == 0) {
            w->simulation.config.attack = (enum ballot_attack)a;
            return true;
        }
    return false;
}

static int read_attack(struct wishes *w)
{
    char *comma = strchr(optarg, ',');
    bool known;

    if (comma != NULL)
        *comma = '\0';
    known = read_attack_name(w, optarg) &&
            (comma == NULL || read_attack_name(w, comma + 1));
    if (comma != NULL)
        *comma = ',';
    return known ? 0
                 : refuse("attack", optarg,
                          "take names of --help, as fixed or fixed,alie");
}

static int read_option(struct wishes *w, int option)
{
    struct simulation *s = &w->simulation;
    struct trial_config *c = &s->config;

    switch (option) {
    case OPTION_WORKERS:
        return read_count(&c->assignment.workers, "workers", 1,
                          ASSIGNMENT_WORKERS_MAX);
    case OPTION_DESIGN: return read_design(&c->assignment.design);
    case OPTION_REPLICAS:
        return read_count(&c->assignment.replication, "replicas", 1,
                          ASSIGNMENT_REPLICATION_MAX);
    case OPTION_LIARS: return read_count(&w->liars, "liars", 1, 255);
    case OPTION_PROMISE:
        w->has_promise = true;
        return read_count(&w->promise, "promise", 0, 127);
    case OPTION_ATTACK: return read_attack(w);
    case OPTION_RATE: return read_rate(&w->rate);
    case OPTION_RULE: return read_rule(&c->rule);
    case OPTION_EVIDENCE: return read_evidence(&c->keep);
    case OPTION_FIXED: c->rotates = false; return 0;
    case OPTION_TOLERANCE:
        return read_number(&c->tolerance, "tolerance", 0,
                           TRIAL_COORDINATES_MAX);
    case OPTION_COORDINATES:
        return read_count(&c->coordinates, "coordinates", 1,
                          TRIAL_COORDINATES_MAX);
    case OPTION_ROUNDS: return read_count(&s->rounds, "rounds", 1, ROUNDS_MAX);
    case OPTION_SEED: return read_number(&w->seed, "seed", 0, UINT64_MAX);
    case OPTION_CSV: s->csv = optarg; return 0;
    case OPTION_JSON: s->is_json = true; return 0;
    case OPTION_PLOT: s->plot = optarg; return 0;
    default: return -EINVAL; /* getopt has said it */
    }
}

/* What only all options together say. */
static int cast_liars(struct wishes *w)
{
    struct simulation *s = &w->simulation;
    struct trial_config *c = &s->config;

    c->promise = w->has_promise ? w->promise : w->liars;
    c->seed = c->assignment.seed = w->seed;
    if (ballot_cast_draw(&s->cast, w->scheme, c->assignment.workers, w->liars,
                         w->seed) < 0) {
        fprintf(stderr,
                "ballot-aspis: %u liars of %u workers are no minority; take "
                "fewer liars\n",
                w->liars, c->assignment.workers);
        return -EINVAL;
    }
    s->cast.rate = w->rate;
    if (w->scheme == BALLOT_SCHEME_MATCHING && c->tolerance == 0)
        fputs("ballot-aspis: without --tolerance liars of a matching also "
              "dispute with each other\n",
              stderr);
    return 0;
}

static int play(struct simulation *s)
{
    char why[ASSIGNMENT_WHY_BYTES];
    struct trial *trial;
    int error;

    s->outcomes = calloc(s->rounds, sizeof(*s->outcomes));
    if (s->outcomes == NULL) {
        fputs("ballot-aspis: no memory; take fewer --rounds\n", stderr);
        return -ENOMEM;
    }
    error = trial_open(&trial, &s->config, why);
    if (error < 0) {
        fprintf(stderr, "ballot-aspis: %s\n", why);
        return error;
    }
    for (uint32_t r = 0; r < s->rounds; r++)
        trial_play(trial, &s->cast, r, &s->outcomes[r]);
    trial_close(trial);
    return 0;
}

static int write_csv(const struct simulation *s)
{
    FILE *file = fopen(s->csv, "w");

    if (file != NULL) {
        simulate_print_csv(file, s);
        if (fclose(file) == 0)
            return 0;
    }
    fprintf(stderr, "ballot-aspis: %s: %s; name a file that can be written\n",
            s->csv, strerror(errno));
    return -EIO;
}

static int report(const struct simulation *s)
{
    int error = 0;

    if (s->is_json)
        simulate_print_json(stdout, s);
    else
        simulate_print(stdout, s);
    if (fflush(stdout) != 0) {
        perror("ballot-aspis: standard output");
        error = -EIO;
    }
    if (s->csv != NULL && write_csv(s) < 0)
        error = -EIO;
    if (s->plot != NULL && simulate_plot(s) < 0) {
        fprintf(stderr,
                "ballot-aspis: gnuplot could not draw %s; install gnuplot, and "
                "name a file that can be written\n",
                s->plot);
        error = -EIO;
    }
    return error;
}

static int parse(struct wishes *w, int count, char **arguments)
{
    int option;

    while ((option = getopt_long(count, arguments, "h", long_options, NULL)) !=
           -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (read_option(w, option) < 0)
            return -EINVAL;
    }
    if (optind < count) {
        fprintf(stderr,
                "ballot-aspis: simulate takes options only, not %s; see "
                "ballot-aspis simulate --help\n",
                arguments[optind]);
        return -EINVAL;
    }
    return cast_liars(w);
}

int simulate_start(int count, char **arguments)
{
    struct wishes w = {
        .simulation = {.config = {.assignment = {.design = DESIGN_STEINER,
                                                 .workers = 15,
                                                 .replication = 3},
                                  .coordinates = COORDINATES,
                                  .rotates = true},
                       .rounds = 20},
        .scheme = BALLOT_SCHEME_MAJORITY,
        .liars = 2,
        .rate = 1.0f,
        .seed = 1,
    };
    int error = parse(&w, count, arguments);

    if (error != 0)
        return error < 0 ? EXIT_USAGE : 0;
    error = play(&w.simulation);
    if (error == 0)
        error = report(&w.simulation) < 0 ? -EIO : 0;
    free(w.simulation.outcomes);
    if (error == 0)
        return 0;
    return error == -EINVAL ? EXIT_USAGE : EXIT_PROBLEM;
}
