/* SPDX-License-Identifier: Apache-2.0 */
/* avx2_compare.c - how many bits differ, with 256-bit registers. */
#include "kernels.h"

#if defined(__x86_64__)

#include "avx2.h"

/* Each half of a byte is looked up, then the bytes of a lane are summed. */
ALWAYS slice slice_bits(slice s)
{
    const slice of_half =
        _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1,
                         1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const slice half = _mm256_set1_epi8(15);
    const slice low = _mm256_shuffle_epi8(of_half, s & half);
    const slice high =
        _mm256_shuffle_epi8(of_half, _mm256_srli_epi16(s, 4) & half);

    return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
}

#include "dissent.h"

void compare_avx2(const struct compare *compare)
{
    compare_rows(compare, kernels_avx2.vote);
}

void dissent_avx2(const struct vote *vote)
{
    dissent_any(vote);
}

#endif
