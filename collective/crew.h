/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew.h - threads that share one kernel call.
 *
 * A call is cut into runs of whole lines of signs; the caller and the helpers
 * take one after the other until none is left. So a helper that the system has
 * put aside costs at most the run it was in. The bits do not depend on who did
 * what.
 */
#ifndef BALLOT_COLLECTIVE_CREW_H
#define BALLOT_COLLECTIVE_CREW_H

#include <stddef.h>
#include <stdint.h>

#include "../aggregate/kernels.h"

enum { CREW_MAX = 64 }; /* threads, the caller's with them */

struct crew;

/* Does lines [first, first + lines) of a call. */
typedef void crew_fn(void *call, size_t first, size_t lines);

/* `threads` >= 1 with the caller's. -EINVAL, -ENOMEM, -EAGAIN: no threads. */
int crew_open(struct crew **crew, uint32_t threads);
void crew_close(struct crew *crew); /* NULL is allowed */

/*
 * Does lines [0, lines), each exactly once, and returns when that is done; one
 * caller at a time. `line_bytes` is what a line goes through: what is too small
 * to share, and everything where `crew` is NULL, the caller does alone.
 */
void crew_run(struct crew *crew, crew_fn *work, void *call, size_t lines,
              size_t line_bytes);

/* ---- Kernel calls (crew_kernels.c), as kernels.h states them ---- */

void crew_pack(struct crew *crew, const struct kernels *kernels,
               enum sign_type type, uint64_t *signs, uint64_t *marks,
               const void *values, size_t count); /* marks may be NULL */
void crew_signum(struct crew *crew, const struct kernels *kernels,
                 uint64_t *signs, uint64_t *marks, float *momentum,
                 const float *gradient, float beta, size_t count);
/* scale 0: as feedback_blocks(), in runs of whole blocks. */
void crew_feedback(struct crew *crew, const struct kernels *kernels,
                   uint64_t *signs, uint64_t *marks, float *error,
                   const float *gradient, float scale, size_t count);
void crew_apply(struct crew *crew, const struct kernels *kernels,
                enum sign_type type, void *values, const uint64_t *signs,
                const uint64_t *zeros, float scale, size_t count, bool far);
void crew_update(struct crew *crew, const struct kernels *kernels,
                 float *parameters, const uint64_t *signs,
                 const uint64_t *zeros, float rate, float decay, size_t count);
void crew_vote(struct crew *crew, const struct kernels *kernels,
               const struct vote *vote);

#endif
