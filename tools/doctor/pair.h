/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.h - the same trial between two hosts: tcp first, then what else
 * both have.
 */
#ifndef BALLOT_DOCTOR_PAIR_H
#define BALLOT_DOCTOR_PAIR_H

#include <netdb.h>

#include "../../transport/bootstrap.h"
#include "counters.h"
#include "self.h"

enum {
    PAIR_PORT = 29531, /* where none is given */
    PAIR_HOST_BYTES = 64,
    PAIR_WHERE_BYTES = NI_MAXHOST + 16,
    CAUSES_MAX = 8,
};

struct pair_options {
    bool listens;
    uint16_t port;                /* of who listens; 0: any */
    char where[PAIR_WHERE_BYTES]; /* of who does not: the other's host:port */
    uint64_t wait_ms;             /* for the other side to come */
    uint64_t stage_ms;            /* of each later step */
};

/* RDMA as one side would use it. */
struct rdma_side {
    bool has_device;
    bool is_soft; /* known of our own side only */
    char device[NAME_BYTES];
    uint32_t port;
    uint32_t mtu; /* 0: not known */
    struct gid gid;
};

struct pair_stage {
    char name[WORD_BYTES];
    enum verdict verdict;
    int error; /* of this side or, without one here, of the other */
    char why[2 * LINK_WHY_BYTES + 32]; /* here and there */
    struct trial_times times;
};

struct cause {
    char what[256];
    char command[192];
};

struct pair_result {
    int error; /* why there was no trial: negative errno, */
    char why[ERROR_TEXT_BYTES];
    char cure[ERROR_TEXT_BYTES];
    char host[PAIR_HOST_BYTES]; /* of the other side, printable */
    char ours[NI_MAXHOST];      /* the local address that was used */
    struct rdma_side rdma, rdma_theirs;
    uint32_t stages_count;
    struct pair_stage stages[TRIED_MAX];
    struct counters gained; /* here, while RDMA was tried */
    uint32_t causes_count;  /* tcp works, RDMA does not */
    struct cause causes[CAUSES_MAX];
    const char *choice; /* what ballot would use */
    char reason[LINE_TEXT_BYTES];
};

/*
 * Meets the other side and tries every transport. Says what it waits for on
 * stderr. The facts are this machine's.
 */
void pair_run(struct pair_result *pair, const struct pair_options *options,
              const struct facts *facts);

/* Whether all that should work between the two does. */
bool pair_passed(const struct pair_result *pair);

/* "host", "host:port", "v6", "[v6]:port" -> host:port for bootstrap_parse().
 * False if it is too long. */
bool pair_where(char where[PAIR_WHERE_BYTES], const char *text);

/* ---- causes.c ---- */

/* What a side's facts say of the device that was chosen. */
void rdma_side_of(struct rdma_side *side, const struct facts *facts,
                  const struct chosen *chosen);

/* Fills pair->causes: why RDMA failed where tcp works, likely ones first. */
void pair_explain(struct pair_result *pair);

#endif
