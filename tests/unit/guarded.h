/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guarded.h - pages between pages that may not be touched, and random bits, for
 * the tests of kernels.
 */
#ifndef BALLOT_TESTS_UNIT_GUARDED_H
#define BALLOT_TESTS_UNIT_GUARDED_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/* What runs too long, or races on purpose, asks which checker looks on. */
#if defined(__has_feature)
#define CHECKED_BY(checker) __has_feature(checker)
#else
#define CHECKED_BY(checker) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || CHECKED_BY(address_sanitizer)
#define ADDRESSES_CHECKED 1
#else
#define ADDRESSES_CHECKED 0
#endif
#if defined(__SANITIZE_THREAD__) || CHECKED_BY(thread_sanitizer)
#define THREADS_CHECKED 1
#else
#define THREADS_CHECKED 0
#endif

enum { GUARD_BYTES = 64 << 10 }; /* a multiple of every usual page */

/* Areas of the same size, each with a forbidden one before and behind it. */
struct guarded {
    char *map;
    size_t areas;
    size_t bytes; /* of one area, a multiple of GUARD_BYTES */
};

static inline struct guarded guarded_open(size_t areas, size_t bytes)
{
    struct guarded g = {.areas = areas};
    size_t all;

    g.bytes = (bytes + GUARD_BYTES - 1) / GUARD_BYTES * GUARD_BYTES;
    all = areas * (g.bytes + GUARD_BYTES) + GUARD_BYTES;
    g.map = mmap(NULL, all, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(g.map != MAP_FAILED);
    for (size_t i = 0; i < areas; i++) {
        char *area = g.map + GUARD_BYTES + i * (g.bytes + GUARD_BYTES);
        int failed = mprotect(area, g.bytes, PROT_READ | PROT_WRITE);

        assert(failed == 0);
        (void)failed;
    }
    return g;
}

static inline void guarded_close(struct guarded *g)
{
    munmap(g->map, g->areas * (g->bytes + GUARD_BYTES) + GUARD_BYTES);
}

/* `bytes` that start, or end, where the area does. */
static inline void *guarded_at(const struct guarded *g, size_t area,
                               size_t bytes, bool end)
{
    char *start = g->map + GUARD_BYTES + area * (g->bytes + GUARD_BYTES);

    assert(area < g->areas && bytes <= g->bytes);
    return end ? start + g->bytes - bytes : start;
}

/* xorshift64*: the same bits in every run. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

#endif
