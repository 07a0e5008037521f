/* SPDX-License-Identifier: Apache-2.0 */
/* redundant.c - redundant rounds as a user calls them: the vote, the report,
 * release. */
#include <errno.h>
#include <stdlib.h>

#include "comm.h"
#include "evidence.h"
#include "inquest.h"

/* The shape of the design; NULL, with the error set: there is none. */
static const struct assignment_shape *need_shape(struct ballot_comm *comm,
                                                 const char *name)
{
    if (comm->redundancy != NULL)
        return redundancy_shape(comm->redundancy);
    report_error(comm,
                 "%s: this communicator has no design; set one in the "
                 "configuration, or BALLOT_DESIGN",
                 name);
    return NULL;
}

static int check_vote(struct ballot_comm *comm, const void *const *gradients,
                      void *recv, size_t count, enum ballot_type type)
{
    const struct assignment_shape *shape = need_shape(comm, "aspis_vote");

    if (shape == NULL ||
        request_check(comm, "aspis_vote", gradients, recv, count, type) < 0)
        return -EINVAL;
    for (uint32_t i = 0; count > 0 && i < shape->load; i++)
        if (gradients[i] == NULL) {
            report_error(comm,
                         "aspis_vote: the gradient of task %u of %u is "
                         "NULL",
                         i + 1, shape->load);
            return -EINVAL;
        }
    if (type == BALLOT_SIGNS && comm->settings.tie == BALLOT_TIE_ZERO) {
        report_error(comm,
                     "aspis_vote: packed signs have no zero for ties; choose "
                     "another type or tie");
        return -EINVAL;
    }
    if (comm->settings.quorum != 0)
        return request_check_reserve(comm, "aspis_vote", count);
    return 0;
}

int ballot_aspis_vote(const void *const *gradients, void *recv, size_t count,
                      enum ballot_type type, uint32_t step,
                      struct ballot_comm *comm, struct ballot_request **request)
{
    struct ballot_request *r;

    if (comm == NULL || check_vote(comm, gradients, recv, count, type) < 0)
        return -EINVAL;
    r = request_take(comm);
    if (r == NULL)
        return -EAGAIN;
    r->kind = count > 0 ? REQUEST_MAJORITY : REQUEST_ENTRY;
    r->name = "aspis_vote";
    r->call.kind = count > 0 ? MAJORITY_TASKS : MAJORITY_ENTRY;
    r->call.round = (struct caster_round){
        .count = count,
        .chunk_coordinates = count > 0 ? comm->settings.chunk : 0,
        .detail = step,
        .type = (uint8_t)type,
        .op = CALL_ASPIS_VOTE,
        .rows = (uint16_t)redundancy_shape(comm->redundancy)->load,
    };
    r->call.tasks = gradients;
    r->call.recv = recv;
    return request_submit(r, request);
}

/* Asks the server: its answer is `count` bits. */
static int ask(struct ballot_comm *comm, const char *name, enum call_op op,
               uint32_t detail, void *recv, uint64_t count)
{
    struct ballot_request *r = request_take(comm);

    if (r == NULL)
        return -EAGAIN;
    r->kind = REQUEST_ENTRY;
    r->name = name;
    r->call.kind = MAJORITY_QUESTION;
    r->call.round = (struct caster_round){
        .count = count,
        .chunk_coordinates = comm->settings.chunk,
        .detail = detail,
        .type = TYPE_SIGNS,
        .op = (uint8_t)op,
        .rows = ROWS_NONE,
    };
    r->call.recv = recv;
    return request_submit(r, NULL);
}

int ballot_aspis_report(struct ballot_comm *comm,
                        struct ballot_aspis_report *report,
                        struct ballot_dispute *disputes, size_t disputes_max)
{
    const struct assignment_shape *shape;
    uint8_t *bytes;
    int rc;

    if (comm == NULL)
        return -EINVAL;
    shape = need_shape(comm, "aspis_report");
    if (shape == NULL)
        return -EINVAL;
    if (report == NULL || (disputes == NULL && disputes_max > 0) ||
        disputes_max > EVIDENCE_DISPUTES_MAX) {
        report_error(comm,
                     "aspis_report: a report, and a list of up to %d disputes, "
                     "are needed",
                     EVIDENCE_DISPUTES_MAX);
        return -EINVAL;
    }
    bytes = malloc(evidence_bytes(disputes_max));
    if (bytes == NULL)
        return -ENOMEM;
    rc = ask(comm, "aspis_report", CALL_ASPIS_REPORT, 0, bytes,
             8 * evidence_bytes(disputes_max));
    if (rc == 0)
        rc = evidence_read(bytes, comm->ranks, shape->tasks, report, disputes,
                           disputes_max);
    if (rc == -EBADMSG)
        report_error(comm, "aspis_report: the server says what cannot be; is "
                           "it of another version?");
    free(bytes);
    return rc;
}

int ballot_aspis_release(struct ballot_comm *comm, int worker)
{
    if (comm == NULL || need_shape(comm, "aspis_release") == NULL)
        return -EINVAL;
    if (worker < 0 || (uint32_t)worker >= comm->ranks) {
        report_error(comm, "aspis_release: worker %d is not one of %u ranks",
                     worker, comm->ranks);
        return -EINVAL;
    }
    return ask(comm, "aspis_release", CALL_ASPIS_RELEASE, (uint32_t)worker,
               NULL, 1);
}

int ballot_aspis_arbiter(struct ballot_comm *comm, ballot_arbiter_fn *arbiter,
                         void *context)
{
    if (comm == NULL || need_shape(comm, "aspis_arbiter") == NULL)
        return -EINVAL;
    if (comm->inquest == NULL || comm->settings.rule != BALLOT_RULE_PROOF) {
        report_error(comm,
                     comm->inquest == NULL
                         ? "aspis_arbiter: this rank counts nothing; with "
                           "servers = root, rank 0 does"
                         : "aspis_arbiter: it is for the rule proof");
        return -EINVAL;
    }
    engine_lock();
    inquest_arbiter(comm->inquest, arbiter, context);
    engine_unlock();
    return 0;
}
