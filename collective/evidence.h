/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence.h - what a server's verifier knows, as bytes that travel to ranks.
 */
#ifndef BALLOT_COLLECTIVE_EVIDENCE_H
#define BALLOT_COLLECTIVE_EVIDENCE_H

#include <stddef.h>

#include "../include/ballot.h"

struct verifier;
struct verifier_dispute;

enum {
    EVIDENCE_DISPUTES_MAX = 4096, /* that one report lists */
};

/* Of a report with room for so many disputes, up to EVIDENCE_DISPUTES_MAX. */
size_t evidence_bytes(size_t disputes_max);

/* All that fits into evidence_bytes(EVIDENCE_DISPUTES_MAX) `bytes`; `scratch`
 * is room for so many disputes. */
void evidence_write(uint8_t *bytes, const struct verifier *verifier,
                    struct verifier_dispute *scratch);

/*
 * What came from a server, in evidence_bytes(disputes_max) `bytes`, into what
 * the caller gave; `tasks` and `ranks` are those of the communicator. -EBADMSG
 * if it says what cannot be; nothing is written then.
 */
int evidence_read(const uint8_t *bytes, uint32_t ranks, uint32_t tasks,
                  struct ballot_aspis_report *report,
                  struct ballot_dispute *disputes, size_t disputes_max);

#endif
