/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verifier_state.h - what the files of the verifier share: verifier.c has its
 * life and its rounds, verifier_chunk.c a chunk, verifier_judge.c what is known
 * of workers.
 */
#ifndef BALLOT_ASPIS_VERIFIER_STATE_H
#define BALLOT_ASPIS_VERIFIER_STATE_H

#include "agreement.h"
#include "resolve.h"
#include "verifier.h"

/* Where a replica lies: the row of a worker. */
struct seat {
    uint8_t worker;
    uint16_t row;
};

/* How a task is read while nobody disputes, and in this order. */
enum place {
    PLACE_TOGETHER, /* counted from the registers that it is read into */
    PLACE_ALONE,    /* its value is written down and then counted */
    PLACE_DROPPED,  /* compared, but not counted */
    PLACES,
};

/* What this chunk says of a task. */
struct task_state {
    uint32_t present; /* bit i: replica i was read */
    bool disputed;    /* copies of its replicas differ */
    bool recomputed;  /* `values` has the arbiter's signs */
    enum place place;
};

struct record {
    uint32_t step;
    uint32_t task;
    uint64_t distance; /* 0: there is none */
};

struct verifier {
    struct verifier_config config;
    struct assignment *assignment;
    struct agreement *agreement;
    verifier_arbiter_fn *arbiter;
    void *arbiter_context;
    uint32_t workers, tasks, replicas, pairs; /* pairs of a task */

    /* Longer than a round */
    struct worker_set quarantined;
    struct worker_set convicted; /* by the arbiter */
    struct verdict_window window;
    struct record *records; /* [workers * workers], of a < b, of the first
                               dispute of a pair */

    /* The round */
    struct verifier_report report;
    struct verdict verdict;
    bool stale;         /* there is evidence that the verdict does not know */
    bool open;          /* resolve_is_open(), of the verdict */
    struct seat *seats; /* [tasks * replicas] */
    uint64_t nodes_left;
    uint8_t *arbitrated; /* [workers * workers], how often, of a < b */
    uint64_t *farness;   /* [tasks * replicas], from what was recomputed */

    /* The chunk. Rows are `row_words` each. */
    size_t row_words;
    uint32_t top;              /* of the planes */
    struct worker_set present; /* without quarantined ones */
    bool calm;                 /* no replicas differed in the chunk before */
    bool planned; /* the order stands, for who is present and the verdict */
    uint32_t together, counted; /* of `order`: that are counted while they are
                                   read; that count if none are disputed */
    uint32_t *order;            /* [tasks] */
    struct seat *row_seats; /* [3 * together], where the replicas of those are,
                               in this order */
    struct task_state *states; /* [tasks] */
    uint64_t *distances;       /* [tasks * pairs], where disputed */
    const uint64_t **rows;     /* [tasks * replicas], for kernels */
    uint64_t *planes;
    uint64_t *values; /* [tasks] rows */
    uint64_t *copies; /* [tasks * replicas] rows, where disputed */
    char *block;      /* that holds all of these */
    size_t bytes;
};

static inline uint64_t *verifier_value(const struct verifier *v, uint32_t task)
{
    return &v->values[task * v->row_words];
}

static inline uint64_t *verifier_copy(const struct verifier *v, uint32_t task,
                                      uint32_t replica)
{
    return &v->copies[((size_t)task * v->replicas + replica) * v->row_words];
}

/* verifier_judge.c */

/* Takes the distances of this chunk, of the pairs that are present. */
void verifier_accuse(struct verifier *v, uint32_t task,
                     const uint64_t *compared);

/* Brings the verdict up to date. */
void verifier_judge(struct verifier *v);

/* Asks the arbiter about disputed tasks of the chunk, and convicts. */
void verifier_arbitrate(struct verifier *v, const struct verifier_chunk *chunk);

/* The choice for a task, by the verdict. */
struct choice verifier_choose(const struct verifier *v, uint32_t task);

/* The number of a pair of a task's replicas i < j. */
static inline size_t verifier_pair(const struct verifier *v, uint32_t i,
                                   uint32_t j)
{
    return (size_t)i * (2 * v->replicas - i - 1) / 2 + j - i - 1;
}

#endif
