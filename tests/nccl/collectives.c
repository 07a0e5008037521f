/* SPDX-License-Identifier: Apache-2.0 */
/* collectives.c - each collective, in and out of place, and each op. */
#include "program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 3000 };

static const size_t counts[] = {0, 1, 7, COUNT_MAX};

enum { COUNTS = sizeof(counts) / sizeof(counts[0]) };

/* What element i of block b of rank r is. */
static int32_t value(int r, size_t b, size_t i)
{
    return (int32_t)(r * 100003 + (int)b * 10007 + (int)i * 31 + 1);
}

static int32_t *block(size_t blocks)
{
    int32_t *memory = malloc(blocks * COUNT_MAX * sizeof(*memory));

    CHECK(memory != NULL);
    return memory;
}

static void fill(int32_t *to, int rank, size_t blocks, size_t count)
{
    for (size_t b = 0; b < blocks; b++)
        for (size_t i = 0; i < count; i++)
            to[b * count + i] = value(rank, b, i);
}

static bool holds(const int32_t *at, int rank, size_t b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (at[i] != value(rank, b, i))
            return false;
    return true;
}

static void gather_all(struct rank *r, size_t count, int32_t *send,
                       int32_t *recv)
{
    const size_t n = (size_t)r->ranks;
    const size_t me = (size_t)r->rank;

    for (int in_place = 0; in_place < 2; in_place++) {
        int32_t *from = in_place ? recv + me * count : send;

        memset(recv, 0, n * count * sizeof(*recv));
        fill(from, r->rank, 1, count);
        OK(ncclAllGather(from, recv, count, ncclInt32, r->comm, NULL));
        for (size_t p = 0; p < n; p++)
            CHECK(holds(recv + p * count, (int)p, 0, count));
    }
}

static void at_roots(struct rank *r, size_t count, int32_t *send, int32_t *recv)
{
    const size_t n = (size_t)r->ranks;

    for (int root = 0; root < r->ranks; root++) {
        const bool mine = r->rank == root;

        fill(send, r->rank, 1, count);
        OK(ncclGather(send, mine ? recv : NULL, count, ncclInt32, root, r->comm,
                      NULL));
        for (size_t p = 0; mine && p < n; p++)
            CHECK(holds(recv + p * count, (int)p, 0, count));
        if (mine)
            fill(send, root, n, count);
        memset(recv, 0, count * sizeof(*recv));
        OK(ncclScatter(mine ? send : NULL, recv, count, ncclInt32, root,
                       r->comm, NULL));
        CHECK(holds(recv, root, (size_t)r->rank, count));
        fill(send, r->rank, 1, count);
        OK(ncclBroadcast(mine ? send : NULL, recv, count, ncclInt32, root,
                         r->comm, NULL));
        CHECK(holds(recv, root, 0, count));
        OK(ncclBcast(send, count, ncclInt32, root, r->comm, NULL));
        CHECK(holds(send, root, 0, count));
    }
}

static void all_to_all(struct rank *r, size_t count, int32_t *send,
                       int32_t *recv)
{
    const size_t n = (size_t)r->ranks;

    fill(send, r->rank, n, count);
    OK(ncclAlltoAll(send, recv, count, ncclInt32, r->comm, NULL));
    for (size_t p = 0; p < n; p++)
        CHECK(holds(recv + p * count, (int)p, (size_t)r->rank, count));
    OK(ncclAlltoAll(send, send, count, ncclInt32, r->comm, NULL));
    CHECK(memcmp(send, recv, n * count * sizeof(*send)) == 0);
}

void case_moves(struct rank *r)
{
    const size_t n = (size_t)r->ranks;
    int32_t *send = block(n), *recv = block(n);
    int ranks = -1, rank = -1;

    OK(ncclCommCount(r->comm, &ranks));
    OK(ncclCommUserRank(r->comm, &rank));
    CHECK(ranks == r->ranks && rank == r->rank);
    for (size_t c = 0; c < COUNTS; c++) {
        gather_all(r, counts[c], send, recv);
        at_roots(r, counts[c], send, recv);
        all_to_all(r, counts[c], send, recv);
    }
    free(send);
    free(recv);
}

/* ---- Folds ---- */

