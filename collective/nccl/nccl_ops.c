/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nccl_ops.c - types and ops of NCCL in ballot's words.
 *
 * Ops that are made are numbers from ncclNumOps on: ballot's own, of
 * pre-multiplied sums, first, and those of nccl_ballot.h from MADE_HERE on.
 */
#include "nccl_inside.h"

enum { MADE_HERE = ncclNumOps + 0x10000 };

static const struct {
    enum ballot_type type;
    size_t bytes;
    bool is_float;
} types[ncclNumTypes] = {
    [ncclInt8] = {BALLOT_INT8, 1, false},
    [ncclUint8] = {BALLOT_UINT8, 1, false},
    [ncclInt32] = {BALLOT_INT32, 4, false},
    [ncclUint32] = {BALLOT_UINT32, 4, false},
    [ncclInt64] = {BALLOT_INT64, 8, false},
    [ncclUint64] = {BALLOT_UINT64, 8, false},
    [ncclFloat16] = {BALLOT_FLOAT16, 2, true},
    [ncclFloat32] = {BALLOT_FLOAT32, 4, true},
    [ncclFloat64] = {BALLOT_FLOAT64, 8, true},
    [ncclBfloat16] = {BALLOT_BFLOAT16, 2, true},
    [ncclFloat8e4m3] = {BALLOT_UINT8, 1, false},
    [ncclFloat8e5m2] = {BALLOT_UINT8, 1, false},
};

static bool is_float8(ncclDataType_t datatype)
{
    return datatype == ncclFloat8e4m3 || datatype == ncclFloat8e5m2;
}

ncclResult_t nccl_type(struct ncclComm *comm, const char *call,
                       ncclDataType_t datatype, bool folds,
                       enum ballot_type *type)
{
    if ((unsigned)datatype >= ncclNumTypes)
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: there is no type %d; types are 0 to %d", call,
                         (int)datatype, ncclNumTypes - 1);
    if (folds && is_float8(datatype))
        return nccl_fail(comm, ncclInvalidArgument,
                         "%s: ballot moves values of 8-bit floats, but does "
                         "not reduce them; use bfloat16",
                         call);
    *type = types[datatype].type;
    return ncclSuccess;
}

size_t nccl_type_bytes(ncclDataType_t datatype)
{
    return (unsigned)datatype < ncclNumTypes ? types[datatype].bytes : 0;
}

/* Integers are packed signs. */
static ncclResult_t majority_of(struct nccl_call *call, ncclDataType_t datatype)
{
    const size_t bytes = call->count * types[datatype].bytes;

    call->op = BALLOT_MAJORITY;
    if (types[datatype].is_float)
        return ncclSuccess;
    if (types[datatype].bytes == 4 || bytes % 8 != 0)
        return nccl_fail(call->comm, ncclInvalidArgument,
                         "%s: packed signs come in words of 64; use "
                         "ncclUint64, or a multiple of 8 of ncclUint8",
                         call->name);
    if (((uintptr_t)call->send | (uintptr_t)call->recv) % 8 != 0)
        return nccl_fail(call->comm, ncclInvalidArgument,
                         "%s: packed signs must be aligned to 8 bytes",
                         call->name);
    call->type = BALLOT_SIGNS;
    call->count = bytes * 8;
    return ncclSuccess;
}

static bool is_large_sum(const struct nccl_call *call, ncclDataType_t datatype,
                         ncclRedOp_t op)
{
    return call->kind == NCCL_ALL_REDUCE && types[datatype].is_float &&
           (op == ncclSum || op == ncclAvg) && call->count != 0 &&
           call->count * types[datatype].bytes >= nccl_majority_bytes();
}

static ncclResult_t no_such_op(const struct nccl_call *call, ncclRedOp_t op)
{
    return nccl_fail(call->comm, ncclInvalidArgument,
                     "%s: there is no op %d of this communicator and type",
                     call->name, (int)op);
}

static ncclResult_t made_here(struct nccl_call *call, ncclDataType_t datatype,
                              ncclRedOp_t op)
{
    static const enum ballot_op ops[ncclBallotOps] = {
        [ncclBallotMajority] = BALLOT_MAJORITY,
        [ncclBallotBitAnd] = BALLOT_BIT_AND,
        [ncclBallotBitOr] = BALLOT_BIT_OR,
        [ncclBallotBitXor] = BALLOT_BIT_XOR,
    };
    const unsigned which = (unsigned)op - MADE_HERE;

    if (which >= ncclBallotOps || call->comm->made[which] == 0)
        return no_such_op(call, op);
    if (which == ncclBallotMajority)
        return majority_of(call, datatype);
    if (types[datatype].is_float)
        return nccl_fail(call->comm, ncclInvalidArgument,
                         "%s: bitwise ops are for integers", call->name);
    call->op = ops[which];
    return ncclSuccess;
}

