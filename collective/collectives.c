/* SPDX-License-Identifier: Apache-2.0 */
/* collectives.c - what a user calls that is no vote. */
#include <errno.h>
#include <string.h>

#include "comm.h"
#include "values.h"

/* What the public functions have in common; blocks: of count elements, in the
 * larger of the two buffers. */
struct asked {
    const char *name;
    enum call_op kind;
    const void *send;
    void *recv;
    size_t count;
    enum ballot_type type;
    uint32_t blocks;
    int root;
    bool sends, receives; /* here: that buffer is used */
};

static int refuse(struct ballot_comm *comm, const struct asked *a,
                  const char *what)
{
    report_error(comm, "%s: %s", a->name, what);
    return -EINVAL;
}

static int check(struct ballot_comm *comm, const struct asked *a)
{
    if ((unsigned)a->type >= BALLOT_TYPES)
        return refuse(comm, a, "there is no such type");
    if (a->root < 0 || (uint32_t)a->root >= comm->ranks) {
        report_error(comm, "%s: rank %d is not one of %u ranks", a->name,
                     a->root, comm->ranks);
        return -EINVAL;
    }
    if (a->count > SIZE_MAX / 8 / a->blocks)
        return refuse(comm, a, "the count is out of range");
    if (a->count > 0 &&
        ((a->sends && a->send == NULL) || (a->receives && a->recv == NULL)))
        return refuse(comm, a, "a buffer is NULL");
    return 0;
}

/* What all have in common, as a request that is still to be completed; at once,
 * where nobody else is in the way. NULL: too many are under way. */
static struct ballot_request *prepare(struct ballot_comm *comm,
                                      const struct asked *a, uint32_t op,
                                      struct ballot_request **out)
{
    struct ballot_request *r = NULL;

    if (out == NULL && !group_open())
        r = express_take(comm);
    if (r == NULL)
        r = request_take(comm);
    if (r == NULL)
        return NULL;
    r->kind = REQUEST_FLOW;
    r->name = a->name;
    r->enters = comm->settings.quorum != 0;
    r->flow = (struct flow_call){
        .call =
            {
                .count = a->count,
                .detail = call_detail((uint32_t)a->root, op),
                .type = (uint8_t)a->type,
                .op = (uint8_t)a->kind,
            },
        .send = a->send,
        .recv = a->recv,
        .count = values_bytes(a->type, a->count) / values_unit(a->type),
        .unit = values_unit(a->type),
        .root = (uint32_t)a->root,
        .algorithm = (enum flow_algorithm)comm->settings.algorithm,
        .context = r,
    };
    if (!r->enters)
        return r;
    r->call.kind = MAJORITY_ENTRY;
    r->call.round = (struct caster_round){
        .count = a->count,
        .detail = r->flow.call.detail,
        .type = (uint8_t)a->type,
        .op = (uint8_t)a->kind,
    };
    return r;
}

static int submit(struct ballot_request *r, struct ballot_request **out)
{
    return express_has(r) ? express_run(r) : request_submit(r, out);
}

static int carry(struct ballot_comm *comm, const struct asked *a,
                 struct ballot_request **request)
{
    struct ballot_request *r;

    if (check(comm, a) < 0)
        return -EINVAL;
    r = prepare(comm, a, 0, request);
    return r == NULL ? -EAGAIN : submit(r, request);
}

/* ---- Reductions ---- */

/* The op of a reduction, and the factor of one that was made. */
static int find_op(struct ballot_comm *comm, const struct asked *a,
                   enum ballot_op op, const struct reduction **reduction,
                   const struct made_op **made)
{
    uint32_t index = (uint32_t)op - BALLOT_OPS;

    *made = NULL;
    if (index < OPS_MADE_MAX && comm->ops[index].made &&
        comm->ops[index].type == a->type) {
        *made = &comm->ops[index];
        op = BALLOT_SUM;
    }
    *reduction = values_reduction(comm->kernels, a->type, op);
    if (*reduction != NULL)
        return 0;
    report_error(comm, "%s: there is no op %d (%s) of %s", a->name, (int)op,
                 report_op(op), report_type(a->type));
    return -EINVAL;
}

static int fold(struct ballot_comm *comm, const struct asked *a,
                enum ballot_op op, struct ballot_request **request)
{
    const struct reduction *reduction;
    const struct made_op *made;
    struct ballot_request *r;

