/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self.h - a trial over each transport, of this process with itself.
 */
#ifndef BALLOT_DOCTOR_SELF_H
#define BALLOT_DOCTOR_SELF_H

#include "facts.h"
#include "trial.h"

enum { SELF_MAX = 8 };

enum verdict {
    VERDICT_PASS,
    VERDICT_FAIL,   /* it should work here, and does not */
    VERDICT_ABSENT, /* this machine or kernel does not offer it */
};

struct self_result {
    char name[WORD_BYTES]; /* "tcp-uring" */
    enum verdict verdict;
    int error; /* negative errno where it is no pass */
    char why[LINK_WHY_BYTES];
    struct trial_times times; /* of a pass */
};

struct self_test {
    uint32_t count;
    struct self_result results[SELF_MAX];
};

/*
 * Tries every transport and engine, `timeout_ms` each at most. The facts say
 * what need not work. Call it while the process has one thread, for it sets
 * BALLOT_TCP_ENGINE meanwhile.
 */
void self_run(struct self_test *self, const struct facts *facts,
              uint64_t timeout_ms);

bool self_passed(const struct self_test *self);

/* "pass", "fail", "absent". */
const char *verdict_name(enum verdict verdict);

#endif
