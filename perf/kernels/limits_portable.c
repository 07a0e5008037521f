/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_portable.c - the limits with what the compiler makes of 16
 * bytes. Stores around the caches are ordinary ones here.
 */
#include "limits.h"

#define SLICE_BYTES 16
#define LIMITS      bench_limits_portable
#define LIMITS_NAME "portable"
#include "slice.h"

static inline slice slice_or(slice a, slice b, slice c)
{
    return a | b | c;
}

static inline void slice_around(uint64_t *words, slice stored)
{
    *(slice_unaligned *)(void *)words = stored;
}

static inline void slices_end(void)
{
}

static bool supported(void)
{
    return true;
}

#include "limits_body.h"
