/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 1_hello.c - every rank votes on the signs of a gradient.
 *
 *     ballot-run -n 3 ./1_hello
 */
#include <ballot.h>
#include <stdio.h>

enum { COUNT = 8 };

static int report(const struct ballot_comm *comm, const char *call, int error)
{
    fprintf(stderr, "%s: %s: %s\n", call, ballot_error_string(error),
            ballot_last_error(comm));
    return 1;
}

int main(void)
{
    /* All defaults; config.servers, .quorum, .tie ... are set here. */
    struct ballot_config config = BALLOT_CONFIG_DEFAULT;
    struct ballot_comm *comm;
    struct ballot_round round;
    float gradient[COUNT], signs[COUNT];
    int error = ballot_comm_init_env(&comm, &config);

    if (error != 0)
        return report(NULL, "ballot_comm_init_env", error);

    /* Rank r's gradient is negative where i < 2 r: ranks disagree. */
    int rank = ballot_comm_rank(comm);
    for (int i = 0; i < COUNT; i++)
        gradient[i] = i < 2 * rank ? -0.5f : 0.25f;

    error = ballot_all_reduce(gradient, signs, COUNT, BALLOT_FLOAT32,
                              BALLOT_MAJORITY, comm, NULL);
    if (error == 0)
        error = ballot_comm_round(comm, &round);
    if (error != 0) {
        report(comm, "ballot_all_reduce", error);
        ballot_comm_finalize(&comm);
        return 1;
    }
    printf("round %llu, %u of %d voted:", (unsigned long long)round.round,
           round.voters_every, ballot_comm_size(comm));
    for (int i = 0; i < COUNT; i++)
        printf(" %+g", (double)signs[i]);
    printf("\n");

    error = ballot_comm_finalize(&comm);
    if (error != 0)
        return report(NULL, "ballot_comm_finalize", error);
    return 0;
}
