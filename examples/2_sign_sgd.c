/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2_sign_sgd.c - trains a network on MNIST; the ranks vote on each update.
 *
 *   ballot-run -n 7 2_sign_sgd
 *   ballot-run -n 7 2_sign_sgd --liars 3 --attack reverse
 *   ballot-run -n 7 2_sign_sgd --liars 3 --attack reverse --op mean
 *   ballot-run -n 7 2_sign_sgd --liars 3 --attack reverse --redundancy 3
 *
 * All ranks start with the same parameters. In each step a rank draws a batch
 * of its own, computes the gradient and calls ballot_signum_step(), which votes
 * on the sign of each coordinate of the momentum and moves the parameters by
 * the outcome. Parameters never travel: equal votes keep them equal.
 *
 * With --redundancy it is each task of a common batch that is voted on, and
 * redundancy.c finds out who lies.
 */
#include <ballot.h>

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"
#include "curve.h"
#include "dump.h"
#include "mnist.h"
#include "network.h"
#include "options.h"
#include "redundancy.h"

enum {
    REPORTS = 10,
    FAILURES_MAX = 10, /* rounds in a row that may fail, with a quorum */
};

struct training {
    struct options options;
    struct ballot_comm *comm;
    uint32_t rank;
    uint32_t ranks;
    bool quorum;       /* a failed round is not the end */
    bool dedicated;    /* no rank counts */
    uint32_t failures; /* in a row */
    struct mnist train;
    struct mnist test;
    struct liar *liar;             /* NULL on an honest rank */
    struct redundancy *redundancy; /* NULL without */
    struct dump dump;
    struct curve curve;
    double loss;            /* sum since the last report */
    uint64_t bytes;         /* put before the last report */
    uint32_t reported;      /* steps done at the last report */
    double bytes_all;       /* put in all steps, a rank */
    double float_bytes;     /* fp32's since the last report */
    double float_bytes_all; /* and in all steps */
    uint32_t picks[BATCH_MAX];
    float parameters[NETWORK_PARAMETERS];
    float momentum[NETWORK_PARAMETERS]; /* with --op mean: of the average */
    float gradient[NETWORK_PARAMETERS];
    float others[NETWORK_PARAMETERS]; /* rank 0's parameters, to compare */
};

static int complain(const struct training *t, int error)
{
    fprintf(stderr, "rank %u: %s\n", t->rank, ballot_last_error(t->comm));
    return error;
}

/* 1 at the first step, the rate's end / its start at the last one. */
static float fall(const struct options *o, uint32_t step)
{
    const float last = o->steps > 1 ? (float)(o->steps - 1) : 1.0f;

    return 1.0f + (o->rate_end / o->rate - 1.0f) * ((float)step / last);
}

/* ---- One step ----------------------------------------------------------- */

static void compute_gradient(struct training *t, uint32_t step)
{
    const struct options *o = &t->options;

    mnist_draw(t->picks, o->batch, t->train.count, o->seed, t->rank, step);
    t->loss += (double)network_gradient(t->gradient, t->parameters, &t->train,
                                        t->picks, o->batch);
    if (t->liar != NULL)
        liar_lie(t->liar, t->gradient,
                 &(struct attack_scene){
                     .train = &t->train,
                     .parameters = t->parameters,
                     .momentum = t->momentum,
                     .beta = o->mean ? 0.0f : o->momentum,
                     .seed = o->seed,
                     .step = step,
                     .batch = o->batch,
                     .rank = t->rank,
                     .honest = t->ranks - o->liars,
                 });
}

/*
 * With a quorum a failed round is no more than a round. Without enough voters
 * it moved no rank's parameters; where this rank alone was too late, its own
 * miss one update from here on.
 */
static int survive(struct training *t, uint32_t step, int error)
{
    complain(t, error);
    if (t->quorum && error == -ETIMEDOUT && ++t->failures < FAILURES_MAX) {
        fprintf(stderr, "rank %u: goes on without round %u\n", t->rank, step);
        return 0;
    }
    if (error == -ESTALE)
        fprintf(stderr,
                "rank %u: stops: its parameters must be taken anew from "
                "another rank; keep more results with BALLOT_KEPT_ROUNDS\n",
                t->rank);
    if (t->failures == FAILURES_MAX)
        fprintf(stderr, "rank %u: stops after %u failed rounds in a row\n",
                t->rank, t->failures);
    return error;
}

static int step_by_majority(struct training *t, uint32_t step)
{
    const struct ballot_signum signum = {
        .rate = t->options.rate * fall(&t->options, step),
        .momentum = t->options.momentum,
        .weight_decay = t->options.weight_decay,
    };
    int error = dump_before(&t->dump, step, signum.rate, t->gradient);

    if (error != 0)
        return error;
    error = ballot_signum_step(t->parameters, t->momentum, t->gradient,
                               NETWORK_PARAMETERS, &signum, t->comm, NULL);
    if (error != 0)
        return survive(t, step, error);
    t->failures = 0;
    return dump_after(&t->dump, step, t->momentum, t->parameters);
}

