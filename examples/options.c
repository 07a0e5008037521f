/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - the command line of 2_sign_sgd.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paths.h"

enum { RANKS_MAX = 1024, REPLICAS_MAX = 15 };

static const char help[] =
    "usage: ballot-run -n RANKS 2_sign_sgd [options]\n"
    "Trains a 784-64-10 network on MNIST; the ranks vote on each update.\n"
    "\n"
    "  --data DIR          folder of the four MNIST files, gzipped or plain\n"
    "                      (default: the part of MNIST beside the sources)\n"
    "  --steps N           updates (600)\n"
    "  --epochs N          instead: so many times the training images\n"
    "  --batch N           images a rank and step, or a task (32)\n"
    "  --rate X            learning rate of the first step (0.002)\n"
    "  --rate-end X        and of the last, linear between (0.0001)\n"
    "  --momentum X        beta (0.9)\n"
    "  --weight-decay X    lambda (0)\n"
    "  --seed N            of first parameters, batches and noise (1)\n"
    "\n"
    "  --liars N           the last N ranks lie (0)\n"
    "  --attack NAME       and how (flip):\n"
    "      flip            -1 times their gradient\n"
    "      invert          the other sign everywhere, of zeros too\n"
    "      reverse         -100 times\n"
    "      random          normal noise\n"
    "      constant        the same value everywhere\n"
    "      anti            together against the majority of the honest ranks\n"
    "      selective       that where it is smallest, else with it\n"
    "      alie            a little away from the mean of the honest ranks\n"
    "      product         -100 times that mean\n"
    "      mimic           what the first honest rank says\n"
    "      nan             not a number\n"
    "  --op NAME           majority (Signum), or mean: momentum SGD on the\n"
    "                      average of all gradients, for comparison\n"
    "  --mean-rate X       the first rate under --op mean (0.1); it falls as\n"
    "                      --rate does\n"
    "\n"
    "  --redundancy N      the batch is cut into tasks, N ranks compute each,\n"
    "                      and what they say is compared; without momentum.\n"
    "                      Rank 0, or a ballot-server of BALLOT_SERVERS, "
    "counts\n"
    "  --design NAME       who computes what: subsets, sts, plane, repetition\n"
    "                      or mols (subsets)\n"
    "  --rule NAME         what is concluded where replicas differ (proof):\n"
    "      proof           who is proven a liar is not listened to any more\n"
    "      paper           the largest group that agrees is right (Aspis)\n"
    "      none            nothing: each task is what most of its ranks say\n"
    "  --scheme NAME       in which of their tasks liars lie (independent: in\n"
    "                      all): fixed, majority, take-over, scapegoat,\n"
    "                      framing, matching, promise-broken, silent-group\n"
    "\n"
    "  --csv FILE          write the progress as comma separated values\n"
    "  --plot FILE.png     draw it; needs gnuplot\n"
    "  --dump DIR          write the first 50 rounds as float32 files for\n"
    "                      tests/numpy/check_training.py\n"
    "  --help\n"
    "\n"
    "Without ballot-run, set BALLOT_RANK, BALLOT_RANKS and BALLOT_ROOT. With\n"
    "BALLOT_SERVERS=root and BALLOT_QUORUM=N a round goes on without late or\n"
    "dead ranks.\n";

static int refuse(const char *name, const char *value, const char *cure)
{
    fprintf(stderr, "--%s %s: %s\n", name, value, cure);
    return -EINVAL;
}

static int read_count(uint32_t *count, const char *name, const char *value,
                      uint32_t least, uint32_t most)
{
    char *end;
    unsigned long long number;
    char cure[80];

    errno = 0;
    number = strtoull(value, &end, 10);
    if (isdigit((unsigned char)value[0]) && *end == '\0' && errno == 0 &&
        number >= least && number <= most) {
        *count = (uint32_t)number;
        return 0;
    }
    snprintf(cure, sizeof(cure), "give a whole number from %u to %u", least,
             most);
    return refuse(name, value, cure);
}

static int read_seed(uint64_t *seed, const char *value)
{
    char *end;

    errno = 0;
    *seed = strtoull(value, &end, 10);
    if (isdigit((unsigned char)value[0]) && *end == '\0' && errno == 0)
        return 0;
    return refuse("seed", value, "give a whole number below 2^64");
}

