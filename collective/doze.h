/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doze.h - the engine's thread while it is hardly needed, and who wakes it.
 *
 * The engine's lock has no part in it: a thread that waits for that one has
 * callers wake it each time they leave, and takes their core to find the lock
 * taken by the next call.
 */
#ifndef BALLOT_COLLECTIVE_DOZE_H
#define BALLOT_COLLECTIVE_DOZE_H

#include <stdbool.h>
#include <stdint.h>

/* Before the thread is started, after it was joined. */
void doze_open(void);
void doze_close(void);

/* Sleeps for that time; true: doze_wake() was called, now or since the last
 * time. */
bool doze_sleep(uint64_t ns);
void doze_wake(void);

#endif