/* Small whole numbers, which every type holds, and so do their folds. */
static double small(int rank, size_t i)
{
    return (double)(1 + (rank + (int)(i % 3)) % 3);
}

static double fold(ncclRedOp_t op, double a, double b)
{
    switch ((int)op) {
    case ncclProd: return a * b;
    case ncclMax: return a > b ? a : b;
    case ncclMin: return a < b ? a : b;
    default: return a + b;
    }
}

static double expected(int ranks, ncclRedOp_t op, size_t i, bool whole)
{
    double x = small(0, i);

    for (int p = 1; p < ranks; p++)
        x = fold(op, x, small(p, i));
    if (op == ncclAvg)
        x = whole ? trunc(x / ranks) : x / ranks;
    return x;
}

static uint16_t half_of(double x, int mantissa, int bias)
{
    int exponent;
    double f = frexp(x, &exponent); /* in [0.5, 1) */

    return (uint16_t)(((exponent - 1 + bias) << mantissa) +
                      (int)rint(ldexp(2 * f - 1, mantissa)));
}

/* What x is in memory, of this type; all are positive. */
static size_t encode(void *to, ncclDataType_t type, double x)
{
    union {
        int8_t i8;
        uint8_t u8;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        uint16_t u16;
        float f32;
        double f64;
    } v = {.u64 = 0};
    size_t bytes = 8;

    switch ((int)type) {
    case ncclInt8: v.i8 = (int8_t)x, bytes = 1; break;
    case ncclUint8: v.u8 = (uint8_t)x, bytes = 1; break;
    case ncclInt32: v.i32 = (int32_t)x, bytes = 4; break;
    case ncclUint32: v.u32 = (uint32_t)x, bytes = 4; break;
    case ncclInt64: v.i64 = (int64_t)x; break;
    case ncclUint64: v.u64 = (uint64_t)x; break;
    case ncclFloat16: v.u16 = half_of(x, 10, 15), bytes = 2; break;
    case ncclBfloat16: v.u16 = half_of(x, 7, 127), bytes = 2; break;
    case ncclFloat32: v.f32 = (float)x, bytes = 4; break;
    default: v.f64 = x; break;
    }
    memcpy(to, &v, bytes);
    return bytes;
}

/* all_reduce, reduce at the last rank, and reduce_scatter, of 17 elements a
 * block. */
static void fold_all(struct rank *r, ncclDataType_t type, ncclRedOp_t op)
{
    enum { EACH = 17, TOTAL = EACH * RANKS_MAX };
    const size_t all = EACH * (size_t)r->ranks;
    const bool whole = type < ncclFloat16;
    unsigned char send[TOTAL * 8], sums[TOTAL * 8], recv[TOTAL * 8];
    size_t unit = 0, first;

    for (size_t i = 0; i < all; i++) {
        unit = encode(send + i * unit, type, small(r->rank, i));
        encode(sums + i * unit, type, expected(r->ranks, op, i, whole));
    }
    OK(ncclAllReduce(send, recv, all, type, op, r->comm, NULL));
    CHECK(memcmp(recv, sums, all * unit) == 0);
    memset(recv, 0, sizeof(recv));
    OK(ncclReduce(send, recv, all, type, op, r->ranks - 1, r->comm, NULL));
    CHECK(r->rank != r->ranks - 1 || memcmp(recv, sums, all * unit) == 0);
    first = EACH * (size_t)r->rank * unit;
    OK(ncclReduceScatter(send, recv, EACH, type, op, r->comm, NULL));
    CHECK(memcmp(recv, sums + first, EACH * unit) == 0);
    OK(ncclReduceScatter(send, send + first, EACH, type, op, r->comm, NULL));
    CHECK(memcmp(send + first, sums + first, EACH * unit) == 0);
}

void case_folds(struct rank *r)
{
    float one = (float)(r->rank + 1);

    for (int type = 0; type <= ncclBfloat16; type++)
        for (int op = 0; op < ncclNumOps; op++)
            fold_all(r, (ncclDataType_t)type, (ncclRedOp_t)op);
    OK(ncclAllReduce(&one, &one, 1, ncclFloat, ncclSum, r->comm, NULL));
    CHECK(one == (float)(r->ranks * (r->ranks + 1) / 2));
}

/* ---- Ops that are made ---- */