static int step_by_tasks(struct training *t, uint32_t step)
{
    const struct options *o = &t->options;
    const float rate = o->rate * fall(o, step);
    float loss = 0.0f;
    int error =
        redundancy_vote(t->redundancy, t->parameters, step, t->gradient, &loss);

    if (error != 0)
        return survive(t, step, error);
    t->failures = 0;
    t->loss += (double)loss;
    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++)
        t->parameters[i] -=
            rate * (t->gradient[i] + o->weight_decay * t->parameters[i]);
    return 0;
}

static int step_by_mean(struct training *t, uint32_t step)
{
    const struct options *o = &t->options;
    const float rate = o->mean_rate * fall(o, step);
    int error = ballot_all_reduce(t->gradient, t->gradient, NETWORK_PARAMETERS,
                                  BALLOT_FLOAT32, BALLOT_AVG, t->comm, NULL);

    if (error != 0)
        return survive(t, step, error);
    t->failures = 0;
    for (uint32_t i = 0; i < NETWORK_PARAMETERS; i++) {
        t->momentum[i] = o->momentum * t->momentum[i] + t->gradient[i];
        t->parameters[i] -=
            rate * (t->momentum[i] + o->weight_decay * t->parameters[i]);
    }
    return 0;
}

static int take_step(struct training *t, uint32_t step)
{
    if (t->redundancy != NULL)
        return step_by_tasks(t, step);
    compute_gradient(t, step);
    return t->options.mean ? step_by_mean(t, step) : step_by_majority(t, step);
}

/* ---- What is seen of it ------------------------------------------------- */

static int bytes_put(const struct training *t, uint64_t *bytes)
{
    struct ballot_stats stats;
    int error = ballot_comm_stats(t->comm, &stats);

    if (error != 0)
        return complain(t, error);
    *bytes = stats.bytes_put;
    return 0;
}

/*
 * Servers put more than others where the last chunks are few, so the mean over
 * ranks is what counts. With a quorum some ranks may be dead, and rank 0 shows
 * its own bytes.
 */
static int measure_bytes(struct training *t, double *bytes_a_step)
{
    uint64_t now = 0;
    float mean;
    int error = bytes_put(t, &now);

    if (error != 0)
        return error;
    mean = (float)(now - t->bytes);
    if (!t->quorum)
        error = ballot_all_reduce(&mean, &mean, 1, BALLOT_FLOAT32, BALLOT_AVG,
                                  t->comm, NULL);
    if (error != 0)
        return complain(t, error);
    *bytes_a_step = (double)mean;
    /* The averaging itself is not part of the training. */
    return bytes_put(t, &t->bytes);
}

/*
 * Adds what one step costs in fp32: the same coordinates in the same places,
 * each as four bytes. As a voter a rank puts all of them once, or once for each
 * of its redundant tasks; the servers together put them once for each rank.
 * With a quorum it is rank 0 that serves all who live.
 */
static int add_float_bytes(struct training *t)
{
    const double all = 4.0 * NETWORK_PARAMETERS;
    const double voted = t->redundancy == NULL
                             ? all
                             : 4.0 * redundancy_coordinates(t->redundancy);
    struct ballot_round round = {0};
    int error = 0;

    if (t->quorum)
        error = ballot_comm_round(t->comm, &round);
    if (error != 0)
        return complain(t, error);
    t->float_bytes += voted;
    if (!t->dedicated)
        t->float_bytes += t->quorum ? all * (t->ranks - round.lost) : all;
    return 0;
}

static int report(struct training *t, uint32_t step)
{
    struct progress p = {.step = step + 1};
    const uint32_t steps = p.step - t->reported;
    double bytes = 0.0;
    int error = measure_bytes(t, &bytes);

    if (error != 0)
        return error;
    p.bytes = bytes / steps;
    p.float_bytes = t->float_bytes / steps;
    /* A training that has diverged has lost its sign with its numbers. */
    p.loss = fabs(t->loss / steps);
    t->bytes_all += bytes;
    t->float_bytes_all += t->float_bytes;
    t->float_bytes = 0.0;
    t->loss = 0.0;
    t->reported = p.step;
    if (t->rank != 0)
        return 0;
    p.accuracy = network_accuracy(t->parameters, &t->test);
    return curve_add(&t->curve, &p);
}

/* Every rank must have come to the same parameters, bit for bit. */
static int compare_ranks(struct training *t)
{
    int error = ballot_broadcast(t->parameters, t->others, NETWORK_PARAMETERS,
                                 BALLOT_FLOAT32, 0, t->comm, NULL);

    if (error != 0)
        return complain(t, error);
    if (memcmp(t->others, t->parameters, sizeof(t->others)) == 0)
        return 0;
    fprintf(stderr,
            "rank %u: its parameters are not those of rank 0; run the same "
            "program with the same options and data on all ranks\n",
            t->rank);
    return -EBADMSG;
}