/* `most` itself is refused, so that 1 keeps beta below 1. */
static int read_float(float *number, const char *name, const char *value,
                      bool zero, float most)
{
    char *end;
    float given = strtof(value, &end);
    char cure[80];

    if (end != value && *end == '\0' && given < most &&
        (given > 0.0f || (zero && given == 0.0f))) {
        *number = given;
        return 0;
    }
    snprintf(cure, sizeof(cure), "give a number %s 0 and below %g",
             zero ? "from" : "above", (double)most);
    return refuse(name, value, cure);
}

static int read_attack(enum attack *attack, const char *value)
{
    for (enum attack a = 0; a < ATTACKS; a++) {
        if (strcmp(attack_name(a), value) == 0) {
            *attack = a;
            return 0;
        }
    }
    return refuse("attack", value, "see --help for their names");
}

static int read_scheme(enum ballot_scheme *scheme, const char *value)
{
    for (enum ballot_scheme s = 0; s < BALLOT_SCHEMES; s++) {
        if (strcmp(ballot_scheme_name(s), value) == 0) {
            *scheme = s;
            return 0;
        }
    }
    return refuse("scheme", value, "see --help for their names");
}

static int read_design(enum ballot_design *design, const char *value)
{
    static const char *const designs[] = {
        [BALLOT_DESIGN_SUBSETS] = "subsets",
        [BALLOT_DESIGN_STS] = "sts",
        [BALLOT_DESIGN_PLANE] = "plane",
        [BALLOT_DESIGN_REPETITION] = "repetition",
        [BALLOT_DESIGN_MOLS] = "mols",
    };

    for (enum ballot_design d = BALLOT_DESIGN_SUBSETS; d <= BALLOT_DESIGN_MOLS;
         d++) {
        if (strcmp(designs[d], value) == 0) {
            *design = d;
            return 0;
        }
    }
    return refuse("design", value,
                  "use subsets, sts, plane, repetition or mols");
}

static int read_rule(enum rule *rule, const char *value)
{
    static const char *const rules[] = {"proof", "paper", "none"};

    for (enum rule r = RULE_PROOF; r <= RULE_NONE; r++) {
        if (strcmp(rules[r], value) == 0) {
            *rule = r;
            return 0;
        }
    }
    return refuse("rule", value, "use proof, paper or none");
}

static int read_op(bool *mean, const char *value)
{
    *mean = strcmp(value, "mean") == 0;
    if (*mean || strcmp(value, "majority") == 0)
        return 0;
    return refuse("op", value, "use majority or mean");
}

enum {
    DATA = 1,
    STEPS,
    EPOCHS,
    BATCH,
    RATE,
    RATE_END,
    MOMENTUM,
    WEIGHT_DECAY,
    SEED,
    LIARS,
    ATTACK,
    OP,
    MEAN_RATE,
    REDUNDANCY,
    DESIGN,
    RULE,
    SCHEME,
    CSV,
    PLOT,
    DUMP,
    HELP,
};

static const struct option names[] = {
    {"data", required_argument, NULL, DATA},
    {"steps", required_argument, NULL, STEPS},
    {"epochs", required_argument, NULL, EPOCHS},
    {"batch", required_argument, NULL, BATCH},
    {"rate", required_argument, NULL, RATE},
    {"rate-end", required_argument, NULL, RATE_END},
    {"momentum", required_argument, NULL, MOMENTUM},
    {"weight-decay", required_argument, NULL, WEIGHT_DECAY},
    {"seed", required_argument, NULL, SEED},
    {"liars", required_argument, NULL, LIARS},
    {"attack", required_argument, NULL, ATTACK},
    {"op", required_argument, NULL, OP},
    {"mean-rate", required_argument, NULL, MEAN_RATE},
    {"redundancy", required_argument, NULL, REDUNDANCY},
    {"design", required_argument, NULL, DESIGN},
    {"rule", required_argument, NULL, RULE},
    {"scheme", required_argument, NULL, SCHEME},
    {"csv", required_argument, NULL, CSV},
    {"plot", required_argument, NULL, PLOT},
    {"dump", required_argument, NULL, DUMP},
    {"help", no_argument, NULL, HELP},
    {0},
};

