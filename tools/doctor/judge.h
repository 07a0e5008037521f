/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - what is wrong with a machine, and the command that mends it.
 */
#ifndef BALLOT_DOCTOR_JUDGE_H
#define BALLOT_DOCTOR_JUDGE_H

#include "facts.h"

enum {
    PROBLEMS_MAX = 64,
    WHAT_BYTES = 768,
    CURE_BYTES = 512,
};

enum level {
    LEVEL_NOTE,    /* good to know; nothing is lost */
    LEVEL_WARNING, /* ballot works, slower or not over RDMA */
    LEVEL_ERROR,   /* ballot fails here, or what was asked for does */
};

struct problem {
    enum level level;
    const char *key; /* "memlock-small": does not change between versions */
    char what[WHAT_BYTES];
    char cure[CURE_BYTES]; /* a command, or what to do where none can */
};

struct problems {
    uint32_t count;
    struct problem list[PROBLEMS_MAX];
};

/* Adds a problem whose cure is set next; where the list is full, the last one
 * gives way. */
__attribute__((format(printf, 4, 5))) struct problem *problems_add(
    struct problems *problems, enum level level, const char *key,
    const char *what, ...);
__attribute__((format(printf, 2, 3))) void cure_with(struct problem *problem,
                                                     const char *cure, ...);

/* "note", "warning", "error". */
const char *level_name(enum level level);

/* Whether some problem stops ballot. */
bool problems_stop(const struct problems *problems);

/* Adds what the facts show, RDMA first. */
void judge(struct problems *problems, const struct facts *facts);
void judge_rdma(struct problems *problems, const struct facts *facts);
void judge_device(struct problems *problems, const struct facts *facts,
                  const struct device *device);

/* What RDMA lacks is an error only where RDMA was asked for. */
enum level rdma_level(const struct facts *facts);

/* The same of what a rank finds only once it has told the others that it has a
 * device: then they do not turn to tcp any more. */
enum level late_rdma_level(const struct facts *facts);

/* Why io_uring is refused, in words. */
const char *uring_reason(const struct facts *facts);

/* Which processor flags a table of kernels lacks: "avx512f avx512bw"; "" if
 * none, or where the processor lists no flags. */
void kernels_lack(const struct facts *facts, const char *name, char *text,
                  size_t bytes);

#endif