static void print_result(const struct training *t)
{
    const double steps = t->options.steps;

    if (t->rank != 0)
        return;
    printf("bytes a step: %.0f, fp32: %.0f, ratio %.2f\n", t->bytes_all / steps,
           t->float_bytes_all / steps, t->float_bytes_all / t->bytes_all);
    if (t->redundancy != NULL)
        redundancy_print(t->redundancy);
    printf("final test accuracy: %.4f\n",
           network_accuracy(t->parameters, &t->test));
}

static int train(struct training *t)
{
    const uint64_t steps = t->options.steps;
    int error = bytes_put(t, &t->bytes);

    for (uint32_t step = 0; error == 0 && step < steps; step++) {
        error = take_step(t, step);
        if (error == 0)
            error = add_float_bytes(t);
        if (error == 0 &&
            (step + 1u) * REPORTS / steps != step * REPORTS / steps)
            error = report(t, step);
    }
    if (error == 0 && !t->quorum)
        error = compare_ranks(t);
    if (error == 0)
        print_result(t);
    return error;
}

/* ---- Start and end ------------------------------------------------------ */

static int join(struct training *t)
{
    const char *quorum = getenv("BALLOT_QUORUM");
    const char *servers = getenv("BALLOT_SERVERS");
    struct ballot_config config = BALLOT_CONFIG_DEFAULT;
    int error;

    if (t->options.replicas != 0)
        redundancy_configure(&config, &t->options);
    error = ballot_comm_init_env(&t->comm, &config);
    if (error != 0) {
        fprintf(stderr, "%s\n", ballot_last_error(NULL));
        return error;
    }
    t->rank = (uint32_t)ballot_comm_rank(t->comm);
    t->ranks = (uint32_t)ballot_comm_size(t->comm);
    t->quorum = quorum != NULL && strtol(quorum, NULL, 10) > 0;
    t->dedicated = servers != NULL && strchr(servers, ':') != NULL;
    if (t->options.liars < t->ranks)
        return 0;
    fprintf(stderr,
            "--liars %u: rank 0 must be honest; of %u ranks at most "
            "%u may lie\n",
            t->options.liars, t->ranks, t->ranks - 1);
    return -EINVAL;
}

static int count_steps(struct training *t)
{
    struct options *o = &t->options;
    struct ballot_aspis_shape shape = {.tasks = t->ranks};
    const int error =
        o->replicas == 0 ? 0 : ballot_aspis_shape(t->comm, &shape);
    const uint64_t a_step = (uint64_t)o->batch * shape.tasks;
    const uint64_t images = (uint64_t)o->epochs * t->train.count;

    if (error != 0)
        return complain(t, error);
    if (o->epochs == 0)
        return 0;
    if ((images + a_step - 1) / a_step > STEPS_MAX) {
        fprintf(stderr,
                "--epochs %u: more than %d steps; take fewer epochs "
                "or larger batches\n",
                o->epochs, STEPS_MAX);
        return -EINVAL;
    }
    o->steps = (uint32_t)((images + a_step - 1) / a_step);
    return 0;
}

static int prepare(struct training *t)
{
    const struct options *o = &t->options;
    int error = mnist_load(&t->train, o->data, "train");

    if (error == 0)
        error = mnist_load(&t->test, o->data, "t10k");
    if (error == 0)
        error = count_steps(t);
    if (error == 0 && o->replicas != 0)
        error = redundancy_open(&t->redundancy, o, &t->train, t->comm);
    if (error == 0 && o->replicas == 0 && t->rank >= t->ranks - o->liars)
        error = liar_open(&t->liar, o->attack, t->ranks - o->liars);
    if (error != 0)
        return error;
    network_start(t->parameters, o->seed);
    error = dump_open(&t->dump, o, t->rank, t->ranks, t->parameters,
                      NETWORK_PARAMETERS);
    if (error == 0 && t->rank == 0)
        error = curve_open(&t->curve, o);
    return error;
}

/* After a failure here the others must not wait for this rank. */
static int leave(struct training *t, int error)
{
    int closing;

    if (error != 0)
        ballot_comm_abort(t->comm);
    closing = ballot_comm_finalize(&t->comm);
    if (error == 0 && closing != 0) {
        fprintf(stderr, "rank %u: leaving: %s\n", t->rank,
                ballot_error_string(closing));
        error = closing;
    }
    closing = dump_close(&t->dump);
    error = error != 0 ? error : closing;
    closing = curve_close(&t->curve);
    liar_close(&t->liar);
    redundancy_close(&t->redundancy);
    mnist_free(&t->test);
    mnist_free(&t->train);
    return error != 0 ? error : closing;
}

int main(int argc, char **argv)
{
    struct training *t = calloc(1, sizeof(*t));
    int error;

    if (t == NULL) {
        fputs("no memory; start fewer ranks\n", stderr);
        return EXIT_FAILURE;
    }
    error = options_read(&t->options, argc, argv);
    if (error == 0) {
        error = join(t);
        if (error == 0)
            error = prepare(t);
        if (error == 0)
            error = train(t);
        error = t->comm != NULL ? leave(t, error) : error;
    }
    free(t);
    return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
