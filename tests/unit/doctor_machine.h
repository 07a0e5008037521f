/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_machine.h - a machine made of files, for ballot-doctor to look at.
 */
#ifndef BALLOT_TESTS_DOCTOR_MACHINE_H
#define BALLOT_TESTS_DOCTOR_MACHINE_H

#include "tools/doctor/judge.h"

#define GID_EMPTY      "0000:0000:0000:0000:0000:0000:0000:0000"
#define GID_LINK_LOCAL "fe80:0000:0000:0000:0a00:27ff:fe00:0001"
#define GID_IPV4       "0000:0000:0000:0000:0000:ffff:0a4d:0001" /* 10.77.0.1 */

extern char machine_root[];
extern struct facts machine_facts;
extern struct problems machine_problems;

/* Before and after each test: an empty machine, and none. */
int machine_make(void **state);
int machine_remove(void **state);

/* Writes a file below the root, and its folders. */
__attribute__((format(printf, 2, 3))) void machine_put(const char *path,
                                                       const char *format, ...);

/* An Ethernet port that is up, without GIDs, and nodes that may be used. */
void machine_put_device(const char *name, const char *interface, int mtu);
/* `type` NULL: an empty row has none. */
void machine_put_gid(const char *device, int index, const char *gid,
                     const char *type, const char *interface);
/* rxe0 on an interface, with the GIDs link-local and 10.77.0.1. */
void machine_put_rxe(const char *interface, int mtu);

/* Reads the files; what only a running system knows is as it should be. */
void machine_read(void);
void machine_judge(void);

/* NULL: there is none of that key. */
const struct problem *machine_problem(const char *key);

/* Fails unless that problem is there and its texts contain these. */
void machine_has(const char *key, enum level level, const char *what,
                 const char *cure);

/* Fails unless there are so many, but for what is always said of RoCE. */
void machine_has_only(uint32_t count);

#endif
