/* SPDX-License-Identifier: Apache-2.0 */
/* ends.h - whether a round that failed blames whom it may, in time. */
#ifndef BALLOT_TESTS_SIM_ENDS_H
#define BALLOT_TESTS_SIM_ENDS_H

#include "cluster.h"

/* `open` ended at `m` with a status other than OK; end->missing are members. */
void ends_check_failure(struct cluster *cluster, const struct member *m,
                        const struct open_call *open,
                        const struct majority_end *end);

/* A round took no longer than its deadlines. */
void ends_check_duration(struct cluster *cluster, const struct member *m,
                         const struct open_call *open);

#endif
