/* SPDX-License-Identifier: Apache-2.0 */
/* worker_dissent.c - votes of which the script knows who should be outvoted. */
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 16 };

/* Most have what `base` says; the liar never has. test_dissent.py computes the
 * same. */
static float value_of(int rank, int liar, uint64_t round, uint64_t i)
{
    uint64_t base = mix(mix(1000 + round) + i);
    uint64_t own = mix(mix((uint64_t)rank * 1000003 + round) + i);
    bool minus = base & 1;

    if (own % 16 == 0)
        return 0.0f;
    if (own % 8 == 1)
        minus = !minus;
    if (rank == liar)
        minus = !(base & 1);
    return minus ? -1.5f : 2.5f;
}

static void vote(struct ballot_comm *comm, int liar, uint64_t round,
                 size_t count)
{
    float *values = need_memory(count * sizeof(float) + 1);

    for (size_t i = 0; i < count; i++)
        values[i] = value_of(ballot_comm_rank(comm), liar, round, i);
    need(ballot_all_reduce(values, values, count, BALLOT_FLOAT32,
                           BALLOT_MAJORITY, comm, NULL),
         comm, "all_reduce");
    free(values);
}

static void say_dissent(struct ballot_comm *comm)
{
    uint64_t differing[RANKS], counted[RANKS];
    char text[RANKS * 50] = "";
    int rc = ballot_comm_dissent(comm, differing, counted);

    for (int r = 0; rc == 0 && r < ballot_comm_size(comm); r++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%llu/%llu ",
                 (unsigned long long)differing[r],
                 (unsigned long long)counted[r]);
    }
    say("dissent rc=%d text=%s", rc, rc < 0 ? ballot_last_error(comm) : text);
}

int dissent(void)
{
    static const size_t counts[] = {0, 1, 511, 512, 1025, 9000};
    uint8_t weights[RANKS];
    struct ballot_config config = {
        .weights = option("weights", 0) != 0 ? weights : NULL,
        .dissent = (uint32_t)option("dissent", 0), /* 0: the environment's */
    };
    int liar = (int)option("liar", RANKS);
    struct ballot_comm *comm;

    for (int r = 0; r < RANKS; r++)
        weights[r] = (uint8_t)(1 + r % 3);
    comm = join(&config);
    for (size_t round = 0; round < sizeof(counts) / sizeof(counts[0]); round++)
        vote(comm, liar, round, counts[round]);
    say_dissent(comm);
    need(ballot_comm_finalize(&comm), NULL, "finalize");
    return 0;
}
