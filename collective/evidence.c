/* SPDX-License-Identifier: Apache-2.0 */
/* evidence.c - what a server's verifier knows, as bytes that travel to ranks.
 */
#include "evidence.h"

#include <errno.h>
#include <string.h>

#include "../aspis/verifier.h"

/* Little-endian, as header lines are. */
struct wire_report {
    uint32_t step;
    uint32_t outcome; /* enum verdict_outcome, in the order of ballot's */
    struct worker_set byzantine, honest, convicted, absent, quarantined;
    uint64_t chunks;
    uint64_t counted;
    uint64_t dropped;
    uint64_t disputed;
    uint64_t arbitrations;
    uint64_t disputes; /* that there are; the list may have less */
};

struct wire_dispute {
    uint16_t a, b;
    uint32_t step;
    uint32_t task;
    uint32_t reserved; /* 0 */
    uint64_t distance;
};

_Static_assert(sizeof(struct wire_report) == 216, "no padding");
_Static_assert(sizeof(struct wire_dispute) == 24, "no padding");
_Static_assert((int)BALLOT_WORKERS_MAX == (int)WORKERS_MAX, "one limit");
_Static_assert((int)BALLOT_OUTCOME_REACHED == (int)VERDICT_REACHED &&
                   (int)BALLOT_OUTCOME_AMBIGUOUS == (int)VERDICT_AMBIGUOUS &&
                   (int)BALLOT_OUTCOME_BROKEN == (int)VERDICT_BROKEN &&
                   (int)BALLOT_OUTCOME_UNDECIDED == (int)VERDICT_UNDECIDED,
               "the same outcomes");

size_t evidence_bytes(size_t disputes_max)
{
    return sizeof(struct wire_report) +
           disputes_max * sizeof(struct wire_dispute);
}

void evidence_write(uint8_t *bytes, const struct verifier *verifier,
                    struct verifier_dispute *scratch)
{
    struct verifier_report now;
    struct wire_report wire;
    size_t count = verifier_disputes(verifier, scratch, EVIDENCE_DISPUTES_MAX);

    verifier_report(verifier, &now);
    wire = (struct wire_report){
        .step = now.step,
        .outcome = now.outcome,
        .byzantine = now.byzantine,
        .honest = now.honest,
        .convicted = now.convicted,
        .absent = now.absent,
        .quarantined = now.quarantined,
        .chunks = now.chunks,
        .counted = now.counted,
        .dropped = now.dropped,
        .disputed = now.disputed,
        .arbitrations = now.arbitrations,
        .disputes = count,
    };
    memset(bytes, 0, evidence_bytes(EVIDENCE_DISPUTES_MAX));
    memcpy(bytes, &wire, sizeof(wire));
    for (size_t i = 0; i < count && i < EVIDENCE_DISPUTES_MAX; i++) {
        const struct wire_dispute dispute = {
            .a = (uint16_t)scratch[i].a,
            .b = (uint16_t)scratch[i].b,
            .step = scratch[i].step,
            .task = scratch[i].task,
            .distance = scratch[i].distance,
        };

        memcpy(bytes + evidence_bytes(i), &dispute, sizeof(dispute));
    }
}

/* ---- At a rank ---- */

static bool within(const struct worker_set *set, uint32_t workers)
{
    return workers_next(set, workers) == WORKERS_MAX;
}

static bool report_valid(const struct wire_report *wire, uint32_t ranks)
{
    const struct worker_set both = workers_and(&wire->byzantine, &wire->honest);

    return wire->outcome <= VERDICT_UNDECIDED &&
           within(&wire->byzantine, ranks) && within(&wire->honest, ranks) &&
           within(&wire->convicted, ranks) && within(&wire->absent, ranks) &&
           within(&wire->quarantined, ranks) && workers_empty(&both);
}

static bool dispute_valid(const struct wire_dispute *wire, uint32_t ranks,
                          uint32_t tasks)
{
    return wire->a < wire->b && wire->b < ranks && wire->task < tasks &&
           wire->distance > 0;
}

static void copy_report(struct ballot_aspis_report *report,
                        const struct wire_report *wire)
{
    *report = (struct ballot_aspis_report){
        .step = wire->step,
        .outcome = (enum ballot_outcome)wire->outcome,
        .chunks = wire->chunks,
        .counted = wire->counted,
        .dropped = wire->dropped,
        .disputed = wire->disputed,
        .arbitrations = wire->arbitrations,
        .disputes = wire->disputes,
    };
    for (uint32_t w = 0; w < WORKERS_MAX; w++)
        report->verdict[w] =
            workers_has(&wire->byzantine, w) ? BALLOT_PROVEN_BYZANTINE
            : workers_has(&wire->honest, w)  ? BALLOT_PROVEN_HONEST
                                             : BALLOT_UNPROVEN;
    memcpy(report->convicted, wire->convicted.words, sizeof(report->convicted));
    memcpy(report->absent, wire->absent.words, sizeof(report->absent));
    memcpy(report->quarantined, wire->quarantined.words,
           sizeof(report->quarantined));
}

int evidence_read(const uint8_t *bytes, uint32_t ranks, uint32_t tasks,
                  struct ballot_aspis_report *report,
                  struct ballot_dispute *disputes, size_t disputes_max)
{
    struct wire_report wire;
    struct wire_dispute dispute;
    size_t listed;

    memcpy(&wire, bytes, sizeof(wire));
    if (!report_valid(&wire, ranks))
        return -EBADMSG;
    listed =
        wire.disputes < disputes_max ? (size_t)wire.disputes : disputes_max;
    for (size_t i = 0; i < listed; i++) {
        memcpy(&dispute, bytes + evidence_bytes(i), sizeof(dispute));
        if (!dispute_valid(&dispute, ranks, tasks))
            return -EBADMSG;
    }
    copy_report(report, &wire);
    for (size_t i = 0; i < listed; i++) {
        memcpy(&dispute, bytes + evidence_bytes(i), sizeof(dispute));
        disputes[i] = (struct ballot_dispute){
            .a = dispute.a,
            .b = dispute.b,
            .step = dispute.step,
            .task = dispute.task,
            .distance = dispute.distance,
        };
    }
    return 0;
}
