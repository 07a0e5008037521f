/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.c - the list of kernels, and the choice of one.
 */
#include "kernels.h"

#include <string.h>

/* Fastest first; the last one runs on every machine. */
const struct kernels *const kernels_all[] = {
    &kernels_avx512,
    &kernels_avx2,
    &kernels_portable,
    NULL,
};

const struct kernels *kernels_pick(const char *name)
{
    const bool any = name == NULL || name[0] == '\0';

    for (size_t i = 0; kernels_all[i] != NULL; i++) {
        const struct kernels *kernels = kernels_all[i];

        if ((any || strcmp(kernels->name, name) == 0) && kernels->supported())
            return kernels;
    }
    return NULL;
}
