/* SPDX-License-Identifier: Apache-2.0 */
/* relax.h - tells the core that it spins. */
#ifndef BALLOT_COLLECTIVE_RELAX_H
#define BALLOT_COLLECTIVE_RELAX_H

#include <stdatomic.h>

#if defined(__x86_64__)
static inline void relax(void)
{
    __builtin_ia32_pause();
}
#else
static inline void relax(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}
#endif

#endif
