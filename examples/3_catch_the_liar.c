/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 3_catch_the_liar.c - one of seven ranks lies, and is found out with proof.
 *
 *     ballot-run -n 7 ./3_catch_the_liar
 *
 * The work of a step is cut into tasks, and three ranks do each one. Rank 5
 * turns all its signs around. Whoever shares a task with it contradicts it:
 * one of the two must have lied. If rank 5 were honest, all who contradict it
 * would be liars, and that is more than were promised.
 */
#include <ballot.h>
#include <stdio.h>

enum { RANKS = 7, LIAR = 5, PROMISE = 3, STEPS = 2, COUNT = 1000 };
enum { TASKS = 7, LOAD = 3 }; /* what the design makes of seven ranks */

/* A gradient of its own for each task; who computes it does not matter. */
static void compute(float *gradient, uint32_t step, uint32_t task)
{
    uint32_t noise = 1 + task + TASKS * step;

    for (int i = 0; i < COUNT; i++) {
        noise = noise * 1664525u + 1013904223u;
        gradient[i] = (float)(noise >> 16) - 32767.5f;
    }
}

/* What the vote must be: the sign that most tasks have. */
static int is_right(const float *vote, uint32_t step)
{
    static float truth[TASKS][COUNT];

    for (uint32_t task = 0; task < TASKS; task++)
        compute(truth[task], step, task);
    for (int i = 0; i < COUNT; i++) {
        int minus = 0;

        for (int task = 0; task < TASKS; task++)
            minus += truth[task][i] < 0.0f;
        if (vote[i] != (minus > TASKS / 2 ? -1.0f : 1.0f))
            return 0;
    }
    return 1;
}

static void print_proof(const struct ballot_dispute *disputes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("  task %u: ranks %d and %d contradict each other in %llu of %d "
               "signs\n",
               disputes[i].task, disputes[i].a, disputes[i].b,
               (unsigned long long)disputes[i].distance, COUNT);
    printf("  so %zu ranks lie or rank %d does, and at most %d lie\n", count,
           LIAR, PROMISE);
}

/* One step; *right becomes 0 if something is not as this program says. */
static int vote(struct ballot_comm *comm, uint32_t step, int *right)
{
    static float gradients[LOAD][COUNT], result[COUNT];
    const void *rows[LOAD];
    uint32_t tasks[LOAD];
    struct ballot_aspis_report report;
    struct ballot_dispute disputes[RANKS * RANKS];
    const int rank = ballot_comm_rank(comm);
    int error = ballot_aspis_plan(comm, step, tasks);

    for (int i = 0; error == 0 && i < LOAD; i++) {
        compute(gradients[i], step, tasks[i]);
        for (int k = 0; rank == LIAR && k < COUNT; k++)
            gradients[i][k] = -gradients[i][k];
        rows[i] = gradients[i];
    }
    if (error == 0)
        error = ballot_aspis_vote(rows, result, COUNT, BALLOT_FLOAT32, step,
                                  comm, NULL);
    if (error == 0)
        error = ballot_aspis_report(comm, &report, disputes, RANKS * RANKS);
    if (error != 0)
        return error;
    /* The second time the liar is in quarantine: nobody listens to it. */
    *right = is_right(result, step) &&
             report.quarantined[0] == (uint64_t)1 << LIAR &&
             report.disputes == (step == 0 ? RANKS - 1 : 0);
    if (rank != 0)
        return 0;
    printf("step %u: the result is %s, %llu disputes\n", step,
           is_right(result, step) ? "what the honest computed" : "WRONG",
           (unsigned long long)report.disputes);
    for (int r = 0; r < RANKS; r++)
        if (report.quarantined[0] >> r & 1)
            printf("  rank %d is proven a liar, and in quarantine\n", r);
    if (report.disputes != 0)
        print_proof(disputes, report.disputes);
    return 0;
}

int main(void)
{
    struct ballot_config config = {.servers = BALLOT_SERVERS_ROOT,
                                   .design = BALLOT_DESIGN_STS,
                                   .liars = PROMISE};
    struct ballot_aspis_shape shape;
    struct ballot_comm *comm;
    int right = 1;
    int error = ballot_comm_init_env(&comm, &config);

    if (error != 0) {
        fprintf(stderr, "%s\n", ballot_last_error(NULL));
        return 1;
    }
    error = ballot_aspis_shape(comm, &shape);
    if (error == 0 && shape.workers != RANKS) {
        fprintf(stderr, "start it with ballot-run -n %d\n", RANKS);
        right = 0;
    }
    for (uint32_t step = 0; error == 0 && right && step < STEPS; step++)
        error = vote(comm, step, &right);
    if (error != 0)
        fprintf(stderr, "%s\n", ballot_last_error(comm));
    if (ballot_comm_finalize(&comm) != 0 || error != 0)
        return 1;
    return right ? 0 : 1;
}
