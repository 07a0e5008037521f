/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - memory that a peer, or a device for it, may write.
 *
 * Pages are zero at first and are taken from the system when they are first
 * touched, so slots that nobody uses cost nothing. They are taken from the NUMA
 * node of the thread that mapped them, where there is more than one. Memory
 * that has room for whole huge pages is placed for them and asks for them,
 * which the system may grant; smaller memory, and the rest behind the last
 * whole one, asks for none.
 */
#ifndef BALLOT_TRANSPORT_MEMORY_H
#define BALLOT_TRANSPORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MEMORY_HUGE_BYTES = 2 << 20, /* a huge page */
    MEMORY_SKEW_MAX = 4096 - 64,
    MEMORY_WORD_BYTES = 16,
};

enum memory_access {
    MEMORY_READ,  /* the peer may only read: we are the writer */
    MEMORY_WRITE, /* the peer may write */
};

/* `bytes` (> 0) rounded up to whole pages. */
size_t memory_round(size_t bytes);

/*
 * How far into its memory the first slot of a voter lies, at most
 * MEMORY_SKEW_MAX and whole lines: the same slot of any 64 voters in a row then
 * begins at as many different places in a page. A server reads a column of all
 * voters at a time; without this all its lines were in one set of a cache that
 * has room for 8.
 */
size_t memory_skew(uint32_t rank);

/* Maps private memory, page aligned. */
int memory_map(void **memory, size_t bytes);
/* The same on small pages: memory of which a line here and there is touched,
 * for which a huge page would have to be cleared. */
int memory_map_sparse(void **memory, size_t bytes);

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

/* ---- What the system grants ---------------------------------------------- */

struct memory_facts {
    bool private_huge, shared_huge; /* whether huge pages are granted */
    /* What the system's settings say of them: "madvise"; "" if nothing. */
    char private_setting[MEMORY_WORD_BYTES], shared_setting[MEMORY_WORD_BYTES];
    int nodes;   /* that this process may use; 0: not known */
    int node;    /* what this thread maps is bound to it; -1: to none */
    int refused; /* why nodes are not known, or none is bound: negative errno */
};

/* For memory that this thread maps now. */
struct memory_facts memory_facts(void);

/* Finds the word in brackets, as in "always [madvise] never", and says whether
 * it grants huge pages to who asks; without one, `word` is "". */
bool memory_setting(char word[MEMORY_WORD_BYTES], const char *text);

#endif
