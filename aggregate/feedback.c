/* SPDX-License-Identifier: Apache-2.0 */
/* feedback.c - error feedback block by block, over any table of kernels. */
#include "kernels.h"

void feedback_blocks(const struct kernels *kernels, uint64_t *restrict signs,
                     uint64_t *restrict marks, float *restrict error,
                     const float *restrict gradient, size_t count)
{
    for (size_t first = 0; first < count; first += FEEDBACK_BLOCK) {
        const size_t left = count - first;
        const size_t some = left < FEEDBACK_BLOCK ? left : FEEDBACK_BLOCK;
        const size_t w = first / LINE_COORDINATES * LINE_WORDS;
        const float scale =
            kernels->feedback_scale(error + first, gradient + first, some);

        kernels->feedback(signs + w, marks != NULL ? marks + w : NULL,
                          error + first, gradient + first, scale, some);
    }
}
