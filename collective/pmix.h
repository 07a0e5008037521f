/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pmix.h - rank 0's word to all, through a launcher that speaks PMIx.
 *
 * libpmix is loaded when it is needed, so that nothing is built with it. The
 * few types of its interface that cross are written down here; they have been
 * the same since PMIx 3 (pmix_common.h of 4.2.2).
 */
#ifndef BALLOT_COLLECTIVE_PMIX_H
#define BALLOT_COLLECTIVE_PMIX_H

#include <stddef.h>
#include <stdint.h>

#define PMIX_RANK_OF_JOB (UINT32_MAX - 1) /* PMIX_RANK_WILDCARD */

enum {
    PMIX_SHARE_BYTES_MAX = 450,
    PMIX_SPACE_BYTES = 256,
    PMIX_KEY_BYTES = 512,
};

/* pmix_proc_t */
struct pmix_process {
    char space[PMIX_SPACE_BYTES];
    uint32_t rank;
};

/* pmix_value_t; "struct pmix_value" is taken by the header itself. */
struct pmix_text_value {
    uint16_t type; /* PMIX_VALUE_... */
    union {
        _Bool flag;
        char *string;
        uint32_t number;
        struct {
            char *first, *second;
            char separator;
        } largest; /* pmix_envar_t */
    } data;
};

/* PMIX_BOOL, ..., PMIX_SUCCESS, PMIX_OPERATION_SUCCEEDED, PMIX_GLOBAL */
enum pmix_number {
    PMIX_VALUE_FLAG = 1,
    PMIX_VALUE_STRING = 3,
    PMIX_VALUE_NUMBER = 14, /* 32 bits without sign */
    PMIX_SUCCEEDED = 0,
    PMIX_DONE_AT_ONCE = -157, /* and no callback follows */
    PMIX_SCOPE_GLOBAL = 3,
};

/* pmix_info_t */
struct pmix_option {
    char key[PMIX_KEY_BYTES];
    uint32_t flags;
    struct pmix_text_value value;
};

/*
 * Gives bytes[count] of rank 0 to all ranks of the job, which call this
 * together. PMIx goes on until the process exits, since MPI cannot begin anew
 * what has ended once.
 *   -ENOSYS     there is no libpmix.so.2 to load
 *   -EPROTO     it refuses, or takes us for another rank
 *   -ETIMEDOUT  until `deadline_ns` (CLOCK_MONOTONIC) not all ranks came
 * *why (ERROR_BYTES) says more.
 */
int pmix_share(void *bytes, size_t count, uint32_t rank, uint64_t deadline_ns,
               char *why);

/* How many ranks the job has. Errors as above. */
int pmix_size(int *ranks, uint64_t deadline_ns, char *why);

#endif
