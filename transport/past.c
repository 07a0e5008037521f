/* SPDX-License-Identifier: Apache-2.0 */
/* past.c - a copy that leaves the cache alone. */
#include "past.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>

/* Whole lines, to an aligned place. */
static void copy_lines_past(uint8_t *to, const uint8_t *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64) {
        const __m128i *source = (const __m128i *)(const void *)(from + at);
        __m128i *line = (__m128i *)(void *)(to + at);
        __m128i a = _mm_loadu_si128(source);
        __m128i b = _mm_loadu_si128(source + 1);
        __m128i c = _mm_loadu_si128(source + 2);
        __m128i d = _mm_loadu_si128(source + 3);

        _mm_stream_si128(line, a);
        _mm_stream_si128(line + 1, b);
        _mm_stream_si128(line + 2, c);
        _mm_stream_si128(line + 3, d);
    }
    _mm_sfence();
}
#else
static void copy_lines_past(uint8_t *to, const uint8_t *from, size_t bytes)
{
    memcpy(to, from, bytes);
}
#endif

void copy_past(void *to, const void *from, size_t bytes)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    size_t head = -(uintptr_t)to % 64, lines;

    head = head < bytes ? head : bytes;
    lines = (bytes - head) / 64 * 64;
    memcpy(out, in, head);
    copy_lines_past(out + head, in + head, lines);
    memcpy(out + head + lines, in + head + lines, bytes - head - lines);
}
