/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c - huge pages, touched and filled before anything is timed.
 */
#include "memory.h"

#include "aggregate/kernels.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

/* Addresses, not memory: 1,024 rows of a ResNet-50 take 3.3 GB. */
#define AREA_BYTES ((size_t)8 << 30)
#define HUGE_BYTES ((size_t)2 << 20)

int bench_memory_open(struct bench_memory *memory)
{
    *memory = (struct bench_memory){0};
    for (int area = 0; area < BENCH_AREAS; area++) {
        /* A huge page more, so that the area can start with one. */
        char *at = mmap(NULL, AREA_BYTES + HUGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        const size_t skipped = -(uintptr_t)at % HUGE_BYTES;

        if (at == MAP_FAILED) {
            const int error = -errno;

            bench_memory_close(memory);
            return error;
        }
        if (skipped > 0)
            munmap(at, skipped);
        at += skipped;
        munmap(at + AREA_BYTES, HUGE_BYTES - skipped);
        /* Where it fails the table says so: "in huge pages: 0 %". */
        madvise(at, AREA_BYTES, MADV_HUGEPAGE);
        memory->areas[area] = at;
    }
    return 0;
}

void bench_memory_close(struct bench_memory *memory)
{
    for (int area = 0; area < BENCH_AREAS; area++)
        if (memory->areas[area] != NULL)
            munmap(memory->areas[area], AREA_BYTES);
    *memory = (struct bench_memory){0};
}

/* Steele, Lea and Flood's SplitMix64; the same bits in every run. */
static uint64_t random_word(uint64_t index)
{
    uint64_t word = (index + 1) * 0x9e3779b97f4a7c15u;

    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

static void fill_bits(uint64_t *words, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        words[i] = random_word(i);
}

static void fill_alike(uint64_t *words, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        words[i] = random_word(i % LINE_WORDS);
}

static void fill_floats(float *values, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        values[i] = (float)(int32_t)(random_word(i) >> 40) * 0x1p-23f - 1.0f;
}

static void fill_values(uint64_t *words, size_t first, size_t end)
{
    const uint64_t clear = 0x7000700070007000, set = 0x3000300030003000;

    for (size_t i = first; i < end; i++)
        words[i] = (random_word(i) & ~clear) | set;
}

static void fill_zeros(uint64_t *words, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        words[i] = 0;
}

/* Without a limit of the control group, which has many forms. */
static size_t memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    char line[128];
    unsigned long long kib = 0;
    size_t bytes = SIZE_MAX;

    if (file == NULL)
        return bytes;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            bytes = (size_t)kib << 10;
    fclose(file);
    return bytes;
}

int bench_memory_fill(struct bench_memory *memory, enum bench_area area,
                      size_t bytes, size_t *free_bytes)
{
    const size_t first = memory->filled_bytes[area];
    void *const at = memory->areas[area];

    if (bytes <= first)
        return 0;
    *free_bytes = memory_available();
    /* Whole pages; a tenth of what is free stays with the others. */
    bytes = (bytes + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
    if (bytes > AREA_BYTES || bytes - first > *free_bytes / 10 * 9)
        return -ENOMEM;
    switch (area) {
    case BENCH_BITS: fill_bits(at, first / 8, bytes / 8); break;
    case BENCH_ALIKE: fill_alike(at, first / 8, bytes / 8); break;
    case BENCH_VALUES: fill_values(at, first / 8, bytes / 8); break;
    case BENCH_FLOATS: fill_floats(at, first / 4, bytes / 4); break;
    default: fill_zeros(at, first / 8, bytes / 8); break;
    }
    memory->filled_bytes[area] = bytes;
    return 0;
}

double bench_memory_huge(const struct bench_memory *memory)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[256];
    size_t filled = 0;
    size_t huge = 0;
    bool ours = false;

    for (int area = 0; area < BENCH_AREAS; area++)
        filled += memory->filled_bytes[area];
    if (file == NULL || filled == 0)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long first;
        unsigned long long end;

        if (sscanf(line, "%llx-%llx ", &first, &end) == 2) {
            ours = false;
            for (int area = 0; area < BENCH_AREAS; area++)
                ours |= (uintptr_t)memory->areas[area] >= first &&
                        (uintptr_t)memory->areas[area] < end;
        } else if (ours && sscanf(line, "AnonHugePages: %llu kB", &first) == 1)
            huge += (size_t)first << 10;
    }
    fclose(file);
    return (double)huge / (double)filled;
}
