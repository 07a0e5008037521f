/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512_compare.c - how many bits differ, with 512-bit registers.
 *
 * Needs VPOPCNTDQ besides what avx512.c needs, which asks for it.
 */
#include "kernels.h"

#if defined(__x86_64__)

#include "avx512.h"

ALWAYS slice slice_bits(slice s)
{
    return _mm512_popcnt_epi64(s);
}

#include "dissent.h"

void compare_avx512(const struct compare *compare)
{
    compare_rows(compare, kernels_avx512.vote);
}

void dissent_avx512(const struct vote *vote)
{
    dissent_any(vote);
}

#endif
