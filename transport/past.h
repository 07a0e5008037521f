/* SPDX-License-Identifier: Apache-2.0 */
/* past.h - a copy that leaves the cache alone. */
#ifndef BALLOT_TRANSPORT_PAST_H
#define BALLOT_TRANSPORT_PAST_H

#include <stddef.h>

/* memcpy() by stores that go past the cache, and are done before what is stored
 * next. Where the processor has none, memcpy(). */
void copy_past(void *to, const void *from, size_t bytes);

#endif
