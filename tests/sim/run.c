/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - the trace and the failure of one seed. */
#include "run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const names[FATES] = {
    [FATE_DELAYED] = "put delayed",
    [FATE_REORDERED] = "put reordered",
    [FATE_DUPLICATED] = "put announced twice",
    [FATE_TORN] = "put torn",
    [FATE_EARLY] = "put announced early",
    [FATE_DROPPED] = "put dropped",
    [FATE_SEVERED] = "put dropped, link broken",
    [FATE_KILLED] = "rank killed",
    [FATE_CUT] = "link cut",
    [FATE_LOST_IN_FLIGHT] = "put lost with its link",
    [FATE_WRITTEN] = "slot written without credit",
    [FATE_FROZEN] = "rank frozen",
    [FATE_STOPPED] = "rank stopped",
    [FATE_CONTINUED] = "rank continued",
    [FATE_SLOW] = "rank slow to call",
    [FATE_DIFFERENT_CALL] = "different call",
    [FATE_ABSTAINED] = "call without a vote",
    [FATE_WRITTEN_BEFORE_COUNT] = "slot written before the count",
    [FATE_WRITTEN_AFTER_COUNT] = "slot written after the count",
    [FATE_COUNTED_AHEAD] = "chunk counted ahead",
    [FATE_REPEATED] = "old put repeated",
    [FATE_AHEAD] = "put ahead of the window",
    [FATE_LIED_TWICE] = "lie beside the true put",
    [FATE_LIED_SIGNS] = "lie: signs",
    [FATE_LIED_MAGIC] = "lie: magic",
    [FATE_LIED_EPOCH] = "lie: epoch",
    [FATE_LIED_SEQUENCE] = "lie: sequence",
    [FATE_LIED_ROUND] = "lie: round",
    [FATE_LIED_COUNT] = "lie: count",
    [FATE_LIED_CHUNK] = "lie: chunk",
    [FATE_LIED_COORDINATES] = "lie: coordinates",
    [FATE_LIED_DETAIL] = "lie: detail",
    [FATE_LIED_TYPE] = "lie: type",
    [FATE_LIED_OP] = "lie: op",
    [FATE_LIED_ROWS] = "lie: rows",
    [FATE_LIED_KIND] = "lie: kind",
    [FATE_LIED_FLAGS] = "lie: flags",
    [FATE_LIED_BYTES] = "lie: bytes",
    [FATE_OK] = "round ended: ok",
    [FATE_DIFFERS] = "round ended: differs",
    [FATE_LOST] = "round ended: lost",
    [FATE_DEAD] = "round ended: dead",
    [FATE_GONE] = "round ended: gone",
    [FATE_TIMED_OUT] = "round ended: server silent",
    [FATE_LINK_LOST] = "round ended: link lost",
    [FATE_JUMPED] = "rank went on at a later round",
    [FATE_LATE_RESULT] = "result kept for a late vote",
    [FATE_MINORITY_MISSING] = "chunk counted without some",
    [FATE_SERVER_APART] = "server without a vote",
    [FATE_SERVER_LOST] = "server without a vote stops",
    [FATE_TASKS] = "chunk over tasks",
    [FATE_DISPUTED] = "chunk with disputed tasks",
    [FATE_DROPPED_TASK] = "chunk with tasks without value",
    [FATE_PROVEN] = "liar proven",
    [FATE_BROKEN] = "promise found broken",
    [FATE_REPORTED] = "report",
    [FATE_RELEASED] = "liar released",
};

const char *fate_name(enum fate fate)
{
    return names[fate];
}

static uint64_t stir(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

void run_trace(struct run *run, const char *what, uint32_t rank, uint64_t a,
               uint64_t b, uint64_t c)
{
    uint64_t hash = stir(run->hash, run->now_ns);

    for (const char *at = what; *at != '\0'; at++)
        hash = stir(hash, (uint64_t)(unsigned char)*at);
    hash = stir(stir(hash, rank), a);
    run->hash = stir(stir(hash, b), c);
    if (run->verbose)
        printf("%u %10.3f us  rank %2u %-14s %" PRIu64 " %" PRIu64 " %" PRIu64
               "\n",
               run->life, (double)run->now_ns / 1000, rank, what, a, b, c);
}

void run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;

    if (run->failed)
        return;
    run->failed = true;
    fflush(stdout);
    fprintf(stderr, "seed %" PRIu64 ", life %u, at %.3f us: ", run->seed,
            run->life, (double)run->now_ns / 1000);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr,
            "\nsee it again: test_sim --seed %" PRIu64 " --rounds %u -v\n",
            run->seed, run->rounds);
}