static int read_option(struct options *o, int option, const char *name)
{
    switch (option) {
    case DATA: o->data = optarg; return 0;
    case CSV: o->csv = optarg; return 0;
    case PLOT: o->plot = optarg; return 0;
    case DUMP: o->dump = optarg; return 0;
    case STEPS: return read_count(&o->steps, name, optarg, 1, STEPS_MAX);
    case EPOCHS: return read_count(&o->epochs, name, optarg, 1, EPOCHS_MAX);
    case BATCH: return read_count(&o->batch, name, optarg, 1, BATCH_MAX);
    case LIARS: return read_count(&o->liars, name, optarg, 0, RANKS_MAX);
    case RATE: return read_float(&o->rate, name, optarg, false, 1000.0f);
    case RATE_END:
        return read_float(&o->rate_end, name, optarg, false, 1000.0f);
    case MEAN_RATE:
        return read_float(&o->mean_rate, name, optarg, false, 1000.0f);
    case MOMENTUM: return read_float(&o->momentum, name, optarg, true, 1.0f);
    case WEIGHT_DECAY:
        return read_float(&o->weight_decay, name, optarg, true, 1000.0f);
    case SEED: return read_seed(&o->seed, optarg);
    case ATTACK: return read_attack(&o->attack, optarg);
    case OP: return read_op(&o->mean, optarg);
    case REDUNDANCY:
        return read_count(&o->replicas, name, optarg, 3, REPLICAS_MAX);
    case DESIGN: return read_design(&o->design, optarg);
    case RULE: return read_rule(&o->rule, optarg);
    case SCHEME: return read_scheme(&o->scheme, optarg);
    case HELP: fputs(help, stdout); return 1;
    default: fputs("2_sign_sgd --help lists the options\n", stderr);
    }
    return -EINVAL;
}

/* The values that stand for "not given" become the defaults. */
static int check_redundancy(struct options *o)
{
    const bool redundant = o->replicas != 0;

    if (!redundant &&
        (o->design != BALLOT_DESIGN_NONE || o->rule != RULE_PROOF ||
         o->scheme != BALLOT_SCHEME_INDEPENDENT)) {
        fputs("--design, --rule and --scheme are about redundant tasks; give "
              "--redundancy 3 too\n",
              stderr);
        return -EINVAL;
    }
    if (o->momentum < 0.0f)
        o->momentum = redundant ? 0.0f : 0.9f;
    if (!redundant)
        return 0;
    if (o->design == BALLOT_DESIGN_NONE)
        o->design = BALLOT_DESIGN_SUBSETS;
    if (!o->mean && o->dump == NULL && o->momentum == 0.0f)
        return 0;
    fputs("--redundancy: replicas are signs of gradients; leave --op mean, "
          "--dump and --momentum away\n",
          stderr);
    return -EINVAL;
}

static int check_together(const struct options *o)
{
    const size_t length = o->plot == NULL ? 0 : strlen(o->plot);

    if (o->dump != NULL && o->mean) {
        fputs("--dump records votes; leave --op mean away\n", stderr);
        return -EINVAL;
    }
    if (o->plot != NULL &&
        (length < 4 || strcmp(&o->plot[length - 4], ".png") != 0))
        return refuse("plot", o->plot, "give a file name that ends in .png");
    return 0;
}

int options_read(struct options *options, int argc, char **argv)
{
    int option;
    int index = 0;

    *options = (struct options){
        .data = EXAMPLES_DIR "/data/mnist",
        .steps = 600,
        .batch = 32,
        .attack = ATTACK_FLIP,
        .rate = 0.002f,
        .rate_end = 0.0001f,
        .mean_rate = 0.1f,
        .momentum = -1.0f,
        .seed = 1,
    };
    while ((option = getopt_long(argc, argv, "", names, &index)) != -1) {
        int error = read_option(options, option, names[index].name);

        if (error != 0)
            return error;
    }
    if (optind < argc) {
        fprintf(stderr, "%s: options start with --; see --help\n",
                argv[optind]);
        return -EINVAL;
    }
    if (check_redundancy(options) != 0)
        return -EINVAL;
    return check_together(options);
}