ncclResult_t nccl_op(struct nccl_call *call, ncclDataType_t datatype,
                     ncclRedOp_t op)
{
    static const enum ballot_op ops[ncclNumOps] = {
        [ncclSum] = BALLOT_SUM, [ncclProd] = BALLOT_PROD,
        [ncclMax] = BALLOT_MAX, [ncclMin] = BALLOT_MIN,
        [ncclAvg] = BALLOT_AVG,
    };
    ncclResult_t result =
        nccl_type(call->comm, call->name, datatype, true, &call->type);

    if (result != ncclSuccess)
        return result;
    if (is_large_sum(call, datatype, op))
        return majority_of(call, datatype);
    if ((unsigned)op < ncclNumOps) {
        call->op = ops[op];
        return ncclSuccess;
    }
    if ((unsigned)op >= MADE_HERE)
        return made_here(call, datatype, op);
    /* Whether it was made, and for which type, ballot knows. */
    call->op = (enum ballot_op)((unsigned)op - ncclNumOps + BALLOT_OPS);
    return ncclSuccess;
}

ncclResult_t ncclRedOpCreatePreMulSum(ncclRedOp_t *op, void *scalar,
                                      ncclDataType_t datatype,
                                      ncclScalarResidence_t residence,
                                      ncclComm_t comm)
{
    static const char name[] = "ncclRedOpCreatePreMulSum";
    enum ballot_type type;
    enum ballot_op made;
    ncclResult_t result = nccl_enter(comm, name);

    if (result != ncclSuccess)
        return result;
    result = nccl_type(comm, name, datatype, true, &type);
    if (result == ncclSuccess &&
        (op == NULL ||
         (residence != ncclScalarDevice &&
          residence != ncclScalarHostImmediate) ||
         !nccl_memory_is_host(scalar, types[datatype].bytes)))
        result = nccl_fail(comm, ncclInvalidArgument,
                           "%s: op is NULL, there is no such residence, or the "
                           "scalar is no host memory",
                           name);
    if (result == ncclSuccess)
        result = nccl_from(
            comm, comm->ballot, name,
            ballot_op_create_premul_sum(&made, scalar, type, comm->ballot));
    if (result == ncclSuccess)
        *op = (ncclRedOp_t)((unsigned)made - BALLOT_OPS + ncclNumOps);
    return nccl_leave(comm, result);
}
NCCL_TWIN(ncclRedOpCreatePreMulSum);

ncclResult_t ncclRedOpCreateBallot(ncclRedOp_t *op, ncclBallotOp_t which,
                                   ncclComm_t comm)
{
    static const char name[] = "ncclRedOpCreateBallot";
    ncclResult_t result = nccl_enter(comm, name);

    if (result != ncclSuccess)
        return result;
    if (op == NULL || (unsigned)which >= ncclBallotOps) {
        result = nccl_fail(comm, ncclInvalidArgument,
                           "%s: op is NULL, or there is no such op", name);
    } else {
        comm->made[which]++;
        *op = (ncclRedOp_t)(MADE_HERE + (unsigned)which);
    }
    return nccl_leave(comm, result);
}
NCCL_TWIN(ncclRedOpCreateBallot);

ncclResult_t ncclRedOpDestroy(ncclRedOp_t op, ncclComm_t comm)
{
    static const char name[] = "ncclRedOpDestroy";
    const unsigned which = (unsigned)op - MADE_HERE;
    ncclResult_t result = nccl_enter(comm, name);

    if (result != ncclSuccess)
        return result;
    if ((unsigned)op < ncclNumOps)
        result = nccl_fail(comm, ncclInvalidArgument,
                           "%s: op %d is none that was made", name, (int)op);
    else if ((unsigned)op < MADE_HERE)
        result = nccl_from(
            comm, comm->ballot, name,
            ballot_op_destroy(
                (enum ballot_op)((unsigned)op - ncclNumOps + BALLOT_OPS),
                comm->ballot));
    else if (which >= ncclBallotOps || comm->made[which] == 0)
        result = nccl_fail(comm, ncclInvalidArgument,
                           "%s: op %d is none that was made", name, (int)op);
    else
        comm->made[which]--;
    return nccl_leave(comm, result);
}
NCCL_TWIN(ncclRedOpDestroy);
