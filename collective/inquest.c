/* SPDX-License-Identifier: Apache-2.0 */
/* inquest.c - redundant rounds at a server. */
#include "inquest.h"

#include <errno.h>
#include <stdlib.h>

#include "calls.h"
#include "evidence.h"

struct inquest {
    struct verifier *verifier;
    uint32_t workers;
    uint32_t coordinates_max; /* of every chunk but the last */
    bool open;                /* a round of the verifier is under way */
    bool stepped;             /* there was a step */
    uint32_t step;            /* of the vote before */
    uint64_t vote;            /* number of the vote under way, */
    uint64_t vote_count;      /* its coordinates */
    uint64_t before;          /* and those of the votes of its step before */
    uint64_t report;          /* number of the report that `bytes` is */
    bool written;
    uint8_t *bytes;
    struct verifier_dispute *scratch;
};

int inquest_open(struct inquest **inquest, const struct verifier_config *config,
                 char why[ASSIGNMENT_WHY_BYTES])
{
    struct inquest *q = calloc(1, sizeof(*q));
    int rc;

    if (q == NULL)
        return -ENOMEM;
    q->workers = config->assignment.workers;
    q->coordinates_max = config->coordinates_max;
    q->bytes = malloc(evidence_bytes(EVIDENCE_DISPUTES_MAX));
    q->scratch = calloc(EVIDENCE_DISPUTES_MAX, sizeof(*q->scratch));
    rc = q->bytes == NULL || q->scratch == NULL
             ? -ENOMEM
             : verifier_open(&q->verifier, config, why);
    if (rc < 0) {
        inquest_close(q);
        return rc;
    }
    *inquest = q;
    return 0;
}

void inquest_close(struct inquest *inquest)
{
    if (inquest == NULL)
        return;
    verifier_close(inquest->verifier);
    free(inquest->scratch);
    free(inquest->bytes);
    free(inquest);
}

void inquest_arbiter(struct inquest *inquest, verifier_arbiter_fn *arbiter,
                     void *context)
{
    verifier_arbiter(inquest->verifier, arbiter, context);
}

static void end_round(struct inquest *q)
{
    if (q->open)
        verifier_end(q->verifier);
    q->open = false;
}

/* Before the first chunk that comes of a vote. */
static void begin_vote(struct inquest *q, const struct call *call)
{
    if (!q->stepped || q->step != call->detail) {
        end_round(q);
        q->before = 0;
    } else {
        q->before += q->vote_count;
    }
    if (!q->open)
        verifier_begin(q->verifier, call->detail);
    q->open = true;
    q->stepped = true;
    q->step = call->detail;
    q->vote = call->round;
    q->vote_count = call->count;
}

static void count_replicas(struct inquest *q, const struct inquest_chunk *chunk)
{
    const struct call *call = chunk->call;
    struct verifier_chunk replicas = {
        .rows = chunk->rows,
        .coordinates = call->coordinates,
        .result = chunk->result,
        .ties = chunk->ties,
        .minus = chunk->minus,
        /* They came from elsewhere, and a window of other chunks with them: a
         * chunk of 15 workers takes 52 us in place of 80 over shm, and 54 in
         * place of 70 over tcp; one of 7 the same (Zen 4, servers apart). */
        .far = true,
    };

    if (!q->open || q->vote != call->round || q->step != call->detail)
        begin_vote(q, call);
    replicas.first = q->before + (uint64_t)call->chunk * q->coordinates_max;
    verifier_count(q->verifier, &replicas);
}

/* The piece of the report that belongs to a chunk; zeros behind its end. */
static void give_report(struct inquest *q, const struct inquest_chunk *chunk)
{
    const struct call *call = chunk->call;
    size_t all = evidence_bytes(EVIDENCE_DISPUTES_MAX);
    uint64_t first = (uint64_t)call->chunk * q->coordinates_max / 8;
    size_t bytes = call->coordinates / 8;

    end_round(q);
    if (!q->written || q->report != call->round)
        evidence_write(q->bytes, q->verifier, q->scratch);
    q->written = true;
    q->report = call->round;
    if (first >= all)
        return;
    if (bytes > all - first)
        bytes = all - (size_t)first;
    memcpy(chunk->result, q->bytes + first, bytes);
}

void inquest_count(struct inquest *inquest, const struct inquest_chunk *chunk)
{
    const struct call *call = chunk->call;
    size_t plane = lines_for(call->coordinates) * LINE_BYTES;

    if (call->rows != ROWS_NONE) {
        count_replicas(inquest, chunk);
        return;
    }
    memset(chunk->result, 0, plane);
    if (chunk->ties != NULL)
        memset(chunk->ties, 0, plane);
    if (call->op == CALL_ASPIS_REPORT)
        give_report(inquest, chunk);
    if (call->op != CALL_ASPIS_RELEASE || call->detail >= inquest->workers)
        return;
    end_round(inquest);
    verifier_release(inquest->verifier, call->detail);
}
