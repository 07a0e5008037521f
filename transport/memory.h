/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - memory that a peer, or a device for it, may write.
 *
 * Pages are zero at first and are taken from the system when they are first
 * touched, so slots that nobody uses cost nothing.
 */
#ifndef BALLOT_TRANSPORT_MEMORY_H
#define BALLOT_TRANSPORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum memory_access {
    MEMORY_READ,  /* the peer may only read: we are the writer */
    MEMORY_WRITE, /* the peer may write */
};

/* `bytes` (> 0) rounded up to whole pages. */
size_t memory_round(size_t bytes);

/* Maps private memory, page aligned, on huge pages where that pays. */
int memory_map(void **memory, size_t bytes);

/*
 * Maps memory that a peer can attach by *descriptor, which the caller closes
 * once it is passed on. Its size can never change. With MEMORY_READ nobody but
 * this mapping can ever write it.
 */
int memory_share(void **memory, int *descriptor, size_t bytes,
                 enum memory_access peer);

/*
 * Maps a descriptor that came from a peer. The caller closes it, before or
 * after memory_unmap().
 *   -EPROTO  it is not shared memory of exactly this size that can never
 *            shrink: touching such memory could kill us
 */
int memory_attach(void **memory, int descriptor, size_t bytes,
                  enum memory_access ours);

/* NULL is allowed; `bytes` as it was mapped. */
void memory_unmap(void *memory, size_t bytes);

#endif
