/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bootstrap.h - everybody finds everybody: a gather and a broadcast of one
 * record a rank through the root's listening port.
 */
#ifndef BALLOT_TRANSPORT_BOOTSTRAP_H
#define BALLOT_TRANSPORT_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "handshake.h"

enum {
    RECORD_BYTES_MAX = 1024,
    BOOTSTRAP_RANKS_MAX = 1024,
    WHY_BYTES = 512,          /* room for an error in words */
    ADDRESS_TEXT_BYTES = 128, /* room for an address in words */
};

struct bootstrap_root; /* the listening side; a thread of its own */

/*
 * Listens on `address` (port 0: any) and serves exchanges, one after the other,
 * in a thread of its own until bootstrap_root_close() or `deadline_ns`
 * (CLOCK_MONOTONIC). An exchange ends when all ranks have handed in their
 * record, when ranks contradict each other, or shortly before the first of them
 * runs out of time; then every rank that is connected is told. A second process
 * of a rank is sent away as long as the first is connected. The last `servers`
 * of the ranks that exchange are servers, and are called so in errors. The
 * credentials are copied. *why says what failed and its cure; the result is
 * then the errno of the socket, -ENOMEM or -EAGAIN (no thread).
 */
int bootstrap_root_open(struct bootstrap_root **root,
                        const struct sockaddr *address, socklen_t address_bytes,
                        const struct credentials *credentials, uint32_t servers,
                        uint64_t deadline_ns, char why[WHY_BYTES]);

/* The address that it listens on, port included. */
void bootstrap_root_address(const struct bootstrap_root *root,
                            struct sockaddr_storage *address,
                            socklen_t *address_bytes);

/* Connections that did not prove the key, until now. */
uint64_t bootstrap_root_strangers(const struct bootstrap_root *root);

/*
 * Stops the thread and frees. Ranks of an exchange that is not complete get
 * -ECONNRESET; waits at most two seconds until all are told. NULL is allowed.
 */
void bootstrap_root_close(struct bootstrap_root *root);

/*
 * Hands in record[record_bytes] (1 to RECORD_BYTES_MAX) of `rank` and gets
 * everybody's: table is [ranks][record_bytes]. *epoch is a random number other
 * than 0, the same on all ranks. The root may not be listening yet: connecting
 * is tried again. `bell` is a descriptor that ends the wait when it becomes
 * readable, or -1. Every failure has its cause and cure in *why.
 *   -EINVAL     ranks, rank or record_bytes is out of range
 *   -EACCES     the root does not know our key (or we not its)
 *   -EEXIST     this rank is there already
 *   -EPROTO     ranks differ about `ranks` or record_bytes; *why names them
 *   -ETIMEDOUT  *why names the missing ranks, or says that nothing listens
 *   -ECONNRESET the root went away before all ranks were there
 *   -ECANCELED  the bell
 *   -EMFILE, -ENOMEM
 */
int bootstrap_join(const struct sockaddr *root, socklen_t root_bytes,
                   const struct credentials *credentials, uint32_t rank,
                   uint32_t ranks, const void *record, size_t record_bytes,
                   void *table, uint32_t *epoch, uint64_t deadline_ns, int bell,
                   char why[WHY_BYTES]);

/* ---- address.c: what the environment and the network say ---- */

/*
 * "host:port", "[v6]:port" -> address; host may be a name. -EINVAL with *why.
 */
int bootstrap_parse(const char *text, struct sockaddr_storage *address,
                    socklen_t *address_bytes, char why[WHY_BYTES]);

/* The opposite: "192.0.2.1:4000", "[2001:db8::1]:4000". */
void bootstrap_format(const struct sockaddr *address, socklen_t address_bytes,
                      char text[ADDRESS_TEXT_BYTES]);

/*
 * A local address to listen on: of the interface called `name` (or the IP in
 * it); with NULL the local address of the route to `towards`, or with that NULL
 * too, of the route to other hosts (without one, of any interface that leads to
 * others, or loopback). Port 0. An
 * interface's address is of the family of `towards`; without it, IPv4 first.
 *   -ENODEV  no such interface, or it has no address, or there is no route;
 *            *why lists those there
 */
int bootstrap_local_address(const char *name, const struct sockaddr *towards,
                            socklen_t towards_bytes,
                            struct sockaddr_storage *address,
                            socklen_t *address_bytes, char why[WHY_BYTES]);

/*
 * The job's key from a file of 64 hexadecimal digits or of 32 raw bytes; a file
 * that others may read is refused. -ENOENT, -EACCES, -EINVAL with *why, or
 * another errno of reading it.
 */
int credentials_read(const char *path, struct credentials *credentials,
                     char why[WHY_BYTES]);

#endif