/* At the root, and a block for each rank. */
static void majority_pieces(struct rank *r, ncclRedOp_t vote)
{
    float send[3 * RANKS_MAX], recv[3] = {5.0f, 5.0f, 5.0f}, at_root = 0.5f;
    uint64_t packed = r->rank == 0 ? 3 : 2, kept = 7;

    /* Rank p's block: all but rank 0 have minus where p is odd. */
    for (int i = 0; i < 3 * r->ranks; i++)
        send[i] = (r->rank == 0) == (i / 3 % 2 == 1) ? 2.0f : -2.0f;
    OK(ncclReduceScatter(send, recv, 3, ncclFloat32, vote, r->comm, NULL));
    for (int i = 0; i < 3; i++)
        CHECK(recv[i] == (r->ranks > 2 && r->rank % 2 == 1 ? -1.0f : 1.0f));
    OK(ncclReduce(&send[0], &at_root, 1, ncclFloat32, vote, 1, r->comm, NULL));
    CHECK(at_root == (r->rank == 1 ? 1.0f : 0.5f));
    OK(ncclReduce(&packed, &kept, 1, ncclUint64, vote, 0, r->comm, NULL));
    CHECK(kept == (r->rank == 0 ? 2 : 7));
}

static void majorities(struct rank *r, ncclRedOp_t vote)
{
    /* Rank 0 alone is minus in the first, all are in the second, and of the
     * packed ones too. */
    float signs[2] = {r->rank == 0 ? -3.0f : 2.0f, -0.5f};
    uint64_t packed = r->rank == 0 ? 3 : 2;

    OK(ncclAllReduce(signs, signs, 2, ncclFloat32, vote, r->comm, NULL));
    CHECK(signs[0] == 1.0f && signs[1] == -1.0f);
    OK(ncclAllReduce(&packed, &packed, 1, ncclUint64, vote, r->comm, NULL));
    CHECK(packed == 2);
    packed = r->rank == 0 ? 3 : 2;
    OK(ncclAllReduce(&packed, &packed, 8, ncclUint8, vote, r->comm, NULL));
    CHECK(packed == 2);
    WANT(ncclInvalidArgument,
         ncclAllReduce(&packed, &packed, 7, ncclUint8, vote, r->comm, NULL));
    majority_pieces(r, vote);
}

void case_made_ops(struct rank *r)
{
    ncclRedOp_t vote, any, twice, odd;
    float scalar = (float)(r->rank + 1), x = 2.0f;
    int32_t factor = 3, y = r->rank;
    uint32_t bits = 1u << r->rank;

    OK(ncclRedOpCreateBallot(&vote, ncclBallotMajority, r->comm));
    majorities(r, vote);
    OK(ncclRedOpCreateBallot(&any, ncclBallotBitOr, r->comm));
    OK(ncclAllReduce(&bits, &bits, 1, ncclUint32, any, r->comm, NULL));
    CHECK(bits == (1u << r->ranks) - 1);
    OK(ncclRedOpDestroy(any, r->comm));
    WANT(ncclInvalidArgument,
         ncclAllReduce(&bits, &bits, 1, ncclUint32, any, r->comm, NULL));
    OK(ncclRedOpCreatePreMulSum(&twice, &scalar, ncclFloat,
                                ncclScalarHostImmediate, r->comm));
    scalar = 0;
    OK(ncclAllReduce(&x, &x, 1, ncclFloat, twice, r->comm, NULL));
    CHECK(x == (float)(r->ranks * (r->ranks + 1)));
    OK(ncclRedOpCreatePreMulSum(&odd, &factor, ncclInt32, ncclScalarDevice,
                                r->comm));
    OK(ncclAllReduce(&y, &y, 1, ncclInt32, odd, r->comm, NULL));
    CHECK(y == 3 * r->ranks * (r->ranks - 1) / 2);
    OK(ncclRedOpDestroy(twice, r->comm));
    OK(ncclRedOpDestroy(odd, r->comm));
    WANT(ncclInvalidArgument, ncclRedOpDestroy(ncclSum, r->comm));
    WANT(ncclInvalidArgument, ncclRedOpDestroy(any, r->comm));
    OK(ncclRedOpDestroy(vote, r->comm));
}