    if (check(comm, a) < 0 || find_op(comm, a, op, &reduction, &made) < 0)
        return -EINVAL;
    r = prepare(comm, a, op, request);
    if (r == NULL)
        return -EAGAIN;
    r->flow.reduction = reduction;
    if (made != NULL) {
        r->factor = made->factor;
        r->flow.factor = &r->factor;
    }
    r->flow.average = op == BALLOT_AVG;
    return submit(r, request);
}

/* All vote over the whole vector, and each rank keeps what is its own. */
static int vote(struct ballot_comm *comm, const struct asked *a,
                struct ballot_request **request)
{
    struct vote_asked asked = {
        .name = a->name,
        .op = CALL_MAJORITY,
        .send = a->send,
        .recv = a->recv,
        .count = a->count,
        .type = a->type,
        .keep_count = a->receives ? a->count : 0,
    };

    if (check(comm, a) < 0)
        return -EINVAL;
    if (a->kind != CALL_ALL_REDUCE) {
        asked.op = a->kind;
        asked.detail =
            DETAIL_OTHER | call_detail((uint32_t)a->root, BALLOT_MAJORITY);
    }
    if (a->kind == CALL_REDUCE_SCATTER) {
        /* Blocks of signs begin at words, and are told by what they lack. */
        size_t block =
            a->type == BALLOT_SIGNS ? (a->count + 63) / 64 * 64 : a->count;

        asked.detail += (uint32_t)(block - a->count);
        asked.count = block * comm->ranks;
        asked.keep_first = block * comm->rank;
    }
    return request_vote(comm, &asked, request);
}

int ballot_all_reduce(const void *send, void *recv, size_t count,
                      enum ballot_type type, enum ballot_op op,
                      struct ballot_comm *comm, struct ballot_request **request)
{
    struct asked asked = {
        .name = "all_reduce",
        .kind = CALL_ALL_REDUCE,
        .send = send,
        .recv = recv,
        .count = count,
        .type = type,
        .blocks = 1,
        .sends = true,
        .receives = true,
    };

    if (comm == NULL)
        return -EINVAL;
    if (op == BALLOT_MAJORITY)
        return vote(comm, &asked, request);
    return fold(comm, &asked, op, request);
}

int ballot_reduce(const void *send, void *recv, size_t count,
                  enum ballot_type type, enum ballot_op op, int root,
                  struct ballot_comm *comm, struct ballot_request **request)
{
    struct asked asked = {
        .name = "reduce",
        .kind = CALL_REDUCE,
        .send = send,
        .recv = recv,
        .count = count,
        .type = type,
        .blocks = 1,
        .root = root,
        .sends = true,
    };

    if (comm == NULL)
        return -EINVAL;
    asked.receives = root == (int)comm->rank;
    if (op == BALLOT_MAJORITY)
        return vote(comm, &asked, request);
    return fold(comm, &asked, op, request);
}

int ballot_reduce_scatter(const void *send, void *recv, size_t recv_count,
                          enum ballot_type type, enum ballot_op op,
                          struct ballot_comm *comm,
                          struct ballot_request **request)
{
    struct asked asked = {
        .name = "reduce_scatter",
        .kind = CALL_REDUCE_SCATTER,
        .send = send,
        .recv = recv,
        .count = recv_count,
        .type = type,
        .sends = true,
        .receives = true,
    };

    if (comm == NULL)
        return -EINVAL;
    asked.blocks = comm->ranks;
    if (op == BALLOT_MAJORITY)
        return vote(comm, &asked, request);
    return fold(comm, &asked, op, request);
}

/* ---- What carries bytes ---- */

int ballot_broadcast(const void *send, void *recv, size_t count,
                     enum ballot_type type, int root, struct ballot_comm *comm,
                     struct ballot_request **request)
{
    struct asked asked = {
        .name = "broadcast",
        .kind = CALL_BROADCAST,
        .send = send,
        .recv = recv,
        .count = count,
        .type = type,
        .blocks = 1,
        .root = root,
        .receives = true,
    };

    if (comm == NULL)
        return -EINVAL;
    asked.sends = root == (int)comm->rank;
    return carry(comm, &asked, request);
}

int ballot_all_gather(const void *send, void *recv, size_t send_count,
                      enum ballot_type type, struct ballot_comm *comm,
                      struct ballot_request **request)
{
    struct asked asked = {
        .name = "all_gather",
        .kind = CALL_ALL_GATHER,
        .send = send,
        .recv = recv,
        .count = send_count,
        .type = type,
        .sends = true,
        .receives = true,
    };

