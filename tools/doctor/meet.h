/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meet.h - how two doctors find each other.
 */
#ifndef BALLOT_DOCTOR_MEET_H
#define BALLOT_DOCTOR_MEET_H

#include "pair.h"

enum { SIDES = 2 }; /* the listener is rank 0 */

/* What each tells the other, with its endpoints open. */
struct offer {
    int32_t errors[TRIED_MAX]; /* of opening each */
    struct address addresses[TRIED_MAX];
    char device[NAME_BYTES]; /* "": none is usable */
    uint32_t port, mtu, gid_index, gid_type;
    uint8_t gid[GID_BYTES];
};

_Static_assert(sizeof(struct offer) <= RECORD_BYTES_MAX, "an offer fits");

struct pair {
    const struct pair_options *options;
    struct pair_result *result;
    struct bootstrap_root *root; /* the listener's, else NULL */
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct credentials credentials;
    uint32_t rank, epoch;
    struct sockaddr_storage local; /* the IP to listen on; AF_UNSPEC: any */
    struct endpoint *endpoints[TRIED_MAX]; /* NULL: cannot be opened here */
    char whys[TRIED_MAX][WHY_BYTES];       /* what each says of a failure */
    struct offer offers[SIDES];
    struct tried_link control; /* tcp, once it works */
};

/* Finds the other side and opens endpoints for it, which are the caller's, as
 * is the root, also on failure; then the result says why. */
int meet_other(struct pair *pair, const struct facts *facts);

/* What came from the other side may hold anything: others than printable ASCII
 * become '?'. `from` has at least bytes - 1 bytes, or ends before. */
void meet_copy_printable(char *text, size_t bytes, const char *from);

#endif