    if (comm == NULL)
        return -EINVAL;
    asked.blocks = comm->ranks;
    return carry(comm, &asked, request);
}

int collective_tell_all(struct ballot_comm *comm, enum call_op kind,
                        const void *send, void *recv, size_t bytes)
{
    struct asked asked = {
        .name = kind == CALL_SPLIT ? "split" : "duplicate",
        .kind = kind,
        .send = send,
        .recv = recv,
        .count = bytes,
        .type = BALLOT_UINT8,
        .blocks = comm->ranks,
        .sends = true,
        .receives = true,
    };

    return carry(comm, &asked, NULL);
}

int ballot_gather(const void *send, void *recv, size_t send_count,
                  enum ballot_type type, int root, struct ballot_comm *comm,
                  struct ballot_request **request)
{
    struct asked asked = {
        .name = "gather",
        .kind = CALL_GATHER,
        .send = send,
        .recv = recv,
        .count = send_count,
        .type = type,
        .root = root,
        .sends = true,
    };

    if (comm == NULL)
        return -EINVAL;
    asked.blocks = comm->ranks;
    asked.receives = root == (int)comm->rank;
    return carry(comm, &asked, request);
}

int ballot_scatter(const void *send, void *recv, size_t recv_count,
                   enum ballot_type type, int root, struct ballot_comm *comm,
                   struct ballot_request **request)
{
    struct asked asked = {
        .name = "scatter",
        .kind = CALL_SCATTER,
        .send = send,
        .recv = recv,
        .count = recv_count,
        .type = type,
        .root = root,
        .receives = true,
    };

    if (comm == NULL)
        return -EINVAL;
    asked.blocks = comm->ranks;
    asked.sends = root == (int)comm->rank;
    return carry(comm, &asked, request);
}

int ballot_all_to_all(const void *send, void *recv, size_t count,
                      enum ballot_type type, struct ballot_comm *comm,
                      struct ballot_request **request)
{
    struct asked asked = {
        .name = "all_to_all",
        .kind = CALL_ALL_TO_ALL,
        .send = send,
        .recv = recv,
        .count = count,
        .type = type,
        .sends = true,
        .receives = true,
    };

    if (comm == NULL)
        return -EINVAL;
    asked.blocks = comm->ranks;
    return carry(comm, &asked, request);
}

int ballot_barrier(struct ballot_comm *comm, struct ballot_request **request)
{
    struct asked asked = {.name = "barrier", .kind = CALL_BARRIER, .blocks = 1};
    struct ballot_request *r;

    if (comm == NULL)
        return -EINVAL;
    r = prepare(comm, &asked, 0, request);
    if (r == NULL)
        return -EAGAIN;
    /* With a quorum it is one of votes, which goes on without the dead. */
    if (comm->settings.quorum != 0)
        r->kind = REQUEST_ENTRY;
    return submit(r, request);
}

/* ---- Ops that are made ---- */

int ballot_op_create_premul_sum(enum ballot_op *op, const void *scalar,
                                enum ballot_type type, struct ballot_comm *comm)
{
    const struct asked asked = {.name = "op_create_premul_sum"};

    if (comm == NULL || op == NULL || scalar == NULL)
        return -EINVAL;
    if ((unsigned)type >= BALLOT_TYPES ||
        values_reduction(comm->kernels, type, BALLOT_SUM) == NULL)
        return refuse(comm, &asked, "values of this type cannot be summed");
    for (uint32_t i = 0; i < OPS_MADE_MAX; i++) {
        struct made_op *made = &comm->ops[i];

        if (made->made)
            continue;
        *made = (struct made_op){.made = true, .type = type};
        memcpy(&made->factor, scalar, values_unit(type));
        *op = (enum ballot_op)(BALLOT_OPS + i);
        return 0;
    }
    refuse(comm, &asked, "there are 64; destroy one first");
    return -ENOSPC;
}

int ballot_op_destroy(enum ballot_op op, struct ballot_comm *comm)
{
    const struct asked asked = {.name = "op_destroy"};
    uint32_t made = (uint32_t)op - BALLOT_OPS;

    if (comm == NULL)
        return -EINVAL;
    if (made >= OPS_MADE_MAX || !comm->ops[made].made)
        return refuse(comm, &asked, "no such op was made");
    comm->ops[made].made = false;
    return 0;
}
